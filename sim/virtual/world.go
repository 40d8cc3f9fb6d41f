// Package virtual is the world in which a run takes no real time: one event
// queue, one goroutine, one seed. It hosts the state machines of package nodes
// (a server and any number of phones), carries their real bytes over a
// simulated network, and records every event in a digest.
//
// Same configuration, same seed, same build: the same events in the same order.
// Nothing here reads a real clock, global randomness or a map's order.
package virtual

import (
	"context"
	"fmt"
	"math"
	"time"

	"bluetrace/nodes"
	"bluetrace/nodes/files"
	"bluetrace/protocol"
	"bluetrace/sim/event"
)

// Config is all that a world is made from.
type Config struct {
	Seed  uint64
	Start int64         // wall time at virtual time zero, Unix seconds
	Begin time.Duration // where the run begins; zero or negative
	Zone  *protocol.Zone

	// Server is complete but for Entropy, NameKey and Zone, which the world
	// fills in from the seed.
	Server      nodes.ServerSettings
	Credentials []nodes.Credential
	DiskDelay   Delay // from a Store to its Stored
	// Folder is where the server keeps its files. nil: what reaches the disk is
	// not kept, and RestartServer must not be called.
	Folder *files.Memory

	Phones []PhoneConfig

	TCP TCP
	UDP UDP

	// Events is the stream on which the world emits what happens. Its observers are
	// subscribed before New.
	Events *event.Stream
	// Tick is called at the times that World.Tick was given.
	Tick func(phone, arg uint32)
	// Foreseers hear of what comes soon.
	Foreseers []Foreseer

	// Stepped is called at time zero and every Step after it, when all that
	// happens up to then has happened, and before anything later does; it must only
	// look. Step 0: never.
	Step    time.Duration
	Stepped func(at time.Duration)
}

// PhoneConfig is one phone. Settings may be shared by many.
type PhoneConfig struct {
	Name     string
	Settings *nodes.PhoneSettings
	// Folder is where the phone keeps its contact log; nil: in its memory only.
	Folder *files.Memory
}

// TCP says how byte streams behave.
type TCP struct {
	Delay Delay
	// Split cuts each send into pieces of at most this many bytes, each with
	// its own delay; 0: none.
	Split int
	// Join holds a read back this long after the first unread byte, so that it
	// takes all that has come since; 0: none.
	Join time.Duration
}

// UDP says how datagrams behave. Datagrams from one phone to another keep
// their order.
type UDP struct {
	Delay Delay
	Lose  float64 // 0 to 1
}

type kind uint8

const (
	kindWakePhone kind = iota
	kindWakeServer
	kindDatagram
	kindTick
	kindCall
	kindAccept
	kindConnected
	kindRefused
	kindSegment
	kindReadUp
	kindReadDown
	kindStored
)

const never = math.MaxInt64

// World is one run.
type World struct {
	now   int64 // virtual nanoseconds from time zero
	start int64 // wall time of time zero, Unix nanoseconds
	zone  *protocol.Zone
	clock Clock
	queue queue

	phones  []phone
	names   []string
	watched []bool // by phone: whether its screen is; nil: none is

	udp     UDP
	mail    []datagram
	free    []uint32
	large   map[uint32][]byte // payloads that do not fit a datagram's room
	serial  sendSerial
	handing handing
	tcp     TCP
	conns   []conn
	spare   []uint32 // free connections
	opened  uint64   // connections so far
	segs    []segment
	segFree []uint32

	host serverHost

	seed    uint64
	faults  *faults               // nil: none has begun so far
	clocks  []event.NodeClock     // of the phones and of the server; nil: all are the world's
	folders []phoneFolder         // nil: no phone has one
	written []nodes.StoredContact // room for what a log on a disk is said to hold

	phoneOut  nodes.PhoneOutbox
	calls     []func()
	callFree  []uint32
	emit      emitter
	tick      func(phone, arg uint32)
	foreseers []Foreseer
	text      []byte

	events    uint64 // handled so far
	datagrams uint64 // sent or lost so far
	stop      bool

	nextStep, step int64 // nextStep is never without a step
	stepped        func(time.Duration)
}

// New builds a world; its server listens from Begin on.
func New(c Config) (*World, error) {
	if len(c.Phones) > maxPhones {
		return nil, fmt.Errorf("building the world: %d phones, at most %d have an address", len(c.Phones), maxPhones)
	}
	w := &World{
		now:       int64(c.Begin),
		start:     c.Start * int64(time.Second),
		zone:      c.Zone,
		phones:    make([]phone, len(c.Phones)),
		names:     make([]string, len(c.Phones)),
		udp:       c.UDP,
		tcp:       c.TCP,
		large:     map[uint32][]byte{},
		seed:      c.Seed,
		tick:      c.Tick,
		foreseers: c.Foreseers,

		nextStep: never,
	}
	if c.Step > 0 {
		w.nextStep, w.step, w.stepped = 0, int64(c.Step), c.Stepped
	}
	w.clock.world = w
	w.emit.init(c.Events, &w.now)
	for i, pc := range c.Phones {
		w.names[i] = pc.Name
		w.phones[i].init(c.Seed, pc)
	}
	if err := w.openPhoneFolders(c.Phones); err != nil {
		return nil, err
	}
	if err := w.host.init(c); err != nil {
		return nil, err
	}
	if err := w.startServer(); err != nil {
		return nil, fmt.Errorf("starting the server: %w", err)
	}
	return w, nil
}

