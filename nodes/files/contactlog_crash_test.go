package files

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"bluetrace/nodes"
)

// logChange is the change of a phone's log between two Writes.
type logChange struct {
	received []nodes.StoredContact // before the Write
	log      []nodes.StoredContact // what the phone's log is at the Write
}

// saved is the results of the Writes before the crash.
type saved struct {
	truth []nodes.StoredContact   // every entry that there ever was, in order of arrival
	logs  [][]nodes.StoredContact // what the log was at the last Write that succeeded, and at those after it
}

func writing(first []nodes.StoredContact, chapters []logChange) func(m *Memory) *saved {
	return func(m *Memory) *saved {
		p := &saved{truth: slices.Clone(first), logs: [][]nodes.StoredContact{first}}
		l, err := OpenContactLog(m, logName)
		if err != nil {
			return p
		}
		for i, c := range chapters {
			m.SetTime(startWall + int64(1000+i)*second)
			for _, k := range c.received {
				l.Add(k)
			}
			p.truth = append(p.truth, c.received...)
			p.logs = append(p.logs, c.log)
			if l.Write(logOf(c.log...)) == nil {
				p.logs = [][]nodes.StoredContact{c.log}
			}
		}
		l.Close()
		return p
	}
}

// logKept checks the log that a phone finds when it starts on a disk.
func logKept(left *Memory, p *saved) error {
	if err := readersSee(left, p); err != nil {
		return err
	}
	l, err := OpenContactLog(left, logName)
	if err != nil {
		return fmt.Errorf("opening it again: %w", err)
	}
	got := l.Stored()
	if err := errors.Join(entriesKept(got, p), notesOnlyTorn(l.Notes())); err != nil {
		return err
	}
	left.SetTime(startWall + 5000*second)
	more := append(slices.Clone(got), entry(500, 4000))
	l.Add(more[len(more)-1])
	if err := l.Write(logOf(more...)); err != nil {
		return fmt.Errorf("writing after a restart: %w", err)
	}
	left.Crash()
	if l, err = OpenContactLog(left, logName); err != nil {
		return err
	}
	if again := l.Stored(); !slices.Equal(again, more) {
		return fmt.Errorf("after one more crash there is %v, want %v", again, more)
	}
	if text, _ := left.ReadFile(logName); string(text) != textOf(more...) {
		return fmt.Errorf("after one more crash the log is %q", text)
	}
	return notesOnlyTorn(l.Notes())
}

// readersSee checks that the log file is the log of one of the Writes.
func readersSee(m *Memory, p *saved) error {
	text, err := m.ReadFile(logName)
	if err != nil {
		return err
	}
	for _, kept := range p.logs {
		if string(text) == textOf(kept...) {
			return nil
		}
	}
	return fmt.Errorf("a reader sees %q", text)
}

// entriesKept checks that all saved entries of the log are there, and that all
// entries have their exact reception time and are in order of arrival.
func entriesKept(got []nodes.StoredContact, p *saved) error {
	rest := p.truth
	for _, k := range got {
		i := slices.Index(rest, k)
		if i < 0 {
			return fmt.Errorf("%v received at %d is there, which never was, or in another order: %v", k.TempID,
				k.Received, got)
		}
		rest = rest[i+1:]
	}
	for _, k := range p.logs[0] {
		stays := true
		for _, later := range p.logs[1:] {
			stays = stays && slices.Contains(later, k)
		}
		if stays && !slices.Contains(got, k) {
			return fmt.Errorf("%v received at %d was saved, and is not there: %v", k.TempID, k.Received, got)
		}
	}
	return nil
}

// The log begins with an entry twice, and one that the journal does not have.
func TestContactLogSurvivesACrashAnywhere(t *testing.T) {
	t.Parallel()
	a1, a2, b := entry(1, 10), entry(1, 20), entry(2, 30)
	added := entry(3, 500)
	added.Received = startWall + 500*second
	c, d, e, f := entry(4, 600), entry(4, 601), entry(5, 602), entry(6, 603)

	m := NewMemory()
	l := openLog(t, m)
	for _, k := range []nodes.StoredContact{a1, a2, b} {
		l.Add(k)
	}
	write(t, l, a1, a2, b)
	closeAll(t, l)
	first := []nodes.StoredContact{a1, a2, b, added}
	m.SetTime(added.Received)
	m.WriteFile(logName, []byte(textOf(first...)), 0o644)

	everyCrash(t, m, everyCut, writing(first, []logChange{
		{log: []nodes.StoredContact{a1, a2, b, added}},
		{received: []nodes.StoredContact{c, d}, log: []nodes.StoredContact{a1, a2, b, added, c, d}},
		{received: []nodes.StoredContact{e}, log: []nodes.StoredContact{a2, b, added, c, d, e}},
		// f came after the log was copied
		{received: []nodes.StoredContact{f}, log: []nodes.StoredContact{added, c, d, e}},
		{log: []nodes.StoredContact{e, f}},
		{},
	}), logKept)
	everyCrash(t, m, andFaults, writing(first, []logChange{
		{received: []nodes.StoredContact{c, d}, log: []nodes.StoredContact{a1, a2, b, added, c, d}},
		{received: []nodes.StoredContact{e}, log: []nodes.StoredContact{a2, b, added, c, d, e}},
		{log: []nodes.StoredContact{e}},
		{},
	}), logKept)
}
