package live

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"time"

	"bluetrace/nodes"
	"bluetrace/sim/event"
)

// tcp holds the connections between phones and the server, with the bytes in flight on each. The hosts report every
// write and read at both ends to it. With a remote server, only those at the phones are reported.
type tcp struct {
	schedule *scheduler
	turns    *turns
	emit     *event.Emitter
	server   *serverHost   // nil if the server is remote
	remote   *remoteServer // nil if the server runs in this process
	configs  []PhoneConfig
	address  string // of the server, host:port

	open   map[*connection]struct{}       // until both sides are closed
	dialed map[netip.AddrPort]*connection // by the phone's address, until the server has accepted them
	bySlot []*connection                  // by the server's number
	opened uint64                         // connections opened so far
}

// connection is one TCP connection between a phone and the server.
type connection struct {
	event.Connection
	turn uint64 // of the opening

	dialing     bool // Dial has not returned
	dialed      bool // Dial has returned a connection
	established bool // the phone's machine or the script has handled the end of the opening

	phoneOpen bool
	reset     bool // the phone has reset the connection

	slot         nodes.Conn // the server's number of the connection
	accepted     bool
	serverOpen   bool
	phoneEndRead bool // the server has read the end of the phone's stream
	serverFirst  bool // the server closed its side before it had read that end
	killed       bool // the server was killed

	// dismissed is set by the remoteServer: the server's last answer closes the connection.
	dismissed bool

	up, down flow
	replies  []int  // lengths of the server's writes that the phone has not read completely
	received []byte // bytes of the first of them
}

// flow is the data on its way in one direction.
type flow struct {
	writes  []write // not read completely, the oldest first
	endTurn uint64  // of the end of the stream; 0 before the end
}

// write is one write of an end of a connection.
type write struct {
	turn   uint64
	unread int // bytes that the peer has not read
}

func (f *flow) write(turn uint64, size int) { f.writes = append(f.writes, write{turn, size}) }

// read removes n bytes, which the peer has read.
func (f *flow) read(n int) {
	for n > 0 && len(f.writes) > 0 {
		if w := &f.writes[0]; w.unread > n {
			w.unread -= n
			return
		}
		n -= f.writes[0].unread
		f.writes = f.writes[1:]
	}
}

// unread returns the number of bytes that the peer has not read.
func (f *flow) unread() int {
	n := 0
	for _, w := range f.writes {
		n += w.unread
	}
	return n
}

// dialTimeout limits the opening of a connection, in real time.
const dialTimeout = 10 * time.Second

// connect begins the opening of a connection. dial must follow.
func (t *tcp) connect(phone uint32, scripted bool) *connection {
	t.opened++
	c := &connection{
		Connection: event.Connection{Number: t.opened, Phone: phone, Scripted: scripted},
		turn:       t.turns.next(), dialing: true, phoneOpen: true,
	}
	t.open[c] = struct{}{}
	t.emit.PhoneConn(event.Connecting, &c.Connection)
	return c
}

// dial opens the connection. From its return on, the listener can identify the connection. The caller does not hold
// the lock.
func (t *tcp) dial(ctx context.Context, c *connection) (net.Conn, error) {
	s := t.schedule
	s.mu.Lock()
	t.turns.wait(func() (uint64, string) { return t.opening(c) })
	s.mu.Unlock()
	conn, err := t.dialer(c.Phone).DialContext(ctx, "tcp", t.address)
	s.mu.Lock()
	defer s.mu.Unlock()
	c.dialing = false
	if err == nil {
		c.dialed = true
		t.dialed[addressOf(conn.LocalAddr())] = c
	}
	t.forget(c)
	s.notify()
	if err != nil {
		return nil, err
	}
	if t.remote != nil {
		return &watchedConn{t.remote.translated(ctx, c, conn).(endable), t.remote, c}, nil
	}
	return t.turns.ordered(conn, direction{&c.down, func() (uint64, string) { return t.toPhone(c) }, true}), nil
}

// dialer returns the dialer of a phone, which connects from the phone's address.
func (t *tcp) dialer(phone uint32) *net.Dialer {
	d := &net.Dialer{Timeout: dialTimeout}
	if from := t.configs[phone].Address; from != nil {
		d.LocalAddr = &net.TCPAddr{IP: from}
	}
	return d
}

// established records that the phone's machine or the script handles the established connection.
func (t *tcp) established(c *connection) {
	c.established = true
	t.emit.PhoneConn(event.Connected, &c.Connection)
	if t.remote != nil {
		t.remote.reached = true
		t.emit.ServerConn(event.RemoteOpened, &c.Connection)
	}
}

// refused records that the connection could not be opened.
func (t *tcp) refused(c *connection) {
	t.emit.PhoneConn(event.ConnectRefused, &c.Connection)
	c.phoneOpen = false
	t.forget(c)
}

