package load

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"

	"bluetrace/nodes/socket/epoll"
)

// Sockets is the Network of real sockets. Where there is epoll a few threads read
// all sockets, so that a phone costs no goroutine and an answer no switch to one.
// Elsewhere it is a plainNetwork.
type Sockets struct {
	Server string // host:port
	// ResourceFailures counts the connections for which this machine had no file
	// descriptor or no port.
	ResourceFailures atomic.Uint64

	system epoll.System // nil for the kernel's

	mu      sync.Mutex
	plain   *plainNetwork // nil where there is epoll
	readers []*reader
	next    int            // index of the last reader that was given a socket
	address netip.AddrPort // of Server, once resolved
	failing sync.WaitGroup // calls of OnOpen for connections that could not begin
}

// isResourceFailure reports whether the machine had no file descriptor or port.
func isResourceFailure(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.EADDRNOTAVAIL)
}

func (s *Sockets) count(err error) {
	if isResourceFailure(err) {
		s.ResourceFailures.Add(1)
	}
}

// fallback returns the network without epoll, or nil where there is epoll.
func (s *Sockets) fallback() *plainNetwork {
	if epoll.Supported {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.plain == nil {
		s.plain = &plainNetwork{open: func(ctx context.Context) (net.Conn, error) {
			var d net.Dialer
			c, err := d.DialContext(ctx, "tcp", s.Server)
			s.count(err)
			return c, err
		}}
	}
	return s.plain
}

// readerCount returns the number of threads that read: half of the processors. The
// pacing thread, and the server if it runs here, use the others.
func readerCount(processors int) int { return max(1, processors/2) }

// reader returns one of the readers in turn, and starts them if there are none.
func (s *Sockets) reader() (*reader, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.system == nil {
		s.system = epoll.Kernel()
	}
	if len(s.readers) == 0 {
		for range readerCount(runtime.NumCPU()) {
			r, err := newReader(s.system)
			if err != nil {
				return nil, err
			}
			s.readers = append(s.readers, r)
		}
	}
	s.next++
	return s.readers[s.next%len(s.readers)], nil
}

// Close ends the readers.
func (s *Sockets) Close() error {
	s.failing.Wait()
	if n := s.fallback(); n != nil {
		return n.Close()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, r := range s.readers {
		errs = append(errs, r.close())
	}
	s.readers = nil
	return errors.Join(errs...)
}

// Dropped returns the count of the kernel.
func (s *Sockets) Dropped(addresses map[netip.AddrPort]bool) uint64 {
	return DroppedDatagrams(addresses)
}

// Dial begins a TCP connection.
func (s *Sockets) Dial(h ConnHandler) Conn {
	if n := s.fallback(); n != nil {
		return n.Dial(h)
	}
	c := &tcpConn{handler: h}
	c.onEvent = c.opened
	if err := s.dial(c); err != nil {
		s.count(err)
		s.failing.Go(func() { h.OnOpen(err) })
	}
	return c
}

func (s *Sockets) dial(c *tcpConn) error {
	r, err := s.reader()
	if err != nil {
		return err
	}
	to, err := s.resolve()
	if err != nil {
		return err
	}
	if c.fd, err = s.system.Connect(to); err != nil {
		return err
	}
	return r.add(&c.socket, epoll.Writable)
}

// resolve returns the server's address. Of several addresses of a name it keeps the
// first that accepts a connection.
func (s *Sockets) resolve() (netip.AddrPort, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.address.IsValid() {
		return s.address, nil
	}
	at, err := netip.ParseAddrPort(s.Server)
	if err != nil {
		c, err := net.Dial("tcp", s.Server)
		if err != nil {
			return at, err
		}
		at = c.RemoteAddr().(*net.TCPAddr).AddrPort()
		if err := c.Close(); err != nil {
			return at, err
		}
	}
	s.address = at
	return at, nil
}

// Listen opens a UDP socket on the loopback interface.
func (s *Sockets) Listen(h DatagramHandler) (Datagrams, error) {
	if n := s.fallback(); n != nil {
		return n.Listen(h)
	}
	r, err := s.reader()
	if err != nil {
		return nil, err
	}
	u := &udpSocket{handler: h}
	u.onEvent = u.receive
	if u.fd, u.address, err = s.system.BindUDP(netip.AddrFrom4([4]byte{127, 0, 0, 1})); err != nil {
		return nil, err
	}
	if err := r.add(&u.socket, epoll.Readable); err != nil {
		return nil, errors.Join(err, u.Close())
	}
	return u, nil
}

// reader is a thread that reads many sockets.
type reader struct {
	system epoll.System
	poller epoll.Poller
	ended  chan struct{}

	mu      sync.Mutex
	sockets map[int32]*socket // by file descriptor
}

func newReader(system epoll.System) (*reader, error) {
	p, err := system.NewPoller()
	if err != nil {
		return nil, err
	}
	r := &reader{system: system, poller: p, ended: make(chan struct{}), sockets: map[int32]*socket{}}
	go r.run()
	return r, nil
}

func (r *reader) close() error {
	r.poller.Stop()
	<-r.ended
	return r.poller.Close()
}

// add calls the socket's onEvent for each event from now on.
func (r *reader) add(s *socket, interest epoll.Interest) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reader = r
	r.mu.Lock()
	r.sockets[int32(s.fd)] = s
	r.mu.Unlock()
	return r.poller.Watch(s.fd, int32(s.fd), interest)
}

// remove is called before a socket is closed, which removes it from the poller.
func (r *reader) remove(fd int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.sockets, int32(fd))
}

