package live

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"bluetrace/nodes"
	"bluetrace/nodes/socket"
	"bluetrace/protocol"
	"bluetrace/sim/event"
	"bluetrace/sim/world"
)

// phoneHost runs the machine of one phone on a host of package nodes/socket, which it observes. A phone that is a
// program of another implementation has no machine.
type phoneHost struct {
	number uint32
	config PhoneConfig
	zone   *protocol.Zone

	schedule *scheduler
	emit     *event.Emitter
	udp      *udp
	tcp      *tcp

	socket  *net.UDPConn
	address protocol.Address
	host    *socket.Phone // nil before the run begins
	beacons *beacons      // nil if they have the form of PROTOCOL.md
	program *programPhone // nil if the phone is one of this project

	current  *connection // of the program; nil if there is none
	previous *connection // the program's connection before; nil if there is none
	printed  string      // the last text that the program printed
	watched  bool
	text     []byte // reused by show

	received  received
	firstPart map[protocol.Address]firstPart
	counts    world.PhoneCounts
}

// received is the datagram that the machine handles now.
type received struct {
	sent    time.Duration
	known   bool // it was sent in this world
	isWhole bool // it is a whole beacon
}

// firstPart holds the times at which the first part of a split beacon was sent and received.
type firstPart struct{ sent, received time.Duration }

var _ socket.PhoneObserver = (*phoneHost)(nil)

// start starts the host. The host itself takes the lock, so start releases it meanwhile.
func (p *phoneHost) start() error {
	s := p.schedule
	c := socket.PhoneConfig{
		Settings: p.config.Settings, Server: p.tcp.address, UDP: p.socket,
		Clock: s.clock, Origin: s.origin, Lock: &s.mu, Observer: p, Dial: p.dial,
	}
	if p.config.Log != nil {
		c.Log = p.config.Log
	}
	if p.beacons != nil {
		c.Beacons = p.beacons
	}
	s.mu.Unlock()
	host, err := socket.NewPhone(c)
	s.mu.Lock()
	if err != nil {
		return fmt.Errorf("starting %s: %w", p.config.Name, err)
	}
	p.host = host
	return nil
}

// close stops the host and closes the log. The caller does not hold the lock.
func (p *phoneHost) close() error {
	if p.program != nil {
		return p.program.close()
	}
	if p.host == nil {
		_ = p.socket.Close() // nothing was sent on it
	} else if err := p.host.Close(); err != nil {
		return fmt.Errorf("closing %s: %w", p.config.Name, err)
	}
	if p.config.Log == nil {
		return nil
	}
	return p.config.Log.Close()
}

func (p *phoneHost) nextWake() (time.Duration, bool) {
	if p.host == nil {
		return 0, false
	}
	return p.host.Machine().NextWake()
}

// dial opens the connection of the program. The host calls it without the lock.
func (p *phoneHost) dial(ctx context.Context, _ string) (net.Conn, error) {
	p.schedule.mu.Lock()
	c := p.current
	p.schedule.mu.Unlock()
	if c == nil {
		return nil, context.Canceled // the program has closed it already
	}
	return p.tcp.dial(ctx, c)
}

// Effect handles one effect of the machine.
func (p *phoneHost) Effect(now nodes.Now, e *nodes.PhoneEffect) {
	if !p.schedule.observe(now) {
		return
	}
	switch e.Kind {
	case nodes.PhoneJudged:
		p.judged(e)
	case nodes.PhoneSendBeacon:
		p.sendBeacon(now.Elapsed, e)
	case nodes.PhoneExpired:
		p.emit.EntriesExpired(p.number, e.Expired, p.host.Machine().Log().Len())
	case nodes.PhoneConnect:
		p.disconnect()
		p.current = p.tcp.connect(p.number, false)
	case nodes.PhoneSendTCP:
		if p.current != nil {
			p.tcp.phoneSends(p.current, e.Bytes)
		}
	case nodes.PhoneCloseTCP:
		p.disconnect()
	case nodes.PhonePrint:
		p.printed = e.Text
		p.emit.Text(event.PhonePrinted, p.number, e.Text)
		p.show(e)
	case nodes.PhoneDone:
		if p.tcp.remote != nil {
			p.tcp.remote.operationDone(p, e)
		}
		p.emit.OperationDone(p.number, e)
	}
}

// disconnect closes the phone's side of the program's connection.
func (p *phoneHost) disconnect() {
	if c := p.current; c != nil {
		p.current, p.previous = nil, c
		p.tcp.phoneCloses(c)
	}
}

// show emits the text of an effect as it appears on the screen of a watched phone.
func (p *phoneHost) show(e *nodes.PhoneEffect) {
	if p.watched {
		p.text = e.AppendText(p.text[:0], p.zone)
		p.emit.Text(event.ScreenShown, p.number, string(p.text))
	}
}

