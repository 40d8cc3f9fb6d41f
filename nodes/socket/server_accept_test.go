package socket

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"bluetrace/protocol"
)

// oddListener fails as a test tells it, and notes what is written.
type oddListener struct {
	net.Listener
	mu     sync.Mutex
	fails  []error // of the next Accepts
	writes []string
}

func (l *oddListener) Accept() (net.Conn, error) {
	l.mu.Lock()
	if len(l.fails) > 0 {
		err := l.fails[0]
		l.fails = l.fails[1:]
		l.mu.Unlock()
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: err}
	}
	l.mu.Unlock()
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &oddConn{c.(*net.TCPConn), l}, nil
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

// When the system has nothing left for a connection the server says so once, and
// goes on when it has.
func TestNoFileDescriptorsLeft(t *testing.T) {
	r, _ := newOddRig(t, syscall.EMFILE, syscall.EMFILE, syscall.ECONNABORTED)
	r.dial().login(userA, passwordA)
	if n := strings.Count(r.output.String(), "cannot accept a connection at the moment: accept tcp: too many open files\n"); n != 1 {
		t.Errorf("said %d times that it cannot accept, want once:\n%s", n, r.output.String())
	}
}

func TestABrokenListenerEndsServe(t *testing.T) {
	r, _ := newOddRig(t, syscall.EINVAL)
	err := <-r.served
	r.served <- nil
	if !errors.Is(err, syscall.EINVAL) || !strings.HasPrefix(err.Error(), "accepting a connection: ") {
		t.Errorf("Serve returned %v", err)
	}
}

// TCP keeps no boundaries, but many phones believe that it does.
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

// The observer is told where a peer is; an IPv4 address is one, also on a socket
// of both families.
func TestTheAddressOfAPeer(t *testing.T) {
	r := newRig(t, nil)
	p := r.dial()
	r.await("the session", func() bool { return r.watch.accepted == 1 })
	if got, want := r.watch.froms[0], netip.MustParseAddrPort(p.LocalAddr().String()); got != want {
		t.Errorf("accepted from %v, want %v", got, want)
	}
	mapped := &net.TCPAddr{IP: net.ParseIP("192.0.2.1").To16(), Port: 7}
	if got := addressOf(mapped); got != netip.MustParseAddrPort("192.0.2.1:7") {
		t.Errorf("addressOf(%v) = %v", mapped, got)
	}
	if got := addressOf(&net.UnixAddr{Name: "x"}); got.IsValid() {
		t.Errorf("the address of a Unix socket is %v", got)
	}
}