// forget removes a connection whose two sides are closed.
func (t *tcp) forget(c *connection) {
	if c.dialing || c.phoneOpen || c.serverOpen {
		return
	}
	if c.dialed && !c.accepted && !c.killed && t.remote == nil {
		return // the server has not accepted it yet
	}
	delete(t.open, c)
}

// phoneSends records a write of the phone's program or of a script.
func (t *tcp) phoneSends(c *connection, p []byte) {
	c.up.write(t.turns.next(), len(p))
	t.emit.PhoneBytes(event.PhoneSent, &c.Connection, p)
}

// phoneReads records a read of the phone. It emits event.Replied for each write of the server that the phone has now
// read completely, in however many reads.
func (t *tcp) phoneReads(c *connection, p []byte) {
	t.emit.PhoneBytes(event.PhoneRead, &c.Connection, p)
	c.down.read(len(p))
	c.received = append(c.received, p...)
	for size := t.nextReply(c); size > 0; size = t.nextReply(c) {
		t.replied(c, size)
	}
}

// nextReply returns the length of the first reply that has arrived completely, or 0.
func (t *tcp) nextReply(c *connection) int {
	switch {
	case t.remote != nil:
		return replyLength(c.received, c.Scripted)
	case len(c.replies) > 0 && len(c.received) >= c.replies[0]:
		return c.replies[0]
	}
	return 0
}

// replied emits the first size bytes received as a reply.
func (t *tcp) replied(c *connection, size int) {
	reply := c.received[:size]
	c.received = c.received[size:]
	if t.remote == nil {
		c.replies = c.replies[1:]
	} else if c.Scripted {
		t.remote.inferFromReply(c, reply)
	}
	t.emit.PhoneBytes(event.Replied, &c.Connection, reply)
}

// flushReply emits an incomplete reply of a remote server, whose rest will not arrive.
func (t *tcp) flushReply(c *connection) {
	if t.remote != nil && len(c.received) > 0 {
		t.replied(c, len(c.received))
	}
}

// scriptEnds records that a script ends its side of the connection, with a reset or a half-close.
func (t *tcp) scriptEnds(c *connection, reset bool) {
	c.up.endTurn, c.reset = t.turns.next(), reset
	t.emit.PhoneEnded(&c.Connection, "is ended by the script")
}

// phoneCloses records that the phone's program closes its side of the connection.
func (t *tcp) phoneCloses(c *connection) {
	if c.phoneOpen {
		c.up.endTurn = t.turns.next()
		t.endPhone(c, "is closed by the phone", c.serverFirst) // the program may close because the server did
	}
}

// phoneReadsEnd records that the phone or a script has read the end of the server's stream.
func (t *tcp) phoneReadsEnd(c *connection) {
	if c.phoneOpen {
		t.endPhone(c, "is closed by the server", true)
	}
}

// endPhone ends the phone's side of the connection. text is the reason. hungUp reports that the server's side has ended
// for the phone.
func (t *tcp) endPhone(c *connection, text string, hungUp bool) {
	t.flushReply(c)
	c.phoneOpen = false
	t.emit.PhoneEnded(&c.Connection, text)
	if hungUp {
		t.emit.PhoneConn(event.HungUp, &c.Connection)
	}
	if t.remote != nil && c.established {
		t.emit.ServerConn(event.RemoteClosed, &c.Connection)
	}
	t.forget(c)
}

// moveTo moves a connection to another program of the same phone.
func (t *tcp) moveTo(c *connection, phone uint32) { c.Phone = phone }

// isDialed reports whether a connection from the phone's address is known and not yet accepted.
func (t *tcp) isDialed(from netip.AddrPort) bool { return t.dialed[from] != nil }

// serverSide returns the server's end of a connection with its reads ordered. A connection from an unknown address is
// returned unchanged.
func (t *tcp) serverSide(conn net.Conn) net.Conn {
	c := t.dialed[addressOf(conn.RemoteAddr())]
	if c == nil {
		return conn
	}
	return t.turns.ordered(conn, direction{&c.up, func() (uint64, string) { return t.toServer(c) }, false})
}

// accepted records that the server has accepted the connection from an address.
func (t *tcp) accepted(slot nodes.Conn, from netip.AddrPort) {
	for int(slot) >= len(t.bySlot) {
		t.bySlot = append(t.bySlot, nil)
	}
	c := t.dialed[from]
	if c == nil {
		c = &connection{Connection: event.Connection{Phone: event.NoPeer}}
	}
	delete(t.dialed, from)
	c.slot, c.accepted, c.serverOpen = slot, true, true
	t.bySlot[slot] = c
	t.emit.Accepted(&c.Connection, slot)
	if c.Phone != event.NoPeer && !c.Scripted {
		t.emit.ProgramConnects(&c.Connection, slot)
	}
}

