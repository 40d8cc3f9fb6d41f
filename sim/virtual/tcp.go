package virtual

import (
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/protocol/dialect"
	"bluetrace/sim/event"
)

// TCP holds the properties of the network for byte streams.
type TCP struct {
	Delay Delay
	// Split is the largest size in bytes of a segment. A longer send is split, and each
	// segment has a delay of its own. 0 means no limit.
	Split int
	// Join is the delay of a read after the arrival of the first unread byte. The
	// read also takes the bytes that have arrived in the meantime. 0 means no delay.
	Join time.Duration
}

// tcp is the network of connections between phones and the server. The program of a
// phone has one connection at a time, and the script another.
type tcp struct {
	TCP
	parts

	conns    []conn
	free     []uint32 // unused elements of conns
	opened   uint64   // number of connections so far
	segments pool[segment]
	scripts  map[uint32]*scriptConn // by phone: the connection that a script drives

	blocked       []blocked
	dialect       *dialect.Dialect // of the programs; nil for that of PROTOCOL.md
	issued        dialect.Issued
	translations  map[uint32]*translation // by connection; nil without a dialect
	misunderstood func(phone uint32, text string)

	// reordered holds the slots of the segments that have arrived before an earlier
	// segment of their stream and wait for it.
	reordered []uint32
}

// conn is one connection, with a stream of bytes in each direction. Its index in
// tcp.conns is the server's number of it.
type conn struct {
	event.Connection       // its Number is never used again, unlike its index
	pending          int32 // entries of the queue that refer to it: segments, answers to the connect, delayed reads
	used             bool
	phoneOpen        bool
	serverOpen       bool
	phoneEnded       bool   // the server has read the end of the phone's stream
	closedByServer   bool   // the server closed its side before it had read that end
	inBacklog        bool   // it is established, but the paused server has not accepted it
	answered         bool   // the phone has received the answer that it is established
	timed            bool   // it fails if it is not established within connectTimeout
	unreadSends      []int  // lengths of the server's sends that the phone has not read whole
	partial          []byte // bytes read of the first of them
	up, down         byteStream
}

// byteStream is one direction of a connection.
type byteStream struct {
	lastArrival   int64 // earliest time at which another segment may arrive
	inbox         []byte
	eof           bool // the end of the stream follows the bytes of inbox
	readScheduled bool // a delayed read is in the queue
	shut          bool // a fault has ended it, and nothing more is sent
	// The connect or its answer has number 0, and the segments are numbered from 1. sent
	// is the number of the last segment sent, and next the number that arrives next.
	sent, next uint32
}

// segment is a piece of a stream in flight.
type segment struct {
	conn       uint32
	number     uint32
	down       bool
	fin, reset bool
	data       []byte
}

// direction is one direction of a connection.
type direction struct {
	from, to event.Node
	conn     uint64 // the connection's number
}

const noConn = ^uint32(0)

func (cn *conn) stream(down bool) *byteStream {
	if down {
		return &cn.down
	}
	return &cn.up
}

func (t *tcp) direction(c uint32, down bool) direction {
	cn := &t.conns[c]
	if down {
		return direction{event.Server, cn.Phone, cn.Number}
	}
	return direction{cn.Phone, event.Server, cn.Number}
}

// delay draws the delay of a segment.
func (t *tcp) delay(c uint32, down bool) int64 {
	p := &t.phones.phones[t.conns[c].Phone]
	if down {
		return int64(t.Delay.Draw(&p.down))
	}
	return int64(t.Delay.Draw(&p.up))
}

