package files

import (
	"bytes"
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

// A file with other contents is refused by name and stays as it is, with no new file
// beside it.
func TestAnotherFileIsNotAContactLog(t *testing.T) {
	const entry = "10000000000000000001\n23/11/2026 06:32:39\n23/11/2026 06:47:39\n"
	const part = " is no part of an entry (TempID, start and expiry on three lines)"
	const mark = `"log.txt.journal" is no contact log's journal: its first line is not "bluetrace contact journal 1"`
	tests := []struct{ title, log, journal, want string }{
		{"accounts", "+61410888888 comp3331\n", "", `"log.txt" is no contact log: its line 1` + part},
		{"a line behind entries", entry + "hello", "", `"log.txt" is no contact log: its line 4` + part},
		{"an entry cut off", entry + entry[:30], "", `"log.txt" is no contact log: its line 4` + part},
		{"an empty line", "\n" + entry, "", `"log.txt" is no contact log: its line 1` + part},
		{"zeros", "\x00\x00", "", `"log.txt" is no contact log: its line 1` + part},
		{"a journal of something else", entry, "dear diary\n", mark},
		{"a journal of another version", entry, "bluetrace contact journal 2\n", mark},
	}
	for _, test := range tests {
		t.Run(test.title, func(t *testing.T) {
			dir := t.TempDir()
			names := []string{"log.txt"}
			write := func(name, text string) {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			write("log.txt", test.log)
			if test.journal != "" {
				write("log.txt.journal", test.journal)
				names = append(names, "log.txt.journal")
			}
			_, err := OpenContactLog(Disk(dir), "log.txt")
			if !errors.Is(err, ErrNotContactLog) {
				t.Fatalf("%v is not ErrNotContactLog", err)
			}
			equal(t, "error", strings.ReplaceAll(err.Error(), dir+"/", ""), test.want)
			equal(t, "files", namesIn(t, dir), names)
			equal(t, "log", fileIn(t, dir, "log.txt"), test.log)
		})
	}
}

func TestAFolderIsNoContactLog(t *testing.T) {
	dir := t.TempDir()
	_, err := OpenContactLog(Disk(dir), ".")
	contains(t, "a folder", err, fmt.Sprintf("%q is no contact log: it is no regular file", dir))
	equal(t, "files", namesIn(t, dir), nil)
}

func namesIn(t testing.TB, dir string) (names []string) {
	t.Helper()
	all, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		names = append(names, e.Name())
	}
	return names
}

func fileIn(t testing.TB, dir, name string) string {
	t.Helper()
	p, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(p)
}

// With a journal, malformed lines are quarantined before a file is replaced. No
// entry outlives its retention that way.
func TestMalformedLinesOfALogAreQuarantined(t *testing.T) {
	a, b := entry(1, 10), entry(2, 20)
	long := strings.Repeat("9", 3*lineBuffer) + "\r\n"
	log := "hello\n" + textOf(a) + long + "\x00\n" + textOf(b) + "the end"
	journal := journalHeader + "\n" + string(appendJournalLine(nil, &a)) + "x y\n" +
		string(appendJournalLine(nil, &b)) + "torn"
	m := NewMemory()
	m.WriteFile(logName, []byte(log), 0o600)
	m.WriteFile(logName+journalSuffix, []byte(journal), 0o644)
	m.WriteFile(logName+damagedSuffix, []byte("an older one"), 0o644)
	l := openLog(t, m)
	equal(t, "kept", l.Stored(), []nodes.StoredContact{a, b})
	equal(t, "notes at the start", len(l.Notes()), 6)
	equal(t, "the log before a Write", content(t, m, logName), log)
	write(t, l, b)
	equal(t, "notes", texts(l.Notes()), []string{
		`"z5272202_contactlog.txt.journal" was damaged: the lines that were dropped are kept as ` +
			`z5272202_contactlog.txt.journal.damaged`,
		`"z5272202_contactlog.txt" was damaged: the lines that were dropped are kept as ` +
			`z5272202_contactlog.txt.damaged-2`,
	})
	m.Crash()
	equal(t, "log", content(t, m, logName), textOf(b))
	equal(t, "aside", content(t, m, logName+".damaged-2"), "hello\n"+long+"\x00\nthe end")
	equal(t, "aside of the journal", content(t, m, logName+".journal.damaged"), "x y\n")
	equal(t, "older", content(t, m, logName+damagedSuffix), "an older one")
	if st, _ := m.Stat(logName + ".damaged-2"); st.Mode != 0o600 {
		t.Errorf("mode %v", st.Mode)
	}
	write(t, l)
	_, err := m.Stat(logName + ".damaged-3")
	equal(t, "put aside once", errors.Is(err, fs.ErrNotExist), true)
}

func TestMalformedLinesStayWithoutQuarantine(t *testing.T) {
	a := entry(1, 10)
	log := "hello\n" + textOf(a)
	m := NewMemory()
	m.WriteFile(logName, []byte(log), 0o644)
	m.WriteFile(logName+journalSuffix, []byte(journalHeader+"\n"), 0o644)
	l := openLog(t, m)
	m.SetFreeSpace(3)
	contains(t, "a full disk", l.Write(logOf(a)), `keeping what is damaged in "z5272202_contactlog.txt"`,
		"no space left")
	equal(t, "log", content(t, m, logName), log)
	m.SetFreeSpace(-1)
	write(t, l, a)
	equal(t, "aside", content(t, m, logName+damagedSuffix), "hello\n")
}

// After any crash, the malformed line is in the log or in quarantine.
func TestMalformedLinesSurviveACrashAnywhere(t *testing.T) {
	t.Parallel()
	a := entry(1, 10)
	m := NewMemory()
	m.WriteFile(logName, []byte("hello\n"+textOf(a)), 0o644)
	m.WriteFile(logName+journalSuffix, slices.Concat([]byte(journalHeader+"\n"), appendJournalLine(nil, &a)), 0o644)
	everyCrash(t, m, everyCut, writing([]nodes.StoredContact{a}, []logChange{{log: []nodes.StoredContact{a}}, {}}),
		func(left *Memory, _ *saved) error {
			for _, name := range []string{logName, logName + damagedSuffix} {
				if p, _ := left.ReadFile(name); bytes.Contains(p, []byte("hello\n")) {
					return nil
				}
			}
			return errors.New("the damaged line is nowhere")
		})
}
