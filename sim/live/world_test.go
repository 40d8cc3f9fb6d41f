package live

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/benbjohnson/clock"

	"bluetrace/nodes"
	"bluetrace/nodes/files"
	"bluetrace/protocol"
	"bluetrace/reports/counts"
	"bluetrace/sim/event"
	"bluetrace/sim/world"
)

const (
	ms      = time.Millisecond
	morning = 1596063600 // 30/07/2020 09:00:00 in Sydney, less its offset
)

// recorder records one line for each event that the tests check.
type recorder struct{ lines []string }

func (r *recorder) add(format string, args ...any) {
	r.lines = append(r.lines, fmt.Sprintf(format, args...))
}

func (r *recorder) Tick(phone, arg uint32) { r.add("tick %d %d", phone, arg) }

// Observe implements event.Observer.
func (r *recorder) Observe(e *event.Event) {
	switch e.Kind {
	case event.ScreenShown:
		r.add("%d prints %q", e.Node, e.Text)
	case event.Replied:
		r.add("%d %v replied %q", e.Node, e.Scripted, e.Bytes)
	case event.HungUp:
		r.add("%d %v hung up", e.Node, e.Scripted)
	case event.OperationDone:
		r.add("%d done %v %v", e.Node, e.Phone.Op, e.Phone.Outcome)
	case event.ServerHandled:
		r.add("%d %v read %d", e.Peer, e.Scripted, e.Size)
	case event.ServerPrinted:
		r.add("server prints %q", e.Text)
	case event.ServerDecided:
		r.add("%d %v decided %v", e.Peer, e.Scripted, e.Decision.Kind)
	case event.BeaconJudged:
		r.add("%d judged a beacon of %d sent at %s: %v", e.Node, e.Peer, e.Sent, e.Phone.Err)
	}
}

// rig is a stepped world of two phones, a and b, and a server.
type rig struct {
	*World
	t        *testing.T
	recorder *recorder
	records  *world.Records
	trace    bytes.Buffer
}

// newRig returns a rig that is closed with the test. change, if not nil, changes the configuration.
func newRig(t *testing.T, change func(*Config)) *rig {
	t.Helper()
	r := &rig{t: t, recorder: &recorder{}}
	settings := nodes.DefaultPhoneSettings()
	zone := protocol.NewZone(time.UTC)
	settings.Zone = zone
	c := Config{
		Clock: clock.NewMock(), Start: morning, Zone: zone, Server: nodes.DefaultServerSettings(),
		Credentials: []nodes.Credential{{User: "a", Password: "pw-a"}, {User: "b", Password: "pw-b"}},
		Folder:      files.NewMemory(),
		Phones:      []PhoneConfig{{Name: "a", Settings: &settings}, {Name: "b", Settings: &settings}},
		Events:      new(event.Stream), Tick: r.recorder.Tick,
	}
	if change != nil {
		change(&c)
	}
	r.records = world.NewRecords([]string{"a", "b"}, &r.trace)
	r.records.Subscribe(c.Events)
	c.Events.Subscribe(r.recorder)
	w, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	r.World = w
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Errorf("closing the world: %v", err)
		}
	})
	return r
}

// run runs the world until the given time. An error fails the test.
func (r *rig) run(until time.Duration) {
	r.t.Helper()
	if err := r.Run(r.t.Context(), until, nil); err != nil {
		r.t.Fatalf("%v\n%s", err, r.trace.String())
	}
}

// lines returns the recorded lines that contain a text.
func (r *rig) lines(text string) []string {
	return slices.DeleteFunc(slices.Clone(r.recorder.lines), func(l string) bool { return !strings.Contains(l, text) })
}

// want fails the test if the lines differ.
func (r *rig) want(got []string, want ...string) {
	r.t.Helper()
	if !slices.Equal(got, want) {
		r.t.Errorf("recorded %q\nwant     %q\n%s", got, want, r.trace.String())
	}
}

// login makes the user of a phone log in.
func (r *rig) login(at time.Duration, phone uint32) {
	r.Call(at, func() {
		r.Open(phone)
		r.Type(phone, r.Name(phone))
		r.Type(phone, "pw-"+r.Name(phone))
	})
}

