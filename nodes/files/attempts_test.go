package files

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"bluetrace/nodes"
)

// testKey is the key of the test's options, in hex.
const (
	keyText  = "key of unknown nameskey of unkno"
	keyHex   = "6b6579206f6620756e6b6e6f776e206e616d65736b6579206f6620756e6b6e6f"
	firstRow = attemptsHeader + keyHex + "\n"
)

func attemptsRecord(a nodes.Attempts) nodes.Record {
	return nodes.Record{Kind: nodes.RecordAttempts, Attempts: a}
}

func TestAttemptsAreKept(t *testing.T) {
	m := NewMemory()
	s := openServer(t, m)
	equal(t, "key", s.NameKey(), [32]byte([]byte(keyText)))
	store(t, s, wrong(alice, 1), unknownName(0xfe, 2))
	store(t, s, wrong(alice, 2))
	store(t, s, blocked(alice), wrong(bob, 1))
	store(t, s, wrong("a b\n%\xff\x00é", 1), wrong(bob, 0))
	equal(t, "attempts.txt", content(t, m, attemptsName), firstRow+
		"known "+alice+" 1 0 0\n"+
		"unknown feab0000000000000000000000000000 2 0 0\n"+
		"known "+alice+" 2 0 0\n"+
		"known "+alice+" 0 1795415618000000001 60000000000\n"+
		"known "+bob+" 1 0 0\n"+
		"known a%20b%0A%25%FF%00%C3%A9 1 0 0\nknown "+bob+" 0 0 0\n")
	if st, err := m.Stat(attemptsName); err != nil || st.Mode != 0o600 {
		t.Errorf("mode %v, %v", st.Mode, err)
	}
	m.Crash()
	o := options()
	o.Entropy = strings.NewReader("") // no key is drawn where there is one
	s, err := OpenServer(m, o)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "key after a restart", s.NameKey(), [32]byte([]byte(keyText)))
	equal(t, "restored", restoredRecords(t, s), []nodes.Record{blocked(alice), wrong("a b\n%\xff\x00é", 1),
		unknownName(0xfe, 2)})
	equal(t, "notes", texts(s.Notes()), nil)
}

func TestNoKeyCanBeDrawn(t *testing.T) {
	o := options()
	o.Entropy = strings.NewReader("too short")
	m := NewMemory()
	_, err := OpenServer(m, o)
	contains(t, "opening", err, "key", "unexpected EOF")
	openServer(t, m) // the lock was given back
}

// States that could not be saved are saved with the next, so that a count is never
// too low once the disk works again.
func TestUnsavedAttemptsAreSavedWithTheNext(t *testing.T) {
	m := NewMemory()
	s := openServer(t, m)
	store(t, s, wrong(bob, 1))
	m.SetFreeSpace(0)
	for i := 1; i <= 2; i++ {
		_, attempts := s.Store([]nodes.Record{wrong(alice, i), unknownName(7, i)})
		contains(t, "a full disk", attempts, "saving", `"attempts.txt"`, "no space left")
	}
	m.SetFreeSpace(-1)
	store(t, s, wrong(bob, 2))
	equal(t, "attempts.txt", content(t, m, attemptsName), firstRow+
		"known "+bob+" 1 0 0\n"+
		"known "+alice+" 2 0 0\n"+
		"unknown 07ab0000000000000000000000000000 2 0 0\n"+
		"known "+bob+" 2 0 0\n")
	store(t, s, wrong(bob, 0))
	if text := content(t, m, attemptsName); strings.Count(text, alice) != 1 {
		t.Errorf("saved again: %q", text)
	}
}

// States that could not be saved are saved by a RecordUnsaved, without any other.
func TestUnsavedAttemptsAreSavedWhenAsked(t *testing.T) {
	m := NewMemory()
	s := openServer(t, m)
	store(t, s, wrong(bob, 1))
	m.SetFreeSpace(0)
	again := nodes.Record{Kind: nodes.RecordUnsaved}
	for _, r := range []nodes.Record{blocked(alice), again, again} {
		_, attempts := s.Store([]nodes.Record{r})
		contains(t, "a full disk", attempts, "no space left")
	}
	m.SetFreeSpace(-1)
	store(t, s, issue(alice, 1))
	equal(t, "a TempID saves none", strings.Contains(content(t, m, attemptsName), alice), false)
	store(t, s, issue(alice, 2), again)
	m.Crash()
	equal(t, "restored", restoredRecords(t, openServer(t, m))[2:], []nodes.Record{wrong(bob, 1), blocked(alice)})
}

