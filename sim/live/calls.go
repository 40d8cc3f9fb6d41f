package live

import (
	"container/heap"
	"math"
	"time"
)

// calls are functions that wait for their time.
type calls struct {
	pending callHeap
	seq     uint64
}

// oneCall is f at a time; a last one lets all else of its instant go first.
type oneCall struct {
	at   time.Duration
	last bool
	seq  uint64
	f    func()
}

type callHeap []oneCall

func (h callHeap) Len() int      { return len(h) }
func (h callHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h callHeap) Less(i, j int) bool {
	a, b := &h[i], &h[j]
	switch {
	case a.at != b.at:
		return a.at < b.at
	case a.last != b.last:
		return b.last
	}
	return a.seq < b.seq
}

func (h *callHeap) Push(x any) { *h = append(*h, x.(oneCall)) }

func (h *callHeap) Pop() any {
	n := len(*h) - 1
	c := (*h)[n]
	(*h)[n] = oneCall{}
	*h = (*h)[:n]
	return c
}

// next is when the first call is due; false: there is none.
func (c *calls) next() (time.Duration, bool) {
	if len(c.pending) == 0 {
		return 0, false
	}
	return c.pending[0].at, true
}

// due takes the first call that is due; when before is not the largest number,
// only one that was made up to it and need not be the last of its instant.
func (c *calls) due(now time.Duration, before uint64) (func(), bool) {
	if len(c.pending) == 0 || c.pending[0].at > now {
		return nil, false
	}
	if first := &c.pending[0]; before != math.MaxUint64 && (first.last || first.seq > before) {
		return nil, false
	}
	return heap.Pop(&c.pending).(oneCall).f, true
}

func (w *World) call(at time.Duration, last bool, f func()) {
	c := &w.calls
	c.seq++
	heap.Push(&c.pending, oneCall{max(at, w.now), last, c.seq, f})
	if c.pending[0].seq == c.seq {
		w.happened.Broadcast() // the run must not sleep past it
	}
}

// Call runs f at the given time, or at once in its turn when that has passed.
func (w *World) Call(at time.Duration, f func()) { w.call(at, false, f) }

// CallLast runs f at the given time, after what else happens in that instant, as
// far as real sockets have instants.
func (w *World) CallLast(at time.Duration, f func()) { w.call(at, true, f) }

// Tick has the story told at the given time.
func (w *World) Tick(at time.Duration, who, arg uint32) {
	w.call(at, false, func() { w.config.Tick(who, arg) })
}
