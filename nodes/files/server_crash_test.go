package files

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"bluetrace/nodes"
)

// storeResults is the results of the stores before the crash.
type storeResults struct {
	opened  bool
	tried   []nodes.Record // in order
	stored  map[int]bool   // of tried: its store succeeded
	nameKey [32]byte
}

func (p *storeResults) store(s *Server, records ...nodes.Record) {
	first := len(p.tried)
	p.tried = append(p.tried, records...)
	issues, attempts := s.Store(records)
	for i, r := range records {
		if r.Kind == nodes.RecordIssue && issues == nil || r.Kind == nodes.RecordAttempts && attempts == nil {
			p.stored[first+i] = true
		}
	}
}

// storing opens a server and stores batches.
func storing(batches ...[]nodes.Record) func(m *Memory) *storeResults {
	return func(m *Memory) *storeResults {
		p := &storeResults{stored: map[int]bool{}}
		s, err := OpenServer(m, options())
		if err != nil {
			return p
		}
		p.opened, p.nameKey = true, s.NameKey()
		for _, b := range batches {
			p.store(s, b...)
		}
		s.Close()
		return p
	}
}

// kept checks the records that a server finds when it starts on a disk. before is the
// records on the disk at the beginning.
func kept(before []nodes.Record) func(left *Memory, p *storeResults) error {
	return func(left *Memory, p *storeResults) error {
		s, err := OpenServer(left, options())
		if err != nil {
			return fmt.Errorf("opening it again: %w", err)
		}
		var got []nodes.Record
		if err := s.Restore(startWall, func(r nodes.Record) error { got = append(got, r); return nil }); err != nil {
			return err
		}
		if err := errors.Join(issuesKept(got, before, p), attemptsKept(got, before, p),
			notesOnlyTorn(s.Notes())); err != nil {
			return err
		}
		if key := s.NameKey(); p.opened && key != p.nameKey {
			return fmt.Errorf("the key of unknown names changed from %x to %x", p.nameKey, key)
		}
		return storeAgain(left, s, got)
	}
}

func issuesOf(records []nodes.Record) (issues []nodes.Issue) {
	for _, r := range records {
		if r.Kind == nodes.RecordIssue {
			issues = append(issues, r.Issue)
		}
	}
	return issues
}

// issuesKept checks that the stored issues are there once, in order, and no others.
func issuesKept(got, before []nodes.Record, p *storeResults) error {
	rest := issuesOf(got)
	must := func(i nodes.Issue) error {
		at := slices.Index(rest, i)
		if at < 0 {
			return fmt.Errorf("issue %v was stored and is not there, or not in its order", i.TempID)
		}
		for _, between := range rest[:at] {
			if !slices.ContainsFunc(p.tried, func(r nodes.Record) bool {
				return r.Kind == nodes.RecordIssue &&
					r.Issue == between
			}) {
				return fmt.Errorf("issue %v was never asked for", between.TempID)
			}
		}
		rest = rest[at+1:]
		return nil
	}
	for _, i := range issuesOf(before) {
		if err := must(i); err != nil {
			return err
		}
	}
	for n, r := range p.tried {
		if p.stored[n] && r.Kind == nodes.RecordIssue {
			if err := must(r.Issue); err != nil {
				return err
			}
		}
	}
	all := issuesOf(got)
	slices.SortFunc(all, func(a, b nodes.Issue) int { return strings.Compare(a.TempID.String(), b.TempID.String()) })
	if len(slices.Compact(all)) != len(issuesOf(got)) {
		return errors.New("an issue is there twice")
	}
	return nil
}

// attemptsKept checks that every name has the last stored state, or one that was
// tried after it.
func attemptsKept(got, before []nodes.Record, p *storeResults) error {
	found := map[attemptName]nodes.Attempts{}
	for _, r := range got {
		if r.Kind == nodes.RecordAttempts {
			found[nameOfAttempts(&r.Attempts)] = r.Attempts
		}
	}
	may := map[attemptName][]nodes.Attempts{}
	story := slices.Concat(before, p.tried)
	for n, r := range story {
		if r.Kind != nodes.RecordAttempts {
			continue
		}
		name := nameOfAttempts(&r.Attempts)
		if may[name] == nil {
			may[name] = []nodes.Attempts{{Known: name.known, User: name.user, Hash: name.hash}}
		}
		if n < len(before) || p.stored[n-len(before)] {
			may[name] = nil
		}
		may[name] = append(may[name], r.Attempts)
	}
	for name, states := range may {
		a, ok := found[name]
		if !ok {
			a = nodes.Attempts{Known: name.known, User: name.user, Hash: name.hash}
		}
		if !slices.Contains(states, a) {
			return fmt.Errorf("of %q, %x there is %+v, want one of %+v", name.user, name.hash, a, states)
		}
		delete(found, name)
	}
	if len(found) > 0 {
		return fmt.Errorf("states that were never stored: %v", found)
	}
	return nil
}

func notesOnlyTorn(notes []Note) error {
	for _, note := range notes {
		n := note.Text
		if !strings.Contains(n, "torn") && !strings.Contains(n, "had no line feed") &&
			!strings.Contains(n, "came back from") {
			return fmt.Errorf("a note that was not expected: %s", n)
		}
	}
	return nil
}

