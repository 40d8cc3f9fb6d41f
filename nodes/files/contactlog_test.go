package files

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"bluetrace/nodes"
)

func TestContactLogIsWrittenAndKept(t *testing.T) {
	m := NewMemory()
	l := openLog(t, m)
	equal(t, "kept", l.Stored(), nil)
	a, b := entry(1, 10), entry(2, 20)
	l.Add(a)
	l.Add(b)
	write(t, l, a, b)
	equal(t, "log", content(t, m, logName),
		"10000000000000000001\n23/11/2026 06:32:39\n23/11/2026 06:47:39\n10000000000000000002\n23/11/2026 "+
			"06:32:40\n23/11/2026 06:47:40\n")
	equal(t, "journal", content(t, m, logName+".journal"), "bluetrace contact journal 1\n"+
		"10000000000000000001 23/11/2026 06:32:39 23/11/2026 06:47:39 1795415568000000001\n"+
		"10000000000000000002 23/11/2026 06:32:40 23/11/2026 06:47:40 1795415578000000001\n")
	write(t, l, b)
	equal(t, "log", content(t, m, logName), textOf(b))
	equal(t, "journal", content(t, m, logName+".journal"), "bluetrace contact journal 1\n"+
		"10000000000000000002 23/11/2026 06:32:40 23/11/2026 06:47:40 1795415578000000001\n")
	write(t, l)
	equal(t, "log", content(t, m, logName), "")
	equal(t, "journal", content(t, m, logName+".journal"), "bluetrace contact journal 1\n")
	closeAll(t, l)
}

func TestAnUnchangedLogIsNotWritten(t *testing.T) {
	m := NewMemory()
	l := openLog(t, m)
	l.Add(entry(1, 10))
	write(t, l, entry(1, 10))
	before := m.Operations()
	write(t, l, entry(1, 10))
	equal(t, "operations", m.Operations()-before, 2) // a look at each file
	m.WriteFile(logName, []byte("another program's"), 0o644)
	write(t, l, entry(1, 10))
	equal(t, "log", content(t, m, logName), textOf(entry(1, 10)))
}

// A log that cannot be compared with its files is not saved, also if it has not changed.
func TestALogThatCannotBeComparedIsNotSaved(t *testing.T) {
	for _, name := range []string{logName, logName + journalSuffix} {
		m := NewMemory()
		l := openLog(t, m)
		l.Add(entry(1, 10))
		write(t, l, entry(1, 10))
		m.SetFault(func(o Operation) error {
			if o.Verb == VerbStat && o.Name == name {
				return errFault
			}
			return nil
		})
		contains(t, name, l.Write(logOf(entry(1, 10))), "saving", "contact log", "the test's fault")
		m.SetFault(nil)
		write(t, l, entry(1, 10))
	}
}

// An entry is durable in the journal before the log has it, and leaves the log,
// durably, before it leaves the journal.
func TestContactLogOrderOfWrites(t *testing.T) {
	m := NewMemory()
	l := openLog(t, m)
	a, b := entry(1, 10), entry(2, 20)
	l.Add(a)
	write(t, l, a)
	l.Add(b)
	var seen []string
	m.SetFault(func(o Operation) error {
		if o.Verb != VerbStat {
			seen = append(seen, o.String())
		}
		return nil
	})
	write(t, l, b)
	equal(t, "operations", seen, []string{
		// the open journal; it was made by renaming
		`write "z5272202_contactlog.txt.journal.new" (81 bytes)`, `sync "z5272202_contactlog.txt.journal.new"`,

		`create "z5272202_contactlog.txt.new"`, `write "z5272202_contactlog.txt.new" (61 bytes)`,
		`sync "z5272202_contactlog.txt.new"`, `rename "z5272202_contactlog.txt.new"`, "sync names",
		`close "z5272202_contactlog.txt.new"`,

		`create "z5272202_contactlog.txt.journal.new"`, `write "z5272202_contactlog.txt.journal.new" (109 bytes)`,
		`sync "z5272202_contactlog.txt.journal.new"`, `rename "z5272202_contactlog.txt.journal.new"`, "sync names",
		`close "z5272202_contactlog.txt.journal.new"`,
	})
}

