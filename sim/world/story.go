package world

import (
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
)

// Watcher is told of everything that the bytes on the wire and the screens
// show; checkers of the run are built on it. Byte slices are valid during the
// call only.
type Watcher interface {
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

	PhoneWatcher
	FaultWatcher
}

// PhoneWatcher is told what people do with the programs of phones, and what
// these send and print.
type PhoneWatcher interface {
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
type FaultWatcher interface {
	// Doubled: the network has made another datagram of one, which must arrive at
	// due as well. DatagramSent is not told of it.
	Doubled(at, due int64)
	// DatagramDropped: one that was on its way, and due now, found nobody.
	DatagramDropped(at int64)
	// FaultInForce: a fault begins, or ends. One that happens in an instant does
	// neither.
	FaultInForce(at int64, kind FaultKind, begins bool)
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
type Story interface {
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
