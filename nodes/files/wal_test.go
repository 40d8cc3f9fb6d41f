package files

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bluetrace/nodes"
)

// operationsOf returns the operations of a Memory while f runs.
func operationsOf(m *Memory, f func()) (seen []string) {
	m.SetFault(func(o Operation) error {
		seen = append(seen, o.String())
		return nil
	})
	f()
	m.SetFault(nil)
	return seen
}

func lineOf(t *testing.T, r nodes.Record) string {
	t.Helper()
	p, err := appendIssue(nil, &r.Issue, options().Zone)
	if err != nil {
		t.Fatal(err)
	}
	return string(p)
}

// While the log has space, tempIDs.txt is not synced. When the log is full,
// tempIDs.txt is synced, and the log starts again from its beginning.
func TestTheLogIsSyncedInsteadOfTempIDs(t *testing.T) {
	m := NewMemory()
	s := openServer(t, m)
	store(t, s, issue(alice, 0))
	kept := []string{`stat "tempIDs.txt"`, `write "tempIDs.txt" (74 bytes)`, `write "tempIDs.txt.ahead.new" (98 bytes)`,
		`sync "tempIDs.txt.ahead.new"`}
	full := []string{`stat "tempIDs.txt"`, `write "tempIDs.txt" (74 bytes)`, `sync "tempIDs.txt"`}
	for i, want := range [][]string{kept, kept, full, kept, kept, kept, full} {
		equal(t, "operations", operationsOf(m, func() { store(t, s, issue(alice, i+1)) }), want)
	}
	equal(t, "size of the log", len(content(t, m, walName)), smallWAL)
	equal(t, "closing a file that is synced", operationsOf(m, func() { closeAll(t, s) }),
		[]string{`close "tempIDs.txt.ahead.new"`, `remove "tempIDs.txt.ahead"`, `sync names`, `close "tempIDs.txt"`})
}

// A record fits in the log up to its last byte.
func TestARecordFillsTheLog(t *testing.T) {
	for size, want := range map[int64]bool{2 * 98: true, 2*98 - 1: false} {
		m := NewMemory()
		o := options()
		o.WALSize = size
		s, err := OpenServer(m, o)
		must(t, err)
		store(t, s, issue(alice, 1))
		seen := operationsOf(m, func() { store(t, s, issue(alice, 2)) })
		equal(t, "the log is written", slices.Contains(seen, `write "tempIDs.txt.ahead.new" (98 bytes)`), want)
		equal(t, "tempIDs.txt is synced", slices.Contains(seen, `sync "tempIDs.txt"`), !want)
		m.Crash()
		s, err = OpenServer(m, o)
		must(t, err)
		equal(t, "restored", restoredRecords(t, s), []nodes.Record{issue(alice, 1), issue(alice, 2)})
		equal(t, "no damage", strings.Contains(fmt.Sprint(texts(s.Notes())), "damaged"), false)
	}
}

func TestCloseSyncsLinesOfTheLog(t *testing.T) {
	m := NewMemory()
	s := openServer(t, m)
	store(t, s, issue(alice, 1))
	closeAll(t, s)
	m.Crash()
	equal(t, "tempIDs.txt", content(t, m, tempIDsName), aliceLine+"\n")
	if _, err := m.ReadFile(walName); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the log: %v", err)
	}
}

// When the sync at Close fails, the log stays, and the next server repairs the file.
func TestCloseKeepsTheLogWhenTheFileFails(t *testing.T) {
	m := NewMemory()
	s := openServer(t, m)
	store(t, s, issue(alice, 1))
	m.SetFault(func(o Operation) error {
		if o.Verb == VerbSync {
			return errFault
		}
		return nil
	})
	contains(t, "closing", s.Close(), "the test's fault")
	m.SetFault(nil)
	s = openServer(t, m)
	equal(t, "restored", restoredRecords(t, s), []nodes.Record{issue(alice, 1)})
	equal(t, "notes", texts(s.Notes()), []string{"tempIDs.txt: lines that were missing after a crash came back from " +
		"tempIDs.txt.ahead: 1"})
	m.Crash()
	equal(t, "durably", restoredRecords(t, openServer(t, m)), []nodes.Record{issue(alice, 1)})
}

