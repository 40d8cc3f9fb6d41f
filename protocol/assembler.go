package protocol

import (
	"time"
	"unsafe"
)

// Limits of assembling split beacons (PROTOCOL.md section 3).
const (
	JudgeAfter           = 250 * time.Millisecond // from the third part
	ForgetAfter          = time.Second            // from the first part
	MaxSources           = 4096
	MaxSourcesPerAddress = 1024 // one IP address, any port
)

// Assembled is one thing to judge.
type Assembled struct {
	From       Address
	Raw        [BeaconSize]byte // the fields at their places
	HasVersion bool             // the version byte came
	OutOfTurn  bool             // out of turn or of a wrong length: Raw means nothing, the beacon is invalid
	FirstPart  time.Duration    // elapsed time of its first part
}

// Assembler puts split beacons together, per source address and port
// (PROTOCOL.md section 3). The zero value is ready and holds no memory until the
// first datagram of a split beacon; then 120 bytes for each source of the
// largest number that it knew at once (some more beyond 8 sources), and nothing
// for a source whose beacon is complete.
//
// Times are elapsed times and must not go back. A source that sent a part out of
// turn is known too, until its next 20 bytes or until the limits push it out.
type Assembler struct {
	next  time.Duration // what NextWake answers; means something only while a beacon is begun
	known sources
}

// Datagram takes one datagram that arrived at now, and appends to out what is to
// be judged by then. What is due at now comes before what arrives.
func (a *Assembler) Datagram(now time.Duration, from Address, p []byte, out []Assembled) []Assembled {
	out = a.Wake(now, out)
	r := a.known.find(from)
	switch {
	case len(p) == BeaconSize:
		return a.single(now, from, p, r, out)
	case len(p) == TempIDSize:
		return a.begin(now, from, p, r, out)
	case r != none && a.known.at(r).awaits(len(p)):
		return a.part(now, p, r, out)
	default:
		return a.outOfTurn(now, from, r, out)
	}
}

// Wake appends the beacons whose fourth part is late at now, and forgets those
// that were begun too long ago. In the order of their times; when both are due
// at one instant, a beacon is judged.
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

// NextWake is the elapsed time of the next judgement or forgetting; false when
// nothing is begun.
func (a *Assembler) NextWake() (time.Duration, bool) {
	return a.next, a.known.begun.oldest != none
}

// NextJudgement is the elapsed time at which a beacon without its fourth part is
// judged; false when none is that far. A host that calls Wake only then misses
// nothing that can be seen: forgetting is done before whatever arrives next.
func (a *Assembler) NextJudgement() (time.Duration, bool) {
	r := a.known.complete.oldest
	if r == none {
		return 0, false
	}
	return a.known.at(r).third + JudgeAfter, true
}

// Memory points at what a part of a beacon needs beside the Assembler itself, for
// a host that wants it near before; nil when there is nothing.
func (a *Assembler) Memory() unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(a.known.slots)) }

// schedule keeps NextWake right after a change.
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

// part takes a part that its source awaits.
func (a *Assembler) part(now time.Duration, p []byte, r ref, out []Assembled) []Assembled {
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

// judge appends the beacon of r if it has three parts; else it has nothing to
// say.
func (a *Assembler) judge(r ref, out []Assembled) []Assembled {
	s := a.known.at(r)
	if s.state != threeParts {
		return out
	}
	out = append(out, Assembled{From: s.from, FirstPart: s.first})
	copy(out[len(out)-1].Raw[:], s.raw[:])
	return out
}
