package socket

import (
	"fmt"
	"time"

	"bluetrace/nodes"
)

// saveInterval is the shortest time between two writes of a contact log.
const saveInterval = time.Second

// saver writes the contact log to disk in a goroutine of its own, at most once a
// second: at once if the last write began a second ago, else a second after it. All
// fields but file are used with the lock held.
type saver struct {
	file     ContactFile // nil if the log is in memory only
	again    alarm
	received []nodes.StoredContact // not yet passed to file
	log      nodes.ContactLog      // the copy that is being written
	changed  bool                  // since the last write began
	writing  bool
	written  bool          // there was a write, the last of which began at began
	began    time.Duration // elapsed time
	failed   bool          // the last write failed
}

// keep adds a valid beacon to the entries for the disk.
func (p *Phone) keep(now nodes.Now, e *nodes.PhoneEffect) {
	if p.saver.file == nil || e.Err != nil {
		return
	}
	p.saver.received = append(p.saver.received, e.Contact())
	p.logChanged(now)
}

// logChanged starts a write of the log, now or when a second has passed since the
// last one.
func (p *Phone) logChanged(now nodes.Now) {
	s := &p.saver
	if s.file == nil {
		return
	}
	s.changed = true
	p.saveWhenDue(now)
}

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

// startSaving writes the log as the machine's last call left it. Some effects of
// that call may not have been carried out yet.
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

// snapshot copies the log and returns the receptions for the next write.
func (p *Phone) snapshot() []nodes.StoredContact {
	s := &p.saver
	received := s.received
	s.received, s.changed = nil, false
	s.log.CopyFrom(p.machine.Log())
	return received
}

// write writes the snapshot. It is called without the lock, once at a time.
func (s *saver) write(received []nodes.StoredContact) error {
	for i := range received {
		s.file.Add(received[i])
	}
	return s.file.Write(&s.log)
}

// saved prints the first failure of the disk, and the first success after one.
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