// at returns the connection with the server's number slot.
func (t *tcp) at(slot nodes.Conn) *connection { return t.bySlot[slot] }

// serverSends records a write of the server.
func (t *tcp) serverSends(slot nodes.Conn, p []byte) {
	c := t.bySlot[slot]
	c.replies = append(c.replies, len(p))
	c.down.write(t.turns.next(), len(p))
	t.emit.ServerBytes(event.ServerSent, &c.Connection, c.slot, p)
}

// serverReads records a read of the server.
func (t *tcp) serverReads(slot nodes.Conn, p []byte) {
	c := t.bySlot[slot]
	c.up.read(len(p))
	t.emit.ServerBytes(event.ServerRead, &c.Connection, c.slot, p)
	t.emit.ServerHandled(&c.Connection, c.slot, len(p))
}

// serverReadsEnd records that the server has read the end of the phone's stream.
func (t *tcp) serverReadsEnd(slot nodes.Conn) {
	c := t.bySlot[slot]
	c.phoneEndRead = true
	t.emit.ServerEnded(&c.Connection, "ends: end of file", false)
}

// serverCloses records that the server closes its side of the connection.
func (t *tcp) serverCloses(slot nodes.Conn) {
	c := t.bySlot[slot]
	if !c.serverOpen {
		return
	}
	c.serverOpen, c.serverFirst = false, !c.phoneEndRead
	c.down.endTurn = t.turns.next()
	t.emit.ServerEnded(&c.Connection, "is closed by the server", true)
	switch {
	case !c.phoneOpen && c.serverFirst && !c.Scripted:
		t.emit.PhoneConn(event.HungUp, &c.Connection)
	case c.reset:
		t.phoneReadsEnd(c) // the phone's socket is closed and cannot read the end
	}
	t.forget(c)
}

// openAtServer returns the number of connections whose server side is open.
func (t *tcp) openAtServer() int {
	n := 0
	for c := range t.open {
		if c.serverOpen {
			n++
		}
	}
	return n
}

// serverKilled records that the server's process is gone, in the order of the connections' numbers.
func (t *tcp) serverKilled() {
	byNumber := func(a, b *connection) int { return cmp.Compare(a.Number, b.Number) }
	for _, c := range slices.SortedFunc(maps.Keys(t.open), byNumber) {
		if c.serverOpen {
			c.serverOpen, c.serverFirst = false, true
		}
		if c.dialed {
			c.killed = true
			c.down.endTurn = t.turns.next()
		}
		t.forget(c)
	}
}

// describe returns a description of unfinished work of a connection.
func (t *tcp) describe(c *connection, format string, args ...any) string {
	return fmt.Sprintf("c%d of %s: ", c.Number, t.configs[c.Phone].Name) + fmt.Sprintf(format, args...)
}

// opening returns the turn and the unfinished part of the connection's opening.
func (t *tcp) opening(c *connection) (turn uint64, text string) {
	switch {
	case c.dialing:
		return c.turn, t.describe(c, "the opening")
	case c.phoneOpen && !c.established:
		return c.turn, t.describe(c, "the phone's notice of the opening")
	case c.dialed && !c.accepted && !c.killed && t.remote == nil:
		return c.turn, t.describe(c, "the server's accept")
	}
	return 0, ""
}

// toServer returns the first turn of the data on its way to the server. Data that the server does not read for now is
// not unfinished work.
func (t *tcp) toServer(c *connection) (turn uint64, text string) {
	switch {
	case !c.serverOpen || !t.server.isReading(c.slot):
	case len(c.up.writes) > 0:
		return c.up.writes[0].turn, t.describe(c, "%d bytes to the server", c.up.unread())
	case c.up.endTurn > 0 && !c.phoneEndRead:
		return c.up.endTurn, t.describe(c, "the end of the phone's stream")
	}
	return 0, ""
}

// toPhone returns the first turn of the data on its way to the phone.
func (t *tcp) toPhone(c *connection) (turn uint64, text string) {
	switch {
	case !c.phoneOpen || c.reset:
	case len(c.down.writes) > 0:
		return c.down.writes[0].turn, t.describe(c, "%d bytes to the phone", c.down.unread())
	case c.down.endTurn > 0:
		return c.down.endTurn, t.describe(c, "the end of the server's stream")
	}
	return 0, ""
}

// unfinished yields the unfinished turns of all connections. Those to phones are left out while phones must not read.
func (t *tcp) unfinished(yield func(uint64, string) bool) {
	for c := range t.open {
		if turn, text := t.opening(c); text != "" && !yield(turn, text) {
			return
		}
		if turn, text := t.toServer(c); text != "" && !yield(turn, text) {
			return
		}
		if !t.schedule.phonesMayRead {
			continue
		}
		if turn, text := t.toPhone(c); text != "" && !yield(turn, text) {
			return
		}
	}
}
