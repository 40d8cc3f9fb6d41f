package virtual_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/sim/virtual"
)

// slowDisk returns a world in which a Store takes 100 ms.
func slowDisk(t *testing.T) *rig {
	t.Helper()
	return newRig(t, virtual.Config{DiskDelay: virtual.Delay{Min: 100 * ms, Max: 100 * ms}})
}

// TestRestartKeepsTempIDs checks that a stored TempID resolves after a restart.
func TestRestartKeepsTempIDs(t *testing.T) {
	r := slowDisk(t)
	r.loginOK(0)
	r.loginOK(1)
	r.Call(second, func() { r.Type(0, protocol.CommandDownload) })
	r.Call(2*second, func() { r.SendBeacons(0, []uint32{1}) })
	r.Call(3*second, func() { r.RestartServer(second) })
	r.Call(5*second, func() { r.loginOK(1) })
	r.Call(6*second, func() { r.Type(1, protocol.CommandUpload) })
	r.until(10 * second)
	b, ok := r.TempID(0)
	if !ok {
		t.Fatal("the phone has no TempID")
	}
	if n := r.Totals().Uploads; n.Complete != 1 || n.Entries != 1 || n.Resolved != 1 {
		t.Errorf("uploads %+v, want one entry that resolves", n)
	}
	block := r.serverPrints[len(r.serverPrints)-1]
	want := "received contact log from b\n" + b.TempID.String() + "\n30/07/2020 09:00:01\n30/07/2020 09:15:01\n" +
		"Contact log checking\na\n30/07/2020 09:00:01\n30/07/2020 09:15:01"
	if block != want {
		t.Errorf("the server printed %q, want %q", block, want)
	}
	if want := []time.Duration{3 * second}; !slices.Equal(r.serverStops, want) {
		t.Errorf("the restarts were at %v, want %v", r.serverStops, want)
	}
	wantOutcomes(t, r.outcomes(0), outcome{0, nodes.OpLogin, nodes.OutcomeOK}, outcome{0, nodes.OpDownload,
		nodes.OutcomeOK})
}

// TestRestartLosesUnstoredRecords checks that a TempID whose store was interrupted
// was never issued.
func TestRestartLosesUnstoredRecords(t *testing.T) {
	for _, kill := range []time.Duration{second + 99_999_999, second + 100*ms + 1} {
		t.Run(kill.String(), func(t *testing.T) {
			r := slowDisk(t)
			r.loginOK(0)
			r.Call(second, func() { r.Type(0, protocol.CommandDownload) })
			r.Call(kill, func() { r.RestartServer(0) })
			r.until(20 * second)
			_, has := r.TempID(0)
			lost := kill < second+100*ms
			want := uint64(1)
			if lost {
				want = 0
			}
			if has == lost || r.Totals().TempIDs.Issued != want {
				t.Errorf("killed at %s: the phone has a TempID: %t, issued %d, want %d", kill, has,
					r.Totals().TempIDs.Issued, want)
			}
			stored := strings.Contains(r.trace.String(), "is on disk")
			if stored == lost {
				t.Errorf("killed at %s: stored: %t, want %t", kill, stored, !lost)
			}
			last := r.outcomes(0)
			if lost && last[len(last)-1].outcome != nodes.OutcomeConnectionLost {
				t.Errorf("killed at %s: the download came to %s, want a lost connection", kill,
					last[len(last)-1].outcome)
			}

		})
	}
}

// TestRestartAndAttempts checks that stored wrong passwords still count after a
// restart, and that an interrupted one does not.
func TestRestartAndAttempts(t *testing.T) {
	for _, c := range []struct {
		kill time.Duration // after the second wrong password
		want nodes.Outcome // of a third one
	}{
		{100*ms - 1, nodes.OutcomeWrongPassword},
		{100*ms + 1, nodes.OutcomeBlocked},
	} {
		t.Run(c.kill.String(), func(t *testing.T) {
			r := slowDisk(t)
			r.login(0, "wrong")
			r.Call(second, func() { r.Type(0, "wrong") }) // read at once
			r.Call(second+c.kill, func() { r.RestartServer(0) })
			r.Call(3*second, func() { r.login(0, "wrong") })
			r.until(10 * second)
			got := r.outcomes(0)
			if last := got[len(got)-1]; last.outcome != c.want {
				t.Errorf("killed %s after the second wrong password: the third came to %s, want %s", c.kill,
					last.outcome, c.want)
			}

		})
	}
}

