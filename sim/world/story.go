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