func (t *tcp) newConn(phone uint32, scripted bool) uint32 {
	var c uint32
	if n := len(t.free); n > 0 {
		c = t.free[n-1]
		t.free = t.free[:n-1]
	} else {
		c = uint32(len(t.conns))
		if len(t.conns) == cap(t.conns) {
			// Grow by a sixteenth: a crowd has a connection for each phone, and append
			// would leave up to a quarter of them unused.
			t.conns = append(make([]conn, 0, len(t.conns)+max(16, len(t.conns)/16)), t.conns...)
		}
		t.conns = append(t.conns, conn{})
	}
	delete(t.translations, c)
	t.opened++
	t.conns[c] = conn{
		Connection: event.Connection{Number: t.opened, Phone: phone, Scripted: scripted}, used: true, phoneOpen: true,
	}
	return c
}

// release frees a connection to which no entry refers any more.
func (t *tcp) release(c uint32) {
	cn := &t.conns[c]
	if cn.used && !cn.phoneOpen && !cn.serverOpen && cn.pending == 0 {
		cn.used = false
		t.free = append(t.free, c)
	}
}

// sessions returns the number of connections that the server has accepted and not
// closed.
func (t *tcp) sessions() int {
	n := 0
	for c := range t.conns {
		if cn := &t.conns[c]; cn.used && cn.serverOpen && !cn.inBacklog {
			n++
		}
	}
	return n
}

// open opens a connection and returns its index. The connect reaches the server after
// one delay, and its answer reaches the phone after another.
func (t *tcp) open(phone uint32, scripted bool) uint32 {
	c := t.newConn(phone, scripted)
	cn := &t.conns[c]
	t.emit.PhoneConn(event.Connecting, &cn.Connection)
	at := t.scheduler.now + t.delay(c, false)
	cn.pending++
	isBlocked := false
	if t.faults.begun {
		at += t.faults.segmentDelay(t.direction(c, false), 0)
		isBlocked = t.block(blocked{kind: connArrives, conn: c})
	}
	t.emit.segment(event.SegmentSent, t.direction(c, false), event.Syn, nil)
	if isBlocked {
		return c
	}
	cn.up.lastArrival = at
	t.scheduler.input(at, connArrives, c, 0)
	return c
}

// arriveConnect handles the arrival of a connect at the server.
func (t *tcp) arriveConnect(c uint32) {
	cn := &t.conns[c]
	if t.faults.begun && t.block(blocked{kind: connArrives, conn: c, inFlight: true}) {
		return
	}
	t.countArrival(c, false)
	at := t.scheduler.now + t.delay(c, true)
	if t.faults.begun {
		at += t.faults.segmentDelay(t.direction(c, true), 0)
	}
	cn.down.lastArrival = at
	if t.server.machine == nil || t.faults.begun && t.faults.refuses(cn.Phone, cn.Number) {
		t.emit.segment(event.SegmentSent, t.direction(c, true), event.Reset, nil)
		t.scheduler.input(at, refusedArrives, c, 0)
		return
	}
	t.emit.segment(event.SegmentSent, t.direction(c, true), event.Syn, nil)
	cn.serverOpen = true
	if t.faults.begun && t.keepInBacklog(c) {
		t.scheduler.input(at, connectedArrives, c, 0)
		return
	}
	t.accept(c)
	t.scheduler.input(at, connectedArrives, c, 0)
	t.server.act()
}

// accept hands a connection to the server's machine.
func (t *tcp) accept(c uint32) {
	t.emit.Accepted(&t.conns[c].Connection, nodes.Conn(c))
	t.server.accept(nodes.Conn(c))
}

// arriveConnected handles the arrival of the answer that a connection is established.
func (t *tcp) arriveConnected(c uint32) {
	if t.faults.begun && t.keepAnswer(c, connectedArrives) {
		return
	}
	cn := &t.conns[c]
	cn.pending--
	cn.answered = true
	t.countArrival(c, true)
	if !cn.phoneOpen {
		t.release(c)
		return
	}
	t.emit.PhoneConn(event.Connected, &cn.Connection)
	if x := t.translations[c]; x != nil {
		x.connected()
	} else if !cn.Scripted {
		t.phones.input(cn.Phone, (*nodes.Phone).Connected)
	} else if t.isScriptConn(c) {
		t.scripts[cn.Phone].established = true
		t.flushScript(cn.Phone)
	}
}

