package protocol

import (
	"time"
	"unsafe"
)

// Limits of the assembly of split beacons (PROTOCOL.md section 3).
const (
	JudgeAfter           = 250 * time.Millisecond // after the third part
	ForgetAfter          = time.Second            // after the first part
	MaxSources           = 4096
	MaxSourcesPerAddress = 1024 // of one IP address, any port
)

// Assembled is one beacon to judge.
type Assembled struct {
	From       Address
	Raw        [BeaconSize]byte // each field at its offset
	HasVersion bool             // the version byte arrived
	OutOfTurn  bool             // a part was out of turn or of a wrong length: invalid, and Raw has no meaning
	FirstPart  time.Duration    // elapsed time at which the first part arrived
}

// Assembler assembles split beacons per source address and port (PROTOCOL.md
// section 3). The zero value is ready. It holds no memory until the first datagram
// of a split beacon. Then it holds 112 bytes for each of the largest number of
// sources that it knew at once, and about twice that beyond 8 sources. A source
// whose beacon is complete is not known any more.
//
// Times are elapsed times and must not decrease. A source that sent a part out of
// turn stays known until its next datagram of 20 bytes, or until a limit evicts
// it.
type Assembler struct {
	next  time.Duration // result of NextWake; valid only while a beacon is incomplete
	known sources
}

// Datagram handles one datagram that arrived at now, and appends the beacons to
// judge to out. Beacons that are due at now come first.
func (a *Assembler) Datagram(now time.Duration, from Address, p []byte, out []Assembled) []Assembled {
	out = a.Wake(now, out)
	r := a.known.find(from)
	switch {
	case len(p) == BeaconSize:
		return a.single(now, from, p, r, out)
	case len(p) == TempIDSize:
		return a.begin(now, from, p, r, out)
	case r != none && a.known.at(r).awaits(len(p)):
		return a.addPart(now, p, r, out)
	default:
		return a.outOfTurn(now, from, r, out)
	}
}

// Wake appends the beacons whose fourth part is overdue at now, and forgets the
// incomplete beacons whose first part is too old, in the order of their deadlines.
// A beacon for which both are due at the same time is judged.
func (a *Assembler) Wake(now time.Duration, out []Assembled) []Assembled {
	for {
		if due, ok := a.NextWake(); !ok || due > now {
			return out
		}
		if r := a.known.complete.oldest; r != none && a.known.at(r).third+JudgeAfter == a.next {
			out = a.judge(r, out)
			a.known.remove(r)
		} else {
			a.known.remove(a.known.begun.oldest)
		}
		a.schedule()
	}
}

// NextWake returns the elapsed time at which the next beacon is judged or
// forgotten, or false if no beacon is incomplete.
func (a *Assembler) NextWake() (time.Duration, bool) {
	return a.next, a.known.begun.oldest != none
}

// NextJudgement returns the elapsed time at which the next beacon without its
// fourth part is judged, or false if no beacon has three parts. A host may call
// Wake only then: the next datagram forgets old beacons in time.
func (a *Assembler) NextJudgement() (time.Duration, bool) {
	r := a.known.complete.oldest
	if r == none {
		return 0, false
	}
	return a.known.at(r).third + JudgeAfter, true
}

// Memory returns the address of the incomplete beacons, for a host that
// prefetches it, or nil if there are none.
func (a *Assembler) Memory() unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(a.known.slots)) }

// schedule computes NextWake after a change.
func (a *Assembler) schedule() {
	if r := a.known.begun.oldest; r != none {
		a.next = a.known.at(r).first + ForgetAfter
	}
	if r := a.known.complete.oldest; r != none {
		a.next = min(a.next, a.known.at(r).third+JudgeAfter)
	}
}

func (a *Assembler) single(now time.Duration, from Address, p []byte, r ref, out []Assembled) []Assembled {
	if r != none && a.known.at(r).state != dropped {
		out = a.judge(r, out)
		a.known.remove(r)
		a.schedule()
	}
	return append(out, Assembled{From: from, Raw: [BeaconSize]byte(p), HasVersion: true, FirstPart: now})
}

func (a *Assembler) begin(now time.Duration, from Address, p []byte, r ref, out []Assembled) []Assembled {
	if r != none {
		out = a.judge(r, out)
		a.known.renew(r, onePart)
	} else {
		r = a.known.insert(from, onePart)
	}
	s := a.known.at(r)
	s.first = now
	copy(s.raw[:], p)
	a.schedule()
	return out
}

// addPart adds the next part of a known source.
func (a *Assembler) addPart(now time.Duration, p []byte, r ref, out []Assembled) []Assembled {
	s := a.known.at(r)
	switch s.state {
	case onePart:
		copy(s.raw[startAt:], p)
		s.state = twoParts
		return out
	case twoParts:
		copy(s.raw[expiryAt:], p)
		s.state, s.third = threeParts, now
		a.known.push(&a.known.complete, byThird, r)
	default:
		out = a.judge(r, out)
		last := &out[len(out)-1]
		last.Raw[versionAt], last.HasVersion = p[0], true
		a.known.remove(r)
	}
	a.schedule()
	return out
}