// TestStepped checks that sessions, beacons and expiry happen at the exact nanosecond at which they are due.
func TestStepped(t *testing.T) {
	r := newRig(t, nil)
	r.login(0, 0)
	r.Call(time.Second, func() { r.Type(0, "Download_tempID") })
	r.Call(2*time.Second, func() { r.SendBeacons(0, []uint32{1}) })
	var lengths []int
	for _, at := range []time.Duration{2*time.Second - 1, 2 * time.Second, 182*time.Second - 1, 182 * time.Second} {
		r.CallLast(at, func() { lengths = append(lengths, r.Log(1).Len()) })
	}
	r.run(200 * time.Second)
	if !slices.Equal(lengths, []int{0, 1, 1, 0}) {
		t.Errorf("lengths of the log %v, want 0 1 1 0", lengths)
	}
	r.want(r.lines("done"), "0 done login ok", "0 done download ok")
	r.want(r.lines("judged"), "1 judged a beacon of 0 sent at 2s: <nil>")
	if r.Now() != 200*time.Second || r.Wall().Unix() != morning+200 {
		t.Errorf("the run ended at %s, %s", r.Now(), r.Wall())
	}
	n := r.records.Totals()
	beacons := counts.Beacons{Sent: 1, Delivered: 1, Valid: 1, Kept: 1, Expired: 1}
	if n.Beacons != beacons || n.Datagrams != (world.Datagrams{Sent: 4, Delivered: 4}) {
		t.Errorf("counts %+v", *n)
	}
	// An alarm that was set between two datagrams of the beacon rings although nothing is due: one event more.
	if got := r.Phone(1); got.Valid != 1 || got.AgeMax >= int64(180*time.Second) {
		t.Errorf("counts of b: %+v", got)
	}
	if d := r.records.Latencies().Login.HDR(); d.TotalCount() != 1 || d.Max() != 0 {
		t.Errorf("%d logins of at most %d ns, want one of 0 ns", d.TotalCount(), d.Max())
	}
}

// TestCallsOfOneInstant checks that calls run in the order in which they were made, and last calls after the others.
func TestCallsOfOneInstant(t *testing.T) {
	r := newRig(t, nil)
	var order []string
	add := func(name string) func() {
		return func() { order = append(order, name) }
	}
	r.CallLast(ms, add("last"))
	r.Call(ms, func() {
		order = append(order, "first")
		r.Call(0, add("from the first"))
	})
	r.Call(2*ms, add("later"))
	r.Call(ms, add("second"))
	r.Tick(ms, 7, 8)
	r.run(ms)
	if want := []string{"first", "second", "from the first", "last"}; !slices.Equal(order, want) {
		t.Errorf("order %q, want %q", order, want)
	}
	r.want(r.lines("tick"), "tick 7 8")
}

// TestTurns checks that the server reads the writes of two phones in one instant in the order of the writes.
func TestTurns(t *testing.T) {
	for range 20 {
		r := newRig(t, nil)
		r.Call(0, func() {
			r.RawOpen(0)
			r.RawOpen(1)
		})
		r.Call(ms, func() {
			r.RawSend(1, []byte("b"))
			r.RawSend(0, []byte("a"))
			r.RawSend(1, []byte("pw-b"))
			r.RawSend(0, []byte("pw-a"))
		})
		r.run(2 * ms)
		r.want(r.lines("read"), "1 true read 1", "0 true read 1", "1 true read 4", "0 true read 4")
		r.want(r.lines("replied"),
			`1 true replied "Welcome to the BlueTrace Simulator!"`,
			`0 true replied "Welcome to the BlueTrace Simulator!"`)
	}
}

// TestScriptsConnection checks connections of scripts that are half-closed, reset and refused.
func TestScriptsConnection(t *testing.T) {
	r := newRig(t, nil)
	r.Call(0, func() {
		r.RawOpen(0)
		r.RawSend(0, []byte("a"))
		r.RawEnd(0, false)
	})
	r.Call(ms, func() {
		if r.RawIsOpen(0) {
			t.Error("the connection is open although both sides are closed")
		}
		r.RawOpen(1)
		r.RawSend(1, []byte("b"))
		r.RawEnd(1, true)
	})
	r.Call(2*ms, func() { r.RestartServer(time.Second) })
	r.Call(3*ms, func() { r.RawOpen(0) })
	r.run(4 * ms)
	r.want(r.lines("true hung up"), "0 true hung up", "1 true hung up", "0 true hung up")
	if n := r.records.Totals().Sessions; n.Opened != 2 || n.Closed != 2 {
		t.Errorf("sessions %+v", n)
	}
	if got := r.records.Recent(0, 1); len(got) != 1 || got[0] != "0.003000000 a: connection refused" {
		t.Errorf("last event of a: %q", got)
	}
}

