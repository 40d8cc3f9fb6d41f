package socket

import (
	"context"
	"net"
	"runtime"
	"testing"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
)

// A login, a download, a beacon in each form, an upload and a log out have the
// bytes of PROTOCOL.md.
func TestPhoneSession(t *testing.T) {
	r := newPhoneRig(t, nil)
	r.locked(r.phone.Open)
	r.accept()
	r.await("(connect)", "? Username: ", "connected")
	r.typed(userA)
	r.receives(userA)
	r.typed(passwordA)
	r.saw("before the pause", "> "+userA, "? Password: ")
	r.mock.Add(50 * time.Millisecond)
	r.receives(passwordA)
	r.answers(protocol.Welcome)
	r.saw("login", "> "+passwordA, "< "+protocol.Welcome, protocol.Welcome, "login: ok", "? input the command: ")

	r.typed("Download_tempID")
	r.receives("Download_tempID")
	r.answers(someTempID)
	r.saw("download", "> Download_tempID", "< "+someTempID, "TempID:|"+someTempID, "download: ok",
		"? input the command: ")

	r.hear(beacon(someTempID))
	r.saw("heard", verdict(someTempID, "06:36:03"))
	r.typed("Upload_contact_log")
	for _, message := range []string{"Upload_contact_log", "3", someTempID, "23/11/2026 06:36:03",
		"23/11/2026 06:51:03"} {
		r.receives(message)
		r.answers("1")
	}
	r.await("upload: ok", "? input the command: ")
	r.typed("log out")
	r.receives("log out")
	r.saw("log out", "> log out", "you have logged out", "(close)", "logout: ok")
	r.hear(beacon(someTempID))
	r.saw("a beacon after log out", verdict(someTempID, "06:36:03"))
}

// The phone sends its beacon as four datagrams in order, or as one, from its own
// socket.
func TestPhoneSendsBeacons(t *testing.T) {
	for form, want := range map[protocol.Form][]string{
		protocol.Split:  {someTempID, "23/11/2026 06:36:03", "23/11/2026 06:51:03", "1"},
		protocol.Single: {beacon(someTempID)},
	} {
		r := newPhoneRig(t, func(r *phoneRig, _ *PhoneConfig) { r.settings.Form = form })
		r.logIn()
		r.typed("Download_tempID")
		r.receives("Download_tempID")
		r.answers(someTempID)
		r.await("? input the command: ")
		r.typed("Beacon 127.0.0.1 " + port(r.friend))
		r.saw("sent", someTempID+"|23/11/2026 06:36:03|23/11/2026 06:51:03", "? input the command: ")
		for i, part := range want {
			b := make([]byte, 100)
			r.friend.SetReadDeadline(time.Now().Add(hang))
			n, from, err := r.friend.ReadFromUDPAddrPort(b)
			if err != nil || string(b[:n]) != part || unmapped(from) != r.phone.Address() {
				t.Errorf("%v, datagram %d: %q from %v, %v; want %q from %v",
					form, i, b[:n], from, err, part, r.phone.Address())
			}
		}
	}
}

func port(u *net.UDPConn) string {
	_, p, _ := net.SplitHostPort(u.LocalAddr().String())
	return p
}

// An error of sending a beacon is printed, and the prompt follows.
func TestPhonePrintsAFailedSendOfABeacon(t *testing.T) {
	r := newPhoneRig(t, nil)
	r.logIn()
	r.typed("Download_tempID")
	r.receives("Download_tempID")
	r.answers(someTempID)
	r.await("? input the command: ")
	r.typed("Beacon ::1 14000") // from a socket of IPv4
	r.saw("refused", someTempID+"|23/11/2026 06:36:03|23/11/2026 06:51:03",
		"can't send the beacon: address ::1: non-IPv4 address", "? input the command: ")
}

// An entry stays in the log for three minutes, exact to the nanosecond.
func TestPhoneForgetsAfterThreeMinutes(t *testing.T) {
	r := newPhoneRig(t, nil)
	r.hear(split(beacon(someTempID))...)
	r.saw("kept", verdict(someTempID, "06:36:03"))
	r.mock.Add(3*time.Minute - 1)
	r.locked(func() { expect(t, "entries just before", r.phone.Machine().Log().Len(), 1) })
	r.mock.Add(1)
	r.saw("gone", "expired 1")
	r.locked(func() { expect(t, "entries", r.phone.Machine().Log().Len(), 0) })
}

