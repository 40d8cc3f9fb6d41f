package files

import (
	"errors"
	"strings"
	"testing"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
)

const aliceLine = alice + " 10000000000000000001 23/11/2026 06:32:39 23/11/2026 06:47:39"

func TestStoreWritesTheLineOfThePage(t *testing.T) {
	m := NewMemory()
	s := openServer(t, m)
	store(t, s, issue(alice, 1), issue(bob, 2))
	store(t, s, issue(alice, 3))
	equal(t, "tempIDs.txt", content(t, m, tempIDsName), aliceLine+"\n"+
		bob+" 10000000000000000002 23/11/2026 06:32:40 23/11/2026 06:47:40\n"+
		alice+" 10000000000000000003 23/11/2026 06:32:41 23/11/2026 06:47:41\n")
	equal(t, "restored", restoredRecords(t, s), []nodes.Record{issue(alice, 1), issue(bob, 2), issue(alice, 3)})
	equal(t, "notes", texts(s.Notes()), nil)
}

// Any number of records needs one write and one sync for each file.
func TestStoreWritesAndSyncsOnce(t *testing.T) {
	m := NewMemory()
	s := openServer(t, m)
	store(t, s, issue(alice, 1), wrong(alice, 1))
	var seen []string
	m.SetFault(func(o Operation) error {
		seen = append(seen, o.String())
		return nil
	})
	var many []nodes.Record
	for i := range 50 {
		many = append(many, issue(alice, 10+i), unknownName(byte(i), 1))
	}
	store(t, s, many...)
	// attempts.txt was created by a rename, which its open file does not know.
	equal(t, "operations", seen, []string{
		`stat "tempIDs.txt"`, `write "tempIDs.txt" (3700 bytes)`, `sync "tempIDs.txt"`,
		`stat "attempts.txt"`, `write "attempts.txt.new" (2350 bytes)`, `sync "attempts.txt.new"`,
	})
}

func TestNoSyncNeverSyncs(t *testing.T) {
	m := NewMemory()
	o := options()
	o.NoSync = true
	s, err := OpenServer(m, o)
	if err != nil {
		t.Fatal(err)
	}
	store(t, s, issue(alice, 1), wrong(alice, 1))
	m.SetFault(func(o Operation) error {
		if o.Verb == VerbSync || o.Verb == VerbSyncNames {
			t.Errorf("%v", o)
		}
		return nil
	})
	store(t, s, issue(alice, 2), wrong(alice, 2))
	m.SetFault(nil)
	m.Kill()
	equal(t, "after a kill", restoredRecords(t, openServer(t, m)), []nodes.Record{issue(alice, 1), issue(alice, 2),
		wrong(alice, 2)})
}

func TestLastLineIsRepaired(t *testing.T) {
	garbage := strings.Repeat("x", 3*lineBuffer)
	tests := []struct {
		title, before, after, torn, note string
	}{
		{"empty", "", "", "", ""},
		{"whole", aliceLine + "\n", aliceLine + "\n", "", ""},
		{"six good fields", aliceLine, aliceLine + "\n", "", "had no line feed"},
		{"six good fields and a space", aliceLine + " ", aliceLine + " \n", "", "had no line feed"},
		{"six good fields and a carriage return", aliceLine + "\r", aliceLine + "\r\n", "", "had no line feed"},
		{"behind a line", aliceLine + "\n" + aliceLine, aliceLine + "\n" + aliceLine + "\n", "", "had no line feed"},
		{"a digit short", aliceLine + "\n" + aliceLine[:len(aliceLine)-1], aliceLine + "\n",
			aliceLine[:len(aliceLine)-1] + "\n", "torn"},
		{"a letter", "a", "", "a\n", "torn"},
		{"another program's empty line stays", "\n\nab", "\n\n", "ab\n", "torn"},
		{"zeros", aliceLine + "\n\x00\x00", aliceLine + "\n", "\x00\x00\n", "torn"},
		{"six good fields, then zeros", aliceLine + "\x00", "", aliceLine + "\x00\n", "torn"},
		{"more than memory should hold", aliceLine + "\n" + garbage, aliceLine + "\n", garbage + "\n", `"xxx`},
		{"garbage that ends like a line", garbage + aliceLine, "", garbage + aliceLine + "\n", "torn"},
	}
	for _, test := range tests {
		t.Run(test.title, func(t *testing.T) {
			m := NewMemory()
			m.WriteFile(tempIDsName, []byte(test.before), 0o644)
			s := openServer(t, m)
			equal(t, "tempIDs.txt", content(t, m, tempIDsName), test.after)
			notes := strings.Join(texts(s.Notes()), "\n")
			if !strings.Contains(notes, test.note) || (test.note == "") != (notes == "") || len(notes) > 400 {
				t.Errorf("notes: %q, want %q", notes, test.note)
			}
			if torn, _ := m.ReadFile(tornName); string(torn) != test.torn {
				t.Errorf("torn: %d bytes, want %d", len(torn), len(test.torn))
			}
			m.Crash()
			equal(t, "after a crash", content(t, m, tempIDsName), test.after)
			store(t, openServer(t, m), issue(bob, 2))
			equal(t, "one more line", strings.TrimPrefix(content(t, m, tempIDsName), test.after),
				bob+" 10000000000000000002 23/11/2026 06:32:40 23/11/2026 06:47:40\n")
		})
	}
}