// Entries of the log that the journal does not have count as received when the log
// was modified. Equal entries are counted.
func TestJournalAndLogAreMatched(t *testing.T) {
	at := func(k nodes.StoredContact, seconds int64) nodes.StoredContact {
		k.Received = startWall + seconds*second
		return k
	}
	a1, a2, b, late := entry(1, 10), entry(1, 20), entry(2, 30), entry(3, 900)
	const modified = 100
	tests := []struct {
		title        string
		journal, log []nodes.StoredContact
		want         []nodes.StoredContact
	}{
		{"nothing", nil, nil, nil},
		{"only a log", nil, []nodes.StoredContact{b, a1}, []nodes.StoredContact{at(b, modified), at(a1, modified)}},
		{"only a journal", []nodes.StoredContact{a1, b}, nil, []nodes.StoredContact{a1, b}},
		{"the same", []nodes.StoredContact{a1, b}, []nodes.StoredContact{a1, b}, []nodes.StoredContact{a1, b}},
		{"one more in the log", []nodes.StoredContact{a1, b}, []nodes.StoredContact{a1, a1, b},
			[]nodes.StoredContact{a1, b, at(a1, modified)}},
		{"twice in both", []nodes.StoredContact{a1, a2}, []nodes.StoredContact{a1, a1}, []nodes.StoredContact{a1, a2}},
		{"three times and twice", []nodes.StoredContact{a1, a2}, []nodes.StoredContact{a1, a1, a1},
			[]nodes.StoredContact{a1, a2, at(a1, modified)}},
		{"twice and three times", []nodes.StoredContact{a1, a2, b}, []nodes.StoredContact{a1}, []nodes.StoredContact{a1,
			a2, b}},
		{"before a later entry", []nodes.StoredContact{a1, late}, []nodes.StoredContact{b, a1},
			[]nodes.StoredContact{a1, at(b, modified), late}},
		{"in another order", []nodes.StoredContact{a1, b}, []nodes.StoredContact{b, a1}, []nodes.StoredContact{a1, b}},
	}
	for _, test := range tests {
		t.Run(test.title, func(t *testing.T) {
			m := NewMemory()
			text := journalHeader + "\n"
			for _, k := range test.journal {
				text += string(appendJournalLine(nil, &k))
			}
			m.WriteFile(logName+journalSuffix, []byte(text), 0o644)
			m.SetTime(startWall + modified*second)
			m.WriteFile(logName, []byte(textOf(test.log...)), 0o644)
			l := openLog(t, m)
			equal(t, "kept", l.Stored(), test.want)
			equal(t, "notes", texts(l.Notes()), nil)
			m.SetTime(startWall + 10_000*second)
			write(t, l, test.want...)
			m.Crash()
			equal(t, "kept after a write", openLog(t, m).Stored(), test.want)
		})
	}
}

func TestValidEntriesOfALogAreKept(t *testing.T) {
	a, b := textOf(entry(1, 0)), textOf(entry(2, 0))
	tests := []struct {
		title, text string
		want, notes int
	}{
		{"whole", a + b, 2, 0},
		{"without the last line feed", a + b[:len(b)-1], 2, 0},
		{"carriage returns", strings.ReplaceAll(a+b, "\n", "\r\n"), 2, 0},
		{"cut off in a time", a + b[:len(b)-3], 1, 3},
		{"cut off in a TempID", a + b[:5], 1, 1},
		{"an empty line between", a + "\n" + b, 2, 1},
		{"a line lost", a[21:] + b, 1, 2},
		{"garbage between", a + "hello\n\x1b[2J\x00\n" + b, 2, 2},
		{"zeros", a + strings.Repeat("\x00", 100), 1, 1},
		{"a long line", strings.Repeat("9", 3*lineBuffer) + "\n" + a, 1, 1},
		{"only garbage", strings.Repeat("x\n", 1000), 0, shownMalformed + 1},
		{"times that are none", strings.ReplaceAll(a, "2026", "2o26") + b, 1, 3},
	}
	for _, test := range tests {
		t.Run(test.title, func(t *testing.T) {
			m := NewMemory()
			m.WriteFile(logName, []byte(test.text), 0o644)
			m.WriteFile(logName+journalSuffix, []byte(journalHeader+"\n"), 0o644)
			l := openLog(t, m)
			equal(t, "entries", len(l.Stored()), test.want)
			notes := l.Notes()
			equal(t, "notes", len(notes), test.notes)
			for _, n := range texts(notes) {
				if strings.ContainsAny(n, "\x1b\x00\n") || len(n) > 450 || !strings.Contains(n, logName) {
					t.Errorf("note %q", n)
				}
			}
		})
	}
}