func TestPhoneJudgesWithoutTheFourthPart(t *testing.T) {
	r := newPhoneRig(t, nil)
	r.hear(split(beacon(someTempID))[:3]...)
	r.until("three parts", func() bool { return r.seen.datagrams == 3 })
	r.mock.Add(250*time.Millisecond - 1)
	r.locked(func() { expect(t, "verdicts just before", len(r.seen.events), 0) })
	r.mock.Add(1)
	r.saw("judged", verdict(someTempID, "06:36:03"))
}

// Without an answer within the limit the phone connects again with a longer pause.
// Then it prints that there was no answer.
func TestPhoneLogsInTwice(t *testing.T) {
	r := newPhoneRig(t, nil)
	r.locked(r.phone.Open)
	r.accept()
	r.await("connected")
	r.typed(userA)
	r.typed(passwordA)
	r.mock.Add(50 * time.Millisecond)
	r.receives(userA + passwordA)
	r.await("> " + passwordA)
	r.mock.Add(10*time.Second - 1)
	r.locked(func() { expect(t, "events just before the limit", len(r.seen.events), 0) })
	r.mock.Add(1)
	r.await("(close)", "(connect)", "connected", "> "+userA)
	first := r.peer
	r.accept()
	expectEOF(t, first)
	r.receives(userA)
	r.mock.Add(500*time.Millisecond - 1)
	r.locked(func() { expect(t, "events before the longer pause", len(r.seen.events), 0) })
	r.mock.Add(1)
	r.receives(passwordA)
	r.await("> " + passwordA)
	r.mock.Add(10 * time.Second)
	r.saw("the end", "no answer from the server", "(close)", "login: no answer")
}

func expectEOF(t testing.TB, c net.Conn) {
	t.Helper()
	within(t, "waiting for the end of the connection", func() {
		if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil || err.Error() != "EOF" {
			t.Errorf("read %d bytes, %v; want the end of file", n, err)
		}
	})
}

// After log out no bytes of the server reach the machine, the unsent bytes are
// sent, and the connection ends in order.
func TestPhoneClosesInOrder(t *testing.T) {
	r := newPhoneRig(t, nil)
	r.logIn()
	r.typed("log out")
	r.await("logout: ok")
	r.answers(someTempID)
	r.receives("log out")
	r.answers(someTempID)
	expectEOF(t, r.peer)
	r.answers(someTempID)
	r.peer.Close()
	r.until("the connection is forgotten", func() bool { return len(r.phone.links) == 0 })
	r.locked(func() { expect(t, "events", len(r.seen.events), 0) })
}

func TestPhoneLosesTheServer(t *testing.T) {
	r := newPhoneRig(t, nil)
	r.logIn()
	r.peer.(*net.TCPConn).SetLinger(0)
	r.peer.Close() // a reset
	r.saw("lost", "closed by the server", "the server closed the connection", "(close)")
	r.hear(beacon(someTempID))
	r.saw("a beacon all the same", verdict(someTempID, "06:36:03"))
}

func TestPhoneCannotConnect(t *testing.T) {
	r := newPhoneRig(t, func(r *phoneRig, _ *PhoneConfig) { r.listener.Close() })
	r.locked(r.phone.Open)
	r.saw("refused", "(connect)", "? Username: ", "not connected: connection refused",
		"cannot connect to the server: connection refused", "login: connection lost")
}

// The result of an abandoned dial does not reach the machine.
func TestPhoneHangsUpWhileDialling(t *testing.T) {
	r := newPhoneRig(t, func(_ *phoneRig, c *PhoneConfig) { c.Dial = dialForEver })
	r.locked(r.phone.Open)
	r.locked(r.phone.InputEnded)
	r.saw("ended", "(connect)", "? Username: ", "(close)", "(quit)")
	r.until("the dial has ended", func() bool { return len(r.phone.links) == 0 })
	r.locked(func() { expect(t, "events", len(r.seen.events), 0) })
}

func TestPhoneTakesASession(t *testing.T) {
	r := newPhoneRig(t, nil)
	first := r.phone
	seen, settings := &phoneWatch{}, r.settings
	second, err := NewPhone(PhoneConfig{Settings: &settings, Server: r.listener.Addr().String(), UDP: loopbackUDP(t),
		Clock: r.mock, Origin: startTime, Lock: &r.lock, Observer: seen})
	if err != nil {
		t.Fatal(err)
	}
	r.phone = second
	r.logIn2(seen)
	r.locked(func() { first.TakeSession(second) })
	within(t, "closing the second program", func() { second.Close() })
	r.phone = first
	r.typed("Download_tempID")
	r.receives("Download_tempID")
	r.answers(someTempID)
	r.await("< "+someTempID, "TempID:|"+someTempID, "download: ok", "? input the command: ")
}