// run handles the events of the sockets until the poller is stopped. An event of a
// closed socket may reach a new socket with the same descriptor. The read of the new
// socket then returns no data, which has no effect.
func (r *reader) run() {
	defer close(r.ended)
	events := make([]epoll.Event, 128)
	buffer := make([]byte, readSize)
	for {
		n, stopped := r.poller.Wait(events)
		if stopped {
			return
		}
		for i := range n {
			r.mu.Lock()
			s := r.sockets[events[i].Key()]
			r.mu.Unlock()
			if s != nil {
				s.onEvent(buffer)
			}
		}
	}
}

// socket is a non-blocking socket that a reader reads.
type socket struct {
	reader  *reader // nil until it is added
	fd      int
	onEvent func(buffer []byte)

	mu     sync.Mutex // held while fd is used, which another socket may get after Close
	closed bool
}

// ignore stops the events of the socket until it is closed. The mutex mu is held.
func (s *socket) ignore() { _ = s.reader.poller.Forget(s.fd) } // cannot fail: it is watched

// Close closes the socket.
func (s *socket) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.reader == nil {
		s.closed = true
		return nil
	}
	s.closed = true
	s.reader.remove(s.fd)
	return s.reader.system.Close(s.fd)
}

// tcpConn is a connection to the server.
type tcpConn struct {
	socket
	handler ConnHandler
}

// opened handles the end of the attempt to connect.
func (c *tcpConn) opened([]byte) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	err := c.reader.system.ConnectError(c.fd)
	if err == nil {
		err = c.reader.poller.Rearm(c.fd, int32(c.fd), epoll.Readable)
	}
	if err != nil {
		c.ignore()
	}
	c.onEvent = c.read
	c.mu.Unlock()
	c.handler.OnOpen(err)
}

func (c *tcpConn) read(buffer []byte) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	n, err := c.reader.system.Read(c.fd, buffer)
	ended := n <= 0 && !epoll.WouldBlock(err)
	if ended {
		c.ignore()
	}
	c.mu.Unlock()
	switch {
	case n > 0:
		c.handler.OnData(buffer[:n])
	case ended && err == nil:
		c.handler.OnEnd(io.EOF)
	case ended:
		c.handler.OnEnd(err)
	}
}

// Write sends p completely, or returns an error.
func (c *tcpConn) Write(p []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.reader == nil {
		return net.ErrClosed
	}
	n, err := c.reader.system.Write(c.fd, p)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	return err
}

// udpSocket is the UDP socket of a phone.
type udpSocket struct {
	socket
	address netip.AddrPort
	handler DatagramHandler
}

// Address returns the address that the socket is bound to.
func (u *udpSocket) Address() netip.AddrPort { return u.address }

// Send sends to another socket on the loopback interface.
func (u *udpSocket) Send(to netip.AddrPort, p []byte) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed {
		return os.ErrClosed
	}
	return u.reader.system.SendTo(u.fd, to, p)
}

func (u *udpSocket) receive(buffer []byte) {
	u.mu.Lock()
	if u.closed {
		u.mu.Unlock()
		return
	}
	n, from, err := u.reader.system.ReceiveFrom(u.fd, buffer)
	u.mu.Unlock()
	if err == nil { // else there is no datagram, or an ICMP message about an earlier one
		u.handler(from, buffer[:n])
	}
}
