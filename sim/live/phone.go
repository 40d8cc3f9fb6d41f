package live

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"bluetrace/nodes"
	"bluetrace/nodes/socket"
	"bluetrace/protocol"
	"bluetrace/sim/event"
	"bluetrace/sim/world"
)

// phone is one phone with its host. It observes the host.
type phone struct {
	world   *World
	who     uint32
	config  PhoneConfig
	udp     *net.UDPConn
	address protocol.Address
	host    *socket.Phone // nil before the run begins
	link    *link         // of its program; nil: none
	left    *link         // the one that its program left last
	script  *rawConn      // what a script does on a connection of its own
	watched bool

	handing handing
	firsts  map[protocol.Address]first
	counts  world.PhoneCounts
	said    string // what its program printed last
	text    []byte
}

var _ socket.PhoneObserver = (*phone)(nil)

// start is called with the world's lock held, which the host needs for itself.
func (p *phone) start() error {
	w := p.world
	c := socket.PhoneConfig{
		Settings: p.config.Settings, Server: w.server, UDP: p.udp,
		Clock: w.config.Clock, Origin: w.origin, Lock: &w.mu, Observer: p, Dial: p.dial,
	}
	if p.config.Log != nil {
		c.Log = p.config.Log
	}
	w.mu.Unlock()
	host, err := socket.NewPhone(c)
	w.mu.Lock()
	if err != nil {
		return fmt.Errorf("starting %s: %w", p.config.Name, err)
	}
	p.host = host
	return nil
}

// close is called without the lock.
func (p *phone) close() error {
	if p.host == nil {
		_ = p.udp.Close() // nothing was sent on it
	} else if err := p.host.Close(); err != nil {
		return fmt.Errorf("closing %s: %w", p.config.Name, err)
	}
	if p.config.Log == nil {
		return nil
	}
	return p.config.Log.Close()
}

func (p *phone) dial(ctx context.Context, address string) (net.Conn, error) {
	p.world.mu.Lock()
	l := p.link
	p.world.mu.Unlock()
	if l == nil {
		return nil, context.Canceled // it has hung up already
	}
	return p.world.dial(ctx, l, address)
}

// Effect is one effect of the phone's machine.
func (p *phone) Effect(now nodes.Now, e *nodes.PhoneEffect) {
	w := p.world
	if w.closing {
		return
	}
	at := w.at(now)
	switch e.Kind {
	case nodes.PhoneJudged:
		p.judged(at, e)
	case nodes.PhoneSendBeacon:
		p.sendsBeacon(at, e)
		p.show(e)
	case nodes.PhoneExpired:
		o := w.event(event.EntriesExpired, p.who, event.NoPeer)
		o.Count, o.Left = e.Expired, p.host.Machine().Log().Len()
		w.stream.Emit(o)
	case nodes.PhoneConnect:
		p.hangsUp()
		p.link = w.newLink(p.who, false)
	case nodes.PhoneSendTCP:
		if l := p.link; l != nil {
			l.up.sends = append(l.up.sends, send{w.nextTurn(), len(e.Bytes)})
			w.emitBytes(event.PhoneSent, l, e.Bytes)
		}
	case nodes.PhoneCloseTCP:
		p.hangsUp()
	case nodes.PhonePrint:
		p.said = e.Text
		w.emitText(event.PhonePrinted, p.who, event.NoPeer, e.Text)
		p.show(e)
	case nodes.PhoneDone:
		w.decidedElsewhere(p, e)
		o := w.event(event.OperationDone, p.who, event.NoPeer)
		o.Phone = e
		w.stream.Emit(o)
	}
}

func (p *phone) hangsUp() {
	if l := p.link; l != nil {
		p.link, p.left = nil, l
		p.world.phoneEnds(l)
	}
}

// show renders what stands on the screen of a phone that is watched.
func (p *phone) show(e *nodes.PhoneEffect) {
	if p.watched {
		p.text = e.AppendText(p.text[:0], p.world.config.Zone)
		p.world.emitText(event.ScreenShown, p.who, event.NoPeer, string(p.text))
	}
}

