package socket

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/benbjohnson/clock"

	"bluetrace/nodes"
	"bluetrace/protocol"
)

// hang limits the waiting of a test. It is not a limit on speed.
const hang = 30 * time.Second

const (
	userA, passwordA = "+61410888888", "comp3331"
	userB, passwordB = "+61410999999", "comp9331"
)

// rig is a server on the loopback interface with its disk, output and clock in
// memory.
type rig struct {
	t      testing.TB
	server *Server
	lock   sync.Mutex
	mock   *clock.Mock // nil: the real clock
	disk   *testDisk
	watch  watcher
	output screen
	served chan error
	at     string
}

// newRig starts a server. The function change may modify its configuration.
func newRig(t testing.TB, change func(*rig, *ServerConfig)) *rig {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, mock: clock.NewMock(), disk: &testDisk{}, served: make(chan error, 1), at: l.Addr().String()}
	r.mock.Set(time.Date(2026, 11, 23, 6, 32, 38, 0, time.UTC))
	c := ServerConfig{
		Settings: nodes.DefaultServerSettings(), Listener: l, Disk: r.disk, Clock: r.mock,
		Lock: &r.lock, Output: &r.output, Observer: &r.watch,
		Credentials: func() ([]nodes.Credential, bool) {
			return []nodes.Credential{{User: userA, Password: passwordA}, {User: userB, Password: passwordB}}, false
		},
	}
	c.Settings.Entropy = rand.NewPCG(1, 2)
	if change != nil {
		change(r, &c)
	}
	if c.Listener == l && os.Getenv(plainVariable) != "" {
		c.Listener = plainListener{l}
	}
	c.Origin = c.Clock.Now()
	if r.server, err = NewServer(c); err != nil {
		t.Fatal(err)
	}
	go func() { r.served <- r.server.Serve() }()
	t.Cleanup(r.close)
	return r
}

// plainVariable is set to run the tests' servers without polls.
const plainVariable = "BLUETRACE_PLAIN_CONNECTIONS"

// plainListener accepts connections that no poll can watch.
type plainListener struct{ net.Listener }

func (l plainListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return plainConn{c.(*net.TCPConn)}, nil
}

type plainConn struct{ *net.TCPConn }

// close ends the server, even if the test has ended it already.
func (r *rig) close() {
	r.t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- r.server.Close() }()
	select {
	case err := <-ended:
		if err != nil {
			r.t.Errorf("closing the server: %v", err)
		}
	case <-time.After(hang):
		r.t.Fatal("closing the server hangs")
	}
	select {
	case err := <-r.served:
		if err != nil {
			r.t.Errorf("Serve: %v", err)
		}
		r.served <- nil
	case <-time.After(hang):
		r.t.Fatal("Serve does not return")
	}
}

// await calls done, with the lock held, until it is true.
func (r *rig) await(what string, done func() bool) {
	r.t.Helper()
	end := time.Now().Add(hang)
	for {
		r.lock.Lock()
		ok := done()
		r.lock.Unlock()
		if ok {
			return
		}
		if time.Now().After(end) {
			r.t.Fatalf("waited for nothing: %s\noutput so far:\n%s", what, r.output.String())
		}
		yield()
	}
}

// yield lets other goroutines run for an unspecified time.
func yield() { <-time.After(50 * time.Microsecond) }

// awaitOutput waits until the output contains all of text.
func (r *rig) awaitOutput(text string) {
	r.t.Helper()
	r.await("output "+text, func() bool { return strings.Contains(r.output.String(), text) })
}

// screen is an output in memory.
type screen struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// testDisk keeps the records in memory.
type testDisk struct {
	mu       sync.Mutex
	records  []nodes.Record
	batches  []int
	issues   error // of the next calls of Store, which then keep nothing
	attempts error
	gate     chan struct{} // not nil: each store takes one from it before it begins
	waiting  int           // stores at the gate
}

func (d *testDisk) Store(records []nodes.Record) (issues, attempts error) {
	if gate := d.enter(); gate != nil {
		<-gate
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.waiting--
	d.batches = append(d.batches, len(records))
	for _, r := range records {
		if r.Kind == nodes.RecordIssue && d.issues == nil || r.Kind == nodes.RecordAttempts && d.attempts == nil {
			d.records = append(d.records, r)
		}
	}
	return d.issues, d.attempts
}

func (d *testDisk) enter() chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.waiting++
	return d.gate
}

func (d *testDisk) set(change func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change()
}

func (d *testDisk) kept() []nodes.Record {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]nodes.Record(nil), d.records...)
}

// sizes returns the numbers of records that were stored together.
func (d *testDisk) sizes() []int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.batches)
}

// peer is the other end of a connection, with plain sockets.
type peer struct {
	*net.TCPConn
	t   testing.TB
	rig *rig
}

