package socket

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/benbjohnson/clock"

	"bluetrace/nodes"
	"bluetrace/nodes/files"
	"bluetrace/protocol"
)

// PhoneObserver receives all inputs and effects of a phone's machine, in order and with
// the time that the machine was given. Its methods are called with the lock held. Their
// arguments are valid during the call only. They may read the state through
// Phone.Machine, but may call no other method of the phone.
type PhoneObserver interface {
	// Effect is called before the effect is carried out. A message of the host itself is
	// an effect of the kind PhonePrint, too.
	Effect(now nodes.Now, e *nodes.PhoneEffect)
	// Connected, ConnectFailed, Read and Closed report events of the connection with the
	// server, before the machine receives them.
	Connected(now nodes.Now, local netip.AddrPort)
	ConnectFailed(now nodes.Now, reason string)
	Read(now nodes.Now, p []byte)
	Closed(now nodes.Now)
	// Datagram reports a datagram before the machine receives it. A longer datagram is
	// cut to MaxDatagram bytes.
	Datagram(now nodes.Now, from netip.AddrPort, p []byte)
	// Stepped is called after each call of the machine and its effects.
	Stepped(now nodes.Now, log *nodes.ContactLog)
}

// IgnorePhone is a PhoneObserver that does nothing. An observer embeds it to implement
// only some of the methods.
type IgnorePhone struct{}

// Effect does nothing.
func (IgnorePhone) Effect(nodes.Now, *nodes.PhoneEffect) {}

// Connected does nothing.
func (IgnorePhone) Connected(nodes.Now, netip.AddrPort) {}

// ConnectFailed does nothing.
func (IgnorePhone) ConnectFailed(nodes.Now, string) {}

// Read does nothing.
func (IgnorePhone) Read(nodes.Now, []byte) {}

// Closed does nothing.
func (IgnorePhone) Closed(nodes.Now) {}

// Datagram does nothing.
func (IgnorePhone) Datagram(nodes.Now, netip.AddrPort, []byte) {}

// Stepped does nothing.
func (IgnorePhone) Stepped(nodes.Now, *nodes.ContactLog) {}

// PhoneConfig is the configuration of a Phone.
type PhoneConfig struct {
	Settings *nodes.PhoneSettings
	Server   string       // host:port
	UDP      *net.UDPConn // a bound socket; the phone closes it
	Clock    clock.Clock
	Origin   time.Time     // the time at which Elapsed is 0
	Lock     sync.Locker   // held during each call of the machine; several hosts may share it
	Observer PhoneObserver // nil if the phone is not observed
	// Log keeps the contact log, or is nil to keep it in memory only. The caller
	// closes it after the phone.
	Log files.ContactFile
	// Dial connects to the server, and ends early when ctx does. If it is nil the
	// phone uses the function Dial.
	Dial func(ctx context.Context, address string) (net.Conn, error)
	// Beacons translates the beacons on the wire. nil stands for the form of PROTOCOL.md
	// section 3.
	Beacons BeaconTranslator
	// OnPanic is called before a panic in a goroutine of the phone ends the program. The
	// lock may be held at that time. OnPanic may be nil.
	OnPanic func()
}

// BeaconTranslator translates between the single form of PROTOCOL.md section 3 and
// another form of beacons. Its methods are called with the lock held.
type BeaconTranslator interface {
	// SendBeacon sends a beacon of the machine.
	SendBeacon(now nodes.Now, to protocol.Address, raw *[protocol.BeaconSize]byte) error
	// Receive returns the datagram that the machine receives for one of the wire, or nil
	// if it receives none.
	Receive(now nodes.Now, from protocol.Address, b []byte) []byte
}

// Phone hosts the machine of one phone: its UDP socket, its connection with the
// server and its contact log on disk.
type Phone struct {
	config  PhoneConfig
	machine nodes.Phone
	out     nodes.PhoneOutbox
	wake    alarm // rings at the machine's next deadline
	saver   files.Saver
	save    alarm                   // rings at the time of the next write of the log
	link    *phoneLink              // the connection of the last PhoneConnect; nil if there is none
	links   map[*phoneLink]struct{} // link, and earlier connections that are still being closed
	ended   bool                    // Close or Kill has begun
	ending  chan struct{}           // closed when ended is set
	running sync.WaitGroup          // counts the receiver and the saver
}

