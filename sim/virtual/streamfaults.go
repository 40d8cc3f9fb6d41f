package virtual

import (
	"fmt"
	"slices"
	"time"

	"bluetrace/sim/world"
)

// connectLimit is how long a phone waits for a connection to stand while faults
// hold it up, as the one of nodes/socket does.
const connectLimit = 10 * time.Second

// stuck is what a fault keeps from crossing a connection. It goes on when
// nothing keeps it any more.
type stuck struct {
	kind   kind // kindAccept, kindConnected, kindRefused, kindSegment
	conn   uint32
	slot   uint32 // of a segment
	down   bool
	caught bool // it was on its way already
}

// ends are who sends on one direction of a connection, and who receives.
func (w *World) ends(c uint32, down bool) (from, to uint32) {
	who := w.conns[c].phone
	if down {
		return nobody, who
	}
	return who, nobody
}

// keptBack is the fault that lets nothing of one direction of a connection
// through; nil: there is none. Of its beginning, time_out is one.
func (w *World) keptBack(s *stuck) *rule {
	from, to := w.ends(s.conn, s.down || s.kind == kindConnected || s.kind == kindRefused)
	for _, r := range w.faults.rules {
		switch r.Kind {
		case world.Leave:
			if r.Of.Has(from) || r.Of.Has(to) {
				return r
			}
		case world.Cut:
			if cuts(r, from, to) {
				return r
			}
		case world.TimeOut:
			if s.kind == kindAccept && !s.caught && ofConnects(r, from) && w.happens(r, from) {
				return r
			}
		}
	}
	return nil
}

// heldUp keeps what must not cross a connection now, and says whether it does.
func (w *World) heldUp(s stuck) bool {
	r := w.keptBack(&s)
	if r == nil {
		return false
	}
	from, to := w.ends(s.conn, s.down || s.kind == kindConnected || s.kind == kindRefused)
	nth := w.faults.sends.latest(sendWay{from, to, true})
	w.did(r, from, to, nth, 0, fmt.Sprintf("%s: c%d is held up", w.between(from, to), w.conns[s.conn].serial))
	w.faults.stuck = append(w.faults.stuck, s)
	if s.kind != kindSegment {
		w.limitConnecting(s.conn)
	}
	return true
}

// early says whether a piece of a stream has overtaken another; it waits then.
func (w *World) early(slot uint32) bool {
	s := &w.segs[slot]
	way := &w.conns[s.conn].up
	if s.down {
		way = &w.conns[s.conn].down
	}
	if s.number == way.next {
		return false
	}
	w.faults.overtook = append(w.faults.overtook, slot)
	return true
}

// follow lets the piece of a stream arrive for which it is the turn now, if it
// has come already.
func (w *World) follow(c uint32, down bool, number uint32) {
	for i, slot := range w.faults.overtook {
		if s := &w.segs[slot]; s.conn == c && s.down == down && s.number == number {
			w.faults.overtook = slices.Delete(w.faults.overtook, i, i+1)
			w.queue.push(w.now, inputClass, kindSegment, c, slot)
			return
		}
	}
}

// answerWaits is heldUp for the answer to the opening of a connection; also a
// phone that is paused does not hear of it.
func (w *World) answerWaits(c uint32, k kind) bool {
	if w.heldUp(stuck{kind: k, conn: c, down: true, caught: true}) {
		return true
	}
	cn := &w.conns[c]
	n := w.faults.node(cn.phone)
	if n.paused == 0 || cn.raw {
		return false
	}
	n.waiting = append(n.waiting, func() { // also for another program: it is the end of an event
		if k == kindConnected {
			w.connected(c)
		} else {
			w.refused(c)
		}
	})
	return true
}

// limitConnecting has a connection fail that does not stand soon.
func (w *World) limitConnecting(c uint32) {
	cn := &w.conns[c]
	if cn.limited {
		return
	}
	cn.limited = true
	serial := cn.serial
	w.later(int64(connectLimit), func() {
		cn := &w.conns[c]
		if !cn.used || cn.serial != serial || cn.answered || !cn.phoneOpen {
			return
		}
		if !cn.raw && w.holds(cn.phone, func() { w.noAnswer(c, serial) }) {
			return
		}
		w.noAnswer(c, serial)
	})
}

// noAnswer ends a connection that did not stand in time.
func (w *World) noAnswer(c uint32, serial uint64) {
	cn := &w.conns[c]
	if !cn.used || cn.serial != serial || cn.answered || !cn.phoneOpen {
		return
	}
	w.emit.phoneEnded(cn, "gets no answer")
	if cn.serverOpen {
		w.sendSegment(c, false, nil, false, true)
	} else {
		w.faults.stuck = slices.DeleteFunc(w.faults.stuck, func(s stuck) bool {
			if s.conn == c && s.kind == kindAccept {
				cn.underway--
				return true
			}
			return false
		})
	}
	w.connectFails(c, "connection timed out")
}

// unstick sends on what nothing keeps any more.
func (w *World) unstick() {
	list := w.faults.stuck
	w.faults.stuck = nil
	for _, s := range list {
		t := s
		t.caught = true // whether it is kept back at its sending was decided then
		if w.keptBack(&t) != nil || s.kind == kindAccept && !s.caught && w.timesOut(&s) {
			w.faults.stuck = append(w.faults.stuck, s)
		} else {
			w.goesOn(&s)
		}
	}
}

// timesOut says whether connects of the phone still get no answer.
func (w *World) timesOut(s *stuck) bool {
	return slices.ContainsFunc(w.faults.rules, func(r *rule) bool {
		return r.Kind == world.TimeOut && ofConnects(r, w.conns[s.conn].phone)
	})
}

