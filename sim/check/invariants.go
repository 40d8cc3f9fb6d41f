// Package check decides whether a run keeps the rules of the protocol: invariants
// that are evaluated on every event, and thresholds.
//
// The invariants are a second model beside the system. It observes the bytes on
// the wire, the printed lines and the verdicts, works out the consequences by
// itself, and never asks the server or a phone for its state. It shares with the
// system the constants of the wire and the type of a contact log.
package check

import (
	"fmt"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/reports"
	"bluetrace/sim/event"
	"bluetrace/sim/world"
)

// Invariant is the number of an invariant.
type Invariant int

// The invariants, in the order of the reports.
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
	CommandsSentOnce
	NothingGrows
	TempIDStays
	invariants // the number of invariants
)

var names = [invariants]string{
	"no login succeeds during a block",
	"a block lasts exactly block_duration",
	"the third consecutive wrong password blocks, and no other",
	"no entry stays in a contact log at or past its retention",
	"every valid beacon is kept until its retention",
	"no invalid beacon is kept",
	"every valid beacon enters the contact log",
	"every TempID is issued once",
	"every TempID resolves to its owner",
	"datagrams: sent = delivered + lost + in flight",
	"every issued TempID survives a restart of the server",
	"every fully acknowledged upload is printed completely",
	"stored entries survive a restart of the phone, and never their retention",
	"a fault has no effect after its end",
	"every password is answered, also if the attempt cannot be saved",
	"each typed command is sent exactly once",
	"no state except tempIDs.txt grows without bound",
	"a phone that downloaded a TempID is never refused for lacking one",
}

func (i Invariant) String() string { return names[i] }

// Rare reports whether some runs or worlds never evaluate the invariant. A report
// omits a rare invariant that was not evaluated.
func (i Invariant) Rare() bool { return i >= TempIDsOutlive }

// aboutBlocks reports whether the invariant is about blocks and the answers to
// passwords.
func (i Invariant) aboutBlocks() bool { return i <= ThirdWrongBlocks }

// All lists the invariants in the order of the reports.
func All() []Invariant {
	all := make([]Invariant, invariants)
	for i := range all {
		all[i] = Invariant(i)
	}
	return all
}

// Violation is the first violation of an invariant.
type Violation struct {
	Invariant Invariant
	At        int64 // nanoseconds from time zero
	Phone     int   // the phone concerned; -1 if it is not one phone
	Expected  string
	Found     string
}

// Rules are the settings of the run that the invariants use.
type Rules struct {
	Start         int64 // wall time of time zero, Unix seconds
	Location      *time.Location
	BlockDuration time.Duration
	Lifetime      time.Duration     // of a TempID
	Accounts      map[string]string // password by user name
	Retention     []time.Duration   // by phone
}

// Invariants observes a run and evaluates the invariants. New makes one.
type Invariants struct {
	rules     Rules
	evaluated [invariants]uint64
	failed    [invariants]bool
	violated  func(Violation)

	accounts  accounts
	logs      logs
	tempIDs   tempIDs
	datagrams datagrams
	uploads   uploads
	programs  programs
}

var _ event.Observer = (*Invariants)(nil)

// New returns the invariants of one run. violated is called at the first violation
// of each invariant.
func New(r Rules, violated func(Violation)) *Invariants {
	v := &Invariants{rules: r, violated: violated}
	v.accounts.init(v)
	v.logs.init(v)
	v.tempIDs = tempIDs{v: v, issues: map[protocol.TempID]issue{}}
	v.datagrams.v, v.uploads.v, v.programs.v = v, v, v
	v.rules.Accounts = nil // the model of accounts has them, and there may be many
	return v
}

// Kinds lists the kinds of events that Invariants observes.
func Kinds() []event.Kind {
	return []event.Kind{
		event.BeaconSent, event.DatagramsForged, event.DatagramChanged, event.DatagramSent, event.DatagramLost,
		event.DatagramDelivered, event.BeaconJudged, event.PhoneStepped,
		event.Accepted, event.PhoneSent, event.ServerSent, event.ServerRead,
		event.ProgramOpened, event.LineTyped, event.ProgramConnects, event.PhonePrinted, event.SessionMoved,
		event.ServerPrinted, event.StoreAsked, event.StoreDone, event.StoreAnswered, event.LogWritten,
		event.PhoneStopped, event.PhoneStarted, event.ServerStopped, event.ServerStarted, event.ClockSet,
		event.FaultApplied,
	}
}

