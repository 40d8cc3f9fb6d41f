package event

import (
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/scenarios/fault"
)

// Emitter emits the events of a world on Stream. Each method sets the fields that the
// kind of the event names and no others, because the Emitter reuses one event.
type Emitter struct {
	Stream *Stream
	Now    *int64 // time of the world, in nanoseconds from time zero
	event  Event
}

// Connection holds the fields that each event of a connection has.
type Connection struct {
	Number   uint64 // among the connections of the run, from 1
	Phone    Node   // NoPeer for a connection from outside the world
	Scripted bool   // a script drives it, not the phone's program
}

// Next returns the event with the fields that every kind has. The caller sets the
// other fields and passes the event to Stream.Emit.
func (m *Emitter) Next(kind Kind, node, peer Node) *Event {
	e := &m.event
	e.At, e.Kind, e.Node, e.Peer = time.Duration(*m.Now), kind, node, peer
	return e
}

// Nested calls f, which may emit events while an observer still handles one.
func (m *Emitter) Nested(f func()) {
	observed := m.event
	f()
	m.event = observed
}

// Plain emits an event without a payload.
func (m *Emitter) Plain(kind Kind, node, peer Node) {
	m.Stream.Emit(m.Next(kind, node, peer))
}

// Text emits an event whose payload is a text.
func (m *Emitter) Text(kind Kind, node Node, text string) {
	e := m.Next(kind, node, NoPeer)
	e.Text = text
	m.Stream.Emit(e)
}

// Log emits an event whose payload is the contact log of a phone.
func (m *Emitter) Log(kind Kind, phone uint32, log *nodes.ContactLog) {
	e := m.Next(kind, phone, NoPeer)
	e.Log = log
	m.Stream.Emit(e)
}

// BeaconSent emits that a phone sends a beacon to another phone, or to NoPeer.
func (m *Emitter) BeaconSent(phone, to uint32, raw *[protocol.BeaconSize]byte) {
	e := m.Next(BeaconSent, phone, to)
	e.Raw = raw
	m.Stream.Emit(e)
}

// DatagramSent emits that a datagram with the payload p is in flight and arrives at the
// time due. port is that of the sender. by is the kind of the fault that affected it,
// or empty.
func (m *Emitter) DatagramSent(
	from, to uint32, port uint16, number uint64, p []byte, due time.Duration, by fault.Kind,
) {
	e := m.Next(DatagramSent, from, to)
	e.Port, e.Number, e.Size, e.Bytes, e.Due = port, number, len(p), p, due
	e.Fault, e.Copy = by, by == fault.Duplicate
	m.Stream.Emit(e)
}

// DatagramLost emits that a datagram with the payload p is lost as it is sent. port is
// that of the sender, and dest the address to which it was sent.
func (m *Emitter) DatagramLost(from, to uint32, port uint16, dest *protocol.Address, number uint64, p []byte) {
	e := m.Next(DatagramLost, from, to)
	e.Port, e.To, e.Number, e.Size, e.Bytes, e.InFlight = port, *dest, number, len(p), p, false
	m.Stream.Emit(e)
}

// DatagramLostInFlight emits that a datagram is lost for which DatagramSent was emitted.
func (m *Emitter) DatagramLostInFlight(from, to uint32, number uint64, size int) {
	e := m.Next(DatagramLost, from, to)
	e.Number, e.Size, e.InFlight = number, size, true
	m.Stream.Emit(e)
}

// DatagramDelivered emits that a datagram arrives. port is that of the sender, and sum the xxhash of the payload.
func (m *Emitter) DatagramDelivered(to, from uint32, port uint16, number uint64, size int, sum uint64) {
	e := m.Next(DatagramDelivered, to, from)
	e.Port, e.Number, e.Size, e.Sum = port, number, size, sum
	m.Stream.Emit(e)
}

// BeaconJudged emits the verdict of a phone on a beacon. sent is the time at which its
// first datagram was sent; it is valid if known is set.
func (m *Emitter) BeaconJudged(phone, sender uint32, effect *nodes.PhoneEffect, sent time.Duration, known bool) {
	e := m.Next(BeaconJudged, phone, sender)
	e.Phone, e.Sent, e.SentKnown = effect, sent, known
	m.Stream.Emit(e)
}

// EntriesExpired emits that count entries leave a contact log, in which left remain.
func (m *Emitter) EntriesExpired(phone uint32, count, left int) {
	e := m.Next(EntriesExpired, phone, NoPeer)
	e.Count, e.Left = count, left
	m.Stream.Emit(e)
}

