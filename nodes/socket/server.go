package socket

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/benbjohnson/clock"

	"bluetrace/nodes"
	"bluetrace/nodes/socket/epoll"
)

// Disk makes records durable: all or none for each of its two files. The errors
// name the file that could not be written. One goroutine at a time calls it,
// without the lock (with the lock if ServerConfig.Inline).
type Disk interface {
	Store(records []nodes.Record) (issues, attempts error)
}

// ServerObserver receives everything that concerns the machine, with the lock
// held, in the order of events and with the machine's own now. Its arguments are
// valid during the call only.
type ServerObserver interface {
	Accepted(now nodes.Now, c nodes.Conn, from netip.AddrPort)
	// Read is called before the machine takes the bytes.
	Read(now nodes.Now, c nodes.Conn, p []byte)
	// Ended is called before the machine takes the end of file or the loss of the
	// connection, also when Close ends the session.
	Ended(now nodes.Now, c nodes.Conn)
	// Effect is called before the effect is carried out.
	Effect(now nodes.Now, e *nodes.ServerEffect)
	// Stored is called before the machine takes the result.
	Stored(now nodes.Now, id nodes.StoreID, records []nodes.Record, err error)
}

// IgnoreServer is a ServerObserver that does nothing. An observer embeds it to
// implement only some of the methods.
type IgnoreServer struct{}

// Accepted does nothing.
func (IgnoreServer) Accepted(nodes.Now, nodes.Conn, netip.AddrPort) {}

// Read does nothing.
func (IgnoreServer) Read(nodes.Now, nodes.Conn, []byte) {}

// Ended does nothing.
func (IgnoreServer) Ended(nodes.Now, nodes.Conn) {}

// Effect does nothing.
func (IgnoreServer) Effect(nodes.Now, *nodes.ServerEffect) {}

// Stored does nothing.
func (IgnoreServer) Stored(nodes.Now, nodes.StoreID, []nodes.Record, error) {}

// ServerConfig is the configuration of a Server.
type ServerConfig struct {
	Settings nodes.ServerSettings
	Listener net.Listener // the server closes it
	// MaxSockets limits the sessions together with the closed connections that wait
	// for their peer's end. It is above Settings.MaxConnections; 0 is no limit.
	MaxSockets int
	Disk       Disk
	Clock      clock.Clock
	Origin     time.Time // zero of Elapsed
	Lock       sync.Locker
	Observer   ServerObserver // nil if the server is not observed
	// Output receives the printed lines from a goroutine of its own. If it is nil
	// the lines are dropped.
	Output io.Writer
	// Credentials is called before each read of a session that is not logged in. It
	// returns changed if the list is not that of the call before; the first call
	// counts in any case. It is never called concurrently, nor with the lock held. If
	// it is nil there are no accounts.
	Credentials func() (list []nodes.Credential, changed bool)
	// Restore passes each record that a former server stored to take, in order. It
	// is nil if there are none.
	Restore func(take func(nodes.Record) error) error
	// Inline means that Disk.Store does not wait for a device: it is called at once,
	// with the lock held.
	Inline bool
	// CloseTimeout is the real time for which Close waits for a disk that does not
	// answer; 0 is no limit.
	CloseTimeout time.Duration

	system epoll.System // nil for the kernel's
}

// Server hosts the health authority's machine behind a listener.
type Server struct {
	config  ServerConfig
	lock    sync.Locker
	printer *printer
	real    clock.Clock // for limits on the network and the kernel
	system  epoll.System
	linger  lingerLimits

	credentials sync.Mutex // taken before lock

	// With the lock held:
	machine   *nodes.Server
	out       nodes.ServerOutbox
	alarm     alarm
	conns     []*conn      // by nodes.Conn; nil if the number is free
	free      []nodes.Conn // numbers that are free
	alive     []*conn      // every conn until its socket is closed, in no order
	running   *conn        // the conn whose goroutine is calling the machine; nil if there is none
	woken     []*conn      // other conns for which this call has work
	lingering int          // conns that are closed and not yet removed
	hasty     bool         // lingering closes are short
	inline    []request
	queue     []request // waits for the committer
	enough    int       // length of the queue at which the committer is woken
	storing   bool      // the committer is calling the disk
	stored    *sync.Cond
	phase     phase

	polls []*poll // does not change; if there is none every conn has a goroutine

	work  chan struct{} // the queue is not empty
	freed chan struct{} // a file descriptor may be free again
	ended chan struct{} // closed when Close or Kill begins
	tasks sync.WaitGroup

	stopping sync.Once
}

// phase is a phase in the life of a server.
type phase uint8

const (
	serving phase = iota
	closing       // nothing more is accepted or read
	killed        // the machine is not called any more
)