// goesOn sends what was stuck again.
func (w *World) goesOn(s *stuck) {
	cn := &w.conns[s.conn]
	way, src := &cn.up, &w.phones[cn.phone].up
	if s.down {
		way, src = &cn.down, &w.phones[cn.phone].down
	}
	at := w.now + int64(w.tcp.Delay.Draw(src))
	way.last = max(way.last, at)
	w.queue.push(at, inputClass, s.kind, s.conn, s.slot)
}

// slowed is by how much rules delay n bytes on one direction of a connection.
func (w *World) slowed(c uint32, down bool, n int) int64 {
	from, to := w.ends(c, down)
	nth := w.faults.sends.next(w.now, sendWay{from, to, true})
	later, answered := int64(0), false
	for _, r := range w.faults.rules {
		if !r.Stream || !has(&r.From, from) || !has(&r.To, to) || !w.happens(r, from) || answered {
			continue
		}
		switch r.Kind {
		case world.Delay:
			later = r.drawn(w.streamOf(r, from))
		case world.Slow:
			later, _ = r.queue(w.now, from, n, 0)
		default:
			continue
		}
		answered = true
		w.did(r, from, to, nth, later, fmt.Sprintf("%s: c%d: %d bytes are delayed by %s",
			w.between(from, to), w.conns[c].serial, n, seconds(later)))
	}
	return later
}

// pieces is into how large pieces a send of n bytes is split; 0: not.
func (w *World) pieces(c uint32, down bool, n, split int) int {
	from, to := w.ends(c, down)
	for _, r := range w.faults.rules {
		if r.Kind != world.Pieces || !has(&r.Of, from) || n <= r.Bytes || split > 0 && split <= r.Bytes || !w.happens(r, from) {
			continue
		}
		w.did(r, from, to, 0, int64(r.Bytes), fmt.Sprintf("%s: c%d: %d bytes go in pieces of %d",
			w.between(from, to), w.conns[c].serial, n, r.Bytes))
		return r.Bytes
	}
	return split
}

// joined is how long what has just come is held back, so that it is read with
// what comes meanwhile.
func (w *World) joined(c uint32, down bool, way *byteStream, join time.Duration) time.Duration {
	switch {
	case way.eof:
		return join
	case way.due:
		return max(join, 1)
	}
	from, to := w.ends(c, down)
	for _, r := range w.faults.rules {
		if r.Kind != world.Join || !has(&r.Of, to) || !w.happens(r, to) {
			continue
		}
		held := r.drawn(w.streamOf(r, to))
		w.did(r, from, to, 0, held, fmt.Sprintf("%s: c%d is read %s later", w.between(from, to), w.conns[c].serial, seconds(held)))
		return max(join, time.Duration(held))
	}
	return join
}

// cutShort says whether a fault keeps a piece of a stream from being sent: the
// way has been shut, or the connection breaks with it.
func (w *World) cutShort(c uint32, down bool, way *byteStream, n int) bool {
	if way.shut {
		w.release(c)
		return true
	}
	if n == 0 {
		return false
	}
	from, to := w.ends(c, down)
	for _, r := range w.faults.rules {
		if r.Kind == world.Reset && (r.Of.Has(from) || r.Of.Has(to)) && w.happens(r, from) {
			w.breakConn(r, c)
			return true
		}
	}
	return false
}

// ofConnects says whether a fault of connects concerns those of a phone: its own,
// or all to the server.
func ofConnects(r *rule, who uint32) bool { return r.Of.Has(who) || r.Of.Has(nobody) }

// refusedByFault says whether a connection is refused though the server runs.
func (w *World) refusedByFault(c uint32) bool {
	who := w.conns[c].phone
	for _, r := range w.faults.rules {
		if r.Kind == world.Refuse && ofConnects(r, who) && w.happens(r, who) {
			w.did(r, who, nobody, 0, 0, fmt.Sprintf("%s: c%d is refused", w.between(who, nobody), w.conns[c].serial))
			return true
		}
	}
	return false
}

// eachConn calls f with the connections of nodes that stand on both sides.
func (w *World) eachConn(n *world.Nodes, f func(c uint32)) {
	for c := range w.conns {
		cn := &w.conns[c]
		if cn.used && cn.phoneOpen && cn.serverOpen && (n.Has(cn.phone) || n.Has(nobody)) {
			f(uint32(c))
		}
	}
}

// breakConn resets a connection, for both of its sides. What was sent before
// arrives first.
func (w *World) breakConn(r *rule, c uint32) {
	cn := &w.conns[c]
	w.did(r, cn.phone, nobody, 0, 0, fmt.Sprintf("%s: c%d is reset", w.between(cn.phone, nobody), cn.serial))
	if cn.serverOpen {
		w.sendSegment(c, false, nil, false, true)
	}
	if cn.phoneOpen {
		w.sendSegment(c, true, nil, false, true)
	}
	cn.up.shut, cn.down.shut = true, true
}

// halfClose ends what a node sends on a connection; it goes on reading.
func (w *World) halfClose(r *rule, c uint32) {
	cn := &w.conns[c]
	down := !r.Of.Has(cn.phone)
	way := &cn.up
	if down {
		way = &cn.down
	}
	if way.shut {
		return
	}
	from, to := w.ends(c, down)
	w.did(r, from, to, 0, 0, fmt.Sprintf("%s: c%d is half closed", w.between(from, to), cn.serial))
	w.sendSegment(c, down, nil, true, false)
	way.shut = true
}
