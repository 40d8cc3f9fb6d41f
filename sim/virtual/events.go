package virtual

import (
	"bluetrace/nodes/files"
	"bluetrace/sim/event"
	"bluetrace/sim/world"
)

// emitter emits the events of a world. Its own methods emit those that only virtual
// time has.
type emitter struct{ event.Emitter }

func (m *emitter) fileRepaired(node event.Node, note files.Note) {
	e := m.Next(event.FileRepaired, node, event.NoPeer)
	e.Repair, e.Text = event.OtherRepair, note.Text
	switch note.Kind {
	case files.NoteTornLine:
		e.Repair = event.TornLine
	case files.NoteRecovered:
		e.Repair = event.Recovered
	}
	m.Stream.Emit(e)
}

// segment emits that a segment of a connection is sent, or that one arrives.
func (m *emitter) segment(kind event.Kind, d direction, flags event.SegmentFlags, p []byte) {
	node, peer := d.from, d.to
	if kind == event.SegmentArrived {
		node, peer = d.to, d.from
	}
	e := m.Next(kind, node, peer)
	e.Conn, e.Flags, e.Bytes = d.conn, flags, p
	m.Stream.Emit(e)
}

// fault emits that a fault begins or ends.
func (m *emitter) fault(kind event.Kind, f *world.Fault) {
	e := m.Next(kind, event.Server, event.NoPeer)
	e.Number, e.Fault, e.Text, e.Instant = uint64(f.Number), f.Kind, f.Text, f.Instant
	m.Stream.Emit(e)
}