func (r *rig) dial() *peer {
	r.t.Helper()
	c, err := net.Dial("tcp", r.at)
	if err != nil {
		r.t.Fatal(err)
	}
	p := &peer{TCPConn: c.(*net.TCPConn), t: r.t, rig: r}
	if err := p.SetDeadline(time.Now().Add(hang)); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { p.Close() })
	return p
}

// say sends text in one write.
func (p *peer) say(text string) {
	p.t.Helper()
	if _, err := p.Write([]byte(text)); err != nil {
		p.t.Fatalf("sending %q: %v", text, err)
	}
}

// hear reads exactly text.
func (p *peer) hear(text string) {
	p.t.Helper()
	got := make([]byte, len(text))
	n, err := io.ReadFull(p, got)
	if err != nil || string(got) != text {
		p.t.Fatalf("heard %q (%v), want %q\noutput so far:\n%s", got[:n], err, text, p.rig.output.String())
	}
}

// hearEnd reads the end of file without any bytes before it, and closes.
func (p *peer) hearEnd() {
	p.t.Helper()
	got, err := io.ReadAll(p)
	if err != nil || len(got) != 0 {
		p.t.Fatalf("heard %q (%v), want the end of file\noutput so far:\n%s", got, err, p.rig.output.String())
	}
	p.Close()
}

func (p *peer) tempID() protocol.TempID {
	p.t.Helper()
	var id protocol.TempID
	if _, err := io.ReadFull(p, id[:]); err != nil {
		p.t.Fatalf("reading a TempID: %v", err)
	}
	if _, err := protocol.ParseTempID(id[:]); err != nil {
		p.t.Fatalf("TempID %q: %v", id[:], err)
	}
	return id
}

// piece sends text in one write, and waits until the server has read it, so that
// the next bytes come in another read.
func (p *peer) piece(text string) {
	p.t.Helper()
	var before int
	p.rig.await("nothing", func() bool { before = p.rig.watch.bytes; return true })
	p.say(text)
	p.rig.await(fmt.Sprintf("%q to be read", text), func() bool { return p.rig.watch.bytes >= before+len(text) })
}

// login sends the username, waits until the server has read it, and sends the
// password.
func (p *peer) login(user, password string) {
	p.t.Helper()
	p.piece(user)
	p.say(password)
	p.hear(protocol.Welcome)
}

// watcher is an observer that records the events. The server's lock guards it.
type watcher struct {
	accepted, reads, ended int
	bytes                  int // read
	reasons                []string
	froms                  []netip.AddrPort
	stored                 []error
	last                   nodes.Now
	backwards              bool // a moment was earlier than the one before
}

func (w *watcher) at(now nodes.Now) {
	w.backwards = w.backwards || now.Elapsed < w.last.Elapsed
	w.last = now
}

func (w *watcher) Accepted(now nodes.Now, _ nodes.Conn, from netip.AddrPort) {
	w.at(now)
	w.accepted++
	w.froms = append(w.froms, from)
}

func (w *watcher) Read(now nodes.Now, _ nodes.Conn, p []byte) {
	w.at(now)
	w.reads++
	w.bytes += len(p)
}

func (w *watcher) Ended(now nodes.Now, _ nodes.Conn) {
	w.at(now)
	w.ended++
}

func (w *watcher) Effect(now nodes.Now, e *nodes.ServerEffect) {
	w.at(now)
	if e.Kind == nodes.EffectEvent && e.Event.Kind == nodes.EventSessionEnded {
		w.reasons = append(w.reasons, e.Event.Reason)
	}
}

func (w *watcher) Stored(now nodes.Now, _ nodes.StoreID, _ []nodes.Record, err error) {
	w.at(now)
	w.stored = append(w.stored, err)
}

// reset breaks the connection.
func (p *peer) reset() {
	p.t.Helper()
	if err := errors.Join(p.SetLinger(0), p.Close()); err != nil {
		p.t.Fatal(err)
	}
}

// dialPlain is for goroutines other than the test's own.
func dialPlain(at string) (*net.TCPConn, error) {
	c, err := net.Dial("tcp", at)
	if err != nil {
		return nil, err
	}
	return c.(*net.TCPConn), c.SetDeadline(time.Now().Add(hang))
}

// expect reads text, or the end of file if text is empty.
func (p *peer) expect(text string) error {
	if text == "" {
		text = "x"
	}
	got := make([]byte, len(text))
	n, err := io.ReadFull(p, got)
	if text == "x" && err == io.EOF {
		return nil
	}
	if err != nil || string(got) != text {
		return fmt.Errorf("heard %q (%w), want %q", got[:n], err, text)
	}
	return nil
}

// awaitDisk waits until n calls of Store are blocked.
func (r *rig) awaitDisk(n int) {
	r.t.Helper()
	r.await("the disk to be asked", func() bool {
		r.disk.mu.Lock()
		defer r.disk.mu.Unlock()
		return r.disk.waiting == n
	})
}
