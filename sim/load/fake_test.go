package load

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/benbjohnson/clock"

	"bluetrace/protocol"
	"bluetrace/scenarios"
)

// fake is a network with a server of its own, in the time of a synctest bubble.
// Each answer takes a millisecond, or longer while the server stalls for a kind of
// message.
type fake struct {
	plainNetwork
	began time.Time
	stall func(message string, at time.Duration) (until time.Duration)
	// lose and twice report whether datagram n, from 1, is lost or comes twice.
	lose, twice func(n int) bool
	later       func(n int) time.Duration // how long it is under way; nil: none at all
	breaks      func(message string, at time.Duration) bool
	refuses     func(at time.Duration) bool // connections; nil: none
	resets      atomic.Bool                 // the first of them is reset

	running sync.WaitGroup // the server's sides of connections

	mu      sync.Mutex
	issued  int
	sockets []*fakeSocket
	sent    int
	silent  bool // the server answers nothing
}

const answerTime = time.Millisecond

func newFake() *fake {
	f := &fake{began: time.Now()}
	f.plainNetwork.open = f.open
	return f
}

// open connects to the server of the fake.
func (f *fake) open(context.Context) (net.Conn, error) {
	if f.refuses != nil && f.refuses(time.Since(f.began)) {
		if f.resets.Swap(false) {
			return nil, syscall.ECONNRESET
		}
		return nil, syscall.ECONNREFUSED
	}
	here, there := net.Pipe()
	f.running.Go(func() { f.serve(there) })
	return here, nil
}

// serve is the server's side of a connection, for a client that sends name and
// password in one write.
func (f *fake) serve(c net.Conn) {
	defer c.Close()
	p := make([]byte, 1024)
	for {
		n, err := c.Read(p)
		if err != nil {
			return
		}
		message := string(p[:n])
		until := time.Since(f.began) + answerTime
		if f.stall != nil {
			until = max(until, f.stall(message, time.Since(f.began)))
		}
		time.Sleep(until - time.Since(f.began)) // virtual time of synctest
		if f.breaks != nil && f.breaks(message, time.Since(f.began)) {
			return
		}
		answer := f.answer(message)
		if f.silent || message == protocol.CommandLogout {
			if f.silent {
				continue
			}
			return
		}
		if _, err := io.WriteString(c, answer); err != nil {
			return
		}
	}
}

func (f *fake) answer(message string) string {
	switch {
	case strings.HasPrefix(message, "user"):
		return protocol.Welcome
	case message == protocol.CommandDownload:
		f.mu.Lock()
		defer f.mu.Unlock()
		f.issued++
		return fmt.Sprintf("1%019d", f.issued)
	}
	return "1"
}

func (f *fake) Listen(handler DatagramHandler) (Datagrams, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := &fakeSocket{fake: f, in: make(chan datagram, 4096), port: uint16(1000 + len(f.sockets))}
	f.sockets = append(f.sockets, s)
	f.running.Go(func() {
		for d := range s.in {
			handler(d.from, d.p)
		}
	})
	return s, nil
}

func (f *fake) Dropped(sockets map[netip.AddrPort]bool) uint64 { return uint64(len(sockets)) }

type datagram struct {
	from netip.AddrPort
	p    []byte
}

type fakeSocket struct {
	fake *fake
	port uint16
	in   chan datagram

	closed bool // guarded by fake.mu
}

func (s *fakeSocket) Address() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), s.port)
}

func (s *fakeSocket) Send(to netip.AddrPort, p []byte) error {
	f := s.fake
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sent++
	if f.lose != nil && f.lose(f.sent) {
		return nil
	}
	d := datagram{s.Address(), append([]byte(nil), p...)}
	target := f.sockets[to.Port()-1000]
	if f.later != nil {
		time.AfterFunc(f.later(f.sent), func() { target.take(d) })
		return nil
	}
	target.in <- d
	if f.twice != nil && f.twice(f.sent) {
		target.in <- d
	}
	return nil
}

// take delivers a delayed datagram, unless the socket has been closed.
func (s *fakeSocket) take(d datagram) {
	s.fake.mu.Lock()
	defer s.fake.mu.Unlock()
	if !s.closed {
		s.in <- d
	}
}

func (s *fakeSocket) Close() error {
	s.fake.mu.Lock()
	defer s.fake.mu.Unlock()
	s.closed = true
	close(s.in)
	return nil
}

// faked returns a configuration with a number of phones on a fake network.
func faked(f *fake, phones int, t scenarios.Traffic) Config {
	c := Config{Traffic: &t, Seed: 1, Clock: clock.New(), Sleep: time.Sleep, Network: f}
	for i := range phones {
		c.Phones = append(c.Phones, Phone{User: fmt.Sprintf("user%d", i), Password: "secret", Single: true})
	}
	if t.MaxInFlight == 0 {
		c.Traffic.MaxInFlight = phones
	}
	if t.Timeout == 0 {
		c.Traffic.Timeout = 10 * time.Second
	}
	if t.Beacons == 0 {
		c.Traffic.Beacons = 1
	}
	c.Traffic.GracefulStop = 20 * time.Second
	return c
}

// steady returns a load at a constant rate after a warm-up of two seconds.
func steady(rate float64, length time.Duration, session ...scenarios.Verb) scenarios.Traffic {
	return scenarios.Traffic{StartRate: rate, WarmUp: 2 * time.Second, Session: session,
		Stages: []scenarios.Stage{{Duration: length, Rate: rate}}}
}
