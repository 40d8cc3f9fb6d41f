package socket

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/benbjohnson/clock"

	"bluetrace/nodes"
	"bluetrace/nodes/socket/epoll"
)

// Disk stores records durably in two files, one for issues and one for attempts. It stores
// all records of a file or none, and returns an error for each file. It keeps attempts that
// it could not store, and stores them with the next ones or a nodes.RecordUnsaved. One
// goroutine at a time calls it, without the lock. If ServerConfig.Inline is set, the lock
// is held.
type Disk interface {
	Store(records []nodes.Record) (issues, attempts error)
}

// ServerObserver receives all inputs and effects of the server's machine, in order and
// with the time that the machine was given. Its methods are called with the lock held.
// Their arguments are valid during the call only.
type ServerObserver interface {
	Accepted(now nodes.Now, c nodes.Conn, from netip.AddrPort)
	// Read is called before the machine receives the bytes.
	Read(now nodes.Now, c nodes.Conn, p []byte)
	// Ended is called before the machine receives the end of a connection: an end of
	// file, a broken connection, or Server.Close.
	Ended(now nodes.Now, c nodes.Conn)
	// Effect is called before the effect is carried out.
	Effect(now nodes.Now, e *nodes.ServerEffect)
	// Stored is called before the machine receives the result of a store.
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
	// MaxSockets limits the number of sessions and lingering connections together. It is
	// above Settings.MaxConnections, or 0 for no limit.
	MaxSockets int
	Disk       Disk
	Clock      clock.Clock
	Origin     time.Time      // the time at which Elapsed is 0
	Lock       sync.Locker    // held during each call of the machine; several hosts may share it
	Observer   ServerObserver // nil if the server is not observed
	// Output receives the printed lines. A goroutine of its own writes to it. If it is
	// nil, the lines are dropped.
	Output io.Writer
	// Credentials returns the accounts, and reports whether they have changed since the
	// last call. NewServer uses the list of the first call in any case. Later calls come
	// before the input of sessions that are not logged in. Calls are never concurrent, and
	// the lock is not held. While a call takes long, other sessions use the last list. If
	// Credentials is nil, there are no accounts.
	Credentials func() (list []nodes.Credential, changed bool)
	// Restore passes the records that an earlier server stored to the function take, in
	// order. It is nil if there are none.
	Restore func(take func(nodes.Record) error) error
	// Inline means that Disk.Store does not wait for a device. The server then calls it
	// at once, with the lock held.
	Inline bool
	// CloseTimeout is the longest real time for which Close waits for a disk that does not
	// answer. 0 means no limit.
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

	refreshing  chan struct{} // holds one token while the accounts are read; taken before lock
	slowRefresh atomic.Bool   // that takes longer than refreshLimit

	// With the lock held:
	machine   *nodes.Server
	out       nodes.ServerOutbox
	alarm     alarm
	conns     []*conn      // by nodes.Conn; nil if the number is free
	free      []nodes.Conn // numbers that are free
	alive     []*conn      // every conn until its socket is closed, in no order
	causer    *outputShare // of the account whose input the machine handles; nil if it is not known
	running   *conn        // the conn whose goroutine is calling the machine; nil if there is none
	woken     []*conn      // other conns for which the current call of the machine has effects
	lingering int          // number of conns that are closed and not yet removed
	hasty     bool         // lingering closes are short
	inline    []request    // requests of the current call that are not stored yet, if Inline is set
	queue     []request    // requests that wait for the committer
	enough    int          // length of the queue at which the committer is woken
	storing   bool         // the committer is calling the disk
	stored    *sync.Cond   // signals that storing was cleared, or that the server was killed
	phase     phase

	polls []*poll // does not change; if it is empty, every conn has a goroutine

	work  chan struct{}  // holds at most one token: the queue has enough requests
	freed chan struct{}  // holds at most one token: a file descriptor may be free again
	ended chan struct{}  // closed when Close or Kill begins
	tasks sync.WaitGroup // counts the goroutines of the server, except the printer's

	stopping sync.Once
}

// phase is a phase in the life of a server.
type phase uint8

const (
	serving phase = iota
	closing       // nothing more is accepted or read
	killed        // the machine is not called any more
)

// NewServer restores the machine and passes the credentials to it. It does not accept
// connections yet, and does not take the lock. Close or Kill must end the server even if
// Serve was never called.
func NewServer(c ServerConfig) (*Server, error) {
	machine, err := nodes.NewServer(c.Settings)
	if err != nil {
		return nil, err
	}
	s := &Server{
		config:     c,
		lock:       c.Lock,
		machine:    machine,
		real:       RealClock(),
		system:     c.system,
		linger:     defaultLinger(),
		stored:     sync.NewCond(c.Lock),
		refreshing: make(chan struct{}, 1),
		work:       make(chan struct{}, 1),
		freed:      make(chan struct{}, 1),
		ended:      make(chan struct{}),
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
		machine.SetPasswords(nodes.NewPasswords(list))
	}
	s.printer = newPrinter(c.Output, s.releaseShares)
	s.polls = newPolls(s)
	for _, p := range s.polls {
		s.tasks.Go(p.run)
	}
	if !c.Inline {
		s.tasks.Go(s.commit)
	}
	return s, nil
}

// Machine returns the machine. The lock must be held while it is used.
func (s *Server) Machine() *nodes.Server { return s.machine }

// Print adds lines to the output, in order with those of the machine. It takes no
// lock and never blocks. The text has no final line end and only printable
// characters.
func (s *Server) Print(text string) { s.printer.add(text, nil) }

