package virtual

import (
	"slices"
	"time"

	"bluetrace/sim/event"
	"bluetrace/sim/world"
)

// connectTimeout is the time within which a connection must be established while faults
// delay it. nodes/socket has the same limit.
const connectTimeout = 10 * time.Second

// blocked is a connect, an answer or a segment that a fault holds back. It is scheduled
// again when no fault blocks it any more.
type blocked struct {
	kind     entryKind // connArrives, connectedArrives, refusedArrives or segmentArrives
	conn     uint32
	slot     uint32 // of a segment
	down     bool
	inFlight bool // it was in flight when the fault began
}

// block holds b back if a fault blocks its direction now. It reports whether it did.
func (t *tcp) block(b blocked) bool {
	d := t.direction(b.conn, b.down)
	r := t.faults.blocks(d, b.kind == connArrives && !b.inFlight)
	if r == nil {
		return false
	}
	nth := t.faults.sends.latest(sendPath{d.from, d.to, true})
	t.faults.appliedToConn(r, d, nth, 0, " is held up")
	t.blocked = append(t.blocked, b)
	if b.kind != segmentArrives {
		t.limitConnecting(b.conn)
	}
	return true
}

// unblock schedules the entries that no fault blocks any more.
func (t *tcp) unblock() {
	list := t.blocked
	t.blocked = nil
	for _, b := range list {
		// For a new connect, time_out has made its draws when the connect was sent.
		timedOut := b.kind == connArrives && !b.inFlight && t.faults.timesOut(t.conns[b.conn].Phone)
		if t.faults.blocks(t.direction(b.conn, b.down), false) != nil || timedOut {
			t.blocked = append(t.blocked, b)
			continue
		}
		stream := t.conns[b.conn].stream(b.down)
		at := t.scheduler.now + t.delay(b.conn, b.down)
		stream.lastArrival = max(stream.lastArrival, at)
		t.scheduler.input(at, b.kind, b.conn, b.slot)
	}
}

// isEarly reports whether a segment has arrived before an earlier one of its stream. It
// then adds the segment to t.reordered.
func (t *tcp) isEarly(slot uint32) bool {
	s := t.segments.at(slot)
	if s.number == t.conns[s.conn].stream(s.down).next {
		return false
	}
	t.reordered = append(t.reordered, slot)
	return true
}

// releaseReordered schedules the segment with the number if it waits in t.reordered.
func (t *tcp) releaseReordered(c uint32, down bool, number uint32) {
	for i, slot := range t.reordered {
		if s := t.segments.at(slot); s.conn == c && s.down == down && s.number == number {
			t.reordered = slices.Delete(t.reordered, i, i+1)
			t.scheduler.input(t.scheduler.now, segmentArrives, c, slot)
			return
		}
	}
}

// readDelay returns the delay of the read of bytes that have just arrived.
func (t *tcp) readDelay(c uint32, down bool, stream *byteStream) time.Duration {
	switch {
	case stream.eof:
		return t.Join
	case stream.readScheduled:
		return max(t.Join, 1)
	}
	return t.faults.readDelay(t.direction(c, down), t.Join)
}

// isCutShort reports whether size bytes cannot be sent because a fault has shut the
// stream before, or resets the connection now.
func (t *tcp) isCutShort(c uint32, down bool, stream *byteStream, size int) bool {
	if stream.shut {
		t.release(c)
		return true
	}
	if size == 0 {
		return false
	}
	r := t.faults.resets(t.direction(c, down))
	if r != nil {
		t.reset(r, c)
	}
	return r != nil
}

// keepAnswer holds back the answer to a connect if a fault blocks it or the phone's
// program is paused. It reports whether it did.
func (t *tcp) keepAnswer(c uint32, kind entryKind) bool {
	if t.block(blocked{kind: kind, conn: c, down: true, inFlight: true}) {
		return true
	}
	cn := &t.conns[c]
	if cn.Scripted || !t.states.isPaused(cn.Phone) {
		return false
	}
	// The answer lowers conn.pending. It must be handled even if the phone then runs
	// another program.
	t.states.whenResumed(cn.Phone, func() {
		if kind == connectedArrives {
			t.arriveConnected(c)
		} else {
			t.arriveRefused(c)
		}
	})
	return true
}

// limitConnecting makes a connection fail if it is not established in connectTimeout.
func (t *tcp) limitConnecting(c uint32) {
	cn := &t.conns[c]
	if cn.timed {
		return
	}
	cn.timed = true
	number := cn.Number
	t.scheduler.call(t.scheduler.now+int64(connectTimeout), func() {
		timeOut := func() { t.timeOut(c, number) }
		if cn := &t.conns[c]; cn.Scripted || !t.states.deferred(cn.Phone, timeOut) {
			timeOut()
		}
	})
}

