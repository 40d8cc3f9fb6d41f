package live

import (
	"net/netip"

	"bluetrace/nodes"
	"bluetrace/nodes/socket"
	"bluetrace/sim/world"
)

var _ socket.ServerObserver = (*serverHost)(nil)

// Accepted begins a session.
func (h *serverHost) Accepted(now nodes.Now, c nodes.Conn, from netip.AddrPort) {
	w := h.world
	if w.closing {
		return
	}
	at := w.at(now)
	for int(c) >= len(h.conns) {
		h.conns = append(h.conns, nil)
	}
	l := w.byTCP[from]
	if l == nil {
		l = &link{phone: world.Nobody}
	}
	delete(w.byTCP, from)
	l.conn, l.accepted, l.serverOpen = c, true, true
	h.conns[c] = l
	w.counts.Sessions.Opened++
	w.note(world.Accepted, world.Nobody, l.phone, l.serial, 0, "")
	w.watcher.Accepted(at, c)
	w.happened.Broadcast()
}

// Read is what the server reads.
func (h *serverHost) Read(now nodes.Now, c nodes.Conn, p []byte) {
	w := h.world
	if w.closing {
		return
	}
	at := w.at(now)
	l := h.conns[c]
	l.up.took(len(p))
	w.note(world.ServerRead, world.Nobody, l.phone, l.serial, uint64(len(p)), string(p))
	w.watcher.ServerRead(at, c, p)
	w.story.Read(l.phone, l.raw, len(p))
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
	w.note(world.ServerEnded, world.Nobody, l.phone, l.serial, 0, "ends: end of file")
	w.happened.Broadcast()
}

// Effect is one effect of the server's machine.
func (h *serverHost) Effect(now nodes.Now, e *nodes.ServerEffect) {
	w := h.world
	if w.closing {
		return
	}
	at := w.at(now)
	switch e.Kind {
	case nodes.EffectSend:
		l := h.conns[e.Conn]
		l.sends = append(l.sends, len(e.Bytes))
		l.down.sends = append(l.down.sends, send{w.nextTurn(), len(e.Bytes)})
		w.note(world.ServerSent, world.Nobody, l.phone, l.serial, uint64(len(e.Bytes)), string(e.Bytes))
		w.watcher.ServerSent(at, e.Conn, e.Bytes)
	case nodes.EffectClose:
		w.serverEnds(h.conns[e.Conn])
	case nodes.EffectPrint:
		h.starting = false
		w.note(world.ServerPrinted, world.Nobody, world.Nobody, 0, 0, e.Text)
		w.watcher.ServerPrinted(at, e.Text)
		w.story.ServerPrinted(e.Text)
	case nodes.EffectStore:
		h.stores = append(h.stores, w.nextTurn())
		h.disk.asked(len(e.Records))
	case nodes.EffectEvent:
		w.counts.Decided(&e.Event)
		l := h.conns[e.Conn]
		w.story.Decided(l.phone, l.raw, &e.Event)
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
	if err == nil {
		w.note(world.Stored, world.Nobody, world.Nobody, uint64(id), uint64(len(records)), "")
	}
	w.happened.Broadcast()
}