// arriveRefused handles the arrival of the answer that a connection is refused.
func (t *tcp) arriveRefused(c uint32) {
	if t.faults.begun && t.keepAnswer(c, refusedArrives) {
		return
	}
	cn := &t.conns[c]
	cn.pending--
	t.countArrival(c, true)
	if cn.phoneOpen {
		t.emit.PhoneConn(event.ConnectRefused, &cn.Connection)
	}
	t.failConnect(c, "connection refused")
}

// failConnect ends a connection that was not established. If the phone's side is still
// open, its program gets the reason; a connection of the script is emitted as HungUp.
func (t *tcp) failConnect(c uint32, reason string) {
	cn := &t.conns[c]
	phone, open := cn.Phone, cn.phoneOpen
	cn.phoneOpen = false
	t.release(c)
	switch {
	case !open:
	case t.translations[c] != nil && t.translations[c].again:
		t.phones.connClosed(phone, c)
	case !cn.Scripted:
		t.phones.connectFailed(phone, reason)
	default:
		if t.isScriptConn(c) {
			t.scripts[phone].conn = noConn
		}
		t.emit.PhoneConn(event.HungUp, &cn.Connection)
	}
}

// send sends bytes in one direction of a connection, split into segments by the network
// or a fault. fin ends the stream after the bytes, and reset resets it.
func (t *tcp) send(c uint32, down bool, p []byte, fin, reset bool) {
	split := t.Split
	if t.faults.begun {
		split = t.faults.pieceSize(t.direction(c, down), len(p), split)
	}
	for split > 0 && len(p) > split {
		t.sendSegment(c, down, p[:split], false, false)
		p = p[split:]
	}
	t.sendSegment(c, down, p, fin, reset)
}

func (t *tcp) sendSegment(c uint32, down bool, p []byte, fin, reset bool) {
	cn := &t.conns[c]
	stream := cn.stream(down)
	if t.faults.begun && !reset && t.isCutShort(c, down, stream, len(p)) {
		return
	}
	at := t.scheduler.now + t.delay(c, down)
	if t.faults.begun {
		at += t.faults.segmentDelay(t.direction(c, down), len(p))
	}
	at = max(at, stream.lastArrival)
	cn.pending++
	slot := t.segments.take()
	s := t.segments.at(slot)
	stream.sent++
	*s = segment{conn: c, number: stream.sent, down: down, fin: fin, reset: reset, data: append(s.data[:0], p...)}
	isBlocked := t.faults.begun && t.block(blocked{kind: segmentArrives, conn: c, slot: slot, down: down})
	flags := event.SegmentFlags(0)
	if fin {
		flags |= event.Fin
	}
	if reset {
		flags |= event.Reset
	}
	t.emit.segment(event.SegmentSent, t.direction(c, down), flags, p)
	if isBlocked {
		return
	}
	stream.lastArrival = at
	t.scheduler.input(at, segmentArrives, c, slot)
}

// arriveSegment adds the bytes of a segment to the receiver's inbox, and reads them now
// or schedules the read.
func (t *tcp) arriveSegment(slot uint32) {
	s := t.segments.at(slot)
	c, down := s.conn, s.down
	b := blocked{kind: segmentArrives, conn: c, slot: slot, down: down, inFlight: true}
	if t.faults.begun && (t.block(b) || t.isEarly(slot)) {
		return
	}
	t.countArrival(c, down)
	cn := &t.conns[c]
	cn.pending--
	stream, open := cn.stream(down), cn.serverOpen
	if down {
		open = cn.phoneOpen
	}
	if open {
		if s.reset {
			stream.inbox = stream.inbox[:0]
		}
		stream.inbox = append(stream.inbox, s.data...)
		stream.eof = stream.eof || s.fin || s.reset
	}
	t.segments.put(slot)
	join := t.Join
	if t.faults.begun && open {
		join = t.readDelay(c, down, stream)
	}
	switch {
	case !open:
		if down && (s.fin || s.reset) && cn.closedByServer {
			t.emit.PhoneConn(event.HungUp, &cn.Connection)
		}
		t.release(c)
	case join > 0 && !stream.eof:
		t.scheduleRead(c, down, stream, join)
	case down:
		t.readPhone(c)
	default:
		t.readServer(c)
	}
}

