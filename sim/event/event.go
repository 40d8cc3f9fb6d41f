// Package event is the one stream of events of a run. A world emits an Event for
// every observable occurrence, in virtual time and on real sockets alike. The
// trace, the digest, the counters, the delays, the invariants, the situations and
// the script are observers of that stream.
package event

import (
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/scenarios/fault"
)

// Node is the number of a phone, from 0, or Server.
type Node = uint32

// Server stands in Event.Node and Event.Peer for the server. NoPeer stands in
// Event.Peer for the absence of a peer. Both have one value: the server is never
// the peer in an event that can lack one.
const (
	Server Node = ^Node(0)
	NoPeer Node = ^Node(0)
)

// DueUnknown is Event.Due of a datagram that a real network carries.
const DueUnknown = time.Duration(1<<63 - 1)

// Kind is the kind of an event. It decides which fields of the Event are set.
type Kind uint8

// The kinds. Each comment names the fields that are set beside At, Kind and Node.
const (
	// Beacons and datagrams.

	// BeaconSent: a phone puts a beacon on the wire. Peer (NoPeer: no phone has the
	// address), Raw.
	BeaconSent Kind = iota + 1
	// DatagramsForged: a phone sends a datagram that is not part of an announced
	// beacon.
	DatagramsForged
	// DatagramChanged: the network changes the payload of the next datagram that Node
	// sends, or may deliver it before an earlier one.
	DatagramChanged
	// DatagramSent: a datagram is in flight from Node to Peer. Number, Size, Bytes,
	// Port, Due. Fault: the kind of the fault that copied, changed or delayed it; empty
	// if none did. Copy: the network made it from another datagram.
	DatagramSent
	// DatagramLost: a datagram from Node to Peer is lost. Number, Size. InFlight: it
	// was in flight until now; else DatagramSent was not emitted for it, and Bytes,
	// Port and To are set.
	DatagramLost
	// DatagramDelivered: a datagram of Peer reaches Node. Number, Size, Sum, Port.
	DatagramDelivered
	// BeaconJudged: Node gives its verdict on a beacon of Peer. Phone, and Sent where
	// SentKnown.
	BeaconJudged
	// EntriesExpired: entries leave the contact log of Node. Count, Left.
	EntriesExpired
	// PhoneStepped: Node has handled one input. Log, as it is now.
	PhoneStepped

	// Connections. Conn is set in each; Scripted where the script drives it.

	// Connecting: a phone opens a connection.
	Connecting
	// Connected: the connection is established for the phone.
	Connected
	// ConnectRefused: the connection could not be established.
	ConnectRefused
	// Accepted: the server has accepted the connection of Peer. Slot.
	Accepted
	// PhoneSent: a phone sends Bytes: its program, or the script (Scripted).
	PhoneSent
	// PhoneRead: a phone reads Bytes.
	PhoneRead
	// PhoneEnded: the connection ends for the phone. Text is the reason.
	PhoneEnded
	// ServerSent: the server sends Bytes to Peer. Slot.
	ServerSent
	// ServerRead: the server reads Bytes of Peer. Slot. Emitted before the server
	// handles them.
	ServerRead
	// ServerHandled: the server has handled the Bytes of the last ServerRead, and its
	// effects have not been carried out yet. Slot, Size.
	ServerHandled
	// ServerEnded: the connection of Peer ends for the server. Text is the reason.
	// Closed: the server has now closed its side.
	ServerEnded
	// RemoteOpened and RemoteClosed: a session of Peer begins or ends at a server that
	// is not observed.
	RemoteOpened
	RemoteClosed
	// Replied: one send of the server, Bytes, has reached Node whole.
	Replied
	// HungUp: the server's side of the connection has ended for Node.
	HungUp
	// SegmentSent: Node sends a segment to Peer: a connect, the answer to one, or Bytes
	// and the end of a stream. Flags. In virtual time only, like SegmentArrived.
	SegmentSent
	// SegmentArrived: the oldest segment from Peer that has not arrived reaches Node.
	SegmentArrived

	// Programs.

	// ProgramOpened: the user of Node starts a session. Lines typed before it have no
	// effect.
	ProgramOpened
	// LineTyped: the user of Node types Text.
	LineTyped
	// ProgramConnects: the program of Node opens a connection, which may never be
	// established. Slot is the server's number of it. On real sockets the event is
	// emitted when the server accepts the connection.
	ProgramConnects
	// PhonePrinted: Node prints Text. Beacons and verdicts are not included.
	PhonePrinted
	// ScreenShown: Text appears on the screen of a watched Node, verdicts included.
	ScreenShown
	// SessionMoved: the program Node continues the session of the program Peer of the
	// same phone.
	SessionMoved
	// OperationDone: the program of Node has finished an operation. Phone.
	OperationDone

	// The server.

	// ServerPrinted: the server prints Text.
	ServerPrinted
	// ServerDecided: the server decides something about the session of Peer on Conn.
	// Decision, Scripted.
	ServerDecided

	// Disks.

	// StoreAsked: the server asks for Records to be stored.
	StoreAsked
	// StoreDone: the store Number of Records has ended with Err. Not emitted if the
	// server stops meanwhile.
	StoreDone
	// StoreAnswered: the server knows the result of the store, has handled it, and
	// the connection Slot is still open.
	StoreAnswered
	// LogWritten: the disk of Node durably holds the entries Stored.
	LogWritten

	// Programs that stop and start.

	// FileRepaired: the program of Node repaired a file of its own as it opened it.
	// Repair, Text.
	FileRepaired
	// ProgramStatus: Text, such as "is killed", of the program of Node.
	ProgramStatus
	// PhoneStopped: the program of Node has stopped and has lost its memory. Text is the reason, of a program of
	// another implementation.
	PhoneStopped
	// PhoneStarted: the program of Node runs again. Log is the log that its disk
	// returned.
	PhoneStarted
	// ServerStopped: the server's program has stopped. Count connections break.
	ServerStopped
	// ServerStarted: the server's program runs again and has read its files. Resolve.
	ServerStarted
	// ClockSet: the clocks of Node show Clock from now on.
	ClockSet

	// Faults. Number and Fault, the kind, are set in each.

	// FaultBegins: a fault begins. Text. Instant: it has no end.
	FaultBegins
	// FaultEnds: a fault ends. Text. Its effects are removed after this event.
	FaultEnds
	// FaultEnded: the effects of a fault have been removed.
	FaultEnded
	// FaultApplied: a fault had one effect on Node and Peer. Nth, Amount, Text.
	// InForce: the fault has not ended.
	FaultApplied

	Kinds // the number of kinds, plus one
)

