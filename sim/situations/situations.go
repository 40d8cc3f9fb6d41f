// Package situations counts the situations that a swarm should reach: boundaries
// between rules, and crashes, partitions and clock changes at critical times. A
// swarm that never reached a situation gives no evidence about it, however many runs
// held.
package situations

// Situation is one situation of the catalogue.
type Situation int

// The situations, in the order of the reports.
const (
	BeaconAtExpiry Situation = iota
	BeaconAtStart
	BeaconWithoutVersion
	BeaconsInterleaved
	BeaconKeptTwice
	BeaconDoubled
	BeaconReordered
	BeaconCorrupted
	BeaconByOtherClock
	EntryExpiresWhileOff
	EntryOutlivesRestart
	LogPartlyLost
	PhoneStoppedInUpload
	BlockDuringCut
	BlockEndsDuringCut
	BlockOverRestart
	BlockOverStep
	BlockEndsWhileDown
	RefusedOwner
	KilledWhileSaving
	PartOfWriteLeft
	TornLineFound
	WALRestores
	IssueNotSaved
	AttemptNotSaved
	UploadWithoutCount
	UploadCutAtTempID
	UploadCutAtStart
	UploadCutAtExpiry
	UploadCutAtLastLine
	UploadOfForeign
	ServerPaused
	UploadRefused
	LoginTimedOut
	SessionIdle
	OwedAnswer
	SourceForgotten
	BlockForgotten
	ConnectionsFull
	situations // the number of them
)

var catalogue = [situations]struct{ name, about string }{
	{"beacon-at-expiry", "a beacon is judged in the very instant of its expiry"},
	{"beacon-at-start", "a beacon is judged in the very instant of its start"},
	{"beacon-without-version", "a beacon whose fourth part never came is judged by its fields"},
	{"beacons-interleaved", "one receiver assembles split beacons of two phones at the same time"},
	{"beacon-kept-twice", "a phone stores the same TempID twice"},
	{"beacon-doubled", "a datagram is duplicated"},
	{"beacon-reordered", "a datagram is reordered"},
	{"beacon-corrupted", "a datagram is corrupted"},
	{"beacon-by-other-clock", "a beacon is valid by the clock of its receiver and invalid by the clock of the world"},
	{"entry-expires-while-off", "an entry reaches its retention while its phone is off"},
	{"entry-outlives-restart", "an entry is in the log of a phone that was started again"},
	{"log-partly-lost", "a phone stops before its disk holds all of its log"},
	{"phone-stopped-in-upload", "a phone stops in the middle of an upload"},
	{"block-during-cut", "a partition is in force while an account is blocked"},
	{"block-ends-during-cut", "a block ends during a partition"},
	{"block-over-restart", "the server is started again while an account is blocked"},
	{"block-over-step", "the server's clock is stepped while an account is blocked"},
	{"block-ends-while-down", "a block ends while the server is down"},
	{"refused-owner", "the owner of an account is refused because of another user's guesses"},
	{"killed-while-saving", "the server is killed during a write"},
	{"part-of-write-left", "a crash leaves a part of the unsynced bytes"},
	{"torn-line-found", "a torn last line is found at a start"},
	{"ahead-gives-back", "TempIDs are recovered from the write-ahead log"},
	{"issue-not-saved", "a TempID cannot be saved"},
	{"attempt-not-saved", "a wrong password cannot be saved"},
	{"upload-without-count", "an upload ends before its count of lines"},
	{"upload-cut-at-tempid", "an upload ends before a TempID"},
	{"upload-cut-at-start", "an upload ends before a start"},
	{"upload-cut-at-expiry", "an upload ends before an expiry"},
	{"upload-cut-at-last-line", "an upload ends before its last line"},
	{"upload-of-foreign", "an upload has a TempID that was never issued"},
	{"server-paused", "the server is paused"},
	{"upload-refused", "the server refuses the count of an upload"},
	{"login-timed-out", "the server closes a session that did not log in for too long"},
	{"session-idle", "the server closes a session that was idle for too long"},
	{"owed-answer", "a TempID reaches a phone that has given up waiting for it"},
	{"source-forgotten", "one address has more sources than a phone keeps"},
	{"block-forgotten", "the server forgets a blocked name without an account because there are too many"},
	{"connections-full", "the server closes a session because there are too many"},
}

// Name returns the name of the situation: words joined by hyphens.
func (s Situation) Name() string { return catalogue[s].name }

// About describes the situation in a sentence.
func (s Situation) About() string { return catalogue[s].about }

// All lists the catalogue.
func All() []Situation {
	all := make([]Situation, situations)
	for i := range all {
		all[i] = Situation(i)
	}
	return all
}

// Counts is the number of times that each situation was reached.
type Counts [situations]uint64

// Add adds the counts of another run.
func (c *Counts) Add(other *Counts) {
	for i := range c {
		c[i] += other[i]
	}
}
