package load

import (
	"context"
	"net"
	"net/netip"
	"sync"
)

// Network connects the phones with the server and with each other. None of its
// methods blocks. Goroutines of the network call the handlers, one call at a time
// for each connection and each socket.
type Network interface {
	// Dial begins a connection to the server. It never calls the handler itself.
	Dial(h ConnHandler) Conn
	// Listen opens the UDP socket of one phone.
	Listen(h DatagramHandler) (Datagrams, error)
	// Dropped returns the number of datagrams that were dropped because the buffers
	// of these sockets were full.
	Dropped(addresses map[netip.AddrPort]bool) uint64
	// Close ends the network's goroutines. Every connection and socket must be
	// closed. The network may be used again.
	Close() error
}

// ConnHandler receives the events of one connection: OnOpen with its result, then
// OnData for each read, then OnEnd. Events after Close have no meaning.
type ConnHandler interface {
	OnOpen(err error)
	OnData(p []byte) // p is valid during the call
	OnEnd(err error) // io.EOF if the server closed the connection
}

// Conn is a connection to the server, which may not yet be established.
type Conn interface {
	// Write sends a message, which must fit into the socket's buffer.
	Write(p []byte) error
	Close() error
}

// DatagramHandler receives the datagrams of a UDP socket; p is valid during the
// call.
type DatagramHandler func(from netip.AddrPort, p []byte)

// Datagrams is the UDP socket of one phone.
type Datagrams interface {
	Address() netip.AddrPort
	Send(to netip.AddrPort, p []byte) error
	Close() error
}

// readSize is the number of bytes that are read at once. Each answer of the server
// and each part of a beacon is shorter.
const readSize = 256

// plainNetwork is a Network with a goroutine for each connection and each socket. Its
// function open connects to the server.
type plainNetwork struct {
	open    func(ctx context.Context) (net.Conn, error)
	running sync.WaitGroup
}

// Close waits for the goroutines.
func (n *plainNetwork) Close() error {
	n.running.Wait()
	return nil
}

// Dial connects and reads in a goroutine.
func (n *plainNetwork) Dial(h ConnHandler) Conn {
	ctx, cancel := context.WithCancel(context.Background())
	c := &plainConn{cancel: cancel}
	n.running.Go(func() {
		conn, err := n.open(ctx)
		if err == nil {
			err = c.opened(conn)
		}
		h.OnOpen(err)
		p := make([]byte, readSize)
		for err == nil {
			var k int
			if k, err = conn.Read(p); k > 0 {
				h.OnData(p[:k])
			}
			if err != nil {
				h.OnEnd(err)
			}
		}
	})
	return c
}

// plainConn is a connection that may not be established yet.
type plainConn struct {
	cancel context.CancelFunc
	mu     sync.Mutex
	conn   net.Conn // nil until it is established
	closed bool
}

func (c *plainConn) opened(conn net.Conn) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		_ = conn.Close() // it was never used
		return net.ErrClosed
	}
	c.conn = conn
	return nil
}

func (c *plainConn) Write(p []byte) error {
	c.mu.Lock()
	conn := c.conn
	c.mu.Unlock()
	if conn == nil {
		return net.ErrClosed
	}
	_, err := conn.Write(p)
	return err
}

func (c *plainConn) Close() error {
	c.cancel()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.conn == nil {
		return nil
	}
	return c.conn.Close()
}

// Listen opens a UDP socket on the loopback interface, and reads it in a goroutine.
func (n *plainNetwork) Listen(h DatagramHandler) (Datagrams, error) {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	n.running.Go(func() {
		p := make([]byte, readSize)
		for {
			k, from, err := c.ReadFromUDPAddrPort(p)
			if err != nil {
				return
			}
			h(from, p[:k])
		}
	})
	return &plainSocket{c}, nil
}

// Dropped returns the count of the kernel.
func (n *plainNetwork) Dropped(addresses map[netip.AddrPort]bool) uint64 {
	return DroppedDatagrams(addresses)
}

type plainSocket struct{ *net.UDPConn }

func (s *plainSocket) Address() netip.AddrPort { return s.LocalAddr().(*net.UDPAddr).AddrPort() }

func (s *plainSocket) Send(to netip.AddrPort, p []byte) error {
	_, err := s.WriteToUDPAddrPort(p, to)
	return err
}
