package virtual

import (
	"time"

	"github.com/cespare/xxhash/v2"

	"bluetrace/nodes"
	"bluetrace/nodes/files"
	"bluetrace/protocol"
	"bluetrace/sim/event"
	"bluetrace/sim/world"
)

// emitter emits the events of a world. It reuses one event: each method sets the
// fields that the kind names and no others.
type emitter struct {
	stream *event.Stream
	now    *int64
	event  event.Event
}

func (m *emitter) init(stream *event.Stream, now *int64) { m.stream, m.now = stream, now }

// next returns the event with the fields that every kind has.
func (m *emitter) next(kind event.Kind, node, peer event.Node) *event.Event {
	e := &m.event
	e.At, e.Kind, e.Node, e.Peer = time.Duration(*m.now), kind, node, peer
	return e
}

// plain emits an event without a payload.
func (m *emitter) plain(kind event.Kind, node, peer event.Node) {
	m.stream.Emit(m.next(kind, node, peer))
}

func (m *emitter) text(kind event.Kind, node event.Node, text string) {
	e := m.next(kind, node, event.NoPeer)
	e.Text = text
	m.stream.Emit(e)
}

func (m *emitter) log(kind event.Kind, phone uint32, log *nodes.ContactLog) {
	e := m.next(kind, phone, event.NoPeer)
	e.Log = log
	m.stream.Emit(e)
}

func (m *emitter) beaconSent(phone, to uint32, raw *[protocol.BeaconSize]byte) {
	e := m.next(event.BeaconSent, phone, to)
	e.Raw = raw
	m.stream.Emit(e)
}

func (m *emitter) datagramSent(from, to uint32, number uint64, size int, due int64, isCopy bool) {
	e := m.next(event.DatagramSent, from, to)
	e.Number, e.Size, e.Due, e.Copy = number, size, time.Duration(due), isCopy
	m.stream.Emit(e)
}

func (m *emitter) datagramLost(from, to uint32, number uint64, size int, inFlight bool) {
	e := m.next(event.DatagramLost, from, to)
	e.Number, e.Size, e.InFlight = number, size, inFlight
	m.stream.Emit(e)
}

func (m *emitter) datagramDelivered(to, from uint32, number uint64, p []byte) {
	e := m.next(event.DatagramDelivered, to, from)
	e.Number, e.Size, e.Sum = number, len(p), xxhash.Sum64(p)
	m.stream.Emit(e)
}

func (m *emitter) beaconJudged(phone, sender uint32, effect *nodes.PhoneEffect, sent int64, known bool) {
	e := m.next(event.BeaconJudged, phone, sender)
	e.Phone, e.Sent, e.SentKnown = effect, time.Duration(sent), known
	m.stream.Emit(e)
}

func (m *emitter) entriesExpired(phone uint32, count, left int) {
	e := m.next(event.EntriesExpired, phone, event.NoPeer)
	e.Count, e.Left = count, left
	m.stream.Emit(e)
}

func (m *emitter) operationDone(phone uint32, effect *nodes.PhoneEffect) {
	e := m.next(event.OperationDone, phone, event.NoPeer)
	e.Phone = effect
	m.stream.Emit(e)
}

func (m *emitter) fileRepaired(node event.Node, note files.Note) {
	e := m.next(event.FileRepaired, node, event.NoPeer)
	e.Repair, e.Text = event.OtherRepair, note.Text
	switch note.Kind {
	case files.NoteTornLine:
		e.Repair = event.TornLine
	case files.NoteRecovered:
		e.Repair = event.Recovered
	}
	m.stream.Emit(e)
}

func (m *emitter) logWritten(phone uint32, stored []nodes.StoredContact) {
	e := m.next(event.LogWritten, phone, event.NoPeer)
	e.Stored = stored
	m.stream.Emit(e)
}

// connEvent returns an event of a connection.
func (m *emitter) connEvent(kind event.Kind, node, peer event.Node, cn *conn) *event.Event {
	e := m.next(kind, node, peer)
	e.Conn, e.Scripted = cn.number, cn.scripted
	return e
}