// NewPhone restores the contact log and begins to receive beacons. The caller must not
// hold the lock. After an error the caller still owns the socket and the log.
func NewPhone(c PhoneConfig) (*Phone, error) {
	if err := c.Settings.Validate(); err != nil {
		return nil, fmt.Errorf("starting a phone: %w", err)
	}
	if c.Dial == nil {
		c.Dial = Dial
	}
	if c.Observer == nil {
		c.Observer = IgnorePhone{}
	}
	p := &Phone{config: c, links: map[*phoneLink]struct{}{}, ending: make(chan struct{})}
	p.machine.Init(c.Settings)
	p.wake = alarm{clock: c.Clock, lock: c.Lock, ring: p.ring}
	p.saver.File = c.Log
	p.save = alarm{clock: c.Clock, lock: c.Lock, ring: func() { p.saveWhenDue(p.now()) }}
	requestBuffer(c.UDP)
	c.Lock.Lock()
	defer c.Lock.Unlock()
	if c.Log != nil {
		now := p.now()
		p.machine.Restore(now, c.Log.Stored())
		p.logChanged(now) // entries past their retention leave the disk, too
		p.arm(now)
	}
	p.running.Go(p.receive)
	return p, nil
}

func (p *Phone) now() nodes.Now { return now(p.config.Clock, p.config.Origin) }

// Machine returns the machine, which the caller may only read. The lock is held.
func (p *Phone) Machine() *nodes.Phone { return &p.machine }

// Address returns the address of the phone's UDP socket.
func (p *Phone) Address() netip.AddrPort {
	return unmapped(p.config.UDP.LocalAddr().(*net.UDPAddr).AddrPort())
}

// Open starts the program's session, or restarts it. The lock is held.
func (p *Phone) Open() { p.input(p.machine.Open) }

// Type types one line, without its line end. The lock is held.
func (p *Phone) Type(line string) {
	p.input(func(now nodes.Now, out *nodes.PhoneOutbox) { p.machine.Typed(now, line, out) })
}

// InputEnded reports the end of the typed input to the machine. The lock is held.
func (p *Phone) InputEnded() { p.input(p.machine.InputEnded) }

// Beacon sends the phone's beacon, or prints that it has none. The lock is held.
func (p *Phone) Beacon(to protocol.Address) {
	p.input(func(now nodes.Now, out *nodes.PhoneOutbox) { p.machine.Beacon(now, to, out) })
}

// Wake makes the machine handle all deadlines that have passed. The timer of the clock
// may come later, so a caller that reads the log calls Wake first. An observer of this
// phone must not call it. The lock is held.
func (p *Phone) Wake() { p.input(p.machine.Wake) }

// SendDatagram sends bytes from the phone's own socket, without its machine. The
// lock is held.
func (p *Phone) SendDatagram(to netip.AddrPort, b []byte) error {
	if _, err := p.config.UDP.WriteToUDPAddrPort(b, unmapped(to)); err != nil {
		return fmt.Errorf("sending %d bytes to %v: %w", len(b), to, err)
	}
	return nil
}

// TakeSession moves the session of another program of the same phone to this one,
// with its connection (nodes.Phone.TakeSession). Both have one lock, which is held.
func (p *Phone) TakeSession(from *Phone) {
	if p.ended || from.ended {
		return
	}
	p.hangUp()
	if l := from.link; l != nil {
		delete(from.links, l)
		l.phone, p.link, from.link = p, l, nil
		p.links[l] = struct{}{}
	}
	p.input(func(nodes.Now, *nodes.PhoneOutbox) { p.machine.TakeSession(&from.machine) })
}

// Close hangs up, saves the contact log and closes the UDP socket. It returns after every
// goroutine of the phone has ended, which takes at most 300 ms of real time plus the time
// of the disk. The error is about saving the log. The lock must not be held.
func (p *Phone) Close() error {
	if !p.end(true) || p.config.Log == nil {
		return nil
	}
	p.config.Lock.Lock()
	p.saver.Begin(p.now().Elapsed, p.machine.Log())
	p.config.Lock.Unlock()
	if err := p.saver.Write(); err != nil {
		return fmt.Errorf("saving the contact log: %w", err)
	}
	return nil
}

// Kill ends the phone as a SIGKILL would: it saves and sends nothing. After it returns,
// the phone writes nothing more to the disk. The lock must not be held.
func (p *Phone) Kill() { p.end(false) }

