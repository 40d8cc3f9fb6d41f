package files

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"bluetrace/nodes"
)

// recordedFile is a ContactFile that records its calls. Its Write returns err.
type recordedFile struct {
	calls []string
	err   error
}

func (f *recordedFile) Stored() []nodes.StoredContact { return nil }

func (f *recordedFile) Add(k nodes.StoredContact) {
	f.calls = append(f.calls, "add "+k.TempID.String()[19:])
}

func (f *recordedFile) Write(log *nodes.ContactLog) error {
	call := "write"
	for i := range log.Len() {
		call += " " + log.At(i).TempID.String()[19:]
	}
	f.calls = append(f.calls, call)
	return f.err
}

// dueAt returns the result of Due, or -1 if no write is due.
func dueAt(s *Saver, now time.Duration) time.Duration {
	if at, ok := s.Due(now); ok {
		return at
	}
	return -1
}

// A write is due at once after a change, and SaveInterval after the beginning of the last write. None is due during a
// write.
func TestSaverIsDue(t *testing.T) {
	const never = time.Duration(-1)
	s := Saver{File: &recordedFile{}}
	check := func(what string, now, due time.Duration, writing, saved bool) {
		t.Helper()
		equal(t, what+": due", dueAt(&s, now), due)
		equal(t, what+": writing", s.Writing(), writing)
		equal(t, what+": saved", s.IsSaved(), saved)
	}
	check("no change", 5*time.Second, never, false, false)
	s.SetChanged()
	check("the first change", 5*time.Second, 5*time.Second, false, false)
	s.Begin(5*time.Second, logOf())
	check("during a write", 7*time.Second, never, true, false)
	s.Add(entry(1, 1))
	check("an entry during a write", 7*time.Second, never, true, false)
	s.End(nil)
	check("soon after the beginning of a write", 5500*time.Millisecond, 6*time.Second, false, false)
	check("at the interval", 6*time.Second, 6*time.Second, false, false)
	check("long after it", 7*time.Second, 7*time.Second, false, false)
	s.Begin(7*time.Second, logOf())
	check("during the second write", 9*time.Second, never, true, false)
	s.End(nil)
	check("nothing has changed", 9*time.Second, never, false, true)
	s.Add(entry(2, 2))
	check("an entry", 7500*time.Millisecond, 8*time.Second, false, false)
	s.Begin(8*time.Second, logOf())
	s.End(errFault)
	check("after an error", 8500*time.Millisecond, 9*time.Second, false, false)
}

// Each entry is passed to the file once, before the write that began after it. A write has the log as it was at its
// beginning.
func TestSaverPassesEntriesOnce(t *testing.T) {
	f := &recordedFile{}
	s := Saver{File: f}
	calls := func(what string, want ...string) {
		t.Helper()
		equal(t, what, f.calls, want)
		f.calls = nil
	}
	log := logOf(entry(1, 1))
	s.Add(entry(1, 1))
	s.Begin(0, log)
	s.Add(entry(2, 2))
	log.CopyFrom(logOf(entry(2, 2)))
	must(t, s.Write())
	s.End(nil)
	calls("the first write", "add 1", "write 1")
	s.Begin(time.Second, log)
	must(t, s.Write())
	s.End(nil)
	calls("the second write", "add 2", "write 2")
	s.Add(entry(3, 3))
	s.Begin(2*time.Second, log)
	s.Add(entry(4, 4))
	s.Begin(3*time.Second, logOf()) // replaces the one before
	f.err = errFault
	equal(t, "error", errors.Is(s.Write(), errFault), true)
	s.End(errFault)
	calls("a write that fails", "add 3", "add 4", "write")
	s.Begin(4*time.Second, logOf())
	f.err = nil
	must(t, s.Write())
	s.End(nil)
	calls("the file has the entries", "write")
}

// The first error in a row has a message, and so has the success after it.
func TestSaverReportsErrorsOnce(t *testing.T) {
	s := Saver{File: &recordedFile{}}
	const failed = "the contact log is not saved: the test's fault; it is tried again every second"
	for i, test := range []struct {
		err  error
		want string
	}{
		{nil, ""}, {errFault, failed}, {errFault, ""}, {nil, "the contact log is saved again"}, {nil, ""},
		{errFault, failed},
	} {
		s.Begin(time.Duration(i)*time.Second, logOf())
		equal(t, fmt.Sprint("message ", i), s.End(test.err), test.want)
		equal(t, fmt.Sprint("saved ", i), s.IsSaved(), test.err == nil)
	}
}
