package live

import (
	"time"

	"bluetrace/nodes"
	"bluetrace/nodes/socket"
	"bluetrace/protocol"
	"bluetrace/protocol/dialect"
)

// beacons sends and receives the beacons of a phone of this project in the form of a dialect.
type beacons struct {
	phone *phoneHost
	side  *dialect.BeaconSide
	armed map[protocol.Address]bool // the receivers for which the scheduler has a call of Wake
}

var _ socket.BeaconTranslator = (*beacons)(nil)

// newBeacons returns nil if the dialect has no form of its own. The dialect may be nil.
func newBeacons(p *phoneHost, d *dialect.Dialect) *beacons {
	if d == nil || len(d.Beacon) == 0 {
		return nil
	}
	return &beacons{p, dialect.NewBeaconSide(d), map[protocol.Address]bool{}}
}

// now returns the time for the translator.
func (b *beacons) now(now nodes.Now) dialect.Now {
	return dialect.Now{Elapsed: now.Elapsed, Wall: time.Unix(0, now.Wall).In(b.phone.zone.Location())}
}

// present returns the present time for the translator.
func (b *beacons) present() dialect.Now {
	s := b.phone.schedule
	return b.now(nodes.Now{Elapsed: s.now, Wall: s.origin.Add(s.now).UnixNano()})
}

// SendBeacon implements socket.BeaconTranslator.
func (b *beacons) SendBeacon(now nodes.Now, to protocol.Address, raw *[protocol.BeaconSize]byte) error {
	return b.send(to, b.side.Send(b.now(now), to, raw))
}

// Receive implements socket.BeaconTranslator. A datagram that cannot be sent is lost, as on a network.
func (b *beacons) Receive(now nodes.Now, from protocol.Address, datagram []byte) []byte {
	own, answers := b.side.Receive(b.now(now), from, datagram)
	_ = b.send(from, answers)
	return own
}

// send sends datagrams of the translator. If a beacon to the receiver waits, it also schedules a call of Wake.
func (b *beacons) send(to protocol.Address, datagrams [][]byte) error {
	if at, ok := b.side.NextWake(to); ok && !b.armed[to] {
		b.armed[to] = true
		b.phone.schedule.callAt(at, false, func() {
			delete(b.armed, to)
			_ = b.send(to, b.side.Wake(b.present(), to)) // as in Receive
		})
	}
	for _, d := range datagrams {
		if err := b.phone.sendDatagram(&to, d); err != nil {
			return err
		}
	}
	return nil
}
