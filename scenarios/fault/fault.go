// Package fault is the vocabulary of faults that the scenario language, the worlds, the search for failing
// scenarios (sim/swarm) and the reduction of a failing scenario (sim/shrink) share: the kinds, their classes,
// sets of nodes, and the window in which a fault is in force. The package is pure.
package fault

import (
	"slices"
	"time"
)

// Kind names one kind of fault. The value is the key of the scenario language.
type Kind string

// The kinds of faults.
const (
	Lose      Kind = "lose"
	Delay     Kind = "delay"
	Duplicate Kind = "duplicate"
	Reorder   Kind = "reorder"
	Corrupt   Kind = "corrupt"
	Truncate  Kind = "truncate"
	Cut       Kind = "cut"
	Slow      Kind = "slow"

	Pieces    Kind = "pieces"
	Join      Kind = "join"
	Reset     Kind = "reset"
	HalfClose Kind = "half_close"
	Stall     Kind = "stall"
	Refuse    Kind = "refuse"
	TimeOut   Kind = "time_out"

	Crash     Kind = "crash"
	SwitchOff Kind = "switch_off"
	Pause     Kind = "pause"
	Leave     Kind = "leave"

	Disk  Kind = "disk"
	Clock Kind = "clock"
)

// Class groups the kinds by the thing that a fault affects.
type Class int

// The classes of faults.
const (
	Datagrams Class = iota + 1 // single datagrams on their way
	Links                      // the way between two nodes: datagrams and streams
	Streams                    // TCP connections
	Nodes                      // whole nodes
	Disks
	Clocks
)

// classes lists the kinds in the order in which messages, the schema and the counters list them.
var classes = []struct {
	kind  Kind
	class Class
}{
	{Lose, Datagrams}, {Delay, Links}, {Duplicate, Datagrams}, {Reorder, Datagrams}, {Corrupt, Datagrams},
	{Truncate, Datagrams}, {Cut, Links}, {Slow, Links},
	{Pieces, Streams}, {Join, Streams}, {Reset, Streams}, {HalfClose, Streams}, {Stall, Streams}, {Refuse, Streams},
	{TimeOut, Streams},
	{Crash, Nodes}, {SwitchOff, Nodes}, {Pause, Nodes}, {Leave, Nodes},
	{Disk, Disks}, {Clock, Clocks},
}

// Kinds returns every kind, in the order of the documentation.
func Kinds() []Kind {
	all := make([]Kind, len(classes))
	for i, c := range classes {
		all[i] = c.kind
	}
	return all
}

// Class returns the class of k, or 0 if k is not a kind of fault.
func (k Kind) Class() Class {
	for _, c := range classes {
		if c.kind == k {
			return c.class
		}
	}
	return 0
}

// HasWay reports whether a fault of this kind affects the traffic from some nodes to others, so that it has the
// sets From and To.
func (k Kind) HasWay() bool { return k.Class() == Datagrams || k == Delay || k == Slow }

// TakesDuration reports whether a fault of this kind can be in force for a duration. A half-close happens once, and
// a clock keeps its offset and drift for the whole run or is stepped once.
func (k Kind) TakesDuration() bool { return k != HalfClose && k != Clock }

// Instant reports whether a fault is over as soon as it has happened: a half-close, a step of a clock, and a reset
// without a duration. duration is 0 if none was given; step is that of a clock, else 0.
func Instant(k Kind, duration, step time.Duration) bool {
	switch k {
	case Reset:
		return duration == 0
	case Clock:
		return step != 0
	}
	return k == HalfClose
}

// PerNode reports whether a fault affects whole nodes, so that its chance is drawn once for each node whenever it
// begins. The chance of the other faults is drawn for each datagram, piece of a stream, connection or disk operation.
func PerNode(k Kind, duration time.Duration) bool {
	switch k {
	case Cut, Stall, HalfClose, Clock:
		return true
	case Reset:
		return duration == 0
	}
	return k.Class() == Nodes
}

// NodeSet is a set of the server and phones.
type NodeSet[P int | uint32] struct {
	Any    bool // the server and every phone; Server and Phones are not used
	Server bool
	Phones []P // indexes of phones
}

// IsEmpty reports whether the set names no node.
func (s *NodeSet[P]) IsEmpty() bool { return !s.Any && !s.Server && len(s.Phones) == 0 }

// Has reports whether the set contains the node. The largest uint32, or -1, stands for the server. Phones must be in
// ascending order.
func (s *NodeSet[P]) Has(node P) bool {
	switch {
	case s.Any:
		return true
	case node == ^P(0):
		return s.Server
	}
	_, found := slices.BinarySearch(s.Phones, node)
	return found
}

// Window is the time in which a fault is in force, counted from the start of the run; for the fault of a step, from
// the step.
type Window struct {
	At  time.Duration
	For time.Duration // 0: to the end of the run, or no duration if the fault is instant
	// Every is the interval between two beginnings; 0 if the fault begins once. It begins again as long as that is
	// before Until; 0 is the end of the run.
	Every, Until time.Duration
}

// LastBegin returns the last time at which the fault begins if the run ends at end.
func (w Window) LastBegin(end time.Duration) time.Duration {
	if w.Until > 0 {
		end = min(end, w.Until)
	}
	if w.Every <= 0 || end <= w.At {
		return w.At
	}
	return w.At + (end-1-w.At)/w.Every*w.Every
}