func TestTornLinesAreCollected(t *testing.T) {
	m := NewMemory()
	for _, tail := range []string{"one", "two"} {
		m.WriteFile(tempIDsName, []byte(tail), 0o644)
		closeAll(t, openServer(t, m))
	}
	equal(t, "torn", content(t, m, tornName), "one\ntwo\n")
}

// While a torn line cannot be repaired nothing is stored, and the server runs.
func TestRepairIsPutOffWhileTheDiskIsFull(t *testing.T) {
	for _, tail := range []string{"torn", aliceLine} {
		m := NewMemory()
		m.WriteFile(tempIDsName, []byte(tail), 0o644)
		m.SetFreeSpace(0)
		s := openServer(t, m)
		if notes := s.Notes(); len(notes) != 1 || !strings.Contains(notes[0].Text, "no TempID can be saved") {
			t.Errorf("notes: %q", notes)
		}
		issues, _ := s.Store([]nodes.Record{issue(bob, 2)})
		contains(t, "storing", issues, "tempIDs.txt", "no space left")
		equal(t, "unchanged", content(t, m, tempIDsName), tail)
		m.SetFreeSpace(-1)
		store(t, s, issue(bob, 2))
		if text := content(t, m, tempIDsName); !strings.HasSuffix(text,
			"\n"+bob+" 10000000000000000002 23/11/2026 06:32:40 23/11/2026 06:47:40\n") &&
			text != bob+" 10000000000000000002 23/11/2026 06:32:40 23/11/2026 06:47:40\n" {
			t.Errorf("tempIDs.txt: %q", text)
		}
	}
}

func TestMalformedLinesAreNotedAndStay(t *testing.T) {
	lines := []string{
		aliceLine,
		"", "hello", aliceLine[1:20],
		strings.Replace(aliceLine, "06:47", "24:47", 1), // no such time
		strings.Replace(aliceLine, " 1000", "  1000", 1),
		"a\x1b[2Jb" + aliceLine[len(alice):],
		aliceLine + "  ",
		"x " + aliceLine,
		bob + " 10000000000000000002 23/11/2026 06:32:40 23/11/2026 06:32:40", // no lifetime
		strings.Repeat("long", 100_000) + aliceLine,
		bob + " 10000000000000000002 23/11/2026 06:32:40 23/11/2026 06:47:40 \r",
	}
	text := strings.Join(lines, "\n") + "\n"
	m := NewMemory()
	m.WriteFile(tempIDsName, []byte(text), 0o644)
	s := openServer(t, m)
	equal(t, "restored", restoredRecords(t, s), []nodes.Record{issue(alice, 1), issue(bob, 2)})
	equal(t, "unchanged", content(t, m, tempIDsName), text)
	notes := s.Notes()
	if len(notes) != shownMalformed+1 {
		t.Fatalf("%d notes: %q", len(notes), notes)
	}
	equal(t, "first", notes[0].Text, `tempIDs.txt line 2 is left as it is, and not used: "": it is not username, `+
		`TempID, start and expiry, with one space between them`)
	equal(t, "last", notes[shownMalformed].Text, "tempIDs.txt: 5 more such lines")
	for _, n := range texts(notes) {
		if strings.ContainsAny(n, "\x1b\n") || len(n) > 300 {
			t.Errorf("a raw or long note: %q", n)
		}
	}
	equal(t, "taken", texts(s.Notes()), nil)
}

