package socket

import (
	"fmt"
	"time"

	"bluetrace/nodes"
)

// saveInterval is the shortest time between two writes of a contact log.
const saveInterval = time.Second

// saver writes the contact log to disk in a goroutine of its own, at most once a second.
// After a change it writes at once, or one second after the beginning of the last write
// if that is later. All fields except file are used with the lock held.
type saver struct {
	file     ContactFile           // nil if the log is in memory only
	again    alarm                 // rings at the time of the next write
	received []nodes.StoredContact // received entries that were not passed to file yet
	log      nodes.ContactLog      // the copy that is being written
	changed  bool                  // the machine's log has changed since the last write began
	writing  bool                  // a write is in progress
	written  bool                  // there was a write; the last one began at began
	began    time.Duration         // elapsed time
	failed   bool                  // the last write failed
}

// logChanged starts or schedules a write of the log. It does nothing without a file.
func (p *Phone) logChanged(now nodes.Now) {
	s := &p.saver
	if s.file == nil {
		return
	}
	s.changed = true
	p.saveWhenDue(now)
}

// saveWhenDue starts a write of the log, or sets the alarm for it. It does nothing during
// a write: saved calls it again.
func (p *Phone) saveWhenDue(now nodes.Now) {
	s := &p.saver
	switch due := s.began + saveInterval; {
	case s.writing || p.ended:
	case s.written && now.Elapsed < due:
		s.again.set(now.Elapsed, due)
	default:
		p.startSaving(now)
	}
}

// save writes the log when the alarm rings.
func (p *Phone) save() {
	if p.saver.changed {
		p.saveWhenDue(p.now())
	}
}

// startSaving starts to write the log in the state after the machine's last call. Some
// effects of that call may not have been carried out yet.
func (p *Phone) startSaving(now nodes.Now) {
	s := &p.saver
	s.writing, s.written, s.began = true, true, now.Elapsed
	received := p.snapshot()
	p.running.Add(1)
	go func() {
		defer p.recoverPanic()
		defer p.running.Done()
		err := s.write(received)
		p.config.Lock.Lock()
		defer p.config.Lock.Unlock()
		p.saved(err)
	}()
}

// snapshot copies the machine's log to saver.log. It returns the received entries to pass
// to the file before the next write.
func (p *Phone) snapshot() []nodes.StoredContact {
	s := &p.saver
	received := s.received
	s.received, s.changed = nil, false
	s.log.CopyFrom(p.machine.Log())
	return received
}

// write passes the received entries to the file and writes the snapshot. It is called
// without the lock, by one goroutine at a time.
func (s *saver) write(received []nodes.StoredContact) error {
	for i := range received {
		s.file.Add(received[i])
	}
	return s.file.Write(&s.log)
}

// saved ends a write with its error. It prints the first error in a row, and the first
// success after an error. After an error the log is written again a second later.
func (p *Phone) saved(err error) {
	s := &p.saver
	s.writing = false
	if p.ended {
		return
	}
	now := p.now()
	switch {
	case err != nil && !s.failed:
		p.print(now, fmt.Sprintf("the contact log is not saved: %v; it is tried again every second", err))
	case err == nil && s.failed:
		p.print(now, "the contact log is saved again")
	}
	s.failed = err != nil
	if s.changed || s.failed {
		s.changed = true
		p.saveWhenDue(now)
	}
}
