package socket

import (
	"errors"
	"os"
	"time"

	"bluetrace/nodes"
	"bluetrace/nodes/socket/epoll"
	"bluetrace/protocol"
)

// conn is one connection of the server. A goroutine of its own or a pass of a poll
// (poll.go) serves it. Both read, pass the input to the machine, and send the answers
// before they read again. So the server does not read from a peer that does not read
// its answers.
type conn struct {
	server *Server
	wake   chan struct{} // holds at most one token, which makes the goroutine look for work
	number nodes.Conn    // valid until closed is set

	// With the server's lock held:
	tcp         epoll.Stream // nil while a poll has the connection
	poll        *poll        // nil while the connection has a goroutine
	taken       bool         // while a poll has it: it is in a pass
	unread      bool         // while a poll has it: input may have come since the last read
	ending      bool         // while a poll has it: the peer has ended, maybe behind unread input
	place       int          // index in server.alive
	unsent      answers      // not taken for sending yet
	loggedIn    bool
	share       *outputShare // that of its account; nil until it is logged in
	closed      bool         // EffectClose was carried out
	lingerUntil time.Time    // end of the lingering close, in real time; set once closed
	draining    bool         // the goroutine reads and drops input until the peer ends

	// Used only by the goroutine or the pass that has the connection:
	descriptor int     // valid while a poll has it
	sending    answers // taken for sending, not sent yet
	over       bool    // the peer has ended or the connection is broken: the close does not linger
	known      bool    // value of loggedIn at the last turn
	slow       bool    // it keeps its goroutine: a send would have blocked, or a poll cannot watch it
	in         []byte  // read buffer; nil without a goroutine
}

// answers is a queue of messages to a peer.
type answers struct {
	bytes   []byte // the messages, one behind the other
	lengths []int  // length of each message
}

func (a *answers) add(b []byte) {
	a.bytes = append(a.bytes, b...)
	a.lengths = append(a.lengths, len(b))
}

func (a *answers) append(b *answers) {
	a.bytes = append(a.bytes, b.bytes...)
	a.lengths = append(a.lengths, b.lengths...)
	b.empty()
}

func (a *answers) empty() { a.bytes, a.lengths = a.bytes[:0], a.lengths[:0] }

// turn is the next action for a connection, once its answers are sent.
type turn uint8

const (
	turnRead  turn = iota
	turnWait       // wait for the disk or for the end of the server
	turnEnd        // after EffectClose
	turnAbort      // the server was killed
)

// run serves the connection until it ends, or a poll takes it.
func (x *conn) run() {
	x.in = make([]byte, protocol.MaxMessage)
	t := x.lockedTurn()
	for {
		if t != turnAbort && x.send() != nil {
			t = x.sendFailed()
		}
		switch t {
		case turnRead:
			if x.joinPoll() {
				return
			}
			t = x.read()
		case turnWait:
			<-x.wake
			t = x.lockedTurn()
		case turnEnd:
			x.end()
			return
		case turnAbort:
			x.remove()
			return
		}
	}
}

func (x *conn) lockedTurn() turn {
	x.server.lock.Lock()
	defer x.server.lock.Unlock()
	return x.turn()
}

// turn moves the unsent answers to sending. It returns the action that follows after
// they are sent. The lock is held.
func (x *conn) turn() turn {
	x.known = x.loggedIn
	if len(x.sending.lengths) == 0 {
		x.sending, x.unsent = x.unsent, x.sending
	} else { // the last answers were not sent completely
		x.sending.append(&x.unsent)
	}
	switch s := x.server; {
	case s.phase == killed:
		return turnAbort
	case x.closed:
		return turnEnd
	case s.phase == closing || !x.isReading():
		return turnWait
	}
	return turnRead
}

// isReading reports whether the server may read from the connection now. The lock is held.
func (x *conn) isReading() bool {
	return x.server.machine.Reading(x.number) && (x.share == nil || !x.share.held.Load())
}

// send sends each answer in a write of its own.
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

