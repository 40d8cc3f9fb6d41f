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

// acceptRetry is how long the server waits when the system has no file
// descriptor or memory left for a connection, unless one ends before.
const acceptRetry = 100 * time.Millisecond

// accept takes connections until the server ends.
func (s *Server) accept() error {
	complained := false
	for {
		s.printer.await()
		tcp, err := s.config.Listener.Accept()
		switch {
		case err == nil:
			complained = false
			s.begin(tcp)
		case s.hasEnded():
			return nil
		case passes(err):
			if !complained {
				complained = true
				s.Print(fmt.Sprintf("cannot accept a connection at the moment: %v", err))
			}
			s.awaitDescriptor()
		default:
			return fmt.Errorf("accepting a connection: %w", err)
		}
	}
}

func (s *Server) hasEnded() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

// passes is true of an error of Accept that is not about the listener.
func passes(err error) bool {
	for _, e := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED, syscall.EINTR} {
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