// countArrival counts a connect, an answer or a segment that has arrived, and lets the
// next segment arrive if it waits.
func (t *tcp) countArrival(c uint32, down bool) {
	stream := t.conns[c].stream(down)
	stream.next++
	t.emit.segment(event.SegmentArrived, t.direction(c, down), 0, nil)
	if len(t.reordered) > 0 {
		t.releaseReordered(c, down, stream.next)
	}
}

// scheduleRead schedules a read after the delay join, unless one is scheduled.
func (t *tcp) scheduleRead(c uint32, down bool, stream *byteStream, join time.Duration) {
	if stream.readScheduled {
		return
	}
	stream.readScheduled = true
	t.conns[c].pending++
	kind := serverReads
	if down {
		kind = phoneReads
	}
	t.scheduler.input(t.scheduler.now+int64(join), kind, c, 0)
}

// readDelayed executes a read that scheduleRead scheduled.
func (t *tcp) readDelayed(c uint32, down bool) {
	cn := &t.conns[c]
	cn.pending--
	cn.stream(down).readScheduled = false
	if down {
		t.readPhone(c)
	} else {
		t.readServer(c)
	}
}

// readServer lets the server read the bytes that have arrived, until it stops
// reading.
func (t *tcp) readServer(c uint32) {
	for {
		cn := &t.conns[c]
		if !cn.serverOpen || !t.server.reads(nodes.Conn(c)) {
			t.release(c)
			return
		}
		if t.faults.begun && t.postponeRead(event.Server, c) {
			return
		}
		if len(cn.up.inbox) == 0 {
			break
		}
		size := min(len(cn.up.inbox), protocol.MaxMessage)
		p := cn.up.inbox[:size]
		t.emit.ServerBytes(event.ServerRead, &cn.Connection, nodes.Conn(c), p)
		t.server.read(nodes.Conn(c), p)
		t.emit.ServerHandled(&cn.Connection, nodes.Conn(c), size)
		t.server.act()
		stream := &t.conns[c].up
		stream.inbox = remaining(stream.inbox, size)
	}
	if cn := &t.conns[c]; cn.up.eof {
		t.emit.ServerEnded(&cn.Connection, "ends: end of file", false)
		cn.phoneEnded = true
		t.server.eof(nodes.Conn(c))
		t.closeServerSide(c)
	}
}

// remaining returns an inbox without its first size bytes. An empty inbox keeps no
// memory, because a crowd has many inboxes that are seldom used.
func remaining(inbox []byte, size int) []byte {
	if size == len(inbox) {
		return nil
	}
	return append(inbox[:0], inbox[size:]...)
}

// readPhone lets the phone's program, or the script, read the bytes that have
// arrived.
func (t *tcp) readPhone(c uint32) {
	cn := &t.conns[c]
	phone, scripted := cn.Phone, cn.Scripted
	if !cn.phoneOpen {
		t.release(c)
		return
	}
	if t.faults.begun && t.postponeRead(phone, c) {
		return
	}
	if len(cn.down.inbox) > 0 {
		p := cn.down.inbox
		if x := t.translations[c]; x != nil {
			x.receive(p)
		} else {
			t.emit.PhoneBytes(event.PhoneRead, &cn.Connection, p)
			t.emitReplies(cn, p)
			if !scripted {
				t.phones.read(phone, p)
			}
		}
		cn = &t.conns[c]
		cn.down.inbox = nil
	}
	if !cn.down.eof {
		return
	}
	if x := t.translations[c]; x != nil && cn.phoneOpen && x.keepsEnd() {
		return
	}
	if !cn.phoneOpen {
		if cn.closedByServer { // the phone closed its side because of the bytes that it read
			t.emit.PhoneConn(event.HungUp, &cn.Connection)
		}
		return
	}
	cn.down.eof = false
	t.emit.PhoneEnded(&cn.Connection, "is closed by the server")
	t.emit.PhoneConn(event.HungUp, &cn.Connection)
	if scripted {
		if t.isScriptConn(c) {
			t.scripts[phone].conn = noConn
		}
		t.closePhoneSide(c)
		return
	}
	t.phones.connClosed(phone, c)
}