// Clock reads the world's time.
func (w *World) Clock() *Clock { return &w.clock }

// Now is the virtual time since time zero.
func (w *World) Now() time.Duration { return time.Duration(w.now) }

// Events is how many events were handled.
func (w *World) Events() uint64 { return w.events }

// Name of a phone.
func (w *World) Name(phone uint32) string { return w.names[phone] }

func (w *World) wall(at int64) int64 { return w.start + at }

// time is what the clocks of a phone, or of the server, show.
func (w *World) time(who uint32) nodes.Now {
	if w.clocks != nil {
		return w.shown(who)
	}
	return nodes.Now{Elapsed: time.Duration(w.now), Wall: w.wall(w.now)}
}

// Call runs f at the given time, or at once in its turn when that has passed.
func (w *World) Call(at time.Duration, f func()) {
	var slot uint32
	if n := len(w.callFree); n > 0 {
		slot = w.callFree[n-1]
		w.callFree = w.callFree[:n-1]
		w.calls[slot] = f
	} else {
		slot = uint32(len(w.calls))
		w.calls = append(w.calls, f)
	}
	w.queue.push(max(int64(at), w.now), inputClass, kindCall, 0, slot)
}

// lastTries is how often a CallLast lets what happens in the same instant go
// first: more than any chain of such events has links, and less than for ever
// when two of them wait for each other.
const lastTries = 16

// CallLast runs f at the given time, after what else happens in that instant.
func (w *World) CallLast(at time.Duration, f func()) {
	tries := 0
	var again func()
	again = func() {
		if tries++; tries < lastTries && w.queue.len() > 0 && w.queue.first().at == w.now {
			w.Call(time.Duration(w.now), again)
			return
		}
		f()
	}
	w.Call(at, again)
}

// Tick calls Config.Tick at the given time.
func (w *World) Tick(at time.Duration, who, arg uint32) {
	w.queue.push(max(int64(at), w.now), inputClass, kindTick, who, arg)
}

// Stop ends Run after the event that is being handled.
func (w *World) Stop() { w.stop = true }

// pollEvents is how many events lie between two looks at the context.
const pollEvents = 1 << 12

// Run handles every event up to and including the time until, in order. It
// returns early when Stop was called, when nothing is left to happen, or with the
// context's error when that is done. poll is called every few thousand events and
// may call Stop; it may be nil.
func (w *World) Run(ctx context.Context, until time.Duration, poll func()) error {
	for n := 1; !w.stop && w.queue.len() > 0; n++ {
		at := w.queue.first().at
		if at > int64(until) {
			break
		}
		for at > w.nextStep {
			w.stepped(time.Duration(w.nextStep))
			w.nextStep += w.step
		}
		if n%pollEvents == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			if poll != nil {
				poll()
			}
			if w.stop {
				break
			}
		}
		e := w.queue.pop()
		w.lookAhead()
		if e.at < w.now {
			panic(fmt.Sprintf("virtual: event at %d ns is before now, %d ns", e.at, w.now))
		}
		w.now = e.at
		w.handle(&e)
	}
	if !w.stop && w.now < int64(until) && int64(until) != never {
		w.now = int64(until)
	}
	return ctx.Err()
}

func (w *World) handle(e *entry) {
	if k := e.kind(); k == kindWakePhone {
		if w.phones[e.who].wakeAt != e.at {
			return // an earlier wake-up took its place
		}
	} else if k == kindWakeServer && w.host.wakeAt != e.at {
		return
	}
	w.events++
	switch e.kind() {
	case kindWakePhone:
		w.wakePhone(e.who)
	case kindWakeServer:
		w.wakeServer()
	case kindDatagram:
		w.arrive(e.who, e.arg)
	case kindTick:
		w.tick(e.who, e.arg)
	case kindCall:
		f := w.calls[e.arg]
		w.calls[e.arg] = nil
		w.callFree = append(w.callFree, e.arg)
		f()
	case kindAccept:
		w.accept(e.who)
	case kindConnected:
		w.connected(e.who)
	case kindRefused:
		w.refused(e.who)
	case kindSegment:
		w.segmentArrives(e.arg)
	case kindReadUp:
		w.conns[e.who].up.due = false
		w.conns[e.who].underway--
		w.feedServer(e.who)
	case kindReadDown:
		w.conns[e.who].down.due = false
		w.conns[e.who].underway--
		w.feedPhone(e.who)
	case kindStored:
		w.storedOnDisk(e.arg)
	}
}

// UnderWay counts the datagrams that the queue holds.
func (w *World) UnderWay() int { return w.queue.count(kindDatagram) }

// Pending is how many events are left to happen, so far.
func (w *World) Pending() int { return w.queue.len() }
