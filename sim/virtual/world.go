// Package virtual is the world in which a run takes no real time: one event queue,
// one goroutine, one seed. It runs the state machines of package nodes (a server and
// any number of phones), carries their bytes over a simulated network, and emits an
// event for each occurrence.
//
// The same configuration, seed and build give the same events in the same order.
// Nothing here reads a real clock, global randomness or the order of a map.
//
// Each type below owns a part of the world, and only its methods write its fields:
//
//	scheduler   virtual time and the event queue
//	emitter     the event stream
//	clocks      the clocks of the nodes
//	udp         datagrams in flight
//	tcp         connections and segments
//	translation a connection on the wire of another implementation
//	disks       contact logs of phones, disk faults
//	faults      the faults in force and their decisions
//	nodeStates  nodes that are paused, stopped or out of reach
//	phoneHost   the machines of the phones
//	serverHost  the machine of the server and its stores
package virtual

import (
	"context"
	"fmt"
	"time"

	"bluetrace/nodes"
	"bluetrace/nodes/files"
	"bluetrace/protocol"
	"bluetrace/protocol/dialect"
	"bluetrace/scenarios/fault"
	"bluetrace/sim/event"
	"bluetrace/sim/prefetch"
	"bluetrace/sim/world"
)

// Config is the configuration of a world.
type Config struct {
	Seed  uint64
	Start int64         // wall time at virtual time zero, Unix seconds
	Begin time.Duration // virtual time at which the run begins, zero or negative
	Zone  *protocol.Zone

	// Server is complete but for Entropy, NameKey and Zone, which New fills in.
	Server      nodes.ServerSettings
	Credentials []nodes.Credential
	DiskDelay   Delay // from a Store of the server to its Stored
	// Folder holds the server's files. If it is nil, nothing is stored and
	// RestartServer must not be called.
	Folder *files.Memory
	// Unsynced makes the server not sync its files, which is a bug for the checks to find.
	Unsynced bool

	Phones []PhoneConfig

	TCP TCP
	UDP UDP

	// Dialect is the wire between the programs and the server; nil for that of PROTOCOL.md. Misunderstood gets the
	// phone of each connection on which a side does not understand the other, with the reason. It may be nil.
	Dialect       *dialect.Dialect
	Misunderstood func(phone uint32, text string)

	// Events is the stream on which the world emits its events. Its observers must be
	// subscribed before New.
	Events *event.Stream
	// Tick is called at the times that World.Tick was given.
	Tick func(phone, arg uint32)
	// Prefetchers are called a few entries before an input is handled.
	Prefetchers []prefetch.Prefetcher

	// Stepped is called at time zero and every Step after it. All entries up to that time
	// have been handled, and no later one. Stepped must not change the world. It is never
	// called if Step is 0.
	Step    time.Duration
	Stepped func(at time.Duration)
}

// PhoneConfig is the configuration of one phone. Phones may share Settings.
type PhoneConfig struct {
	Name     string
	Settings *nodes.PhoneSettings
	// Folder holds the phone's contact log. If it is nil, the log is in memory only.
	Folder *files.Memory
}

// World is one run.
type World struct {
	scheduler scheduler
	emit      emitter
	clocks    clocks
	udp       udp
	tcp       tcp
	disks     disks
	faults    faults
	states    nodeStates
	phones    phoneHost
	server    serverHost

	clock       Clock
	tick        func(phone, arg uint32)
	prefetchers []prefetch.Prefetcher
}

// parts are the parts of a world, by which each of them calls the others.
type parts struct {
	scheduler *scheduler
	emit      *emitter
	clocks    *clocks
	udp       *udp
	tcp       *tcp
	disks     *disks
	faults    *faults
	states    *nodeStates
	phones    *phoneHost
	server    *serverHost
}

var (
	_ world.World  = (*World)(nil)
	_ world.Faulty = (*World)(nil)
	_ world.Holder = (*World)(nil)
)

