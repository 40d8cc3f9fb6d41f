package virtual

import (
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/sim/event"
)

// conn is one TCP connection between a phone and the server: two streams of
// bytes. The program of a phone has one at a time; a script may hold another.
type conn struct {
	serial     uint64 // counts the connections of the run, from 1: a number is used again, this is not
	phone      uint32
	underway   int32 // events that name it: segments, answers to the opening, reads held back
	raw        bool
	used       bool
	phoneOpen  bool
	serverOpen bool
	ended      bool   // the server has read the end of the phone's stream
	byServer   bool   // the server closed before it had read that
	backlog    bool   // it stands, and a server that is paused has not accepted it
	answered   bool   // the phone knows that it stands
	limited    bool   // it fails when it does not stand soon
	sends      []int  // lengths of what the server sent and the phone has not read
	got        []byte // of the first of them
	up, down   byteStream
}

// byteStream is one direction.
type byteStream struct {
	last  int64 // nothing arrives before this
	inbox []byte
	eof   bool // behind the bytes of inbox
	due   bool // a held-back read is in the queue
	shut  bool // a fault has ended it: nothing more is sent
	// The opening, or its answer, is number 0 of what is sent, the pieces follow.
	// next is the one that the receiver can take.
	sent, next uint32
}

// segment is a piece of a stream that is under way.
type segment struct {
	conn       uint32
	number     uint32
	down       bool
	fin, reset bool
	data       []byte
}

const noConn = ^uint32(0)

func (w *World) newConn(phone uint32, raw bool) uint32 {
	var c uint32
	if n := len(w.spare); n > 0 {
		c = w.spare[n-1]
		w.spare = w.spare[:n-1]
	} else {
		c = uint32(len(w.conns))
		if len(w.conns) == cap(w.conns) {
			// By a sixteenth: a crowd has one for each phone, and append would leave
			// up to a quarter of them empty.
			w.conns = append(make([]conn, 0, len(w.conns)+max(16, len(w.conns)/16)), w.conns...)
		}
		w.conns = append(w.conns, conn{})
	}
	w.opened++
	w.conns[c] = conn{serial: w.opened, phone: phone, raw: raw, used: true, phoneOpen: true}
	return c
}

// open begins a connection: the server hears of it one delay later, and the
// phone of the server's answer another delay later.
func (w *World) open(phone uint32, raw bool) uint32 {
	c := w.newConn(phone, raw)
	cn := &w.conns[c]
	w.emit.phoneConn(event.Connecting, cn)
	at := w.now + int64(w.tcp.Delay.Draw(&w.phones[phone].up))
	cn.underway++
	if w.faults != nil {
		at += w.slowed(c, false, 0)
		if w.heldUp(stuck{kind: kindAccept, conn: c}) {
			return c
		}
	}
	cn.up.last = at
	w.queue.push(at, inputClass, kindAccept, c, 0)
	return c
}

func (w *World) accept(c uint32) {
	cn := &w.conns[c]
	if w.faults != nil && w.heldUp(stuck{kind: kindAccept, conn: c, caught: true}) {
		return
	}
	w.took(c, false)
	at := w.now + int64(w.tcp.Delay.Draw(&w.phones[cn.phone].down))
	if w.faults != nil {
		at += w.slowed(c, true, 0)
	}
	cn.down.last = at
	if w.host.machine == nil || w.faults != nil && w.refusedByFault(c) {
		w.queue.push(at, inputClass, kindRefused, c, 0)
		return
	}
	cn.serverOpen = true
	if w.faults != nil && w.waitsInBacklog(c) {
		w.queue.push(at, inputClass, kindConnected, c, 0)
		return
	}
	w.hostAccepts(c)
	w.queue.push(at, inputClass, kindConnected, c, 0)
	w.serverActs()
}

func (w *World) hostAccepts(c uint32) {
	w.emit.accepted(&w.conns[c], c)
	w.host.machine.Accept(w.time(nobody), nodes.Conn(c), &w.host.out)
}

func (w *World) connected(c uint32) {
	if w.faults != nil && w.answerWaits(c, kindConnected) {
		return
	}
	cn := &w.conns[c]
	cn.underway--
	cn.answered = true
	w.took(c, true)
	if !cn.phoneOpen {
		w.release(c)
		return
	}
	w.emit.phoneConn(event.Connected, cn)
	if cn.raw {
		if w.scripted(c) {
			w.flushRaw(cn.phone)
		}
		return
	}
	who := cn.phone
	w.phones[who].machine.Connected(w.time(who), &w.phoneOut)
	w.phoneActs(who)
}

