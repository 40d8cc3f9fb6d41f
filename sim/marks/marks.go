// Package marks knows situations that a swarm should have been in at least now
// and then: where rules meet, and where a crash, a cut or a clock makes them hard
// to keep. A swarm that never reached one of them says nothing about it, however
// many of its runs held.
package marks

// Mark is one situation.
type Mark int

// The catalogue.
const (
	BeaconAtExpiry Mark = iota
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
	AheadGivesBack
	IssueNotSaved
	AttemptNotSaved
	UploadWithoutCount
	UploadCutAtTempID
	UploadCutAtStart
	UploadCutAtExpiry
	UploadCutAtLastLine
	UploadOfForeign
	ServerPaused
	marks // their number
)

var catalogue = [marks]struct{ name, about string }{
	{"beacon-at-expiry", "a beacon is judged in the very instant of its expiry"},
	{"beacon-at-start", "a beacon is judged in the very instant of its start"},
	{"beacon-without-version", "a beacon whose fourth part never came is judged by its fields"},
	{"beacons-interleaved", "split beacons of two phones are put together at one receiver at the same time"},
	{"beacon-kept-twice", "a phone keeps the same TempID twice"},
	{"beacon-doubled", "a datagram is doubled"},
	{"beacon-reordered", "a datagram is overtaken"},
	{"beacon-corrupted", "a datagram is changed on its way"},
	{"beacon-by-other-clock", "a beacon is valid by its receiver's clock and not by the world's"},
	{"entry-expires-while-off", "an entry reaches its retention while its phone is off"},
	{"entry-outlives-restart", "an entry is in the log of a phone that was started again"},
	{"log-partly-lost", "a phone is stopped before its disk had all of its log"},
	{"phone-stopped-in-upload", "a phone is stopped in the middle of an upload"},
	{"block-during-cut", "a network is cut while an account is blocked"},
	{"block-ends-during-cut", "a block ends while a network is cut"},
	{"block-over-restart", "the server is started again while an account is blocked"},
	{"block-over-step", "the server's clock is stepped while an account is blocked"},
	{"block-ends-while-down", "a block ends while the server is down"},
	{"refused-owner", "an account's owner is refused because somebody else guessed"},
	{"killed-while-saving", "the server is killed while it saves"},
	{"part-of-write-left", "a crash leaves a part of what was not synced"},
	{"torn-line-found", "a torn last line is found at a start"},
	{"ahead-gives-back", "TempIDs come back from the log that is written ahead"},
	{"issue-not-saved", "a TempID cannot be saved"},
	{"attempt-not-saved", "a wrong password cannot be saved"},
	{"upload-without-count", "an upload ends before its count of lines"},
	{"upload-cut-at-tempid", "an upload ends before a TempID"},
	{"upload-cut-at-start", "an upload ends before a start"},
	{"upload-cut-at-expiry", "an upload ends before an expiry"},
	{"upload-cut-at-last-line", "an upload ends before its last line"},
	{"upload-of-foreign", "an upload has a TempID that nobody was given"},
	{"server-paused", "the server is paused"},
}

// Name is a word or some, with hyphens.
func (m Mark) Name() string { return catalogue[m].name }

// About says in a sentence what the situation is.
func (m Mark) About() string { return catalogue[m].about }

// All lists the catalogue.
func All() []Mark {
	all := make([]Mark, marks)
	for i := range all {
		all[i] = Mark(i)
	}
	return all
}

// Counts is how often each situation was reached.
type Counts [marks]uint64

// Add puts the counts of another run to it.
func (c *Counts) Add(other *Counts) {
	for i := range c {
		c[i] += other[i]
	}
}