// timeOut ends a connection if it still waits for its answer. number is that of the connection.
func (t *tcp) timeOut(c uint32, number uint64) {
	cn := &t.conns[c]
	if !cn.used || cn.Number != number || cn.answered || !cn.phoneOpen {
		return
	}
	t.emit.PhoneEnded(&cn.Connection, "gets no answer")
	if cn.serverOpen {
		t.sendSegment(c, false, nil, false, true)
	} else {
		t.blocked = slices.DeleteFunc(t.blocked, func(b blocked) bool {
			isConnect := b.conn == c && b.kind == connArrives
			if isConnect {
				cn.pending--
			}
			return isConnect
		})
	}
	t.failConnect(c, "connection timed out")
}

// keepInBacklog keeps an established connection in the backlog until the paused server
// resumes. It returns false if the server is not paused.
func (t *tcp) keepInBacklog(c uint32) bool {
	if !t.states.isPaused(event.Server) {
		return false
	}
	t.conns[c].inBacklog = true
	t.states.wait(event.Server, func() {
		t.conns[c].inBacklog = false
		t.accept(c)
		t.server.act()
		t.readServer(c)
	})
	return true
}

// postponeRead postpones a read of a node that is paused or stalled. It reports
// whether it did.
func (t *tcp) postponeRead(node event.Node, c uint32) bool {
	switch {
	case t.states.isPaused(node) && (node == event.Server || !t.conns[c].Scripted):
		t.states.wait(node, func() { t.readAgain(node, c) })
	case t.states.of(node).stalled > 0:
		t.states.addUnread(node, c)
	default:
		return false
	}
	return true
}

// readAgain executes a read that was postponed.
func (t *tcp) readAgain(node event.Node, c uint32) {
	if node == event.Server {
		t.readServer(c)
	} else if t.conns[c].Phone == node {
		t.readPhone(c)
	}
}

// each calls do for each connection of the nodes that is open on both sides.
func (t *tcp) each(set *world.Nodes, do func(c uint32)) {
	for c := range t.conns {
		cn := &t.conns[c]
		if cn.used && cn.phoneOpen && cn.serverOpen && (set.Has(cn.Phone) || set.Has(event.Server)) {
			do(uint32(c))
		}
	}
}

// reset resets a connection for both sides. The bytes sent before still arrive.
func (t *tcp) reset(r *rule, c uint32) {
	cn := &t.conns[c]
	t.faults.appliedToConn(r, t.direction(c, false), 0, 0, " is reset")
	if cn.serverOpen {
		t.sendSegment(c, false, nil, false, true)
	}
	if cn.phoneOpen {
		t.sendSegment(c, true, nil, false, true)
	}
	cn.up.shut, cn.down.shut = true, true
}

// halfClose ends the stream that the fault's node sends on a connection. The node still
// reads.
func (t *tcp) halfClose(r *rule, c uint32) {
	cn := &t.conns[c]
	down := !r.Of.Has(cn.Phone)
	stream := cn.stream(down)
	if stream.shut {
		return
	}
	t.faults.appliedToConn(r, t.direction(c, down), 0, 0, " is half closed")
	t.sendSegment(c, down, nil, true, false)
	stream.shut = true
}

// scriptConn is the connection of a phone that the script drives byte for byte.
type scriptConn struct {
	conn        uint32   // noConn after its end
	queued      [][]byte // to be sent when the connection is established
	fin         bool     // the script ends its side after queued
	reset       bool     // it does so with a reset
	established bool
}

// isScriptConn reports whether the connection is the last one that the script of its
// phone has opened.
func (t *tcp) isScriptConn(c uint32) bool {
	return t.scripts[t.conns[c].Phone].conn == c
}

// openScript opens a connection that the script drives.
func (t *tcp) openScript(phone uint32) {
	c := t.open(phone, true)
	t.scripts[phone] = &scriptConn{conn: c}
}

// flushScript sends the script's queued bytes if its connection is open.
func (t *tcp) flushScript(phone uint32) {
	s := t.scripts[phone]
	if s.conn == noConn || !s.established {
		return
	}
	for _, p := range s.queued {
		t.sendToServer(s.conn, p)
	}
	s.queued = nil
	if s.fin {
		s.fin = false
		t.emit.PhoneEnded(&t.conns[s.conn].Connection, "is ended by the script")
		t.send(s.conn, false, nil, true, s.reset)
	}
}