func TestValidLinesOfAJournalAreKept(t *testing.T) {
	line := func(n int) string { k := entry(n, 0); return string(appendJournalLine(nil, &k)) }
	const mark = journalHeader + "\n"
	tests := []struct {
		title, text string
		want, notes int
	}{
		{"whole", mark + line(1) + line(2), 2, 0},
		{"torn", mark + line(1) + line(2)[:70], 1, 1},
		{"all but the line feed", mark + line(1) + strings.TrimSuffix(line(2), "\n"), 1, 1},
		{"no mark", line(1) + line(2), 2, 0},
		{"garbage", mark + "x\n" + line(1) + "\x00\n", 1, 2},
		{"a reception that is none", mark + strings.Replace(line(1), " 179", " +179", 1) + line(2), 1, 1},
		{"a reception that is too large", mark + strings.Replace(line(1), " 179", " 179179179179", 1) + line(2), 1, 1},
	}
	for _, test := range tests {
		t.Run(test.title, func(t *testing.T) {
			m := NewMemory()
			m.WriteFile(logName+journalSuffix, []byte(test.text), 0o644)
			l := openLog(t, m)
			equal(t, "entries", len(l.Stored()), test.want)
			equal(t, "notes", len(l.Notes()), test.notes)
		})
	}
}

func TestAContactLogThatCannotBeWritten(t *testing.T) {
	m := NewMemory()
	l := openLog(t, m)
	a, b := entry(1, 10), entry(2, 20)
	l.Add(a)
	write(t, l, a)
	m.SetFreeSpace(0)
	l.Add(b)
	contains(t, "a full disk", l.Write(logOf(a, b)), "saving the journal of contact log", logName, "no space left")
	equal(t, "log", content(t, m, logName), textOf(a))
	m.SetFreeSpace(90) // for the journal, not for the log
	contains(t, "a disk with a little room", l.Write(logOf(a, b)), "saving contact log", "no space left")
	equal(t, "log", content(t, m, logName), textOf(a))
	m.SetFreeSpace(-1)
	write(t, l, a, b)
	equal(t, "log", content(t, m, logName), textOf(a, b))
	equal(t, "kept", l.Stored(), []nodes.StoredContact{a, b})
	m.SetFreeSpace(0)
	contains(t, "the entries that left", l.Write(logOf(b)), "saving contact log", "no space left")
	m.SetFreeSpace(-1)
	write(t, l, b)
	equal(t, "log", content(t, m, logName), textOf(b))
}

// A log of the same length that could not be written is written the next time.
func TestALogThatFailedIsTriedAgain(t *testing.T) {
	m := NewMemory()
	l := openLog(t, m)
	a, b := entry(1, 10), entry(2, 20)
	l.Add(a)
	l.Add(b)
	write(t, l, a)
	m.SetFreeSpace(0)
	contains(t, "a full disk", l.Write(logOf(b)), "saving contact log", "no space left")
	m.SetFreeSpace(-1)
	write(t, l, b)
	equal(t, "log", content(t, m, logName), textOf(b))
}

func TestASecondPhoneIsRefused(t *testing.T) {
	m := NewMemory()
	l := openLog(t, m)
	_, err := OpenContactLog(m, logName)
	contains(t, "second", err, `another client uses the contact log "z5272202_contactlog.txt"`)
	if !errors.Is(err, ErrInUse) {
		t.Errorf("%v is not ErrInUse", err)
	}
	other, err := OpenContactLog(m, "other.txt")
	if err != nil {
		t.Fatal(err)
	}
	closeAll(t, other)
	closeAll(t, l)
	closeAll(t, openLog(t, m))
}

// Add may be called during a Write.
func TestAddDuringAWrite(t *testing.T) {
	m := NewMemory()
	l := openLog(t, m)
	var all []nodes.StoredContact
	m.SetFault(func(Operation) error {
		k := entry(len(all), int64(len(all)))
		all = append(all, k)
		l.Add(k)
		return nil
	})
	for range 20 {
		write(t, l, all...)
	}
	m.SetFault(nil)
	write(t, l, all...)
	m.Crash()
	equal(t, "kept", openLog(t, m).Stored(), all)
}

