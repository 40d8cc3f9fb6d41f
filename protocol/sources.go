package protocol

import "time"

// ref is a slot of sources, counted from 1.
type ref uint16

const none ref = 0

// sourceState is what a source has sent.
type sourceState uint8

const (
	unused sourceState = iota
	onePart
	twoParts
	threeParts
	dropped // out of turn; silent until its next 20 bytes
)

// source is one slot. Without a pointer, so that the collector never looks in.
type source struct {
	from  Address
	raw   [versionAt]byte
	state sourceState
	// host and next are used by sourceIndex only.
	host  ref
	next  ref // in the bucket; for an unused slot, in any table, the next unused one
	links [orders]link

	first, third time.Duration // elapsed
}

// awaits says whether a datagram of n bytes is the next part.
func (s *source) awaits(n int) bool {
	switch s.state {
	case onePart, twoParts:
		return n == TimeSize
	case threeParts:
		return n == BeaconSize-versionAt
	}
	return false
}

// The orders in which sources are linked, each oldest first.
const (
	byAge   = iota // all of them, by when they were begun or dropped
	byFirst        // begun ones, by first
	byThird        // complete but for the version, by third
	byHost         // those of one IP address, by age; only with a sourceIndex
	orders
)

type link struct {
	older, newer ref
}

// chain is the two ends of an order.
type chain struct {
	oldest, newest ref
}

// linearSources is up to how many slots a look at each is the quickest search.
const linearSources = 8

// sources is the table of the sources that an Assembler knows. Slots are reused,
// the last freed first. It grows as it must, to MaxSources; when it empties and
// has been far too large since it last did, it starts again from nothing.
type sources struct {
	begun, complete, all chain

	count uint16
	peak  uint16 // of count, since it was last 0
	free  ref    // first unused slot

	slots []source
	index *sourceIndex // nil up to linearSources slots
}

func (t *sources) at(r ref) *source { return &t.slots[r-1] }

func (t *sources) find(from Address) ref {
	if t.count == 0 {
		return none
	}
	if t.index != nil {
		return t.index.find(t, from)
	}
	for i := range t.slots {
		if s := &t.slots[i]; s.from == from && s.state != unused {
			return ref(i + 1)
		}
	}
	return none
}

// insert takes a slot for a source that is not in the table; at a full limit
// the oldest one goes, that of one address first.
func (t *sources) insert(from Address, state sourceState) ref {
	if r := t.excess(from); r != none {
		t.remove(r)
	}
	if t.free == none {
		t.grow()
	}
	r := t.free
	s := t.at(r)
	t.free = s.next
	s.from, s.state = from, state
	t.count++
	t.peak = max(t.peak, t.count)
	if t.index != nil {
		t.index.add(t, r)
	}
	t.enqueue(r)
	return r
}

// excess is the source that must go before one more of this address comes.
func (t *sources) excess(from Address) ref {
	if t.count >= MaxSourcesPerAddress {
		if r := t.index.oldestOfFull(from.IP); r != none {
			return r
		}
	}
	if t.count >= MaxSources {
		return t.all.oldest
	}
	return none
}

// renew makes a known source the newest, as if it had just been met.
func (t *sources) renew(r ref, state sourceState) {
	t.dequeue(r)
	t.at(r).state = state
	t.enqueue(r)
}

func (t *sources) remove(r ref) {
	t.dequeue(r)
	if t.index != nil {
		t.index.remove(t, r)
	}
	s := t.at(r)
	s.state, s.next = unused, t.free
	t.free = r
	t.count--
	if t.count == 0 {
		t.rest()
	}
}

// rest gives back the memory of a crowd that did not come again.
func (t *sources) rest() {
	const worthKeeping = 4 * linearSources
	if len(t.slots) > worthKeeping && int(t.peak) < len(t.slots)/4 {
		*t = sources{}
	}
	t.peak = 0
}

func (t *sources) enqueue(r ref) {
	t.push(&t.all, byAge, r)
	s := t.at(r)
	if s.state != dropped {
		t.push(&t.begun, byFirst, r)
	}
	if t.index != nil {
		t.push(&t.index.host(s.host).sources, byHost, r)
	}
}

func (t *sources) dequeue(r ref) {
	t.cut(&t.all, byAge, r)
	s := t.at(r)
	if s.state != dropped {
		t.cut(&t.begun, byFirst, r)
	}
	if s.state == threeParts {
		t.cut(&t.complete, byThird, r)
	}
	if t.index != nil {
		t.cut(&t.index.host(s.host).sources, byHost, r)
	}
}

// push links r as the newest of an order.
func (t *sources) push(c *chain, order int, r ref) {
	t.at(r).links[order] = link{older: c.newest}
	if c.newest != none {
		t.at(c.newest).links[order].newer = r
	} else {
		c.oldest = r
	}
	c.newest = r
}

// cut takes r out of an order.
func (t *sources) cut(c *chain, order int, r ref) {
	l := t.at(r).links[order]
	if l.older != none {
		t.at(l.older).links[order].newer = l.newer
	} else {
		c.oldest = l.newer
	}
	if l.newer != none {
		t.at(l.newer).links[order].older = l.older
	} else {
		c.newest = l.older
	}
}

// grow adds slots: one at a time while they are few, since thousands of phones
// know one or two sources each; then twice as many.
func (t *sources) grow() {
	n := len(t.slots)
	size := n + 1
	if n >= linearSources/2 {
		size = 2 * n
	}
	slots := make([]source, size)
	copy(slots, t.slots)
	t.slots = slots
	for r := ref(size); r > ref(n); r-- {
		t.at(r).next = t.free
		t.free = r
	}
	if size > linearSources {
		t.index = newSourceIndex(t)
	}
}