// end stops all goroutines of the phone and waits for them. If orderly is true, it hangs
// up, otherwise it breaks the connections. It returns false if the phone had ended before.
func (p *Phone) end(orderly bool) bool {
	p.config.Lock.Lock()
	first := !p.ended
	if first && orderly {
		p.input(p.machine.Wake) // entries that are due leave the log
	}
	if first {
		close(p.ending)
	}
	p.ended = true
	p.wake.stop()
	p.save.stop()
	var links []*phoneLink
	for l := range p.links {
		links = append(links, l)
		if orderly {
			l.hangUp(closeLimit)
		} else {
			l.abort()
		}
	}
	p.link = nil
	p.config.Lock.Unlock()
	closeQuietly(p.config.UDP)
	for _, l := range links {
		<-l.ended
	}
	p.running.Wait()
	return first
}

// input passes one input to the machine by the function call, and carries out the
// effects. It does nothing after the end of the phone. The lock is held.
func (p *Phone) input(call func(now nodes.Now, out *nodes.PhoneOutbox)) {
	if p.ended {
		return
	}
	now := p.now()
	call(now, &p.out)
	p.carryOut(now)
	p.arm(now)
}

func (p *Phone) ring() {
	defer p.recoverPanic()
	p.input(p.machine.Wake)
}

// arm sets the alarm for the machine's next deadline.
func (p *Phone) arm(now nodes.Now) {
	if at, ok := p.machine.NextWake(); ok {
		p.wake.set(now.Elapsed, at)
	}
}

// recoverPanic is deferred in each goroutine of the phone.
func (p *Phone) recoverPanic() {
	if p.config.OnPanic == nil {
		return
	}
	if r := recover(); r != nil {
		p.config.OnPanic()
		panic(r)
	}
}

// carryOut carries out the effects of the machine's last call.
func (p *Phone) carryOut(now nodes.Now) {
	for i := range p.out.Effects {
		p.carryOutOne(now, &p.out.Effects[i])
	}
	p.out.Effects = p.out.Effects[:0]
	p.config.Observer.Stepped(now, p.machine.Log())
}

func (p *Phone) carryOutOne(now nodes.Now, e *nodes.PhoneEffect) {
	p.config.Observer.Effect(now, e)
	switch e.Kind {
	case nodes.PhoneJudged:
		if p.config.Log != nil && e.Err == nil {
			p.saver.Add(e.Contact())
			p.saveWhenDue(now)
		}
	case nodes.PhoneExpired:
		p.logChanged(now)
	case nodes.PhoneSendBeacon:
		if err := p.sendBeacon(now, e); err != nil {
			p.print(now, "can't send the beacon: "+Reason(err))
		}
	case nodes.PhoneConnect:
		p.connect()
	case nodes.PhoneSendTCP:
		if p.link != nil {
			p.link.send(e.Bytes)
		}
	case nodes.PhoneCloseTCP:
		p.hangUp()
	}
}

// print prints a message of the host itself on the phone's terminal.
func (p *Phone) print(now nodes.Now, line string) {
	p.config.Observer.Effect(now, &nodes.PhoneEffect{Kind: nodes.PhonePrint, Text: line})
}

// sendBeacon sends one datagram, or four in order from the one socket (PROTOCOL.md
// section 3), or those of the translator.
func (p *Phone) sendBeacon(now nodes.Now, e *nodes.PhoneEffect) error {
	if t := p.config.Beacons; t != nil {
		return t.SendBeacon(now, e.To, &e.Raw)
	}
	to := e.To.AddrPort()
	if e.Form == protocol.Single {
		return p.SendDatagram(to, e.Raw[:])
	}
	for i := range protocol.Parts {
		if err := p.SendDatagram(to, protocol.Part(&e.Raw, i)); err != nil {
			return err
		}
	}
	return nil
}

// logChanged starts or schedules a write of the log. It does nothing without a file.
func (p *Phone) logChanged(now nodes.Now) {
	if p.config.Log != nil {
		p.saver.SetChanged()
		p.saveWhenDue(now)
	}
}

// saveWhenDue sets the alarm for the next write of the log or, if it is due, starts it in a
// goroutine of its own. The write has the log in the state after the machine's last call,
// some effects of which may not have been carried out yet.
func (p *Phone) saveWhenDue(now nodes.Now) {
	at, changed := p.saver.Due(now.Elapsed)
	if !changed || p.ended {
		return
	}
	if at > now.Elapsed {
		p.save.set(now.Elapsed, at)
		return
	}
	p.saver.Begin(now.Elapsed, p.machine.Log())
	p.running.Go(func() {
		defer p.recoverPanic()
		err := p.saver.Write()
		p.config.Lock.Lock()
		defer p.config.Lock.Unlock()
		message := p.saver.End(err)
		if p.ended {
			return
		}
		now := p.now()
		if message != "" {
			p.print(now, message)
		}
		p.saveWhenDue(now)
	})
}
