package protocol

import (
	"time"
	"unsafe"
)

// Limits of the assembly of split beacons (PROTOCOL.md section 3).
const (
	// JudgeAfter is the time after the third part at which a beacon is judged without
	// its fourth part.
	JudgeAfter = 250 * time.Millisecond
	// ForgetAfter is the time after the first part at which an incomplete beacon is
	// dropped.
	ForgetAfter = time.Second
	// MaxSources is the largest number of sources that an Assembler knows at the same
	// time.
	MaxSources = 4096
	// MaxSourcesPerAddress is the largest number of these sources with one IP address,
	// whatever their ports.
	MaxSourcesPerAddress = 1024
)

// Assembled is one beacon that is ready to be judged, or the report of a part that was
// out of turn.
type Assembled struct {
	From       Address
	Raw        [BeaconSize]byte // each field at its offset
	HasVersion bool             // the version byte arrived
	OutOfTurn  bool             // a part was out of turn or of a wrong length: invalid, and Raw has no meaning
	FirstPart  time.Duration    // elapsed time at which the first part arrived
}

// Assembler assembles split beacons for each source address and port (PROTOCOL.md
// section 3). The zero value is ready to use.
//
// An Assembler allocates nothing before the first datagram of a split beacon. After
// that its memory is 112 bytes for each of the largest number of sources that it knew
// at the same time, and about twice that above 8 sources. A source is forgotten when
// its beacon is complete. A source that sent a part out of turn stays known until its
// next datagram of 20 bytes, or until a limit evicts it.
//
// All times are elapsed times and must not decrease from one call to the next.
type Assembler struct {
	next  time.Duration // result of NextWake; valid only while a beacon is incomplete
	known sources
}

// Datagram handles the datagram p that arrived from an address at the elapsed time now.
// It appends the beacons to judge to out and returns the extended slice. Beacons that
// were due at or before now come first.
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

// Wake handles the deadlines up to the elapsed time now, in their order. It appends the
// beacons whose fourth part is overdue to out, and forgets the incomplete beacons whose
// first part is too old. A beacon for which both deadlines are at the same time is
// judged. Wake returns the extended slice.
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

// Memory returns the address of the table of sources, so that a host can prefetch it
// into the CPU cache. It returns nil if no table is allocated.
func (a *Assembler) Memory() unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(a.known.slots)) }

// schedule updates the result of NextWake. It must be called after each change of the
// incomplete beacons.
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

// addPart stores the part p of the known source r. With the fourth part it appends the
// complete beacon to out and removes the source.
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

// judge appends the beacon of source r to out if three of its parts have arrived. It
// does not remove the source.
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

// sourceState is the state of a slot: unused, the number of parts that have arrived, or
// dropped.
type sourceState uint8

const (
	unused sourceState = iota
	onePart
	twoParts
	threeParts
	dropped // a part was out of turn: ignored until its next datagram of 20 bytes
)

// source is one slot of the table. It contains no pointer, so the garbage collector
// does not scan the table.
type source struct {
	from  Address
	raw   [versionAt]byte
	state sourceState
	next  ref          // the next slot of the free list, if this one is unused
	links [orders]link // the neighbours in each order

	first, third time.Duration // elapsed times at which the first and the third part arrived
}

// awaits reports whether the next part of the source's beacon has n bytes.
func (s *source) awaits(n int) bool {
	switch s.state {
	case onePart, twoParts:
		return n == TimeSize
	case threeParts:
		return n == BeaconSize-versionAt
	}
	return false
}

// The orders in which sources are linked, from the oldest to the newest.
const (
	byAge   = iota // all sources, by the time at which they were begun or dropped
	byFirst        // sources with an incomplete beacon, by the arrival of the first part
	byThird        // sources with three parts, by the arrival of the third part
	orders
)

// link holds the neighbours of a source in one order, or none at its ends.
type link struct {
	older, newer ref
}

// chain is a doubly linked list of the sources in one order, given by its two ends.
type chain struct {
	oldest, newest ref
}

// linearSources is the largest number of slots that find searches one by one. A larger
// table has a sourceIndex.
const linearSources = 8

// sourceIndex is the index of a large table. It finds the slot of a source and counts
// the sources of each IP address. perIP is nil in a table of so few slots that no address can
// have too many.
type sourceIndex struct {
	bySource map[Address]ref
	perIP    map[[16]byte]int
}

// sources is the table of the sources that an Assembler knows. It has at most
// MaxSources. Free slots are reused, the last one that became free first. A table that
// becomes empty frees its memory if it was far too large for the sources since it was
// last empty.
type sources struct {
	// A datagram of a whole beacon reads only the fields up to complete.oldest. Together with next of the Assembler
	// they are 16 bytes, so that a host can keep them in one cache line.
	begun    chain
	count    uint16
	complete chain
	all      chain

	peak uint16 // largest count since it was last 0
	free ref    // first unused slot

	slots []source
	index *sourceIndex // nil up to linearSources slots
}

func (t *sources) at(r ref) *source { return &t.slots[r-1] }

// find returns the slot of a source, or none if the source is not known.
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

// insert adds a source that is not in the table, and returns its slot. If the source's
// IP address has MaxSourcesPerAddress sources already, the oldest of them is evicted.
// Otherwise, if the table has MaxSources, the oldest source of all is evicted.
func (t *sources) insert(from Address, state sourceState) ref {
	if t.free == none && len(t.slots) < MaxSources {
		t.grow()
	}
	if r := t.excess(from); r != none {
		t.remove(r)
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

// excess returns the source to evict before one more source with this address is added,
// or none if there is room.
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

// renew sets the state of the known source r and makes it the newest of its orders.
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

// shrink frees the memory of an empty table that was far too large for its sources.
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

// grow adds slots to the free list. A table of few slots grows by one slot, because
// most of many thousand phones know only one or two sources. A table of linearSources/2
// slots or more doubles. Above linearSources slots grow creates the index.
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
		t.index = &sourceIndex{bySource: make(map[Address]ref, size)}
		if size > MaxSourcesPerAddress {
			t.index.perIP = map[[16]byte]int{}
		}
		for r := ref(1); r <= ref(n); r++ {
			t.index.add(r, t.at(r).from)
		}
	}
}

func (x *sourceIndex) add(r ref, from Address) {
	x.bySource[from] = r
	if x.perIP != nil {
		x.perIP[from.IP]++
	}
}

func (x *sourceIndex) remove(from Address) {
	delete(x.bySource, from)
	if x.perIP == nil {
		return
	}
	if x.perIP[from.IP]--; x.perIP[from.IP] == 0 {
		delete(x.perIP, from.IP)
	}
}
