package virtual

// entry is one scheduled input or wake-up of one entity. It is a value of 24
// bytes without pointers: with 100,000 of them pending memory decides the speed.
type entry struct {
	at int64 // virtual nanoseconds from the start of the run; may be negative
	// ord breaks ties: the class (wake-ups 0, inputs 1) in the highest bit, then
	// the sequence number, then the kind in the lowest 8 bits.
	ord uint64
	who uint32 // the entity: a phone, a connection
	arg uint32 // what: a datagram's slot, a segment's, a call's
}

const (
	inputClass = 1 << 63
	kindBits   = 8
)

func (e *entry) kind() kind { return kind(e.ord & (1<<kindBits - 1)) }

func (e *entry) before(f *entry) bool {
	if e.at != f.at {
		return e.at < f.at
	}
	return e.ord < f.ord
}

// heap is a 4-ary heap of events, the earliest first.
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

// pop takes the earliest event. The heap must not be empty.
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

// Yardstick is the bare heap, without a wheel, a world or anything that
// happens: what the benchmarks hold a crowd's events per second against.
type Yardstick struct {
	heap heap
	seq  uint64
}

// Push adds an event at the given virtual time.
func (y *Yardstick) Push(at int64) {
	y.seq++
	y.heap.push(entry{at: at, ord: inputClass | y.seq<<kindBits})
}

// Pop takes the earliest event and answers with its time.
func (y *Yardstick) Pop() int64 {
	e := y.heap.pop()
	return e.at
}