// New builds a world whose server listens from Begin on. It returns an error if the
// server's settings are invalid, if there are more phones than addresses, or if files
// cannot be read.
func New(c Config) (*World, error) {
	if len(c.Phones) > maxPhones {
		return nil, fmt.Errorf("building the world: %d phones, at most %d have an address", len(c.Phones), maxPhones)
	}
	w := &World{tick: c.Tick, prefetchers: c.Prefetchers}
	w.connect(&c)
	for i, pc := range c.Phones {
		w.phones.phones[i].init(c.Seed, pc)
	}
	if err := w.disks.openPhones(c.Phones); err != nil {
		return nil, err
	}
	if err := w.server.init(&c); err != nil {
		return nil, err
	}
	if err := w.server.start(); err != nil {
		return nil, fmt.Errorf("starting the server: %w", err)
	}
	return w, nil
}

// connect sets the parts of the world and their references to each other.
func (w *World) connect(c *Config) {
	names := make([]string, len(c.Phones))
	for i := range c.Phones {
		names[i] = c.Phones[i].Name
	}
	w.scheduler = scheduler{now: int64(c.Begin), nextStep: never}
	if c.Step > 0 {
		w.scheduler.nextStep, w.scheduler.step, w.scheduler.stepped = 0, int64(c.Step), c.Stepped
	}
	s, emit := &w.scheduler, &w.emit
	w.emit = emitter{event.Emitter{Stream: c.Events, Now: &s.now}}
	w.clocks = clocks{now: &s.now, zone: c.Zone, start: c.Start * int64(time.Second), phones: len(c.Phones)}
	w.clock.clocks = &w.clocks
	p := parts{
		scheduler: s, emit: emit, clocks: &w.clocks, udp: &w.udp, tcp: &w.tcp, disks: &w.disks, faults: &w.faults,
		states: &w.states, phones: &w.phones, server: &w.server,
	}
	w.faults = faults{parts: p, seed: c.Seed, names: names, udpDelay: c.UDP.Delay}
	w.udp = udp{parts: p, UDP: c.UDP, large: map[uint32][]byte{}}
	w.tcp = tcp{
		parts: p, TCP: c.TCP, scripts: map[uint32]*scriptConn{}, dialect: c.Dialect, misunderstood: c.Misunderstood,
	}
	if c.Dialect != nil {
		w.tcp.translations = map[uint32]*translation{}
	}
	w.disks = disks{parts: p, server: c.Folder}
	w.states.parts, w.server.parts = p, p
	w.phones = phoneHost{parts: p, phones: make([]phone, len(c.Phones))}
}

// pollInterval is the number of entries between two checks of the context.
const pollInterval = 1 << 12

// Run handles every entry up to and including the time until, in order. It returns
// early after Stop, if nothing is left to happen, or with the context's error. poll is
// called every few thousand entries and may call Stop; it may be nil.
func (w *World) Run(ctx context.Context, until time.Duration, poll func()) error {
	s := &w.scheduler
	for n := 1; !s.stopped; n++ {
		first := s.queue.first()
		if first == nil || first.at > int64(until) {
			break
		}
		if first.at > s.nextStep {
			s.runStep()
			continue
		}
		if n%pollInterval == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			if poll != nil {
				poll()
			}
			if s.stopped {
				break
			}
		}
		e := s.queue.pop(first)
		w.prefetch()
		if e.at < s.now {
			panic(fmt.Sprintf("virtual: event at %d ns is before now, %d ns", e.at, s.now))
		}
		s.now = e.at
		w.handle(&e)
	}
	if !s.stopped && s.now < int64(until) && int64(until) != never {
		s.now = int64(until)
	}
	return ctx.Err()
}

