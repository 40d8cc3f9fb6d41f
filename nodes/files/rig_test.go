package files

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/google/go-cmp/cmp"

	"bluetrace/nodes"
	"bluetrace/protocol"
)

// startWall is 23/11/2026 06:32:38 UTC.
var startWall = time.Date(2026, 11, 23, 6, 32, 38, 0, time.UTC).UnixNano()

// smallWAL has space for the lines of three TempIDs in three batches, or of four in
// one.
const smallWAL = 330

func options() ServerOptions {
	return ServerOptions{Zone: protocol.NewZone(time.UTC),
		Entropy: strings.NewReader(strings.Repeat("key of unknown names", 8)), WALSize: smallWAL}
}

func openServer(t testing.TB, fsys FS) *Server {
	t.Helper()
	s, err := OpenServer(fsys, options())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// issue returns TempID number n of a user, issued n seconds after startWall.
func issue(user string, n int) nodes.Record {
	start := startWall/int64(time.Second) + int64(n)
	return nodes.Record{Kind: nodes.RecordIssue, Issue: nodes.Issue{User: user, TempID: tempID(n), Start: start,
		Expiry: start + 900}}
}

func tempID(n int) protocol.TempID {
	return protocol.TempID([]byte(fmt.Sprintf("1%019d", n)))
}

func wrong(user string, n int) nodes.Record {
	return nodes.Record{Kind: nodes.RecordAttempts, Attempts: nodes.Attempts{Known: true, User: user, Wrong: n}}
}

func unknownName(n byte, wrong int) nodes.Record {
	return nodes.Record{Kind: nodes.RecordAttempts, Attempts: nodes.Attempts{Hash: [16]byte{n, 1: 0xab}, Wrong: wrong}}
}

func blocked(user string) nodes.Record {
	return nodes.Record{Kind: nodes.RecordAttempts, Attempts: nodes.Attempts{Known: true, User: user,
		BlockedUntil: startWall + int64(time.Minute) + 1, BlockDuration: time.Minute}}
}

func store(t testing.TB, s *Server, records ...nodes.Record) {
	t.Helper()
	if issues, attempts := s.Store(records); issues != nil || attempts != nil {
		t.Fatalf("storing: %v, %v", issues, attempts)
	}
}

// restoredRecords returns the records of a folder for a server that starts.
func restoredRecords(t testing.TB, s *Server) []nodes.Record {
	t.Helper()
	var all []nodes.Record
	if err := s.Restore(startWall, func(r nodes.Record) error {
		all = append(all, r)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

func content(t testing.TB, m *Memory, name string) string {
	t.Helper()
	p, err := m.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(p)
}

func equal[T any](t testing.TB, what string, got, want T) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

// contains checks that an error has all these texts.
func contains(t testing.TB, what string, err error, texts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error, want one with %q", what, texts)
		return
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %q, want %q in it", what, err, text)
		}
	}
}

func closeAll(t testing.TB, c interface{ Close() error }) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Errorf("closing: %v", err)
	}
}

// wholeLines returns an error about a file that is not empty and has no line feed at
// its end.
func wholeLines(p []byte) error {
	if len(p) > 0 && !bytes.HasSuffix(p, []byte("\n")) {
		return errors.New("it does not end with a line feed")
	}
	return nil
}
