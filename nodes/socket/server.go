package socket

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/benbjohnson/clock"

	"bluetrace/nodes"
)

// Disk makes records durable: all or nothing for each of its two files. The
// errors say which of the two could not be written. One goroutine calls it,
// without the lock (with it when Inline).
type Disk interface {
	Store(records []nodes.Record) (issues, attempts error)
}

// ServerObserver is told of everything that concerns the machine, with the lock
// held, in the order of events and with the machine's own now. What it is given
// is valid during the call only.
type ServerObserver interface {
	Accepted(now nodes.Now, c nodes.Conn, from netip.AddrPort)
	// Read is before the machine takes it.
	Read(now nodes.Now, c nodes.Conn, p []byte)
	// Ended is the end of file, or that the connection broke, before the machine
	// takes it; also when Close ends the session.
	Ended(now nodes.Now, c nodes.Conn)
	// Effect is each effect, before it is carried out.
	Effect(now nodes.Now, e *nodes.ServerEffect)
	// Stored is before the machine takes it.
	Stored(now nodes.Now, id nodes.StoreID, records []nodes.Record, err error)
}

// ServerConfig is what a Server is built from.
type ServerConfig struct {
	Settings nodes.ServerSettings
	Listener net.Listener // the server closes it
	// MaxSockets bounds the sessions and, beside them, the connections that are
	// closed and wait for their peer's end; 0: nothing does. It is above the
	// settings' MaxConnections.
	MaxSockets int
	Disk       Disk
	Clock      clock.Clock
	Origin     time.Time // zero of Elapsed
	Lock       sync.Locker
	Observer   ServerObserver // nil: none
	// Output takes the printed lines, in a goroutine of its own; nil: nobody does.
	Output io.Writer
	// Credentials is asked before each read of a session that is not logged in;
	// true: they have changed. It is never called twice at once, nor with the lock
	// held. The list of the first call counts in any case. nil: nobody can log in.
	Credentials func() (list []nodes.Credential, changed bool)
	// Restore brings what a former server stored, in its order; nil: nothing.
	Restore func(take func(nodes.Record) error) error
	// Inline says that Disk.Store does not wait for a device: it is called at
	// once, with the lock held.
	Inline bool
	// CloseTimeout is for how long, in real time, Close waits for a disk that does
	// not answer; 0: for ever.
	CloseTimeout time.Duration
}

// Server hosts the health authority's machine behind a listener.
type Server struct {
	config   ServerConfig
	lock     sync.Locker
	printer  *printer
	real     clock.Clock // for bounds on the network and the kernel
	farewell farewell

	credentials sync.Mutex // taken before lock

	// With the lock held:
	machine   *nodes.Server
	out       nodes.ServerOutbox
	alarm     alarm
	conns     []*conn      // by nodes.Conn; nil: free
	free      []nodes.Conn // numbers to use again
	alive     []*conn      // every one that has a goroutine, in no order
	running   *conn        // whose goroutine makes the machine call; nil: another does
	woken     []*conn      // others that this call has something for
	lingering int          // conns that are closed and not gone yet
	hasty     bool         // farewells are short
	inline    []request
	queue     []request // waits for the committer
	enough    int       // requests in the queue for which the committer is woken
	storing   bool      // it is at the disk
	stored    *sync.Cond
	phase     phase

	polls []*poll // fixed; none: every conn has a goroutine

	work  chan struct{} // the queue is not empty
	freed chan struct{} // a file descriptor may be free again
	ended chan struct{} // Close or Kill was called
	tasks sync.WaitGroup

	stopping sync.Once
}

// phase is how far a server has come.
type phase uint8

const (
	serving phase = iota
	closing       // nothing more is accepted or read
	killed        // no machine calls any more
)

// NewServer restores the machine and gives it the credentials; nothing is
// accepted yet. It does not take the lock. Close or Kill must end the server,
// also when Serve was never called.
func NewServer(c ServerConfig) (*Server, error) {
	machine, err := nodes.NewServer(c.Settings)
	if err != nil {
		return nil, err
	}
	s := &Server{
		config:   c,
		lock:     c.Lock,
		machine:  machine,
		real:     clock.New(),
		farewell: usualFarewell(),
		stored:   sync.NewCond(c.Lock),
		work:     make(chan struct{}, 1),
		freed:    make(chan struct{}, 1),
		ended:    make(chan struct{}),
	}
	if c.MaxSockets > 0 {
		s.farewell.many = min(s.farewell.many, max(0, c.MaxSockets-c.Settings.MaxConnections)/2)
	}
	s.alarm = alarm{clock: c.Clock, lock: c.Lock, ring: s.ring}
	if c.Restore != nil {
		t := s.now() // one moment for all of them: there may be millions
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

// Machine is the machine that is hosted; the lock must be held as long as it is
// used.
func (s *Server) Machine() *nodes.Server { return s.machine }

// Print adds lines to the output, in order with those of the machine. It takes
// no lock and never blocks. text has no line end and nothing unprintable.
func (s *Server) Print(text string) { s.printer.add(text) }

// Serve says that it listens, and accepts connections until Close or Kill; then
// it returns nil. An error means that the listener is of no more use.
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

// ring is the alarm's: something is due.
func (s *Server) ring() {
	if s.phase == killed {
		return
	}
	t := s.now()
	s.machine.Wake(t, &s.out)
	s.carryOut(t)
	s.wake()
}

// refreshCredentials looks whether they have changed. Whoever asks next waits,
// so that nobody goes on with a list that is older than his question.
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

// isClosed is true of the error of a listener or a connection that was closed.
func isClosed(err error) bool { return errors.Is(err, net.ErrClosed) }
