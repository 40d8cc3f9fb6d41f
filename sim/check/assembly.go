package check

import (
	"fmt"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"

	"bluetrace/protocol"
	"bluetrace/scenarios/fault"
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

// receiver is the model of one phone that receives datagrams. Its times are elapsed times of the clock of that phone.
type receiver struct {
	sources []source // in the order in which they were begun or dropped, the oldest first
	due     []verdict
	// paused is set if a fault has paused the phone: it then handles datagrams later than they arrive, and is not
	// followed until its program starts anew.
	paused bool
}

// origin is the address of a sender.
type origin struct {
	phone event.Node
	port  uint16
}

// source is the state of the datagrams of one origin.
type source struct {
	origin
	dropped      bool     // a part was out of turn
	sums         []uint64 // of the parts that have arrived, 1 to 3 unless dropped
	first, third time.Duration
}

// verdict is a verdict that a phone must give.
type verdict struct {
	origin
	at, first time.Duration
	outOfTurn bool
	version   bool
	sums      []uint64 // of the parts, or of the whole beacon
}

// partSizes are the sizes in bytes of the parts of a beacon.
var partSizes = [...]int{protocol.TempIDSize, protocol.TimeSize, protocol.TimeSize, 1}

func (a *assembly) subscribe(s *event.Stream) {
	a.receivers = map[event.Node]*receiver{}
	s.On(event.DatagramDelivered, a.delivered)
	s.On(event.BeaconJudged, a.judged)
	s.On(event.PhoneStepped, func(e *event.Event) { a.checkDone(int64(e.At), e.Node) })
	s.On(event.PhoneStopped, func(e *event.Event) { delete(a.receivers, e.Node) })
	s.On(event.FaultApplied, func(e *event.Event) {
		if e.Fault == fault.Pause && e.Node != event.Server {
			*a.of(e.Node) = receiver{paused: true}
		}
	})
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
	r := a.of(e.Node)
	if r.paused {
		return
	}
	now := a.v.elapsed(int64(e.At), e.Node)
	r.advance(now)
	from := origin{e.Peer, e.Port}
	s, i := source{origin: from}, slices.IndexFunc(r.sources, func(s source) bool { return s.origin == from })
	if i >= 0 {
		s = r.sources[i]
	}
	known := i >= 0 && !s.dropped
	switch {
	case e.Size == protocol.BeaconSize || e.Size == protocol.TempIDSize:
		if known && len(s.sums) == 3 {
			r.due = append(r.due, s.verdict(now))
		}
		if known || i >= 0 && e.Size == protocol.TempIDSize {
			r.sources = slices.Delete(r.sources, i, i+1)
		}
		begun := source{origin: from, first: now, sums: []uint64{e.Sum}}
		if e.Size == protocol.TempIDSize {
			r.add(begun)
			return
		}
		whole := begun.verdict(now)
		whole.version = true
		r.due = append(r.due, whole)
	case known && e.Size == partSizes[len(s.sums)]:
		if s.sums = append(s.sums, e.Sum); len(s.sums) == 3 {
			s.third = now
		}
		r.sources[i] = s
		if len(s.sums) == len(partSizes) {
			r.due = append(r.due, s.verdict(now))
			r.sources = slices.Delete(r.sources, i, i+1)
		}
	case known:
		r.sources = slices.Delete(r.sources, i, i+1)
		r.dropNow(now, s.first, from)
	case i < 0:
		r.dropNow(now, now, from)
	}
}

// verdict returns the verdict on the parts of the source, at the given time.
func (s *source) verdict(at time.Duration) verdict {
	return verdict{origin: s.origin, at: at, first: s.first, sums: s.sums, version: len(s.sums) == len(partSizes)}
}

// dropNow handles a part out of turn of a source whose first part arrived at the time first.
func (r *receiver) dropNow(now, first time.Duration, from origin) {
	r.add(source{origin: from, dropped: true})
	r.due = append(r.due, verdict{origin: from, at: now, first: first, outOfTurn: true})
}

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
		if at := s.third + judgeAfter; len(s.sums) == 3 && at <= end {
			end, judged = at, true
		}
		if s.dropped || end > now {
			return false
		}
		if judged {
			r.due = append(r.due, s.verdict(end))
		}
		return true
	})
}

// judged compares the verdict of a phone with those that are due.
func (a *assembly) judged(e *event.Event) {
	r := a.of(e.Node)
	if r.paused {
		return
	}
	a.v.evaluated[BeaconsAssembled]++
	now := a.v.elapsed(int64(e.At), e.Node)
	r.advance(now)
	late := a.v.rounding(e.Node)
	i := slices.IndexFunc(r.due, func(d verdict) bool {
		return now >= d.at && now <= d.at+late && d.phone == e.Peer && d.describes(e)
	})
	if i >= 0 {
		r.due = slices.Delete(r.due, i, i+1)
		return
	}
	expected := "no verdict on a beacon now"
	if len(r.due) > 0 {
		expected = r.due[0].String()
	}
	a.v.violate(BeaconsAssembled, int64(e.At), int(e.Node), expected, foundVerdict(e).String())
}

// describes reports whether the event is this verdict, apart from its time and the phone that sent the beacon.
func (d *verdict) describes(e *event.Event) bool {
	f := foundVerdict(e)
	if f.port != d.port || f.first != d.first || f.outOfTurn != d.outOfTurn || f.version != d.version {
		return false
	}
	if len(d.sums) == 1 {
		return xxhash.Sum64(e.Phone.Raw[:]) == d.sums[0]
	}
	rest := e.Phone.Raw[:]
	for i := range d.sums {
		if xxhash.Sum64(rest[:partSizes[i]]) != d.sums[i] {
			return false
		}
		rest = rest[partSizes[i]:]
	}
	return true
}

// foundVerdict returns the verdict that a phone has given.
func foundVerdict(e *event.Event) verdict {
	p := e.Phone
	return verdict{origin: origin{e.Peer, p.From.Port}, at: p.At.Elapsed, first: p.FirstPart,
		outOfTurn: p.OutOfTurn, version: p.HasVersion}
}

// String describes the verdict with the times of the clock of the receiver.
func (d verdict) String() string {
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
	if r == nil || r.paused || len(r.sources) == 0 && len(r.due) == 0 {
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
