package files

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
)

func TestASecondServerIsRefused(t *testing.T) {
	m := NewMemory()
	s := openServer(t, m)
	_, err := OpenServer(m, options())
	contains(t, "second", err, "another server uses this folder", "tempIDs.txt.lock")
	closeAll(t, s)
	closeAll(t, openServer(t, m))
	openServer(t, m)
	m.Kill()
	closeAll(t, openServer(t, m))
}

func TestNothingIsWrittenAfterClose(t *testing.T) {
	m := NewMemory()
	s, l := openServer(t, m), openLog(t, m)
	for range 2 {
		closeAll(t, s)
		closeAll(t, l)
	}
	issues, attempts := s.Store([]nodes.Record{issue(alice, 1), wrong(alice, 1)})
	for _, err := range []error{issues, attempts, l.Write(logOf())} {
		if !errors.Is(err, fs.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	}
	equal(t, "files", len(m.names), 0)
}

func TestOptionsAreRequired(t *testing.T) {
	_, err := OpenServer(NewMemory(), ServerOptions{Zone: protocol.NewZone(time.UTC)})
	contains(t, "no entropy", err, "entropy")
	_, err = OpenServer(NewMemory(), ServerOptions{Entropy: strings.NewReader("")})
	contains(t, "no zone", err, "zone")
}

// A folder in which nothing was stored has no files but the lock.
func TestNothingIsWrittenBeforeItIsNeeded(t *testing.T) {
	m := NewMemory()
	s := openServer(t, m)
	equal(t, "restored", restoredRecords(t, s), nil)
	store(t, s)
	closeAll(t, s)
	for name := range m.names {
		t.Errorf("there is a file %q", name)
	}
}

// A file that cannot be read is reported at the start, not at the first login.
func TestUnreadableFilesStopTheStart(t *testing.T) {
	for _, name := range []string{tempIDsName, attemptsName} {
		for _, verb := range []Verb{VerbStat, VerbOpen, VerbAppend, VerbRead} {
			m := NewMemory()
			s := openServer(t, m)
			store(t, s, issue(alice, 1), wrong(alice, 1))
			closeAll(t, s)
			m.SetFault(func(o Operation) error {
				if o.Verb == verb && o.Name == name {
					return errFault
				}
				return nil
			})
			s, err := OpenServer(m, options())
			if err == nil {
				err = s.Restore(0, func(nodes.Record) error { return nil })
			}
			if name == attemptsName && verb == VerbAppend { // it is only opened for writing when it is written anew
				if err != nil {
					t.Errorf("%v %s: %v", verb, name, err)
				}
				continue
			}
			contains(t, string(verb)+" "+name, err, name, "the test's fault")
			if !errors.Is(err, errFault) {
				t.Errorf("%v does not wrap its cause", err)
			}
		}
	}
}

// Credentials does not wait for a Store.
func TestCredentialsDoNotWaitForTheDisk(t *testing.T) {
	m := NewMemory()
	m.WriteFile(credentialsName, []byte("a b\n"), 0o644)
	s := openServer(t, m)
	var wait sync.WaitGroup
	for g := range 4 {
		wait.Go(func() {
			for i := range 100 {
				store(t, s, issue(alice, 1000*g+i), wrong(alice, 1+i%2))
				if list, _, err := s.Credentials(); err != nil || len(list) != 1 {
					t.Errorf("%v, %v", list, err)
				}
				s.Notes()
			}
		})
	}
	wait.Wait()
	equal(t, "records", len(restoredRecords(t, s)), 401)
}

func TestNotesAreBounded(t *testing.T) {
	var n notes
	for range maxNotes + 7 {
		n.add("x")
	}
	lines := n.take()
	equal(t, "notes", len(lines), maxNotes+1)
	equal(t, "last", lines[maxNotes].Text, "and 7 more notes about files")
	for range maxNotes {
		n.add("x")
	}
	equal(t, "as many as are kept, after notes that were taken", len(n.take()), maxNotes)
}

// Of the malformed lines of a file, the first five are noted one by one.
func TestNotesOnMalformedLinesAreBounded(t *testing.T) {
	for lines, last := range map[int]string{5: "x line 5 is bad", 6: "x: 1 more such lines"} {
		var n notes
		bad := malformedLines{notes: &n, file: "x"}
		for i := range lines {
			bad.add(i+1, "is bad")
		}
		bad.finish()
		list := texts(n.take())
		equal(t, "notes", len(list), lines)
		equal(t, "last", list[lines-1], last)
	}
}

// A quarantined file gets the first free of 999 names.
func TestQuarantineNamesAreBounded(t *testing.T) {
	m := NewMemory()
	for i := range 998 {
		name, err := freeName(m, "x.damaged")
		must(t, err)
		want := "x.damaged"
		if i > 0 {
			want = fmt.Sprintf("x.damaged-%d", i+1)
		}
		equal(t, "name", name, want)
		m.WriteFile(name, nil, 0o600)
	}
	name, err := freeName(m, "x.damaged")
	must(t, err)
	equal(t, "the last name", name, "x.damaged-999")
	m.WriteFile(name, nil, 0o600)
	_, err = freeName(m, "x.damaged")
	contains(t, "all names are taken", err, `there are 999 files "x.damaged" to "x.damaged-1000" already`)
}
