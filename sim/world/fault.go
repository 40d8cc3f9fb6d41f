package world

import (
	"slices"
	"time"
)

// FaultKind is what goes wrong in a world. The values are the words of the
// language.
type FaultKind string

// The kinds of faults.
const (
	Lose      FaultKind = "lose"
	Delay     FaultKind = "delay"
	Duplicate FaultKind = "duplicate"
	Reorder   FaultKind = "reorder"
	Corrupt   FaultKind = "corrupt"
	Truncate  FaultKind = "truncate"
	Cut       FaultKind = "cut"
	Slow      FaultKind = "slow"

	Pieces    FaultKind = "pieces"
	Join      FaultKind = "join"
	Reset     FaultKind = "reset"
	HalfClose FaultKind = "half_close"
	Stall     FaultKind = "stall"
	Refuse    FaultKind = "refuse"
	TimeOut   FaultKind = "time_out"

	Crash     FaultKind = "crash"
	SwitchOff FaultKind = "switch_off"
	Pause     FaultKind = "pause"
	Leave     FaultKind = "leave"

	DiskFault  FaultKind = "disk"
	ClockFault FaultKind = "clock"
)

// Nodes is a set of the server and phones.
type Nodes struct {
	Any    bool // everybody
	Server bool
	Phones []uint32 // in ascending order
}

// Fault is one that a world can have. The fields are those of the language's
// Fault; a world knows nothing of when it is to begin and end.
type Fault struct {
	Number int // among the faults of the run, from 1: names it in the trace
	Text   string
	Kind   FaultKind
	// Instant: it happens at Begin and is over; no End comes.
	Instant bool

	Chance      float64
	Skip, Count int
	Of          Nodes
	From, To    Nodes
	Stream      bool
	OneWay      string
	// Min, Max and Mean are a distribution: constant, uniform, or exponential
	// when Mean is above 0.
	Min, Max, Mean time.Duration
	Bytes, Room    int
	Unsynced       string
	Disk           string
	Offset, Step   time.Duration
	Drift          float64
}

// Applied is one thing that a fault did.
type Applied struct {
	At    int64
	Fault int // its number
	Kind  FaultKind
	// Who and Peer: sender and receiver of what it happened to, or the node and
	// Nobody. The server is Nobody as well.
	Who, Peer uint32
	// Nth is which of those that Who sent to Peer in this instant it was, from 0.
	Nth int
	// Amount: nanoseconds of a delay, the byte changed (from 1), the length left,
	// the bytes left of what was not synced.
	Amount int64
}

// Faulty is a world that can have faults.
type Faulty interface {
	World
	// Begin puts a fault in force, behind those that are; of kinds that happen in
	// an instant it makes it happen. Crash, SwitchOff, Pause and Leave begin here
	// and are over at End.
	Begin(f *Fault)
	// End takes it back: what it holds up goes on, who was stopped is started.
	End(f *Fault)
}

// Has says whether the node is one of them; Nobody is the server.
func (n *Nodes) Has(who uint32) bool {
	switch {
	case n.Any:
		return true
	case who == Nobody:
		return n.Server
	}
	_, found := slices.BinarySearch(n.Phones, who)
	return found
}

// Nobody says that no node is named.
func (n *Nodes) Nobody() bool { return !n.Any && !n.Server && len(n.Phones) == 0 }