// NewServer restores the machine and gives it the credentials. It accepts nothing
// yet, and does not take the lock. Close or Kill must end the server even if Serve
// was never called.
func NewServer(c ServerConfig) (*Server, error) {
	machine, err := nodes.NewServer(c.Settings)
	if err != nil {
		return nil, err
	}
	s := &Server{
		config:  c,
		lock:    c.Lock,
		machine: machine,
		real:    RealClock(),
		system:  c.system,
		linger:  defaultLinger(),
		stored:  sync.NewCond(c.Lock),
		work:    make(chan struct{}, 1),
		freed:   make(chan struct{}, 1),
		ended:   make(chan struct{}),
	}
	if s.system == nil {
		s.system = epoll.Kernel()
	}
	if c.Observer == nil {
		s.config.Observer = IgnoreServer{}
	}
	if c.MaxSockets > 0 {
		s.linger.many = min(s.linger.many, max(0, c.MaxSockets-c.Settings.MaxConnections)/2)
	}
	s.alarm = alarm{clock: c.Clock, lock: c.Lock, ring: s.ring}
	if c.Restore != nil {
		t := s.now() // read once: there may be millions of records
		take := func(r nodes.Record) error { return machine.Restore(t, r) }
		if err := c.Restore(take); err != nil {
			return nil, fmt.Errorf("restoring what was stored: %w", err)
		}
	}
	if c.Credentials != nil {
		list, _ := c.Credentials()
		machine.SetCredentials(list)
	}
	s.printer = newPrinter(c.Output)
	s.polls = newPolls(s)
	for _, p := range s.polls {
		s.tasks.Add(1)
		go p.run()
	}
	if !c.Inline {
		s.tasks.Add(1)
		go s.commit()
	}
	return s, nil
}

// Machine returns the machine. The lock must be held while it is used.
func (s *Server) Machine() *nodes.Server { return s.machine }

// Print adds lines to the output, in order with those of the machine. It takes no
// lock and never blocks. The text has no final line end and only printable
// characters.
func (s *Server) Print(text string) { s.printer.add(text) }

// Serve prints that the server listens, and accepts connections until Close or
// Kill, when it returns nil. An error means that the listener failed for good.
func (s *Server) Serve() error {
	s.lock.Lock()
	if s.phase != serving {
		s.lock.Unlock()
		return nil
	}
	s.tasks.Add(1)
	t := s.now()
	s.machine.Start(t, &s.out)
	s.carryOut(t)
	s.lock.Unlock()
	defer s.tasks.Done()
	return s.accept()
}

func (s *Server) now() nodes.Now { return now(s.config.Clock, s.config.Origin) }

// ring wakes the machine when a deadline of it has come.
func (s *Server) ring() {
	if s.phase == killed {
		return
	}
	t := s.now()
	s.machine.Wake(t, &s.out)
	s.carryOut(t)
	s.wake()
}

// refreshCredentials gives the machine a list that has changed. A second caller
// waits, so that no session goes on with a list older than its call.
func (s *Server) refreshCredentials() {
	if s.config.Credentials == nil {
		return
	}
	s.credentials.Lock()
	defer s.credentials.Unlock()
	list, changed := s.config.Credentials()
	if !changed {
		return
	}
	s.lock.Lock()
	defer s.lock.Unlock()
	s.machine.SetCredentials(list)
}

const (
	// acceptRetry is the pause after a connection could not be accepted, unless one
	// ends before.
	acceptRetry = 100 * time.Millisecond
	// acceptQuiet is the time without errors after which the server prints again
	// that it cannot accept.
	acceptQuiet = time.Minute
)

// accept accepts connections until the server ends, or the listener is closed.
func (s *Server) accept() error {
	var lastError time.Time // real time; zero if there was none
	for {
		s.printer.await()
		s.awaitSockets()
		tcp, err := s.config.Listener.Accept()
		switch {
		case err == nil:
			s.begin(tcp)
			continue
		case s.hasEnded():
			return nil
		case isClosed(err):
			return fmt.Errorf("accepting a connection: %w", err)
		}
		t := s.real.Now()
		if lastError.IsZero() || t.Sub(lastError) >= acceptQuiet {
			s.Print(fmt.Sprintf("cannot accept a connection at the moment: %v", err))
		}
		lastError = t
		if isExhausted(err) {
			s.makeRoom()
		}
		s.awaitDescriptor()
	}
}

// awaitSockets waits while connections that linger leave fewer file descriptors
// than the sessions may need.
func (s *Server) awaitSockets() {
	for s.config.MaxSockets > 0 && s.sockets() >= s.config.MaxSockets && !s.hasEnded() {
		s.awaitDescriptor()
	}
}

func (s *Server) sockets() int {
	s.lock.Lock()
	defer s.lock.Unlock()
	return len(s.alive)
}

// makeRoom ends the session that the machine needs least.
func (s *Server) makeRoom() {
	s.lock.Lock()
	defer s.lock.Unlock()
	if s.phase != serving {
		return
	}
	t := s.now()
	s.hasty = true
	s.machine.EvictSession(t, &s.out)
	s.carryOut(t)
	s.hasty = false
	s.wake()
}

func (s *Server) hasEnded() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

// isExhausted reports whether Accept failed for a lack of resources that the end
// of another connection frees.
func isExhausted(err error) bool {
	lacks := []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM}
	return slices.ContainsFunc(lacks, func(e error) bool { return errors.Is(err, e) })
}

