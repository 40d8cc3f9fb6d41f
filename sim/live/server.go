package live

import (
	crand "crypto/rand"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"bluetrace/nodes"
	"bluetrace/nodes/files"
	"bluetrace/nodes/socket"
	"bluetrace/protocol"
	"bluetrace/sim/event"
)

// serverHost runs the machine of the server on a host of package nodes/socket, which it observes. A restart replaces
// the host and the machine.
type serverHost struct {
	config   *Config
	schedule *scheduler
	turns    *turns
	emit     *event.Emitter
	tcp      *tcp

	address  string
	listener net.Listener // bound, until a host takes it
	entropy  *rand.ChaCha8
	host     *socket.Server // nil while the server is down
	disk     *disk
	started  bool     // the server has been started before
	starting bool     // the server has not printed that it listens
	stores   []uint64 // turns of the unfinished stores
}

var _ socket.ServerObserver = (*serverHost)(nil)

// bind opens the listener at a free port.
func (h *serverHost) bind() error {
	var seed [32]byte
	_, _ = crand.Read(seed[:]) // it never fails
	h.entropy = rand.NewChaCha8(seed)
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listening for the phones: %w", err)
	}
	h.listener, h.address = l, l.Addr().String()
	return nil
}

// start starts a server from the files in the folder. An error fails the run.
func (h *serverHost) start() {
	if err := h.tryStart(); err != nil {
		h.schedule.fail(fmt.Errorf("starting the server: %w", err))
	}
}

func (h *serverHost) tryStart() (err error) {
	if h.listener == nil {
		if h.listener, err = net.Listen("tcp4", h.address); err != nil {
			return err
		}
	}
	zone, s := h.config.Zone, h.schedule
	folder, err := files.OpenServer(h.config.Folder, files.ServerOptions{Zone: zone, Entropy: crand.Reader})
	if err != nil {
		return err
	}
	d := &disk{server: h, schedule: s, folder: folder}
	settings := h.config.Server
	settings.Entropy, settings.Zone, settings.NameKey = h.entropy, zone, folder.NameKey()
	issued := map[protocol.TempID]nodes.Issue{}
	host, err := socket.NewServer(socket.ServerConfig{
		Settings: settings, Listener: &listener{h.listener, h.tcp, d}, Disk: d,
		Clock: s.clock, Origin: s.origin, Lock: &s.mu, Observer: h,
		Credentials: func() ([]nodes.Credential, bool) { return h.config.Credentials, false },
		Restore: func(take func(nodes.Record) error) error {
			return folder.Restore(s.clock.Now().UnixNano(), func(r nodes.Record) error {
				if r.Kind == nodes.RecordIssue {
					issued[r.Issue.TempID] = r.Issue
				}
				return take(r)
			})
		},
	})
	if err != nil {
		return errors.Join(err, folder.Close())
	}
	if h.started {
		h.emit.ServerStarted(func(id protocol.TempID) (nodes.Issue, bool) {
			i, ok := issued[id]
			return i, ok
		})
	}
	h.started = true
	h.host, h.disk, h.listener, h.starting, h.stores = host, d, nil, true, nil
	s.goroutines.Go(func() {
		if err := host.Serve(); err != nil {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.fail(err)
		}
	})
	return nil
}

// restart kills the server and starts it again after down. It releases the lock while the host stops.
func (h *serverHost) restart(down time.Duration) {
	if h.host == nil {
		return
	}
	s, host, d := h.schedule, h.host, h.disk
	h.emit.Text(event.ProgramStatus, event.Server, "is killed")
	h.host, h.starting, d.dying = nil, false, true
	s.notify()
	s.mu.Unlock()
	host.Kill()
	err := d.folder.Close()
	s.mu.Lock()
	h.disk = nil
	if err != nil {
		s.fail(fmt.Errorf("closing the files of the killed server: %w", err))
	}
	h.emit.ServerStopped(h.tcp.openAtServer())
	h.tcp.serverKilled()
	startAgain := func() {
		h.emit.Text(event.ProgramStatus, event.Server, "is started again")
		h.start()
	}
	if down <= 0 {
		startAgain()
	} else {
		s.callAt(s.now+down, false, startAgain)
	}
}

// closeDisk makes stores reach the disk without a delay, at the end of the world.
func (h *serverHost) closeDisk() {
	if h.disk != nil {
		h.disk.closing, h.disk.delayed = true, false
	}
}

// close stops the host and closes the files. The caller does not hold the lock.
func (h *serverHost) close() error {
	var errs []error
	if h.listener != nil {
		errs = append(errs, h.listener.Close())
	}
	if h.host != nil {
		errs = append(errs, h.host.Close())
	}
	if h.disk != nil {
		errs = append(errs, h.disk.folder.Close())
	}
	return errors.Join(errs...)
}

// isReading reports whether the machine accepts bytes of a connection now.
func (h *serverHost) isReading(c nodes.Conn) bool {
	return h.host != nil && h.host.Machine().Reading(c)
}

func (h *serverHost) nextWake() (time.Duration, bool) {
	if h.host == nil {
		return 0, false
	}
	return h.host.Machine().NextWake()
}

// work yields the start as unfinished work.
func (h *serverHost) work(yield func(uint64, string) bool) {
	if h.host != nil && h.starting {
		yield(0, "the server's start")
	}
}

