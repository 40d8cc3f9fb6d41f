package virtual_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/scenarios/fault"
	"bluetrace/sim/virtual"
	"bluetrace/sim/world"
)

// downloads logs in phone a at time zero and downloads a TempID at each of the given
// seconds.
func (r *rig) downloads(at ...int) {
	r.loginOK(0)
	for _, s := range at {
		r.Call(time.Duration(s)*second, func() { r.Type(0, protocol.CommandDownload) })
	}
}

// TestStreamDelay checks that an answer is delayed and that its stream keeps its
// order.
func TestStreamDelay(t *testing.T) {
	r := newRig(t, delays10)
	r.downloads(2, 5)
	r.addFault(second, 2*second, world.Fault{Kind: fault.Delay, Stream: true, From: server, To: phones(0), Min: second,
		Max: second})
	r.until(10 * second)
	wantLines(t, "applied", r.effectLines(), "2.01s fault 1 delay -1>0 #0 1000000000")
	got := r.traced("a: reads")
	if len(got) != 3 || !strings.HasPrefix(got[1], "3.02") || !strings.HasPrefix(got[2], "5.02") {
		t.Errorf("%v", got)
	}
	wantLines(t, "read by the server", r.traced("server: reads c1 of a \"Down"),
		`2.010000000 server: reads c1 of a "Download_tempID"`, `5.010000000 server: reads c1 of a "Download_tempID"`)
}

// TestSlowStream checks a stream of 10 bytes a second from a phone.
func TestSlowStream(t *testing.T) {
	r := newRig(t, delays10)
	r.downloads(2, 3)
	r.addFault(second, 0, world.Fault{Kind: fault.Slow, Stream: true, From: phones(0), Bytes: 10, Room: 1})
	r.until(20 * second)
	wantLines(t, "read", r.traced("server: reads c1 of a \"Down"),
		`3.510000000 server: reads c1 of a "Download_tempID"`, `5.030000000 server: reads c1 of a "Download_tempID"`)
	wantLines(t, "applied", r.effectLines(), "2s fault 1 slow 0>-1 #0 1500000000",
		"3.52s fault 1 slow 0>-1 #0 1500000000")
}

// TestPieces checks that a phone's sends are split into pieces of 4 bytes.
func TestPieces(t *testing.T) {
	r := newRig(t, delays10)
	r.downloads(2, 5)
	r.addFault(second, 2*second, world.Fault{Kind: fault.Pieces, Of: phones(0), Bytes: 4})
	r.until(20 * second)
	wantLines(t, "read", r.traced("server: reads c1 of a")[2:], `2.010000000 server: reads c1 of a "Down"`,
		`2.010000000 server: reads c1 of a "load"`,
		`2.010000000 server: reads c1 of a "_tem"`, `2.010000000 server: reads c1 of a "pID"`,
		`5.010000000 server: reads c1 of a "Download_tempID"`)
	wantLines(t, "applied", r.effectLines(), "2s fault 1 pieces 0>-1 #0 4")
	if r.Totals().TempIDs.Issued != 2 {
		t.Errorf("%d TempIDs", r.Totals().TempIDs.Issued)
	}
}

// TestJoin checks that the server reads username and password at once.
func TestJoin(t *testing.T) {
	r := newRig(t, delays10)
	r.addFault(0, second, world.Fault{Kind: fault.Join, Of: server, Min: 60 * ms, Max: 60 * ms})
	r.Call(0, func() { r.loginOK(0) })
	r.Call(2*second, func() { r.loginOK(1) })
	r.until(20 * second)
	wantLines(t, "read", r.traced("server: reads"), `0.090000000 server: reads c1 of a "apw-a"`,
		`2.030000000 server: reads c2 of b "b"`, `2.080000000 server: reads c2 of b "pw-b"`)
	wantLines(t, "applied", r.effectLines(), "30ms fault 1 join 0>-1 #0 60000000")
}

// TestFaultReset checks that both sides of a connection see a reset, behind the
// bytes that were sent before.
func TestFaultReset(t *testing.T) {
	r := newRig(t, delays10)
	r.downloads(2)
	r.loginOK(1)
	r.addFault(2*second, 0, world.Fault{Kind: fault.Reset, Of: phones(0), Instant: true})
	r.until(20 * second)
	wantLines(t, "applied", r.effectLines(), "2s fault 1 reset 0>-1 #0 0")
	wantLines(t, "ends", r.traced("c1 is"), "2.000000000 fault 1: a -> server: c1 is reset",
		"2.010000000 a: c1 is closed by the server", "2.010000000 a: c1 is closed by the phone")
	wantOutcomes(t, r.outcomes(0), outcome{0, nodes.OpLogin, nodes.OutcomeOK}, outcome{0, nodes.OpDownload,
		nodes.OutcomeConnectionLost})
	wantOutcomes(t, r.outcomes(1), outcome{1, nodes.OpLogin, nodes.OutcomeOK})
	if n := r.Totals().Sessions; n.Opened != 2 || n.Closed != 1 || r.OpenConns() != 1 {
		t.Errorf("sessions %+v, %d connections", n, r.OpenConns())
	}
}

