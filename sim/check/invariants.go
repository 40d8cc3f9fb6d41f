// Package check holds what must be true of a run: invariants that are looked
// at on every event, the expectations of a scenario, and its thresholds.
//
// The invariants are a second, simpler model beside the system: they read the
// bytes on the wire and the lines on the screens, count for themselves, and
// never ask the server or a phone what it thinks.
package check

import (
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/reports"
	"bluetrace/sim/world"
)

// Invariant names one.
type Invariant int

// The invariants, in the order of their reports.
const (
	NoWelcomeDuringBlock Invariant = iota
	BlockLastsExactly
	ThirdWrongBlocks
	NothingStays
	NothingLeavesEarly
	NothingInvalidKept
	NothingValidMissing
	IssuedOnce
	ResolvesToOwner
	DatagramsBalance
	TempIDsOutlive
	UploadsWhole
	LogsOutlive
	FaultsEnd
	PasswordsAnswered
	AskedOnce
	NothingGrows
	TempIDStays
	invariants // their number
)

var names = [invariants]string{
	"nobody is welcomed during a block",
	"a block lasts exactly block_duration",
	"the third wrong password in a row blocks, and no other",
	"no entry is in a log at or past its retention",
	"no entry leaves a log before its retention",
	"nothing invalid is kept",
	"nothing valid is missing",
	"every TempID was issued once",
	"every TempID resolves to its owner",
	"datagrams: sent = delivered + lost + in flight",
	"no TempID that was sent is lost by a restart",
	"an upload whose last line is acknowledged is told of whole",
	"what a phone's disk holds outlives its program, never its retention",
	"a fault does nothing once it is over",
	"every password is answered, also one that could not be saved",
	"a program sends what was typed, once",
	"nothing grows without bound but tempIDs.txt",
	"who was given a TempID is not told to have none",
}

func (i Invariant) String() string { return names[i] }

// Violation is the first time that an invariant did not hold.
type Violation struct {
	Invariant Invariant
	At        int64 // virtual nanoseconds
	Phone     int   // whom it concerns; -1: nobody alone
	Expected  string
	Found     string
}

// Rules are the settings that the invariants hold a run to.
type Rules struct {
	Start         int64 // wall time at virtual time zero, Unix seconds
	Location      *time.Location
	BlockDuration time.Duration
	Lifetime      time.Duration // of a TempID
	Accounts      map[string]string
	Retention     []time.Duration // of each phone
}

// Invariants watches a run. Its zero value is not ready: use New.
type Invariants struct {
	rules    Rules
	times    [invariants]uint64
	failed   [invariants]bool
	violated func(Violation)

	accounts accounts
	logs     logs
	tempIDs  tempIDs
	flights  flights
	uploads  uploads
	asked    asked
	blocks   blockTexts
}

var _ world.Watcher = (*Invariants)(nil)

// New makes the watcher of one run. violated is called once for each invariant
// that does not hold, at its first violation.
func New(r Rules, violated func(Violation)) *Invariants {
	v := &Invariants{rules: r, violated: violated}
	v.accounts.init(v)
	v.logs.init(v)
	v.tempIDs.init(v)
	v.flights.v = v
	v.uploads.v = v
	return v
}

// Times says how often the invariant was looked at.
func (v *Invariants) Times(i Invariant) uint64 { return v.times[i] }

// All lists the invariants in the order of their reports.
func All() []Invariant {
	all := make([]Invariant, invariants)
	for i := range all {
		all[i] = Invariant(i)
	}
	return all
}

// Rare says whether an invariant is of what not every run brings about, or not
// every world shows: where nothing of it happened, there is nothing to report.
func (i Invariant) Rare() bool { return i >= TempIDsOutlive }

// Check starts the report of one invariant, as one that held.
func (v *Invariants) Check(i Invariant) reports.Check {
	return reports.Check{Kind: reports.InvariantCheck, Name: i.String(), Verdict: reports.Passed, Evaluations: v.times[i]}
}

func (v *Invariants) violate(i Invariant, at int64, phone int, expected, found string) {
	if v.failed[i] {
		return
	}
	v.failed[i] = true
	if i.ofBlocks() {
		expected += v.blocks.text(&v.rules)
	}
	v.violated(Violation{i, at, phone, expected, found})
}

// Accepted follows a connection.
func (v *Invariants) Accepted(_ int64, conn nodes.Conn) { v.accounts.accepted(conn) }

// ServerRead follows what the server was told.
func (v *Invariants) ServerRead(at int64, conn nodes.Conn, p []byte) {
	if s := v.accounts.session(conn); s.stage == inSession {
		v.uploads.read(at, s, p)
	}
	v.accounts.read(at, conn, p)
}

// ServerSent follows what the server answered.
func (v *Invariants) ServerSent(at int64, conn nodes.Conn, p []byte) {
	s := v.accounts.session(conn)
	if s.stage == inSession {
		v.tempIDs.sent(at, s, p)
		v.uploads.sent(at, conn, s, p)
		return
	}
	v.blocks.judging(s.name)
	v.accounts.answered(at, s, p)
	v.blocks.told(at, &v.accounts, p)
}

// Received follows what a phone was answered by a server that is not seen.
func (v *Invariants) Received(at int64, phone string, p []byte) {
	if id, err := protocol.ParseTempID(p); err == nil {
		v.tempIDs.issued(at, id, issue{owner: phone, read: at, sent: at})
	}
}

// ServerPrinted follows the server's output.
func (v *Invariants) ServerPrinted(at int64, text string) {
	v.tempIDs.printed(at, text)
	v.uploads.printed(at, text)
}

// ServerRestarted follows a kill.
func (v *Invariants) ServerRestarted(int64) {
	v.accounts.restarted()
	v.blocks.restarts++
}

// BeaconSent follows what a phone put on the wire.
func (v *Invariants) BeaconSent(_ int64, phone uint32, raw *[protocol.BeaconSize]byte) {
	v.logs.sent(phone, raw)
}

// DatagramsForged follows a script that sends datagrams of its own.
func (v *Invariants) DatagramsForged(_ int64, phone uint32) { v.logs.forged(phone) }

// Judged follows a verdict.
func (v *Invariants) Judged(at int64, phone, sender uint32, e *nodes.PhoneEffect) {
	v.logs.judged(at, phone, sender, e)
}

// Stepped compares a phone's log with the model's.
func (v *Invariants) Stepped(at int64, phone uint32, log *nodes.ContactLog) {
	v.logs.stepped(at, phone, log)
}
