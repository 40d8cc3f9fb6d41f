package virtual

import (
	"math/bits"
	"slices"
)

// entry is one scheduled input or wake-up of a node. It is a value of 24 bytes
// without pointers: with 100,000 entries pending, memory decides the speed.
type entry struct {
	at int64 // virtual nanoseconds from time zero; may be negative
	// order breaks ties: the class in the highest bit, then the sequence number, then
	// the kind in the lowest kindBits bits.
	order uint64
	who   uint32 // a phone, the server or a connection
	arg   uint32 // by kind: the slot of a segment, a call or a store; of a datagram with its beaconPart
}

// The classes. At one instant wake-ups come before inputs.
const (
	wakeUpClass = 0
	inputClass  = 1 << 63
	kindBits    = 8
)

func (e *entry) kind() entryKind { return entryKind(e.order & (1<<kindBits - 1)) }

func (e *entry) before(f *entry) bool {
	if e.at != f.at {
		return e.at < f.at
	}
	return e.order < f.order
}

// queue holds the pending entries in the order of time, class and sequence number.
//
// A later entry waits in no order in the wheel slot of its time: a push costs one
// store instead of a path through a heap that no cache holds. When its slot begins,
// the slot's entries are distributed to the parts of the slot. Each part is sorted
// shortly before it begins, so that the next entries can be prefetched. Entries
// pushed into a sorted part go to the heap near, which stays small. Entries beyond
// the wheel wait in the heap far.
type queue struct {
	part    []entry // of the time that has begun, sorted
	at      int     // index of the first entry of part that is left
	next    []entry // the part behind it, sorted
	buffer  []entry // for sorting
	near    heap
	sorted  int64 // part, next and near hold the entries before it; a multiple of partTime
	parts   [partsPerSlot]pile
	filled  uint64 // bit set of the parts that hold entries
	onParts int    // number of entries in parts
	horizon int64  // parts hold the entries from sorted up to it; a multiple of slotTime
	wheel   []pile
	onWheel int // number of entries in wheel
	far     heap
	chunks  []chunk // chunks[0] is not used
	free    int32   // first unused chunk; next links the others
	seq     uint64

	// Number of entries that have been prefetched, counted from the start of part.
	prefetchedPhone, prefetchedLog int
}

// The wheel spans slots × slotTime, 275 s: more than the retention of a contact log,
// which is the longest delay that many entries have.
const (
	slotTimeBits = 24 // 16.8 ms
	slotTime     = 1 << slotTimeBits
	slots        = 1 << 14
	wheelSpan    = slots * slotTime

	partTimeBits = 18 // 262 µs, shorter than most delays of a network
	partTime     = 1 << partTimeBits
	partsPerSlot = slotTime / partTime
)

// pile holds entries in no order: its newest chunk holds n of them, and the chunks
// behind it are full.
type pile struct {
	newest int32 // index of a chunk; 0 if there is none
	n      int32
}

// chunk holds entries of one pile. Any pile may use a free chunk, so that the wheel
// takes the memory of the pending entries and no more.
type chunk struct {
	entries [chunkEntries]entry
	next    int32 // index of an older chunk of the pile; 0 if there is none
}

const chunkEntries = 15

// push adds an entry with the next sequence number.
func (q *queue) push(at int64, class uint64, kind entryKind, who, arg uint32) {
	q.seq++
	e := entry{at: at, order: class | q.seq<<kindBits | uint64(kind), who: who, arg: arg}
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
		i := e.at >> partTimeBits & (partsPerSlot - 1)
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
	if p.newest == 0 || p.n == chunkEntries {
		p.newest, p.n = q.newChunk(p.newest), 0
	}
	q.chunks[p.newest].entries[p.n] = *e
	p.n++
}

func (q *queue) newChunk(next int32) int32 {
	i := q.free
	if i == 0 {
		i = int32(len(q.chunks))
		q.chunks = append(q.chunks, chunk{})
	} else {
		q.free = q.chunks[i].next
	}
	q.chunks[i].next = next
	return i
}

// drain empties a pile: it calls do with the entries of each chunk. do may place
// entries elsewhere.
func (q *queue) drain(p *pile, do func([]entry)) {
	n := p.n
	for i := p.newest; i != 0; n = chunkEntries {
		do(q.chunks[i].entries[:n])
		c := &q.chunks[i] // do may have moved the chunks
		i, c.next, q.free = c.next, q.free, i
	}
	*p = pile{}
}

func (q *queue) len() int {
	return len(q.part) - q.at + len(q.next) + len(q.near) + q.onParts + q.onWheel + len(q.far)
}

// count returns the number of pending entries of one kind.
func (q *queue) count(kind entryKind) int {
	n := 0
	add := func(entries []entry) {
		for i := range entries {
			if entries[i].kind() == kind {
				n++
			}
		}
	}
	add(q.part[q.at:])
	add(q.next)
	add(q.near)
	add(q.far)
	for _, piles := range [][]pile{q.parts[:], q.wheel} {
		for _, p := range piles {
			for i, m := p.newest, p.n; i != 0; i, m = q.chunks[i].next, chunkEntries {
				add(q.chunks[i].entries[:m])
			}
		}
	}
	return n
}

// first returns the earliest entry, or nil if the queue is empty.
func (q *queue) first() *entry {
	for q.at == len(q.part) && (len(q.near) == 0 || len(q.next) > 0) {
		if q.len() == 0 {
			return nil
		}
		q.advance()
	}
	if q.at < len(q.part) && (len(q.near) == 0 || q.part[q.at].before(&q.near[0])) {
		return &q.part[q.at]
	}
	return &q.near[0]
}

// pop removes and returns the earliest entry, which first has just returned.
func (q *queue) pop(first *entry) entry {
	if q.at < len(q.part) && first == &q.part[q.at] {
		q.at++
		return *first
	}
	return q.near.pop()
}

