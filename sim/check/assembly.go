package check

import (
	"fmt"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"

	"bluetrace/protocol"
	"bluetrace/sim/event"
)

// assembly is the model of the assembly of beacons (PROTOCOL.md section 3) in its plainest form: a list of sources for
// each receiver. It follows the size and the checksum of each datagram that arrives, works out the verdicts that must
// follow, and compares them with those of the phones: each beacon is judged once, in time, from the datagrams of one
// source.
type assembly struct {
	v         *Invariants
	receivers map[event.Node]*receiver
}

// Limits of the assembly (PROTOCOL.md section 3).
const (
	judgeAfter         = 250 * time.Millisecond // after the third part
	forgetAfter        = time.Second            // after the first part
	maxSources         = 4096
	maxSourcesPerPhone = 1024
)

// receiver is the model of one phone that receives datagrams. Its times are elapsed times of the clock of that phone. A
// phone that was paused is not followed until its program starts anew.
type receiver struct {
	sources []source // in the order in which they were begun or dropped, the oldest first
	due     []dueVerdict
}

// origin is the address of a sender.
type origin struct {
	phone event.Node
	port  uint16
}

// verdict describes a verdict of a phone, or the datagrams that lead to one.
type verdict struct {
	origin
	first     time.Duration // arrival of the first part
	outOfTurn bool
	version   bool
	parts     int // 1 to 4; 1 also for a beacon in one datagram, 0 if outOfTurn
	sums      [len(partSizes)]uint64
}

// dueVerdict is a verdict that a phone must give at a time.
type dueVerdict struct {
	verdict
	at time.Duration
}

// source is the state of the datagrams of one origin.
type source struct {
	verdict
	dropped bool          // a part was out of turn
	third   time.Duration // arrival of the third part
}

// partSizes are the sizes in bytes of the parts of a beacon.
var partSizes = [...]int{protocol.TempIDSize, protocol.TimeSize, protocol.TimeSize, 1}

func (a *assembly) subscribe(s *event.Stream) {
	a.receivers = map[event.Node]*receiver{}
	s.On(event.DatagramDelivered, a.delivered)
	s.On(event.BeaconJudged, a.judged)
	s.On(event.PhoneStepped, func(e *event.Event) { a.checkDone(int64(e.At), e.Node) })
	s.On(event.PhoneStopped, func(e *event.Event) { delete(a.receivers, e.Node) })
}

func (a *assembly) of(phone event.Node) *receiver {
	r := a.receivers[phone]
	if r == nil {
		r = &receiver{}
		a.receivers[phone] = r
	}
	return r
}

// delivered follows a datagram that reaches a phone.
func (a *assembly) delivered(e *event.Event) {
	if a.v.paused[e.Node] {
		return
	}
	r := a.of(e.Node)
	now := a.v.elapsed(int64(e.At), e.Node)
	r.advance(now)
	from := origin{e.Peer, e.Port}
	begun := source{verdict: verdict{origin: from, first: now, parts: 1, sums: [len(partSizes)]uint64{e.Sum}}}
	s, i := begun, slices.IndexFunc(r.sources, func(s source) bool { return s.origin == from })
	known := i >= 0
	if known {
		s = r.sources[i]
		r.sources = slices.Delete(r.sources, i, i+1)
	}
	switch {
	case e.Size == protocol.BeaconSize || e.Size == protocol.TempIDSize:
		if s.parts == 3 {
			r.give(now, s.verdict)
		}
		if e.Size == protocol.TempIDSize {
			r.add(begun)
			return
		}
		if s.dropped {
			r.sources = slices.Insert(r.sources, i, s)
		}
		begun.version = true
		r.give(now, begun.verdict)
	case s.dropped:
		r.sources = slices.Insert(r.sources, i, s)
	case known && e.Size == partSizes[s.parts]:
		s.sums[s.parts] = e.Sum
		if s.parts++; s.parts == 3 {
			s.third = now
		}
		if s.version = s.parts == len(partSizes); s.version {
			r.give(now, s.verdict)
		} else {
			r.sources = slices.Insert(r.sources, i, s)
		}
	default:
		r.add(source{verdict: verdict{origin: from}, dropped: true})
		r.give(now, verdict{origin: from, first: s.first, outOfTurn: true})
	}
}