// TestResetOfASegment checks that a segment that a reset affects is lost with its
// connection.
func TestResetOfASegment(t *testing.T) {
	r := newRig(t, delays10)
	r.downloads(2, 5)
	r.addFault(second, 100*second, world.Fault{Kind: fault.Reset, Of: phones(0), Skip: 1})
	r.until(20 * second)
	wantLines(t, "applied", r.effectLines(), "2.01s fault 1 reset 0>-1 #0 0") // the answer
	wantOutcomes(t, r.outcomes(0), outcome{0, nodes.OpLogin, nodes.OutcomeOK}, outcome{0, nodes.OpDownload,
		nodes.OutcomeConnectionLost},
		outcome{0, nodes.OpDownload, nodes.OutcomeConnectionLost})
	if r.OpenConns() != 0 {
		t.Errorf("%d connections are left", r.OpenConns())
	}
}

// TestFaultHalfClose checks that the end of a phone's stream, or of the server's,
// closes the connection.
func TestFaultHalfClose(t *testing.T) {
	for _, of := range []world.Nodes{phones(0), server} {
		t.Run(fmt.Sprintf("of the server: %t", of.Server), func(t *testing.T) {
			r := newRig(t, delays10)
			r.downloads(1)
			r.addFault(2*second, 0, world.Fault{Kind: fault.HalfClose, Of: of, Instant: true})
			r.until(20 * second)
			if of.Server {
				wantLines(t, "ends", r.traced("c1 is closed"), "2.010000000 a: c1 is closed by the server",
					"2.010000000 a: c1 is closed by the phone")
			} else {
				wantLines(t, "ends", r.traced("close")[1:], "2.000000000 fault 1: a -> server: c1 is half closed",
					"2.010000000 server: c1 of a is closed by the server", "2.020000000 a: c1 is closed by the server",
					"2.020000000 a: c1 is closed by the phone",
					`2.020000000 a: prints "the server closed the connection"`)
			}
			if r.OpenConns() != 0 || r.Totals().Sessions.Closed != 1 || len(r.effects) != 1 {
				t.Errorf("%d connections, sessions %+v, applied %v", r.OpenConns(), r.Totals().Sessions,
					r.effectLines())
			}

		})
	}
}

// TestStall checks that a stalled node reads the bytes at once when the fault ends.
func TestStall(t *testing.T) {
	r := newRig(t, delays10)
	r.downloads(2)
	r.addFault(second, 4*second, world.Fault{Kind: fault.Stall, Of: phones(0)})
	r.addFault(10*second, 4*second, world.Fault{Kind: fault.Stall, Of: server})
	r.Call(11*second, func() { r.Type(0, protocol.CommandDownload) })
	r.until(20 * second)
	got := r.traced("a: reads")
	if len(got) != 3 || !strings.HasPrefix(got[1], "5.00") || !strings.HasPrefix(got[2], "14.01") {
		t.Errorf("%v", got)
	}
	wantLines(t, "the server", r.traced("reads c1 of a \"Down"), `2.010000000 server: reads c1 of a "Download_tempID"`,
		`14.000000000 server: reads c1 of a "Download_tempID"`)
	wantLines(t, "applied", r.effectLines(), "1s fault 1 stall 0>-1 #0 0", "10s fault 2 stall -1>-1 #0 0")
}

// TestRefuse checks refused connections of one phone, and of the server.
func TestRefuse(t *testing.T) {
	for _, c := range []struct {
		of      world.Nodes
		refused uint64
	}{{phones(0), 1}, {server, 2}} {
		t.Run(fmt.Sprintf("of the server: %t", c.of.Server), func(t *testing.T) {
			r := newRig(t, delays10)
			r.addFault(second, second, world.Fault{Kind: fault.Refuse, Of: c.of})
			for who := range uint32(2) {
				r.Call(second, func() { r.loginOK(who) })
				r.Call(3*second, func() { r.loginOK(who) })
			}
			r.until(20 * second)
			if got := r.traced("connection refused\""); uint64(len(got)) != c.refused ||
				!strings.HasPrefix(got[0], "1.02") {
				t.Errorf("%v", got)
			}
			if n := r.Totals().Logins.Welcomed; n != 4-c.refused || uint64(len(r.effects)) != c.refused {
				t.Errorf("%d welcomed, applied %v", n, r.effectLines())
			}

		})
	}
}

