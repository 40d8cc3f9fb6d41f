package virtual

import (
	"bluetrace/nodes"
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

func (m *emitter) logWritten(phone uint32, stored []nodes.StoredContact) {
	e := m.Next(event.LogWritten, phone, event.NoPeer)
	e.Stored = stored
	m.Stream.Emit(e)
}

func (m *emitter) storeAnswered(slot nodes.Conn) {
	e := m.Next(event.StoreAnswered, event.Server, event.NoPeer)
	e.Slot = slot
	m.Stream.Emit(e)
}

func (m *emitter) clockSet(node event.Node, clock event.NodeClock) {
	e := m.Next(event.ClockSet, node, event.NoPeer)
	e.Clock = clock
	m.Stream.Emit(e)
}

// fault emits that a fault begins or ends.
func (m *emitter) fault(kind event.Kind, f *world.Fault) {
	e := m.Next(kind, event.Server, event.NoPeer)
	e.Number, e.Fault, e.Text, e.Instant = uint64(f.Number), f.Kind, f.Text, f.Instant
	m.Stream.Emit(e)
}

func (m *emitter) faultApplied(r *rule, node, peer event.Node, nth int, amount int64, text string) {
	e := m.Next(event.FaultApplied, node, peer)
	e.Number, e.Fault, e.Text = uint64(r.Number), r.Kind, text
	e.Nth, e.Amount, e.InForce = nth, amount, !r.over
	m.Stream.Emit(e)
}
