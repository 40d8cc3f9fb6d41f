package world

import (
	"time"

	"bluetrace/sim/event"
)

// Legacy passes events on to the Watcher, the Story and the Applied function that
// they replace. It goes when the last of them observes events.
type Legacy struct {
	Watcher Watcher       // nil if there is none
	Story   Story         // nil if there is none
	Applied func(Applied) // nil if there is none
}

// Observe implements event.Observer.
func (l *Legacy) Observe(e *event.Event) {
	if l.Watcher != nil {
		switch { // the frequent events, which no Story needs
		case e.Kind == event.PhoneStepped:
			l.Watcher.Stepped(int64(e.At), e.Node, e.Log)
			return
		case e.Kind == event.DatagramDelivered:
			l.Watcher.DatagramArrived(int64(e.At))
			return
		case e.Kind == event.DatagramSent && !e.Copy:
			l.Watcher.DatagramSent(int64(e.At), int64(e.Due))
			return
		}
		l.watch(e)
	}
	if l.Story != nil {
		l.tell(e)
	}
	if l.Applied != nil && e.Kind == event.FaultApplied {
		l.Applied(Applied{At: int64(e.At), Fault: int(e.Number), Kind: FaultKind(e.Fault), Who: e.Node, Peer: e.Peer, Nth: e.Nth, Amount: e.Amount})
	}
}

func (l *Legacy) watch(e *event.Event) {
	w, at := l.Watcher, int64(e.At)
	switch e.Kind {
	case event.BeaconSent:
		w.BeaconSent(at, e.Node, e.Raw)
	case event.DatagramsForged:
		w.DatagramsForged(at, e.Node)
	case event.DatagramChanged:
		w.DatagramChanged(at, e.Node)
	case event.DatagramSent:
		if e.Copy {
			w.Doubled(at, int64(e.Due))
		} else {
			w.DatagramSent(at, int64(e.Due))
		}
	case event.DatagramLost:
		if e.InFlight {
			w.DatagramDropped(at)
		} else {
			w.DatagramLost(at)
		}
	case event.DatagramDelivered:
		w.DatagramArrived(at)
	case event.BeaconJudged:
		w.Judged(at, e.Node, e.Peer, e.Phone)
	case event.PhoneStepped:
		w.Stepped(at, e.Node, e.Log)
	case event.Accepted:
		w.Accepted(at, e.Slot)
	case event.PhoneSent:
		if !e.Scripted {
			w.PhoneSent(at, e.Node, e.Bytes)
		}
	case event.ServerSent:
		w.ServerSent(at, e.Slot, e.Bytes)
	case event.ServerRead:
		w.ServerRead(at, e.Slot, e.Bytes)
	case event.ProgramOpened:
		w.PhoneOpened(at, e.Node)
	case event.LineTyped:
		w.PhoneTyped(at, e.Node, e.Text)
	case event.ProgramConnects:
		w.PhoneConnects(at, e.Node, e.Slot)
	case event.PhonePrinted:
		w.PhonePrinted(at, e.Node, e.Text)
	case event.SessionMoved:
		w.SessionMoved(at, e.Node, e.Peer)
	case event.ServerPrinted:
		w.ServerPrinted(at, e.Text)
	case event.StoreAsked:
		w.StoreAsked(at, e.Records)
	case event.StoreDone:
		w.StoreDone(at, e.Records, e.Err)
	case event.StoreAnswered:
		w.StoreAnswered(at, e.Slot)
	case event.LogWritten:
		w.Written(at, e.Node, e.Stored)
	case event.PhoneStopped:
		w.PhoneStopped(at, e.Node)
	case event.PhoneStarted:
		w.PhoneStarted(at, e.Node, e.Log)
	case event.ServerStopped:
		w.ServerRestarted(at)
		w.ServerStopped(at)
	case event.ServerStarted:
		w.ServerStarted(at, e.Resolve)
	case event.ClockSet:
		w.ClockSet(at, e.Node, e.Clock.Elapsed, e.Clock.Wall, e.Clock.PPM)
	case event.FaultBegins:
		if !e.Instant {
			w.FaultInForce(at, FaultKind(e.Fault), true)
		}
	case event.FaultEnded:
		w.FaultInForce(at, FaultKind(e.Fault), false)
	case event.FaultApplied:
		w.FaultApplied(at, e.InForce, e.Text)
	}
}

func (l *Legacy) tell(e *event.Event) {
	s := l.Story
	switch e.Kind {
	case event.ScreenShown:
		s.Printed(e.Node, e.Text)
	case event.Replied:
		s.Replied(e.Node, e.Scripted, e.Bytes)
	case event.HungUp:
		s.Ended(e.Node, e.Scripted)
	case event.OperationDone:
		s.Done(e.Node, e.Phone)
	case event.ServerDecided:
		s.Decided(e.Peer, e.Scripted, e.Decision)
	case event.ServerHandled:
		s.Read(e.Peer, e.Scripted, e.Size)
	case event.ServerPrinted:
		s.ServerPrinted(e.Text)
	case event.BeaconJudged:
		sent := e.Sent
		if !e.SentKnown {
			sent = 0
		}
		s.Judged(e.Node, e.Peer, time.Duration(sent), e.Phone)
	}
}
