package virtual_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/scenarios/fault"
	"bluetrace/sim/event"
	"bluetrace/sim/virtual"
	"bluetrace/sim/world"
)

// TestPauseOfAPhone checks that inputs wait in their order while a phone is paused,
// and that wake-ups that are due come before them.
func TestPauseOfAPhone(t *testing.T) {
	r := newRig(t, delays10)
	r.sendBeacon(0, 0, 1, 7) // leaves the log at 180.01 s
	r.addFault(170*second, 30*second, world.Fault{Kind: fault.Pause, Of: phones(1)})
	r.sendBeacon(175*second, 0, 1, 8)
	r.sendBeacon(176*second, 2, 1, 9)
	r.Call(190*second, func() {
		if n := r.Log(1).Len(); n != 1 {
			t.Errorf("while it is paused its log has %d entries, want the one that is past its retention", n)
		}
	})
	r.until(300 * second)
	wantLines(t, "verdicts", r.verdictLines(), "10ms 1 of 0 valid", "3m20s 1 of 0 valid", "3m20s 1 of 2 valid")
	got := slices.DeleteFunc(r.traced(" b"), func(line string) bool {
		return strings.Contains(line, "due") ||
			strings.Contains(line, "begins")
	})
	wantLines(t, "b", got, "0.010000000 b <- a: datagram 1, 59 bytes",
		"0.010000000 b: beacon of a is valid, TempID "+shownTempID(7), "170.000000000 fault 1: b is paused",
		"175.010000000 b <- a: datagram 2, 59 bytes", "176.010000000 b <- c: datagram 3, 59 bytes",
		"200.000000000 b: log entries that expire: 1, left: 0",
		"200.000000000 b: beacon of a is valid, TempID "+shownTempID(8),
		"200.000000000 b: beacon of c is valid, TempID "+shownTempID(9))
	r.checkBalance()
}

// shownTempID returns a TempID of forged as the trace shows it.
func shownTempID(number int) string { return fmt.Sprintf("10000000..%08d", number) }

// TestPauseAndTheKeyboard checks that typed lines wait while a phone is paused.
func TestPauseAndTheKeyboard(t *testing.T) {
	r := newRig(t, delays10)
	r.loginOK(0)
	r.addFault(second, 5*second, world.Fault{Kind: fault.Pause, Of: phones(0)})
	r.Call(2*second, func() { r.Type(0, protocol.CommandDownload) })
	r.until(5 * second)
	if len(r.traced("a -> server: c1 \"Down")) != 0 {
		t.Error("a paused program has sent a typed line")
	}
	r.until(10 * second)
	wantLines(t, "sent", r.traced("Down"), `6.000000000 a -> server: c1 "Download_tempID"`,
		`6.010000000 server: reads c1 of a "Download_tempID"`)
}

// TestPauseOfTheServer checks that connections to a paused server stand and are read
// when it goes on, and that its stores finish meanwhile.
func TestPauseOfTheServer(t *testing.T) {
	c := delays10
	c.DiskDelay = virtual.Delay{Min: second, Max: second}
	r := newRig(t, c)
	r.loginOK(0)
	r.Call(2*second, func() { r.Type(0, protocol.CommandDownload) }) // read at 2.01 s, on the disk at 3.01 s
	r.addFault(2500*ms, 7500*ms, world.Fault{Kind: fault.Pause, Of: server})
	r.Call(4*second, func() { r.loginOK(1) })
	r.until(8 * second)
	wantLines(t, "while it is paused", r.traced("c2"), "4.000000000 b: connects (c2)",
		"4.020000000 b: is connected (c2)",
		`4.020000000 b -> server: c2 "b"`, `4.070000000 b -> server: c2 "pw-b"`)
	wantLines(t, "stored", r.noted("store"), "2.01s store of 1", "3.01s stored 1: <nil>")
	r.until(20 * second)
	wantOutcomes(t, r.outcomes(0), outcome{0, nodes.OpLogin, nodes.OutcomeOK}, outcome{0, nodes.OpDownload,
		nodes.OutcomeOK})
	wantLines(t, "answers", r.traced("server -> a"),
		`0.080000000 server -> a: c1 "Welcome to the BlueTrace Simulator!"`,
		`10.000000000 server -> a: c1 `+fmt.Sprintf("%q", r.replies[1].text),
	)
	wantLines(t, "reads", r.traced("server: reads c2"), `10.000000000 server: reads c2 of b "bpw-b"`)
	if n := r.Totals().Sessions; n.Opened != 2 {
		t.Errorf("sessions %+v", n)
	}
}

