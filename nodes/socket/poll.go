package socket

import (
	"runtime"

	"bluetrace/nodes/socket/epoll"
	"bluetrace/protocol"
)

// A poll watches the connections that are logged in and have no unsent answer. Such a
// connection has no goroutine. It joins a pass if it has input, or if a call of the
// machine has an effect on it. A pass is a group of connections that one goroutine
// serves. Until the pass ends for a connection, no other goroutine uses the connection.
// If sending to a connection would block, or if it must be closed, the connection leaves
// the poll and gets a goroutine again.

// pollBatch is the largest number of connections from which a pass reads before it sends
// an answer.
const pollBatch = 64

// poll is a goroutine that serves many connections in passes. It reads from every
// connection that has input, passes all input to the machine under one lock, and sends
// the answers.
type poll struct {
	server *Server
	poller epoll.Poller

	events [pollBatch]epoll.Event
	pass   []*conn
	in     [pollBatch][protocol.MaxMessage]byte // read buffers, by index in pass
	read   [pollBatch]struct {                  // results of the reads, by index in pass
		n   int
		err error
	}
}

// newPolls returns one poll for every two processors, because the disk and the kernel
// need processors, too. It returns none if the system has no poller. Then each connection
// keeps its goroutine.
func newPolls(s *Server) (polls []*poll) {
	for range max(1, runtime.GOMAXPROCS(0)/2) {
		poller, err := s.system.NewPoller()
		if err != nil {
			break
		}
		polls = append(polls, &poll{server: s, poller: poller})
	}
	return polls
}

// run serves connections until the poller is stopped.
func (p *poll) run() {
	for {
		n, stopped := p.poller.Wait(p.events[:])
		if stopped {
			break
		}
		p.server.printer.await()
		p.take(p.events[:n])
		for i, x := range p.pass {
			p.read[i].n, p.read[i].err = p.server.system.Read(x.descriptor, p.in[i][:])
		}
		p.bring()
	}
	closeQuietly(p.poller)
}

// take begins a pass with the connections that have input and from which the machine
// expects input now. It marks the input of the others as unread.
func (p *poll) take(events []epoll.Event) {
	s := p.server
	s.lock.Lock()
	defer s.lock.Unlock()
	for i := range events {
		e := &events[i]
		x := s.conns[e.Key()]
		if x == nil || x.poll != p {
			continue // the event is of a former connection
		}
		x.ending = x.ending || e.Ended()
		if x.taken || s.phase != serving || !x.isReading() {
			x.unread = true
			continue
		}
		x.taken = true
		p.pass = append(p.pass, x)
	}
}

// bring passes the input of a pass to the machine, sends the answers, and ends the pass.
func (p *poll) bring() {
	s := p.server
	s.lock.Lock()
	for i, x := range p.pass {
		if s.phase != serving || x.closed {
			continue
		}
		switch n, err := p.read[i].n, p.read[i].err; {
		case n > 0:
			x.unread = x.unread || x.ending || n == len(p.in[i])
			s.bring(x, p.in[i][:n])
		case err == nil || !epoll.WouldBlock(err):
			x.over = true
			s.hangUp(x)
		}
	}
	p.pass = s.settle(p.pass)
}

// claim moves the connections that a poll has from s.woken to pass, and returns the
// longer pass. The others stay in s.woken. The lock is held.
func (s *Server) claim(pass []*conn) []*conn {
	others := s.woken[:0]
	for _, x := range s.woken {
		if x.poll == nil {
			others = append(others, x)
			continue
		}
		if !x.taken {
			x.taken = true
			pass = append(pass, x)
		}
	}
	clear(s.woken[len(others):])
	s.woken = others
	return pass
}

// settle sends the answers of a pass and of the connections in s.woken, and ends the pass.
// The caller holds the lock, and settle releases it. It returns the empty pass, for reuse.
func (s *Server) settle(pass []*conn) []*conn {
	for {
		for _, x := range pass {
			if x.over && s.phase == serving && !x.closed {
				s.hangUp(x)
			}
		}
		pass = s.letGo(s.claim(pass))
		s.wake()
		s.lock.Unlock()
		if len(pass) == 0 {
			return pass
		}
		for _, x := range pass {
			x.sendNow()
		}
		s.lock.Lock()
	}
}

// letGo ends the pass for each connection that has nothing to send or leaves its poll. It
// returns the others. The lock is held.
func (s *Server) letGo(pass []*conn) (busy []*conn) {
	busy = pass[:0]
	for _, x := range pass {
		t := x.turn()
		if t == turnEnd || t == turnAbort || x.slow {
			x.leavePoll()
			continue
		}
		if len(x.sending.lengths) > 0 {
			busy = append(busy, x)
			continue
		}
		x.taken = false
		if t == turnRead && x.unread {
			x.unread = false
			_ = x.poll.poller.Rearm(x.descriptor, int32(x.number), epoll.ReadableOnce) // cannot fail: it is watched
		}
	}
	clear(pass[len(busy):])
	return busy
}

// sendNow sends each answer in a write of its own, until a write would block.
func (x *conn) sendNow() {
	at := 0
	for i, size := range x.sending.lengths {
		n, err := x.server.system.Write(x.descriptor, x.sending.bytes[at:at+size])
		at += n
		switch {
		case err != nil && !epoll.WouldBlock(err):
			x.over = true
			x.sending.empty()
			return
		case n < size:
			x.slow = true
			x.sending.bytes, x.sending.lengths = x.sending.bytes[at:], x.sending.lengths[i:]
			x.sending.lengths[0] = size - n
			return
		}
	}
	x.sending.empty()
}

// joinPoll passes the connection to a poll. It returns true if the connection's goroutine
// must end, and false if the connection keeps it.
func (x *conn) joinPoll() bool {
	s := x.server
	if len(s.polls) == 0 || x.slow || !x.known {
		return false
	}
	tcp := x.tcp
	descriptor, err := s.system.Duplicate(tcp)
	if err != nil {
		x.slow = true
		return false
	}
	if !x.watch(descriptor) {
		_ = s.system.Close(descriptor) // the connection is still open as tcp
		return false
	}
	closeQuietly(tcp)
	return true
}

// watch makes a poll watch the connection by a descriptor of its own. It returns false if
// the connection keeps its goroutine; then the caller closes the descriptor.
func (x *conn) watch(descriptor int) bool {
	s := x.server
	s.lock.Lock()
	defer s.lock.Unlock()
	if s.phase != serving || x.closed || len(x.unsent.lengths) > 0 {
		return false
	}
	p := s.polls[int(x.number)%len(s.polls)]
	if p.poller.Watch(descriptor, int32(x.number), epoll.ReadableOnce) != nil {
		x.slow = true
		return false
	}
	x.tcp, x.in = nil, nil
	x.poll, x.descriptor = p, descriptor
	return true
}

// leavePoll takes the connection from its poll and gives it a goroutine, which looks for
// work at once. The lock is held.
func (x *conn) leavePoll() {
	_ = x.poll.poller.Forget(x.descriptor) // cannot fail unless the poller is closed
	x.tcp = x.server.system.Stream(x.descriptor)
	x.poll, x.taken = nil, false
	if x.closed {
		x.interrupt()
	}
	x.server.tasks.Go(x.run)
}