// The server works without a log that cannot be created or fails, and tries again
// later.
func TestWithoutALogTheFileIsSynced(t *testing.T) {
	for _, verb := range []Verb{VerbCreate, VerbWrite, VerbSync, VerbRename} {
		m := NewMemory()
		s := openServer(t, m)
		if verb == VerbWrite || verb == VerbSync {
			store(t, s, issue(bob, 0))
		}
		m.SetFault(func(o Operation) error {
			if o.Verb == verb && strings.HasPrefix(o.Name, walName) {
				return errFault
			}
			return nil
		})
		for i := range 3 {
			store(t, s, issue(alice, i+1))
			text := content(t, m, tempIDsName)
			left := m.clone()
			left.Crash()
			equal(t, string(verb), content(t, left, tempIDsName), text)
		}
		m.SetFault(nil)
		for i := range walPause + 1 {
			if _, err := m.ReadFile(walName); i > 10 && i < walPause-10 && err == nil {
				t.Fatalf("%v: there is a log after %d stores", verb, i)
			}
			store(t, s, issue(alice, 10+i))
		}
		if _, err := m.ReadFile(walName); err != nil {
			t.Errorf("%v: the log was not tried again: %v", verb, err)
		}
		equal(t, string(verb)+" notes", texts(s.Notes()), nil)
	}
}

func TestAFullDiskHasNoRoomForTheLog(t *testing.T) {
	for _, room := range []int64{74, 100, 74 + smallWAL - 1} {
		m := NewMemory()
		s := openServer(t, m)
		m.SetFreeSpace(room)
		store(t, s, issue(alice, 1))
		issues, _ := s.Store([]nodes.Record{issue(alice, 2), issue(alice, 3), issue(alice, 4), issue(alice, 5),
			issue(alice, 6), issue(alice, 7)})
		contains(t, "storing", issues, "no space left")
		m.Crash()
		s = openServer(t, m)
		equal(t, "restored", restoredRecords(t, s), []nodes.Record{issue(alice, 1)})
		equal(t, "notes", texts(s.Notes()), nil)
	}
}

// A user edited the file after the server was killed, or while the machine was off.
// The lines stay as they are, and none is added twice.
func TestAUserEditedTheFile(t *testing.T) {
	one, two, three := lineOf(t, issue(alice, 1)), lineOf(t, issue(bob, 2)), lineOf(t, issue(alice, 3))
	foreign := lineOf(t, issue("mallory", 99))
	tests := []struct{ title, edited, want, torn string }{
		{"not at all", one + two + three, one + two + three, ""},
		{"one line more", one + two + three + foreign, one + two + three + foreign, ""},
		{"one line more, torn", one + two + three + "x", one + two + three, "x\n"},
		{"a line in front", foreign + one + two + three, foreign + one + two + three, ""},
		{"a line between", one + foreign + two + three, one + foreign + two + three, ""},
		{"another order", three + one + two, three + one + two, ""},
		{"carriage returns", strings.ReplaceAll(one+two+three, "\n", " \r\n"), strings.ReplaceAll(one+two+three, "\n",
			" \r\n"), ""},
		{"a line is gone", one + three, one + three + two, ""},
		{"the last is torn, behind another", one + two + foreign + three[:30], one + two + foreign + three, three[:30] +
			"\n"},
		{"the last has no line feed, behind another", one + foreign + two + three[:len(three)-1], one + foreign + two +
			three, ""},
		{"the log's lines in zeros, and another", one + strings.Repeat("\x00", len(two)-1) + "\n" + three + foreign,
			one + strings.Repeat("\x00", len(two)-1) + "\n" + three + foreign + two, ""},
		{"emptied", "", one + two + three, ""},
		{"other lines", foreign, foreign + one + two + three, ""},
		{"a beginning", one + two[:20], one + two + three, ""},
		{"zeros", one + strings.Repeat("\x00", 100), one + two + three, ""},
		{"more zeros than lines", one + strings.Repeat("\x00", 1000), one + two + three, strings.Repeat("\x00", 1000) +
			"\n"},
	}
	for _, test := range tests {
		t.Run(test.title, func(t *testing.T) {
			m := NewMemory()
			s := openServer(t, m)
			for i, user := range []string{alice, bob, alice} {
				store(t, s, issue(user, i+1))
			}
			m.Kill()
			m.WriteFile(tempIDsName, []byte(test.edited), 0o644)
			s = openServer(t, m)
			m.Crash()
			equal(t, "tempIDs.txt", content(t, m, tempIDsName), test.want)
			torn, _ := m.ReadFile(tornName)
			equal(t, "torn", string(torn), test.torn)
			back := strings.Contains(strings.Join(texts(s.Notes()), "\n"), "came back")
			equal(t, "noted", back, strings.Count(test.want, "\n") > strings.Count(test.edited, "\n") &&
				!strings.Contains(test.title, "no line feed"))
		})
	}
}

