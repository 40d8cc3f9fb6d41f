package load

import (
	"context"
	"net"
	"net/netip"
	"sync"
)

// plain is a network with a goroutine for each connection and each socket. open
// opens a connection to the server.
type plain struct {
	open    func(ctx context.Context) (net.Conn, error)
	running sync.WaitGroup
}

// Close waits for the goroutines.
func (n *plain) Close() error {
	n.running.Wait()
	return nil
}

// Dial opens a connection in a goroutine, which then reads it.
func (n *plain) Dial(ear ConnHandler) Conn {
	ctx, cancel := context.WithCancel(context.Background())
	c := &plainConn{cancel: cancel}
	n.running.Go(func() {
		conn, err := n.open(ctx)
		if err == nil {
			err = c.opened(conn)
		}
		ear.OnOpen(err)
		if err == nil {
			listenTo(conn, ear)
		}
	})
	return c
}

func listenTo(c net.Conn, ear ConnHandler) {
	p := make([]byte, heardAtOnce)
	for {
		n, err := c.Read(p)
		if n > 0 {
			ear.OnData(p[:n])
		}
		if err != nil {
			ear.OnEnd(err)
			return
		}
	}
}

// plainConn is a connection that may not be open yet.
type plainConn struct {
	cancel context.CancelFunc
	mu     sync.Mutex
	conn   net.Conn // nil: not yet open
	closed bool
}

func (c *plainConn) opened(conn net.Conn) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		_ = conn.Close() // nobody wants it any more
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

// Listen opens a UDP socket on the loopback, with a goroutine that reads it.
func (n *plain) Listen(ear DatagramHandler) (Datagrams, error) {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	n.running.Go(func() {
		p := make([]byte, heardAtOnce)
		for {
			k, from, err := c.ReadFromUDPAddrPort(p)
			if err != nil {
				return
			}
			ear(from, p[:k])
		}
	})
	return &plainSocket{c}, nil
}

// Dropped asks the kernel.
func (n *plain) Dropped(addresses map[netip.AddrPort]bool) uint64 { return DroppedDatagrams(addresses) }

type plainSocket struct{ *net.UDPConn }

func (s *plainSocket) Address() netip.AddrPort { return s.LocalAddr().(*net.UDPAddr).AddrPort() }

func (s *plainSocket) Send(to netip.AddrPort, p []byte) error {
	_, err := s.WriteToUDPAddrPort(p, to)
	return err
}
