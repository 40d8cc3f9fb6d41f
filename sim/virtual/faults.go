package virtual

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"bluetrace/scenarios/fault"
	"bluetrace/sim/event"
	"bluetrace/sim/world"
)

// faults holds the faults in force and decides what each does to datagrams, streams
// and disks. It changes no node and no connection itself.
type faults struct {
	parts
	seed     uint64
	names    []string // of the phones
	udpDelay Delay    // of the copy of a datagram

	begun   bool                // a fault has begun in this world
	rules   []*rule             // in force, in the order of their numbers, then of their beginnings
	streams map[int][]*rand.PCG // rule.streams by the number of the fault
	sends   sendCounts
	// serverDiskFailures counts the effects on the server's disk.
	serverDiskFailures int
}

// rule is a fault in force.
type rule struct {
	*world.Fault
	over       bool
	seen, done int              // number of occasions, and of effects
	busy       map[uint32]int64 // of a slow fault: time at which the path out of a node is free
	streams    []*rand.PCG      // by phone, the last the server's; nil until it is used
}

// add begins a fault and returns its rule. An instant fault does not come in force.
func (f *faults) add(of *world.Fault) *rule {
	if !f.begun {
		f.begun = true
		f.streams = map[int][]*rand.PCG{}
		f.sends.counts = map[sendPath]int{}
	}
	if f.streams[of.Number] == nil {
		f.streams[of.Number] = make([]*rand.PCG, len(f.names)+1)
	}
	r := &rule{Fault: of, streams: f.streams[of.Number]}
	f.emit.fault(event.FaultBegins, of)
	if !of.Instant {
		at := len(f.rules)
		for at > 0 && f.rules[at-1].Number > of.Number {
			at--
		}
		f.rules = slices.Insert(f.rules, at, r)
	}
	return r
}

// remove removes a fault from those in force and returns its rule, or nil if the fault
// is not in force.
func (f *faults) remove(of *world.Fault) *rule {
	at := slices.IndexFunc(f.rules, func(r *rule) bool { return r.Fault == of })
	if at < 0 {
		return nil
	}
	r := f.rules[at]
	f.rules = slices.Delete(f.rules, at, at+1)
	f.emit.fault(event.FaultEnds, of)
	return r
}

// each calls do for the nodes of a set: the phones in order, then the server.
func (f *faults) each(set *world.Nodes, do func(node event.Node)) {
	if set.Any {
		for phone := range f.names {
			do(uint32(phone))
		}
	}
	for _, phone := range set.Phones {
		do(phone)
	}
	if set.Any || set.Server {
		do(event.Server)
	}
}

// includes reports whether a set has the node. The empty set stands for all nodes.
func includes(set *world.Nodes, node event.Node) bool { return set.IsEmpty() || set.Has(node) }

// happens reports whether the rule acts on this occasion, which the node causes.
func (f *faults) happens(r *rule, node event.Node) bool {
	r.seen++
	if r.seen <= r.Skip || r.Count > 0 && r.done >= r.Count {
		return false
	}
	return chance(r.Chance, f.stream(r, node))
}

// stream returns the random stream of a fault for one node.
func (f *faults) stream(r *rule, node event.Node) *rand.PCG {
	at := &r.streams[min(int(node), len(f.names))]
	if *at == nil {
		s := Stream(f.seed, f.name(node), "fault "+strconv.Itoa(r.Number))
		*at = &s
	}
	return *at
}

// draw draws a delay of the fault, in nanoseconds.
func (f *faults) draw(r *rule, node event.Node) int64 {
	return max(0, int64(Delay{Min: r.Min, Max: r.Max, Mean: r.Mean}.Draw(f.stream(r, node))))
}

func (f *faults) name(node event.Node) string {
	if node == event.Server {
		return "server"
	}
	return f.names[node]
}

// path names the sender and the receiver.
func (f *faults) path(from, to event.Node) string { return f.name(from) + " -> " + f.name(to) }

// applied emits one effect of a fault. nth is the rank of the affected send among
// those on its path in this instant. amount is that of event.FaultApplied.
func (f *faults) applied(r *rule, node, peer event.Node, nth int, amount int64, text string) {
	r.done++
	if r.Kind == fault.Disk && node == event.Server {
		f.serverDiskFailures++
	}
	e := f.emit.Next(event.FaultApplied, node, peer)
	e.Number, e.Fault, e.Text = uint64(r.Number), r.Kind, text
	e.Nth, e.Amount, e.InForce = nth, amount, !r.over
	f.emit.Stream.Emit(e)
}

// appliedToConn emits one effect of a fault on one direction of a connection, as applied
// does. format follows the name of the connection.
func (f *faults) appliedToConn(r *rule, d direction, nth int, amount int64, format string, args ...any) {
	text := fmt.Sprintf("%s: c%d", f.path(d.from, d.to), d.conn) + fmt.Sprintf(format, args...)
	f.applied(r, d.from, d.to, nth, amount, text)
}

// reserve returns the delay in nanoseconds of size bytes on the slow path out of a node,
// after the bytes that wait there. full reports that more than capacity bytes would wait
// there. A capacity of 0 means no limit.
func (r *rule) reserve(now int64, node event.Node, size, capacity int) (delay int64, full bool) {
	if r.busy == nil {
		r.busy = map[uint32]int64{}
	}
	free := max(now, r.busy[node])
	waiting := float64(free-now) / float64(time.Second) * float64(r.Bytes)
	if capacity > 0 && waiting+float64(size) > float64(capacity) {
		return 0, true
	}
	free += int64(size) * int64(time.Second) / int64(r.Bytes)
	r.busy[node] = free
	return free - now, false
}

// cuts reports whether the rule, a cut, covers the path from one node to another.
func (r *rule) cuts(from, to event.Node) bool {
	out := r.Of.Has(from) && includes(&r.From, to)
	in := r.Of.Has(to) && includes(&r.From, from)
	switch r.OneWay {
	case "out":
		return out
	case "in":
		return in
	}
	return out || in
}

// sendCounts counts the sends of the present instant on each path.
type sendCounts struct {
	at     int64
	counts map[sendPath]int
}

type sendPath struct {
	from, to event.Node
	stream   bool
}

// next returns the rank of a new send on the path in this instant, from 0.
func (s *sendCounts) next(now int64, p sendPath) int {
	if s.at != now {
		s.at = now
		clear(s.counts)
	}
	n := s.counts[p]
	s.counts[p] = n + 1
	return n
}

// latest returns the rank of the last send on the path.
func (s *sendCounts) latest(p sendPath) int { return max(0, s.counts[p]-1) }

// durationText renders nanoseconds for the texts of faults.
func durationText(ns int64) string { return time.Duration(ns).String() }