// Asking for unsaved attempts writes nothing if there are none.
func TestNothingIsUnsaved(t *testing.T) {
	m := NewMemory()
	s := openServer(t, m)
	store(t, s, wrong(alice, 1))
	before := m.Operations()
	store(t, s, nodes.Record{Kind: nodes.RecordUnsaved})
	equal(t, "operations", m.Operations(), before)
}

// Close saves the states that could not be saved, or is an error.
func TestCloseSavesUnsavedAttempts(t *testing.T) {
	for _, room := range []bool{true, false} {
		m := NewMemory()
		s := openServer(t, m)
		store(t, s, wrong(bob, 1))
		m.SetFreeSpace(0)
		for i := range 2 * maxUnsaved { // too many to be named one by one
			_, attempts := s.Store([]nodes.Record{unknownName(byte(i), 1+i/256), blocked(alice)})
			contains(t, "a full disk", attempts, "no space left")
		}
		if room {
			m.SetFreeSpace(-1)
			closeAll(t, s)
		} else {
			contains(t, "closing", s.Close(), "the last wrong passwords and blocks are not saved",
				`saving to "attempts.txt"`, "no space left")
		}
		m.Crash()
		equal(t, fmt.Sprintf("states, room %v", room), len(restoredRecords(t, openServer(t, m))),
			map[bool]int{true: 2 + 256, false: 1}[room])
	}
}