func (a *Assembler) outOfTurn(now time.Duration, from Address, r ref, out []Assembled) []Assembled {
	first := now
	switch {
	case r == none:
		a.known.insert(from, dropped)
	case a.known.at(r).state == dropped:
		return out
	default:
		first = a.known.at(r).first
		a.known.renew(r, dropped)
	}
	a.schedule()
	return append(out, Assembled{From: from, OutOfTurn: true, FirstPart: first})
}

// judge appends the beacon of r if it has three parts.
func (a *Assembler) judge(r ref, out []Assembled) []Assembled {
	s := a.known.at(r)
	if s.state != threeParts {
		return out
	}
	out = append(out, Assembled{From: s.from, FirstPart: s.first})
	copy(out[len(out)-1].Raw[:], s.raw[:])
	return out
}

// ref identifies a slot of sources, counted from 1.
type ref uint16

const none ref = 0

// sourceState is the number of parts that a source has sent of its beacon.
type sourceState uint8

const (
	unused sourceState = iota
	onePart
	twoParts
	threeParts
	dropped // out of turn; ignored until its next 20 bytes
)

// source is one slot. It has no pointer, so the garbage collector skips it.
type source struct {
	from  Address
	raw   [versionAt]byte
	state sourceState
	next  ref // of an unused slot: the next unused one
	links [orders]link

	first, third time.Duration // elapsed times of two parts
}

// awaits reports whether a datagram of n bytes is the next part.
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
	byAge   = iota // all sources, by the time at which they were begun or dropped
	byFirst        // sources with an incomplete beacon, by first
	byThird        // sources with three parts, by third
	orders
)

type link struct {
	older, newer ref
}

// chain is the two ends of an order.
type chain struct {
	oldest, newest ref
}

// linearSources is the largest number of slots that is searched one by one. More
// have a sourceIndex.
const linearSources = 8

// sourceIndex finds a source among thousands, and counts those of an IP address.
type sourceIndex struct {
	bySource map[Address]ref
	perIP    map[[16]byte]int
}

// sources is the table of the sources that an Assembler knows. Slots are reused,
// the last freed first. It grows to at most MaxSources. When it becomes empty and
// was far too large since the last time, it frees its memory.
type sources struct {
	begun, complete, all chain

	count uint16
	peak  uint16 // largest count since it was last 0
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
		return t.index.bySource[from]
	}
	for i := range t.slots {
		if s := &t.slots[i]; s.from == from && s.state != unused {
			return ref(i + 1)
		}
	}
	return none
}

// insert adds a source that is not in the table. At a full limit it evicts the
// oldest source, of the same IP address first.
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
		t.index.add(r, from)
	}
	t.enqueue(r)
	return r
}

// excess returns the source to evict before one more of this address is added.
func (t *sources) excess(from Address) ref {
	if t.index != nil && t.index.perIP[from.IP] >= MaxSourcesPerAddress {
		r := t.all.oldest
		for t.at(r).from.IP != from.IP {
			r = t.at(r).links[byAge].newer
		}
		return r
	}
	if t.count >= MaxSources {
		return t.all.oldest
	}
	return none
}

// renew makes a known source the newest.
func (t *sources) renew(r ref, state sourceState) {
	t.dequeue(r)
	t.at(r).state = state
	t.enqueue(r)
}

func (t *sources) remove(r ref) {
	t.dequeue(r)
	s := t.at(r)
	if t.index != nil {
		t.index.remove(s.from)
	}
	s.state, s.next = unused, t.free
	t.free = r
	t.count--
	if t.count == 0 {
		t.shrink()
	}
}

// shrink frees the memory of an empty table that was far too large.
func (t *sources) shrink() {
	const worthKeeping = 4 * linearSources
	if len(t.slots) > worthKeeping && int(t.peak) < len(t.slots)/4 {
		*t = sources{}
	}
	t.peak = 0
}

func (t *sources) enqueue(r ref) {
	t.push(&t.all, byAge, r)
	if t.at(r).state != dropped {
		t.push(&t.begun, byFirst, r)
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

// cut removes r from an order.
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

// grow adds slots: one at a time while they are few, because thousands of phones
// know one or two sources each, then as many as there are.
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
	if t.index == nil && size > linearSources {
		t.index = &sourceIndex{bySource: make(map[Address]ref, size), perIP: map[[16]byte]int{}}
		for r := ref(1); r <= ref(n); r++ {
			t.index.add(r, t.at(r).from)
		}
	}
}

func (x *sourceIndex) add(r ref, from Address) {
	x.bySource[from] = r
	x.perIP[from.IP]++
}

func (x *sourceIndex) remove(from Address) {
	delete(x.bySource, from)
	if x.perIP[from.IP]--; x.perIP[from.IP] == 0 {
		delete(x.perIP, from.IP)
	}
}
