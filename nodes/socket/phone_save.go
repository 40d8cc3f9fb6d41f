package socket

import (
	"fmt"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
)

// saveEvery is the shortest time between two writes of a contact log.
const saveEvery = time.Second

// saver brings a contact log to disk behind the phone's back: at once when the
// last write is a second old, else a second after it. All but file is used with
// the lock held.
type saver struct {
	file     ContactFile // nil: memory only
	again    alarm
	received []nodes.StoredContact // not yet with file
	log      nodes.ContactLog      // what is being written
	changed  bool                  // since the last write began
	writing  bool
	written  bool // at least once, the last time begun at began
	began    time.Duration
	failed   bool // the last write
}

// keep remembers a valid beacon for the disk.
func (p *Phone) keep(now nodes.Now, e *nodes.PhoneEffect) {
	if p.saver.file == nil || e.Err != nil {
		return
	}
	raw := e.Raw
	raw[protocol.BeaconSize-1] = protocol.Version // the fourth part may never have come
	b, err := protocol.DecodeBeacon(raw[:])
	if err != nil {
		panic(fmt.Sprintf("socket: a valid beacon %q: %v", e.Raw, err))
	}
	p.saver.received = append(p.saver.received,
		nodes.StoredContact{TempID: b.TempID, Start: b.Start, Expiry: b.Expiry, Received: e.At.Wall})
	p.changed(now)
}

// changed brings the log to disk soon.
func (p *Phone) changed(now nodes.Now) {
	s := &p.saver
	if s.file == nil {
		return
	}
	s.changed = true
	p.saveWhenDue(now)
}

func (p *Phone) saveWhenDue(now nodes.Now) {
	s := &p.saver
	switch due := s.began + saveEvery; {
	case s.writing || p.ended:
	case s.written && now.Elapsed < due:
		s.again.set(now.Elapsed, due)
	default:
		p.startSaving(now)
	}
}

// save is what the alarm rings for.
func (p *Phone) save() {
	if p.saver.changed {
		p.saveWhenDue(p.now())
	}
}

// startSaving takes the log as the machine's last call left it; the machine may
// be in the middle of its effects.
func (p *Phone) startSaving(now nodes.Now) {
	s := &p.saver
	s.writing, s.written, s.began = true, true, now.Elapsed
	received := p.snapshot()
	p.running.Add(1)
	go func() {
		defer p.crashing()
		defer p.running.Done()
		err := s.write(received)
		p.config.Lock.Lock()
		defer p.config.Lock.Unlock()
		p.saved(err)
	}()
}

// snapshot is what the next write takes, and begins to count changes anew.
func (p *Phone) snapshot() []nodes.StoredContact {
	s := &p.saver
	received := s.received
	s.received, s.changed = nil, false
	s.log.CopyFrom(p.machine.Log())
	return received
}

// write is called without the lock; while it runs nobody else uses file and log.
func (s *saver) write(received []nodes.StoredContact) error {
	for i := range received {
		s.file.Add(received[i])
	}
	return s.file.Write(&s.log)
}

// saved tells once when the disk fails, and once when it takes the log again.
func (p *Phone) saved(err error) {
	s := &p.saver
	s.writing = false
	if p.ended {
		return
	}
	now := p.now()
	switch {
	case err != nil && !s.failed:
		p.say(now, fmt.Sprintf("the contact log is not saved: %v; it is tried again every second", err))
	case err == nil && s.failed:
		p.say(now, "the contact log is saved again")
	}
	s.failed = err != nil
	if s.changed || s.failed {
		s.changed = true
		p.saveWhenDue(now)
	}
}
