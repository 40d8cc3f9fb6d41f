package scenarios

import (
	"time"

	"bluetrace/scenarios/fault"
)

// FaultKind is the kind of a fault.
type FaultKind = fault.Kind

// The kinds of faults.
const (
	FaultLose      = fault.Lose
	FaultDelay     = fault.Delay
	FaultDuplicate = fault.Duplicate
	FaultReorder   = fault.Reorder
	FaultCorrupt   = fault.Corrupt
	FaultTruncate  = fault.Truncate
	FaultCut       = fault.Cut
	FaultSlow      = fault.Slow

	FaultPieces    = fault.Pieces
	FaultJoin      = fault.Join
	FaultReset     = fault.Reset
	FaultHalfClose = fault.HalfClose
	FaultStall     = fault.Stall
	FaultRefuse    = fault.Refuse
	FaultTimeOut   = fault.TimeOut

	FaultCrash     = fault.Crash
	FaultSwitchOff = fault.SwitchOff
	FaultPause     = fault.Pause
	FaultLeave     = fault.Leave

	FaultDisk  = fault.Disk
	FaultClock = fault.Clock
)

// Nodes is a set of the server and phones, given by their indexes into PhoneNames.
type Nodes = fault.NodeSet[int]

// Fault is one entry of `faults`, or what a step's `fault` does.
type Fault struct {
	Pos  Pos
	Text string // on one line, for reports
	Kind FaultKind

	// At, from time zero; of a step, from the step's moment. For is how long it
	// is in force: 0: to the end of the run, and nothing for the kinds that
	// happen in an instant (reset, half_close; clock's step). Every: again, so
	// far apart, as long as it begins before Until (0: the end).
	At, For, Every, Until time.Duration
	// Chance that it happens to one datagram, piece of a stream, connection or
	// disk operation, of those that Skip and Count leave: 0 to 1.
	Chance float64
	// Skip passes the first so many by, Count ends it after so many (0: never).
	Skip, Count int

	Of       Nodes  // of kinds that happen to nodes, from cut on
	From, To Nodes  // of lose to truncate, cut and slow: the way
	Stream   bool   // delay, slow: of TCP, not UDP
	OneWay   string // cut: "" both ways, "out" what Of sends, "in" what comes to it

	Delay Distribution // delay, reorder (by how much), join, a slow disk
	// Bytes: slow: bytes a second; pieces: the longest; corrupt: which byte, from
	// 1, 0 drawn; truncate: what is left, -1 drawn.
	Bytes int
	Room  int // slow: bytes that wait; a datagram for which there is none is lost; 0: no limit

	Unsynced string // crash: "lost", "kept", "torn" (drawn), of what the disk was not told to sync
	Disk     string // "full", "slow", "failing" (writes), "fsync"

	Offset time.Duration // clock: from the start on, until it is stepped
	Step   time.Duration // clock: once, at At
	Drift  float64       // clock: parts per million, for the whole run
}

// Instant reports whether the fault is over as soon as it has happened.
func (f *Fault) Instant() bool { return fault.Instant(f.Kind, f.For, f.Step) }

// PerNode reports whether the chance of the fault is drawn once for each node.
func (f *Fault) PerNode() bool { return fault.PerNode(f.Kind, f.For) }

// Window returns the time in which the fault is in force.
func (f *Fault) Window() fault.Window {
	return fault.Window{At: f.At, For: f.For, Every: f.Every, Until: f.Until}
}

// AdversaryKind is what an adversary does.
type AdversaryKind string

// The kinds of adversaries.
const (
	AdversaryReplay  AdversaryKind = "replay"  // beacons of Of, overheard, go to To
	AdversaryForge   AdversaryKind = "forge"   // beacons that nobody was given go to To
	AdversaryFlood   AdversaryKind = "flood"   // bytes that are no beacon go to To
	AdversaryGuess   AdversaryKind = "guess"   // passwords of Of's accounts
	AdversaryGarbage AdversaryKind = "garbage" // bytes and half messages for the server
	AdversaryUpload  AdversaryKind = "upload"  // TempIDs that are not its own contacts
	AdversaryHold    AdversaryKind = "hold"    // connections that say nothing
)

// Adversary is one entry of `adversaries`: phones that do what no honest program
// does, from their own addresses.
type Adversary struct {
	Pos  Pos
	Text string
	Kind AdversaryKind
	By   []int
	Of   []int // replay: whose beacons; guess: whose accounts
	To   []int // replay, forge, flood
	// Every, Jitter, From and Until are those of a Routine. Of replay Every is 0:
	// it acts on what it hears.
	Every       time.Duration
	Jitter      float64
	From, Until time.Duration
	After       Distribution // replay: from the hearing to the sending
	Chance      float64      // replay: of each beacon heard
	Invented    bool         // upload: TempIDs that nobody was given; else overheard ones
}