// ahead returns entry i counted from the start of part, in the order in which the
// entries come unless others are pushed before them.
func (q *queue) ahead(i int) *entry {
	if i < len(q.part) {
		return &q.part[i]
	}
	return &q.next[i-len(q.part)]
}

// prefetchCount returns the number of entries to prefetch now so that those up to
// distance entries ahead are, and moves prefetched to the first of them.
func (q *queue) prefetchCount(prefetched *int, distance int) int {
	*prefetched = max(*prefetched, q.at)
	if *prefetched-q.at >= distance {
		return 0
	}
	return min(prefetchBatch, len(q.part)+len(q.next)-*prefetched)
}

// advance begins the next part, and sorts the one behind it.
func (q *queue) advance() {
	q.prefetchedPhone -= len(q.part)
	q.prefetchedLog -= len(q.part)
	q.part, q.next, q.at = q.next, q.part[:0], 0
	if len(q.part)+len(q.near) == 0 {
		q.skip()
	}
	if q.sorted == q.horizon {
		q.beginSlot()
	}
	i := q.sorted >> partTimeBits & (partsPerSlot - 1)
	q.sorted += partTime
	if q.filled>>i&1 == 0 {
		return
	}
	q.drain(&q.parts[i], func(entries []entry) { q.next = append(q.next, entries...) })
	q.filled &^= 1 << i
	q.onParts -= len(q.next)
	if n := len(q.next); n > 1 && n <= insertionSortMax {
		q.buffer = spread(q.next, q.buffer)
		q.next, q.buffer = q.buffer, q.next
	}
	sortEntries(q.next)
}

// skip moves to the first part that holds entries.
func (q *queue) skip() {
	for q.filled == 0 {
		if q.onWheel == 0 {
			q.horizon = q.far[0].at &^ (slotTime - 1)
		}
		q.beginSlot()
	}
	q.sorted = q.horizon - slotTime + int64(bits.TrailingZeros64(q.filled))<<partTimeBits
}

// beginSlot moves the horizon by one slot, and the slot's entries to the parts.
func (q *queue) beginSlot() {
	slot := &q.wheel[q.horizon>>slotTimeBits&(slots-1)]
	q.sorted = q.horizon
	q.horizon += slotTime
	if slot.newest != 0 {
		before := q.onParts
		q.drain(slot, func(entries []entry) {
			for i := range entries {
				q.place(&entries[i])
			}
		})
		q.onWheel -= q.onParts - before
	}
	for len(q.far) > 0 && q.far[0].at-q.horizon < wheelSpan {
		e := q.far.pop()
		q.place(&e)
	}
}

// insertionSortMax is the largest number of entries for which insertion sort is the
// fastest.
const insertionSortMax = 100

// Entries of a part are spread over its pieces before they are sorted: few enough
// that the pieces' ends fit two cache lines, many enough for two or three entries
// each.
const (
	pieceTimeBits = partTimeBits - 5
	pieces        = 1 << (partTimeBits - pieceTimeBits)
)

// spread copies the entries of one part into buffer in the order of the pieces of
// their times, and returns it. Each entry is then near its final place, which makes
// sorting about twice as fast.
func spread(entries, buffer []entry) []entry {
	var ends [pieces]int32
	for i := range entries {
		ends[entries[i].at>>pieceTimeBits&(pieces-1)]++
	}
	end := int32(0)
	for i, n := range ends {
		end += n
		ends[i] = end
	}
	buffer = slices.Grow(buffer[:0], len(entries))[:len(entries)]
	for i := range entries {
		at := &ends[entries[i].at>>pieceTimeBits&(pieces-1)]
		*at--
		buffer[*at] = entries[i]
	}
	return buffer
}

func sortEntries(entries []entry) {
	if len(entries) > insertionSortMax {
		slices.SortFunc(entries, func(a, b entry) int {
			if a.before(&b) {
				return -1
			}
			return 1
		})
		return
	}
	for i := 1; i < len(entries); i++ {
		e := entries[i]
		at := i
		for ; at > 0 && e.before(&entries[at-1]); at-- {
			entries[at] = entries[at-1]
		}
		entries[at] = e
	}
}

// heap is a 4-ary heap of entries, the earliest first.
type heap []entry

func (hp *heap) push(e entry) {
	*hp = append(*hp, e)
	h := *hp
	i := len(h) - 1
	for i > 0 {
		up := (i - 1) / 4
		if !e.before(&h[up]) {
			break
		}
		h[i] = h[up]
		i = up
	}
	h[i] = e
}

// pop removes and returns the earliest entry. The heap must not be empty.
func (hp *heap) pop() entry {
	h := *hp
	top := h[0]
	n := len(h) - 1
	e := h[n]
	h = h[:n]
	*hp = h
	i := 0
	for {
		first := 4*i + 1
		if first >= n {
			break
		}
		least := first
		last := min(first+4, n)
		for c := first + 1; c < last; c++ {
			if h[c].before(&h[least]) {
				least = c
			}
		}
		if !h[least].before(&e) {
			break
		}
		h[i] = h[least]
		i = least
	}
	if n > 0 {
		h[i] = e
	}
	return top
}

// Yardstick is the heap alone, without a wheel or a world. Benchmarks compare a
// crowd's events per second with it.
type Yardstick struct {
	heap heap
	seq  uint64
}

// Push adds an entry at the given virtual time.
func (y *Yardstick) Push(at int64) {
	y.seq++
	y.heap.push(entry{at: at, order: inputClass | y.seq<<kindBits})
}

// Pop removes the earliest entry and returns its time.
func (y *Yardstick) Pop() int64 {
	e := y.heap.pop()
	return e.at
}
