package check

import (
	"fmt"

	"bluetrace/protocol"
	"bluetrace/sim/world"
)

// Bounds of what is kept on a disk, in bytes.
const (
	logEntry     = protocol.TempIDSize + 1 + 2*(protocol.TimeSize+1)
	journalHead  = 32
	journalEntry = logEntry + 20 // with a reception
	attemptsHead = 128
	attemptsLine = 96 // and three times a name
	attemptSlack = 64 // lines more than twice the names, and for each failure of the disk
)

// ServerHolds looks at what the server holds at a moment when it has nothing left
// to do: no session outlives its connection, nothing is held for one that is gone,
// and its files, but for tempIDs.txt, are as long as what they hold.
func (v *Invariants) ServerHolds(at int64, h world.ServerHolds) {
	names := v.accounts.strangers
	for _, b := range []struct {
		what         string
		found, bound int64
	}{
		{"sessions that are open, with as many connections", int64(h.Sessions), int64(h.Connections)},
		{"sessions with a time limit, of so many", int64(h.WithDeadline), int64(h.Sessions)},
		{"writes that are awaited, with as many on their way", int64(h.PendingStores), int64(h.OnTheirWay)},
		{"bytes of uploads, of those that uploads under way have", int64(h.CountedUploadBytes), int64(h.UploadBytes)},
	} {
		v.times[NothingGrows]++
		if b.found != b.bound {
			v.grows(at, -1, fmt.Sprintf("%d %s", b.bound, b.what), b.found)
		}
	}
	v.times[NothingGrows] += 2
	if h.UnknownNames > names {
		v.grows(at, -1, fmt.Sprintf("no more than the %d names that were tried without an account", names), int64(h.UnknownNames))
	}
	lines := 2*(names+len(v.accounts.known)) + attemptSlack*(1+h.DiskFailures)
	if bound := int64(attemptsHead + lines*(attemptsLine+3*v.accounts.longest)); h.AttemptsFile > bound {
		v.grows(at, -1, fmt.Sprintf("no more than %d bytes of attempts.txt, for %d names", bound, names+len(v.accounts.known)), h.AttemptsFile)
	}
}

// PhoneHolds looks at the disk of a phone that has brought its log there: it has
// what the log has, and nothing of what has left it.
func (v *Invariants) PhoneHolds(at int64, phone uint32, h world.PhoneHolds) {
	v.times[NothingGrows] += 3
	entries := int64(v.logs.length(at, phone))
	if h.Kept > int(entries) {
		v.grows(at, int(phone), "a journal of no more than the log has: "+entriesText(int(entries)), int64(h.Kept))
	}
	if h.LogFile > entries*logEntry {
		v.grows(at, int(phone), fmt.Sprintf("no more than %d bytes of a log of %s", entries*logEntry, entriesText(int(entries))), h.LogFile)
	}
	if bound := journalHead + entries*journalEntry; h.Journal > bound {
		v.grows(at, int(phone), fmt.Sprintf("no more than %d bytes of the journal of %s", bound, entriesText(int(entries))), h.Journal)
	}
}

func (v *Invariants) grows(at int64, phone int, expected string, found int64) {
	v.violate(NothingGrows, at, phone, expected, fmt.Sprint(found))
}

// length is how many entries a phone's log has by the model.
func (l *logs) length(at int64, phone uint32) int {
	l.advance(at)
	if o := l.owned[phone]; o != nil {
		return len(o.entries)
	}
	return int(l.phones[phone].count)
}
