package virtual

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"bluetrace/sim/event"
	"bluetrace/sim/world"
)

var _ world.Faulty = (*World)(nil)

// faults is what a world keeps once a fault has begun in it.
type faults struct {
	rules   []*rule             // in force, in the order of their numbers, and of their beginnings
	nodes   []node              // the phones, and the server behind them
	streams map[int][]*rand.PCG // by the number of a fault, as in its rule
	sends   sends
	stuck   []stuck
	// overtook are the pieces of streams that have arrived before one that was
	// sent before them: they wait for it.
	overtook []uint32
}

// rule is a fault in force.
type rule struct {
	*world.Fault
	over       bool
	seen, done int              // of what it might have happened to
	busy       map[uint32]int64 // slow: until when the way out of a node is
	streams    []*rand.PCG      // by phone, the last the server's; nil: not begun
}

// node is what faults have made of a phone, or of the server.
type node struct {
	paused, left, stalled, stopped int // so many faults in force

	off     bool     // a phone without a program
	life    uint32   // of a phone: how often its program was stopped
	waiting []func() // what came while it was paused
	unread  []uint32 // connections of which it has not read what came while it stalled
}

// node is a phone's, or the server's of nobody.
func (f *faults) node(who uint32) *node {
	if who == nobody {
		return &f.nodes[len(f.nodes)-1]
	}
	return &f.nodes[who]
}

// Begin puts a fault in force, behind those that have a lower number; what
// happens in an instant happens.
func (w *World) Begin(f *world.Fault) {
	if w.faults == nil {
		w.faults = &faults{
			nodes:   make([]node, len(w.phones)+1),
			streams: map[int][]*rand.PCG{},
			sends:   sends{counts: map[sendWay]int{}},
		}
	}
	if w.faults.streams[f.Number] == nil {
		w.faults.streams[f.Number] = make([]*rand.PCG, len(w.phones)+1)
	}
	r := &rule{Fault: f, streams: w.faults.streams[f.Number]}
	w.emit.fault(event.FaultBegins, f)
	if !f.Instant {
		at := len(w.faults.rules)
		for at > 0 && w.faults.rules[at-1].Number > f.Number {
			at--
		}
		w.faults.rules = slices.Insert(w.faults.rules, at, r)
	}
	switch f.Kind {
	case world.Crash, world.SwitchOff, world.Pause, world.Leave, world.Stall, world.ClockFault:
		w.each(&f.Of, func(who uint32) { w.strike(r, who) })
	case world.Reset:
		if f.Instant {
			w.eachConn(&f.Of, func(c uint32) { w.breakConn(r, c) })
		}
	case world.HalfClose:
		w.eachConn(&f.Of, func(c uint32) { w.halfClose(r, c) })
	case world.DiskFault:
		w.each(&f.Of, w.troubleDisk)
	}
	r.over = f.Instant
}

// strike lets a fault of whole nodes begin for one of them.
func (w *World) strike(r *rule, who uint32) {
	n := w.faults.node(who)
	switch r.Kind {
	case world.Crash:
		w.crash(r, who)
	case world.SwitchOff:
		w.switchOff(r, who)
	case world.Pause:
		n.paused++
		w.did(r, who, nobody, 0, 0, w.nameOf(who)+" is paused")
	case world.Leave:
		n.left++
		w.did(r, who, nobody, 0, 0, w.nameOf(who)+" leaves")
	case world.Stall:
		n.stalled++
		w.did(r, who, nobody, 0, 0, w.nameOf(who)+" does not read")
	case world.ClockFault:
		w.setClock(r, who, r.Offset+r.Step, r.Drift)
	}
}