func (w *World) handle(e *entry) {
	kind := e.kind()
	if kind == wakePhone && w.phones.phones[e.who].wakeAt != e.at || kind == wakeServer && w.server.wakeAt != e.at {
		return // an earlier wake-up has replaced it
	}
	w.scheduler.handled++
	switch kind {
	case wakePhone:
		w.phones.wake(e.who)
	case wakeServer:
		w.server.wake()
	case datagramArrives:
		w.udp.arrive(e.who, e.arg>>beaconPartBits)
	case tickDue:
		w.tick(e.who, e.arg)
	case callDue:
		w.scheduler.runCall(e.arg)
	case connArrives:
		w.tcp.arriveConnect(e.who)
	case connectedArrives:
		w.tcp.arriveConnected(e.who)
	case refusedArrives:
		w.tcp.arriveRefused(e.who)
	case segmentArrives:
		w.tcp.arriveSegment(e.arg)
	case serverReads:
		w.tcp.readDelayed(e.who, false)
	case phoneReads:
		w.tcp.readDelayed(e.who, true)
	case storeDue:
		w.server.finishStore(e.arg)
	}
}

// Stop ends Run after the entry that is being handled.
func (w *World) Stop() { w.scheduler.stopped = true }

// Now returns the virtual time since time zero.
func (w *World) Now() time.Duration { return time.Duration(w.scheduler.now) }

// Wall returns the world's wall time in the scenario's zone.
func (w *World) Wall() time.Time { return w.clock.Now() }

// Clock returns the world's time as a clock.Clock.
func (w *World) Clock() *Clock { return &w.clock }

// Call runs f at the given time, or later in this instant if that has passed.
func (w *World) Call(at time.Duration, f func()) { w.scheduler.call(int64(at), f) }

// CallLast runs f at the given time, after everything else of that instant.
func (w *World) CallLast(at time.Duration, f func()) { w.scheduler.callLast(int64(at), f) }

// Tick calls Config.Tick at the given time.
func (w *World) Tick(at time.Duration, phone, arg uint32) {
	w.scheduler.input(max(int64(at), w.scheduler.now), tickDue, phone, arg)
}

// Events returns the number of entries of the queue that were handled.
func (w *World) Events() uint64 { return w.scheduler.handled }

// Pending returns the number of entries in the queue.
func (w *World) Pending() int { return w.scheduler.queue.len() }

// DatagramsInFlight returns the number of arrivals of datagrams in the queue.
func (w *World) DatagramsInFlight() int { return w.scheduler.queue.count(datagramArrives) }

// Begin begins a fault. Faults in force act in the order of their numbers. An instant
// fault happens now and is over.
func (w *World) Begin(f *world.Fault) {
	if w.states.nodes == nil {
		w.states.nodes = make([]nodeState, len(w.phones.phones)+1)
	}
	r := w.faults.add(f)
	switch {
	case f.Kind == fault.Reset && f.Instant:
		w.tcp.each(&f.Of, func(c uint32) { w.tcp.reset(r, c) })
	case f.Kind == fault.HalfClose:
		w.tcp.each(&f.Of, func(c uint32) { w.tcp.halfClose(r, c) })
	default:
		w.change(r, w.states.begin)
	}
	r.over = f.Instant
}

// change applies the beginning or the end of a fault of nodes or disks. do does so for
// the state of one node. It has no effect for faults of other kinds.
func (w *World) change(r *rule, do func(r *rule, node event.Node)) {
	switch r.Kind {
	case fault.Crash, fault.SwitchOff, fault.Pause, fault.Leave, fault.Stall, fault.Clock:
		w.faults.each(&r.Of, func(node event.Node) { do(r, node) })
	case fault.Disk:
		w.faults.each(&r.Of, w.disks.applyFaults)
	}
}

// End ends a fault: traffic that it blocked continues, and nodes that it stopped start.
// It does nothing if the fault is not in force.
func (w *World) End(f *world.Fault) {
	r := w.faults.remove(f)
	if r == nil {
		return
	}
	w.change(r, w.states.end)
	if f.Kind == fault.Leave || f.Kind == fault.Cut || f.Kind == fault.TimeOut {
		w.tcp.unblock()
	}
	r.over = true
	w.emit.fault(event.FaultEnded, f)
}