// sendFailed reports to the machine that answers can no longer be sent, as the end of the
// session. It returns the next action.
func (x *conn) sendFailed() turn {
	s := x.server
	s.lock.Lock()
	defer s.lock.Unlock()
	x.over = true
	if s.phase == serving && !x.closed {
		s.hangUp(x)
		s.wake()
	}
	t := x.turn()
	x.sending.empty()
	return t
}

// read waits for bytes or the end of the connection, passes them to the machine, and
// returns the next action.
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
	case n > 0: // if err is not nil, the next read returns it again
		s.running = x
		s.bring(x, x.in[:n])
		s.running = nil
		s.wake()
	case err != nil && !errors.Is(err, os.ErrDeadlineExceeded):
		x.over = true
		s.hangUp(x)
		s.wake()
	}
	return x.turn()
}

// bring passes the bytes of one read to the machine. The lock is held.
func (s *Server) bring(x *conn, p []byte) {
	t := s.now()
	s.causer = x.share
	s.config.Observer.Read(t, x.number, p)
	s.machine.Read(t, x.number, p, &s.out)
	s.carryOut(t)
}

// hangUp reports the end of a session to the machine. The lock is held.
func (s *Server) hangUp(x *conn) {
	now := s.now()
	s.causer = x.share
	s.config.Observer.Ended(now, x.number)
	s.machine.EOF(now, x.number, &s.out)
	s.carryOut(now)
}

// resume makes the connection's goroutine look for work, at once or before its next
// wait. If a poll has the connection, resume gives it a goroutine for that, unless it is
// in a pass: the pass looks for work itself. The lock is held.
func (x *conn) resume() {
	if x.poll == nil {
		signal(x.wake)
	} else if !x.taken {
		x.leavePoll()
	}
}

// lingerLimits bound the lingering close of a connection. After its last answer the
// server closes its sending direction and continues to read until the peer has
// closed too. Closing a socket with unread bytes would reset the connection, and a
// reset may destroy answers that the peer has not read yet.
type lingerLimits struct {
	time  time.Duration // longest linger, in real time
	bytes int           // number of bytes that are read and dropped
	many  int           // number of lingering connections above which a new one gets only short
	short time.Duration // longest linger above many, in real time
}

func defaultLinger() lingerLimits {
	return lingerLimits{time: 2 * time.Second, bytes: 64 << 10, many: 1024, short: 50 * time.Millisecond}
}

// close carries out EffectClose: the goroutine sends the unsent answers, and ends.
// The lock is held.
func (x *conn) close() {
	s := x.server
	x.closed = true
	s.lingering++
	limit := s.linger.time
	if s.hasty || s.lingering > s.linger.many {
		limit = s.linger.short
	}
	x.lingerUntil = s.real.Now().Add(limit)
	x.interrupt()
}

// interrupt ends a read that blocks, and sets the deadline of a lingering close. The
// deadline is earlier while the server is closing. The lock is held.
func (x *conn) interrupt() {
	s := x.server
	if x.closed && s.phase == closing {
		if soon := s.real.Now().Add(closeGrace); soon.Before(x.lingerUntil) {
			x.lingerUntil = soon
		}
	}
	if x.poll != nil {
		return // a poll never blocks on a connection
	}
	if x.draining {
		_ = x.tcp.SetDeadline(x.lingerUntil) // fails only if it is closed already
		return
	}
	_ = x.tcp.SetReadDeadline(time.Unix(1, 0))
	if x.closed {
		_ = x.tcp.SetWriteDeadline(x.lingerUntil)
	}
}

// end closes a connection after all its answers were sent.
func (x *conn) end() {
	w, ok := x.tcp.(interface{ CloseWrite() error })
	if ok && !x.over && w.CloseWrite() == nil {
		x.drain()
	}
	x.remove()
}

// drain reads until the peer has ended, or a limit is reached.
func (x *conn) drain() {
	x.server.lock.Lock()
	x.draining = true
	err := x.tcp.SetReadDeadline(x.lingerUntil)
	x.server.lock.Unlock()
	for left := x.server.linger.bytes; left > 0 && err == nil; {
		var n int
		n, err = x.tcp.Read(x.in)
		left -= n
	}
}

// remove closes the socket and removes the connection from the server.
func (x *conn) remove() {
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
	signal(s.freed)
}