// Names without an account that are blocked are kept beyond the limit for others.
func TestBlockedUnknownNamesAreKeptInTheFile(t *testing.T) {
	m := NewMemory()
	o := options()
	o.MaxBlocked = 3
	s, err := OpenServer(m, o)
	if err != nil {
		t.Fatal(err)
	}
	const length = 5 * int64(time.Minute)
	block := func(n byte, minutes int) nodes.Record {
		return attemptsRecord(nodes.Attempts{Hash: [16]byte{n}, BlockedUntil: startWall +
			int64(minutes)*int64(time.Minute) + length,
			BlockDuration: time.Duration(length)})
	}
	store(t, s, block(1, 0), block(2, 1))
	for i := range maxUnknown + 10 {
		s.attempts.state.put(&nodes.Attempts{Hash: [16]byte{9, byte(i >> 16), byte(i >> 8), byte(i)}, Wrong: 1})
	}
	kept := func() (list []byte) {
		for hash, a := range s.attempts.state.unknown.All() {
			if a.BlockedUntil != 0 {
				list = append(list, hash[0])
			}
		}
		return list
	}
	equal(t, "others", s.attempts.state.unknown.Len(false), maxUnknown)
	equal(t, "blocked", kept(), []byte{1, 2})
	store(t, s, block(3, 2), block(4, 3))
	equal(t, "at the limit", kept(), []byte{2, 3, 4})
	store(t, s, block(5, 7))
	equal(t, "when two have ended, which a clock that is set back undoes", kept(), []byte{3, 4, 5})
	closeAll(t, s)
	s = openServer(t, m)
	var got []byte
	err = s.Restore(startWall+3*int64(time.Minute)+length, func(r nodes.Record) error {
		if r.Attempts.BlockedUntil != 0 {
			got = append(got, r.Attempts.Hash[0])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "restored later, with a higher limit", got, []byte{1, 2, 3, 4, 5})
}

// Of many blocked names without an account, those whose block has ended are removed.
func TestEndedBlocksAreRemovedAmongMany(t *testing.T) {
	table := newAttemptTable(2 * maxUnknown)
	for i := range maxUnknown {
		table.put(&nodes.Attempts{Hash: [16]byte{byte(i >> 16), byte(i >> 8), byte(i)}, BlockedUntil: 100 + int64(i/2),
			BlockDuration: 100})
	}
	equal(t, "blocked", table.unknown.Len(true), maxUnknown)
	table.put(&nodes.Attempts{Hash: [16]byte{9}, BlockedUntil: 100 + 20_000, BlockDuration: 100})
	equal(t, "blocked, when 2 * 19,901 have ended", table.unknown.Len(true), maxUnknown-2*19_901+1)
}

func TestTornAttemptIsDropped(t *testing.T) {
	m := NewMemory()
	s := openServer(t, m)
	store(t, s, wrong(alice, 1))
	closeAll(t, s)
	writeTo(t, m, attemptsName, "known "+alice+" 2 0 0")
	s = openServer(t, m)
	equal(t, "notes", texts(s.Notes()), []string{`attempts.txt: the last line was torn, and is dropped: "known ` +
		`+61410888888 2 0 0"`})
	equal(t, "restored", restoredRecords(t, s), []nodes.Record{wrong(alice, 1)})
	store(t, s, wrong(bob, 1))
	equal(t, "attempts.txt", content(t, m, attemptsName), firstRow+"known "+bob+" 1 0 0\nknown "+alice+" 1 0 0\n")
}

// A damaged file is copied to quarantine, and its valid lines are used.
func TestDamagedAttemptsAreQuarantined(t *testing.T) {
	const good = "known " + alice + " 1 0 0\n"
	const other = "unknown feab0000000000000000000000000000 2 0 0\n"
	tests := []struct {
		title, text, after string
		note               string
	}{
		{"no mark", good + other, firstRow, "line 1 is damaged, and with it the key"},
		{"key cut off", firstRow[:40] + "\n" + good + other, firstRow + good, "key of all names"},
		{"key in capitals", strings.ToUpper(firstRow) + good, firstRow + good, "key of all names"},
		{"only a torn mark", firstRow[:50], firstRow, "key of all names"},
		{"a later version", "bluetrace attempts 2 " + keyHex + "\n" + good, firstRow + good, "key of all names"},
		{"a line in the middle", firstRow + good + "kn\x00wn x 1 0 0\n" + other, firstRow + good + other,
			`line 3 is damaged, and not used: "kn\x00wn x 1 0 0"`},
		{"a count below zero", firstRow + "known x -1 0 0\n", firstRow, "line 2 is damaged"},
		{"another way to write it", firstRow + "known %61 01 0 0\n", firstRow, "line 2 is damaged"},
		{"a block without a length", firstRow + "known x 0 5 0\n", firstRow, "line 2 is damaged"},
		{"too many passwords", firstRow + "known x 9999999999 0 0\n", firstRow, "line 2 is damaged"},
	}
	for _, test := range tests {
		t.Run(test.title, func(t *testing.T) {
			m := NewMemory()
			m.WriteFile(attemptsName+damagedSuffix, []byte("an older one"), 0o600)
			m.WriteFile(attemptsName, []byte(test.text), 0o600)
			s := openServer(t, m)
			m.Crash()
			equal(t, "aside", content(t, m, attemptsName+damagedSuffix+"-2"), test.text)
			equal(t, "older", content(t, m, attemptsName+damagedSuffix), "an older one")
			equal(t, "attempts.txt", content(t, m, attemptsName), test.after)
			notes := s.Notes()
			if len(notes) != 2 || !strings.Contains(notes[0].Text, test.note) ||
				notes[1].Text != "attempts.txt was damaged: it is kept as attempts.txt.damaged-2, and a new one has "+
					"what could be read of it" {
				t.Errorf("notes: %q", notes)
			}
			if st, _ := m.Stat(attemptsName + damagedSuffix + "-2"); st.Mode != 0o600 {
				t.Errorf("mode %v", st.Mode)
			}
			equal(t, "the second time", openServer(t, m).Notes(), nil)
		})
	}
}

func TestEmptyAttemptsAreNone(t *testing.T) {
	m := NewMemory()
	m.WriteFile(attemptsName, nil, 0o600)
	s := openServer(t, m)
	equal(t, "notes", texts(s.Notes()), nil)
	store(t, s, wrong(alice, 1))
	equal(t, "attempts.txt", content(t, m, attemptsName), firstRow+"known "+alice+" 1 0 0\n")
}

func TestQuarantineSurvivesACrashAnywhere(t *testing.T) {
	t.Parallel()
	damaged := firstRow[:30] + "\nknown " + alice + " 2 0 0\n"
	m := NewMemory()
	m.WriteFile(attemptsName, []byte(damaged), 0o600)
	everyCrash(t, m, everyCut, storing(), func(left *Memory, _ *storeResults) error {
		s, err := OpenServer(left, options())
		if err != nil {
			return err
		}
		var got []nodes.Record
		if err := s.Restore(startWall, func(r nodes.Record) error { got = append(got, r); return nil }); err != nil {
			return err
		}
		if len(got) != 1 || got[0] != wrong(alice, 2) {
			return fmt.Errorf("there is %v", got)
		}
		for _, name := range []string{attemptsName + damagedSuffix, attemptsName + damagedSuffix + "-2"} {
			if p, _ := left.ReadFile(name); string(p) == damaged {
				return nil
			}
		}
		return fmt.Errorf("the damaged file is nowhere")
	})
}

// The size of the file depends on the number of names, not of attempts: known names
// that are reset leave it, and of unknown ones it has the last 65,536.
func TestAttemptsStayOfASize(t *testing.T) {
	m := NewMemory()
	s := openServer(t, m)
	hash := func(i int) nodes.Record {
		return attemptsRecord(nodes.Attempts{Hash: [16]byte{byte(i >> 16), byte(i >> 8), byte(i)}, Wrong: 1})
	}
	const extra = 100
	var batch []nodes.Record
	for i := range maxUnknown + extra {
		batch = append(batch, hash(i))
		if len(batch) == 1000 {
			store(t, s, batch...)
			batch = batch[:0]
		}
	}
	store(t, s, batch...)
	most := 0
	rounds := 40
	if testing.Short() {
		rounds = 16 // enough for one new file; the last one resets, too
	}
	for i := range rounds {
		batch = batch[:0]
		for range 10_000 {
			batch = append(batch, wrong(alice, i%3))
		}
		store(t, s, batch...)
		most = max(most, strings.Count(content(t, m, attemptsName), "\n"))
	}
	if limit := 2*(maxUnknown+1) + attemptSlack + 1; most > limit {
		t.Errorf("%d lines at most, want up to %d", most, limit)
	}
	equal(t, "unknown names in memory", s.attempts.state.unknown.Len(false), maxUnknown)
	m.Crash()
	got := restoredRecords(t, openServer(t, m))
	if len(got) != maxUnknown {
		t.Fatalf("%d states, want %d", len(got), maxUnknown)
	}
	equal(t, "oldest", got[0], hash(extra))
	equal(t, "newest", got[len(got)-1], hash(maxUnknown+extra-1))
}

// The file is rewritten for a line more than twice the names and the slack.
func TestAttemptsAreRewrittenBeyondTheSlack(t *testing.T) {
	m := NewMemory()
	o := options()
	o.AttemptsSlack = 2
	s, err := OpenServer(m, o)
	must(t, err)
	for i, want := range []int{1, 2, 3, 4, 1, 2, 3, 4, 1} {
		store(t, s, wrong(alice, 1+i))
		equal(t, fmt.Sprint("lines after store ", i+1), strings.Count(content(t, m, attemptsName), "known"), want)
	}
	store(t, s, wrong(bob, 1))
	for i, want := range []int{3, 4, 2} {
		store(t, s, wrong(bob, 2+i))
		equal(t, fmt.Sprint("lines of two names ", i), strings.Count(content(t, m, attemptsName), "known"), want)
	}
	for i, want := range []int{3, 4, 5, 6, 2} {
		store(t, s, wrong(bob, 9+i))
		equal(t, fmt.Sprint("lines after a file of two names ", i), strings.Count(content(t, m, attemptsName), "known"),
			want)
	}
}

// A rewrite that fails because the disk is full leaves a file that can be appended
// to.
func TestCompactionIsPutOffWhileTheDiskIsFull(t *testing.T) {
	m := NewMemory()
	s := openServer(t, m)
	for i := range 100 {
		store(t, s, wrong(fmt.Sprintf("user%d", i), 1))
	}
	s.attempts.rewriteAt = s.attempts.lines
	m.SetFreeSpace(200)
	store(t, s, wrong(alice, 1), wrong(bob, 1))
	if s.attempts.rewriteAt != s.attempts.lines-2+attemptSlack {
		t.Errorf("next at %d lines, of %d", s.attempts.rewriteAt, s.attempts.lines)
	}
	m.SetFreeSpace(-1)
	m.Crash()
	equal(t, "states", len(restoredRecords(t, openServer(t, m))), 102)
}

func TestAttemptsThatCannotBeWritten(t *testing.T) {
	s := openServer(t, NewMemory())
	for _, a := range []nodes.Attempts{
		{Known: true, User: strings.Repeat("x", 1025)},
		{Known: true, User: "x", Wrong: -1},
		{Known: true, User: "x", BlockDuration: -time.Second},
		{Known: true, User: "x", BlockedUntil: 1},
	} {
		t.Run(fmt.Sprintf("%.40v", a), func(t *testing.T) {
			_, err := s.Store([]nodes.Record{attemptsRecord(a), wrong(alice, 1)})
			contains(t, fmt.Sprint(a), err, "writing the attempts")
		})
	}
	equal(t, "restored", restoredRecords(t, s), nil)
}

func TestAttemptsRemovedWhileTheServerRuns(t *testing.T) {
	m := NewMemory()
	s := openServer(t, m)
	store(t, s, wrong(alice, 1))
	if err := m.Remove(attemptsName); err != nil {
		t.Fatal(err)
	}
	store(t, s, wrong(bob, 1))
	equal(t, "attempts.txt", content(t, m, attemptsName), firstRow+"known "+bob+" 1 0 0\nknown "+alice+" 1 0 0\n")
	equal(t, "notes", texts(s.Notes()), []string{"attempts.txt was changed or removed while the server ran: it is " +
		"written anew"})
}

// While the disk is full, a flood of names needs neither unbounded memory nor growing
// time. Afterwards one store saves them all.
func TestAFloodOfNamesOnAFullDisk(t *testing.T) {
	names := 30_000
	if testing.Short() {
		names = 5000
	}
	m := NewMemory()
	s := openServer(t, m)
	store(t, s, wrong(bob, 1))
	m.SetFreeSpace(0)
	most, written := 0, 0
	m.SetFault(func(o Operation) error {
		written += o.Bytes
		return nil
	})
	for i := range names {
		hash := [16]byte{byte(i >> 16), byte(i >> 8), byte(i)}
		written = 0
		if _, err := s.Store([]nodes.Record{attemptsRecord(nodes.Attempts{Hash: hash, Wrong: 1})}); err == nil {
			t.Fatal("stored on a full disk")
		}
		most = max(most, written)
		if n := len(s.attempts.unsaved); n > maxUnsaved {
			t.Fatalf("%d names are kept, want %d at most", n, maxUnsaved)
		}
	}
	if most > 64*(maxUnsaved+1) {
		t.Errorf("one store tried to write %d bytes", most)
	}
	m.SetFreeSpace(-1)
	store(t, s, wrong(alice, 1))
	m.Crash()
	equal(t, "states", len(restoredRecords(t, openServer(t, m))), names+2)
}

// With space for a line but not for a new file, not every store tries to write a new
// file.
func TestRewritesPauseAfterAFailure(t *testing.T) {
	const names = 5 * attemptSlack
	m := NewMemory()
	s := openServer(t, m)
	store(t, s, wrong(bob, 1))
	m.SetFreeSpace(0)
	for i := range names {
		_, err := s.Store([]nodes.Record{wrong(fmt.Sprint("user", i), 1)})
		contains(t, "a full disk", err, "no space left")
	}
	m.SetFreeSpace(100_000)
	tried := 0
	m.SetFault(func(o Operation) error {
		if o.Verb == VerbCreate {
			tried++
		}
		return nil
	})
	for range 24 {
		_, err := s.Store([]nodes.Record{wrong(alice, 1)})
		contains(t, "a disk that is nearly full", err, "no space left")
	}
	equal(t, "new files that were tried", tried, 4)
	m.SetFreeSpace(-1)
	for range 6 {
		if _, err := s.Store([]nodes.Record{wrong(alice, 2)}); err == nil {
			break
		}
	}
	m.Crash()
	equal(t, "states", len(restoredRecords(t, openServer(t, m))), names+2)
}

// An orderly end saves the last states during such a pause, too.
func TestTheEndSavesDuringAPause(t *testing.T) {
	m := NewMemory()
	s := openServer(t, m)
	s.attempts.slack = 1
	store(t, s, wrong(bob, 1))
	if err := m.Remove(attemptsName); err != nil { // only a new file can hold the states now
		t.Fatal(err)
	}
	m.SetFreeSpace(0)
	_, err := s.Store([]nodes.Record{wrong(alice, 1)})
	contains(t, "a full disk", err, "no space left")
	m.SetFreeSpace(-1)
	closeAll(t, s)
	m.Crash()
	equal(t, "restored", restoredRecords(t, openServer(t, m)), []nodes.Record{wrong(bob, 1), wrong(alice, 1)})
}