// storeAgain stores one more record of each kind, and starts once more.
func storeAgain(m *Memory, s *Server, before []nodes.Record) error {
	more := []nodes.Record{issue("+61410999999", 777), wrong("+61410999999", 2), unknownName(77, 1)}
	if issues, attempts := s.Store(more); issues != nil || attempts != nil {
		return fmt.Errorf("storing after a restart: %w", errors.Join(issues, attempts))
	}
	for _, name := range []string{tempIDsName, attemptsName} {
		p, err := m.ReadFile(name)
		if err = errors.Join(err, wholeLines(p)); err != nil {
			return fmt.Errorf("%s after a restart: %w", name, err)
		}
	}
	m.Crash()
	s, err := OpenServer(m, options())
	if err != nil {
		return err
	}
	var got []nodes.Record
	if err := s.Restore(startWall, func(r nodes.Record) error { got = append(got, r); return nil }); err != nil {
		return err
	}
	nobody := &storeResults{}
	if err := errors.Join(issuesKept(got, slices.Concat(before, more), nobody),
		attemptsKept(got, slices.Concat(before, more), nobody)); err != nil {
		return fmt.Errorf("after one more crash: %w", err)
	}
	for _, note := range s.Notes() {
		n := note.Text
		if !strings.Contains(n, ": lines that were missing after a crash came back from tempIDs.txt.ahead: 1") {
			return fmt.Errorf("after one more crash: %q", n)
		}
	}
	return s.Close()
}

const (
	alice = "+61410888888"
	bob   = "+61410777777"
)

func storeBatches() [][]nodes.Record {
	return [][]nodes.Record{
		{issue(alice, 1), issue(bob, 2), wrong(alice, 1)},
		{issue(bob, 3), wrong(alice, 2), unknownName(1, 1), wrong(bob, 1)},
		{blocked(alice), issue(alice, 4), wrong(bob, 0)},
	}
}

func TestStoreSurvivesACrashAnywhere(t *testing.T) {
	t.Parallel()
	everyCrash(t, NewMemory(), everyCut, storing(storeBatches()...), kept(nil))
}

// One operation fails, and the machine stops before any operation.
func TestStoreSurvivesAFaultAndACrashAnywhere(t *testing.T) {
	t.Parallel()
	s := storeBatches()
	everyCrash(t, NewMemory(), andFaults, storing(s[0], s[2], []nodes.Record{issue(bob, 5), wrong(alice, 1)}),
		kept(nil))
}

// disk returns a folder with stored records whose tempIDs.txt ends with tail.
func diskWith(t *testing.T, tail string) (*Memory, []nodes.Record) {
	t.Helper()
	m := NewMemory()
	s := openServer(t, m)
	before := []nodes.Record{issue(alice, 100), issue(bob, 101), wrong(alice, 2), unknownName(9, 1)}
	store(t, s, before...)
	closeAll(t, s)
	m.WriteFile(tempIDsName, []byte(content(t, m, tempIDsName)+tail), 0o644)
	return m, before
}

const unfinished = bob + " 10000000000000000102 23/11/2026 06:34:20 23/11/2026 06:49:20"

func TestRepairSurvivesACrashAnywhere(t *testing.T) {
	t.Parallel()
	for cut := range len(unfinished) + 1 {
		// Unless every crash is tried: none, inside of each field and between two, all but the last byte, all.
		some := []int{0, 1, 12, 13, 30, 33, 45, len(unfinished) - 1, len(unfinished)}
		if everyNth() > 1 && !slices.Contains(some, cut) {
			continue
		}
		m, before := diskWith(t, unfinished[:cut])
		how := fewCuts
		if cut == 0 || cut == 30 || cut == len(unfinished) {
			how = andFaults
		}
		everyCrash(t, m, how, storing([]nodes.Record{issue(alice, 103), wrong(bob, 1)}),
			func(left *Memory, p *storeResults) error {
				if cut == len(unfinished) && !isSomewhere(left, unfinished+"\x00") {
					return kept(append(before, issue(bob, 102)))(left, p)
				}
				// The torn bytes are in one of the files, even if a zero replaces the line
				// feed that would have completed them.
				if !isSomewhere(left, unfinished[:cut]) {
					return fmt.Errorf("the torn bytes are in neither file")
				}
				return kept(before)(left, p)
			})
	}
}

// isSomewhere reports whether a text is in tempIDs.txt or in the file for torn lines.
func isSomewhere(m *Memory, text string) bool {
	whole, _ := m.ReadFile(tempIDsName)
	torn, _ := m.ReadFile(tornName)
	return strings.Contains(string(whole), text) || strings.Contains(string(torn), text)
}

// attempts.txt is rewritten when most of its lines are replaced.
func TestCompactionSurvivesACrashAnywhere(t *testing.T) {
	t.Parallel()
	m := NewMemory()
	s := openServer(t, m)
	before := []nodes.Record{wrong(alice, 1), wrong(bob, 1), unknownName(3, 2)}
	store(t, s, before...)
	closeAll(t, s)
	everyCrash(t, m, andFaults, func(m *Memory) *storeResults {
		p := &storeResults{stored: map[int]bool{}}
		s, err := OpenServer(m, options())
		if err != nil {
			return p
		}
		p.opened, p.nameKey = true, s.NameKey()
		p.store(s, unknownName(4, 1))
		p.store(s, wrong(alice, 2))
		s.attempts.rewriteAt = s.attempts.lines
		p.store(s, blocked(alice))
		p.store(s, wrong(bob, 2))
		s.Close()
		return p
	}, kept(before))
}

// texts returns the texts of notes.
func texts(notes []Note) []string {
	var all []string
	for _, n := range notes {
		all = append(all, n.Text)
	}
	return all
}