// Observe implements event.Observer.
func (v *Invariants) Observe(e *event.Event) {
	at := int64(e.At)
	switch e.Kind {
	case event.BeaconSent:
		v.logs.sent(e.Node, e.Raw)
	case event.DatagramsForged, event.DatagramChanged:
		v.logs.forged[e.Node] = true
	case event.DatagramSent:
		v.datagrams.sent(at, e)
	case event.DatagramLost:
		v.datagrams.lost(at, e)
	case event.DatagramDelivered:
		v.datagrams.delivered(at)
	case event.BeaconJudged:
		v.logs.judged(at, e.Node, e.Peer, e.Phone)
	case event.PhoneStepped:
		v.logs.stepped(at, e.Node, e.Log)

	case event.Accepted:
		v.accounts.forget(e.Slot)
	case event.ServerRead:
		v.serverRead(at, e)
	case event.ServerSent:
		v.serverSent(at, e)
	case event.ServerPrinted:
		v.tempIDs.printed(at, e.Text)
		v.uploads.printed(at, e.Text)
	case event.StoreAsked:
		v.accounts.storeAsked(e.Records)
	case event.StoreDone:
		v.accounts.storeDone(e.Records, e.Err)
	case event.StoreAnswered:
		v.accounts.storeAnswered(at, v.accounts.session(e.Slot))
	case event.ServerStopped:
		v.accounts.serverStopped()
		v.uploads.owed = v.uploads.owed[:0]
	case event.ServerStarted:
		v.accounts.serverStarted(at)
		v.tempIDs.survived(at, e.Resolve)

	case event.ProgramOpened:
		v.programs.of(e.Node).continueWith(program{})
	case event.LineTyped:
		v.programs.of(e.Node).typeLine(e.Text)
	case event.ProgramConnects:
		v.programs.of(e.Node).connects(e.Slot)
		v.accounts.forget(e.Slot)
	case event.SessionMoved:
		moved := *v.programs.of(e.Peer)
		v.programs.of(e.Peer).continueWith(program{})
		v.programs.of(e.Node).continueWith(moved)
	case event.PhoneSent:
		if !e.Scripted {
			v.programs.sent(at, e)
		}
	case event.PhonePrinted:
		v.programs.printed(at, e)

	case event.LogWritten:
		v.logs.follow(at, e.Node).written(e.Stored, v.logs.held)
	case event.PhoneStopped:
		v.logs.follow(at, e.Node).stopped(at)
		v.programs.of(e.Node).hasTempID = false
	case event.PhoneStarted:
		v.logs.follow(at, e.Node).started(v, at, e.Log)
	case event.ClockSet:
		v.clockSet(at, e)
	case event.FaultApplied:
		v.evaluated[FaultsEnd]++
		if !e.InForce {
			v.violate(FaultsEnd, at, -1, "no effect of a fault after its end", e.Text)
		}
	}
}

// serverRead passes the bytes on to the models of uploads and of logins.
func (v *Invariants) serverRead(at int64, e *event.Event) {
	s := v.accounts.session(e.Slot)
	if s.stage == inSession {
		v.uploads.read(at, s, e.Bytes)
	}
	v.accounts.read(at, s, e.Bytes)
}

// serverSent compares an answer of the server with the models.
func (v *Invariants) serverSent(at int64, e *event.Event) {
	s := v.accounts.session(e.Slot)
	if s.stage != inSession {
		v.accounts.answered(at, s, e.Bytes)
		return
	}
	if len(e.Bytes) == protocol.TempIDSize {
		i := issue{s.name, s.lastRead, at, s.readWall, v.accounts.clock.WallAt(at)}
		v.tempIDs.issued(at, protocol.TempID(e.Bytes), i)
	}
	v.uploads.sent(at, e.Slot, s, e.Bytes)
}

// clockSet follows the clocks of a node.
func (v *Invariants) clockSet(at int64, e *event.Event) {
	if e.Node == event.Server {
		v.accounts.clock = newClock(v.accounts.clock, at, e.Clock)
		return
	}
	o := v.logs.follow(at, e.Node)
	if expected := o.clock.ElapsedAt(at); expected != e.Clock.Elapsed {
		v.violate(NothingStays, at, int(e.Node),
			fmt.Sprintf("elapsed time %s, which is never stepped", expected), e.Clock.Elapsed.String())
	}
	o.clock = newClock(o.clock, at, e.Clock)
}

// newClock returns the clock of a node from now on. A clock that is only stepped
// keeps the origin of its drift, so that it rounds as the node does.
func newClock(old event.NodeClock, at int64, now event.NodeClock) event.NodeClock {
	if now.PPM != old.PPM || now.Elapsed != old.ElapsedAt(at) {
		return event.NodeClock{At: at, Elapsed: now.Elapsed, Wall: now.Wall, PPM: now.PPM}
	}
	old.Wall += now.Wall - old.WallAt(at)
	return old
}

// Evaluated returns the number of times that the invariant was evaluated.
func (v *Invariants) Evaluated(i Invariant) uint64 { return v.evaluated[i] }

// Check returns the report of an invariant that held.
func (v *Invariants) Check(i Invariant) reports.Check {
	return reports.Check{
		Kind: reports.InvariantCheck, Name: i.String(),
		Verdict: reports.Passed, Evaluations: v.evaluated[i],
	}
}

func (v *Invariants) violate(i Invariant, at int64, phone int, expected, found string) {
	if v.failed[i] {
		return
	}
	v.failed[i] = true
	if i.aboutBlocks() {
		expected += v.accounts.lastBlockText()
	}
	v.violated(Violation{i, at, phone, expected, found})
}

// Received records the answer that a phone got from a server that is not observed.
func (v *Invariants) Received(at int64, phone string, p []byte) {
	if id, err := protocol.ParseTempID(p); err == nil {
		v.tempIDs.issued(at, id, issue{owner: phone, read: at, sent: at})
	}
}

// Compare compares the whole content of a phone's log with the model.
func (v *Invariants) Compare(at int64, phone uint32, log *nodes.ContactLog) {
	v.logs.compare(at, phone, log)
}

// Balance compares the model of the datagrams with the counts of the world, and with
// the number of datagrams that the world still has in flight.
func (v *Invariants) Balance(at int64, n world.Datagrams, inFlight int) {
	v.datagrams.compare(at, n, inFlight)
}

// Uploaded handles an upload of the given number of entries that a phone reports as
// done. The server must have printed one.
func (v *Invariants) Uploaded(at int64, phone uint32, entries int) {
	v.uploads.done(at, phone, entries)
}

// entriesText returns "1 entry" or "2 entries".
func entriesText(n int) string { return reports.Plural(uint64(n), "entry", "entries") }
