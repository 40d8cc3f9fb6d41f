package load

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// udp is the UDP socket of a phone.
type udp struct {
	heard
	address netip.AddrPort
	ear     DatagramHandler
}

// Listen opens a UDP socket on the loopback.
func (s *Sockets) Listen(ear DatagramHandler) (Datagrams, error) {
	l, err := s.begin()
	if err != nil {
		return nil, err
	}
	u := &udp{ear: ear}
	if u.fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	u.take = u.receive
	if err := u.bind(); err != nil {
		return nil, errors.Join(err, unix.Close(u.fd))
	}
	if err := l.add(&u.heard, unix.EPOLLIN); err != nil {
		return nil, errors.Join(err, u.Close())
	}
	return u, nil
}

// bind takes any free port.
func (u *udp) bind() error {
	if err := unix.Bind(u.fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return os.NewSyscallError("bind", err)
	}
	got, err := unix.Getsockname(u.fd)
	if err != nil {
		return os.NewSyscallError("getsockname", err)
	}
	at, ok := got.(*unix.SockaddrInet4)
	if !ok {
		return fmt.Errorf("a UDP socket has the address %v", got)
	}
	u.address = netip.AddrPortFrom(netip.AddrFrom4(at.Addr), uint16(at.Port))
	return nil
}

func (u *udp) Address() netip.AddrPort { return u.address }

// Send sends to another socket on the loopback.
func (u *udp) Send(to netip.AddrPort, p []byte) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed {
		return os.ErrClosed
	}
	return unix.Sendto(u.fd, p, 0, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()})
}

func (u *udp) receive(p []byte) {
	u.mu.Lock()
	if u.closed {
		u.mu.Unlock()
		return
	}
	n, from, err := syscall.Recvfrom(u.fd, p, 0) // unix.Recvfrom asks the kernel for more with each
	u.mu.Unlock()
	at, ok := from.(*syscall.SockaddrInet4)
	if err != nil || !ok { // nothing there, or word of a datagram that found no socket
		return
	}
	u.ear(netip.AddrPortFrom(netip.AddrFrom4(at.Addr), uint16(at.Port)), p[:n])
}
