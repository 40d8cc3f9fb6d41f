package epoll

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Supported reports whether Kernel has a poller.
const Supported = true

// Kernel returns the system calls of this machine.
func Kernel() System { return kernel{} }

// WouldBlock reports whether a Read or Write failed because it had to wait.
func WouldBlock(err error) bool { return errors.Is(err, unix.EAGAIN) }

// Event is one event of a descriptor.
type Event struct{ raw unix.EpollEvent }

// Key returns the key that was given to Watch.
func (e *Event) Key() int32 { return e.raw.Fd }

// Ended reports whether the peer has ended its sending, or the connection is
// broken. Bytes may still be unread.
func (e *Event) Ended() bool {
	return e.raw.Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0
}

// flags of each Interest.
var flags = [...]uint32{
	Readable:     unix.EPOLLIN,
	Writable:     unix.EPOLLOUT,
	ReadableOnce: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET,
}

// stopKey is the key of the eventfd.
const stopKey = -1

// poller is an epoll instance with an eventfd for Stop.
type poller struct {
	epoll, stop int

	mu     sync.Mutex // held while epoll or stop is used, except by Wait
	closed bool
}

type kernel struct{}

func (kernel) NewPoller() (Poller, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	stop, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, errors.Join(os.NewSyscallError("eventfd", err), unix.Close(epoll))
	}
	p := &poller{epoll: epoll, stop: stop}
	if err := p.Watch(stop, stopKey, Readable); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

func (p *poller) Watch(fd int, key int32, i Interest) error {
	return p.control(unix.EPOLL_CTL_ADD, fd, key, i)
}

func (p *poller) Rearm(fd int, key int32, i Interest) error {
	return p.control(unix.EPOLL_CTL_MOD, fd, key, i)
}

func (p *poller) Forget(fd int) error { return p.control(unix.EPOLL_CTL_DEL, fd, 0, Readable) }

func (p *poller) control(operation, fd int, key int32, i Interest) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return os.ErrClosed
	}
	e := unix.EpollEvent{Events: flags[i], Fd: key}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(p.epoll, operation, fd, &e))
}

func (p *poller) Wait(events []Event) (n int, stopped bool) {
	raw := unsafe.Slice((*unix.EpollEvent)(unsafe.Pointer(unsafe.SliceData(events))), len(events))
	for {
		n, err := unix.EpollWait(p.epoll, raw, -1)
		switch err {
		case nil:
			for i := range n {
				stopped = stopped || raw[i].Fd == stopKey
			}
			return n, stopped
		case unix.EINTR:
		default:
			panic(fmt.Sprintf("epoll: waiting with descriptor %d: %v", p.epoll, err))
		}
	}
}

func (p *poller) Stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		_, _ = unix.Write(p.stop, []byte{7: 1}) // cannot fail: the counter is far from its limit
	}
}

func (p *poller) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return os.ErrClosed
	}
	p.closed = true
	return errors.Join(unix.Close(p.stop), unix.Close(p.epoll))
}

func (kernel) Read(fd int, p []byte) (int, error)  { return transfer(unix.SYS_READ, fd, p) }
func (kernel) Write(fd int, p []byte) (int, error) { return transfer(unix.SYS_WRITE, fd, p) }
func (kernel) Close(fd int) error                  { return os.NewSyscallError("close", unix.Close(fd)) }

// transfer does one read or write call on a non-blocking descriptor, again after EINTR.
// The call cannot block, so it is a RawSyscall, which does not notify Go's scheduler.
func transfer(call uintptr, fd int, p []byte) (int, error) {
	for {
		n, _, e := syscall.RawSyscall(call, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
		switch e {
		case 0:
			return int(n), nil
		case unix.EINTR:
		default:
			return 0, e
		}
	}
}

func (kernel) Duplicate(c io.ReadWriteCloser) (fd int, err error) {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return 0, errors.ErrUnsupported
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return 0, err
	}
	var failed error
	err = raw.Control(func(old uintptr) { fd, failed = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0) })
	return fd, errors.Join(err, failed)
}

func (kernel) Stream(fd int) Stream { return &fileStream{os.NewFile(uintptr(fd), "connection")} }

// fileStream is a TCP connection as a file.
type fileStream struct{ *os.File }

func (f *fileStream) CloseWrite() error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = unix.Shutdown(int(fd), unix.SHUT_WR) })
	return errors.Join(err, failed)
}

func (kernel) Connect(to netip.AddrPort) (fd int, err error) {
	family, address := socketAddress(to)
	if fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
		return 0, os.NewSyscallError("socket", err)
	}
	err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if err == nil {
		err = unix.Connect(fd, address)
	}
	if err != nil && !errors.Is(err, unix.EINPROGRESS) {
		_ = unix.Close(fd) // the connection was never established
		return 0, os.NewSyscallError("connect", err)
	}
	return fd, nil
}

func socketAddress(a netip.AddrPort) (family int, address unix.Sockaddr) {
	ip := a.Addr().Unmap()
	if ip.Is4() {
		return unix.AF_INET, &unix.SockaddrInet4{Port: int(a.Port()), Addr: ip.As4()}
	}
	six := &unix.SockaddrInet6{Port: int(a.Port()), Addr: ip.As16()}
	if link, err := net.InterfaceByName(ip.Zone()); err == nil {
		six.ZoneId = uint32(link.Index)
	}
	return unix.AF_INET6, six
}

func (kernel) ConnectError(fd int) error {
	code, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && code != 0 {
		err = unix.Errno(code)
	}
	return os.NewSyscallError("connect", err)
}

func (k kernel) BindUDP(ip netip.Addr) (fd int, at netip.AddrPort, err error) {
	if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
		return 0, at, os.NewSyscallError("socket", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: ip.As4()}); err != nil {
		return 0, at, errors.Join(os.NewSyscallError("bind", err), k.Close(fd))
	}
	bound, err := unix.Getsockname(fd)
	four, ok := bound.(*unix.SockaddrInet4)
	if err != nil || !ok {
		return 0, at, errors.Join(os.NewSyscallError("getsockname", err), k.Close(fd))
	}
	return fd, netip.AddrPortFrom(netip.AddrFrom4(four.Addr), uint16(four.Port)), nil
}

func (kernel) SendTo(fd int, to netip.AddrPort, p []byte) error {
	return unix.Sendto(fd, p, 0, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()})
}

func (kernel) ReceiveFrom(fd int, p []byte) (n int, from netip.AddrPort, err error) {
	n, sender, err := syscall.Recvfrom(fd, p, 0) // unix.Recvfrom makes a second system call
	four, ok := sender.(*syscall.SockaddrInet4)
	if err != nil || !ok {
		return 0, from, errors.Join(err, errors.ErrUnsupported)
	}
	return n, netip.AddrPortFrom(netip.AddrFrom4(four.Addr), uint16(four.Port)), nil
}
