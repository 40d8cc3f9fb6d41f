package load

import (
	"fmt"
	"sync"
	"time"

	"bluetrace/protocol"
)

// phone is one of the run's, busy with one session at a time. What happens to it
// comes from the pacing goroutine (it is time), and from those of the network
// (something was heard); each takes mu, and none waits for anything under it.
type phone struct {
	Phone
	*engine
	mu      sync.Mutex
	session session

	line    *line // the connection; nil: none
	reader  protocol.ReplyReader
	depart  alarm // rings when the next operation is due
	giveUp  alarm // rings when an answer is given up, or before
	watched bool  // giveUp is set

	udp    Datagrams // nil: no beacons, or not yet
	to     *phone    // who hears its beacons
	beacon protocol.Beacon
	number uint32 // of the last beacon

	flights []flight // of the last beacons; nil before the first

	hearing hearing
}

// hearing is what a phone hears over UDP.
type hearing struct {
	from      *phone             // whose beacons it hears
	assembler protocol.Assembler // of the network's goroutine alone
	ready     []protocol.Assembled

	mu   sync.Mutex
	kept []protocol.Beacon // the last ones, as many as an upload has
	next int               // the oldest of them
}

// line is a connection of a phone: what is heard of an older one means nothing.
type line struct {
	phone *phone
	conn  Conn
	early []byte // came when nothing was awaited
	ended error
}

// OnOpen is of a ConnHandler.
func (l *line) OnOpen(err error) {
	l.phone.mu.Lock()
	defer l.phone.mu.Unlock()
	if l.phone.line == l {
		l.phone.opened(err)
	}
}

// OnData is of a ConnHandler.
func (l *line) OnData(p []byte) {
	l.phone.mu.Lock()
	defer l.phone.mu.Unlock()
	if l.phone.line == l {
		l.phone.heard(p)
	}
}

// OnEnd is of a ConnHandler.
func (l *line) OnEnd(err error) {
	l.phone.mu.Lock()
	defer l.phone.mu.Unlock()
	if l.phone.line == l {
		l.phone.ended(err)
	}
}

// hangUp closes the connection, if there is one.
func (p *phone) hangUp() {
	if p.line != nil {
		_ = p.line.conn.Close() // nothing was left to send
		p.line = nil
	}
}

// tempIDLifetime is what a phone takes it to be (PROTOCOL.md section 2).
const tempIDLifetime = protocol.LocalTime(15 * time.Minute / time.Second)

func (p *phone) got(id protocol.TempID, at protocol.LocalTime) {
	p.beacon = protocol.Beacon{TempID: id, Start: at, Expiry: at + tempIDLifetime}
}

// keep keeps a beacon for the next upload.
func (h *hearing) keep(b protocol.Beacon, most int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case len(h.kept) < most:
		h.kept = append(h.kept, b)
	case most > 0:
		h.kept[h.next] = b
		h.next = (h.next + 1) % most
	}
}

// entries are n entries of an upload.
func (p *phone) entries(n int) []protocol.Beacon {
	h := &p.hearing
	h.mu.Lock()
	defer h.mu.Unlock()
	from := h.kept
	if len(from) == 0 {
		from = []protocol.Beacon{p.beacon}
	}
	out := make([]protocol.Beacon, n)
	for i := range out {
		out[i] = from[i%len(from)]
	}
	return out
}

// makePhones seats the phones in a ring: each beacons to the next one.
func (e *engine) makePhones() {
	made := make([]phone, len(e.Phones))
	for i := range e.Phones {
		p := &made[i]
		p.Phone, p.engine = e.Phones[i], e
		p.depart.ring, p.giveUp.ring = p.due, p.late
		e.phones = append(e.phones, p)
	}
	for i, p := range e.phones {
		p.to = e.phones[(i+1)%len(e.phones)]
		p.to.hearing.from = p
	}
}

// openSockets lets the phones send and hear beacons.
func (e *engine) openSockets() error {
	if !e.Traffic.HasBeacons() {
		return nil
	}
	for i, p := range e.phones {
		var err error
		if p.udp, err = e.Network.Listen(p.receive); err != nil {
			return fmt.Errorf("opening the UDP socket of phone %d of %d: %w", i+1, len(e.phones), err)
		}
	}
	e.seated.Store(true)
	return nil
}