func (w *World) refused(c uint32) {
	if w.faults != nil && w.answerWaits(c, kindRefused) {
		return
	}
	cn := &w.conns[c]
	cn.underway--
	w.took(c, true)
	if cn.phoneOpen {
		w.emit.phoneConn(event.ConnectRefused, cn)
	}
	w.connectFails(c, "connection refused")
}

// connectFails ends a connection that never stood.
func (w *World) connectFails(c uint32, why string) {
	cn := &w.conns[c]
	who, raw, open := cn.phone, cn.raw, cn.phoneOpen
	cn.phoneOpen = false
	w.release(c)
	if !open {
		return
	}
	if raw {
		if s := w.phones[who].script; s.conn == c {
			s.conn = noConn
			w.emit.phoneConn(event.HungUp, cn)
		}
		return
	}
	w.phones[who].conn = noConn
	w.phones[who].machine.ConnectFailed(w.time(who), why, &w.phoneOut)
	w.phoneActs(who)
}

// release gives a connection's number back once nothing of it is left.
func (w *World) release(c uint32) {
	cn := &w.conns[c]
	if cn.used && !cn.phoneOpen && !cn.serverOpen && cn.underway == 0 {
		cn.used = false
		w.spare = append(w.spare, c)
	}
}

// send puts bytes, or the end of the stream, on the way.
func (w *World) send(c uint32, down bool, p []byte, fin, reset bool) {
	split := w.tcp.Split
	if w.faults != nil {
		split = w.pieces(c, down, len(p), split)
	}
	for split > 0 && len(p) > split {
		w.sendSegment(c, down, p[:split], false, false)
		p = p[split:]
	}
	w.sendSegment(c, down, p, fin, reset)
}

func (w *World) sendSegment(c uint32, down bool, p []byte, fin, reset bool) {
	cn := &w.conns[c]
	way, src := &cn.up, &w.phones[cn.phone].up
	if down {
		way, src = &cn.down, &w.phones[cn.phone].down
	}
	if w.faults != nil && !reset && w.cutShort(c, down, way, len(p)) {
		return
	}
	at := w.now + int64(w.tcp.Delay.Draw(src))
	if w.faults != nil {
		at += w.slowed(c, down, len(p))
	}
	at = max(at, way.last)
	cn.underway++
	var slot uint32
	if n := len(w.segFree); n > 0 {
		slot = w.segFree[n-1]
		w.segFree = w.segFree[:n-1]
	} else {
		slot = uint32(len(w.segs))
		w.segs = append(w.segs, segment{})
	}
	s := &w.segs[slot]
	way.sent++
	*s = segment{conn: c, number: way.sent, down: down, fin: fin, reset: reset, data: append(s.data[:0], p...)}
	if w.faults != nil && w.heldUp(stuck{kind: kindSegment, conn: c, slot: slot, down: down}) {
		return
	}
	way.last = at
	w.queue.push(at, inputClass, kindSegment, c, slot)
}

func (w *World) segmentArrives(slot uint32) {
	s := &w.segs[slot]
	c, down := s.conn, s.down
	if w.faults != nil && w.heldUp(stuck{kind: kindSegment, conn: c, slot: slot, down: down, caught: true}) {
		return
	}
	if w.faults != nil && w.early(slot) {
		return
	}
	w.took(c, down)
	cn := &w.conns[c]
	cn.underway--
	way, open := &cn.up, cn.serverOpen
	if down {
		way, open = &cn.down, cn.phoneOpen
	}
	if open {
		if s.reset {
			way.inbox = way.inbox[:0]
		}
		way.inbox = append(way.inbox, s.data...)
		way.eof = way.eof || s.fin || s.reset
	}
	w.segFree = append(w.segFree, slot)
	join := w.tcp.Join
	if w.faults != nil && open {
		join = w.joined(c, down, way, join)
	}
	switch {
	case !open:
		if down && (s.fin || s.reset) && cn.byServer && (!cn.raw || w.scripted(c)) {
			w.emit.phoneConn(event.HungUp, cn)
		}
		w.release(c)
	case join > 0 && !way.eof:
		w.holdBack(c, down, way, join)
	case down:
		w.feedPhone(c)
	default:
		w.feedServer(c)
	}
}

func (w *World) holdBack(c uint32, down bool, way *byteStream, join time.Duration) {
	if way.due {
		return
	}
	way.due = true
	w.conns[c].underway++
	k := kindReadUp
	if down {
		k = kindReadDown
	}
	w.queue.push(w.now+int64(join), inputClass, k, c, 0)
}

