package socket

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/google/go-cmp/cmp"

	"bluetrace/nodes"
	"bluetrace/protocol"
)

const someTempID = "99033999094940624829"

// startTime is the time at which the clock of a phoneRig begins.
var startTime = time.Date(2026, 11, 23, 6, 36, 3, 0, time.UTC)

// phoneRig is a phone on the loopback interface with a mock clock. The test itself
// plays the server.
type phoneRig struct {
	t        testing.TB
	lock     sync.Mutex
	mock     *clock.Mock
	settings nodes.PhoneSettings
	phone    *Phone
	seen     *phoneWatch
	listener net.Listener
	peer     net.Conn // the last connection that came
	friend   *net.UDPConn
}

func newPhoneRig(t testing.TB, change func(*phoneRig, *PhoneConfig)) *phoneRig {
	t.Helper()
	r := &phoneRig{t: t, mock: clock.NewMock(), settings: nodes.DefaultPhoneSettings(), seen: &phoneWatch{}}
	r.mock.Set(startTime)
	var err error
	if r.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.listener.Close() })
	r.friend = loopbackUDP(t)
	t.Cleanup(func() { r.friend.Close() })
	c := PhoneConfig{
		Settings: &r.settings, Server: r.listener.Addr().String(), UDP: loopbackUDP(t), Clock: r.mock,
		Origin: startTime,
		Lock:   &r.lock, Observer: r.seen,
	}
	if change != nil {
		change(r, &c)
	}
	r.seen.zone = c.Settings.Zone
	if r.phone, err = NewPhone(c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.close)
	return r
}

func loopbackUDP(t testing.TB) *net.UDPConn {
	t.Helper()
	u, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// close ends the phone unless the test has ended it.
func (r *phoneRig) close() {
	r.t.Helper()
	within(r.t, "closing the phone", func() { r.phone.Close() })
}

// within fails the test if f does not return in time.
func within(t testing.TB, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(hang):
		buf := make([]byte, 1<<20)
		t.Fatalf("%s hangs\n%s", what, buf[:runtime.Stack(buf, true)])
	}
}

// locked calls f with the lock held.
func (r *phoneRig) locked(f func()) {
	r.lock.Lock()
	defer r.lock.Unlock()
	f()
}

func (r *phoneRig) typed(line string) { r.locked(func() { r.phone.Type(line) }) }

// await waits until the phone's last events are the given ones, and returns all
// events since the last call.
func (r *phoneRig) await(last ...string) []string {
	r.t.Helper()
	end := time.Now().Add(hang)
	for {
		var got []string
		r.locked(func() {
			if n := len(r.seen.events); n >= len(last) && slices.Equal(r.seen.events[n-len(last):], last) {
				got, r.seen.events = r.seen.events, nil
			}
		})
		if got != nil {
			return got
		}
		if time.Now().After(end) {
			r.locked(func() { r.t.Fatalf("waited for %q; there is %q", last, r.seen.events) })
		}
		yield()
	}
}

// saw waits for the given number of events, and compares them.
func (r *phoneRig) saw(what string, want ...string) {
	r.t.Helper()
	end := time.Now().Add(hang)
	for {
		var got []string
		r.locked(func() { got = slices.Clone(r.seen.events) })
		if len(got) >= len(want) || time.Now().After(end) {
			if diff := cmp.Diff(want, got); diff != "" {
				r.t.Fatalf("%s (-want +got):\n%s", what, diff)
			}
			r.locked(func() { r.seen.events = nil })
			return
		}
		yield()
	}
}

// until waits for a condition, which it checks with the lock held.
func (r *phoneRig) until(what string, done func() bool) {
	r.t.Helper()
	for end := time.Now().Add(hang); ; yield() {
		ok := false
		r.locked(func() { ok = done() })
		if ok {
			return
		}
		if time.Now().After(end) {
			r.t.Fatalf("waited for nothing: %s", what)
		}
	}
}

