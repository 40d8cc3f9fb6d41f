package virtual

import "slices"

// queue is the pending events, ordered by (time, wake-ups before inputs,
// sequence).
//
// What comes later waits, unordered, in the slot of its time on a wheel: pushing
// it costs one store instead of a way through a heap that no cache holds. When
// its slot begins, the slot is sorted and handed out from the front. What is
// pushed for a slot that has begun goes to a heap, which stays small, and what
// lies beyond the wheel waits in another.
type queue struct {
	slot    []event // of the time that has begun, sorted
	at      int     // the first of slot that is left
	near    heap
	wheel   []int32 // by slot: its newest chunk; 0: none
	chunks  []chunk // chunks[0] is nobody's
	spare   int32   // a chunk that is free, and through next all others
	far     heap
	horizon int64 // slot and near hold what is before it; a multiple of slotTime
	onWheel int
	seq     uint64
}

// The wheel spans slots × slotTime, 275 s: more than the retention of a contact
// log, which is the longest delay of which there are many.
const (
	slotTimeBits = 24 // 16.8 ms
	slotTime     = 1 << slotTimeBits
	slots        = 1 << 14
	wheelSpan    = slots * slotTime
)

// chunk holds some events of one slot. Chunks are used again by any slot, so
// that the wheel takes the memory of what is pending and no more.
type chunk struct {
	events [15]event
	n      int32
	next   int32 // an older chunk of the same slot; 0: none
}

// push adds an event and gives it the next sequence number.
func (q *queue) push(at int64, class uint64, k kind, who, arg uint32) {
	q.seq++
	e := event{at: at, ord: class | q.seq<<kindBits | uint64(k), who: who, arg: arg}
	if q.wheel == nil {
		q.wheel = make([]int32, slots)
		q.chunks = make([]chunk, 1)
		q.horizon = (at &^ (slotTime - 1)) + slotTime
	}
	q.place(e)
}

func (q *queue) place(e event) {
	switch {
	case e.at < q.horizon:
		q.near.push(e)
	case e.at-q.horizon < wheelSpan:
		slot := &q.wheel[e.at>>slotTimeBits&(slots-1)]
		if *slot == 0 || int(q.chunks[*slot].n) == len(chunk{}.events) {
			*slot = q.newChunk(*slot)
		}
		c := &q.chunks[*slot]
		c.events[c.n] = e
		c.n++
		q.onWheel++
	default:
		q.far.push(e)
	}
}

func (q *queue) newChunk(next int32) int32 {
	i := q.spare
	if i == 0 {
		i = int32(len(q.chunks))
		q.chunks = append(q.chunks, chunk{})
	} else {
		q.spare = q.chunks[i].next
	}
	q.chunks[i].n, q.chunks[i].next = 0, next
	return i
}

func (q *queue) len() int { return len(q.slot) - q.at + len(q.near) + q.onWheel + len(q.far) }

// count is how many events of one kind are pending.
func (q *queue) count(k kind) int {
	n := 0
	in := func(events []event) {
		for i := range events {
			if events[i].kind() == k {
				n++
			}
		}
	}
	in(q.slot[q.at:])
	in(q.near)
	in(q.far)
	for _, i := range q.wheel {
		for ; i != 0; i = q.chunks[i].next {
			in(q.chunks[i].events[:q.chunks[i].n])
		}
	}
	return n
}

// first is the earliest event. The queue must not be empty.
func (q *queue) first() *event {
	for q.at == len(q.slot) && len(q.near) == 0 {
		q.advance()
	}
	if q.at < len(q.slot) && (len(q.near) == 0 || q.slot[q.at].before(&q.near[0])) {
		return &q.slot[q.at]
	}
	return &q.near[0]
}

// pop takes the earliest event. The queue must not be empty.
func (q *queue) pop() event {
	e := q.first()
	if q.at < len(q.slot) && e == &q.slot[q.at] {
		q.at++
		return *e
	}
	return q.near.pop()
}

// advance moves the horizon by one slot, or, when the wheel is empty, to the
// first event that lies beyond it.
func (q *queue) advance() {
	if q.onWheel == 0 {
		q.horizon = q.far[0].at &^ (slotTime - 1)
	}
	first := &q.wheel[q.horizon>>slotTimeBits&(slots-1)]
	q.horizon += slotTime
	q.slot, q.at = q.slot[:0], 0
	for i := *first; i != 0; {
		c := &q.chunks[i]
		q.slot = append(q.slot, c.events[:c.n]...)
		i, c.next, q.spare = c.next, q.spare, i
	}
	*first = 0
	q.onWheel -= len(q.slot)
	slices.SortFunc(q.slot, func(a, b event) int {
		if a.before(&b) {
			return -1
		}
		return 1
	})
	for len(q.far) > 0 && q.far[0].at-q.horizon < wheelSpan {
		q.place(q.far.pop())
	}
}