func (s *Server) awaitDescriptor() {
	retry := s.real.Timer(acceptRetry)
	defer retry.Stop()
	select {
	case <-s.freed:
	case <-s.ended:
	case <-retry.C:
	}
}

// begin gives a connection its number, and brings it to the machine.
func (s *Server) begin(tcp net.Conn) {
	s.lock.Lock()
	defer s.lock.Unlock()
	if s.phase != serving {
		closeQuietly(tcp)
		return
	}
	x := &conn{server: s, tcp: tcp, wake: make(chan struct{}, 1), place: len(s.alive)}
	if n := len(s.free); n > 0 {
		x.number = s.free[n-1]
		s.free = s.free[:n-1]
	} else {
		x.number = nodes.Conn(len(s.conns))
		s.conns = append(s.conns, nil)
	}
	s.conns[x.number] = x
	s.alive = append(s.alive, x)
	t := s.now()
	s.config.Observer.Accepted(t, x.number, tcpAddress(tcp.RemoteAddr()))
	s.machine.Accept(t, x.number, &s.out)
	s.carryOut(t)
	s.wake()
	s.tasks.Add(1)
	go x.run()
}

// closeGrace is the real time that Close gives the peers to take their answers and
// to end, and the output to take its lines.
const closeGrace = 250 * time.Millisecond

// ErrUnsaved is the error of Close if the disk did not answer in time.
var ErrUnsaved = errors.New("the disk does not answer")

// Close ends the server without losing anything: it stores every record that
// waits, then ends every session, and sends each peer its unsent answers and the
// end of file. It returns when every goroutine has ended, with the error of closing
// the listener. The lock must not be held.
//
// After CloseTimeout it waits no longer for a goroutine that is blocked by a file,
// and breaks the connections. The error is ErrUnsaved if records were not stored.
func (s *Server) Close() error {
	ended := make(chan error, 1)
	go func() { ended <- s.closeGracefully() }()
	var timeUp <-chan time.Time
	if limit := s.config.CloseTimeout; limit > 0 {
		timer := s.real.Timer(limit)
		defer timer.Stop()
		timeUp = timer.C
	}
	var err error
	select {
	case err = <-ended:
	case <-timeUp:
		err = s.closeNow()
	}
	s.printer.end(printRest, s.real, closeGrace)
	return err
}

func (s *Server) closeGracefully() error {
	s.lock.Lock()
	if s.phase != serving {
		s.lock.Unlock()
		s.tasks.Wait()
		return nil
	}
	s.phase = closing
	s.printer.release()
	for _, x := range s.alive {
		x.interrupt()
	}
	s.awaitDisk()
	if s.phase == closing {
		s.endSessions()
		s.awaitDisk() // for commands that had waited behind others
	}
	s.alarm.stop()
	s.lock.Unlock()
	err := s.stop()
	s.tasks.Wait()
	return err
}

// closeNow breaks the connections after CloseTimeout.
func (s *Server) closeNow() error {
	s.lock.Lock()
	unsaved := s.storing || len(s.queue) > 0
	s.abort()
	s.lock.Unlock()
	err := s.stop()
	if unsaved {
		return errors.Join(fmt.Errorf("%w: the last requests are not saved, and were not answered", ErrUnsaved), err)
	}
	return err
}

// awaitDisk waits until every record is stored. The lock is held, and free while
// it waits.
func (s *Server) awaitDisk() {
	for s.storing || len(s.queue) > 0 {
		s.stored.Wait()
	}
}

// endSessions reports the end of every session to the machine. The lock is held.
func (s *Server) endSessions() {
	t := s.now()
	for _, x := range s.conns {
		if x != nil {
			s.hangUp(t, x)
		}
	}
	s.wake()
}

// Kill ends the server as a SIGKILL would: connections break, and records, answers
// and lines that wait are lost. Once it returns nothing more reaches the disk, and
// every goroutine has ended. The lock must not be held.
func (s *Server) Kill() {
	s.lock.Lock()
	if s.phase == killed {
		s.lock.Unlock()
		s.tasks.Wait()
		return
	}
	s.abort()
	s.lock.Unlock()
	_ = s.stop() // a killed process reports no errors
	s.tasks.Wait()
	s.printer.end(printNone, s.real, closeGrace)
}

// abort breaks every connection. The machine is not called after it. The lock is
// held.
func (s *Server) abort() {
	s.phase = killed
	s.alarm.stop()
	s.printer.release()
	s.queue = nil
	for _, x := range s.alive {
		if x.poll == nil {
			closeQuietly(x.tcp)
		}
		x.resume()
	}
	s.stored.Broadcast() // to a Close that waits
}

// stop ends the goroutines that accept, poll and store.
func (s *Server) stop() error {
	s.stopping.Do(func() {
		close(s.ended)
		for _, p := range s.polls {
			p.poller.Stop()
		}
	})
	err := s.config.Listener.Close()
	if isClosed(err) {
		return nil
	}
	return err
}