// judged emits the verdict on a beacon.
func (p *phoneHost) judged(e *nodes.PhoneEffect) {
	if e.OutOfTurn || e.Err != nil {
		p.counts.Invalid++
	} else {
		p.counts.Valid++
	}
	sent, known := p.sentAt(e)
	p.emit.BeaconJudged(p.number, p.udp.phoneAt(&e.From), e, sent, known)
	p.show(e)
}

// sentAt returns the time at which the first datagram of the judged beacon was sent. For a part out of turn, it is
// the time of that part.
func (p *phoneHost) sentAt(e *nodes.PhoneEffect) (time.Duration, bool) {
	if r := &p.received; r.known && (e.OutOfTurn || r.isWhole && e.FirstPart == e.At.Elapsed) {
		return r.sent, true
	}
	f, ok := p.firstPart[e.From]
	if !ok || f.received != e.FirstPart {
		return 0, false
	}
	delete(p.firstPart, e.From)
	return f.sent, true
}

// sendBeacon records the datagrams of a beacon that the program sends.
func (p *phoneHost) sendBeacon(at time.Duration, e *nodes.PhoneEffect) {
	p.announce(&e.To, &e.Raw)
	switch {
	case p.beacons != nil: // the translator sends the datagrams
	case e.Form == protocol.Single:
		p.udp.send(at, p.number, &p.address, &e.To, e.Raw[:])
	default:
		for i := range protocol.Parts {
			p.udp.send(at, p.number, &p.address, &e.To, protocol.Part(&e.Raw, i))
		}
	}
	p.show(e)
}

// announce counts a beacon before its datagrams are sent.
func (p *phoneHost) announce(to *protocol.Address, raw *[protocol.BeaconSize]byte) {
	p.counts.Sent++
	p.emit.BeaconSent(p.number, p.udp.phoneAt(to), raw)
}

// sendDatagram sends a datagram of a script from the phone's own socket.
func (p *phoneHost) sendDatagram(to *protocol.Address, b []byte) error {
	p.udp.send(p.schedule.now, p.number, &p.address, to, b)
	if err := p.host.SendDatagram(to.AddrPort(), b); err != nil {
		return fmt.Errorf("sending a datagram of a script: %w", err)
	}
	return nil
}

// Datagram handles a received datagram before the machine does.
func (p *phoneHost) Datagram(now nodes.Now, from netip.AddrPort, b []byte) {
	if !p.schedule.observe(now) {
		return
	}
	sender := protocol.AddressOf(from)
	d, ok := p.udp.receive(path{sender, p.number}, b)
	p.received = received{d.sent, ok, p.beacons != nil || len(b) == protocol.BeaconSize}
	if ok && len(b) == protocol.TempIDSize {
		p.firstPart[sender] = firstPart{d.sent, now.Elapsed}
	}
}

// Connected handles the establishment of the program's connection.
func (p *phoneHost) Connected(now nodes.Now, _ netip.AddrPort) {
	if p.current != nil && p.schedule.observe(now) {
		p.tcp.established(p.current)
	}
}

// ConnectFailed handles the failure to open the program's connection.
func (p *phoneHost) ConnectFailed(now nodes.Now, reason string) {
	if p.current == nil || !p.schedule.observe(now) {
		return
	}
	p.tcp.refused(p.current)
	p.current = nil
	if p.tcp.remote != nil {
		p.tcp.remote.refused(reason)
	}
}

// Read handles bytes that the program reads from the server.
func (p *phoneHost) Read(now nodes.Now, b []byte) {
	if p.current != nil && p.schedule.observe(now) {
		p.tcp.phoneReads(p.current, b)
	}
}

// Closed handles the end of the server's stream.
func (p *phoneHost) Closed(now nodes.Now) {
	if c := p.current; c != nil && p.schedule.observe(now) {
		p.current = nil
		p.tcp.phoneReadsEnd(c)
	}
}

// Stepped handles the end of each input of the machine.
func (p *phoneHost) Stepped(now nodes.Now, log *nodes.ContactLog) {
	if !p.schedule.observe(now) {
		return
	}
	p.received.known = false
	if oldest, ok := log.Oldest(); ok {
		p.counts.AgeMax = max(p.counts.AgeMax, int64(now.Elapsed)-int64(oldest))
	}
	p.emit.Log(event.PhoneStepped, p.number, log)
	p.schedule.notify()
}

// takeOver continues the session of another program of the same phone.
func (p *phoneHost) takeOver(other *phoneHost) {
	p.disconnect()
	p.current, other.current = other.current, nil
	if p.current != nil {
		p.tcp.moveTo(p.current, p.number)
	}
	p.host.TakeSession(other.host)
}

// log returns the contact log without the entries that have expired by now.
func (p *phoneHost) log() *nodes.ContactLog {
	if p.host != nil {
		if at, ok := p.nextWake(); ok && at <= p.schedule.now {
			p.emit.Nested(p.host.Wake)
		}
	}
	return p.peekLog()
}

// peekLog returns the phone's contact log as the program holds it.
func (p *phoneHost) peekLog() *nodes.ContactLog {
	if p.host == nil {
		return &nodes.ContactLog{}
	}
	return p.host.Machine().Log()
}