// TestRestartAndBlock checks that a block goes on across a restart.
func TestRestartAndBlock(t *testing.T) {
	r := newRig(t, virtual.Config{})
	r.login(0, "wrong")
	r.Call(second, func() { r.Type(0, "wrong") })
	r.Call(2*second, func() { r.Type(0, "wrong") }) // blocked from here on
	r.Call(30*second, func() { r.RestartServer(10 * second) })
	r.Call(62*second-50*ms-1, func() { r.loginOK(0) }) // its password leaves 50 ms later
	r.Call(62*second-50*ms, func() { r.loginOK(1) })
	r.Call(62*second, func() { r.loginOK(0) })
	r.until(70 * second)
	wantOutcomes(t, r.outcomes(0),
		outcome{0, nodes.OpLogin, nodes.OutcomeWrongPassword}, outcome{0, nodes.OpLogin, nodes.OutcomeWrongPassword},
		outcome{0, nodes.OpLogin, nodes.OutcomeBlocked}, outcome{0, nodes.OpLogin, nodes.OutcomeBlocked},
		outcome{0, nodes.OpLogin, nodes.OutcomeOK})
	wantOutcomes(t, r.outcomes(1), outcome{1, nodes.OpLogin, nodes.OutcomeOK})
	if n := r.Totals().Logins; n.Wrong != 3 || n.Blocked != 1 || n.Refused != 1 || n.Welcomed != 2 {
		t.Errorf("logins %+v", n)
	}
}

// TestDiskKeepsItsOrder checks that stores reach the disk in their order, whatever
// their delays. Otherwise a restart could restore an older count of wrong passwords
// (PROTOCOL.md section 2: never too low).
func TestDiskKeepsItsOrder(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprintf("seed %d", seed+1), func(t *testing.T) {
			r := newRig(t, virtual.Config{Seed: seed + 1, DiskDelay: virtual.Delay{Max: 100 * ms}})
			for who := range uint32(2) { // both guess the password of a
				r.Call(time.Duration(who)*ms, func() {
					r.RawOpen(who)
					r.RawSend(who, []byte("a"))
					r.Call(r.Now()+10*ms, func() { r.RawSend(who, []byte("wrong")) })
				})
			}
			r.Call(second, func() { r.RestartServer(0) })
			r.Call(2*second, func() { r.login(2, "x") })
			r.Call(3*second, func() { r.Open(0); r.Type(0, "a"); r.Type(0, "wrong") })
			r.until(10 * second)
			got := r.outcomes(0)
			if len(got) != 1 || got[0].outcome != nodes.OutcomeBlocked {
				t.Errorf("seed %d: the third wrong password came to %v, want a block", seed+1, got)
			}

		})
	}
}

// TestRestartOfAServerThatIsDown checks that a second restart of a server that is
// down has no effect.
func TestRestartOfAServerThatIsDown(t *testing.T) {
	r := newRig(t, virtual.Config{})
	r.Call(second, func() { r.RestartServer(5 * second) })
	r.Call(2*second, func() { r.RestartServer(second) })
	r.until(10 * second)
	if len(r.serverStops) != 1 || strings.Count(r.trace.String(), "is started again") != 1 {
		t.Errorf("killed at %v, started again %d times; want once", r.serverStops, strings.Count(r.trace.String(),
			"is started again"))
	}
	if !strings.Contains(r.trace.String(), "6.000000000 server: is started again") {
		t.Error("it did not come back when the first restart said")
	}
}