// A log of another generation and a file that is not a log have no lines.
func TestLogContents(t *testing.T) {
	record := func(generation uint64, position int64, lines string) string {
		return string(appendWALRecord(nil, walRecord{generation, position, []byte(lines)}))
	}
	tests := []struct {
		title, log string
		position   int64
		lines      string
		beyond     string
		damaged    bool
	}{
		{"empty", "", 0, "", "", false},
		{"zeros", strings.Repeat("\x00", 500), 0, "", "", false},
		{"one", record(3, 70, "a\n") + "\x00\x00", 70, "a\n", "", false},
		{"two", record(3, 70, "a\n") + record(3, 72, "b\n"), 70, "a\nb\n", "", false},
		{"an older one behind it", record(3, 70, "a\n") + record(2, 72, "b\n"), 70, "a\n", "", false},
		{"one that is elsewhere", record(3, 70, "a\n") + record(3, 73, "b\n"), 70, "a\n", "b\n", true},
		{"one of before", record(3, 70, "a\n") + record(3, 69, "b\n"), 70, "a\n", "", false},
		{"one that is cut off", record(3, 70, "a\n") + record(3, 72, "b\n")[:25], 70, "a\n", "", false},
		{"one with another byte", record(3, 70, "a\n") + strings.Replace(record(3, 72, "b\n"), "b", "c", 1), 70, "a\n",
			"", false},
		{"one with another byte, and more", record(3, 70, "a\n") + strings.Replace(record(3, 72, "b\n"), "b", "c", 1) +
			record(3, 74, "d\n") + record(3, 76, "e\n"), 70, "a\n", "d\ne\n", true},
		{"the first is broken", "x" + record(3, 70, "a\n")[1:] + record(3, 72, "b\n"), 0, "", "b\n", true},
		{"the first is broken, and older ones", "x" + record(3, 70, "a\n")[1:] + record(2, 72, "b\n") +
			record(3, 72, "c\n") + record(1, 0, "d\n"), 0, "", "c\n", true},
		{"one that is broken, or cut off", "x" + record(3, 70, "a\n")[1:], 0, "", "", false},
		{"something else", "root:x:0:0:root:/root:/bin/sh\n", 0, "", "", true},
		{"bytes that no line has", "x" + record(1, 70, "\x01\n")[1:], 0, "", "", true},
	}
	for _, test := range tests {
		t.Run(test.title, func(t *testing.T) {
			left := parseWAL([]byte(test.log))
			equal(t, test.title, string(left.lines), test.lines)
			equal(t, test.title+", beyond", string(left.beyond), test.beyond)
			equal(t, test.title+", damaged", left.damaged, test.damaged)
			if len(test.lines) > 0 {
				equal(t, test.title, left.position, test.position)
			}
		})
	}
}

