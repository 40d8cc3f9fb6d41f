package load

import (
	"net/netip"
	"sync/atomic"
	"time"

	"bluetrace/protocol"
)

// flight is a beacon that was sent.
type flight struct {
	id               protocol.TempID
	measured, seen   bool
	start            protocol.LocalTime
	due, ready, sent time.Duration
}

// A phone's beacons tell each other apart by their times, which lie one to
// sequences seconds before the download: all are valid as long as the TempID's
// lifetime is longer than that. The last ones are remembered, flightsKept or more.
const (
	sequences   = 512
	flightsKept = 32
)

// beaconCounts are those of the measured part. Malformed is counted whenever it
// came: what is no beacon does not say when it was sent.
type beaconCounts struct {
	sent, received, doubled, late, malformed atomic.Uint64
}

func (c *beaconCounts) count() Beacons {
	b := Beacons{Sent: c.sent.Load(), Received: c.received.Load(), Doubled: c.doubled.Load(), Late: c.late.Load(), Malformed: c.malformed.Load()}
	b.Lost = b.Sent - min(b.Sent, b.Received)
	return b
}

// fly sends a beacon to the next phone, under the next number; its answer is its
// reception there, which the receiver measures.
func (p *phone) fly() {
	s := &p.session
	if p.flights == nil {
		p.flights = make([]flight, max(flightsKept, p.Traffic.Beacons))
	}
	p.number++
	b := p.beacon
	b.Start -= protocol.LocalTime(p.number % sequences)
	b.Expiry -= protocol.LocalTime(p.number % sequences)
	p.flights[int(p.number)%len(p.flights)] = flight{id: b.TempID, start: b.Start, measured: s.measured, due: s.due, ready: s.ready, sent: s.sent}
	if s.measured {
		p.beacons.sent.Add(1)
	}
	p.Meter.Beacons().Sent.Add(1)
	var raw [protocol.BeaconSize]byte
	b.Encode(&raw)
	_ = p.transmit(&raw) // what the kernel does not take is lost like any other
}

// flown goes on: the next operation is due a gap after the beacon.
func (p *phone) flown() {
	s := &p.session
	s.script = s.script[1:]
	s.ready = p.now()
	if !s.measured {
		s.due = s.ready
	}
	s.due += p.Traffic.Gap
	s.ready = max(s.due, s.ready)
}

func (p *phone) transmit(raw *[protocol.BeaconSize]byte) error {
	to := p.to.udp.Address()
	if p.Single {
		return p.udp.Send(to, raw[:])
	}
	for i := range 4 {
		if err := p.udp.Send(to, protocol.Part(raw, i)); err != nil {
			return err
		}
	}
	return nil
}

// receive hears what comes to a phone, once all phones have their sockets.
func (p *phone) receive(from netip.AddrPort, b []byte) {
	if !p.seated.Load() {
		return
	}
	h := &p.hearing
	now := p.now()
	known := protocol.AddressOf(h.from.udp.Address())
	h.ready = h.assembler.Datagram(now, protocol.AddressOf(from), b, h.ready[:0])
	for i := range h.ready {
		p.arrived(&h.ready[i], h.ready[i].From == known, now)
	}
}

// arrived finds the flight of what a phone has put together.
func (p *phone) arrived(a *protocol.Assembled, known bool, now time.Duration) {
	if !a.HasVersion {
		a.Raw[protocol.BeaconSize-1] = '1' // its fields decide (PROTOCOL.md section 3)
	}
	b, err := protocol.DecodeBeacon(a.Raw[:])
	if a.OutOfTurn || err != nil || !known {
		p.beacons.malformed.Add(1)
		p.Meter.Beacons().Malformed.Add(1)
		return
	}
	f, twice, ok := p.hearing.from.landed(&b)
	switch {
	case !ok: // its flight is forgotten
		p.beacons.late.Add(1)
		p.Meter.Beacons().Late.Add(1)
		return
	case twice:
		if f.measured {
			p.beacons.doubled.Add(1)
		}
		p.Meter.Beacons().Doubled.Add(1)
		return
	}
	p.counted(&f, now)
	p.hearing.keep(b, p.Traffic.Entries)
}

// counted measures a beacon that came for the first time.
func (e *engine) counted(f *flight, now time.Duration) {
	late := now-f.sent > lateAfter
	if f.measured {
		e.beacons.received.Add(1)
		if late {
			e.beacons.late.Add(1)
		}
	}
	m := e.Meter.Beacons()
	m.Received.Add(1)
	if late {
		m.Late.Add(1)
	}
	m.Delay(now - f.sent)
	e.add(&Row{Operation: Beacon, Due: f.due, Ready: f.ready, Sent: f.sent, Done: now}, f.measured)
}

// landed finds the flight of a beacon by its TempID and start, the last ones first.
func (p *phone) landed(b *protocol.Beacon) (f flight, twice, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.flights {
		one := &p.flights[(int(p.number)+len(p.flights)-i)%len(p.flights)]
		if one.start == b.Start && one.id == b.TempID {
			twice = one.seen
			one.seen = true
			return *one, twice, true
		}
	}
	return f, false, false
}
