package scenarios

import "time"

// FaultKind is what goes wrong.
type FaultKind string

// The kinds of faults: of datagrams, of streams of bytes, of nodes, of disks and
// of clocks.
const (
	FaultLose      FaultKind = "lose"
	FaultDelay     FaultKind = "delay"
	FaultDuplicate FaultKind = "duplicate"
	FaultReorder   FaultKind = "reorder"
	FaultCorrupt   FaultKind = "corrupt"
	FaultTruncate  FaultKind = "truncate"
	FaultCut       FaultKind = "cut"
	FaultSlow      FaultKind = "slow"

	FaultPieces    FaultKind = "pieces"
	FaultJoin      FaultKind = "join"
	FaultReset     FaultKind = "reset"
	FaultHalfClose FaultKind = "half_close"
	FaultStall     FaultKind = "stall"
	FaultRefuse    FaultKind = "refuse"
	FaultTimeOut   FaultKind = "time_out"

	FaultCrash     FaultKind = "crash"
	FaultSwitchOff FaultKind = "switch_off"
	FaultPause     FaultKind = "pause"
	FaultLeave     FaultKind = "leave"

	FaultDisk  FaultKind = "disk"
	FaultClock FaultKind = "clock"
)

// Nodes are those to which a fault happens, or between which it does.
type Nodes struct {
	Any    bool // everybody, the server too; Server and Phones say nothing
	Server bool
	Phones []int // indexes into PhoneNames
}

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