// TestKill checks that a killed server loses the records that are not on the disk, keeps those that are, and breaks
// the connection of the phone.
func TestKill(t *testing.T) {
	r := newRig(t, func(c *Config) { c.DiskDelay = func() time.Duration { return 10 * ms } })
	r.login(0, 0)
	r.Call(time.Second, func() { r.Type(0, "Download_tempID") })
	r.Call(2*time.Second, func() { r.Type(0, "Download_tempID") })
	r.Call(2*time.Second+5*ms, func() { r.RestartServer(time.Second) })
	r.run(10 * time.Second)
	r.want(r.lines("decided"), "0 false decided logged in", "0 false decided issued")
	r.want(r.lines("server prints \"I am"), `server prints "I am listening"`, `server prints "I am listening"`)
	if b, ok := r.TempID(0); !ok || r.Stage(0) != nodes.StageOffline {
		t.Errorf("a has TempID %v (%v), and is %v", b.TempID, ok, r.Stage(0))
	}
	text, err := r.config.Folder.(*files.Memory).ReadFile("tempIDs.txt")
	if err != nil || bytes.Count(text, []byte("\n")) != 1 {
		t.Errorf("tempIDs.txt: %q, %v", text, err)
	}
}

// TestKillOrder checks that the connections of a killed server end in the order in which they were opened.
func TestKillOrder(t *testing.T) {
	for range 10 {
		r := newRig(t, nil)
		r.Call(0, func() {
			r.RawOpen(1)
			r.RawOpen(0)
		})
		r.Call(ms, func() { r.RestartServer(time.Second) })
		r.run(2 * ms)
		r.want(r.lines("hung up"), "1 true hung up", "0 true hung up")
	}
}

// TestOtherPorts checks that an additional socket of a phone is a separate source of the same phone.
func TestOtherPorts(t *testing.T) {
	r := newRig(t, nil)
	r.Call(0, func() {
		r.SendDatagram(0, 1, 4000, bytes.Repeat([]byte{'1'}, 20))
		r.SendDatagram(0, 1, 4001, []byte("30/07/2020 09:00:00"))
		r.SendDatagram(0, 1, 4000, bytes.Repeat([]byte{'1'}, 300))
		r.SendDatagram(0, 1, 0, nil)
	})
	r.run(ms)
	r.want(r.lines("judged"),
		"1 judged a beacon of 0 sent at 0s: a part of a beacon came out of turn",
		"1 judged a beacon of 0 sent at 0s: a part of a beacon came out of turn",
		"1 judged a beacon of 0 sent at 0s: a part of a beacon came out of turn")
	if n := r.records.Totals().Datagrams; n != (world.Datagrams{Sent: 4, Delivered: 4}) || r.DatagramsInFlight() != 0 {
		t.Errorf("datagrams %+v, %d in flight", n, r.DatagramsInFlight())
	}
}

// TestLost checks that a datagram counts as lost when a later one on the same path arrives.
func TestLost(t *testing.T) {
	r := newRig(t, nil)
	r.Call(0, func() {
		r.udp.send(0, 0, &r.phones[0].address, &r.phones[1].address, []byte("never sent"))
		r.SendDatagram(0, 1, 0, []byte("sent"))
	})
	r.run(ms)
	if n := r.records.Totals().Datagrams; n != (world.Datagrams{Sent: 2, Delivered: 1, Lost: 1}) {
		t.Errorf("datagrams %+v", n)
	}
}

