package socket

import (
	"errors"
	"io"
	"os"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
)

// conn is one connection of the server. Whoever serves it reads, brings what was
// read to the machine, sends the answers, and only then reads again, so that a
// peer that takes no answers is not read from. That is a goroutine of its own or,
// where there is a poll, a pass (server_pass.go).
type conn struct {
	server *Server
	wake   chan struct{} // holds one: look at what there is to do
	number nodes.Conn    // until closed

	// With the server's lock held:
	tcp      stream  // nil: a poll has it
	poll     *poll   // nil: it has a goroutine
	taken    bool    // of one that is watched: a pass has it
	unread   bool    // of one that is watched: something may have come since it was taken
	ending   bool    // of one that is watched: the peer has ended, behind what is unread
	place    int     // in alive
	unsent   answers // not taken by the goroutine yet
	loggedIn bool
	closed   bool      // EffectClose came
	ends     time.Time // real time at which the farewell ends
	draining bool

	// Of the goroutine or the pass that has it:
	descriptor int // while it is watched
	sending    answers
	over       bool   // the peer has ended, or the connection is broken: no farewell
	known      bool   // loggedIn, as it last saw it
	slow       bool   // it keeps its goroutine: it cannot be watched, or did not take an answer at once
	in         []byte // nil: it has no goroutine
}

// stream is what a goroutine needs of a connection.
type stream interface {
	io.ReadWriteCloser
	SetDeadline(time.Time) error
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
}

// answers are sends that wait, end to end.
type answers struct {
	bytes   []byte
	lengths []int
}

func (a *answers) add(b []byte) {
	a.bytes = append(a.bytes, b...)
	a.lengths = append(a.lengths, len(b))
}

// sent forgets the first n answers, and what was sent of the next: all bytes up
// to at.
func (a *answers) sent(n, at int) {
	before := 0
	for _, size := range a.lengths[:n+1] {
		before += size
	}
	a.bytes = a.bytes[:copy(a.bytes, a.bytes[at:])]
	a.lengths = a.lengths[:copy(a.lengths, a.lengths[n:])]
	a.lengths[0] = before - at
}

func (a *answers) append(b *answers) {
	a.bytes = append(a.bytes, b.bytes...)
	a.lengths = append(a.lengths, b.lengths...)
	b.empty()
}

func (a *answers) empty() { a.bytes, a.lengths = a.bytes[:0], a.lengths[:0] }

// turn is what the goroutine of a conn does next, once all is sent.
type turn uint8

const (
	toRead turn = iota
	toWait      // for the disk, or for the end
	toEnd
	toVanish // the server is killed
)

// run serves the connection until it ends, or a poll has it.
func (x *conn) run() {
	defer x.server.tasks.Done()
	x.in = make([]byte, protocol.MaxMessage)
	t := x.look()
	for {
		if t != toVanish && x.send() != nil {
			t = x.broke()
		}
		switch t {
		case toRead:
			if x.join() {
				return
			}
			t = x.read()
		case toWait:
			<-x.wake
			t = x.look()
		case toEnd:
			x.end()
			return
		case toVanish:
			x.vanish()
			return
		}
	}
}

func (x *conn) look() turn {
	x.server.lock.Lock()
	defer x.server.lock.Unlock()
	return x.turn()
}

// turn takes what is to be sent, and says what comes after it; the lock is held.
func (x *conn) turn() turn {
	x.known = x.loggedIn
	if len(x.sending.lengths) == 0 {
		x.sending, x.unsent = x.unsent, x.sending
	} else { // it was not taken at once
		x.sending.append(&x.unsent)
	}
	switch s := x.server; {
	case s.phase == killed:
		return toVanish
	case x.closed:
		return toEnd
	case s.phase == closing || !s.machine.Reading(x.number):
		return toWait
	}
	return toRead
}

// send sends each answer by itself.
func (x *conn) send() error {
	at := 0
	for _, n := range x.sending.lengths {
		if _, err := x.tcp.Write(x.sending.bytes[at : at+n]); err != nil {
			x.sending.empty()
			return err
		}
		at += n
	}
	x.sending.empty()
	return nil
}

// read waits for bytes or their end, and brings them to the machine.
func (x *conn) read() turn {
	s := x.server
	s.printer.await()
	n, err := x.tcp.Read(x.in)
	if n > 0 && !x.known {
		s.refreshCredentials()
	}
	s.lock.Lock()
	defer s.lock.Unlock()
	if s.phase != serving || x.closed {
		return x.turn()
	}
	switch {
	case n > 0: // an error beside it comes again
		s.running = x
		s.bring(x, x.in[:n])
		s.running = nil
		s.wake()
	case err != nil && !errors.Is(err, os.ErrDeadlineExceeded):
		x.over = true
		s.hangUp(s.now(), x)
		s.wake()
	}
	return x.turn()
}

// bring brings what was read to the machine; the lock is held.
func (s *Server) bring(x *conn, p []byte) {
	t := s.now()
	if s.config.Observer != nil {
		s.config.Observer.Read(t, x.number, p)
	}
	s.machine.Read(t, x.number, p, &s.out)
	s.carryOut(t)
}

// broke tells the machine that answers can no longer be sent.
func (x *conn) broke() turn {
	s := x.server
	s.lock.Lock()
	defer s.lock.Unlock()
	x.over = true
	if s.phase == serving && !x.closed {
		s.hangUp(s.now(), x)
		s.wake()
	}
	t := x.turn()
	x.sending.empty()
	return t
}

// hangUp tells the machine of the end of a session; the lock is held.
func (s *Server) hangUp(now nodes.Now, x *conn) {
	if s.config.Observer != nil {
		s.config.Observer.Ended(now, x.number)
	}
	s.machine.EOF(now, x.number, &s.out)
	s.carryOut(now)
}

// goOn lets the goroutine look again, at once or before it waits next. One that is
// watched gets a goroutine; a pass that has it looks by itself. The lock is held.
func (x *conn) goOn() {
	if x.poll == nil {
		x.signal()
	} else if !x.taken {
		x.leave()
	}
}

func (x *conn) signal() {
	select {
	case x.wake <- struct{}{}:
	default:
	}
}

// closeQuietly closes a connection of which nothing is expected any more.
func closeQuietly(tcp io.Closer) { _ = tcp.Close() }
