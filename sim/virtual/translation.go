package virtual

import (
	"slices"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol/dialect"
	"bluetrace/sim/event"
)

// translation is the connection of a phone's program on the wire of another implementation. The translator of the
// phone and that of the server exchange the bytes of that wire at once. The network carries the messages of
// PROTOCOL.md section 2 between the translator of the server and the server.
type translation struct {
	tcp    *tcp
	conn   uint32 // of the network; another one after a Redial
	began  int64
	phone  *dialect.PhoneSide
	server *dialect.ServerSide
	online bool // conn is established
	again  bool // conn replaces another one, so the program is connected already

	up, down [][]byte // bytes of the wire that the translator of the server, or of the phone, has not got
	unread   [][]byte // messages that the program has not got
	wakeAt   int64    // time of the wake-up that counts; never if none is in the queue
	leaving  bool     // the program has closed the connection, and the server has not got all of its messages
	ended    bool     // the server's stream has ended, and the program has not got all of its messages
}

// newTranslation returns the translation of a new connection of a program.
func newTranslation(c uint32, t *tcp) *translation {
	return &translation{
		tcp: t, conn: c, began: t.scheduler.now, wakeAt: never,
		phone: dialect.NewPhoneSide(t.dialect), server: dialect.NewServerSide(t.dialect, &t.issued),
	}
}

// connected handles the establishment of the connection.
func (x *translation) connected() {
	x.online = true
	x.atServer(x.server.Open)
	x.exchange()
	if !x.again {
		x.tcp.phones.input(x.tcp.conns[x.conn].Phone, (*nodes.Phone).Connected)
	}
}

// send handles a message that the program sends.
func (x *translation) send(p []byte) {
	p = slices.Clone(p)
	x.atPhone(func(now dialect.Now, out *dialect.Outbox) { x.phone.Own(now, p, out) })
	x.exchange()
}

// receive handles bytes of the server that have arrived.
func (x *translation) receive(p []byte) {
	cn := &x.tcp.conns[x.conn]
	cn.partial = append(cn.partial, p...)
	for c := x.conn; x.conn == c; {
		p := x.tcp.conns[c].takeReply()
		if p == nil {
			return
		}
		x.atServer(func(now dialect.Now, out *dialect.Outbox) { x.server.Own(now, p, out) })
		x.exchange()
	}
}

// exchange gives each translator the bytes of the other one.
func (x *translation) exchange() {
	for {
		switch {
		case x.online && len(x.up) > 0:
			p := x.up[0]
			x.up = x.up[1:]
			x.atServer(func(now dialect.Now, out *dialect.Outbox) { x.server.Peer(now, p, out) })
		case len(x.down) > 0:
			p := x.down[0]
			x.down = x.down[1:]
			x.atPhone(func(now dialect.Now, out *dialect.Outbox) { x.phone.Peer(now, p, out) })
		default:
			x.arm()
			if x.leaving && !x.server.Owes() {
				x.leave()
			}
			return
		}
	}
}

// now returns the time of a node's translator.
func (x *translation) now(node event.Node) dialect.Now {
	t := x.tcp
	wall := time.Unix(0, t.phones.clocks.read(node).Wall).In(t.dialect.Zone)
	return dialect.Now{Elapsed: time.Duration(t.scheduler.now - x.began), Wall: wall}
}

// atPhone calls the translator of the phone, and carries out its effects. A message for the program is an event of its
// own, because the program may be amid its own effects.
func (x *translation) atPhone(call func(dialect.Now, *dialect.Outbox)) {
	var out dialect.Outbox
	call(x.now(x.tcp.conns[x.conn].Phone), &out)
	for _, e := range out.Effects {
		switch e.Kind {
		case dialect.ToPeer:
			x.up = append(x.up, e.Bytes)
		case dialect.ToOwn:
			x.unread = append(x.unread, e.Bytes)
			x.tcp.scheduler.call(x.tcp.scheduler.now, x.deliver)
		case dialect.EndOwn:
			x.end()
		case dialect.Redial:
			x.redial()
		case dialect.Misunderstood:
			x.misunderstood("the phone does not understand the server: " + e.Text)
		}
	}
}

