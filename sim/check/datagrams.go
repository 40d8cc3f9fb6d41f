package check

import (
	"fmt"

	"bluetrace/sim/event"
	"bluetrace/sim/world"
)

// datagrams is the model of the datagrams. It keeps its own counts, and the time by
// which the last datagram in flight must have arrived.
type datagrams struct {
	v                        *Invariants
	sentN, deliveredN, lostN uint64
	latest                   int64 // latest arrival of a datagram that was sent
	mixed                    bool  // the network lost or duplicated a datagram
}

// sent counts a datagram that the network has accepted. It is in flight from now on.
func (d *datagrams) sent(e *event.Event) {
	at := int64(e.At)
	d.mixed = d.mixed || e.Copy
	d.checkOverdue(at)
	d.sentN++
	d.latest = max(d.latest, int64(e.Due))
	if e.Due < e.At {
		found := fmt.Sprintf("one at %s s", event.Seconds(int64(e.Due)))
		d.v.violate(DatagramsBalance, at, -1, "an arrival after the sending", found)
	}
}

// lost counts a datagram that the network loses, either when it is sent or in flight.
func (d *datagrams) lost(e *event.Event) {
	at := int64(e.At)
	d.mixed = true
	if !e.InFlight {
		d.checkOverdue(at)
		d.sentN++
	}
	d.lostN++
	d.checkSum(at)
}

// delivered counts a datagram that has reached its phone.
func (d *datagrams) delivered(e *event.Event) {
	d.deliveredN++
	d.checkSum(int64(e.At))
}

func (d *datagrams) checkSum(at int64) {
	d.v.evaluated[DatagramsBalance]++
	if d.deliveredN+d.lostN > d.sentN {
		d.v.violate(DatagramsBalance, at, -1, "no more delivered and lost than sent", d.text())
	}
}

// checkOverdue checks that nothing is in flight after the last arrival.
func (d *datagrams) checkOverdue(at int64) {
	d.v.evaluated[DatagramsBalance]++
	if at > d.latest && d.sentN != d.deliveredN+d.lostN {
		expected := fmt.Sprintf("nothing in flight after %s s", event.Seconds(d.latest))
		d.v.violate(DatagramsBalance, at, -1, expected, d.text())
	}
}

// compare compares the model with the counts of the world, and with the number of
// datagrams that the world still has in flight.
func (d *datagrams) compare(at int64, n world.Datagrams, inFlight int) {
	if d.sentN > 0 {
		d.checkOverdue(at)
	}
	same := n.Sent == d.sentN && n.Delivered == d.deliveredN && n.Lost == d.lostN && n.InFlight == uint64(inFlight)
	if !same || d.sentN != d.deliveredN+d.lostN+uint64(inFlight) {
		d.v.violate(DatagramsBalance, at, -1, fmt.Sprintf("%s, %d in flight", d.text(), d.sentN-d.deliveredN-d.lostN),
			fmt.Sprintf("%d sent, %d delivered, %d lost, %d in flight, %d in the queue",
				n.Sent, n.Delivered, n.Lost, n.InFlight, inFlight))
	}
}

func (d *datagrams) text() string {
	return fmt.Sprintf("%d sent, %d delivered, %d lost", d.sentN, d.deliveredN, d.lostN)
}