// The server does not start while stored lines cannot be written to the file.
func TestTheServerDoesNotStartWithoutItsLines(t *testing.T) {
	m := NewMemory()
	s := openServer(t, m)
	store(t, s, issue(alice, 1), issue(bob, 2))
	m.Crash()
	for room := range int64(148) {
		m.SetFreeSpace(room)
		_, err := OpenServer(m, options())
		contains(t, "a full disk", err, tempIDsName, walName, "no space left")
		m.Kill()
	}
	m.SetFreeSpace(148)
	equal(t, "restored", restoredRecords(t, openServer(t, m)), []nodes.Record{issue(alice, 1), issue(bob, 2)})
}

// On a real disk, the process ends without Close, and the end of the file is lost.
func TestRecoveryOnADisk(t *testing.T) {
	dir := t.TempDir()
	s := openServer(t, Disk(dir))
	store(t, s, issue(alice, 1))
	store(t, s, issue(bob, 2))
	must(t, s.tempIDs.f.Close(), s.unlock())
	st, err := os.Stat(filepath.Join(dir, walName))
	if err != nil || st.Size() != smallWAL || st.Mode().Perm() != 0o600 {
		t.Errorf("%+v, %v", st, err)
	}
	must(t, os.Truncate(filepath.Join(dir, tempIDsName), 100))
	s = openServer(t, Disk(dir))
	equal(t, "restored", restoredRecords(t, s), []nodes.Record{issue(alice, 1), issue(bob, 2)})
	closeAll(t, s)
}

// failSyncs makes every sync fail of files whose name has a prefix.
func failSyncs(m *Memory, name string) {
	m.SetFault(func(o Operation) error {
		if o.Verb == VerbSync && strings.HasPrefix(o.Name, name) {
			return errFault
		}
		return nil
	})
}

// The log is full and the file fails to sync. The new file has all lines of the log,
// and none of the failed batch.
func TestTheFileIsWrittenAnewFromTheLog(t *testing.T) {
	m := NewMemory()
	s := openServer(t, m)
	want := []nodes.Record{issue(alice, 1), issue(bob, 2), issue(alice, 3)}
	for _, r := range want {
		store(t, s, r)
	}
	failSyncs(m, tempIDsName)
	issues, _ := s.Store([]nodes.Record{issue(bob, 4)})
	contains(t, "storing", issues, "the test's fault")
	equal(t, "an uncertain line is not shown", content(t, m, tempIDsName), "")
	killed := m.clone()
	killed.Kill()
	equal(t, "killed", restoredRecords(t, openServer(t, killed)), want)
	m.SetFault(nil)
	store(t, s, issue(bob, 5))
	m.Crash()
	equal(t, "restored", restoredRecords(t, openServer(t, m)), append(want, issue(bob, 5)))
}

// Log and file fail. The failed lines are gone when the next batch is stored.
func TestAFailedLogIsGoneBeforeTheNextBatch(t *testing.T) {
	m := NewMemory()
	s := openServer(t, m)
	store(t, s, issue(alice, 1))
	failSyncs(m, tempIDsName)
	issues, _ := s.Store([]nodes.Record{issue(bob, 2)})
	contains(t, "storing", issues, "the test's fault")
	m.SetFault(nil)
	seen := operationsOf(m, func() { store(t, s, issue(alice, 3)) })
	removed, stored := slices.Index(seen, `remove "tempIDs.txt.ahead"`),
		slices.Index(seen, `write "tempIDs.txt.new" (74 bytes)`)
	if last := len(seen) - 1 - slices.Index(reversed(seen), `write "tempIDs.txt.new" (74 bytes)`); removed < 0 ||
		stored < 0 || removed > last || seen[removed+1] != "sync names" {
		t.Errorf("%q", seen)
	}
}

func reversed(s []string) []string {
	s = slices.Clone(s)
	slices.Reverse(s)
	return s
}

// After a failed sync at the start, the next start takes nothing for durable that is
// not.
func TestAFailedSyncAtTheStart(t *testing.T) {
	m, before := endedWithoutClose(t, (*Memory).Kill)
	failSyncs(m, tempIDsName)
	_, err := OpenServer(m, options())
	contains(t, "starting", err, tempIDsName, walName, "the test's fault")
	m.SetFault(nil)
	closeAll(t, openServer(t, m))
	m.Crash()
	equal(t, "restored", restoredRecords(t, openServer(t, m)), before)
}