// A log that was copied before entries were added lacks them. They stay in the journal, while those that have left the
// log leave it.
func TestALogWithoutTheAddedEntries(t *testing.T) {
	a, b, c := entry(1, 10), entry(2, 20), entry(3, 30)
	for _, log := range [][]nodes.StoredContact{{}, {b}, {a, b}} {
		m := NewMemory()
		l := openLog(t, m)
		l.Add(a)
		l.Add(b)
		write(t, l, a, b)
		l.Add(c)
		write(t, l, log...)
		m.Crash()
		equal(t, "kept", openLog(t, m).Stored(), append(log, c))
	}
}

// Entries of a log that were not added are in the log only.
func TestEntriesThatWereNotAdded(t *testing.T) {
	m := NewMemory()
	l := openLog(t, m)
	write(t, l, entry(1, 10))
	equal(t, "log", content(t, m, logName), textOf(entry(1, 10)))
	equal(t, "kept", l.Stored(), nil)
}

// The cost of a Write is linear in the log: ten times the entries cost ten times the
// bytes and operations.
func TestAHugeLogIsWrittenInOnePass(t *testing.T) {
	cost := func(n int) (operations, bytes int) {
		m := NewMemory()
		l := openLog(t, m)
		var all []nodes.StoredContact
		for i := range n {
			all = append(all, entry(i%7, int64(i)))
			l.Add(all[i])
		}
		write(t, l, all...)
		m.SetFault(func(o Operation) error {
			operations++
			if o.Verb == VerbWrite {
				bytes += o.Bytes
			}
			return nil
		})
		write(t, l, all[n/2:]...)
		if !slices.Equal(l.Stored(), all[n/2:]) {
			t.Errorf("of %d entries, %d are kept", n, len(l.Stored()))
		}
		return operations, bytes
	}
	o1, b1 := cost(10_000)
	o10, b10 := cost(100_000)
	if o10 > 11*o1 || b10 > 11*b1 || b10 < 9*b1 {
		t.Errorf("%d operations and %d bytes for 10,000 entries, %d and %d for 100,000", o1, b1, o10, b10)
	}
}

// An entry of the log file stays in the journal, even if it expires while nothing can
// be written. Else its reception time would become that of the file.
func TestALogThatCannotBeWrittenKeepsItsTimes(t *testing.T) {
	a, b := entry(1, 10), entry(2, 500)
	m := NewMemory()
	l := openLog(t, m)
	l.Add(a)
	write(t, l, a)
	closeAll(t, l)
	m.SetTime(startWall + 400*second)

	l = openLog(t, m)
	m.SetFreeSpace(0)
	if l.Write(logOf()) == nil {
		t.Fatal("written to a full disk")
	}
	m.SetFreeSpace(-1)
	l.Add(b)
	m.SetFault(func(o Operation) error {
		if o.Verb == VerbCreate && o.Name == logName+newSuffix {
			return errors.New("input/output error")
		}
		return nil
	})
	if l.Write(logOf(b)) == nil {
		t.Fatal("the log is written, which was to fail")
	}
	m.Crash()
	m.SetFault(nil)
	equal(t, "kept", openLog(t, m).Stored(), []nodes.StoredContact{a, b})
}

// While the disk is full, entries that have left the log are forgotten. The others
// are written once there is space.
func TestAFullDiskForgetsEntriesThatHaveLeftTheLog(t *testing.T) {
	m := NewMemory()
	l := openLog(t, m)
	l.Add(entry(0, 0))
	write(t, l, entry(0, 0))
	m.SetFreeSpace(0)
	for i := 1; i <= 1000; i++ {
		l.Add(entry(i, int64(i)))
		if err := l.Write(logOf(entry(i, int64(i)))); err == nil {
			t.Fatal("written to a full disk")
		}
		if n := len(l.known); n > 3 { // what is in the journal, the one before, and this one
			t.Fatalf("%d entries are kept after %d writes", n, i)
		}
	}
	m.SetFreeSpace(-1)
	write(t, l, entry(1000, 1000))
	closeAll(t, l)
	m.Crash()
	equal(t, "kept", openLog(t, m).Stored(), []nodes.StoredContact{entry(1000, 1000)})
}
