package socket

import (
	"time"
)

// After its last answer the server ends its sending and reads on until the peer
// has ended too: closing a socket with unread bytes resets the connection, and a
// reset may destroy answers that the peer has not read yet. A peer is given
// little for it.
type farewell struct {
	time  time.Duration // real time
	bytes int
	many  int           // that are closed and not gone yet; above it
	short time.Duration // is all that one gets
}

func usualFarewell() farewell {
	return farewell{time: 2 * time.Second, bytes: 64 << 10, many: 1024, short: 50 * time.Millisecond}
}

// close is EffectClose: the goroutine is to send what is unsent, and end. The
// lock is held.
func (x *conn) close() {
	s := x.server
	x.closed = true
	s.lingering++
	limit := s.farewell.time
	if s.hasty || s.lingering > s.farewell.many {
		limit = s.farewell.short
	}
	x.ends = s.real.Now().Add(limit)
	x.hurry()
}

// hurry interrupts a read that waits; it bounds a farewell, more so when the
// server is closing. The lock is held.
func (x *conn) hurry() {
	s := x.server
	if x.closed && s.phase == closing {
		if soon := s.real.Now().Add(closeGrace); soon.Before(x.ends) {
			x.ends = soon
		}
	}
	if x.poll != nil {
		return // it waits for nothing
	}
	if x.draining {
		_ = x.tcp.SetDeadline(x.ends) // fails only on one that is closed already
		return
	}
	_ = x.tcp.SetReadDeadline(time.Unix(1, 0))
	if x.closed {
		_ = x.tcp.SetWriteDeadline(x.ends)
	}
}

// end closes a connection whose answers are all sent.
func (x *conn) end() {
	if w, ok := x.tcp.(interface{ CloseWrite() error }); ok && !x.over && w.CloseWrite() == nil && x.mayDrain() {
		x.drain()
	}
	x.vanish()
}

func (x *conn) mayDrain() bool {
	x.server.lock.Lock()
	defer x.server.lock.Unlock()
	x.draining = true
	return x.tcp.SetReadDeadline(x.ends) == nil
}

// drain reads until the end, or as much as a farewell may have.
func (x *conn) drain() {
	for left := x.server.farewell.bytes; left > 0; {
		n, err := x.tcp.Read(x.in)
		if err != nil {
			return
		}
		left -= n
	}
}

// vanish closes the socket and leaves the server.
func (x *conn) vanish() {
	closeQuietly(x.tcp)
	s := x.server
	s.lock.Lock()
	defer s.lock.Unlock()
	if x.closed {
		s.lingering--
	}
	last := s.alive[len(s.alive)-1]
	s.alive[x.place], last.place = last, x.place
	s.alive[len(s.alive)-1] = nil
	s.alive = s.alive[:len(s.alive)-1]
	select {
	case s.freed <- struct{}{}:
	default:
	}
}
