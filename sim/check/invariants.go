// Package check decides whether a run keeps the rules of the protocol: invariants
// that are evaluated on every event, and thresholds.
//
// The invariants are a second model beside the system. It observes the bytes on
// the wire, the printed lines and the verdicts, works out the consequences by
// itself, and asks neither the server nor a phone for its state, except for its size
// at the end of a run (bounds.go). It shares with the system the constants of the wire
// and the type of a contact log.
package check

import (
	"fmt"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/reports"
	"bluetrace/scenarios/fault"
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
	BeaconsAssembled
	LinesPrinted
	NothingSecret
	AnswersCome
	OwedAnswers
	UploadsBalance
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
	"every beacon that arrives is judged once, in time",
	"the server prints the lines of each login, download and logout, in order, and no other",
	"no password, unknown name or control character is printed, and no unknown name is stored",
	"every request of a phone is answered, or its user is told so in time",
	"the answer to a download that a phone has given up answers no later command",
	"uploads: begun = complete + broken + under way",
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
	Phone     int   // -1 if the violation does not concern exactly one phone
	Expected  string
	Found     string
}

// Rules are the settings of the run that the invariants use.
type Rules struct {
	Start         int64 // wall time of time zero, Unix seconds
	Location      *time.Location
	BlockDuration time.Duration
	MaxBlocked    int               // blocked names without an account, beyond which the oldest is forgotten; 0 is 1
	Lifetime      time.Duration     // of a TempID
	Accounts      map[string]string // password by user name
	Retention     []time.Duration   // by phone
	// Exact means that the time of each event is exact, and that the events are in the order of their causes, as in
	// virtual time.
	Exact bool
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
	assembly  assembly
	prints    prints

	follows bool                // datagrams, answers and the output are followed one by one
	paused  map[event.Node]bool // nodes that a fault has paused: they handle their input later than it arrives
}

// New returns the invariants of one run. violated is called at the first violation
// of each invariant.
func New(r Rules, violated func(Violation)) *Invariants {
	v := &Invariants{rules: r, violated: violated}
	v.accounts.init(v)
	v.logs.init(v)
	v.tempIDs = tempIDs{v: v, issues: map[protocol.TempID]issue{}}
	v.uploads = uploads{v: v, complete: map[int]int{}, underWay: map[uint64]bool{}}
	v.datagrams.v, v.programs.v = v, v
	v.assembly.v, v.prints.v = v, v
	v.follows, v.paused = r.Exact && len(r.Retention) <= followedPhones, map[event.Node]bool{}
	v.rules.Accounts = nil // the model of accounts has them, and there may be many
	return v
}

// Subscribe evaluates the invariants on the events of the stream from now on.
func (v *Invariants) Subscribe(s *event.Stream) {
	s.On(event.BeaconSent, v.logs.sent)
	s.On(event.DatagramsForged, v.logs.distrust)
	s.On(event.DatagramChanged, v.logs.distrust)
	s.On(event.DatagramSent, v.datagrams.sent)
	s.On(event.DatagramLost, v.datagrams.lost)
	s.On(event.DatagramDelivered, v.datagrams.delivered)
	s.On(event.BeaconJudged, v.logs.judged)
	s.On(event.PhoneStepped, v.logs.stepped)

	s.On(event.Accepted, func(e *event.Event) { v.accounts.forget(e.Slot) })
	s.On(event.ServerRead, v.serverRead)
	s.On(event.ServerSent, v.serverSent)
	s.On(event.ServerPrinted, func(e *event.Event) {
		v.tempIDs.printed(int64(e.At), e.Text)
		v.uploads.printed(int64(e.At), e.Text)
	})
	s.On(event.StoreAsked, func(e *event.Event) {
		v.accounts.checkSaved(int64(e.At))
		v.accounts.storeAsked(int64(e.At), e.Records)
	})
	s.On(event.StoreDone, func(e *event.Event) { v.accounts.storeDone(int64(e.At), e.Records, e.Err) })
	s.On(event.StoreAnswered, func(e *event.Event) {
		v.accounts.storeAnswered(int64(e.At), v.accounts.session(e.Slot))
	})
	s.On(event.ServerStopped, func(*event.Event) {
		v.accounts.serverStopped()
		v.uploads.stopped()
	})
	s.On(event.ServerEnded, v.uploads.ended)
	s.On(event.ServerStarted, func(e *event.Event) {
		v.accounts.serverStarted(int64(e.At))
		v.tempIDs.survived(int64(e.At), e.Resolve)
	})

	ends := []event.Kind{event.ProgramOpened, event.ProgramConnects, event.PhonePrinted, event.OperationDone}
	for _, k := range ends {
		s.On(k, v.programs.told)
	}
	s.On(event.ProgramOpened, func(e *event.Event) { v.programs.of(e.Node).continueWith(program{}) })
	s.On(event.LineTyped, func(e *event.Event) { v.programs.of(e.Node).typeLine(e.Text) })
	s.On(event.ProgramConnects, func(e *event.Event) {
		v.programs.of(e.Node).connects(e.Slot)
		v.accounts.forget(e.Slot)
	})
	s.On(event.SessionMoved, func(e *event.Event) {
		moved := *v.programs.of(e.Peer)
		v.programs.of(e.Peer).continueWith(program{})
		v.programs.of(e.Node).continueWith(moved)
	})
	s.On(event.PhoneSent, v.programs.sent)
	s.On(event.PhonePrinted, v.programs.printed)

	s.On(event.LogWritten, func(e *event.Event) {
		v.logs.follow(int64(e.At), e.Node).written(e.Stored, v.logs.held)
	})
	s.On(event.PhoneStopped, func(e *event.Event) {
		v.logs.follow(int64(e.At), e.Node).stopped(int64(e.At))
		v.programs.of(e.Node).hasTempID, v.programs.of(e.Node).awaits = false, false
		delete(v.paused, e.Node)
	})
	s.On(event.PhoneStarted, func(e *event.Event) {
		v.logs.follow(int64(e.At), e.Node).started(v, int64(e.At), e.Log)
	})
	s.On(event.ClockSet, v.clockSet)
	s.On(event.FaultApplied, func(e *event.Event) {
		v.evaluated[FaultsEnd]++
		if e.Fault == fault.Pause {
			v.paused[e.Node] = true
			delete(v.assembly.receivers, e.Node)
		}
		if !e.InForce {
			v.violate(FaultsEnd, int64(e.At), -1, "no effect of a fault after its end", e.Text)
		}
	})
	if v.rules.Exact {
		s.On(event.OperationDone, v.uploads.done)
	}
	if v.follows {
		v.assembly.subscribe(s)
		v.prints.subscribe(s)
	}
}