// Event is one observable occurrence of a run. A world reuses one Event: only the
// fields that its Kind names are valid, and pointers and slices are valid during
// Observe only.
type Event struct {
	At         time.Duration // from time zero of the run
	Kind       Kind
	Scripted   bool
	Copy       bool
	InFlight   bool
	SentKnown  bool
	Closed     bool
	Instant    bool
	InForce    bool
	Node, Peer Node

	Conn   uint64     // number of the connection among those of the run, from 1
	Slot   nodes.Conn // the server's own number of the connection
	Number uint64     // of a datagram, a store or a fault, from 1
	Size   int        // bytes
	Due    time.Duration
	Sum    uint64 // xxhash of the payload
	Port   uint16 // from which the datagram was sent
	To     protocol.Address
	Flags  SegmentFlags
	Sent   time.Duration
	Count  int
	Left   int

	Text    string
	Bytes   []byte
	Raw     *[protocol.BeaconSize]byte
	Phone   *nodes.PhoneEffect
	Log     *nodes.ContactLog
	Stored  []nodes.StoredContact
	Records []nodes.Record
	Err     error
	// Decision is the decision of the server.
	Decision *nodes.ServerEvent
	// Resolve returns the issue of a TempID by the files that the server has read.
	Resolve func(protocol.TempID) (nodes.Issue, bool)
	Clock   NodeClock

	Repair Repair

	Fault fault.Kind
	Nth   int // rank among the sends from Node to Peer in this instant, from 0
	// Amount is, by the kind of fault, a delay in nanoseconds, the changed byte (from 1), the remaining length in
	// bytes, or the number of unsynced bytes that remain.
	Amount int64
}

// SegmentFlags are flags of a segment.
type SegmentFlags uint8

// The flags. A connect has Syn; its answer has Syn, or Reset if the connect is refused.
const (
	Syn SegmentFlags = 1 << iota
	Fin
	Reset
)

// Repair is the kind of a repair of a file.
type Repair uint8

// The repairs. OtherRepair is any repair that no observer distinguishes.
const (
	OtherRepair Repair = iota
	TornLine           // the last line was torn and was dropped
	Recovered          // missing lines were recovered from the write-ahead log
)

// Observer observes events. Observe is called for each event of the subscribed
// kinds, in order, from the goroutine or under the lock that runs the world. It
// must not call a node; World.Call acts later in the same instant.
type Observer interface {
	Observe(e *Event)
}

// Stream delivers each event to the functions and observers of its kind, in the order
// in which they were added. The zero value has none.
type Stream struct {
	byKind [1 << 8][]func(*Event) // one for each value of a Kind: no index is checked
}

// On has f called for each event of the kind.
func (s *Stream) On(k Kind, f func(*Event)) { s.byKind[k] = append(s.byKind[k], f) }

// Subscribe adds an observer of the given kinds; of all kinds if there are none.
func (s *Stream) Subscribe(o Observer, kinds ...Kind) {
	if len(kinds) == 0 {
		for k := Kind(1); k < Kinds; k++ {
			kinds = append(kinds, k)
		}
	}
	for _, k := range kinds {
		s.On(k, o.Observe)
	}
}

// Wanted reports whether anything observes the kind.
func (s *Stream) Wanted(k Kind) bool { return len(s.byKind[k]) > 0 }

// Emit delivers the event.
func (s *Stream) Emit(e *Event) {
	for _, f := range s.byKind[e.Kind] {
		f(e)
	}
}
