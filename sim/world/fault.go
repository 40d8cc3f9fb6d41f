package world

import (
	"time"

	"bluetrace/scenarios/fault"
)

// FaultKind is the kind of a fault.
type FaultKind = fault.Kind

// The kinds of faults.
const (
	Lose      = fault.Lose
	Delay     = fault.Delay
	Duplicate = fault.Duplicate
	Reorder   = fault.Reorder
	Corrupt   = fault.Corrupt
	Truncate  = fault.Truncate
	Cut       = fault.Cut
	Slow      = fault.Slow

	Pieces    = fault.Pieces
	Join      = fault.Join
	Reset     = fault.Reset
	HalfClose = fault.HalfClose
	Stall     = fault.Stall
	Refuse    = fault.Refuse
	TimeOut   = fault.TimeOut

	Crash     = fault.Crash
	SwitchOff = fault.SwitchOff
	Pause     = fault.Pause
	Leave     = fault.Leave

	DiskFault  = fault.Disk
	ClockFault = fault.Clock
)

// Nodes is a set of the server and phones, with Phones in ascending order. Its Has takes Nobody for the server.
type Nodes = fault.NodeSet[uint32]

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
