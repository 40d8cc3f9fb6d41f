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
	"bluetrace/protocol"
)

// PhoneObserver is told of everything that concerns the machine, with the lock
// held, in the order of events and with the machine's own now. What it is given
// is valid during the call only, and it must not call the phone's methods but
// Machine, to look.
type PhoneObserver interface {
	// Effect is each effect, before it is carried out; also what the host itself has
	// to say, as a PhonePrint.
	Effect(now nodes.Now, e *nodes.PhoneEffect)
	// Connected, ConnectFailed, Read and Closed are about the connection with the
	// server, before the machine takes them.
	Connected(now nodes.Now, local netip.AddrPort)
	ConnectFailed(now nodes.Now, reason string)
	Read(now nodes.Now, p []byte)
	Closed(now nodes.Now)
	// Datagram is before the machine takes it. One that is longer than any part of
	// a beacon is cut (MaxDatagram).
	Datagram(now nodes.Now, from netip.AddrPort, p []byte)
	// Stepped is after each call of the machine and its effects.
	Stepped(now nodes.Now, log *nodes.ContactLog)
}

// ContactFile keeps a contact log on disk. One goroutine at a time calls it,
// without the lock. *files.ContactLog is one.
type ContactFile interface {
	// Stored returns what an earlier program left, in order of arrival.
	Stored() []nodes.StoredContact
	// Add remembers an entry for the next Write.
	Add(k nodes.StoredContact)
	// Write makes the file hold log; what was received and failed to be written is
	// tried again.
	Write(log *nodes.ContactLog) error
}

// PhoneConfig is what a Phone is built from.
type PhoneConfig struct {
	Settings *nodes.PhoneSettings
	Server   string       // host:port
	UDP      *net.UDPConn // bound; the phone closes it
	Clock    clock.Clock
	Origin   time.Time // zero of Elapsed
	Lock     sync.Locker
	Observer PhoneObserver // nil: none
	// Log is where the contact log is kept; nil: in memory only. Who opened it
	// closes it, after the phone.
	Log ContactFile
	// Dial makes the connection with the server; it ends early when ctx does.
	// nil: net.Dialer, with a limit of 10 s of real time.
	Dial func(ctx context.Context, address string) (net.Conn, error)
	// OnPanic is called, without regard to the lock, before a panic in one of the
	// phone's goroutines ends the program; nil: nothing is.
	OnPanic func()
}

// Phone hosts one phone's machine: its UDP socket, its connection with the
// server and its contact log on disk.
type Phone struct {
	config  PhoneConfig
	machine nodes.Phone
	out     nodes.PhoneOutbox
	wake    alarm
	saver   saver
	link    *phoneLink              // the last PhoneConnect; nil: none
	links   map[*phoneLink]struct{} // also those that are being closed
	ended   bool                    // Close or Kill has begun
	ending  chan struct{}           // closed then
	running sync.WaitGroup          // the receiver and the saver
}

// NewPhone restores the log, and receives beacons from now on. It takes the
// lock. After an error the socket and the log are still the caller's.
func NewPhone(c PhoneConfig) (*Phone, error) {
	if err := c.Settings.Validate(); err != nil {
		return nil, fmt.Errorf("starting a phone: %w", err)
	}
	if c.Dial == nil {
		c.Dial = dialServer
	}
	p := &Phone{config: c, links: map[*phoneLink]struct{}{}, ending: make(chan struct{})}
	p.machine.Init(c.Settings)
	p.wake = alarm{clock: c.Clock, lock: c.Lock, ring: p.woken}
	p.saver = saver{file: c.Log, again: alarm{clock: c.Clock, lock: c.Lock, ring: p.save}}
	askForBuffer(c.UDP)
	c.Lock.Lock()
	defer c.Lock.Unlock()
	if c.Log != nil {
		now := p.now()
		p.machine.Restore(now, c.Log.Stored())
		p.changed(now) // what is past its retention leaves the disk, too
		p.arm(now)
	}
	p.running.Add(1)
	go p.receive()
	return p, nil
}

func (p *Phone) now() nodes.Now { return now(p.config.Clock, p.config.Origin) }

// Machine is for looking; the lock is held.
func (p *Phone) Machine() *nodes.Phone { return &p.machine }

// Address is where the phone's UDP socket is bound.
func (p *Phone) Address() netip.AddrPort {
	a := p.config.UDP.LocalAddr().(*net.UDPAddr).AddrPort()
	return unmapped(a)
}

// Open starts the program's session, or starts it again. The lock is held.
func (p *Phone) Open() { p.input(p.machine.Open) }

// Type types one line, without its line end. The lock is held.
func (p *Phone) Type(line string) {
	p.input(func(now nodes.Now, out *nodes.PhoneOutbox) { p.machine.Typed(now, line, out) })
}

// InputEnded says that nothing more will be typed. The lock is held.
func (p *Phone) InputEnded() { p.input(p.machine.InputEnded) }

// Beacon sends the phone's beacon, or says that it has none. The lock is held.
func (p *Phone) Beacon(to protocol.Address) {
	p.input(func(now nodes.Now, out *nodes.PhoneOutbox) { p.machine.Beacon(now, to, out) })
}

// SendDatagram sends bytes from the phone's own socket, past its machine. The
// lock is held.
func (p *Phone) SendDatagram(to netip.AddrPort, b []byte) error {
	if _, err := p.config.UDP.WriteToUDPAddrPort(b, unmapped(to)); err != nil {
		return fmt.Errorf("sending %d bytes to %v: %w", len(b), to, err)
	}
	return nil
}

// TakeSession moves the session of another program of the same phone to this
// one, with its connection (nodes.Phone.TakeSession). Both have one lock, which
// is held.
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

// input calls the machine and does what it asks for.
func (p *Phone) input(call func(now nodes.Now, out *nodes.PhoneOutbox)) {
	if p.ended {
		return
	}
	now := p.now()
	call(now, &p.out)
	p.carryOut(now)
	p.arm(now)
}

func (p *Phone) woken() {
	defer p.crashing()
	p.input(p.machine.Wake)
}

// arm sets the alarm for the machine's next deadline.
func (p *Phone) arm(now nodes.Now) {
	if at, ok := p.machine.NextWake(); ok {
		p.wake.set(now.Elapsed, at)
	}
}

// crashing is deferred in each goroutine of the phone.
func (p *Phone) crashing() {
	if p.config.OnPanic == nil {
		return
	}
	if r := recover(); r != nil {
		p.config.OnPanic()
		panic(r)
	}
}