// TestHang checks that a world which does not become idle fails with the unfinished work.
func TestHang(t *testing.T) {
	r := newRig(t, nil)
	r.Call(time.Second, func() {
		r.schedule.idleLimit = ms // not before: the start of the server may take longer
		r.udp.send(r.Now(), 0, &r.phones[0].address, &r.phones[1].address, []byte("never sent"))
		r.tcp.open[&connection{Connection: event.Connection{Number: 9, Phone: 1}, dialing: true}] = struct{}{}
	})
	err := r.Run(t.Context(), 2*time.Second, nil)
	want := "at 1s the live world was still busy after 1ms of real time, waiting for: " +
		"1 datagrams from " + r.phones[0].address.String() + " to b; c9 of b: the opening"
	if err == nil || err.Error() != want {
		t.Errorf("error %v\nwant  %s", err, want)
	}
}

// TestPortTaken checks that a failure to start the server again ends the run with the reason.
func TestPortTaken(t *testing.T) {
	r := newRig(t, nil)
	r.Call(0, func() { r.RestartServer(time.Second) })
	r.Call(ms, func() { r.server.address += "0000" })
	err := r.Run(t.Context(), 2*time.Second, nil)
	if err == nil || !strings.HasPrefix(err.Error(), "starting the server: listen tcp4") {
		t.Errorf("error %v", err)
	}
}

// TestRealClock checks a login and a datagram on a clock that runs by itself, however long they take, and then the end
// of a run.
func TestRealClock(t *testing.T) {
	r := newRig(t, func(c *Config) {
		c.Clock = NewClock(clock.New(), time.Unix(morning, 0).Add(-20*ms))
	})
	r.login(0, 0)
	r.Call(10*ms, func() { r.SendDatagram(1, 0, 0, []byte("x")) })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // a bound on a hang
	defer cancel()
	if err := r.Run(ctx, forever, func() {
		if r.records.Totals().Datagrams.Delivered == 1 && len(r.lines("done")) == 1 {
			r.Stop()
		}
	}); err != nil {
		t.Fatal(err)
	}
	r.want(r.lines("done"), "0 done login ok")
	until := r.Now() + 50*ms
	r.schedule.stopped = false
	if err := r.schedule.run(ctx, until, nil); err != nil || r.Now() < until {
		t.Errorf("ended at %s, want %s: %v", r.Now(), until, err)
	}
}

// TestClock checks that a Clock shows the time that it was set to and follows the other clock.
func TestClock(t *testing.T) {
	mock := clock.NewMock()
	c := NewClock(mock, time.Unix(morning, 5))
	mock.Add(3 * time.Second)
	if got := c.Now(); !got.Equal(time.Unix(morning+3, 5)) {
		t.Errorf("the clock shows %s", got)
	}
	if c.Since(time.Unix(morning, 5)) != 3*time.Second || c.Until(time.Unix(morning+4, 5)) != time.Second {
		t.Errorf("since %s, until %s", c.Since(time.Unix(morning, 5)), c.Until(time.Unix(morning+4, 5)))
	}
	ctx, cancel := c.WithDeadline(t.Context(), time.Unix(morning+5, 5))
	defer cancel()
	mock.Add(2 * time.Second)
	<-ctx.Done()
}

// TestReplyLength checks that the replies of a remote server are told apart by their texts.
func TestReplyLength(t *testing.T) {
	digits := strings.Repeat("7", 20)
	for received, want := range map[string]int{
		protocol.Welcome:             len(protocol.Welcome),
		protocol.Welcome + digits:    len(protocol.Welcome),
		protocol.Welcome + "\n1":     len(protocol.Welcome) + 1,
		protocol.TryAgain + "\nWelc": len(protocol.TryAgain) + 1,
		"Welcome to":                 0,
		protocol.NowBlocked:          len(protocol.NowBlocked),
		protocol.TryAgain[:8]:        0,
		"1":                          1,
		"1\n":                        2,
		"11":                         1,
		"12":                         2,
		digits[:19]:                  19,
		digits + digits:              20,
		digits + "1":                 20,
		digits + "\n":                21,
		"what":                       4,
	} {
		t.Run(received, func(t *testing.T) {
			if n := replyLength([]byte(received), true); n != want {
				t.Errorf("first of several replies: %d bytes, want %d", n, want)
			}
			if want > 0 {
				want = len(received)
			}
			if n := replyLength([]byte(received), false); n != want {
				t.Errorf("single reply: %d bytes, want %d", n, want)
			}
		})
	}
}
