// Package live is the world on real sockets: the same state machines as in
// virtual time, hosted by package nodes/socket on 127.0.0.1, each phone with a
// UDP socket of its own. It tells its watchers and its story the same things as
// the virtual world does.
//
// On the real clock things happen when they happen. On a clock.Mock the world is
// stepped: once nothing is under way any more, neither on a socket nor in a
// goroutine, the clock is set to the next deadline of any node or call.
package live

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/benbjohnson/clock"

	"bluetrace/nodes"
	"bluetrace/nodes/files"
	"bluetrace/protocol"
	"bluetrace/sim/event"
	"bluetrace/sim/world"
)

// Config is all that a world is made from.
type Config struct {
	// Clock is a *clock.Mock, which is stepped, or any other, which runs by
	// itself.
	Clock clock.Clock
	Start int64         // wall time at time zero, Unix seconds
	Begin time.Duration // where the run begins; zero or negative
	Zone  *protocol.Zone

	// Server is complete but for Entropy, NameKey and Zone. Remote, when not
	// empty, is the host:port of a server elsewhere, which is used instead.
	Server      nodes.ServerSettings
	Credentials []nodes.Credential
	Remote      string
	// Folder is where the server keeps its files.
	Folder files.FS
	// DiskDelay draws how long a Store takes at least, on the world's clock; nil:
	// as long as Folder does.
	DiskDelay func() time.Duration

	Phones []PhoneConfig

	// Events is the stream that the world emits its events on.
	Events *event.Stream
	// Tick is called at each time that was asked for with World.Tick.
	Tick func(who, arg uint32)
}

// PhoneConfig is one phone. Settings may be shared by many.
type PhoneConfig struct {
	Name     string
	Settings *nodes.PhoneSettings
	Log      *files.ContactLog // nil: in memory only. The world closes it
}

// World is one run. All but Close is called with its lock held: by its own calls
// and observers, and before Run, when nobody else has it yet.
type World struct {
	mu       sync.Mutex
	happened sync.Cond // on mu: something that the run or a goroutine may wait for
	held     bool      // Run has begun, and its caller has the lock
	config   Config
	mock     *clock.Mock // nil: the clock runs by itself
	origin   time.Time   // time zero
	now      time.Duration
	names    []string

	phones  []*phone
	byUDP   map[protocol.Address]uint32 // whose UDP socket it is
	extra   map[source]*net.UDPConn
	air     map[way][]flight
	links   map[*link]struct{} // not closed on both sides yet
	byTCP   map[netip.AddrPort]*link
	host    serverHost
	server  string // where phones connect to
	opened  uint64 // connections so far
	calls   calls
	alarm   *clock.Timer
	alarmAt time.Duration

	stream    *event.Stream
	next      event.Event // reused
	datagrams uint64      // sent so far
	stood     bool        // a connection to a server elsewhere has stood
	events    uint64
	stop      bool
	turns     uint64 // given out so far
	gated     bool   // of a stepped world: what comes to a phone waits
	closing   bool
	err       error // why the run cannot go on
	running   sync.WaitGroup
	raws      []*rawConn
	ctx       context.Context // of what only Close ends
	cancel    context.CancelFunc
	hangOver  time.Duration // real time within which a stepped world must come to rest
}

var _ world.World = (*World)(nil)

// New binds a socket for each phone and one for the server. Nothing runs before
// Run; Close must be called in any case.
func New(c Config) (*World, error) {
	w := &World{
		config:   c,
		stream:   c.Events,
		origin:   time.Unix(c.Start, 0),
		now:      c.Begin,
		byUDP:    map[protocol.Address]uint32{},
		extra:    map[source]*net.UDPConn{},
		air:      map[way][]flight{},
		links:    map[*link]struct{}{},
		byTCP:    map[netip.AddrPort]*link{},
		hangOver: hangLimit,
	}
	w.happened.L = &w.mu
	w.ctx, w.cancel = context.WithCancel(context.Background())
	w.mock, _ = c.Clock.(*clock.Mock)
	w.call(c.Begin, false, w.start)
	if err := w.bind(); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

// bind opens every socket that the nodes will have.
func (w *World) bind() error {
	for i, c := range w.config.Phones {
		udp, err := bindUDP()
		if err != nil {
			return fmt.Errorf("binding the UDP socket of %s: %w", c.Name, err)
		}
		p := &phone{world: w, who: uint32(i), config: c, udp: udp}
		w.names = append(w.names, c.Name)
		w.phones = append(w.phones, p)
		p.address = protocol.AddressOf(addressOf(udp.LocalAddr()))
		w.byUDP[p.address] = p.who
	}
	if w.config.Remote != "" {
		w.server = w.config.Remote
		return nil
	}
	return w.host.bind(w)
}

func bindUDP() (*net.UDPConn, error) {
	return net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
}

// addressOf is the address of a TCP or UDP socket of this world.
func addressOf(a net.Addr) netip.AddrPort {
	var p netip.AddrPort
	switch a := a.(type) {
	case *net.UDPAddr:
		p = a.AddrPort()
	case *net.TCPAddr:
		p = a.AddrPort()
	}
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}

// start lets every node begin.
func (w *World) start() {
	for _, p := range w.phones {
		if err := p.start(); err != nil {
			w.fail(err)
			return
		}
	}
	if w.config.Remote == "" {
		w.startServer()
	}
}

// fail ends a run that cannot go on.
func (w *World) fail(err error) {
	if w.err == nil {
		w.err = err
	}
	w.Stop()
}

// Close ends every node and goroutine, with everything saved. After Run it is
// called with the lock held, and gives it back.
func (w *World) Close() error {
	if !w.held {
		w.mu.Lock()
	}
	w.held, w.closing, w.stop = false, true, true
	w.stopAlarm()
	w.host.hurry()
	w.cancel()
	w.closeRaw()
	w.happened.Broadcast()
	w.mu.Unlock()

	errs := make([]error, len(w.phones)+1)
	var ends sync.WaitGroup
	for i, p := range w.phones {
		ends.Go(func() { errs[i] = p.close() })
	}
	ends.Wait()
	errs[len(w.phones)] = w.host.close()
	for _, u := range w.extra {
		_ = u.Close() // nothing waits in it
	}
	w.running.Wait()
	return errors.Join(errs...)
}

// at takes note of the moment of an event.
func (w *World) at(now nodes.Now) int64 {
	w.now = max(w.now, now.Elapsed)
	w.events++
	return int64(now.Elapsed)
}

// Now is the time of the event that is being handled.
func (w *World) Now() time.Duration { return w.now }

// Wall is the same as wall time in the scenario's zone.
func (w *World) Wall() time.Time { return w.origin.Add(w.now).In(w.config.Zone.Location()) }

// elapsed reads the clock.
func (w *World) elapsed() time.Duration { return w.config.Clock.Now().Sub(w.origin) }

// Name of a phone.
func (w *World) Name(who uint32) string { return w.names[who] }

// Events is how many events were handled.
func (w *World) Events() uint64 { return w.events }

// Stop ends Run after the event that is being handled.
func (w *World) Stop() {
	w.stop = true
	w.happened.Broadcast()
}
