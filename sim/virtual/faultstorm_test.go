package virtual_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/scenarios/fault"
	"bluetrace/sim/virtual"
	"bluetrace/sim/world"
)

// stormFault returns a fault of a random kind.
func stormFault(src *rand.Rand, n int) *world.Fault {
	kinds := []fault.Kind{
		fault.Lose, fault.Delay, fault.Duplicate, fault.Reorder, fault.Corrupt, fault.Truncate, fault.Cut, fault.Slow,
		fault.Pieces, fault.Join, fault.Reset, fault.HalfClose, fault.Stall, fault.Refuse, fault.TimeOut,
		fault.Crash, fault.SwitchOff, fault.Pause, fault.Leave, fault.Disk, fault.Clock,
	}
	pick := func(words ...string) string { return words[src.IntN(len(words))] }
	some := func() (s world.Nodes) {
		s.Server = src.IntN(3) == 0
		for i := range uint32(4) {
			if src.IntN(2) == 0 {
				s.Phones = append(s.Phones, i)
			}
		}
		if s.IsEmpty() {
			s.Any = true
		}
		return s
	}
	f := &world.Fault{
		Number: n, Text: "storm", Kind: kinds[src.IntN(len(kinds))], Chance: []float64{1, 0.5, 0.1}[src.IntN(3)],
		Skip: src.IntN(3), Count: src.IntN(5), Of: some(), From: some(), To: some(),
		Stream: src.IntN(2) == 0, OneWay: pick("", "in", "out"),
		Max: time.Duration(src.IntN(2000)) * ms, Bytes: 1 + src.IntN(30), Room: src.IntN(200),
		Unsynced: pick("lost", "kept", "torn"), Disk: pick("full", "slow", "failing", "fsync"),
	}
	switch f.Kind {
	case fault.SwitchOff, fault.Leave:
		f.Of.Any, f.Of.Server = false, false
		f.Of.Phones = []uint32{uint32(src.IntN(4))}
	case fault.HalfClose:
		f.Instant = true
	case fault.Reset:
		f.Instant = src.IntN(2) == 0
	case fault.Clock:
		switch src.IntN(3) {
		case 0:
			f.Instant, f.Step = true, time.Duration(src.IntN(7200)-3600)*second
		case 1:
			f.Offset = time.Duration(src.IntN(240)-120) * second
		case 2:
			f.Drift = float64(src.IntN(2001) - 1000)
		}
	}
	return f
}

// runManyFaults runs four phones with faults of every kind. It returns when each fault ends.
func runManyFaults(t *testing.T, seed uint64) (*rig, map[uint64]time.Duration) {
	t.Helper()
	src := rand.New(rand.NewPCG(seed, 1))
	r, ends := &rig{t: t}, map[uint64]time.Duration{}
	r.build(virtual.Config{
		Seed: seed,
		Phones: withFolders(phonesNamed([]protocol.Form{protocol.Split, protocol.Single}[seed%2], "a", "b", "c",
			"d")),
		DiskDelay: virtual.Delay{Max: 20 * ms},
		TCP:       virtual.TCP{Delay: virtual.Delay{Min: ms, Max: 30 * ms}},
		UDP:       virtual.UDP{Delay: virtual.Delay{Max: 20 * ms}},
	}, nil)
	for n := range 60 {
		at, length := time.Duration(src.IntN(300_000))*ms, time.Duration(src.IntN(20_000))*ms
		f := stormFault(src, n+1)
		r.Call(at, func() { r.Begin(f) })
		if !f.Instant {
			ends[uint64(f.Number)] = at + length
			r.Call(at+length, func() { r.End(f) })
		}
	}
	for i := range 3300 {
		at := time.Duration(i) * 100 * ms
		who := uint32(src.IntN(4))
		switch src.IntN(20) {
		case 0:
			r.Call(at, func() { r.loginOK(who) })
		case 1:
			r.Call(at, func() { r.Type(who, protocol.CommandDownload) })
		case 2:
			r.Call(at, func() { r.Type(who, protocol.CommandUpload) })
		case 3:
			r.Call(at, func() { r.login(who, "wrong") })
		default:
			to := uint32(src.IntN(4))
			r.Call(at, func() { r.SendBeacons(who, []uint32{to}) })
		}
	}
	r.until(600 * second)
	return r, ends
}

// TestStorm checks the counts of a world after many overlapping faults, and that
// every phone works when they are over.
func TestStorm(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprintf("seed %d", seed+1), func(t *testing.T) {
			r, _ := runManyFaults(t, seed+1)
			n := r.Totals().Datagrams
			if n.Sent != n.Delivered+n.Lost+n.InFlight || n.InFlight != 0 || r.DatagramsInFlight() != 0 {
				t.Errorf("seed %d: datagrams %+v, under way %d", seed+1, n, r.DatagramsInFlight())
			}
			before := *r.Totals()
			for who := range uint32(4) {
				r.Call(600*second, func() { r.loginOK(who) })
				r.Call(602*second, func() { r.Type(who, protocol.CommandDownload) })
				r.Call(603*second, func() { r.SendBeacons(who, []uint32{(who + 1) % 4}) })
				r.Call(610*second, func() { r.Type(who, protocol.CommandLogout) })
			}
			r.until(700 * second)
			for who := range uint32(4) {
				got := r.outcomes(who)
				want := []outcome{{who, nodes.OpLogin, nodes.OutcomeOK}, {who, nodes.OpDownload, nodes.OutcomeOK},
					{who, nodes.OpLogout, nodes.OutcomeOK}}
				wantOutcomes(t, got[len(got)-3:], want...)
			}
			if got := r.Totals().Beacons.Sent - before.Beacons.Sent; got != 4 {
				t.Errorf("seed %d: %d beacons were sent after all was over, want 4", seed+1, got)
			}
			if got := r.Totals().Sessions; got.Opened != got.Closed {
				t.Errorf("seed %d: sessions %+v", seed+1, got)
			}
			if got := r.OpenConns(); got != 0 {
				t.Errorf("seed %d: %d connections are left", seed+1, got)
			}

		})
	}
}