// accept takes the phone's next connection.
func (r *phoneRig) accept() {
	r.t.Helper()
	within(r.t, "accepting", func() {
		c, err := r.listener.Accept()
		if err != nil {
			r.t.Error(err)
			return
		}
		r.peer = c
		r.t.Cleanup(func() { c.Close() })
	})
}

// receives reads exactly these bytes from the phone's connection.
func (r *phoneRig) receives(want string) {
	r.t.Helper()
	b := make([]byte, len(want))
	within(r.t, "reading "+want, func() { io.ReadFull(r.peer, b) })
	if string(b) != want {
		r.t.Fatalf("the server got %q, want %q", b, want)
	}
}

func (r *phoneRig) answers(text string) {
	r.t.Helper()
	if _, err := io.WriteString(r.peer, text); err != nil {
		r.t.Fatal(err)
	}
}

// logIn brings the phone to its command prompt.
func (r *phoneRig) logIn() {
	r.t.Helper()
	r.locked(r.phone.Open)
	r.accept()
	r.await("connected")
	r.typed(userA)
	r.receives(userA)
	r.typed(passwordA)
	r.mock.Add(50 * time.Millisecond)
	r.receives(passwordA)
	r.answers(protocol.Welcome)
	r.await("? input the command: ")
}

// hear sends datagrams to the phone from another socket.
func (r *phoneRig) hear(datagrams ...string) {
	r.t.Helper()
	for _, d := range datagrams {
		if _, err := r.friend.WriteToUDPAddrPort([]byte(d), r.phone.Address()); err != nil {
			r.t.Fatal(err)
		}
	}
}

// beacon returns a single beacon that is valid when the rig's clock begins.
func beacon(id string) string { return id + "23/11/2026 06:36:0323/11/2026 06:51:03" + "1" }

// split returns the four parts of a beacon.
func split(whole string) []string {
	return []string{whole[:20], whole[20:39], whole[39:58], whole[58:]}
}

// verdict returns the terminal lines of beacon(id) that was judged at clock.
func verdict(id, clock string) string {
	return id + "|23/11/2026 06:36:03|23/11/2026 06:51:03|Current time is:|23/11/2026 " + clock +
		"|The beacon is valid."
}

// phoneWatch is an observer that records each event as a line.
type phoneWatch struct {
	zone      *protocol.Zone
	events    []string
	datagrams int
	stepped   int
}

func (w *phoneWatch) add(format string, args ...any) {
	w.events = append(w.events, fmt.Sprintf(format, args...))
}

func (w *phoneWatch) Effect(_ nodes.Now, e *nodes.PhoneEffect) {
	switch e.Kind {
	case nodes.PhonePrompt:
		w.add("? %s", e.Text)
	case nodes.PhoneSendTCP:
		w.add("> %s", e.Bytes)
	case nodes.PhoneDone:
		w.add("%v: %v", e.Op, e.Outcome)
	case nodes.PhoneExpired:
		w.add("expired %d", e.Expired)
	case nodes.PhoneConnect, nodes.PhoneCloseTCP, nodes.PhoneQuit:
		w.add("(%v)", e.Kind)
	default:
		text := strings.TrimSuffix(string(e.AppendText(nil, w.zone)), "\n")
		w.add("%s", strings.ReplaceAll(text, "\n", "|"))
	}
}

func (w *phoneWatch) Connected(_ nodes.Now, local netip.AddrPort) {
	if !local.Addr().Is4() {
		w.add("connected from %v", local)
		return
	}
	w.add("connected")
}

func (w *phoneWatch) ConnectFailed(_ nodes.Now, reason string) { w.add("not connected: %s", reason) }

func (w *phoneWatch) Read(_ nodes.Now, p []byte) { w.add("< %s", p) }

func (w *phoneWatch) Closed(nodes.Now) { w.add("closed by the server") }

func (w *phoneWatch) Datagram(nodes.Now, netip.AddrPort, []byte) { w.datagrams++ }

func (w *phoneWatch) Stepped(nodes.Now, *nodes.ContactLog) { w.stepped++ }

func expect[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}
