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
	attemptsLineSize = 96 // of a line without its name; a byte of a name takes up to three
)

// attemptsSlack is the number of lines that attempts.txt may have beyond two for each name. Each failure of the disk
// allows as many again.
const attemptsSlack = 64

// ServerHolds checks the state of a server that has no work left: no session outlives its connection, no state belongs
// to a closed session, and the size of each file except tempIDs.txt is bounded by its content.
func (v *Invariants) ServerHolds(at int64, h world.ServerHolds) {
	unknown := v.accounts.unknownLogins
	check := func(held bool, found any, expected string, args ...any) {
		v.checkBound(at, -1, held, found, expected, args...)
	}
	check(h.Sessions == h.Connections, h.Sessions, "%d open sessions, one for each connection", h.Connections)
	check(h.WithDeadline == h.Sessions, h.WithDeadline, "%d sessions with a time limit, all of them", h.Sessions)
	check(h.PendingStores == h.UnansweredStores, h.PendingStores,
		"%d awaited writes, as many as are in progress", h.UnansweredStores)
	check(h.CountedUploadBytes == h.UploadBytes, h.CountedUploadBytes,
		"%d bytes of uploads, those of uploads in progress", h.UploadBytes)
	check(h.UnknownNames <= unknown, h.UnknownNames,
		"at most the %d names that were tried without an account", unknown)
	check(h.UnknownNames-h.BlockedNames <= unknownNames, h.UnknownNames-h.BlockedNames,
		"at most %d names without an account and without a block", unknownNames)
	names := unknown + v.accounts.known
	lines := 2*names + attemptsSlack*(1+h.DiskFailures)
	bound := int64(attemptsHeadSize + lines*(attemptsLineSize+3*v.accounts.longest))
	check(h.AttemptsFile <= bound, h.AttemptsFile, "at most %d bytes of attempts.txt, for %d names", bound, names)
}

// PhoneHolds checks the disk of a phone that has written its log: the disk holds entries of the log only, and its files
// are not larger than these entries.
func (v *Invariants) PhoneHolds(at int64, phone uint32, h world.PhoneHolds) {
	entries := v.logs.length(at, phone)
	text := entriesText(entries)
	check := func(held bool, found any, expected string, args ...any) {
		v.checkBound(at, int(phone), held, found, expected, args...)
	}
	check(h.Entries <= entries, h.Entries, "at most the entries of the log in the journal: %s", text)
	logFile, journal := int64(entries*logEntrySize), int64(journalHeadSize+entries*journalEntrySize)
	check(h.LogFile <= logFile, h.LogFile, "at most %d bytes of a log of %s", logFile, text)
	check(h.Journal <= journal, h.Journal, "at most %d bytes of the journal of %s", journal, text)
}

// checkBound evaluates one bound of NothingGrows. held reports whether the bound holds for the value found; expected is
// a format that describes the bound. phone is -1 for the server.
func (v *Invariants) checkBound(at int64, phone int, held bool, found any, expected string, args ...any) {
	v.evaluated[NothingGrows]++
	if !held {
		v.violate(NothingGrows, at, phone, fmt.Sprintf(expected, args...), fmt.Sprint(found))
	}
}
