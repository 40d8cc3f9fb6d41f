package files

import (
	"fmt"
	"time"

	"bluetrace/nodes"
)

// ContactFile keeps a contact log on disk. One goroutine at a time calls it. *ContactLog
// implements it.
type ContactFile interface {
	// Stored returns the entries that an earlier program left, in order of arrival.
	Stored() []nodes.StoredContact
	// Add adds a received entry to those that the next Write stores.
	Add(k nodes.StoredContact)
	// Write makes the file hold log. It also stores the entries that an earlier call
	// failed to store.
	Write(log *nodes.ContactLog) error
}

// SaveInterval is the shortest time between two writes of a contact log.
const SaveInterval = time.Second

// Saver decides when a contact log is written to its file: at once after a change, or
// SaveInterval after the beginning of the last write if that is later. Begin, Write and End
// make one write. Times are elapsed times.
type Saver struct {
	File     ContactFile           // does not change
	received []nodes.StoredContact // since the last write began
	taken    []nodes.StoredContact // of the write that has begun; not passed to File yet
	log      nodes.ContactLog      // the copy that is being written
	changed  bool                  // the log has changed since the last write began
	writing  bool                  // a write has begun and not ended
	written  bool                  // there was a write; the last one began at began
	began    time.Duration
	failed   bool // the last write failed
}

// Add adds an entry that the phone received, which changes the log.
func (s *Saver) Add(k nodes.StoredContact) {
	s.received = append(s.received, k)
	s.changed = true
}

// SetChanged notes that the log has changed.
func (s *Saver) SetChanged() { s.changed = true }

// Due returns the time of the next write, which is at least now. It returns false if the
// log has not changed, and during a write.
func (s *Saver) Due(now time.Duration) (time.Duration, bool) {
	if s.written {
		return max(now, s.began+SaveInterval), s.changed && !s.writing
	}
	return now, s.changed && !s.writing
}

// Begin begins a write of log, which it copies. It replaces a write that has begun.
func (s *Saver) Begin(now time.Duration, log *nodes.ContactLog) {
	s.changed, s.writing, s.written, s.began = false, true, true, now
	s.taken, s.received = append(s.taken, s.received...), s.received[:0]
	s.log.CopyFrom(log)
}

// Write executes the write that has begun. Unlike the other methods, it may be called while
// another goroutine calls Add, SetChanged or Due.
func (s *Saver) Write() error {
	for i := range s.taken {
		s.File.Add(s.taken[i])
	}
	s.taken = s.taken[:0]
	return s.File.Write(&s.log)
}

// End ends the write with its error. After an error the log counts as changed. End returns a
// message for the user about the first error in a row, and about the first success after an
// error, else "".
func (s *Saver) End(err error) (message string) {
	switch {
	case err != nil && !s.failed:
		message = fmt.Sprintf("the contact log is not saved: %v; it is tried again every second", err)
	case err == nil && s.failed:
		message = "the contact log is saved again"
	}
	s.writing, s.failed, s.changed = false, err != nil, s.changed || err != nil
	return message
}

// Writing reports whether a write has begun and not ended.
func (s *Saver) Writing() bool { return s.writing }

// IsSaved reports whether the file holds the log in its present state.
func (s *Saver) IsSaved() bool { return s.written && !s.changed && !s.writing }
