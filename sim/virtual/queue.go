package virtual

import (
	"math/bits"
	"slices"
)

// queue is the pending events, ordered by (time, wake-ups before inputs,
// sequence).
//
// What comes later waits, unordered, in the slot of its time on a wheel: pushing
// it costs one store instead of a way through a heap that no cache holds. When
// its slot begins, it is dealt out to the parts of that slot, and each part is
// sorted shortly before it begins, so that the events that come next can be
// looked at. What is pushed for a part that has been sorted goes to a heap, which
// stays small, and what lies beyond the wheel waits in another.
type queue struct {
	part    []entry // of the time that has begun, sorted
	at      int     // the first of part that is left
	next    []entry // the part behind it, sorted
	rough   []entry // room for sorting it
	near    heap
	sorted  int64 // part, next and near hold what is before it; a multiple of partTime
	parts   [partsOfSlot]pile
	filled  uint64 // the parts that hold events, a bit each
	onParts int
	horizon int64 // parts hold what is from sorted up to it; a multiple of slotTime
	wheel   []pile
	onWheel int
	far     heap
	chunks  []chunk // chunks[0] is nobody's
	spare   int32   // a chunk that is free, and through next all others
	seq     uint64

	// up to which event, as soon counts them, memory has been asked for
	askedPhone, askedLog int
}

// The wheel spans slots × slotTime, 275 s: more than the retention of a contact
// log, which is the longest delay of which there are many.
const (
	slotTimeBits = 24 // 16.8 ms
	slotTime     = 1 << slotTimeBits
	slots        = 1 << 14
	wheelSpan    = slots * slotTime

	partTimeBits = 18 // 262 µs: shorter than most delays of a network
	partTime     = 1 << partTimeBits
	partsOfSlot  = slotTime / partTime
)

// pile is some events in no order: the newest chunk holds n of them, those
// behind it are full.
type pile struct {
	newest int32 // 0: there is none
	n      int32
}

// chunk holds some events of one pile. Chunks are used again by any pile, so
// that the wheel takes the memory of what is pending and no more.
type chunk struct {
	events [chunkEvents]entry
	next   int32 // an older chunk of the same pile; 0: none
}

const chunkEvents = 15

// push adds an event and gives it the next sequence number.
func (q *queue) push(at int64, class uint64, k kind, who, arg uint32) {
	q.seq++
	e := entry{at: at, ord: class | q.seq<<kindBits | uint64(k), who: who, arg: arg}
	if q.wheel == nil {
		q.wheel = make([]pile, slots)
		q.chunks = make([]chunk, 1)
		q.sorted = at &^ (slotTime - 1)
		q.horizon = q.sorted + slotTime
	}
	q.place(&e)
}

func (q *queue) place(e *entry) {
	switch {
	case e.at < q.sorted:
		q.near.push(*e)
	case e.at < q.horizon:
		i := e.at >> partTimeBits & (partsOfSlot - 1)
		q.put(&q.parts[i], e)
		q.filled |= 1 << i
		q.onParts++
	case e.at-q.horizon < wheelSpan:
		q.put(&q.wheel[e.at>>slotTimeBits&(slots-1)], e)
		q.onWheel++
	default:
		q.far.push(*e)
	}
}

func (q *queue) put(p *pile, e *entry) {
	if p.newest == 0 || p.n == chunkEvents {
		p.newest, p.n = q.newChunk(p.newest), 0
	}
	q.chunks[p.newest].events[p.n] = *e
	p.n++
}

func (q *queue) newChunk(next int32) int32 {
	i := q.spare
	if i == 0 {
		i = int32(len(q.chunks))
		q.chunks = append(q.chunks, chunk{})
	} else {
		q.spare = q.chunks[i].next
	}
	q.chunks[i].next = next
	return i
}

// take empties a pile: it calls do with the events of each of its chunks. do may
// place events elsewhere.
func (q *queue) take(p *pile, do func([]entry)) {
	n := p.n
	for i := p.newest; i != 0; n = chunkEvents {
		do(q.chunks[i].events[:n])
		c := &q.chunks[i] // do may have moved them all
		i, c.next, q.spare = c.next, q.spare, i
	}
	*p = pile{}
}

func (q *queue) len() int {
	return len(q.part) - q.at + len(q.next) + len(q.near) + q.onParts + q.onWheel + len(q.far)
}

// count is how many events of one kind are pending.
func (q *queue) count(k kind) int {
	n := 0
	in := func(events []entry) {
		for i := range events {
			if events[i].kind() == k {
				n++
			}
		}
	}
	in(q.part[q.at:])
	in(q.next)
	in(q.near)
	in(q.far)
	for _, piles := range [][]pile{q.parts[:], q.wheel} {
		for _, p := range piles {
			for i, m := p.newest, p.n; i != 0; i, m = q.chunks[i].next, chunkEvents {
				in(q.chunks[i].events[:m])
			}
		}
	}
	return n
}

