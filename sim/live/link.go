package live

import (
	"context"
	"net"
	"time"

	"bluetrace/nodes"
	"bluetrace/sim/event"
)

// link is one TCP connection between a phone and the server, as the observers at
// its two ends have seen it. With a server elsewhere only the phone's end is
// known.
type link struct {
	serial  uint64 // counts the connections of the run, from 1
	turn    uint64 // of the opening
	phone   uint32
	raw     bool
	dialing bool // Dial has not returned
	dialled bool // with a connection
	stands  bool // the phone, or the script, knows that it does

	phoneOpen bool
	reset     bool // it has broken the connection

	conn       nodes.Conn
	accepted   bool
	serverOpen bool
	ended      bool // the server has read the end of the phone's stream
	byServer   bool // the server closed before it had read that
	killed     bool // with the server
	dismissed  bool // by a server elsewhere, with its last answer

	up, down flow
	sends    []int  // lengths of what the server sent and the phone has not read
	got      []byte // of the first of them
}

// flow is what is under way in one direction.
type flow struct {
	sends   []send // not read whole, the oldest first
	endTurn uint64 // of the end of the stream; 0: it goes on
}

// send is one send: what is unread of it, and its turn.
type send struct {
	turn   uint64
	unread int
}

// took counts bytes that were read.
func (f *flow) took(n int) {
	for n > 0 && len(f.sends) > 0 {
		if s := &f.sends[0]; s.unread > n {
			s.unread -= n
			return
		}
		n -= f.sends[0].unread
		f.sends = f.sends[1:]
	}
}

func (f *flow) unread() int {
	n := 0
	for _, s := range f.sends {
		n += s.unread
	}
	return n
}

// dialLimit bounds the opening of a connection, in real time.
const dialLimit = 10 * time.Second

func (w *World) newLink(phone uint32, raw bool) *link {
	w.opened++
	l := &link{serial: w.opened, turn: w.nextTurn(), phone: phone, raw: raw, dialing: true, phoneOpen: true}
	w.links[l] = struct{}{}
	w.emitLink(event.Connecting, l)
	return l
}

// dial opens the connection; the server's listener then knows whose it is.
func (w *World) dial(ctx context.Context, l *link, address string) (net.Conn, error) {
	w.mu.Lock()
	w.awaitTurn(func() (uint64, string) { return w.opening(l) })
	w.mu.Unlock()
	d := net.Dialer{Timeout: dialLimit}
	c, err := d.DialContext(ctx, "tcp", address)
	w.mu.Lock()
	defer w.mu.Unlock()
	l.dialing = false
	if err == nil {
		l.dialled = true
		w.byTCP[addressOf(c.LocalAddr())] = l
	}
	w.forget(l)
	w.happened.Broadcast()
	if err != nil {
		return nil, err
	}
	if tcp, ok := c.(*net.TCPConn); ok && w.config.Remote != "" {
		return &watchedConn{tcp, w, l}, nil
	}
	return w.inTurn(c, func() (*flow, uint64, string) {
		turn, what := w.downward(l)
		return &l.down, turn, what
	}, true), nil
}

// forget drops a link that is over on both sides.
func (w *World) forget(l *link) {
	remote := w.config.Remote != ""
	if l.dialing || l.phoneOpen || l.serverOpen {
		return
	}
	if l.dialled && !l.accepted && !l.killed && !remote {
		return // the server has not heard of it yet
	}
	delete(w.links, l)
}

// phoneEnds is the end of the phone's side, by itself.
func (w *World) phoneEnds(l *link) {
	if !l.phoneOpen {
		return
	}
	w.cutShort(l)
	l.phoneOpen = false
	l.up.endTurn = w.nextTurn()
	w.phoneEnded(l, "is closed by the phone")
	if l.byServer && !l.raw {
		w.emitLink(event.HungUp, l) // what it read made it hang up as well
	}
	w.closedElsewhere(l)
	w.forget(l)
}

// serverEnds is the end of the server's side, by itself.
func (w *World) serverEnds(l *link) {
	if !l.serverOpen {
		return
	}
	l.serverOpen, l.byServer = false, !l.ended
	l.down.endTurn = w.nextTurn()
	w.serverEnded(l, "is closed by the server", true)
	switch {
	case !l.phoneOpen && l.byServer && !l.raw:
		w.emitLink(event.HungUp, l)
	case l.reset:
		w.closedByServer(l) // no socket is left that could hear of it
	}
	w.forget(l)
}

// readByPhone tells the story of every send of the server that the phone has now
// read whole, however the network cut or joined it.
func (w *World) readByPhone(l *link, p []byte) {
	w.emitBytes(event.PhoneRead, l, p)
	l.down.took(len(p))
	if l.raw && !w.scripted(l) {
		return
	}
	l.got = append(l.got, p...)
	if w.config.Remote != "" {
		w.repliesOf(l)
		return
	}
	for len(l.sends) > 0 && len(l.got) >= l.sends[0] {
		reply := l.got[:l.sends[0]]
		l.got, l.sends = l.got[l.sends[0]:], l.sends[1:]
		w.emitBytes(event.Replied, l, reply)
	}
}

// closedByServer is the end of the server's stream, as the phone reads it.
func (w *World) closedByServer(l *link) {
	if !l.phoneOpen {
		return
	}
	w.cutShort(l)
	w.phoneEnded(l, "is closed by the server")
	l.phoneOpen = false
	if !l.raw || w.scripted(l) {
		w.emitLink(event.HungUp, l)
	}
	w.closedElsewhere(l)
	w.forget(l)
}
