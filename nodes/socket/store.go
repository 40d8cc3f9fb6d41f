package socket

import (
	"fmt"
	"runtime"
	"time"

	"bluetrace/nodes"
)

// carryOut carries out the effects of the machine's last call, which was at the time now,
// and arms the alarm. It adds the connections with effects to woken, except the running
// one. Printed lines count for causer, which carryOut clears. The lock is held.
func (s *Server) carryOut(now nodes.Now) {
	for {
		for i := range s.out.Effects {
			e := &s.out.Effects[i]
			s.config.Observer.Effect(now, e)
			s.carryOutOne(e)
		}
		s.out.Effects = s.out.Effects[:0]
		if len(s.inline) == 0 {
			break
		}
		r := s.inline[0]
		s.inline = s.inline[:copy(s.inline, s.inline[1:])]
		issues, attempts := s.config.Disk.Store(r.records)
		s.answer(now, &r, issues, attempts)
	}
	s.causer = nil
	if at, ok := s.machine.NextWake(); ok {
		s.alarm.set(now.Elapsed, at)
	}
}

func (s *Server) carryOutOne(e *nodes.ServerEffect) {
	switch e.Kind {
	case nodes.EffectSend:
		x := s.conns[e.Conn]
		x.unsent.add(e.Bytes)
		s.touch(x)
	case nodes.EffectClose:
		x := s.conns[e.Conn]
		s.conns[e.Conn] = nil
		s.free = append(s.free, e.Conn)
		x.close()
		s.touch(x)
	case nodes.EffectPrint:
		s.printer.add(e.Text, s.causer)
	case nodes.EffectStore:
		s.store(e)
	case nodes.EffectEvent:
		if e.Event.Kind == nodes.EventLoggedIn {
			x := s.conns[e.Conn]
			x.loggedIn = true
			x.share = s.printer.shareOf(e.Event.User)
		}
	default:
		panic(fmt.Sprintf("socket: effect of kind %d", e.Kind))
	}
}

// touch adds a connection to woken, unless its goroutine is running or it is in a pass:
// both look for effects by themselves. x may be nil.
func (s *Server) touch(x *conn) {
	if x == nil || x == s.running || x.taken {
		return
	}
	if n := len(s.woken); n > 0 && s.woken[n-1] == x {
		return
	}
	s.woken = append(s.woken, x)
}

// wake resumes the connections in woken. The lock is held.
func (s *Server) wake() {
	for i, x := range s.woken {
		x.resume()
		s.woken[i] = nil
	}
	s.woken = s.woken[:0]
}

// request is an EffectStore that is not carried out yet.
type request struct {
	id      nodes.StoreID
	conn    nodes.Conn
	records []nodes.Record
}

// errorOf returns the error of the file to which the records belong: that of issues or attempts.
func (r *request) errorOf(issues, attempts error) error {
	if r.records[0].Kind == nodes.RecordIssue {
		return issues
	}
	return attempts
}

// store queues an EffectStore. Also for an inline disk it does not store at once: the
// result is a call of the machine, which must come after the other effects of this call.
// The lock is held.
func (s *Server) store(e *nodes.ServerEffect) {
	r := request{id: e.Store, conn: e.Conn, records: e.Records}
	if s.config.Inline {
		s.inline = append(s.inline, r)
		return
	}
	s.queue = append(s.queue, r)
	if len(s.queue) >= s.enough {
		signal(s.work)
	}
}

// answer passes the result of a request to the machine. issues and attempts are the
// errors of the disk for the two kinds of records. The lock is held.
func (s *Server) answer(now nodes.Now, r *request, issues, attempts error) {
	err := r.errorOf(issues, attempts)
	if int(r.conn) < len(s.conns) && s.conns[r.conn] != nil {
		s.causer = s.conns[r.conn].share
	}
	s.config.Observer.Stored(now, r.id, r.records, err)
	s.machine.Stored(now, r.id, err, &s.out)
	if int(r.conn) < len(s.conns) {
		s.touch(s.conns[r.conn]) // even without an answer: the server may read from it again
	}
}

// maxBatchDelay is the longest time for which a request waits for others to join its
// batch.
const maxBatchDelay = 2 * time.Millisecond

// commit is the committer's goroutine. Again and again, it stores all requests that wait
// in one call of the disk, and answers them.
//
// The disk takes about as long for fifty requests as for one. So after a batch the
// committer waits for further requests of the phones that it has answered. It waits until
// there are as many requests as were in the batch and in the queue behind it, but at most
// twice as long as the disk took, in real time. A single phone never waits for another.
func (s *Server) commit() {
	var batch []request
	var records []nodes.Record
	var woken, pass []*conn
	delay := s.real.Timer(maxBatchDelay)
	defer delay.Stop()
	for {
		select {
		case <-s.work:
		case <-delay.C:
		case <-s.ended: // after Close the queue is empty; after Kill nothing may be stored
			return
		}
		runtime.Gosched() // requests whose input has been read already join the batch
		s.lock.Lock()
		batch, s.queue = s.queue, batch[:0] // empty if the server was killed
		s.enough = 1
		s.storing = len(batch) > 0
		s.lock.Unlock()
		if len(batch) == 0 {
			continue
		}
		records = records[:0]
		for i := range batch {
			records = append(records, batch[i].records...)
		}
		began := s.real.Now()
		issues, attempts := s.config.Disk.Store(records)
		took := s.real.Since(began)
		woken, pass = s.answerAll(batch, issues, attempts, woken, pass)
		delay.Reset(min(2*took, maxBatchDelay))
		clear(batch)
		clear(records)
	}
}

// answerAll answers the requests of a batch. Connections that a poll has get their answers
// in one pass. The goroutines of the others are woken after the lock is released. woken
// and pass are empty lists, which answerAll returns empty, for reuse.
func (s *Server) answerAll(batch []request, issues, attempts error, woken, pass []*conn) (_, _ []*conn) {
	s.lock.Lock()
	s.storing = false
	s.stored.Broadcast()
	s.enough = len(batch) + len(s.queue)
	select {
	case <-s.work: // fewer requests wait than are enough
	default:
	}
	if s.phase == killed {
		s.lock.Unlock()
		return woken, pass
	}
	t := s.now()
	for i := range batch {
		s.answer(t, &batch[i], issues, attempts)
		s.carryOut(t)
	}
	pass = s.claim(pass)
	woken, s.woken = s.woken, woken[:0]
	pass = s.settle(pass)
	for i, x := range woken {
		signal(x.wake)
		woken[i] = nil
	}
	return woken, pass
}