// TestLeave checks that a phone that has left sends and receives no datagrams,
// including those in flight, and that streams go on later.
func TestLeave(t *testing.T) {
	r := newRig(t, delays10)
	r.loginOK(0)
	r.addFault(2*second, 8*second, world.Fault{Kind: fault.Leave, Of: phones(0)})
	r.sendBeacon(2*second-5*ms, 1, 0, 1) // under way
	r.sendBeacon(2*second-5*ms, 0, 1, 2) // it had left
	r.sendBeacon(3*second, 0, 1, 3)
	r.sendBeacon(3*second, 1, 0, 4)
	r.sendBeacon(3*second, 1, 2, 5)
	r.sendBeacon(10*second, 1, 0, 6)
	r.Call(4*second, func() { r.Type(0, protocol.CommandDownload) })
	r.until(20 * second)
	wantLines(t, "verdicts", r.verdictLines(), "2.005s 1 of 0 valid", "3.01s 2 of 1 valid", "10.01s 0 of 1 valid")
	wantLines(t, "notes", r.noted("lost on arrival"), "2.005s lost on arrival")
	wantLines(t, "stream", r.traced("Download"), `4.000000000 a -> server: c1 "Download_tempID"`,
		`10.010000000 server: reads c1 of a "Download_tempID"`)
	wantOutcomes(t, r.outcomes(0), outcome{0, nodes.OpLogin, nodes.OutcomeOK}, outcome{0, nodes.OpDownload,
		nodes.OutcomeOK})
	r.checkBalance()
}

// TestClockOffset checks that an offset changes a phone's wall clock and not its
// durations.
func TestClockOffset(t *testing.T) {
	r := newRig(t, delays10)
	r.addFault(0, 200*second, world.Fault{Kind: fault.Clock, Of: phones(1), Offset: 15 * time.Minute})
	r.sendBeacon(second, 0, 1, 1) // good for 15 minutes from time zero
	r.sendBeacon(second, 0, 2, 1)
	r.sendBeacon(201*second, 0, 1, 1)
	r.until(500 * second)
	wantLines(t, "verdicts", r.verdictLines(), "1.01s 1 of 0 invalid", "1.01s 2 of 0 valid", "3m21.01s 1 of 0 valid")
	wantLines(t, "notes", r.noted("clock"), "0s clock of 1: 0s, 09:15:00.000, 0",
		"3m20s clock of 1: 3m20s, 09:03:20.000, 0")
	wantLines(t, "expiry", r.traced("that expire"), "181.010000000 c: log entries that expire: 1, left: 0",
		"381.010000000 b: log entries that expire: 1, left: 0")
	wantLines(t, "trace", r.traced("the clock of b"),
		"0.000000000 fault 1: the clock of b shows 30/07/2020 09:15:00.000000000, drift 0 ppm",
		"200.000000000 fault 1: the clock of b shows 30/07/2020 09:03:20.000000000, drift 0 ppm")
}

// TestClockStep checks that a step of the wall clock changes neither the retention
// of an entry nor a block.
func TestClockStep(t *testing.T) {
	for _, step := range []time.Duration{-time.Hour, time.Hour} {
		t.Run(step.String(), func(t *testing.T) {
			r := newRig(t, delays10)
			r.sendBeacon(0, 0, 1, 1)
			r.addFault(10*second, 0, world.Fault{Kind: fault.Clock, Of: anyNode, Step: step, Instant: true})
			r.Call(0, func() { r.login(2, "x") })
			r.Call(second, func() { r.Type(2, "x") })
			r.Call(2*second, func() { r.Type(2, "x") }) // read at 2.01 s
			r.Call(61900*ms, func() { r.loginOK(2) })   // its password is read at 61.98 s
			r.Call(61950*ms, func() { r.loginOK(2) })   // at 62.03 s
			r.until(300 * second)
			wantLines(t, "expiry", r.traced("that expire"), "180.010000000 b: log entries that expire: 1, left: 0")
			got := r.outcomes(2)
			wantOutcomes(t, got[len(got)-1:], outcome{2, nodes.OpLogin, nodes.OutcomeOK})
			if n := r.Totals().Logins; n.Welcomed != 1 || n.Blocked != 1 {
				t.Errorf("logins %+v", n)
			}
			if len(r.noted("clock")) != 4 {
				t.Errorf("told %v", r.noted("clock"))
			}

		})
	}
}