// TestTimeOut checks that an unanswered connect fails after 10 s, unless the fault
// ends before.
func TestTimeOut(t *testing.T) {
	r := newRig(t, delays10)
	r.addFault(second, 12*second, world.Fault{Kind: fault.TimeOut, Of: phones(0, 1)})
	r.Call(2*second, func() { r.loginOK(0) })
	r.Call(5*second, func() { r.loginOK(1) })
	r.Call(5*second, func() { r.loginOK(2) })
	r.until(30 * second)
	wantLines(t, "prints", r.traced("cannot connect"),
		`12.000000000 a: prints "cannot connect to the server: connection timed out"`)
	wantLines(t, "accepted", r.traced("accepts"), "5.010000000 server: accepts c3 of c",
		"13.010000000 server: accepts c2 of b")
	wantLines(t, "applied", r.effectLines(), "2s fault 1 time_out 0>-1 #0 0", "5s fault 1 time_out 1>-1 #0 0")
	wantOutcomes(t, r.outcomes(0), outcome{0, nodes.OpLogin, nodes.OutcomeConnectionLost})
	wantOutcomes(t, r.outcomes(1), outcome{1, nodes.OpLogin, nodes.OutcomeOK})
	if r.OpenConns() != 2 {
		t.Errorf("%d connections, want those of b and c", r.OpenConns())
	}
}

// TestTimeOutIsOfOneConnection checks that the time of a connect does not end a later one in the same place of the
// table.
func TestTimeOutIsOfOneConnection(t *testing.T) {
	r := newRig(t, delays10)
	r.addFault(second, second, world.Fault{Kind: fault.TimeOut, Of: phones(0)})
	r.Call(1500*ms, func() { r.loginOK(0) })
	r.Call(4*second, func() { r.Type(0, protocol.CommandLogout) })
	r.addFault(5*second, 8*second, world.Fault{Kind: fault.TimeOut, Of: phones(1)})
	r.Call(6*second, func() { r.loginOK(1) })
	r.until(20 * second)
	wantLines(t, "prints", r.traced("cannot connect"))
	wantLines(t, "accepted", r.traced("accepts"), "2.010000000 server: accepts c1 of a",
		"13.010000000 server: accepts c2 of b")
}

// TestCutOfStreams checks that sent bytes arrive in order after a cut, and that a
// cut in one direction blocks only that one.
func TestCutOfStreams(t *testing.T) {
	r := newRig(t, delays10)
	r.downloads(2)
	r.addFault(2005*ms, 3*second, world.Fault{Kind: fault.Cut, Of: phones(0)}) // the command is under way
	r.Call(3*second, func() { r.RawOpen(0); r.RawSend(0, []byte("a")) })
	r.until(20 * second)
	wantLines(t, "applied", r.effectLines(), "2.01s fault 1 cut 0>-1 #0 0", "3s fault 1 cut 0>-1 #0 0")
	wantLines(t, "read", r.traced("server: reads")[2:], `5.015000000 server: reads c1 of a "Download_tempID"`,
		`5.035000000 server: reads c2 of a "a"`)
	in := newRig(t, delays10)
	in.downloads(2, 3)
	in.addFault(second, 4*second, world.Fault{Kind: fault.Cut, Of: phones(0), From: server, OneWay: "in"})
	in.until(20 * second)
	wantLines(t, "read", in.traced("server: reads")[2:], `2.010000000 server: reads c1 of a "Download_tempID"`,
		`5.020000000 server: reads c1 of a "Download_tempID"`)
	got := in.traced("a: reads")
	if len(got) != 3 || !strings.HasPrefix(got[1], "5.01") || !strings.HasPrefix(got[2], "5.03") {
		t.Errorf("%v", got)
	}
}

// TestStreamKeepsItsOrderThroughACut checks that segments in flight when a cut
// begins arrive before those sent during it.
func TestStreamKeepsItsOrderThroughACut(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprintf("seed %d", seed+1), func(t *testing.T) {
			settings := nodes.DefaultServerSettings()
			settings.Attempts = 1000
			r := newRig(t, virtual.Config{Seed: seed + 1, Server: settings,
				TCP: virtual.TCP{Delay: virtual.Delay{Max: 300 * ms}, Split: 2}})
			r.RawOpen(0)
			text := "abcdefghijklmnopqrstuvwxyz0123456789"
			for i := range len(text) / 4 {
				r.Call(second+time.Duration(i)*50*ms, func() { r.RawSend(0, []byte(text[4*i:4*i+4])) })
			}
			r.addFault(1100*ms, 200*ms, world.Fault{Kind: fault.Cut, Of: phones(0)})
			r.addFault(1350*ms, 20*ms, world.Fault{Kind: fault.Cut, Of: phones(0)})
			r.addFault(1200*ms, 400*ms, world.Fault{Kind: fault.Delay, Stream: true, Max: 300 * ms, Chance: 0.5})
			r.until(10 * second)
			if got := joinText(r.serverReads); got != text {
				t.Errorf("seed %d: the server reads %q", seed+1, got)
			}

		})
	}
}