// A line that the server refuses is a malformed line too.
func TestRestoreContinuesAfterARefusal(t *testing.T) {
	m := NewMemory()
	s := openServer(t, m)
	store(t, s, issue(alice, 1), issue(bob, 2), wrong(alice, 1), wrong(bob, 1))
	var taken []nodes.Record
	if err := s.Restore(startWall, func(r nodes.Record) error {
		if r.Issue.User == alice || r.Attempts.User == alice {
			return errors.New("I do not want it")
		}
		taken = append(taken, r)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	equal(t, "taken", taken, []nodes.Record{issue(bob, 2), wrong(bob, 1)})
	equal(t, "notes", texts(s.Notes()), []string{
		`tempIDs.txt line 1 is left as it is, and not used: "` + aliceLine[:64] + `"... (` +
			"73 bytes): I do not want it",
		"attempts.txt: one state is not used: I do not want it",
	})
}

func TestAFullDiskLeavesTheFileWhole(t *testing.T) {
	m := NewMemory()
	s := openServer(t, m)
	store(t, s, issue(alice, 1), wrong(bob, 1))
	m.SetFreeSpace(100)
	issues, attempts := s.Store([]nodes.Record{issue(bob, 2), issue(bob, 3), wrong(alice, 1)})
	contains(t, "issues", issues, "saving", `"tempIDs.txt"`, "no space left")
	if attempts != nil {
		t.Errorf("attempts: %v", attempts)
	}
	equal(t, "tempIDs.txt", content(t, m, tempIDsName), aliceLine+"\n")
	m.SetFreeSpace(75)
	store(t, s, issue(bob, 4))
	equal(t, "tempIDs.txt", content(t, m, tempIDsName),
		aliceLine+"\n"+bob+" 10000000000000000004 23/11/2026 06:32:42 23/11/2026 06:47:42\n")
}

func TestAfterAFailedSyncTheFileIsWrittenAnew(t *testing.T) {
	m := NewMemory()
	s := openServer(t, m)
	store(t, s, issue(alice, 1))
	failing := map[Verb]bool{VerbSync: true}
	m.SetFault(func(o Operation) error {
		if failing[o.Verb] {
			return errFault
		}
		return nil
	})
	for _, v := range []Verb{VerbSync, VerbSync, VerbCreate, VerbRename, VerbSyncNames, VerbSyncNames} {
		clear(failing)
		failing[v] = true
		issues, _ := s.Store([]nodes.Record{issue(bob, 2)})
		contains(t, string(v), issues, "the test's fault")
	}
	clear(failing)
	store(t, s, issue(bob, 3))
	m.Crash()
	s = openServer(t, m)
	equal(t, "after a crash", restoredRecords(t, s), []nodes.Record{issue(alice, 1), issue(bob, 3)})
	equal(t, "notes", texts(s.Notes()), nil)
	if _, err := m.ReadFile(tempIDsName + newSuffix); err == nil {
		t.Error("the new file's old name is still there")
	}
}

// After a failed sync, reads still return the lost bytes. A server that starts then
// must not take them for stored.
func TestAfterAFailedSyncAKilledServerLeavesNothing(t *testing.T) {
	m := NewMemory()
	s := openServer(t, m)
	store(t, s, issue(alice, 1), wrong(alice, 1))
	store(t, s, wrong(alice, 2))
	m.SetFault(func(o Operation) error {
		if o.Verb == VerbSync {
			return errFault
		}
		return nil
	})
	issues, attempts := s.Store([]nodes.Record{issue(bob, 2), wrong(bob, 1)})
	contains(t, "issues", issues, "the test's fault")
	contains(t, "attempts", attempts, "the test's fault")
	m.SetFault(nil)
	m.Kill()
	equal(t, "restored", restoredRecords(t, openServer(t, m)), []nodes.Record{issue(alice, 1), wrong(alice, 2)})
}

// No file that failed to sync is ever written again.
func TestAfterAFailedSyncNoFileIsTheSame(t *testing.T) {
	m := NewMemory()
	s, l := openServer(t, m), openLog(t, m)
	names := []string{tempIDsName, attemptsName, logName + journalSuffix}
	identities := func() (all []uint64) {
		for _, name := range names {
			st, err := m.Stat(name)
			must(t, err)
			all = append(all, st.Identity)
		}
		return all
	}
	step := func(i int) []error {
		issues, attempts := s.Store([]nodes.Record{issue(alice, i), wrong(alice, i)})
		l.Add(entry(i, int64(i)))
		return []error{issues, attempts, l.Write(logOf(l.Stored()...))}
	}
	must(t, step(1)...)
	before := identities()
	must(t, step(2)...)
	equal(t, "as long as all is well", identities(), before)
	m.SetFault(func(o Operation) error {
		if o.Verb == VerbSync {
			return errFault
		}
		return nil
	})
	for _, err := range append(step(3), step(4)...) {
		contains(t, "a failed sync", err, "the test's fault")
	}
	m.SetFault(nil)
	must(t, step(5)...)
	for i, id := range identities() {
		if id == before[i] {
			t.Errorf("%s is the file that failed to sync", names[i])
		}
	}
}

// Other programs may change the file while the server runs.
func TestTheFileChangesWhileTheServerRuns(t *testing.T) {
	const added = bob + " 99999999999999999999 23/11/2026 06:32:40 23/11/2026 06:47:40"
	tests := []struct {
		title, note string
		change      func(m *Memory)
		first       string // what the file begins with after the next store
	}{
		{"removed", "was removed", func(m *Memory) {
			if err := m.Remove(tempIDsName); err != nil {
				t.Fatal(err)
			}
		}, ""},
		{"replaced", "was replaced", func(m *Memory) { m.WriteFile(tempIDsName, []byte(added+"\n"), 0o600) }, added +
			"\n"},
		{"replaced, without the last line feed", "was replaced",
			func(m *Memory) { m.WriteFile(tempIDsName, []byte(added), 0o600) }, added + "\n"},
		{"lengthened", "was changed", func(m *Memory) { writeTo(t, m, tempIDsName, added) }, aliceLine + "\n" + added +
			"\n"},
		{"emptied", "was changed", func(m *Memory) {
			f, _ := m.Append(tempIDsName, 0)
			if err := f.Truncate(0); err != nil {
				t.Fatal(err)
			}
		}, ""},
	}
	for _, test := range tests {
		t.Run(test.title, func(t *testing.T) {
			m := NewMemory()
			s := openServer(t, m)
			store(t, s, issue(alice, 1))
			test.change(m)
			store(t, s, issue(alice, 3))
			m.Crash()
			openServer(t, m)
			equal(t, "tempIDs.txt", content(t, m, tempIDsName),
				test.first+alice+" 10000000000000000003 23/11/2026 06:32:41 23/11/2026 06:47:41\n")
			if notes := strings.Join(texts(s.Notes()), "\n"); !strings.Contains(notes, test.note) {
				t.Errorf("notes: %q, want %q", notes, test.note)
			}
		})
	}
}

func writeTo(t testing.TB, fsys FS, name, text string) {
	t.Helper()
	f, err := fsys.Append(name, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	closeAll(t, f)
}

// A name with a space is refused, and nothing of its batch is stored.
func TestNamesThatCannotBeWritten(t *testing.T) {
	m := NewMemory()
	s := openServer(t, m)
	for _, user := range []string{"", "a b", "a\nb", "a\rb", "\x1b[2J", "\x00", "a\x7fb", "ë\x7f", "a\u00a0b", "a\u2028b", "\xff",
		strings.Repeat("a", 1025)} {
		issues, _ := s.Store([]nodes.Record{issue(alice, 1), issue(user, 2)})
		contains(t, user, issues, "username")
	}
	issues, _ := s.Store([]nodes.Record{{Issue: nodes.Issue{User: alice, TempID: tempID(1), Start: 0,
		Expiry: 1 << 60}}})
	contains(t, "year", issues, "0000 to 9999")
	for _, times := range [][2]int64{{firstWritable - 1, 0}, {0, firstWritable - 1}, {0, lastWritable + 1},
		{lastWritable + 1, 0}} {
		issues, _ = s.Store([]nodes.Record{{Issue: nodes.Issue{User: alice, TempID: tempID(1), Start: times[0],
			Expiry: times[1]}}})
		contains(t, "a second beyond", issues, "0000 to 9999")
	}
	if _, err := m.ReadFile(tempIDsName); err == nil {
		t.Error("something was written")
	}
	store(t, s, issue("Zoë", 1), issue(strings.Repeat("a", 1024), 2))
	equal(t, "restored", restoredRecords(t, s), []nodes.Record{issue("Zoë", 1), issue(strings.Repeat("a", 1024), 2)})
	longest := nodes.Record{Issue: nodes.Issue{User: alice, TempID: tempID(3), Start: firstWritable,
		Expiry: lastWritable}}
	store(t, s, longest)
	equal(t, "the longest lifetime", restoredRecords(t, s)[2], longest)
}

// Local times are restored as the same instants, also around a change of clocks, years
// ago, and where the zone had another offset.
func TestTimesComeBackInEveryZone(t *testing.T) {
	for _, name := range []string{"UTC", "Australia/Sydney", "Australia/Lord_Howe", "Europe/Dublin", "America/St_Johns",
		"Africa/Casablanca", "Pacific/Apia"} {
		loc, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		m := NewMemory()
		o := options()
		o.Zone = protocol.NewZone(loc)
		s, err := OpenServer(m, o)
		if err != nil {
			t.Fatal(err)
		}
		var want []nodes.Record
		add := func(unix int64) {
			id := tempID(len(want))
			want = append(want, nodes.Record{Issue: nodes.Issue{User: alice, TempID: id, Start: unix, Expiry: unix +
				900}})
		}
		for at := time.Date(2010, 1, 1, 0, 0, 0, 0, loc); at.Year() < 2027; {
			_, next := at.ZoneBounds()
			if next.IsZero() {
				break
			}
			// An hour in which local times come twice is read as the first.
			for _, d := range []time.Duration{-30 * time.Hour, -3 * time.Hour, -16 * time.Minute, -10 * time.Minute,
				3 * time.Hour, 30 * time.Hour} {
				if u := next.Add(d).Unix(); first(o.Zone, u) {
					add(u)
				}
			}
			at = next.Add(48 * time.Hour)
		}
		add(startWall / second)
		store(t, s, want...)
		equal(t, name, restoredRecords(t, s), want)
		equal(t, name+" notes", texts(s.Notes()), nil)
	}
}

// first reports whether the local times from unix on for a quarter of an hour are
// read as the first instant that shows them.
func first(z *protocol.Zone, unix int64) bool {
	span, err := z.Pair(z.Local(unix), z.Local(unix+900), startWall)
	return err == nil && span.Start == unix && span.Expiry == unix+900
}

// pairs returns the results of Zone.Pair, independent of earlier calls.
func TestPairsAreThoseOfTheZone(t *testing.T) {
	step := 37
	if testing.Short() {
		step *= 7
	}
	for _, name := range []string{"UTC", "Australia/Sydney", "Africa/Casablanca", "Pacific/Apia", "Europe/London"} {
		loc, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		z := protocol.NewZone(loc)
		for _, wall := range []int64{startWall, time.Date(2026, 4, 4, 15, 30, 0, 0, time.UTC).UnixNano(), 0} {
			p := newPairs(z, wall)
			check := func(start, expiry protocol.LocalTime) {
				got, gotErr := p.convert(start, expiry)
				want, wantErr := z.Pair(start, expiry, wall)
				if got != want || gotErr != wantErr {
					t.Fatalf("%s %v %v: %v %v, want %v %v", name, start, expiry, got, gotErr, want, wantErr)
				}
			}
			begin := protocol.LocalTime(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Unix())
			for minutes := 0; minutes < 365*24*60; minutes += step {
				at := begin + protocol.LocalTime(60*minutes)
				check(at, at+900)
				check(at, at-1)
				check(at, at+86_400*20)
			}
			check(-62_167_219_200, 253_402_300_799)
		}
	}
}
