// Package live is the world on real sockets. It runs the same state machines as virtual time (sim/virtual), hosted by
// package nodes/socket on 127.0.0.1, with one UDP socket for each phone, and emits the same events.
//
// On the real clock, events happen when they happen. On a clock.Mock the world is stepped: once it is idle, with no
// bytes on a socket and no goroutine at work, the clock is set to the next deadline of a node or call.
//
// Each type below owns a part of the world, and only its methods write its fields, unless a comment names another
// type. One lock, which the scheduler owns, protects all of them.
//
//	scheduler     time, calls, the wait for an idle world, the lock
//	turns         the order of reads in a stepped world
//	udp           datagrams in flight, additional sockets
//	tcp           connections between phones and the server
//	scripts       connections that scripts drive byte by byte
//	phoneHost     the machine of one phone
//	beacons       its beacons in the form of a dialect
//	programPhone  a phone that is a program of another implementation
//	serverHost    the machine of the server, its disk and its listener
//	remoteServer  a server in another process
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
	"bluetrace/nodes/socket"
	"bluetrace/protocol"
	"bluetrace/protocol/dialect"
	"bluetrace/sim/event"
	"bluetrace/sim/foreign"
	"bluetrace/sim/world"
)

// Config is the configuration of a world.
type Config struct {
	// Clock is a *clock.Mock, which the world steps, or a clock that runs by itself.
	Clock clock.Clock
	Start int64         // wall time at time zero, Unix seconds
	Begin time.Duration // time at which the run begins, zero or negative
	Zone  *protocol.Zone

	// Server is complete but for Entropy, NameKey and Zone, which the world fills in.
	Server      nodes.ServerSettings
	Credentials []nodes.Credential
	// Remote is the host:port of a remote server, which is used instead of one in this process, or empty.
	Remote string
	// Wire gets the bytes that go between a phone and a remote server of a dialect. It may be nil.
	Wire func(phone uint32, sent bool, b []byte)
	// Dialect is that of the remote server, of the phones that are programs and of all beacons; nil for PROTOCOL.md.
	Dialect *dialect.Dialect
	// Printed has the lines that the remote server prints, or is nil if they are not visible.
	Printed <-chan string
	// Kill kills the remote server, and Restart starts it again and waits until it listens. They are nil if this
	// process has not started it.
	Kill    func()
	Restart func() error
	// Folder holds the server's files.
	Folder files.FS
	// DiskDelay draws the minimum duration of a Store on the world's clock. If it is nil, a Store takes as long as
	// Folder does.
	DiskDelay func() time.Duration

	Phones []PhoneConfig

	// Events is the stream on which the world emits its events.
	Events *event.Stream
	// ProgramFolder is the folder of whose copies the programs of phones run, or empty for empty folders.
	ProgramFolder string
	// ProgramEnded gets the folder of each of these programs after its end. It may be nil.
	ProgramEnded func(folder string)
	// Sandbox has the limits of these programs.
	Sandbox foreign.Config
	// Tick is called at the times that World.Tick was given.
	Tick func(phone, arg uint32)
}

// PhoneConfig is the configuration of one phone. Phones may share Settings.
type PhoneConfig struct {
	Name     string
	Settings *nodes.PhoneSettings
	Address  net.IP // from which its program connects; nil for any
	// Log is the phone's contact log on disk, which the world closes. If it is nil, the log is in memory only.
	Log *files.ContactLog
	// Program is the shell command of a phone that is a program of another implementation, or empty. {port} is
	// replaced by the port of the server, and {udp} by that of the phone. It needs a clock that runs by itself.
	Program string
}

// World is one run. Run and Close take the lock. The other methods are called with the lock held, from calls and
// observers, or before Run, when no other goroutine uses the world.
type World struct {
	config   Config
	locked   bool // Run has begun, and its caller holds the lock
	schedule *scheduler
	emit     *event.Emitter
	udp      *udp
	tcp      *tcp
	scripts  *scripts
	phones   []*phoneHost
	server   *serverHost           // nil if the server is remote
	front    *socket.DialectServer // of the server, for programs; nil if there is none
}

var _ world.World = (*World)(nil)

