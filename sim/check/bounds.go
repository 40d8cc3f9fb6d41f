package check

import (
	"fmt"

	"bluetrace/protocol"
	"bluetrace/sim/world"
)

// Bounds of the files, in bytes.
const (
	logEntrySize     = protocol.TempIDSize + 1 + 2*(protocol.TimeSize+1)
	journalHeadSize  = 32
	journalEntrySize = logEntrySize + 20 // with the reception
	attemptsHeadSize = 128
	attemptsLineSize = 96 // and three times a name
	attemptsSlack    = 64 // lines beyond twice the names, and for each failure of the disk
)

// ServerHolds checks the state of a server that has no work left: no session
// outlives its connection, no state belongs to a closed session, and its files,
// except tempIDs.txt, are bounded by their content.
func (v *Invariants) ServerHolds(at int64, h world.ServerHolds) {
	unknown := v.accounts.unknownLogins
	for _, b := range []struct {
		bound int64
		of    string
		found int64
	}{
		{int64(h.Connections), "open sessions, one for each connection", int64(h.Sessions)},
		{int64(h.Sessions), "sessions with a time limit, all of them", int64(h.WithDeadline)},
		{int64(h.UnansweredStores), "awaited writes, as many as are in progress", int64(h.PendingStores)},
		{int64(h.UploadBytes), "bytes of uploads, those of uploads in progress", int64(h.CountedUploadBytes)},
	} {
		v.evaluated[NothingGrows]++
		if b.found != b.bound {
			v.violateBound(at, -1, fmt.Sprintf("%d %s", b.bound, b.of), b.found)
		}
	}
	v.evaluated[NothingGrows] += 2
	if h.UnknownNames > unknown {
		expected := fmt.Sprintf("at most the %d names that were tried without an account", unknown)
		v.violateBound(at, -1, expected, int64(h.UnknownNames))
	}
	names := unknown + len(v.accounts.known)
	lines := 2*names + attemptsSlack*(1+h.DiskFailures)
	if bound := int64(attemptsHeadSize + lines*(attemptsLineSize+3*v.accounts.longest)); h.AttemptsFile > bound {
		expected := fmt.Sprintf("at most %d bytes of attempts.txt, for %d names", bound, names)
		v.violateBound(at, -1, expected, h.AttemptsFile)
	}
}

// PhoneHolds checks the disk of a phone that has written its log: it holds the
// entries of the log and no others.
func (v *Invariants) PhoneHolds(at int64, phone uint32, h world.PhoneHolds) {
	v.evaluated[NothingGrows] += 3
	entries := int64(v.logs.length(at, phone))
	text := entriesText(int(entries))
	if int64(h.Entries) > entries {
		v.violateBound(at, int(phone), "at most the entries of the log in the journal: "+text, int64(h.Entries))
	}
	if h.LogFile > entries*logEntrySize {
		expected := fmt.Sprintf("at most %d bytes of a log of %s", entries*logEntrySize, text)
		v.violateBound(at, int(phone), expected, h.LogFile)
	}
	if bound := journalHeadSize + entries*journalEntrySize; h.Journal > bound {
		v.violateBound(at, int(phone), fmt.Sprintf("at most %d bytes of the journal of %s", bound, text), h.Journal)
	}
}

func (v *Invariants) violateBound(at int64, phone int, expected string, found int64) {
	v.violate(NothingGrows, at, phone, expected, fmt.Sprint(found))
}