// first is the earliest event. The queue must not be empty.
func (q *queue) first() *entry {
	for q.at == len(q.part) && (len(q.near) == 0 || len(q.next) > 0) {
		q.advance()
	}
	if q.at < len(q.part) && (len(q.near) == 0 || q.part[q.at].before(&q.near[0])) {
		return &q.part[q.at]
	}
	return &q.near[0]
}

// pop takes the earliest event. The queue must not be empty.
func (q *queue) pop() entry {
	e := q.first()
	if q.at < len(q.part) && e == &q.part[q.at] {
		q.at++
		return *e
	}
	return q.near.pop()
}

// soon is event i counted from the beginning of part, in the order in which they
// come, unless others are pushed before them.
func (q *queue) soon(i int) *entry {
	if i < len(q.part) {
		return &q.part[i]
	}
	return &q.next[i-len(q.part)]
}

// ask says for how many events from asked on it is time to ask, when those up to
// it have been asked for, and the distance is to be kept.
func (q *queue) ask(asked *int, distance int) int {
	*asked = max(*asked, q.at)
	if *asked-q.at >= distance {
		return 0
	}
	return min(askAtOnce, len(q.part)+len(q.next)-*asked)
}

// advance begins the next part, and sorts the one behind it.
func (q *queue) advance() {
	q.askedPhone -= len(q.part)
	q.askedLog -= len(q.part)
	q.part, q.next, q.at = q.next, q.part[:0], 0
	if len(q.part)+len(q.near) == 0 {
		q.skip()
	}
	if q.sorted == q.horizon {
		q.deal()
	}
	i := q.sorted >> partTimeBits & (partsOfSlot - 1)
	q.sorted += partTime
	if q.filled>>i&1 == 0 {
		return
	}
	q.take(&q.parts[i], func(events []entry) { q.next = append(q.next, events...) })
	q.filled &^= 1 << i
	q.onParts -= len(q.next)
	if n := len(q.next); n > 1 && n <= fewEvents {
		q.rough = spread(q.next, q.rough)
		q.next, q.rough = q.rough, q.next
	}
	sortEvents(q.next)
}

// skip moves to the first part that holds events: nothing is before it.
func (q *queue) skip() {
	for q.filled == 0 {
		if q.onWheel == 0 {
			q.horizon = q.far[0].at &^ (slotTime - 1)
		}
		q.deal()
	}
	q.sorted = q.horizon - slotTime + int64(bits.TrailingZeros64(q.filled))<<partTimeBits
}

// deal moves the horizon by one slot, and its events to the parts.
func (q *queue) deal() {
	slot := &q.wheel[q.horizon>>slotTimeBits&(slots-1)]
	q.sorted = q.horizon
	q.horizon += slotTime
	if slot.newest != 0 {
		before := q.onParts
		q.take(slot, func(events []entry) {
			for i := range events {
				q.place(&events[i])
			}
		})
		q.onWheel -= q.onParts - before
	}
	for len(q.far) > 0 && q.far[0].at-q.horizon < wheelSpan {
		e := q.far.pop()
		q.place(&e)
	}
}

// fewEvents is up to how many events moving each to its place is the quickest
// way to sort them.
const fewEvents = 100

// pieces are how many stretches of time a part has for spread: few enough that
// their ends stay in two cache lines, many enough for two or three events each.
const (
	pieceTimeBits = partTimeBits - 5
	pieces        = 1 << (partTimeBits - pieceTimeBits)
)

// spread puts the events of one part into room, by the piece of it that they are
// in: then each is near its place, which makes sorting them about twice as quick.
func spread(events, room []entry) []entry {
	var ends [pieces]int32
	for i := range events {
		ends[events[i].at>>pieceTimeBits&(pieces-1)]++
	}
	end := int32(0)
	for i, n := range ends {
		end += n
		ends[i] = end
	}
	room = slices.Grow(room[:0], len(events))[:len(events)]
	for i := range events {
		at := &ends[events[i].at>>pieceTimeBits&(pieces-1)]
		*at--
		room[*at] = events[i]
	}
	return room
}

func sortEvents(events []entry) {
	if len(events) > fewEvents {
		slices.SortFunc(events, func(a, b entry) int {
			if a.before(&b) {
				return -1
			}
			return 1
		})
		return
	}
	for i := 1; i < len(events); i++ {
		e := events[i]
		at := i
		for ; at > 0 && e.before(&events[at-1]); at-- {
			events[at] = events[at-1]
		}
		events[at] = e
	}
}