// store returns the turn and the description of the first unfinished store. A store that waits for the clock is not
// unfinished work.
func (h *serverHost) store() (turn uint64, text string) {
	if h.host == nil || len(h.stores) == 0 || h.disk.delayed {
		return 0, ""
	}
	return h.stores[0], fmt.Sprintf("%d stores", len(h.stores))
}

// unfinished yields the turn of the first unfinished store.
func (h *serverHost) unfinished(yield func(uint64, string) bool) {
	if turn, text := h.store(); text != "" {
		yield(turn, text)
	}
}

// observe records the time of an observed event. It returns false if the world is being closed.
func (h *serverHost) observe(now nodes.Now) bool {
	h.schedule.notify()
	return h.schedule.observe(now)
}

// Accepted handles a new connection.
func (h *serverHost) Accepted(now nodes.Now, c nodes.Conn, from netip.AddrPort) {
	if h.observe(now) {
		h.tcp.accepted(c, from)
	}
}

// Read handles bytes that the server reads.
func (h *serverHost) Read(now nodes.Now, c nodes.Conn, p []byte) {
	if h.observe(now) {
		h.tcp.serverReads(c, p)
	}
}

// Ended handles the end of a phone's stream.
func (h *serverHost) Ended(now nodes.Now, c nodes.Conn) {
	if h.observe(now) {
		h.tcp.serverReadsEnd(c)
	}
}

// Effect handles one effect of the machine.
func (h *serverHost) Effect(now nodes.Now, e *nodes.ServerEffect) {
	if !h.observe(now) {
		return
	}
	switch e.Kind {
	case nodes.EffectSend:
		h.tcp.serverSends(e.Conn, e.Bytes)
	case nodes.EffectClose:
		h.tcp.serverCloses(e.Conn)
	case nodes.EffectPrint:
		h.starting = false
		h.emit.Text(event.ServerPrinted, event.Server, e.Text)
	case nodes.EffectStore:
		h.stores = append(h.stores, h.turns.next())
		h.emit.StoreAsked(e.Records)
		h.disk.delay(len(e.Records))
	case nodes.EffectEvent:
		h.emit.ServerDecided(&h.tcp.at(e.Conn).Connection, &e.Event)
	}
}

// Stored handles the end of a store.
func (h *serverHost) Stored(now nodes.Now, id nodes.StoreID, records []nodes.Record, err error) {
	if !h.observe(now) {
		return
	}
	h.stores = h.stores[1:]
	h.emit.StoreDone(id, records, err)
}

// disk is the server's folder behind the delay of Config.DiskDelay. The delay passes on the world's clock.
type disk struct {
	server   *serverHost
	schedule *scheduler
	folder   *files.Server
	last     time.Duration // latest time in dues; stores reach the disk in order
	dues     []due
	delayed  bool // a store waits for the clock
	dying    bool // the server is being killed: stores wait until killed is set
	killed   bool // the server is killed: stores fail
	closing  bool // the world is being closed: stores do not wait for the clock
}

// due is the time at which a request reaches the disk.
type due struct {
	records int
	at      time.Duration
}

var (
	_ socket.Disk = (*disk)(nil)

	errKilled = errors.New("the server was killed")
)

// delay draws the delay of a request of so many records. The host may join several requests into one Store.
func (d *disk) delay(records int) {
	if draw := d.server.config.DiskDelay; draw != nil {
		d.last = max(d.last, d.schedule.now+draw())
		d.dues = append(d.dues, due{records, d.last})
	}
}

// Store implements socket.Disk. The host calls it without the lock.
func (d *disk) Store(records []nodes.Record) (issues, attempts error) {
	if !d.wait(len(records)) {
		return errKilled, errKilled
	}
	return d.folder.Store(records)
}

// wait waits for the turn of requests with so many records in total, and for the time at which the last of them
// reaches the disk. It returns false if the server is killed meanwhile.
func (d *disk) wait(records int) bool {
	s := d.schedule
	s.mu.Lock()
	defer s.mu.Unlock()
	d.server.turns.wait(d.server.store)
	at := s.now
	for records > 0 && len(d.dues) > 0 {
		records -= d.dues[0].records
		at = d.dues[0].at
		d.dues = d.dues[1:]
	}
	if at > s.now && !d.closing {
		d.delayed = true
		s.callAt(at, false, func() { d.delayed = false; s.notify() })
		s.notify()
	}
	// The store of a server that is being killed must not end while its machine can still handle the result.
	for !d.killed && (d.delayed || d.dying) {
		s.wait()
	}
	return !d.killed
}

// listener accepts connections for the server and returns each once its phone is known.
type listener struct {
	net.Listener
	tcp  *tcp
	disk *disk
}

// Close implements net.Listener. The host calls it when its machine handles no more input, so a store of a killed
// server may fail from then on.
func (l *listener) Close() error {
	l.tcp.schedule.notifyLater(func() { l.disk.killed = !l.disk.closing })
	return l.Listener.Close()
}

// identifyTimeout is the real time after which a connection that no phone has opened is accepted as one from outside
// this world.
const identifyTimeout = 250 * time.Millisecond

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	s := l.tcp.schedule
	s.mu.Lock()
	defer s.mu.Unlock()
	over, stop := s.realTimeout(identifyTimeout)
	defer stop()
	for !l.tcp.isDialed(addressOf(conn.RemoteAddr())) && !*over && !s.closing {
		s.wait()
	}
	return l.tcp.serverSide(conn), nil
}