// give adds a verdict that the phone must give at a time.
func (r *receiver) give(at time.Duration, v verdict) { r.due = append(r.due, dueVerdict{v, at}) }

// add adds a source. Within a full limit the oldest goes.
func (r *receiver) add(s source) {
	ofPhone := func(o source) bool { return o.phone == s.phone }
	count := 0
	for i := range r.sources {
		if ofPhone(r.sources[i]) {
			count++
		}
	}
	if count == maxSourcesPerPhone {
		i := slices.IndexFunc(r.sources, ofPhone)
		r.sources = slices.Delete(r.sources, i, i+1)
	} else if len(r.sources) == maxSources {
		r.sources = slices.Delete(r.sources, 0, 1)
	}
	r.sources = append(r.sources, s)
}

// advance judges or forgets the beacons whose time has come.
func (r *receiver) advance(now time.Duration) {
	r.sources = slices.DeleteFunc(r.sources, func(s source) bool {
		end, judged := s.first+forgetAfter, false
		if at := s.third + judgeAfter; s.parts == 3 && at <= end {
			end, judged = at, true
		}
		if s.dropped || end > now {
			return false
		}
		if judged {
			r.give(end, s.verdict)
		}
		return true
	})
}

// judged compares the verdict of a phone with those that are due.
func (a *assembly) judged(e *event.Event) {
	if a.v.paused[e.Node] {
		return
	}
	r := a.of(e.Node)
	a.v.evaluated[BeaconsAssembled]++
	now := a.v.elapsed(int64(e.At), e.Node)
	r.advance(now)
	late := a.v.rounding(e.Node)
	i := slices.IndexFunc(r.due, func(d dueVerdict) bool {
		return now >= d.at && now <= d.at+late && d.verdict == foundVerdict(e, d.parts)
	})
	if i >= 0 {
		r.due = slices.Delete(r.due, i, i+1)
		return
	}
	expected := "no verdict on a beacon now"
	if len(r.due) > 0 {
		expected = r.due[0].String()
	}
	found := dueVerdict{foundVerdict(e, 0), e.Phone.At.Elapsed}
	a.v.violate(BeaconsAssembled, int64(e.At), int(e.Node), expected, found.String())
}

// foundVerdict returns the verdict that a phone has given, on a beacon that came in this number of parts.
func foundVerdict(e *event.Event, parts int) verdict {
	p := e.Phone
	f := verdict{origin: origin{e.Peer, p.From.Port}, first: p.FirstPart, outOfTurn: p.OutOfTurn, version: p.HasVersion,
		parts: parts}
	if parts == 1 {
		f.sums[0] = xxhash.Sum64(p.Raw[:])
		return f
	}
	for i := range parts {
		f.sums[i] = xxhash.Sum64(protocol.Part(&p.Raw, i))
	}
	return f
}

// String describes the verdict with the times of the clock of the receiver.
func (d *dueVerdict) String() string {
	of := "a beacon without its fourth part"
	switch {
	case d.outOfTurn:
		of = "a part out of turn"
	case d.version:
		of = "a whole beacon"
	}
	return fmt.Sprintf("a verdict on %s from port %d, begun at %s, at %s", of, d.port, d.first, d.at)
}

// checkDone checks that a phone has given each verdict that was due before now.
func (a *assembly) checkDone(at int64, phone event.Node) {
	r := a.receivers[phone]
	if r == nil || len(r.sources) == 0 && len(r.due) == 0 {
		return
	}
	now := a.v.elapsed(at, phone)
	r.advance(now)
	late := a.v.rounding(phone)
	for i := range r.due {
		if r.due[i].at+late < now {
			a.v.violate(BeaconsAssembled, at, int(phone), r.due[i].String(), "no verdict")
			return
		}
	}
}

// elapsed returns the elapsed time of the clock of a phone.
func (v *Invariants) elapsed(at int64, phone event.Node) time.Duration {
	if f := v.logs.followed[phone]; f != nil {
		return f.clock.ElapsedAt(at)
	}
	return time.Duration(at)
}

// rounding returns by how much a deadline of a phone may be late: the nanoseconds of a clock that drifts are not those
// of the world.
func (v *Invariants) rounding(phone event.Node) time.Duration {
	if f := v.logs.followed[phone]; f != nil && f.clock.PPM != 0 {
		return 2
	}
	return 0
}