// atServer calls the translator of the server, and carries out its effects.
func (x *translation) atServer(call func(dialect.Now, *dialect.Outbox)) {
	var out dialect.Outbox
	call(x.now(event.Server), &out)
	for _, e := range out.Effects {
		switch e.Kind {
		case dialect.ToPeer:
			x.down = append(x.down, e.Bytes)
		case dialect.ToOwn:
			x.tcp.send(x.conn, false, e.Bytes, false, false)
		case dialect.EndPeer:
			x.end()
		case dialect.Misunderstood:
			x.misunderstood("the server does not understand the phone: " + e.Text)
		}
	}
}

func (x *translation) misunderstood(text string) {
	t := x.tcp
	t.emit.Text(event.ProgramStatus, t.conns[x.conn].Phone, text)
	if t.misunderstood != nil {
		t.misunderstood(t.conns[x.conn].Phone, text)
	}
}

// redial replaces the connection by another one.
func (x *translation) redial() {
	t, old := x.tcp, x.conn
	phone := t.conns[old].Phone
	delete(t.translations, old)
	t.closePhoneSide(old)
	x.conn = t.open(phone, false)
	t.phones.phones[phone].conn = x.conn
	t.translations[x.conn] = x
	x.server = dialect.NewServerSide(t.dialect, &t.issued)
	x.up, x.down, x.online, x.again = nil, nil, false, true
}

// isOver reports whether the program reads nothing more of the connection.
func (x *translation) isOver() bool {
	return x.leaving || x.tcp.translations[x.conn] != x || !x.tcp.conns[x.conn].phoneOpen
}

// deliver gives the program its messages, and then the end of the server's stream if there is nothing before it.
func (x *translation) deliver() {
	t := x.tcp
	for len(x.unread) > 0 {
		cn := &t.conns[x.conn]
		if x.isOver() {
			x.unread = nil
			break
		}
		if t.faults.begun && t.states.deferred(cn.Phone, x.deliver) {
			return
		}
		p := x.unread[0]
		x.unread = x.unread[1:]
		t.emit.PhoneBytes(event.PhoneRead, &cn.Connection, p)
		t.emit.PhoneBytes(event.Replied, &cn.Connection, p)
		t.phones.read(cn.Phone, p)
	}
	switch cn := &t.conns[x.conn]; {
	case !x.ended || t.translations[x.conn] != x:
	case cn.phoneOpen:
		t.readPhone(x.conn)
	case cn.closedByServer: // the program closed its side because of the last message
		x.ended = false
		t.emit.PhoneConn(event.HungUp, &cn.Connection)
	}
}

// end ends the server's stream for the program.
func (x *translation) end() {
	x.ended, x.tcp.conns[x.conn].down.eof = true, true
	x.tcp.scheduler.call(x.tcp.scheduler.now, x.deliver)
}

// keepsEnd reports whether the end of the server's stream is kept from the program: it has not got all messages before
// it, or its next one opens another connection.
func (x *translation) keepsEnd() bool {
	if x.leaving {
		x.leave()
		return false
	}
	_, waits := x.phone.NextWake()
	if x.ended = waits || len(x.unread) > 0; x.ended || x.phone.Reconnects() {
		return true
	}
	delete(x.tcp.translations, x.conn)
	return false
}

// keepsOpen reports whether the connection that the program closes stays open until the server has got its messages.
func (x *translation) keepsOpen() bool {
	x.leaving = x.server.Owes()
	return x.leaving
}

// leave closes the connection that the program has closed before.
func (x *translation) leave() {
	x.leaving = false
	delete(x.tcp.translations, x.conn)
	x.tcp.closePhoneSide(x.conn)
}

// minWait is the shortest time between two wake-ups of a translation.
const minWait = time.Millisecond

// arm schedules the next wake-up.
func (x *translation) arm() {
	at := int64(never)
	for _, next := range []func() (time.Duration, bool){x.phone.NextWake, x.server.NextWake} {
		if elapsed, ok := next(); ok {
			at = min(at, max(x.began+int64(elapsed), x.tcp.scheduler.now+int64(minWait)))
		}
	}
	if at == x.wakeAt {
		return
	}
	if x.wakeAt = at; at < never {
		x.tcp.scheduler.call(at, func() { x.wake(at) })
	}
}

// wake handles the end of a pause or of a message.
func (x *translation) wake(at int64) {
	if x.wakeAt != at || x.tcp.translations[x.conn] != x {
		return
	}
	if x.wakeAt = never; x.tcp.conns[x.conn].phoneOpen {
		x.atPhone(x.phone.Wake)
		x.atServer(x.server.Wake)
		x.exchange()
	}
	x.deliver()
}
