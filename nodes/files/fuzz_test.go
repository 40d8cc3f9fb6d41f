package files

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
)

// A line that is accepted is one that the server writes, except for a space and a
// carriage return at its end.
func FuzzIssueLine(f *testing.F) {
	for _, line := range []string{aliceLine, aliceLine + " ", aliceLine + " \r", unfinished[:30], "", "Zoë" +
		aliceLine[len(alice):]} {
		f.Add([]byte(line))
	}
	z := protocol.NewZone(time.UTC)
	f.Fuzz(func(t *testing.T, line []byte) {
		r, err := parseRecord(line, newPairs(z, startWall), map[string]string{})
		if err != nil {
			return
		}
		again, err := appendIssue(nil, &r.Issue, z)
		if err != nil {
			t.Fatalf("%q was taken, and cannot be written: %v", line, err)
		}
		again = again[:len(again)-1]
		if tail, ok := bytes.CutPrefix(line, again); !ok || !strings.Contains("\x00 \x00\r\x00 \r\x00",
			"\x00"+string(tail)+"\x00") && len(tail) > 0 {
			t.Fatalf("%q was taken, and is written as %q", line, again)
		}
	})
}

func FuzzAttemptsLine(f *testing.F) {
	for _, line := range []string{"known +61410888888 2 0 0",
		"unknown feab0000000000000000000000000000 0 5 60000000000", "known a%20b%0A%25 1 0 0", "known  1 0 0",
		firstRow} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		if a, err := parseAttempts(line); err == nil {
			if again := appendAttempts(nil, &a); string(again) != string(line)+"\n" ||
				bytes.IndexByte(line, '\n') >= 0 {
				t.Fatalf("%q was taken, and is written as %q", line, again)
			}
		}
		if key, ok := parseKey(line); ok && string(appendKey(nil, key)) != string(line)+"\n" {
			t.Fatalf("the key line %q is written as %q", line, appendKey(nil, key))
		}
		a := nodes.Attempts{Known: true, User: string(line), Wrong: 1}
		if checkAttempts(&a) != nil {
			return
		}
		written := appendAttempts(nil, &a)
		if again, err := parseAttempts(written[:len(written)-1]); err != nil || again != a {
			t.Fatalf("the name %q comes back as %q, %v", line, again.User, err)
		}
	})
}

// The server starts with any attempts.txt, and reads the same states again.
func FuzzAttemptsFile(f *testing.F) {
	f.Add([]byte(firstRow + "known +61410888888 2 0 0\nunknown feab0000000000000000000000000000 0 5 " +
		"60000000000\nknown x"))
	f.Add([]byte("known a 1 0 0\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		m := NewMemory()
		m.WriteFile(attemptsName, text, 0o600)
		s := openServer(t, m)
		got := restoredRecords(t, s)
		closeAll(t, s)
		s = openServer(t, m)
		equal(t, "read again", restoredRecords(t, s), got)
	})
}

func FuzzCredentials(f *testing.F) {
	f.Add([]byte("+61410888888 comp3331\r\n\n+61410999999 comp9331"))
	f.Add([]byte("\ufeffa b\nc d e\n f\n"))
	f.Add([]byte("a b\na c\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		m := NewMemory()
		m.WriteFile(credentialsName, text, 0o600)
		s := openServer(t, m)
		list, _, err := s.Credentials()
		if (err == nil) != (len(list) > 0) {
			t.Fatalf("%d accounts, and %v", len(list), err)
		}
		for _, c := range list {
			if !isPlain([]byte(c.User)) || c.Password == "" || strings.ContainsAny(c.Password, " \n") {
				t.Fatalf("account %q with password %q", c.User, c.Password)
			}
			if !bytes.Contains(text, []byte(c.User+" "+c.Password)) {
				t.Fatalf("%q %q is not in the file", c.User, c.Password)
			}
		}
		strictly, err := ReadCredentials(bytes.NewReader(text))
		if remarks := s.Notes(); (err == nil) != (len(list) > 0 && remarks == nil) {
			t.Fatalf("the server takes %d accounts with the remarks %q, and strictly it is %v", len(list), remarks, err)
		}
		if err == nil {
			equal(t, "accounts read strictly", strictly, list)
		}
	})
}

