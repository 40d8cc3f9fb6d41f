package load

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
)

// Network is what phones reach the server and each other by.
type Network interface {
	// Dial opens a connection to the server.
	Dial(ctx context.Context) (net.Conn, error)
	// Listen opens the UDP socket of one phone.
	Listen() (Datagrams, error)
	// Dropped is how many datagrams were thrown away because the buffers of the
	// sockets with these ports were full.
	Dropped(ports map[uint16]bool) uint64
}

// Datagrams is the UDP socket of one phone.
type Datagrams interface {
	Address() netip.AddrPort
	Send(to netip.AddrPort, p []byte) error
	// Receive waits for a datagram; after Close it ends with an error.
	Receive(p []byte) (n int, from netip.AddrPort, err error)
	Close() error
}

// Sockets is the real network.
type Sockets struct {
	Server string // host:port
	// Wanting counts connections that this machine had no file descriptor or no
	// port for.
	Wanting atomic.Uint64
}

// Dial opens a TCP connection.
func (s *Sockets) Dial(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", s.Server)
	if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.EADDRNOTAVAIL) {
		s.Wanting.Add(1)
	}
	return c, err
}

// Listen opens a UDP socket on the loopback.
func (s *Sockets) Listen() (Datagrams, error) {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	return &socket{c}, nil
}

// Dropped asks the kernel.
func (s *Sockets) Dropped(ports map[uint16]bool) uint64 { return DroppedBy(ports) }

type socket struct{ *net.UDPConn }

func (s *socket) Address() netip.AddrPort {
	return s.LocalAddr().(*net.UDPAddr).AddrPort()
}

func (s *socket) Send(to netip.AddrPort, p []byte) error {
	_, err := s.WriteToUDPAddrPort(p, to)
	return err
}

func (s *socket) Receive(p []byte) (int, netip.AddrPort, error) { return s.ReadFromUDPAddrPort(p) }
