package files

import (
	"math"
	"testing"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
)

const second = int64(time.Second)

// entry returns beacon number n, received after a number of seconds and a nanosecond.
func entry(n int, received int64) nodes.StoredContact {
	start := protocol.LocalTime(startWall/second + int64(n))
	return nodes.StoredContact{Beacon: protocol.Beacon{TempID: tempID(n), Start: start, Expiry: start + 900},
		Received: startWall + received*second + 1}
}

// logOf returns a phone's contact log with these entries.
func logOf(kept ...nodes.StoredContact) *nodes.ContactLog {
	s := nodes.DefaultPhoneSettings()
	s.Retention = math.MaxInt64
	var p nodes.Phone
	p.Init(&s)
	p.Restore(nodes.Now{Wall: startWall + 1e6*second}, kept)
	if p.Log().Len() != len(kept) {
		panic("the test's own log has lost entries")
	}
	return p.Log()
}

func textOf(kept ...nodes.StoredContact) string { return string(logOf(kept...).AppendText(nil)) }

const logName = "z5272202_contactlog.txt"

func openLog(t testing.TB, fsys FS) *ContactLog {
	t.Helper()
	l, err := OpenContactLog(fsys, logName)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func write(t testing.TB, l *ContactLog, kept ...nodes.StoredContact) {
	t.Helper()
	if err := l.Write(logOf(kept...)); err != nil {
		t.Fatal(err)
	}
}
