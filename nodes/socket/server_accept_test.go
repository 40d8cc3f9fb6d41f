package socket

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
)

// oddListener fails with the errors of a test, and records the writes.
type oddListener struct {
	net.Listener
	mu     sync.Mutex
	fails  []error // of the next Accepts; nil: it works
	writes []string
}

func (l *oddListener) Accept() (net.Conn, error) {
	l.mu.Lock()
	if len(l.fails) > 0 {
		err := l.fails[0]
		l.fails = l.fails[1:]
		if err != nil {
			l.mu.Unlock()
			return nil, &net.OpError{Op: "accept", Net: "tcp", Err: err}
		}
	}
	l.mu.Unlock()
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &oddConn{c.(*net.TCPConn), l}, nil
}

func (l *oddListener) failNext(fails ...error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fails = append(l.fails, fails...)
}

type oddConn struct {
	*net.TCPConn
	l *oddListener
}

func (c *oddConn) Write(p []byte) (int, error) {
	c.l.mu.Lock()
	c.l.writes = append(c.l.writes, string(p))
	c.l.mu.Unlock()
	return c.TCPConn.Write(p)
}

func newOddRig(t *testing.T, fails ...error) (*rig, *oddListener) {
	l := &oddListener{fails: fails}
	return newRig(t, func(_ *rig, c *ServerConfig) {
		l.Listener = c.Listener
		c.Listener = l
	}), l
}

// awaitLoggedIn waits for the lines of n logins, which follow all lines of failures before them.
func (r *rig) awaitLoggedIn(n int) {
	r.t.Helper()
	r.await("the lines of logins", func() bool {
		return strings.Count(r.output.String(), "users: "+userA+"\n") == n
	})
}

// Without resources for a connection the server prints that once, and accepts
// again when there are some.
func TestNoFileDescriptorsLeft(t *testing.T) {
	r, _ := newOddRig(t, syscall.EMFILE, syscall.EMFILE, syscall.ECONNABORTED)
	r.dial().login(userA, passwordA)
	r.awaitLoggedIn(1)
	if n := strings.Count(r.output.String(), "cannot accept a connection at the moment: accept tcp: too many open "+
		"files\n"); n != 1 {
		t.Errorf("said %d times that it cannot accept, want once:\n%s", n, r.output.String())
	}
}

// The message is not repeated after each connection that is accepted in between.
func TestARepeatedFailureIsPrintedOnce(t *testing.T) {
	var fails []error
	for range 5 {
		fails = append(fails, syscall.ECONNABORTED, nil)
	}
	r, _ := newOddRig(t, fails...)
	for range 5 {
		r.dial().login(userA, passwordA)
	}
	r.awaitLoggedIn(5)
	if n := strings.Count(r.output.String(), "cannot accept"); n != 1 {
		t.Errorf("said %d times that it cannot accept, want once:\n%s", n, r.output.String())
	}
}

// Without file descriptors the oldest session that is not logged in is closed,
// with a short lingering close.
func TestNoFileDescriptorsLeftForANewSession(t *testing.T) {
	r, l := newOddRig(t)
	r.lasting()
	in := r.dial()
	in.login(userA, passwordA)
	old := r.dial()
	r.await("the second session", func() bool { return len(r.server.alive) == 2 })
	l.failNext(syscall.EMFILE)
	r.dial().login(userB, passwordB) // the Accept that waits takes it
	young := r.dial()                // the next one fails first
	old.hearEnd()
	young.login(userB, passwordB)
	r.awaitReasons(nodes.ReasonTooMany)
	in.say(protocol.CommandDownload)
	in.tempID()
	r.awaitAlive(3)
	young.say(protocol.CommandLogout)
	r.await("a long lingering close, after the short one", func() bool {
		lingers := func(x *conn) bool { return time.Until(x.lingerUntil) > time.Minute }
		return slices.ContainsFunc(r.server.alive, lingers)
	})
}