// Lines that neither a damaged log nor the file has are lost. The server notes that,
// quarantines the log, and uses its remaining lines.
func TestADamagedLog(t *testing.T) {
	const said = "tempIDs.txt.ahead is damaged: what can be read of it is in tempIDs.txt, and what only the rest of " +
		"it had is lost; it is kept as tempIDs.txt.ahead.damaged"
	lines := []string{lineOf(t, issue(alice, 1)), lineOf(t, issue(bob, 2)), lineOf(t, issue(alice, 3))}
	all := strings.Join(lines, "")
	size := walHeader + len(lines[0])
	cameBack := func(n string) string {
		return "tempIDs.txt: lines that were missing after a crash came back from tempIDs.txt.ahead: " + n
	}
	flip := func(at int) func([]byte) []byte {
		return func(log []byte) []byte {
			log[at] ^= 0x40
			return log
		}
	}
	tests := []struct {
		title  string
		before string // of tempIDs.txt
		damage func(log []byte) []byte
		after  string
		notes  []string
	}{
		{"the first record", "", flip(30), lines[1] + lines[2], []string{cameBack("2"), said}},
		{"its length", "", flip(4), lines[1] + lines[2], []string{cameBack("2"), said}},
		{"one between", "", flip(size + 30), lines[0] + lines[2], []string{cameBack("2"), said}},
		{"one between, of which nothing is missing", all, flip(size + 30), all, []string{said}},
		{"the first, of which nothing is missing", all, flip(30), all, nil},
		{"all of it", "", func([]byte) []byte { return []byte(strings.Repeat("x", smallWAL)) }, "", []string{said}},
		{"cut short", "", func(log []byte) []byte { return log[:size+5] }, lines[0], []string{cameBack("1"), said}},
		{"emptied", all, func([]byte) []byte { return nil }, all, []string{said}},
		{"longer", "", func(log []byte) []byte { return append(log, make([]byte, 100<<10)...) }, all,
			[]string{cameBack("3"), said}},
		{"the last record", all, flip(2*size + 30), all, nil},
	}
	for _, test := range tests {
		t.Run(test.title, func(t *testing.T) {
			m := NewMemory()
			s := openServer(t, m)
			store(t, s, issue(alice, 1))
			store(t, s, issue(bob, 2))
			store(t, s, issue(alice, 3))
			m.Kill()
			log := test.damage([]byte(content(t, m, walName)))
			m.WriteFile(walName, log, secretMode)
			m.WriteFile(tempIDsName, []byte(test.before), secretMode)
			s = openServer(t, m)
			m.Crash()
			equal(t, "tempIDs.txt", content(t, m, tempIDsName), test.after)
			equal(t, "notes", texts(s.Notes()), test.notes)
			if slices.Contains(test.notes, said) {
				equal(t, "put aside", content(t, m, walName+damagedSuffix), string(log))
			}
			if _, err := m.ReadFile(walName); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the log: %v", err)
			}
		})
	}
}

// A file shorter than its durable part has lost lines that the log does not have,
// through a user or the disk.
func TestTheFileWasMadeShorter(t *testing.T) {
	m := NewMemory()
	s := openServer(t, m)
	for i := range 4 { // the log is full after three
		store(t, s, issue(alice, i))
	}
	store(t, s, issue(bob, 4))
	m.Kill()
	m.WriteFile(tempIDsName, []byte(lineOf(t, issue(alice, 0))), secretMode)
	s = openServer(t, m)
	equal(t, "tempIDs.txt", content(t, m, tempIDsName), lineOf(t, issue(alice, 0))+lineOf(t, issue(bob, 4)))
	equal(t, "notes", texts(s.Notes()), []string{
		"tempIDs.txt was made shorter after the server ended: of its first 296 bytes there are 74, and TempIDs of " +
			"the lines that were cut off resolve no more",
		"tempIDs.txt: lines that were missing after a crash came back from tempIDs.txt.ahead: 1",
	})
}
