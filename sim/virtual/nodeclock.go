package virtual

import (
	"fmt"
	"time"

	"bluetrace/nodes"
	"bluetrace/sim/event"
)

// clock1 is the clock of one node; there must be clocks.
func (w *World) clock1(who uint32) *event.NodeClock {
	if who == nobody {
		return &w.clocks[len(w.clocks)-1]
	}
	return &w.clocks[who]
}

// shown is what the clocks of a node show where not all are the world's.
func (w *World) shown(who uint32) nodes.Now {
	c := w.clock1(who)
	elapsed := c.ElapsedAt(w.now)
	return nodes.Now{Elapsed: elapsed, Wall: c.Wall + int64(elapsed-c.Elapsed)}
}

// elapsed is the elapsed time of a node.
func (w *World) elapsed(who uint32) time.Duration {
	if w.clocks != nil {
		return w.clock1(who).ElapsedAt(w.now)
	}
	return time.Duration(w.now)
}

// setClock steps a node's wall clock, and lets both run otherwise from now on.
func (w *World) setClock(r *rule, who uint32, step time.Duration, ppm float64) {
	if w.clocks == nil {
		w.clocks = make([]event.NodeClock, len(w.phones)+1)
		for i := range w.clocks {
			w.clocks[i] = event.NodeClock{At: w.now, Elapsed: time.Duration(w.now), Wall: w.wall(w.now)}
		}
	}
	c := w.clock1(who)
	if ppm != 0 {
		now := w.shown(who)
		*c = event.NodeClock{At: w.now, Elapsed: now.Elapsed, Wall: now.Wall, PPM: c.PPM + ppm}
	}
	c.Wall += int64(step)
	now := w.shown(who)
	w.did(r, who, nobody, 0, int64(step), fmt.Sprintf("the clock of %s shows %s, drift %g ppm", w.nameOf(who),
		time.Unix(0, now.Wall).In(w.zone.Location()).Format("02/01/2006 15:04:05.000000000"), c.PPM))
	w.emit.clockSet(who, event.NodeClock{At: w.now, Elapsed: now.Elapsed, Wall: now.Wall, PPM: c.PPM})
	if ppm != 0 {
		w.armAgain(who)
	}
}

// armAgain computes a node's next wake-up anew: its clock runs otherwise.
func (w *World) armAgain(who uint32) {
	switch {
	case w.faults.node(who).paused > 0:
	case who != nobody:
		ph := &w.phones[who]
		ph.wakeAt, ph.later = never, never
		w.armPhone(who, ph)
	case w.host.machine != nil:
		w.host.wakeAt = never
		w.armServer()
	}
}
