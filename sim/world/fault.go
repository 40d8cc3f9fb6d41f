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

// Applied is one effect of a fault.
type Applied struct {
	At    int64 // nanoseconds since time zero
	Fault int   // number of the fault
	Kind  fault.Kind
	// Node and Peer are the sender and the receiver of the traffic that the fault affected, or the affected node and
	// event.NoPeer. The server is event.Server.
	Node, Peer uint32
	// Nth is the rank of the affected send among those of Node to Peer in this instant, from 0.
	Nth int
	// Amount is, by the kind of fault, a delay in nanoseconds, the changed byte (from 1), the remaining length, or
	// the number of unsynced bytes that remain.
	Amount int64
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
