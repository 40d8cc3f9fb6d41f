package live

import "bluetrace/sim/event"

// event starts an event of the moment that is being handled. Its other fields are
// empty.
func (w *World) event(k event.Kind, node, peer event.Node) *event.Event {
	w.next = event.Event{At: w.now, Kind: k, Node: node, Peer: peer}
	return &w.next
}

func (w *World) emitText(k event.Kind, node, peer event.Node, text string) {
	e := w.event(k, node, peer)
	e.Text = text
	w.stream.Emit(e)
}

// emitLink emits an event of a link at its phone.
func (w *World) emitLink(k event.Kind, l *link) {
	e := w.event(k, l.phone, event.NoPeer)
	e.Conn, e.Scripted = l.serial, l.raw
	w.stream.Emit(e)
}

// emitServer emits an event of a link at the server.
func (w *World) emitServer(k event.Kind, l *link) {
	e := w.event(k, event.Server, l.phone)
	e.Conn, e.Slot, e.Scripted = l.serial, l.conn, l.raw
	w.stream.Emit(e)
}

// emitBytes emits bytes that one end of a link sends or reads.
func (w *World) emitBytes(k event.Kind, l *link, p []byte) {
	e := w.event(k, l.phone, event.NoPeer)
	if k == event.ServerSent || k == event.ServerRead {
		e.Node, e.Peer, e.Slot = event.Server, l.phone, l.conn
	}
	e.Conn, e.Scripted, e.Bytes = l.serial, l.raw, p
	w.stream.Emit(e)
}

// handled emits that the server has handled n bytes of a link.
func (w *World) handled(l *link, n int) {
	e := w.event(event.ServerHandled, event.Server, l.phone)
	e.Conn, e.Slot, e.Scripted, e.Size = l.serial, l.conn, l.raw, n
	w.stream.Emit(e)
}

func (w *World) phoneEnded(l *link, how string) {
	e := w.event(event.PhoneEnded, l.phone, event.NoPeer)
	e.Conn, e.Scripted, e.Text = l.serial, l.raw, how
	w.stream.Emit(e)
}

func (w *World) serverEnded(l *link, how string, closed bool) {
	e := w.event(event.ServerEnded, event.Server, l.phone)
	e.Conn, e.Slot, e.Scripted, e.Text, e.Closed = l.serial, l.conn, l.raw, how, closed
	w.stream.Emit(e)
}

// emitDatagram emits an event of a datagram. Its arrival is in the hands of the
// real network.
func (w *World) emitDatagram(k event.Kind, node, peer event.Node, number uint64, size int, sum uint64) {
	e := w.event(k, node, peer)
	e.Number, e.Size, e.Sum, e.Due = number, size, sum, event.DueUnknown
	w.stream.Emit(e)
}

// emitLost emits the loss of a datagram that was in flight.
func (w *World) emitLost(sender, to event.Node, f flight) {
	e := w.event(event.DatagramLost, sender, to)
	e.Number, e.Size, e.InFlight = f.serial, f.n, true
	w.stream.Emit(e)
}
