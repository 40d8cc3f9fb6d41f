package socket

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"bluetrace/nodes"
)

const (
	// acceptRetry is how long the server waits when no connection can be accepted,
	// unless one ends before.
	acceptRetry = 100 * time.Millisecond
	// acceptQuiet is how long all must have been well before the server says again
	// that it cannot accept.
	acceptQuiet = time.Minute
)

// accept takes connections until the server ends, or the listener is closed.
func (s *Server) accept() error {
	var trouble time.Time // real time of the last one; zero: there was none
	for {
		s.printer.await()
		s.awaitFarewells()
		tcp, err := s.config.Listener.Accept()
		switch {
		case err == nil:
			s.begin(tcp)
			continue
		case s.hasEnded():
			return nil
		case isClosed(err):
			return fmt.Errorf("accepting a connection: %w", err)
		}
		t := s.real.Now()
		if trouble.IsZero() || t.Sub(trouble) >= acceptQuiet {
			s.Print(fmt.Sprintf("cannot accept a connection at the moment: %v", err))
		}
		trouble = t
		if exhausted(err) {
			s.makeRoom()
		}
		s.awaitDescriptor()
	}
}

// awaitFarewells waits while there are so many that the next connections would
// take the last file descriptors.
func (s *Server) awaitFarewells() {
	for s.config.MaxSockets > 0 && s.sockets() >= s.config.MaxSockets && !s.hasEnded() {
		s.awaitDescriptor()
	}
}

func (s *Server) sockets() int {
	s.lock.Lock()
	defer s.lock.Unlock()
	return len(s.alive)
}

// makeRoom ends the session that is least needed.
func (s *Server) makeRoom() {
	s.lock.Lock()
	defer s.lock.Unlock()
	if s.phase != serving {
		return
	}
	t := s.now()
	s.hasty = true
	s.machine.EvictSession(t, &s.out)
	s.carryOut(t)
	s.hasty = false
	s.wake()
}

func (s *Server) hasEnded() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

// exhausted is true of an error of Accept that another connection's end mends.
func exhausted(err error) bool {
	for _, e := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func (s *Server) awaitDescriptor() {
	retry := s.real.Timer(acceptRetry)
	defer retry.Stop()
	select {
	case <-s.freed:
	case <-s.ended:
	case <-retry.C:
	}
}

// begin gives a connection its number, and tells the machine.
func (s *Server) begin(tcp net.Conn) {
	s.lock.Lock()
	defer s.lock.Unlock()
	if s.phase != serving {
		closeQuietly(tcp)
		return
	}
	x := &conn{server: s, tcp: tcp, wake: make(chan struct{}, 1), place: len(s.alive)}
	if n := len(s.free); n > 0 {
		x.number = s.free[n-1]
		s.free = s.free[:n-1]
	} else {
		x.number = nodes.Conn(len(s.conns))
		s.conns = append(s.conns, nil)
	}
	s.conns[x.number] = x
	s.alive = append(s.alive, x)
	t := s.now()
	if s.config.Observer != nil {
		s.config.Observer.Accepted(t, x.number, addressOf(tcp.RemoteAddr()))
	}
	s.machine.Accept(t, x.number, &s.out)
	s.carryOut(t)
	s.wake()
	s.tasks.Add(1)
	go x.run()
}

// addressOf is the zero value for what is no TCP address.
func addressOf(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	p := tcp.AddrPort()
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}
