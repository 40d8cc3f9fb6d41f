package live

import (
	"net/netip"

	"bluetrace/nodes"
	"bluetrace/nodes/socket"
	"bluetrace/sim/event"
)

var _ socket.ServerObserver = (*serverHost)(nil)

// Accepted begins a session.
func (h *serverHost) Accepted(now nodes.Now, c nodes.Conn, from netip.AddrPort) {
	w := h.world
	if w.closing {
		return
	}
	w.at(now)
	for int(c) >= len(h.conns) {
		h.conns = append(h.conns, nil)
	}
	l := w.byTCP[from]
	if l == nil {
		l = &link{phone: event.NoPeer}
	}
	delete(w.byTCP, from)
	l.conn, l.accepted, l.serverOpen = c, true, true
	h.conns[c] = l
	w.emitServer(event.Accepted, l)
	if l.phone != event.NoPeer && !l.raw {
		o := w.event(event.ProgramConnects, l.phone, event.NoPeer)
		o.Conn, o.Slot = l.serial, c
		w.stream.Emit(o)
	}
	w.happened.Broadcast()
}

// Read is what the server reads.
func (h *serverHost) Read(now nodes.Now, c nodes.Conn, p []byte) {
	w := h.world
	if w.closing {
		return
	}
	w.at(now)
	l := h.conns[c]
	l.up.took(len(p))
	w.emitBytes(event.ServerRead, l, p)
	w.handled(l, len(p))
	w.happened.Broadcast()
}

// Ended is the end of what a phone sends.
func (h *serverHost) Ended(now nodes.Now, c nodes.Conn) {
	w := h.world
	if w.closing {
		return
	}
	w.at(now)
	l := h.conns[c]
	l.ended = true
	w.serverEnded(l, "ends: end of file", false)
	w.happened.Broadcast()
}

// Effect is one effect of the server's machine.
func (h *serverHost) Effect(now nodes.Now, e *nodes.ServerEffect) {
	w := h.world
	if w.closing {
		return
	}
	w.at(now)
	switch e.Kind {
	case nodes.EffectSend:
		l := h.conns[e.Conn]
		l.sends = append(l.sends, len(e.Bytes))
		l.down.sends = append(l.down.sends, send{w.nextTurn(), len(e.Bytes)})
		w.emitBytes(event.ServerSent, l, e.Bytes)
	case nodes.EffectClose:
		w.serverEnds(h.conns[e.Conn])
	case nodes.EffectPrint:
		h.starting = false
		w.emitText(event.ServerPrinted, event.Server, event.NoPeer, e.Text)
	case nodes.EffectStore:
		h.stores = append(h.stores, w.nextTurn())
		o := w.event(event.StoreAsked, event.Server, event.NoPeer)
		o.Records = e.Records
		w.stream.Emit(o)
		h.disk.asked(len(e.Records))
	case nodes.EffectEvent:
		l := h.conns[e.Conn]
		w.decided(l.phone, l.raw, e.Event)
	}
	w.happened.Broadcast()
}

// Stored is the end of a Store.
func (h *serverHost) Stored(now nodes.Now, id nodes.StoreID, records []nodes.Record, err error) {
	w := h.world
	if w.closing {
		return
	}
	w.at(now)
	h.stores = h.stores[1:]
	o := w.event(event.StoreDone, event.Server, event.NoPeer)
	o.Number, o.Records, o.Err = uint64(id), records, err
	w.stream.Emit(o)
	w.happened.Broadcast()
}