// releaseShares resumes the sessions of accounts that were held.
func (s *Server) releaseShares(list []*outputShare) {
	s.lock.Lock()
	defer s.lock.Unlock()
	if s.phase != serving {
		return
	}
	for _, x := range s.alive {
		if slices.Contains(list, x.share) {
			s.touch(x)
		}
	}
	s.wake()
}

// Serve prints that the server listens, and accepts connections until Close or Kill. Then
// it returns nil. An error means that the listener was closed by another caller.
func (s *Server) Serve() error {
	s.lock.Lock()
	if s.phase != serving {
		s.lock.Unlock()
		return nil
	}
	s.tasks.Add(1)
	s.call(s.machine.Start)
	s.lock.Unlock()
	defer s.tasks.Done()
	return s.accept()
}

func (s *Server) now() nodes.Now { return now(s.config.Clock, s.config.Origin) }

// ring wakes the machine at its deadline.
func (s *Server) ring() {
	if s.phase != killed {
		s.call(s.machine.Wake)
	}
}

// call passes an input to the machine, and carries out its effects. The lock is held.
func (s *Server) call(input func(nodes.Now, *nodes.ServerOutbox)) {
	t := s.now()
	input(t, &s.out)
	s.carryOut(t)
	s.wake()
}

// refreshLimit is the longest real time for which a session waits for a reading of the
// accounts. For a million accounts that takes about a second.
const refreshLimit = 100 * time.Millisecond

// refreshCredentials passes the accounts to the machine if they have changed. A second
// caller waits for the first, so that no session continues with a list that is older than
// its call, unless the reading takes longer than refreshLimit: then it goes on beside the
// sessions, which use the last list. The lock is only held to replace the list.
func (s *Server) refreshCredentials() {
	if s.config.Credentials == nil || s.slowRefresh.Load() {
		return
	}
	limit := s.real.Timer(refreshLimit)
	defer limit.Stop()
	select {
	case s.refreshing <- struct{}{}:
	case <-limit.C:
		return
	}
	read := make(chan struct{})
	s.tasks.Go(func() { // the caller is a task, too
		if list, changed := s.config.Credentials(); changed {
			passwords := nodes.NewPasswords(list)
			s.lock.Lock()
			s.machine.SetPasswords(passwords)
			s.lock.Unlock()
		}
		close(read)
		s.slowRefresh.Store(false)
		<-s.refreshing
	})
	select {
	case <-read:
	case <-limit.C:
		s.slowRefresh.Store(true)
		select {
		case <-read: // since a moment
			s.slowRefresh.Store(false)
		default:
		}
	}
}

const (
	// acceptRetry is the longest pause after a failed Accept. The pause ends early when a
	// connection ends.
	acceptRetry = 100 * time.Millisecond
	// acceptQuiet is the time without errors of Accept after which the next one is printed
	// again.
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
		lacks := func(e error) bool { return errors.Is(err, e) }
		if slices.ContainsFunc(exhausted, lacks) {
			s.makeRoom()
		}
		s.awaitDescriptor()
	}
}

// awaitSockets waits while sessions and lingering connections have reached MaxSockets.
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
	s.hasty = true
	s.call(s.machine.EvictSession)
	s.hasty = false
}

func (s *Server) hasEnded() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

// exhausted are the errors of an Accept that lacks resources. The end of another connection
// would free some.
var exhausted = []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM}

// awaitDescriptor waits until a connection ends, for at most acceptRetry.
func (s *Server) awaitDescriptor() {
	retry := s.real.Timer(acceptRetry)
	defer retry.Stop()
	select {
	case <-s.freed:
	case <-s.ended:
	case <-retry.C:
	}
}

// begin gives an accepted connection a number, reports it to the machine, and starts its
// goroutine.
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
	from := tcpAddress(tcp.RemoteAddr())
	s.config.Observer.Accepted(t, x.number, from)
	s.machine.Accept(t, x.number, from.Addr(), &s.out)
	s.carryOut(t)
	s.wake()
	s.tasks.Go(x.run)
}

// closeGrace is the real time for which Close waits for the peers to receive their answers
// and to end, and for the output to receive its lines.
const closeGrace = 250 * time.Millisecond

// ErrUnsaved is the error of Close if the disk did not answer in time.
var ErrUnsaved = errors.New("the disk does not answer")

// Close ends the server without losing anything. It stores every record that waits, then
// ends every session, and sends each peer its unsent answers and the end of file. It
// returns after every goroutine has ended. The error is that of closing the listener. The
// lock must not be held.
//
// After CloseTimeout, Close breaks the connections and does not wait for goroutines that
// are blocked by a file. Then the error is ErrUnsaved if records were not stored.
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
	s.call(s.machine.Save)
	s.awaitDisk()
	if s.phase == closing {
		for _, x := range s.conns {
			if x != nil {
				s.hangUp(x)
			}
		}
		s.wake()
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

// awaitDisk waits until every record is stored. The caller holds the lock, which is
// released during the wait.
func (s *Server) awaitDisk() {
	for s.storing || len(s.queue) > 0 {
		s.stored.Wait()
	}
}

// Kill ends the server as a SIGKILL would: connections break, and waiting records, answers
// and lines are lost. After it returns, nothing more is written to the disk, and every
// goroutine has ended. The lock must not be held.
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

// stop ends the goroutines that accept, poll and store. It returns the error of closing
// the listener.
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
