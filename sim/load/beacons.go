package load

import (
	"sync/atomic"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
)

// flight is the record of a beacon that was sent.
type flight struct {
	start            protocol.LocalTime
	tempID           uint32 // the last nine digits of its TempID
	measured, seen   bool
	due, ready, sent time.Duration
}

// The beacons of a phone differ in their times, which lie 0 to beaconTimes-1
// seconds before those of the download. So all are valid while the lifetime of the
// TempID is longer than that.
const beaconTimes = 512

// bufferedDatagrams is the number of datagrams that the buffer of a socket holds by
// default on Linux (see sim.machine).
const bufferedDatagrams = 256

// newFlights returns the records of the last beacons of a phone: as many as the buffer
// of the receiver holds and some more, and at least the given number of beacons. With fewer a receiver that falls
// behind would find no record of any beacon that it reads.
func newFlights(single bool, beacons int) []flight {
	const more = 16
	held := bufferedDatagrams + more
	if !single {
		held = bufferedDatagrams/protocol.Parts + more
	}
	return make([]flight, max(held, beacons))
}

// beaconCounts counts the beacons of the measured part. The malformed ones are
// those of the whole run, since they do not show when they were sent.
type beaconCounts struct {
	sent, received, doubled, late, malformed atomic.Uint64
}

func (c *beaconCounts) count() Beacons {
	b := Beacons{Sent: c.sent.Load(), Received: c.received.Load(), Doubled: c.doubled.Load(),
		Late: c.late.Load(), Malformed: c.malformed.Load()}
	b.Lost = b.Sent - min(b.Sent, b.Received)
	return b
}

// sendBeacon sends the beacon of the current operation to the next phone of the
// ring, whose host measures the arrival. It makes the next operation of the script
// the current one, due Traffic.Gap later.
func (p *phone) sendBeacon() {
	s := &p.session
	if p.flights == nil {
		p.flights = newFlights(p.Single, p.Traffic.Beacons)
	}
	p.number++
	b, _ := p.machine.TempID()
	b.Start -= protocol.LocalTime(p.number % beaconTimes)
	b.Expiry -= protocol.LocalTime(p.number % beaconTimes)
	old := &p.flights[int(p.number)%len(p.flights)]
	old.writeLost(p.Rows, p.Name)
	*old = flight{
		start: b.Start, tempID: lastDigits(&b.TempID), measured: s.measured, due: s.due, ready: s.ready, sent: s.sent,
	}
	if s.measured {
		p.beacons.sent.Add(1)
	}
	p.Meter.Beacons().Sent.Add(1)
	_ = p.transmit(&b) // a beacon that the kernel refuses is lost like any other

	s.script = s.script[1:]
	s.ready = p.now()
	p.follow(0)
	s.due += p.Traffic.Gap
	s.ready = max(s.due, s.ready)
}

// writeLost writes the row of a beacon of a phone, whose record is not needed any more, if the beacon did not arrive.
func (f *flight) writeLost(to *Rows, phone string) {
	if to != nil && f.start != 0 && !f.seen {
		to.add(&Row{Operation: Beacon, Outcome: Unknown, Lost: true, Due: f.due, Sent: f.sent}, phone, f.measured)
	}
}

func (p *phone) transmit(b *protocol.Beacon) error {
	var raw [protocol.BeaconSize]byte
	b.Encode(&raw)
	to := p.to.udp.Address()
	if p.Single {
		return p.udp.Send(to, raw[:])
	}
	for i := range protocol.Parts {
		if err := p.udp.Send(to, protocol.Part(&raw, i)); err != nil {
			return err
		}
	}
	return nil
}

// received counts a beacon that the machine has judged. The load counts a beacon as
// malformed if its fields do not parse or it came from the wrong phone. It accepts
// an expired beacon, since a TempID may expire during a long run.
func (p *phone) received(e *nodes.PhoneEffect, fromSender bool, now time.Duration) {
	if !e.HasVersion {
		e.Raw[protocol.BeaconSize-1] = protocol.Version // the fourth part did not come (PROTOCOL.md section 3)
	}
	b, err := protocol.DecodeBeacon(e.Raw[:])
	meter := p.Meter.Beacons()
	if e.OutOfTurn || err != nil || !fromSender {
		p.beacons.malformed.Add(1)
		meter.Malformed.Add(1)
		return
	}
	f, again, ok := p.from.findFlight(&b)
	switch {
	case !ok: // its record has been overwritten
		p.beacons.late.Add(1)
		meter.Late.Add(1)
	case again:
		if f.measured {
			p.beacons.doubled.Add(1)
		}
		meter.Doubled.Add(1)
	default:
		p.measureBeacon(p.from, &f, now)
	}
}

// lastDigits returns the last nine digits of a TempID as a number.
func lastDigits(id *protocol.TempID) (n uint32) {
	for _, c := range id[len(id)-9:] {
		n = 10*n + uint32(c-'0')
	}
	return n
}

// findFlight finds the record of a beacon by its TempID and start, beginning with the
// last beacon sent, and marks the record as seen. The result again is true if it was
// marked before, and ok is false if there is no record.
func (p *phone) findFlight(b *protocol.Beacon) (f flight, again, ok bool) {
	tempID := lastDigits(&b.TempID)
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.flights {
		one := &p.flights[(int(p.number)+len(p.flights)-i)%len(p.flights)]
		if one.start == b.Start && one.tempID == tempID {
			again = one.seen
			one.seen = true
			return *one, again, true
		}
	}
	return f, false, false
}