// End takes a fault back.
func (w *World) End(f *world.Fault) {
	at := -1
	if w.faults != nil {
		at = slices.IndexFunc(w.faults.rules, func(r *rule) bool { return r.Fault == f })
	}
	if at < 0 {
		return
	}
	r := w.faults.rules[at]
	w.faults.rules = slices.Delete(w.faults.rules, at, at+1)
	w.emit.fault(event.FaultEnds, f)
	switch f.Kind {
	case world.Crash, world.SwitchOff, world.Pause, world.Leave, world.Stall, world.ClockFault:
		w.each(&f.Of, func(who uint32) { w.heal(r, who) })
	case world.DiskFault:
		w.each(&f.Of, w.troubleDisk)
	}
	if f.Kind == world.Leave || f.Kind == world.Cut || f.Kind == world.TimeOut {
		w.unstick()
	}
	r.over = true
	w.emit.fault(event.FaultEnded, f)
}

// heal lets a fault of whole nodes end for one of them.
func (w *World) heal(r *rule, who uint32) {
	n := w.faults.node(who)
	switch r.Kind {
	case world.Crash, world.SwitchOff:
		if n.stopped--; n.stopped == 0 {
			w.startNode(who)
		}
	case world.Pause:
		if n.paused--; n.paused == 0 {
			w.resume(who)
		}
	case world.Leave:
		n.left--
	case world.Stall:
		if n.stalled--; n.stalled == 0 {
			w.readAll(who)
		}
	case world.ClockFault:
		w.setClock(r, who, -r.Offset, -r.Drift)
	}
}

// each calls f with the nodes of a set: the phones in their order, then the
// server.
func (w *World) each(n *world.Nodes, f func(who uint32)) {
	if n.Any {
		for who := range w.phones {
			f(uint32(who))
		}
	}
	for _, who := range n.Phones {
		f(who)
	}
	if n.Any || n.Server {
		f(nobody)
	}
}

// has says whether a set that may be empty, and then means everybody, has a
// node.
func has(n *world.Nodes, who uint32) bool { return n.IsEmpty() || n.Has(who) }

// happens says whether the rule strikes the next thing that it might happen to,
// which is the doing of a node.
func (w *World) happens(r *rule, who uint32) bool {
	r.seen++
	if r.seen <= r.Skip || r.Count > 0 && r.done >= r.Count {
		return false
	}
	return chance(r.Chance, w.streamOf(r, who))
}

// streamOf is the random stream of a fault for what happens to one node.
func (w *World) streamOf(r *rule, who uint32) *rand.PCG {
	at := &r.streams[min(int(who), len(w.phones))]
	if *at == nil {
		s := Stream(w.seed, w.nameOf(who), "fault "+strconv.Itoa(r.Number))
		*at = &s
	}
	return *at
}

func (w *World) nameOf(who uint32) string {
	if who == nobody {
		return "server"
	}
	return w.names[who]
}

// drawn takes a delay of the fault.
func (r *rule) drawn(src rand.Source) int64 {
	return max(0, int64(Delay{Min: r.Min, Max: r.Max, Mean: r.Mean}.Draw(src)))
}

// did emits FaultApplied for one thing that a fault did.
func (w *World) did(r *rule, who, peer uint32, nth int, amount int64, text string) {
	r.done++
	if r.Kind == world.DiskFault && who == nobody {
		w.host.failures++
	}
	w.emit.faultApplied(r, who, peer, nth, amount, text)
}

// sends counts what is sent in one instant on each way.
type sends struct {
	at     int64
	counts map[sendWay]int
}

type sendWay struct {
	from, to uint32
	stream   bool
}

// next is which one it is, from 0.
func (s *sends) next(now int64, way sendWay) int {
	if s.at != now {
		s.at = now
		clear(s.counts)
	}
	n := s.counts[way]
	s.counts[way] = n + 1
	return n
}

// latest is which one the last of a way was.
func (s *sends) latest(way sendWay) int { return max(0, s.counts[way]-1) }

// seconds renders nanoseconds for the trace.
func seconds(ns int64) string { return time.Duration(ns).String() }

// between says who sends to whom.
func (w *World) between(who, peer uint32) string {
	return w.nameOf(who) + " -> " + w.nameOf(peer)
}