// With any contents, the two files are refused and unchanged, or their entries are
// the same after a Write and nothing else of the log is lost.
func FuzzContactLog(f *testing.F) {
	k := entry(1, 0)
	line := string(appendJournalLine(nil, &k))
	f.Add([]byte(textOf(k, entry(2, 0))), []byte(journalHeader+"\n"+line))
	f.Add([]byte("x\n"+textOf(k)), []byte(line+line[:50]))
	f.Fuzz(func(t *testing.T, log, journal []byte) {
		m := NewMemory()
		m.WriteFile(logName, log, 0o644)
		m.WriteFile(logName+journalSuffix, journal, 0o644)
		l, err := OpenContactLog(m, logName)
		if err != nil {
			if !errors.Is(err, ErrNotContactLog) || content(t, m, logName) != string(log) ||
				content(t, m, logName+journalSuffix) != string(journal) {
				t.Fatalf("%v; there is %q and %q", err, content(t, m, logName), content(t, m, logName+journalSuffix))
			}
			return
		}
		kept := l.Stored()
		if len(kept) > (len(log)+len(journal))/58 {
			t.Fatalf("%d entries of %d and %d bytes", len(kept), len(log), len(journal))
		}
		write(t, l, kept...)
		if aside, _ := m.ReadFile(logName + damagedSuffix); len(log) > len(aside)+64*len(kept) {
			t.Fatalf("%d bytes of log became %d entries, and %q", len(log), len(kept), aside)
		}
		closeAll(t, l)
		l = openLog(t, m)
		equal(t, "kept", l.Stored(), kept)
		equal(t, "notes", texts(l.Notes()), nil)
		equal(t, "log", content(t, m, logName), textOf(kept...))
	})
}

func FuzzJournalLine(f *testing.F) {
	k := entry(1, 0)
	line := appendJournalLine(nil, &k)
	f.Add(line[:len(line)-1])
	f.Fuzz(func(t *testing.T, line []byte) {
		if k, err := parseJournalLine(line); err == nil {
			if again := appendJournalLine(nil, &k); string(again) != string(line)+"\n" {
				t.Fatalf("%q was taken, and is written as %q", line, again)
			}
		}
	})
}

// With any end of tempIDs.txt, a stored line has a line of its own afterwards, every
// complete line is unchanged, and nothing is lost.
func FuzzTornTempIDs(f *testing.F) {
	f.Add([]byte(aliceLine + "\n" + unfinished))
	f.Add([]byte(unfinished[:40]))
	f.Add([]byte("a\r\n\x00"))
	f.Fuzz(func(t *testing.T, text []byte) {
		m := NewMemory()
		m.WriteFile(tempIDsName, text, 0o644)
		s := openServer(t, m)
		store(t, s, issue(alice, 1))
		got := content(t, m, tempIDsName)
		if !strings.HasSuffix("\n"+got, "\n"+aliceLine+"\n") {
			t.Fatalf("%q became %q", text, got)
		}
		whole := text[:bytes.LastIndexByte(text, '\n')+1]
		rest := text[len(whole):]
		torn, _ := m.ReadFile(tornName)
		switch {
		case !strings.HasPrefix(got, string(whole)):
			t.Fatalf("%q became %q", text, got)
		case len(rest) == 0 && torn == nil:
		case got == string(text)+"\n"+aliceLine+"\n" && torn == nil:
		case got == string(whole)+aliceLine+"\n" && string(torn) == string(rest)+"\n":
		default:
			t.Fatalf("%q became %q, and %q", text, got, torn)
		}
	})
}