// phoneConn emits an event of a phone's side of a connection, without a payload.
func (m *emitter) phoneConn(kind event.Kind, cn *conn) {
	m.stream.Emit(m.connEvent(kind, cn.phone, event.NoPeer, cn))
}

func (m *emitter) phoneBytes(kind event.Kind, cn *conn, p []byte) {
	e := m.connEvent(kind, cn.phone, event.NoPeer, cn)
	e.Bytes = p
	m.stream.Emit(e)
}

func (m *emitter) phoneEnded(cn *conn, text string) {
	e := m.connEvent(event.PhoneEnded, cn.phone, event.NoPeer, cn)
	e.Text = text
	m.stream.Emit(e)
}

func (m *emitter) programConnects(cn *conn, slot uint32) {
	e := m.connEvent(event.ProgramConnects, cn.phone, event.NoPeer, cn)
	e.Slot = nodes.Conn(slot)
	m.stream.Emit(e)
}

func (m *emitter) accepted(cn *conn, slot uint32) {
	e := m.connEvent(event.Accepted, event.Server, cn.phone, cn)
	e.Slot = nodes.Conn(slot)
	m.stream.Emit(e)
}

func (m *emitter) serverBytes(kind event.Kind, cn *conn, slot nodes.Conn, p []byte) {
	e := m.connEvent(kind, event.Server, cn.phone, cn)
	e.Slot, e.Bytes = slot, p
	m.stream.Emit(e)
}

func (m *emitter) serverHandled(cn *conn, slot nodes.Conn, size int) {
	e := m.connEvent(event.ServerHandled, event.Server, cn.phone, cn)
	e.Slot, e.Size = slot, size
	m.stream.Emit(e)
}

func (m *emitter) serverEnded(cn *conn, text string, closed bool) {
	e := m.connEvent(event.ServerEnded, event.Server, cn.phone, cn)
	e.Text, e.Closed = text, closed
	m.stream.Emit(e)
}

func (m *emitter) serverDecided(cn *conn, decision *nodes.ServerEvent) {
	e := m.connEvent(event.ServerDecided, event.Server, cn.phone, cn)
	e.Decision = decision
	m.stream.Emit(e)
}

func (m *emitter) storeAsked(records []nodes.Record) {
	e := m.next(event.StoreAsked, event.Server, event.NoPeer)
	e.Records = records
	m.stream.Emit(e)
}

func (m *emitter) storeDone(s *store, err error) {
	e := m.next(event.StoreDone, event.Server, event.NoPeer)
	e.Number, e.Records, e.Err = uint64(s.id), s.records, err
	m.stream.Emit(e)
}

func (m *emitter) storeAnswered(slot nodes.Conn) {
	e := m.next(event.StoreAnswered, event.Server, event.NoPeer)
	e.Slot = slot
	m.stream.Emit(e)
}

// serverStopped emits that the server has stopped and that its sessions break.
func (m *emitter) serverStopped(sessions int) {
	e := m.next(event.ServerStopped, event.Server, event.NoPeer)
	e.Count = sessions
	m.stream.Emit(e)
}

func (m *emitter) serverStarted(resolve func(protocol.TempID) (nodes.Issue, bool)) {
	e := m.next(event.ServerStarted, event.Server, event.NoPeer)
	e.Resolve = resolve
	m.stream.Emit(e)
}

func (m *emitter) clockSet(node event.Node, clock event.NodeClock) {
	e := m.next(event.ClockSet, node, event.NoPeer)
	e.Clock = clock
	m.stream.Emit(e)
}

// fault emits that a fault begins or ends.
func (m *emitter) fault(kind event.Kind, f *world.Fault) {
	e := m.next(kind, event.Server, event.NoPeer)
	e.Number, e.Fault, e.Text, e.Instant = uint64(f.Number), f.Kind, f.Text, f.Instant
	m.stream.Emit(e)
}

func (m *emitter) faultApplied(r *rule, node, peer event.Node, nth int, amount int64, text string) {
	e := m.next(event.FaultApplied, node, peer)
	e.Number, e.Fault, e.Text = uint64(r.Number), r.Kind, text
	e.Nth, e.Amount, e.InForce = nth, amount, !r.over
	m.stream.Emit(e)
}
