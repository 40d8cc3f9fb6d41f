package load

import (
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

// beacon sends one to the next phone; its answer is its reception there, which
// the receiver measures. The next operation is due a gap after it.
func (s *session) beacon(gap time.Duration) bool {
	if !s.rest(max(s.due, s.ready)) {
		return false
	}
	raw := s.depart()
	_ = s.transmit(&raw) // what the kernel does not take is lost like any other
	s.ready = s.now()
	if !s.measured {
		s.due = s.ready
	}
	s.due += gap
	if s.due > s.ready {
		s.ready = s.due
	}
	return true
}

// depart takes the next number and remembers the flight.
func (s *session) depart() (raw [protocol.BeaconSize]byte) {
	p := s.phone
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent++
	b := p.beacon
	b.Start -= protocol.LocalTime(p.sent % sequences)
	b.Expiry -= protocol.LocalTime(p.sent % sequences)
	b.Encode(&raw)
	p.flights[int(p.sent)%len(p.flights)] = flight{id: b.TempID, start: b.Start, measured: s.measured, due: s.due, ready: s.ready, sent: s.now()}
	if s.measured {
		s.beacons.sent.Add(1)
	}
	s.Meter.Beacons().Sent.Add(1)
	return raw
}

func (s *session) transmit(raw *[protocol.BeaconSize]byte) error {
	to := s.to.udp.Address()
	if s.Single {
		return s.udp.Send(to, raw[:])
	}
	for i := range 4 {
		if err := s.udp.Send(to, protocol.Part(raw, i)); err != nil {
			return err
		}
	}
	return nil
}

// receive hears what comes to a phone until its socket is closed.
func (e *engine) receive(p *phone) {
	var (
		assembler protocol.Assembler
		buffer    [protocol.BeaconSize + 1]byte
		ready     []protocol.Assembled
	)
	known := protocol.AddressOf(p.from.udp.Address())
	for {
		n, from, err := p.udp.Receive(buffer[:])
		if err != nil {
			return
		}
		now := e.Clock.Since(e.origin)
		ready = assembler.Datagram(now, protocol.AddressOf(from), buffer[:n], ready[:0])
		for i := range ready {
			e.arrived(p, &ready[i], ready[i].From == known, now)
		}
	}
}

// arrived finds the flight of what a phone has put together.
func (e *engine) arrived(p *phone, a *protocol.Assembled, known bool, now time.Duration) {
	if !a.Version {
		a.Raw[protocol.BeaconSize-1] = '1' // its fields decide (PROTOCOL.md section 3)
	}
	b, err := protocol.DecodeBeacon(a.Raw[:])
	if a.Broken || err != nil || !known {
		e.beacons.malformed.Add(1)
		e.Meter.Beacons().Malformed.Add(1)
		return
	}
	f, twice, ok := p.from.landed(&b)
	switch {
	case !ok: // its flight is forgotten
		e.beacons.late.Add(1)
		e.Meter.Beacons().Late.Add(1)
		return
	case twice:
		if f.measured {
			e.beacons.doubled.Add(1)
		}
		e.Meter.Beacons().Doubled.Add(1)
		return
	}
	e.counted(&f, now)
	p.hear(b, e.Traffic.Entries)
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
		one := &p.flights[(int(p.sent)+len(p.flights)-i)%len(p.flights)]
		if one.start == b.Start && one.id == b.TempID {
			twice = one.seen
			one.seen = true
			return *one, twice, true
		}
	}
	return f, false, false
}
