package load

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Sockets is the real network. Its sockets are not the runtime's: a few threads
// wait for all of them (epoll), so that a phone costs no goroutine, and an answer
// no switch to one.
type Sockets struct {
	Server string // host:port
	// ResourceFailures counts connections that this machine had no file descriptor or no
	// port for.
	ResourceFailures atomic.Uint64

	mu        sync.Mutex
	listeners []*listener
	next      int // of listeners, in turn
	server    unix.Sockaddr
	family    int
	refused   sync.WaitGroup // ears that hear of a connection that cannot even begin
}

// listenersOf is how many threads listen: half of the processors; the rest is
// for pacing, and for the server when it is here.
func listenersOf(processors int) int { return max(1, processors/2) }

// begin starts the listeners, unless they run.
func (s *Sockets) begin() (*listener, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.listeners) == 0 {
		for range listenersOf(runtime.NumCPU()) {
			l, err := newListener()
			if err != nil {
				return nil, err
			}
			s.listeners = append(s.listeners, l)
		}
	}
	s.next++
	return s.listeners[s.next%len(s.listeners)], nil
}

// Close ends the listeners.
func (s *Sockets) Close() error {
	s.refused.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, l := range s.listeners {
		errs = append(errs, l.close())
	}
	s.listeners = nil
	return errors.Join(errs...)
}

// Dropped asks the kernel.
func (s *Sockets) Dropped(addresses map[netip.AddrPort]bool) uint64 {
	return DroppedDatagrams(addresses)
}

// Dial begins to open a TCP connection.
func (s *Sockets) Dial(ear ConnHandler) Conn {
	c := &tcp{ear: ear}
	c.take = c.opening
	if err := s.dial(c); err != nil {
		if wanting(err) {
			s.ResourceFailures.Add(1)
		}
		s.refused.Go(func() { ear.OnOpen(err) })
	}
	return c
}

func (s *Sockets) dial(c *tcp) error {
	l, err := s.begin()
	if err != nil {
		return err
	}
	family, to, err := s.address()
	if err != nil {
		return err
	}
	if c.fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
		return os.NewSyscallError("socket", err)
	}
	err = unix.SetsockoptInt(c.fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if err == nil {
		err = unix.Connect(c.fd, to)
	}
	if err != nil && !errors.Is(err, unix.EINPROGRESS) {
		_ = unix.Close(c.fd) // it was never open
		return os.NewSyscallError("connect", err)
	}
	return l.add(&c.heard, unix.EPOLLOUT)
}

// address is the server's. A name may have several: one is taken that answers, and
// kept.
func (s *Sockets) address() (family int, to unix.Sockaddr, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server == nil {
		at, err := netip.ParseAddrPort(s.Server)
		if err != nil {
			if at, err = answering(s.Server); err != nil {
				return 0, nil, err
			}
		}
		s.family, s.server = sockaddrOf(at)
	}
	return s.family, s.server, nil
}

func answering(server string) (netip.AddrPort, error) {
	c, err := net.Dial("tcp", server)
	if err != nil {
		return netip.AddrPort{}, err
	}
	at := c.RemoteAddr().(*net.TCPAddr).AddrPort()
	return at, c.Close()
}

func sockaddrOf(a netip.AddrPort) (family int, to unix.Sockaddr) {
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

// heard is a socket that a listener waits for.
type heard struct {
	listener *listener
	fd       int
	// take is called when the socket has something, with a buffer to read into.
	take func(p []byte)

	mu     sync.Mutex // held while fd is used: another socket may get its number
	closed bool
}

// read reads what is there; ok is false when nothing is, or the socket is closed.
func (h *heard) read(p []byte) (n int, ok bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return 0, false, nil
	}
	n, err = unix.Read(h.fd, p)
	return max(n, 0), !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR), err
}

// Close closes the socket.
func (h *heard) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || h.listener == nil {
		h.closed = true
		return nil
	}
	h.closed = true
	h.listener.forget(h.fd)
	return os.NewSyscallError("close", unix.Close(h.fd))
}

// tcp is a connection.
type tcp struct {
	heard
	ear ConnHandler
}

// opening is called when the connection is open, or was refused.
func (c *tcp) opening([]byte) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	code, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	switch {
	case err == nil && code != 0:
		err = os.NewSyscallError("connect", unix.Errno(code))
	case err == nil:
		err = c.listener.change(&c.heard, unix.EPOLLIN)
	}
	if err != nil {
		c.listener.ignore(c.fd)
	}
	c.take = c.listen
	c.mu.Unlock()
	c.ear.OnOpen(err)
}

func (c *tcp) listen(p []byte) {
	n, ok, err := c.read(p)
	switch {
	case !ok:
	case n > 0:
		c.ear.OnData(p[:n])
	default:
		c.mu.Lock()
		if !c.closed {
			c.listener.ignore(c.fd)
		}
		c.mu.Unlock()
		if err == nil {
			err = io.EOF
		}
		c.ear.OnEnd(err)
	}
}

// Write sends.
func (c *tcp) Write(p []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	n, err := unix.Write(c.fd, p)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	return err
}
