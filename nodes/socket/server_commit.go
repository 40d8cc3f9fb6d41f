package socket

import (
	"errors"
	"runtime"
	"time"

	"bluetrace/nodes"
)

// request is one EffectStore.
type request struct {
	id      nodes.StoreID
	conn    nodes.Conn
	records []nodes.Record
}

// store takes an EffectStore; the lock is held. The machine's next call must
// wait for the effects of this one, so also an inline disk comes after them.
func (s *Server) store(e *nodes.ServerEffect) {
	r := request{id: e.Store, conn: e.Conn, records: e.Records}
	if s.config.Inline {
		s.inline = append(s.inline, r)
		return
	}
	s.queue = append(s.queue, r)
	if len(s.queue) < s.enough {
		return
	}
	select {
	case s.work <- struct{}{}:
	default: // it knows already
	}
}

// storeInline serves the oldest request; the effects of its Stored are in out.
func (s *Server) storeInline(now nodes.Now) {
	r := s.inline[0]
	s.inline = s.inline[:copy(s.inline, s.inline[1:])]
	issues, attempts := s.config.Disk.Store(r.records)
	s.answer(now, &r, issues, attempts)
}

// answer tells the machine how a request ended; the lock is held.
func (s *Server) answer(now nodes.Now, r *request, issues, attempts error) {
	err := errorOf(r.records, issues, attempts)
	if s.config.Observer != nil {
		s.config.Observer.Stored(now, r.id, r.records, err)
	}
	s.machine.Stored(now, r.id, err, &s.out)
	if int(r.conn) < len(s.conns) {
		s.touched(s.conns[r.conn]) // also when nothing is sent: it may read again
	}
}

// errorOf is what became of these records, of the two errors of a whole batch.
func errorOf(records []nodes.Record, issues, attempts error) error {
	if issues == nil && attempts == nil {
		return nil
	}
	var ofIssues, ofAttempts error
	for i := range records {
		switch records[i].Kind {
		case nodes.RecordIssue:
			ofIssues = issues
		case nodes.RecordAttempts:
			ofAttempts = attempts
		}
	}
	return errors.Join(ofIssues, ofAttempts)
}

// maxPatience bounds how long requests wait for company.
const maxPatience = 2 * time.Millisecond

// commit is the goroutine that is at the disk: it takes all requests that wait,
// brings them there at once, and answers each.
//
// The disk takes about as long for fifty as for one. So after a batch the
// committer waits for those whom it answered to ask again, until as many wait as
// were in the batch and behind it: from the last answer on at most twice as long
// as the disk took, real time. One phone alone never waits for another.
func (s *Server) commit() {
	defer s.tasks.Done()
	var batch []request
	var records []nodes.Record
	var woken, pass []*conn
	patience := s.real.Timer(maxPatience)
	defer patience.Stop()
	for {
		select {
		case <-s.work:
		case <-patience.C:
		case <-s.ended: // of Close: the queue is empty; of Kill: nothing may be stored
			return
		}
		runtime.Gosched() // whoever has been read from already joins
		if batch = s.takeQueue(batch); len(batch) == 0 {
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
		patience.Reset(min(2*took, maxPatience))
		clear(batch)
		clear(records)
	}
}

// takeQueue returns what waits, and leaves the emptied batch for what comes.
func (s *Server) takeQueue(batch []request) []request {
	s.lock.Lock()
	defer s.lock.Unlock()
	if s.phase == killed {
		return nil
	}
	batch, s.queue = s.queue, batch[:0]
	s.enough = 1
	s.storing = len(batch) > 0
	return batch
}

// answerAll answers a batch, in one pass, and wakes whom else it concerns once the
// lock is free. It returns the two emptied lists.
func (s *Server) answerAll(batch []request, issues, attempts error, woken, pass []*conn) (_, _ []*conn) {
	s.lock.Lock()
	s.storing = false
	s.stored.Broadcast()
	s.enough = len(batch) + len(s.queue)
	select {
	case <-s.work: // what waits is not enough yet
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
		x.signal()
		woken[i] = nil
	}
	return woken, pass
}