// After any other error of Accept the server goes on, unless the listener is
// closed.
func TestAnOddErrorOfAcceptDoesNotEndTheServer(t *testing.T) {
	r, _ := newOddRig(t, syscall.EINVAL, syscall.EIO, syscall.ENETDOWN, errors.New("no reason"))
	r.dial().login(userA, passwordA)
	r.awaitLoggedIn(1)
	if n := strings.Count(r.output.String(),
		"cannot accept a connection at the moment: accept tcp: invalid argument\n"); n != 1 ||
		strings.Count(r.output.String(), "cannot accept") != 1 {
		t.Errorf("said %d times that it cannot accept, want once:\n%s", n, r.output.String())
	}
	if got := r.reasons(); len(got) != 0 {
		t.Errorf("sessions ended with %q", got)
	}
}

func TestAClosedListenerEndsServe(t *testing.T) {
	r, l := newOddRig(t)
	l.Close()
	err := <-r.served
	r.served <- nil
	if !errors.Is(err, net.ErrClosed) || !strings.HasPrefix(err.Error(), "accepting a connection: ") {
		t.Errorf("Serve returned %v", err)
	}
}

// MaxSockets limits the connections that linger, too.
func TestMaxSockets(t *testing.T) {
	r := newRig(t, func(_ *rig, c *ServerConfig) { c.Settings.MaxConnections, c.MaxSockets = 1, 5 })
	r.lasting()
	r.lock.Lock()
	r.server.linger.many = 100
	r.lock.Unlock()
	var gone []*peer
	for range 5 {
		p := r.dial()
		p.login(userA, passwordA)
		p.say(protocol.CommandLogout)
		if n, err := p.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Fatalf("read %d bytes (%v), want the end of file", n, err)
		}
		gone = append(gone, p) // which does not close
	}
	next := r.dial() // the kernel takes it; an Accept that had begun before may too
	last := r.dial()
	last.say(userB + passwordB)
	r.awaitStill()
	r.await("nothing", func() bool { return r.watch.accepted >= 5 })
	r.lock.Lock()
	n := r.watch.accepted
	r.lock.Unlock()
	if n > 6 {
		t.Errorf("%d connections were accepted while five wait for their end", n)
	}
	for _, p := range gone {
		p.Close()
	}
	next.reset()
	last.hear(protocol.Welcome)
}

// TCP keeps no message boundaries, but many phones rely on them: each answer is a
// write of its own.
func TestEachAnswerIsASendOfItsOwn(t *testing.T) {
	r, l := newOddRig(t)
	p := r.dial()
	p.login(userA, passwordA)
	p.say("Download_tempIDUpload_contact_log0")
	a := p.tempID()
	p.hear("11")
	p.say("Download_tempID")
	b := p.tempID()
	l.mu.Lock()
	defer l.mu.Unlock()
	if want := []string{protocol.Welcome, a.String(), "1", "1", b.String()}; !slices.Equal(l.writes, want) {
		t.Errorf("sent %q, want %q", l.writes, want)
	}
}

// The observer gets the address of a peer, as IPv4 even if the socket serves both
// families.
func TestTheAddressOfAPeer(t *testing.T) {
	r := newRig(t, nil)
	p := r.dial()
	r.await("the session", func() bool { return r.watch.accepted == 1 })
	if got, want := r.watch.froms[0], netip.MustParseAddrPort(p.LocalAddr().String()); got != want {
		t.Errorf("accepted from %v, want %v", got, want)
	}
	mapped := &net.TCPAddr{IP: net.ParseIP("192.0.2.1").To16(), Port: 7}
	if got := tcpAddress(mapped); got != netip.MustParseAddrPort("192.0.2.1:7") {
		t.Errorf("tcpAddress(%v) = %v", mapped, got)
	}
	if got := tcpAddress(&net.UnixAddr{Name: "x"}); got.IsValid() {
		t.Errorf("the address of a Unix socket is %v", got)
	}
}
