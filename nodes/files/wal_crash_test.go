package files

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"bluetrace/nodes"
)

// longName makes records end at offsets where none of another generation ends.
const longName = "a-name-that-is-longer-than-a-number-of-a-telephone"

// generations fill the log more than twice.
func generations() [][]nodes.Record {
	return [][]nodes.Record{
		{issue(alice, 1)}, {issue(bob, 2), issue(alice, 3)}, {issue(bob, 4)}, // full
		// too long
		{issue(longName, 5)}, {issue(alice, 6)}, {issue(bob, 7), issue(bob, 8), issue(longName, 9), issue(alice, 10),
			issue(bob, 11)},
		{issue(bob, 12)}, {issue(alice, 13)},
	}
}

// runSeveral opens a server, stores batches and closes it, several times.
func runSeveral(all ...[][]nodes.Record) func(m *Memory) *storeResults {
	return func(m *Memory) *storeResults {
		p := &storeResults{stored: map[int]bool{}}
		for _, batches := range all {
			s, err := OpenServer(m, options())
			if err != nil {
				return p
			}
			for _, b := range batches {
				p.store(s, b...)
			}
			s.Close()
		}
		return p
	}
}

// exactly checks kept, and that tempIDs.txt has its lines only and nothing was
// quarantined.
func exactly(before []nodes.Record) func(left *Memory, p *storeResults) error {
	return func(left *Memory, p *storeResults) error {
		if err := kept(before)(left, p); err != nil {
			return err
		}
		text, _ := left.ReadFile(tempIDsName)
		for line := range strings.Lines(string(text)) {
			if _, _, err := readIssue([]byte(strings.TrimSuffix(line, "\n"))); err != nil {
				return fmt.Errorf("a line that was never written: %q", line)
			}
		}
		if _, err := left.ReadFile(walName); err == nil {
			return fmt.Errorf("a server that was closed left %s", walName)
		}
		return nil
	}
}

func TestGenerationsSurviveACrashAnywhere(t *testing.T) {
	t.Parallel()
	everyCrash(t, NewMemory(), everyCut, runSeveral(generations()), exactly(nil))
}

func TestGenerationsSurviveAFaultAndACrashAnywhere(t *testing.T) {
	t.Parallel()
	g := generations()
	everyCrash(t, NewMemory(), andFaults, runSeveral(g[1:4], g[7:]), exactly(nil))
}

// endedWithoutClose returns a disk whose server ended without Close, with three lines in the
// log.
func endedWithoutClose(t *testing.T, end func(m *Memory)) (*Memory, []nodes.Record) {
	t.Helper()
	m := NewMemory()
	s := openServer(t, m)
	g := generations()
	for _, records := range g[:6] {
		store(t, s, records...)
	}
	store(t, s, issue(longName, 20), issue(bob, 21))
	store(t, s, issue(alice, 22))
	end(m)
	return m, append(slices.Concat(g[:6]...), issue(longName, 20), issue(bob, 21), issue(alice, 22))
}

// The last server leaves unsynced lines. Then a server is stopped while it repairs
// them, and its disk fails.
func TestRecoverySurvivesAFaultAndACrashAnywhere(t *testing.T) {
	t.Parallel()
	m, before := endedWithoutClose(t, (*Memory).Kill)
	everyCrash(t, m, andFaults, runSeveral(generations()[7:]), exactly(before))
	for _, steps := range []int{0, 60, 180, 240, 1 << 30} {
		for _, zeros := range []bool{false, true} {
			m, before := endedWithoutClose(t, func(m *Memory) {
				m.CrashKeeping(PartialSync{Zeros: zeros, Bytes: func(string, int) int { return steps }})
			})
			how := fewCuts
			if steps == 180 && !zeros {
				how = andFaults
			}
			everyCrash(t, m, how, runSeveral(generations()[7:]), exactly(before))
		}
	}
}

// A power cut may leave any byte as a zero, alone or up to the end.
func TestZerosAmongTheUnsynced(t *testing.T) {
	_, before := endedWithoutClose(t, (*Memory).Kill)
	for from := 1; from <= 246; from++ {
		for _, n := range []int{1, 80, from} {
			m, _ := endedWithoutClose(t, (*Memory).Kill)
			text := []byte(content(t, m, tempIDsName))
			clear(text[len(text)-from:][:min(n, from)])
			m.WriteFile(tempIDsName, text, 0o644)
			if err := exactly(before)(m, &storeResults{}); err != nil {
				t.Fatalf("%d zeros %d bytes before the end: %v", n, from, err)
			}
		}
	}
}
