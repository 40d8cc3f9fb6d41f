package live

import (
	"bluetrace/nodes"
	"bluetrace/sim/event"
)

// emitter emits the events of a world. It reuses one event.
type emitter struct {
	stream   *event.Stream
	schedule *scheduler
	event    event.Event
}

// next returns an event of the current time. Its other fields are empty.
func (m *emitter) next(k event.Kind, node, peer event.Node) *event.Event {
	m.event = event.Event{At: m.schedule.now, Kind: k, Node: node, Peer: peer}
	return &m.event
}

// emit emits the event that next has returned.
func (m *emitter) emit(e *event.Event) { m.stream.Emit(e) }

// plain emits an event without a payload.
func (m *emitter) plain(k event.Kind, node, peer event.Node) { m.emit(m.next(k, node, peer)) }

func (m *emitter) text(k event.Kind, node event.Node, text string) {
	e := m.next(k, node, event.NoPeer)
	e.Text = text
	m.emit(e)
}

// atPhone returns an event of a connection at its phone.
func (m *emitter) atPhone(k event.Kind, c *connection) *event.Event {
	e := m.next(k, c.phone, event.NoPeer)
	e.Conn, e.Scripted = c.number, c.scripted
	return e
}

// atServer returns an event of a connection at the server.
func (m *emitter) atServer(k event.Kind, c *connection) *event.Event {
	e := m.next(k, event.Server, c.phone)
	e.Conn, e.Slot, e.Scripted = c.number, c.slot, c.scripted
	return e
}

// bytesAtPhone emits that the phone has sent or read bytes.
func (m *emitter) bytesAtPhone(k event.Kind, c *connection, p []byte) {
	e := m.atPhone(k, c)
	e.Bytes = p
	m.emit(e)
}

// bytesAtServer emits that the server has sent or read bytes.
func (m *emitter) bytesAtServer(k event.Kind, c *connection, p []byte) {
	e := m.atServer(k, c)
	e.Bytes = p
	m.emit(e)
}

// handled emits that the server has handled size bytes.
func (m *emitter) handled(c *connection, size int) {
	e := m.atServer(event.ServerHandled, c)
	e.Size = size
	m.emit(e)
}

func (m *emitter) phoneEnded(c *connection, text string) {
	e := m.atPhone(event.PhoneEnded, c)
	e.Text = text
	m.emit(e)
}

// serverEnded emits the end of the connection for the server. closed reports whether the server's side is closed.
func (m *emitter) serverEnded(c *connection, text string, closed bool) {
	e := m.atServer(event.ServerEnded, c)
	e.Text, e.Closed = text, closed
	m.emit(e)
}

func (m *emitter) decided(phone uint32, scripted bool, decision nodes.ServerEvent) {
	e := m.next(event.ServerDecided, event.Server, phone)
	e.Scripted, e.Decision = scripted, &decision
	m.emit(e)
}

// datagram returns an event of a datagram.
func (m *emitter) datagram(k event.Kind, node, peer event.Node, d datagram) *event.Event {
	e := m.next(k, node, peer)
	e.Number, e.Size = d.number, d.size
	return e
}