// emitReplies emits Replied for each send of the server that the phone has now read
// whole, however the network split or joined it.
func (t *tcp) emitReplies(cn *conn, p []byte) {
	cn.partial = append(cn.partial, p...)
	for reply := cn.takeReply(); reply != nil; reply = cn.takeReply() {
		t.emit.PhoneBytes(event.Replied, &cn.Connection, reply)
	}
}

// takeReply removes the first send of the server that the phone has read whole, and returns it. It returns nil if there
// is none.
func (cn *conn) takeReply() (reply []byte) {
	if len(cn.unreadSends) == 0 {
		cn.unreadSends, cn.partial = nil, nil
		return nil
	}
	size := cn.unreadSends[0]
	if len(cn.partial) < size {
		return nil
	}
	reply, cn.partial = cn.partial[:size:size], cn.partial[size:]
	cn.unreadSends = cn.unreadSends[1:]
	return reply
}

// sendToServer sends bytes from the phone to the server.
func (t *tcp) sendToServer(c uint32, p []byte) {
	t.emit.PhoneBytes(event.PhoneSent, &t.conns[c].Connection, p)
	if x := t.translations[c]; x != nil {
		x.send(p)
		return
	}
	t.send(c, false, p, false, false)
}

// sendToPhone sends bytes from the server to the phone, unless the server's side is
// closed.
func (t *tcp) sendToPhone(c uint32, p []byte) {
	cn := &t.conns[c]
	if !cn.serverOpen {
		return
	}
	t.emit.ServerBytes(event.ServerSent, &cn.Connection, nodes.Conn(c), p)
	cn.unreadSends = append(cn.unreadSends, len(p))
	t.send(c, true, p, false, false)
}

// closePhoneSide closes the phone's side, unless it is closed.
func (t *tcp) closePhoneSide(c uint32) {
	cn := &t.conns[c]
	if !cn.phoneOpen {
		return
	}
	if x := t.translations[c]; x != nil && cn.answered && x.keepsOpen() {
		return
	}
	cn.phoneOpen = false
	t.emit.PhoneEnded(&cn.Connection, "is closed by the phone")
	t.send(c, false, nil, true, false)
}

// resetPhoneSide resets a connection whose program has stopped.
func (t *tcp) resetPhoneSide(c uint32) {
	cn := &t.conns[c]
	cn.phoneOpen = false
	t.emit.PhoneEnded(&cn.Connection, "breaks")
	t.sendSegment(c, false, nil, false, true)
}

// closeServerSide closes the server's side, unless it is closed.
func (t *tcp) closeServerSide(c uint32) {
	cn := &t.conns[c]
	if !cn.serverOpen {
		return
	}
	cn.serverOpen, cn.closedByServer = false, !cn.phoneEnded
	t.emit.ServerEnded(&cn.Connection, "is closed by the server", true)
	t.send(c, true, nil, true, false)
}

// resetSessions breaks the connections of a server that has stopped.
func (t *tcp) resetSessions() {
	for c := range t.conns {
		if cn := &t.conns[c]; cn.used && cn.serverOpen {
			cn.serverOpen, cn.closedByServer, cn.inBacklog = false, true, false
			cn.up.inbox = cn.up.inbox[:0]
			t.send(uint32(c), true, nil, false, true)
		}
	}
}
