package virtual_test

import (
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/scenarios/fault"
	"bluetrace/sim/event"
	"bluetrace/sim/world"
)

// legacy passes events on to the Watcher, the Story and the Applied function that
// they replace. It goes when the last of them observes events.
type legacy struct {
	Watcher watcher             // nil if there is none
	Story   story1              // nil if there is none
	Applied func(world.Applied) // nil if there is none
}

// Observe implements event.Observer.
func (l *legacy) Observe(e *event.Event) {
	if l.Watcher != nil {
		l.watch(e)
	}
	if l.Story != nil {
		l.tell(e)
	}
	if l.Applied != nil && e.Kind == event.FaultApplied {
		l.Applied(world.Applied{At: int64(e.At), Fault: int(e.Number), Kind: e.Fault, Who: e.Node, Peer: e.Peer, Nth: e.Nth, Amount: e.Amount})
	}
}

func (l *legacy) watch(e *event.Event) {
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
			w.FaultInForce(at, e.Fault, true)
		}
	case event.FaultEnded:
		w.FaultInForce(at, e.Fault, false)
	case event.FaultApplied:
		w.FaultApplied(at, e.InForce, e.Text)
	}
}

func (l *legacy) tell(e *event.Event) {
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

// Watcher is told of everything that the bytes on the wire and the screens
// show; checkers of the run are built on it. Byte slices are valid during the
// call only.
type watcher interface {
	Accepted(at int64, conn nodes.Conn)
	ServerRead(at int64, conn nodes.Conn, p []byte)
	ServerSent(at int64, conn nodes.Conn, p []byte)
	ServerPrinted(at int64, text string)
	ServerRestarted(at int64)
	// BeaconSent: the phone put this whole beacon on the wire.
	BeaconSent(at int64, phone uint32, raw *[protocol.BeaconSize]byte)
	// DatagramsForged: the phone sent datagrams that are no whole beacon of its
	// own.
	DatagramsForged(at int64, phone uint32)
	// Judged: the phone gave its verdict on what came from sender.
	Judged(at int64, phone, sender uint32, e *nodes.PhoneEffect)
	// Stepped: the phone has handled an event and this is its log now.
	Stepped(at int64, phone uint32, log *nodes.ContactLog)
	// DatagramSent: one is on its way, and must arrive at due.
	DatagramSent(at, due int64)
	DatagramLost(at int64)
	DatagramArrived(at int64)

	phoneWatcher
	faultWatcher
}

// PhoneWatcher is told what people do with the programs of phones, and what
// these send and print.
type phoneWatcher interface {
	// PhoneOpened: a session begins; nothing that was typed before counts.
	PhoneOpened(at int64, phone uint32)
	PhoneTyped(at int64, phone uint32, line string)
	// PhoneConnects: the connection may never stand.
	PhoneConnects(at int64, phone uint32, conn nodes.Conn)
	// PhoneSent: one send of the program.
	PhoneSent(at int64, phone uint32, p []byte)
	// PhonePrinted: lines for its screen, but for beacons and their verdicts.
	PhonePrinted(at int64, phone uint32, text string)
	// SessionMoved: one program of a phone goes on with the session of another.
	SessionMoved(at int64, to, from uint32)
}

// FaultWatcher is told what only happens where there are faults. The server is
// Nobody.
type faultWatcher interface {
	// Doubled: the network has made another datagram of one, which must arrive at
	// due as well. DatagramSent is not told of it.
	Doubled(at, due int64)
	// DatagramDropped: one that was on its way, and due now, found nobody.
	DatagramDropped(at int64)
	// FaultInForce: a fault begins, or ends. One that happens in an instant does
	// neither.
	FaultInForce(at int64, kind fault.Kind, begins bool)
	// FaultApplied: a fault did one thing, while it was in force or after that.
	FaultApplied(at int64, inForce bool, what string)
	// DatagramChanged: the next datagram of sender that is told of is not as it
	// was sent, or need not keep its place.
	DatagramChanged(at int64, sender uint32)

	// PhoneStopped: the phone's program is gone with its memory. Stepped is told
	// of an empty log from here on, until PhoneStarted, with what its disk gave
	// back.
	PhoneStopped(at int64, phone uint32)
	PhoneStarted(at int64, phone uint32, log *nodes.ContactLog)
	// Written: what the phone's disk now holds durably, in order of arrival. kept is
	// valid until the call returns.
	Written(at int64, phone uint32, kept []nodes.StoredContact)

	// ServerStopped: the server's program is gone; ServerRestarted was told just
	// before. ServerStarted: there is another, which has read the files; resolve
	// tells, during the call, whose a TempID is by what it read.
	ServerStopped(at int64)
	ServerStarted(at int64, resolve func(protocol.TempID) (nodes.Issue, bool))
	// StoreAsked: the server wants these records on its disk; StoreDone: that
	// came to err. Of a server that stops meanwhile there is no StoreDone.
	StoreAsked(at int64, records []nodes.Record)
	StoreDone(at int64, records []nodes.Record, err error)
	// StoreAnswered: the server was told so, has done what follows from it, and
	// the connection on whose account it was is still open.
	StoreAnswered(at int64, conn nodes.Conn)

	// ClockSet: what the node's clocks show at this moment; from here on its
	// elapsed time runs by drift parts per million faster than the world's. See
	// NodeClock.
	ClockSet(at int64, who uint32, elapsed time.Duration, wall int64, drift float64)
}

// Story is told what a script may wait for. Its methods must not call a node:
// they use World.Call to act later in the same instant.
type story1 interface {
	// Tick is a moment that was asked for with World.Tick.
	Tick(who, arg uint32)
	// Printed: lines on the screen of a phone that is watched.
	Printed(phone uint32, text string)
	// Replied: one send of the server reached the phone whole.
	Replied(phone uint32, raw bool, p []byte)
	// Ended: the server's side of the connection ended for the phone.
	Ended(phone uint32, raw bool)
	// Done: the phone's program is through with an operation.
	Done(phone uint32, e *nodes.PhoneEffect)
	// Decided: the server decided something about a session of the phone.
	Decided(phone uint32, raw bool, e *nodes.ServerEvent)
	// Read: the server has read bytes of the phone.
	Read(phone uint32, raw bool, n int)
	ServerPrinted(text string)
	// Judged: the phone gave its verdict on what came from sender, the first of
	// it sent at the given time (0 when that is not known).
	Judged(phone, sender uint32, sent time.Duration, e *nodes.PhoneEffect)
}