// logIn2 logs in a second phone with an observer of its own.
func (r *phoneRig) logIn2(seen *phoneWatch) {
	r.t.Helper()
	first := r.seen
	r.seen = seen
	r.logIn()
	r.seen = first
}

// Close and Kill end every goroutine at each stage of the phone.
func TestPhoneLeavesNoGoroutine(t *testing.T) {
	before := runtime.NumGoroutine()
	for _, end := range []func(*Phone){func(p *Phone) { p.Close() }, (*Phone).Kill} {
		offline := newPhoneRig(t, nil)
		end(offline.phone)
		dialling := newPhoneRig(t, func(_ *phoneRig, c *PhoneConfig) { c.Dial = dialForEver })
		dialling.locked(dialling.phone.Open)
		end(dialling.phone)
		ready := newPhoneRig(t, nil)
		ready.logIn()
		end(ready.phone)
		expectEOF(t, ready.peer)
		left := newPhoneRig(t, nil)
		left.logIn()
		left.typed("log out")
		end(left.phone)
		ready.typed("Download_tempID") // of no effect
		ready.locked(ready.phone.Open)
	}
	for end := time.Now().Add(hang); runtime.NumGoroutine() > before; yield() {
		if time.Now().After(end) {
			buf := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, and %d before:\n%s",
				runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
		}
	}
}

func TestPhoneRefusesBadSettings(t *testing.T) {
	u := loopbackUDP(t)
	defer u.Close()
	_, err := NewPhone(PhoneConfig{Settings: &nodes.PhoneSettings{}, UDP: u})
	expect(t, "error", err.Error(), "starting a phone: phone settings: invalid retention 0s: must be above 0")
}

// A panic in a goroutine of the phone calls OnPanic before it ends the program,
// whether the lock is held or not.
func TestPhoneReportsAPanic(t *testing.T) {
	told := 0
	r := newPhoneRig(t, func(_ *phoneRig, c *PhoneConfig) { c.OnPanic = func() { told++ } })
	defer func() {
		expect(t, "the panic goes on", recover(), any("broken"))
		expect(t, "told", told, 1)
	}()
	func() {
		r.lock.Lock()
		defer r.lock.Unlock()
		defer r.phone.recoverPanic()
		panic("broken")
	}()
}

// slowConn is a connection whose writes block.
type slowConn struct {
	*net.TCPConn
	writing, gate, halfClosed chan struct{}
}

func (c slowConn) CloseWrite() error {
	c.halfClosed <- struct{}{}
	return c.TCPConn.CloseWrite()
}

func (c slowConn) Write(b []byte) (int, error) {
	c.writing <- struct{}{}
	<-c.gate
	return c.TCPConn.Write(b)
}

// A write that blocks delays nothing else. Bytes that are unsent when the phone
// hangs up are sent before the end.
func TestPhoneWritesWithoutTheLock(t *testing.T) {
	slow := slowConn{writing: make(chan struct{}, 9), gate: make(chan struct{}, 9), halfClosed: make(chan struct{}, 9)}
	r := newPhoneRig(t, func(_ *phoneRig, c *PhoneConfig) {
		c.Dial = func(ctx context.Context, address string) (net.Conn, error) {
			conn, err := Dial(ctx, address)
			if err != nil {
				return nil, err
			}
			slow.TCPConn = conn.(*net.TCPConn)
			return slow, nil
		}
	})
	for range 2 { // username and password
		slow.gate <- struct{}{}
	}
	r.logIn()
	for range 2 {
		<-slow.writing
	}
	r.typed("Download_tempID")
	<-slow.writing
	r.hear(beacon(someTempID))
	r.saw("a beacon meanwhile", "> Download_tempID", verdict(someTempID, "06:36:03"))
	r.mock.Add(10 * time.Second)
	r.saw("and the limit", "no answer from the server", "download: no answer", "? input the command: ")
	r.typed("log out")
	r.await("logout: ok")
	for range 2 {
		slow.gate <- struct{}{}
	}
	r.receives("Download_tempIDlog out")
	within(t, "the end of the sending", func() { <-slow.halfClosed })
	expectEOF(t, r.peer)
}