// OperationDone emits that the program of a phone has finished an operation.
func (m *Emitter) OperationDone(phone uint32, effect *nodes.PhoneEffect) {
	e := m.Next(OperationDone, phone, NoPeer)
	e.Phone = effect
	m.Stream.Emit(e)
}

// ofConnection returns an event of a connection.
func (m *Emitter) ofConnection(kind Kind, node, peer Node, c *Connection) *Event {
	e := m.Next(kind, node, peer)
	e.Conn, e.Scripted = c.Number, c.Scripted
	return e
}

// PhoneConn emits an event of a phone's side of a connection, without a payload.
func (m *Emitter) PhoneConn(kind Kind, c *Connection) {
	m.Stream.Emit(m.ofConnection(kind, c.Phone, NoPeer, c))
}

// PhoneBytes emits that bytes cross a phone's side of a connection.
func (m *Emitter) PhoneBytes(kind Kind, c *Connection, p []byte) {
	e := m.ofConnection(kind, c.Phone, NoPeer, c)
	e.Bytes = p
	m.Stream.Emit(e)
}

// PhoneEnded emits that a connection ends for the phone. text is the reason.
func (m *Emitter) PhoneEnded(c *Connection, text string) {
	e := m.ofConnection(PhoneEnded, c.Phone, NoPeer, c)
	e.Text = text
	m.Stream.Emit(e)
}

// ProgramConnects emits that a phone's program opens a connection. slot is the server's
// number of it.
func (m *Emitter) ProgramConnects(c *Connection, slot nodes.Conn) {
	e := m.ofConnection(ProgramConnects, c.Phone, NoPeer, c)
	e.Slot = slot
	m.Stream.Emit(e)
}

// Accepted emits that the server has accepted a connection.
func (m *Emitter) Accepted(c *Connection, slot nodes.Conn) {
	e := m.ofConnection(Accepted, Server, c.Phone, c)
	e.Slot = slot
	m.Stream.Emit(e)
}

// ServerBytes emits that bytes cross the server's side of a connection.
func (m *Emitter) ServerBytes(kind Kind, c *Connection, slot nodes.Conn, p []byte) {
	e := m.ofConnection(kind, Server, c.Phone, c)
	e.Slot, e.Bytes = slot, p
	m.Stream.Emit(e)
}

// ServerHandled emits that the server has handled the size bytes that it read.
func (m *Emitter) ServerHandled(c *Connection, slot nodes.Conn, size int) {
	e := m.ofConnection(ServerHandled, Server, c.Phone, c)
	e.Slot, e.Size = slot, size
	m.Stream.Emit(e)
}

// ServerEnded emits that a connection ends for the server. text is the reason. closed
// reports that the server has closed its side.
func (m *Emitter) ServerEnded(c *Connection, text string, closed bool) {
	e := m.ofConnection(ServerEnded, Server, c.Phone, c)
	e.Text, e.Closed = text, closed
	m.Stream.Emit(e)
}

// ServerConn emits an event of the server's side of a connection, without a payload.
func (m *Emitter) ServerConn(kind Kind, c *Connection) {
	m.Stream.Emit(m.ofConnection(kind, Server, c.Phone, c))
}

// ServerDecided emits a decision of the server about the session on a connection.
func (m *Emitter) ServerDecided(c *Connection, decision *nodes.ServerEvent) {
	e := m.ofConnection(ServerDecided, Server, c.Phone, c)
	e.Decision = decision
	m.Stream.Emit(e)
}

// StoreAsked emits that the server asks for records to be stored.
func (m *Emitter) StoreAsked(records []nodes.Record) {
	e := m.Next(StoreAsked, Server, NoPeer)
	e.Records = records
	m.Stream.Emit(e)
}

// StoreDone emits that a store has ended with err, which is nil if it succeeded.
func (m *Emitter) StoreDone(id nodes.StoreID, records []nodes.Record, err error) {
	e := m.Next(StoreDone, Server, NoPeer)
	e.Number, e.Records, e.Err = uint64(id), records, err
	m.Stream.Emit(e)
}

// ServerStopped emits that the server has stopped and that its sessions break.
func (m *Emitter) ServerStopped(sessions int) {
	e := m.Next(ServerStopped, Server, NoPeer)
	e.Count = sessions
	m.Stream.Emit(e)
}

// ServerStarted emits that the server runs again. resolve returns the issue of a TempID
// by the files that the server has read.
func (m *Emitter) ServerStarted(resolve func(protocol.TempID) (nodes.Issue, bool)) {
	e := m.Next(ServerStarted, Server, NoPeer)
	e.Resolve = resolve
	m.Stream.Emit(e)
}