// New returns a world and binds a socket for each phone and one for the server. Nothing runs before Run. Close must
// be called in any case.
func New(c Config) (*World, error) {
	s := newScheduler(&c)
	m := &event.Emitter{Stream: c.Events, Now: (*int64)(&s.now)}
	order := &turns{schedule: s}
	w := &World{config: c, schedule: s, emit: m}
	w.udp = &udp{
		schedule: s, emit: m, configs: c.Phones, phones: map[protocol.Address]uint32{},
		extra: map[source]*net.UDPConn{}, inFlight: map[path][]datagram{},
	}
	w.tcp = &tcp{
		schedule: s, turns: order, emit: m, configs: c.Phones,
		open: map[*connection]struct{}{}, dialed: map[netip.AddrPort]*connection{},
	}
	w.scripts = &scripts{schedule: s, emit: m, tcp: w.tcp, current: map[uint32]*scriptedConn{}}
	w.scripts.ctx, w.scripts.cancel = context.WithCancel(context.Background())
	s.callAt(c.Begin, false, w.start)
	s.addWork(order.unfinished)
	s.addWork(w.udp.work)
	order.add(w.tcp.unfinished)
	if err := errors.Join(w.bindPhones(), w.bindServer(order)); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

// bindPhones opens the UDP socket of each phone.
func (w *World) bindPhones() error {
	for i, c := range w.config.Phones {
		conn, err := w.udp.bind(c.Program != "")
		if err != nil {
			return fmt.Errorf("binding the UDP socket of %s: %w", c.Name, err)
		}
		p := &phoneHost{
			number: uint32(i), config: c, zone: w.config.Zone,
			schedule: w.schedule, emit: w.emit, udp: w.udp, tcp: w.tcp,
			socket: conn, address: w.udp.addresses[i], firstPart: map[protocol.Address]firstPart{},
		}
		p.beacons = newBeacons(p, w.config.Dialect)
		if c.Program != "" {
			p.program = newProgram(p, &w.config)
		}
		w.phones = append(w.phones, p)
		w.schedule.addMachine(c.Name, p.nextWake)
	}
	return nil
}

// bindServer opens the listener of the server, unless the server is remote.
func (w *World) bindServer(order *turns) error {
	if w.config.Remote != "" {
		w.tcp.remote = &remoteServer{schedule: w.schedule, emit: w.emit, tcp: w.tcp, address: w.config.Remote,
			dialect: w.config.Dialect, wire: w.config.Wire}
		w.tcp.address = w.config.Remote
		return nil
	}
	h := &serverHost{config: &w.config, schedule: w.schedule, turns: order, emit: w.emit, tcp: w.tcp}
	w.server, w.tcp.server = h, h
	w.schedule.addMachine("the server", h.nextWake)
	w.schedule.addWork(h.work)
	order.add(h.unfinished)
	err := h.bind()
	w.tcp.address = h.address
	return err
}

// start starts every node. The programs are the last: the server must listen.
func (w *World) start() {
	for _, p := range w.phones {
		if p.program != nil {
			continue
		}
		if err := p.start(); err != nil {
			w.schedule.fail(err)
			return
		}
	}
	if w.server != nil {
		w.server.start()
	}
	if err := w.startPrograms(); err != nil {
		w.schedule.fail(err)
		return
	}
	if w.config.Printed != nil {
		w.schedule.goroutines.Go(w.printed)
	}
}

// printed emits the lines that the remote server prints, until the world is closed.
func (w *World) printed() {
	for {
		select {
		case line := <-w.config.Printed:
			w.schedule.locked(func() { w.emit.Text(event.ServerPrinted, event.Server, line) })
		case <-w.scripts.ctx.Done():
			return
		}
	}
}

// Run implements world.World. It returns with the lock held, so that nothing changes before Close.
func (w *World) Run(ctx context.Context, until time.Duration, poll func()) error {
	w.schedule.mu.Lock()
	w.locked = true
	return w.schedule.run(ctx, until, poll)
}

// Close stops every node and goroutine, after all data has been saved. After Run, Close is called with the lock held
// and releases it.
func (w *World) Close() error {
	s := w.schedule
	if !w.locked {
		s.mu.Lock()
	}
	w.locked = false
	s.close()
	w.scripts.close()
	if w.server != nil {
		w.server.closeDisk()
	}
	s.mu.Unlock()

	errs := make([]error, len(w.phones), len(w.phones)+2)
	var ends sync.WaitGroup
	for i, p := range w.phones {
		ends.Go(func() { errs[i] = p.close() })
	}
	ends.Wait()
	if w.front != nil {
		errs = append(errs, w.front.Close())
	}
	if w.server != nil {
		errs = append(errs, w.server.close())
	}
	errs = append(errs, w.udp.close())
	s.goroutines.Wait()
	return errors.Join(errs...)
}

// Now returns the time of the current event.
func (w *World) Now() time.Duration { return w.schedule.now }

// Wall returns the same time as wall time in the scenario's zone.
func (w *World) Wall() time.Time {
	return w.schedule.origin.Add(w.schedule.now).In(w.config.Zone.Location())
}

// Name returns the name of a phone.
func (w *World) Name(phone uint32) string { return w.config.Phones[phone].Name }

// Events returns the number of events handled so far.
func (w *World) Events() uint64 { return w.schedule.events }

// Stop ends Run after the current event.
func (w *World) Stop() { w.schedule.stop() }

// Call runs f at the given time. A time that has passed means now.
func (w *World) Call(at time.Duration, f func()) { w.schedule.callAt(at, false, f) }

// CallLast runs f at the given time, after the other events of that instant. On the real clock, events on sockets may
// come later.
func (w *World) CallLast(at time.Duration, f func()) { w.schedule.callAt(at, true, f) }

// Tick calls Config.Tick at the given time.
func (w *World) Tick(at time.Duration, phone, arg uint32) {
	w.schedule.callAt(at, false, func() { w.config.Tick(phone, arg) })
}

// Watch makes the world emit an event.ScreenShown for each text that appears on the phone's screen.
func (w *World) Watch(phone uint32) { w.phones[phone].watched = true }

// Open starts a session of the phone's program.
func (w *World) Open(phone uint32) {
	w.emit.Plain(event.ProgramOpened, phone, event.NoPeer)
	w.phones[phone].host.Open()
}

// Type types a line at the prompt of the phone's program.
func (w *World) Type(phone uint32, line string) {
	w.emit.Text(event.LineTyped, phone, line)
	w.phones[phone].host.Type(line)
}

// TakeOver moves the session of the program other to the program phone.
func (w *World) TakeOver(phone, other uint32) {
	w.emit.Plain(event.SessionMoved, phone, other)
	w.phones[phone].takeOver(w.phones[other])
}

// Stage returns the stage of the program's session. That of a program of another implementation is not known.
func (w *World) Stage(phone uint32) nodes.Stage {
	if w.phones[phone].program != nil {
		return nodes.StageOffline
	}
	return w.phones[phone].host.Machine().Stage()
}

// TempID returns the beacon that the phone's program would send, or false if it has no TempID. That of a program of
// another implementation is not known.
func (w *World) TempID(phone uint32) (protocol.Beacon, bool) {
	if w.phones[phone].program != nil {
		return protocol.Beacon{}, false
	}
	return w.phones[phone].host.Machine().TempID()
}

// Log returns the phone's contact log without the entries that have expired by now.
func (w *World) Log(phone uint32) *nodes.ContactLog { return w.phones[phone].log() }

// PeekLog returns the phone's contact log as the program holds it.
func (w *World) PeekLog(phone uint32) *nodes.ContactLog { return w.phones[phone].peekLog() }

// Phone returns the counts of one phone.
func (w *World) Phone(phone uint32) world.PhoneCounts { return w.phones[phone].counts }

// SendBeacons sends the beacon of the phone's program to each of the phones in to, in that order.
func (w *World) SendBeacons(phone uint32, to []uint32) {
	for _, t := range to {
		w.phones[phone].host.Beacon(w.udp.addresses[t])
	}
}

// DatagramsInFlight returns the number of datagrams that have been sent and have been neither received nor lost.
func (w *World) DatagramsInFlight() int { return w.udp.count() }

// AnnounceForged counts a beacon whose datagrams a script sends itself.
func (w *World) AnnounceForged(phone, to uint32, raw *[protocol.BeaconSize]byte) {
	w.phones[phone].announce(&w.udp.addresses[to], raw)
}

// SendDatagram sends a datagram of a script from the phone's own socket if port is 0, else from an additional one.
func (w *World) SendDatagram(phone, to uint32, port uint16, b []byte) {
	w.emit.Plain(event.DatagramsForged, phone, event.NoPeer)
	var err error
	if dest := w.udp.addresses[to]; port == 0 {
		err = w.phones[phone].sendDatagram(&dest, b)
	} else {
		err = w.udp.sendFromExtra(source{phone, port}, &dest, b)
	}
	w.schedule.fail(err)
}

// RawOpen opens a connection that the script drives. The script's previous connection stays open, unused.
func (w *World) RawOpen(phone uint32) { w.scripts.open(phone) }

// RawIsOpen reports whether the script has a connection.
func (w *World) RawIsOpen(phone uint32) bool { return w.scripts.isOpen(phone) }

// RawSend sends bytes on the script's connection, once it is established.
func (w *World) RawSend(phone uint32, b []byte) { w.scripts.send(phone, b) }

// RawEnd ends the script's side after all bytes have been sent, with a reset or a half-close.
func (w *World) RawEnd(phone uint32, reset bool) { w.scripts.end(phone, reset) }

// shortRestart is the time from which on the world goes on while a server in another process is down.
const shortRestart = 10 * time.Second

// RestartServer kills the server and starts it again after down. It releases the lock meanwhile, so only a function
// given to Call or CallLast may call it. It does nothing if the server is down, or was not started by this process.
func (w *World) RestartServer(down time.Duration) {
	switch s := w.schedule; {
	case w.server != nil:
		w.server.restart(down)
	case w.config.Restart != nil:
		w.emit.Text(event.ProgramStatus, event.Server, "is killed")
		s.mu.Unlock()
		w.config.Kill()
		s.mu.Lock()
		again := func() {
			s.mu.Unlock()
			err := w.config.Restart()
			s.mu.Lock()
			s.fail(err)
		}
		if down < shortRestart { // the next step finds the server again, however long its start takes
			again()
		} else {
			s.callAt(s.now+down, false, again)
		}
	}
}
