package check

import (
	"fmt"

	"bluetrace/sim/world"
)

// flights is the model of the datagrams: it counts them for itself, and knows
// when the last one that is under way must have arrived.
type flights struct {
	v                     *Invariants
	sent, delivered, lost uint64
	latest                int64 // when the last of all that were sent arrives
	mixed                 bool  // the network has lost or doubled some
}

// DatagramSent follows one that must arrive at due.
func (v *Invariants) DatagramSent(at, due int64) {
	f := &v.flights
	f.overdue(at)
	f.sent++
	f.latest = max(f.latest, due)
	if due < at {
		v.violate(DatagramsBalance, at, -1, "an arrival after the sending", fmt.Sprintf("one at %s s", world.Seconds(due)))
	}
}

// DatagramLost follows one that the network lost.
func (v *Invariants) DatagramLost(at int64) {
	v.flights.overdue(at)
	v.flights.sent++
	v.flights.lost++
	v.flights.mixed = true
}

// DatagramArrived follows one that reached its phone.
func (v *Invariants) DatagramArrived(at int64) {
	f := &v.flights
	f.v.times[DatagramsBalance]++
	f.delivered++
	if f.delivered+f.lost > f.sent {
		v.violate(DatagramsBalance, at, -1, "no more delivered and lost than sent", f.text())
	}
}

// Doubled follows a datagram that the network has made of another.
func (v *Invariants) Doubled(at, due int64) {
	v.flights.mixed = true
	v.DatagramSent(at, due)
}

// DatagramDropped follows one that was on its way and found nobody.
func (v *Invariants) DatagramDropped(at int64) {
	f := &v.flights
	f.v.times[DatagramsBalance]++
	f.lost++
	f.mixed = true
	if f.delivered+f.lost > f.sent {
		v.violate(DatagramsBalance, at, -1, "no more delivered and lost than sent", f.text())
	}
}

// overdue: past the last arrival nothing is in flight.
func (f *flights) overdue(at int64) {
	f.v.times[DatagramsBalance]++
	if at > f.latest && f.sent != f.delivered+f.lost {
		f.v.violate(DatagramsBalance, at, -1,
			fmt.Sprintf("nothing in flight after %s s", world.Seconds(f.latest)), f.text())
	}
}

// Balance compares the model with what the world counted and still has under
// way.
func (v *Invariants) Balance(at int64, d world.Datagrams, underWay int) {
	f := &v.flights
	f.overdue(at)
	same := d.Sent == f.sent && d.Delivered == f.delivered && d.Lost == f.lost && d.InFlight == uint64(underWay)
	if !same || f.sent != f.delivered+f.lost+uint64(underWay) {
		v.violate(DatagramsBalance, at, -1, fmt.Sprintf("%s, %d in flight", f.text(), f.sent-f.delivered-f.lost),
			fmt.Sprintf("%d sent, %d delivered, %d lost, %d in flight, %d in the queue", d.Sent, d.Delivered, d.Lost, d.InFlight, underWay))
	}
}

func (f *flights) text() string {
	return fmt.Sprintf("%d sent, %d delivered, %d lost", f.sent, f.delivered, f.lost)
}