// Connected says that the program's connection stands.
func (p *phone) Connected(now nodes.Now, _ netip.AddrPort) {
	w := p.world
	if w.closing || p.link == nil {
		return
	}
	w.at(now)
	p.link.stands = true
	w.emitLink(event.Connected, p.link)
	w.stoodElsewhere(p.link)
}

// ConnectFailed says that there is none.
func (p *phone) ConnectFailed(now nodes.Now, reason string) {
	w := p.world
	if w.closing || p.link == nil {
		return
	}
	w.at(now)
	w.stream.Emit(w.event(event.ConnectRefused, p.who, event.NoPeer))
	p.link.phoneOpen = false
	w.forget(p.link)
	p.link = nil
	w.absent(reason)
}

// Read is what the program reads from the server.
func (p *phone) Read(now nodes.Now, b []byte) {
	if p.world.closing || p.link == nil {
		return
	}
	p.world.at(now)
	p.world.readByPhone(p.link, b)
}

// Closed is the end of the server's side.
func (p *phone) Closed(now nodes.Now) {
	if p.world.closing || p.link == nil {
		return
	}
	l := p.link
	p.link = nil
	p.world.at(now)
	p.world.closedByServer(l)
}

// Stepped is the end of each call of the machine.
func (p *phone) Stepped(now nodes.Now, log *nodes.ContactLog) {
	w := p.world
	if w.closing {
		return
	}
	at := w.at(now)
	p.handing.is = false
	if received, ok := log.Oldest(); ok {
		p.counts.AgeMax = max(p.counts.AgeMax, at-int64(received))
	}
	o := w.event(event.PhoneStepped, p.who, event.NoPeer)
	o.Log = log
	w.stream.Emit(o)
	w.happened.Broadcast()
}

// Watch has the story told what stands on the phone's screen.
func (w *World) Watch(who uint32) { w.phones[who].watched = true }

// Open starts the session of the phone's program.
func (w *World) Open(who uint32) {
	w.stream.Emit(w.event(event.ProgramOpened, who, event.NoPeer))
	w.phones[who].host.Open()
}

// Type types a line at the prompt of the phone's program.
func (w *World) Type(who uint32, line string) {
	w.emitText(event.LineTyped, who, event.NoPeer, line)
	w.phones[who].host.Type(line)
}

// TakeOver lets a phone's program go on with the session of another program of
// the same phone.
func (w *World) TakeOver(who, second uint32) {
	w.stream.Emit(w.event(event.SessionMoved, who, second))
	a, b := w.phones[who], w.phones[second]
	a.hangsUp()
	a.link, b.link = b.link, nil
	if a.link != nil {
		a.link.phone = who
	}
	a.host.TakeSession(b.host)
}

// Stage says what the phone's program waits for.
func (w *World) Stage(who uint32) nodes.Stage { return w.phones[who].host.Machine().Stage() }

// TempID is what the phone's program would send.
func (w *World) TempID(who uint32) (protocol.Beacon, bool) {
	return w.phones[who].host.Machine().TempID()
}

// Log is the phone's contact log, with what is due at this moment gone.
func (w *World) Log(who uint32) *nodes.ContactLog {
	p := w.phones[who]
	if p.host == nil {
		return &nodes.ContactLog{}
	}
	if at, ok := p.host.Machine().NextWake(); ok && at <= w.now {
		p.host.Wake()
	}
	return p.host.Machine().Log()
}

// Phone answers with the counts of one phone.
func (w *World) Phone(who uint32) world.PhoneCounts { return w.phones[who].counts }

// SendBeacons has the phone's program send its beacon to other phones.
func (w *World) SendBeacons(who uint32, to []uint32) {
	for _, t := range to {
		w.phones[who].host.Beacon(w.phones[t].address)
	}
}
