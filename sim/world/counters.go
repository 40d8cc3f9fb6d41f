package world

import (
	"bluetrace/nodes"
	"bluetrace/sim/event"
)

// Counters keeps the Counts of a run.
type Counters struct{ Counts Counts }

// CountedKinds lists the kinds that Counters observes.
func CountedKinds() []event.Kind {
	return []event.Kind{
		event.BeaconSent, event.DatagramSent, event.DatagramLost, event.DatagramDelivered,
		event.BeaconJudged, event.EntriesExpired, event.Accepted, event.ServerEnded, event.ServerStopped, event.ServerDecided,
		event.RemoteOpened, event.RemoteClosed,
	}
}

// Observe counts the event.
func (c *Counters) Observe(e *event.Event) {
	n := &c.Counts
	switch e.Kind {
	case event.BeaconSent:
		n.Beacons.Sent++
	case event.DatagramSent:
		n.Datagrams.Sent++
		n.Datagrams.InFlight++
	case event.DatagramLost:
		n.Datagrams.Lost++
		if e.InFlight {
			n.Datagrams.InFlight--
		} else {
			n.Datagrams.Sent++
		}
	case event.DatagramDelivered:
		n.Datagrams.Delivered++
		n.Datagrams.InFlight--
	case event.BeaconJudged:
		n.Beacons.Delivered++
		if e.Phone.OutOfTurn || e.Phone.Err != nil {
			n.Beacons.Invalid++
		} else {
			n.Beacons.Valid++
			n.Beacons.Kept++
		}
	case event.EntriesExpired:
		n.Beacons.Expired += uint64(e.Count)
	case event.Accepted, event.RemoteOpened:
		n.Sessions.Opened++
	case event.ServerEnded:
		if e.Closed {
			n.Sessions.Closed++
		}
	case event.RemoteClosed:
		n.Sessions.Closed++
	case event.ServerStopped:
		n.Sessions.Closed += uint64(e.Count)
	case event.ServerDecided:
		countDecision(n, e.Decision)
	}
}

// DelayMeter records the Delays of a run.
type DelayMeter struct{ Delays Delays }

// DelayKinds lists the kinds that a DelayMeter observes.
func DelayKinds() []event.Kind { return []event.Kind{event.BeaconJudged, event.OperationDone} }

// Observe records the delay that the event ends.
func (d *DelayMeter) Observe(e *event.Event) {
	switch e.Kind {
	case event.BeaconJudged:
		if e.SentKnown && !e.Phone.OutOfTurn {
			d.Delays.Beacon.Record(int64(e.At - e.Sent))
		}
	case event.OperationDone:
		if e.Phone.Kind == nodes.PhoneDone {
			d.Delays.Done(int64(e.At), e.Phone)
		}
	}
}
