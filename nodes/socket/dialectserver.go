package socket

import (
	"errors"
	"net"
	"sync"
	"time"

	"github.com/benbjohnson/clock"

	"bluetrace/protocol/dialect"
)

// DialectServer accepts phones that speak a dialect, and connects each one with a server of PROTOCOL.md section 2.
type DialectServer struct {
	listener *net.TCPListener
	dialect  *dialect.Dialect
	server   string // host:port
	clock    clock.Clock
	origin   time.Time
	report   func(text string)

	issued  dialect.Issued
	running sync.WaitGroup

	mu     sync.Mutex
	open   map[*dialectLink]struct{}
	closed bool
}

// dialectLink is the connection of one phone.
type dialectLink struct {
	of         *DialectServer
	phone, own *net.TCPConn // own is that with the server

	mu    sync.Mutex
	side  *dialect.ServerSide
	timer *clock.Timer
	out   dialect.Outbox
	ended bool
}

// maxDialectLinks is the largest number of phones at a time.
const maxDialectLinks = 1000

// ServeDialect serves phones on the listener until Close. report gets a line for each phone that is not understood or
// cannot be connected.
func ServeDialect(
	l *net.TCPListener, d *dialect.Dialect, server string, c clock.Clock, report func(string),
) *DialectServer {
	s := &DialectServer{listener: l, dialect: d, server: server, clock: c, origin: c.Now(), report: report,
		open: map[*dialectLink]struct{}{}}
	s.running.Go(s.accept)
	return s
}

// Close closes the listener and every connection.
func (s *DialectServer) Close() error {
	s.mu.Lock()
	s.closed = true
	for l := range s.open {
		l.close()
	}
	s.mu.Unlock()
	err := s.listener.Close()
	s.running.Wait()
	return err
}

func (s *DialectServer) accept() {
	for {
		phone, err := s.listener.AcceptTCP()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			s.report("accepting a phone: " + Reason(err))
			s.clock.Sleep(acceptPause)
			continue
		}
		s.running.Go(func() { s.serve(phone) })
	}
}

// acceptPause is the pause after a failed accept, such as one without a free descriptor.
const acceptPause = 100 * time.Millisecond

// serve connects a phone with the server, and gives what the server sends to the translator. Another goroutine does so
// with what the phone sends.
func (s *DialectServer) serve(phone *net.TCPConn) {
	conn, err := net.DialTimeout("tcp", s.server, dialectDialTimeout)
	if err != nil {
		s.report("connecting to the server: " + Reason(err))
		closeQuietly(phone)
		return
	}
	l := &dialectLink{of: s, phone: phone, own: conn.(*net.TCPConn), side: dialect.NewServerSide(s.dialect, &s.issued)}
	if !s.add(l) {
		l.close()
		return
	}
	l.call(l.side.Open)
	s.running.Go(func() { l.read(l.phone, l.side.Peer) })
	l.read(l.own, l.side.Own)
}

// add counts a connection. It returns false if there are too many, or the server is closed.
func (s *DialectServer) add(l *dialectLink) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.open) == maxDialectLinks {
		return false
	}
	s.open[l] = struct{}{}
	return true
}

func (s *DialectServer) remove(l *dialectLink) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, l)
}

// dialectDialTimeout limits the connection with the server.
const dialectDialTimeout = 10 * time.Second

// read gives what one side sends to the translator until its stream ends. That ends both connections.
func (l *dialectLink) read(from *net.TCPConn, give func(dialect.Now, []byte, *dialect.Outbox)) {
	b := make([]byte, 4096)
	for {
		n, err := from.Read(b)
		if n > 0 {
			l.call(func(now dialect.Now, out *dialect.Outbox) { give(now, b[:n], out) })
		}
		if err != nil {
			l.end()
			return
		}
	}
}

// end closes both connections. The bytes that were written before are still sent.
func (l *dialectLink) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	if l.timer != nil {
		l.timer.Stop()
	}
	l.close()
	l.of.remove(l)
}

func (l *dialectLink) close() {
	closeQuietly(l.phone)
	closeQuietly(l.own)
}

// call calls the translator and carries out its effects.
func (l *dialectLink) call(f func(dialect.Now, *dialect.Outbox)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return
	}
	now := l.of.clock.Now()
	f(dialect.Now{Elapsed: now.Sub(l.of.origin), Wall: now.In(l.of.dialect.Zone)}, &l.out)
	for _, e := range l.out.Effects {
		switch e.Kind {
		case dialect.ToPeer:
			write(l.phone, e.Bytes)
		case dialect.ToOwn:
			write(l.own, e.Bytes)
		case dialect.EndPeer:
			l.close() // the readers see it
		case dialect.Misunderstood:
			l.of.report("a phone is not understood: " + e.Text)
		}
	}
	l.out.Effects = l.out.Effects[:0]
	l.arm(now)
}

// write sends bytes. If it fails, the reader of the connection sees the error, too.
func write(to *net.TCPConn, b []byte) {
	_ = to.SetWriteDeadline(RealClock().Now().Add(dialectWriteTimeout))
	if _, err := to.Write(b); err != nil {
		closeQuietly(to)
	}
}

// dialectWriteTimeout limits a write to a phone that does not read.
const dialectWriteTimeout = time.Second

// arm sets the timer for the next deadline of the translator.
func (l *dialectLink) arm(now time.Time) {
	if l.timer != nil {
		l.timer.Stop()
	}
	if at, ok := l.side.NextWake(); ok {
		l.timer = l.of.clock.AfterFunc(max(0, at-now.Sub(l.of.origin)), func() { l.call(l.side.Wake) })
	}
}
