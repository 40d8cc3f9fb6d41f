package load

import (
	"fmt"
	"net"
	"sync"
	"time"

	"bluetrace/protocol"
)

// phone is one of the run's, busy with one session at a time.
type phone struct {
	Phone
	reader protocol.ReplyReader
	buffer [256]byte
	wake   chan struct{}
	udp    Datagrams // nil: no beacons
	to     *phone    // who hears its beacons
	from   *phone    // whose beacons it hears

	// mu guards what others touch: the run's end closes the connection, the
	// receiver of the phone's own beacons looks for their sending.
	mu      sync.Mutex
	conn    net.Conn // nil: none
	beacon  protocol.Beacon
	flights []flight
	sent    uint32
	heard   []protocol.Beacon // the last ones, as many as an upload has
	next    int               // the oldest of them
}

func (p *phone) connection() net.Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.conn
}

func (p *phone) take(c net.Conn) {
	p.reader.Reset()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conn = c
}

// hangUp closes the connection, if there is one.
func (p *phone) hangUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn != nil {
		_ = p.conn.Close() // nothing was left to send
		p.conn = nil
	}
}

// tempIDLifetime is what a phone takes it to be (PROTOCOL.md section 2).
const tempIDLifetime = protocol.LocalTime(15 * time.Minute / time.Second)

func (p *phone) got(id protocol.TempID, at protocol.LocalTime) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.beacon = protocol.Beacon{TempID: id, Start: at, Expiry: at + tempIDLifetime}
}

// hear keeps a beacon for the next upload.
func (p *phone) hear(b protocol.Beacon, most int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case len(p.heard) < most:
		p.heard = append(p.heard, b)
	case most > 0:
		p.heard[p.next] = b
		p.next = (p.next + 1) % most
	}
}

// entries are n entries of an upload.
func (p *phone) entries(n int) []protocol.Beacon {
	p.mu.Lock()
	defer p.mu.Unlock()
	from := p.heard
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
func (e *engine) makePhones() error {
	for i := range e.Phones {
		e.phones = append(e.phones, &phone{Phone: e.Phones[i], wake: make(chan struct{}, 1)})
	}
	if !e.Traffic.HasBeacons() {
		return nil
	}
	for i, p := range e.phones {
		p.to = e.phones[(i+1)%len(e.phones)]
		p.to.from = p
		var err error
		if p.udp, err = e.Network.Listen(); err != nil {
			return fmt.Errorf("opening the UDP socket of phone %d of %d: %w", i+1, len(e.phones), err)
		}
		p.flights = make([]flight, max(flightsKept, e.Traffic.Beacons))
	}
	return nil
}

// hear lets the phones receive beacons.
func (e *engine) hear() {
	for _, p := range e.phones {
		if p.udp != nil {
			e.receivers.Go(func() { e.receive(p) })
		}
	}
}

// enteringAtOnce is how many phones of a mix log in at a time.
const enteringAtOnce = 128

// prepare logs the phones of a mix in.
func (e *engine) prepare() error {
	if e.Traffic.Session != nil {
		return nil
	}
	work := make(chan int)
	failures := make(chan error, len(e.phones))
	var workers sync.WaitGroup
	for range min(enteringAtOnce, len(e.phones)) {
		workers.Go(func() {
			for i := range work {
				s := &session{engine: e, phone: e.phones[i]}
				if err := s.enter(); err != nil {
					failures <- fmt.Errorf("logging in phone %d of %d, before the load: %w", i+1, len(e.phones), err)
				}
			}
		})
	}
	entering := make(chan struct{})
	var waker sync.WaitGroup
	waker.Go(func() { e.wakeUntil(entering) })
	for i := range e.phones {
		if e.ctx.Err() != nil || len(failures) > 0 {
			break
		}
		work <- i
	}
	close(work)
	workers.Wait()
	close(entering)
	waker.Wait()
	select {
	case err := <-failures:
		return err
	default:
		return e.ctx.Err()
	}
}

// wakeUntil wakes phones that pause in their login.
func (e *engine) wakeUntil(done <-chan struct{}) {
	tick := e.Clock.Ticker(time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-tick.C:
			e.schedule.due(e.now())
		}
	}
}