// TestClockDrift checks, to the nanosecond, that durations of a fast clock are
// shorter.
func TestClockDrift(t *testing.T) {
	for _, c := range []struct {
		ppm  float64
		want string // 180 s of that clock after 1.01 s, at the first nanosecond
	}{
		{1000, "180.830179821"}, // 1.01 + 180/1.001, rounded up
		{-1000, "181.190180181"},
		{0.001, "181.009999820"},
	} {
		t.Run(fmt.Sprintf("%g ppm", c.ppm), func(t *testing.T) {
			r := newRig(t, delays10)
			r.addFault(0, 0, world.Fault{Kind: fault.Clock, Of: world.Nodes{Phones: []uint32{1}, Server: true},
				Drift: c.ppm})
			r.sendBeacon(second, 0, 1, 1)
			r.until(300 * second)
			got := r.traced("that expire")
			if len(got) != 1 || !strings.HasPrefix(got[0], c.want) {
				t.Errorf("drift %g: %v, want %s", c.ppm, got, c.want)
			}
			ends := &event.NodeClock{PPM: c.ppm}
			at := ends.When(ends.ElapsedAt(int64(1010*ms)) + 180*second)
			if got[0][:13] != event.Seconds(at)[:13] {
				t.Errorf("drift %g: event.NodeClock gives %s", c.ppm, event.Seconds(at))
			}

		})
	}
}

// TestDriftThatBeginsLate checks that a drift changes the time of a wake-up that is
// already scheduled.
func TestDriftThatBeginsLate(t *testing.T) {
	for ppm, due := range map[float64]string{1000: "180.920089911", -1000: "181.100090091"} {
		t.Run(fmt.Sprintf("%g ppm", ppm), func(t *testing.T) {
			r := newRig(t, delays10)
			r.sendBeacon(second, 0, 1, 1) // received at 1.01 s
			r.addFault(91010*ms, 0, world.Fault{Kind: fault.Clock, Of: phones(1), Drift: ppm})
			r.until(300 * second)
			got := r.traced("that expire")
			if len(got) != 1 || !strings.HasPrefix(got[0], due) {
				t.Errorf("drift %g: %v, want %s", ppm, got, due)
			}

		})
	}
}

// TestServerDrift checks that a block of a server with a fast clock ends earlier.
func TestServerDrift(t *testing.T) {
	r := newRig(t, delays10)
	r.addFault(0, 0, world.Fault{Kind: fault.Clock, Of: server, Drift: 1000})
	r.login(0, "x")
	r.Call(second, func() { r.Type(0, "x") })
	r.Call(2*second, func() { r.Type(0, "x") }) // read at 2.01 s: the block ends 59.94006 s later
	r.Call(61950060*time.Microsecond-80*ms, func() { r.loginOK(0) })
	r.Call(61950061*time.Microsecond, func() { r.loginOK(0) })
	r.until(100 * second)
	got := r.outcomes(0)
	wantOutcomes(t, got[len(got)-1:], outcome{0, nodes.OpLogin, nodes.OutcomeOK})
}

// TestTimeUpDuringAPause checks that a session that times out while the server is
// paused is closed before its bytes are read.
func TestTimeUpDuringAPause(t *testing.T) {
	r := newRig(t, delays10)
	r.RawOpen(0) // accepted at 10 ms, and closed 2 minutes later
	r.addFault(100*second, 30*second, world.Fault{Kind: fault.Pause, Of: server})
	r.Call(125*second, func() { r.RawSend(0, []byte("a")) })
	r.until(200 * second)
	wantLines(t, "the server", r.traced(" server: ")[3:],
		`130.000000000 server: prints "a session did not log in within 2m0s"`,
		"130.000000000 server: c1 of a is closed by the server")
}