// feedServer lets the server read what has come, as long as it reads.
func (w *World) feedServer(c uint32) {
	for {
		cn := &w.conns[c]
		if !cn.serverOpen || w.host.machine == nil || !w.host.machine.Reading(nodes.Conn(c)) {
			w.release(c)
			return
		}
		if w.faults != nil && w.deaf(nobody, c) {
			return
		}
		if len(cn.up.inbox) == 0 {
			break
		}
		n := min(len(cn.up.inbox), protocol.MaxMessage)
		p := cn.up.inbox[:n]
		w.emit.serverBytes(event.ServerRead, cn, nodes.Conn(c), p)
		w.host.machine.Read(w.time(nobody), nodes.Conn(c), p, &w.host.out)
		w.emit.serverHandled(cn, nodes.Conn(c), n)
		w.serverActs()
		way := &w.conns[c].up
		way.inbox = rest(way.inbox, n)
	}
	if cn := &w.conns[c]; cn.up.eof {
		w.emit.serverEnded(cn, "ends: end of file", false)
		cn.ended = true
		w.host.machine.EOF(w.time(nobody), nodes.Conn(c), &w.host.out)
		w.serverActs()
		w.serverCloses(c)
	}
}

// took counts what a receiver takes of a connection.
func (w *World) took(c uint32, down bool) {
	way := &w.conns[c].up
	if down {
		way = &w.conns[c].down
	}
	way.next++
	if w.faults != nil && len(w.faults.overtook) > 0 {
		w.follow(c, down, way.next)
	}
}

// rest is what is left of an inbox behind n bytes. An empty one keeps no memory:
// a crowd has many, and reads little.
func rest(inbox []byte, n int) []byte {
	if n == len(inbox) {
		return nil
	}
	return append(inbox[:0], inbox[n:]...)
}

// feedPhone lets the phone's program, or the script, read what has come.
func (w *World) feedPhone(c uint32) {
	cn := &w.conns[c]
	who, raw := cn.phone, cn.raw
	if !cn.phoneOpen {
		w.release(c)
		return
	}
	if w.faults != nil && w.deaf(who, c) {
		return
	}
	if len(cn.down.inbox) > 0 {
		p := cn.down.inbox
		w.emit.phoneBytes(event.PhoneRead, cn, p)
		if !raw || w.scripted(c) {
			w.replied(c, p)
		}
		if !raw {
			w.phones[who].machine.Read(w.time(who), p, &w.phoneOut)
			w.phoneActs(who)
		}
		cn = &w.conns[c]
		cn.down.inbox = nil
	}
	if !cn.phoneOpen && cn.down.eof {
		if cn.byServer {
			w.emit.phoneConn(event.HungUp, cn) // the bytes that it read made it hang up as well
		}
		return
	}
	if cn.down.eof {
		cn.down.eof = false
		w.emit.phoneEnded(cn, "is closed by the server")
		if raw && !w.scripted(c) {
			w.phoneCloses(c)
			return
		}
		w.emit.phoneConn(event.HungUp, cn)
		if raw {
			w.RawClose(who)
			return
		}
		w.phones[who].conn = noConn
		w.phoneCloses(c)
		w.phones[who].machine.Closed(w.time(who), &w.phoneOut)
		w.phoneActs(who)
	}
}

// replied emits Replied for each send of the server that the phone has now read
// whole, however the network split or joined it.
func (w *World) replied(c uint32, p []byte) {
	cn := &w.conns[c]
	cn.got = append(cn.got, p...)
	for len(cn.sends) > 0 && len(cn.got) >= cn.sends[0] {
		n := cn.sends[0]
		w.emit.phoneBytes(event.Replied, cn, cn.got[:n])
		cn.sends = cn.sends[1:]
		cn.got = cn.got[n:]
	}
	if len(cn.sends) == 0 {
		cn.sends, cn.got = nil, nil
	}
}

// scripted says whether the connection is the one that the script speaks on,
// not one that it left open.
func (w *World) scripted(c uint32) bool { return w.phones[w.conns[c].phone].script.conn == c }

// phoneCloses ends the phone's side.
func (w *World) phoneCloses(c uint32) {
	cn := &w.conns[c]
	if !cn.phoneOpen {
		return
	}
	cn.phoneOpen = false
	w.emit.phoneEnded(cn, "is closed by the phone")
	w.send(c, false, nil, true, false)
}

// serverCloses ends the server's side.
func (w *World) serverCloses(c uint32) {
	cn := &w.conns[c]
	if !cn.serverOpen {
		return
	}
	cn.serverOpen, cn.byServer = false, !cn.ended
	w.emit.serverEnded(cn, "is closed by the server", true)
	w.send(c, true, nil, true, false)
}