// followedPhones is the number of phones above which datagrams, answers and the output are not followed one by one: a
// crowd has too many, and exercises nothing that fewer phones do not.
const followedPhones = 1000

// serverRead passes the bytes on to the models of uploads and of logins.
func (v *Invariants) serverRead(e *event.Event) {
	at := int64(e.At)
	v.accounts.checkSaved(at)
	s := v.accounts.session(e.Slot)
	if s.stage == inSession {
		v.uploads.read(at, s, e.Bytes)
	}
	v.accounts.read(at, s, e.Bytes)
}

// serverSent compares an answer of the server with the models.
func (v *Invariants) serverSent(e *event.Event) {
	at := int64(e.At)
	s := v.accounts.session(e.Slot)
	if s.stage != inSession {
		v.accounts.answered(at, s, e.Bytes)
		return
	}
	if len(e.Bytes) == protocol.TempIDSize {
		i := issue{s.name, s.lastRead, at, s.readWall, v.accounts.clock.WallAt(at)}
		v.tempIDs.issued(at, protocol.TempID(e.Bytes), i)
		s.sentTempIDs, s.lastTempID = s.sentTempIDs+1, protocol.TempID(e.Bytes)
	}
	if string(e.Bytes) == protocol.Ack {
		s.sentAcks++
	}
	v.uploads.sent(e, s)
}

// clockSet follows the clocks of a node.
func (v *Invariants) clockSet(e *event.Event) {
	at := int64(e.At)
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
	v.failed[i], v.evaluated[i] = true, max(v.evaluated[i], 1)
	if i.aboutBlocks() {
		expected += v.accounts.lastBlockText()
	}
	v.violated(Violation{i, at, phone, expected, found})
}

// Received records an answer, p, that a phone got from a server that is not observed.
// phone is the name of the phone, which stands for the owner of a TempID.
func (v *Invariants) Received(at int64, phone string, p []byte) {
	if id, err := protocol.ParseTempID(p); err == nil {
		v.tempIDs.issued(at, id, issue{owner: phone, read: at, sent: at})
	}
}

// Compare compares the whole content of a phone's log with the model. Each verdict that was due has been given, and no
// program waits for too long.
func (v *Invariants) Compare(at int64, phone uint32, log *nodes.ContactLog) {
	v.logs.compare(at, phone, log)
	v.assembly.checkDone(at, phone)
	v.programs.checkWait(at, phone)
}

// Balance compares the models of the datagrams and the uploads with the counts of the world, and with the number of
// datagrams that the world still has in flight. It is called at the end of the run, when the server has printed the
// line of its last answer.
func (v *Invariants) Balance(at int64, n *world.Counts, inFlight int) {
	v.datagrams.compare(at, n.Datagrams, inFlight)
	v.uploads.compare(at, n.Uploads)
	v.prints.checkOwed(time.Duration(at))
}

// entriesText returns "1 entry" or "2 entries".
func entriesText(n int) string { return reports.Plural(uint64(n), "entry", "entries") }
