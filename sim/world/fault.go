package world

import (
	"time"

	"bluetrace/scenarios/fault"
)

// Nodes is a set of phones and the server. Its Phones are in ascending order.
type Nodes = fault.NodeSet[uint32]

// Fault is one fault as a world applies it. The fields have the meanings that they have in the scenario language's
// Fault. The run decides when the fault begins and ends.
type Fault struct {
	Number int // number among the faults of the run, from 1; the trace names the fault by it
	Text   string
	Kind   fault.Kind
	// Instant reports whether the fault happens at Begin and is over at once. End is not called for it.
	Instant bool

	Chance      float64
	Skip, Count int
	Of          Nodes
	From, To    Nodes
	Stream      bool
	OneWay      string
	// Min, Max and Mean define a distribution: constant, uniform, or exponential if Mean is above 0.
	Min, Max, Mean time.Duration
	Bytes, Room    int
	Unsynced       string
	Disk           string
	Offset, Step   time.Duration
	Drift          float64
}

// Faulty is a world that supports faults.
type Faulty interface {
	World
	// Begin puts a fault in force, after those already in force, or applies it if it is instant. Nodes stop at the
	// Begin of a Crash, SwitchOff, Pause or Leave.
	Begin(f *Fault)
	// End ends a fault: delayed traffic continues and stopped nodes start.
	End(f *Fault)
}
