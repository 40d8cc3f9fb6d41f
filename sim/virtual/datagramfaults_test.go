package virtual_test

import (
	"slices"
	"testing"
	"time"

	"bluetrace/protocol"
	"bluetrace/scenarios/fault"
	"bluetrace/sim/virtual"
	"bluetrace/sim/world"
)

// TestLose checks that a fault loses all datagrams of its path while it is in force,
// and no others.
func TestLose(t *testing.T) {
	r := newRig(t, delays10)
	r.addFault(2*second, 2*second, world.Fault{Kind: fault.Lose, From: phones(0), To: phones(1)})
	for _, at := range []time.Duration{2*second - 1, 2 * second, 3 * second, 4 * second} {
		r.sendBeacon(at, 0, 1, 1)
	}
	r.sendBeacon(3*second, 0, 2, 2)
	r.sendBeacon(3*second, 1, 0, 3)
	r.until(10 * second)
	wantLines(t, "verdicts", r.verdictLines(), "2.009999999s 1 of 0 valid", "3.01s 2 of 0 valid", "3.01s 0 of 1 valid",
		"4.01s 1 of 0 valid")
	wantLines(t, "applied", r.effectLines(), "2s fault 1 lose 0>1 #0 0", "3s fault 1 lose 0>1 #0 0")
	wantLines(t, "trace", r.traced("fault 1"), "2.000000000 fault 1: begins: lose",
		"2.000000000 fault 1: a -> b: a datagram is lost",
		"3.000000000 fault 1: a -> b: a datagram is lost", "4.000000000 fault 1: ends: lose")
	if n := r.Totals().Datagrams; n.Sent != 6 || n.Lost != 2 || n.Delivered != 4 {
		t.Errorf("datagrams %+v", n)
	}
	r.checkBalance()
}

// TestSkipAndCount checks that Skip 1 and Count 2 lose the second and the third
// datagram of an instant, with their ranks.
func TestSkipAndCount(t *testing.T) {
	r := newRig(t, delays10)
	r.addFault(second, 0, world.Fault{Kind: fault.Lose, From: phones(0), Skip: 1, Count: 2})
	for i := range uint64(4) {
		r.sendBeacon(second, 0, 1, i)
	}
	r.sendBeacon(2*second, 0, 1, 9)
	r.until(3 * second)
	wantLines(t, "applied", r.effectLines(), "1s fault 1 lose 0>1 #1 0", "1s fault 1 lose 0>1 #2 0")
	if r.Totals().Datagrams.Delivered != 3 {
		t.Errorf("datagrams %+v, want 3 delivered", r.Totals().Datagrams)
	}
}

// TestFirstRuleThatAnswersWins checks that the fault with the lower number decides,
// whichever began first, and that the other fault counts the datagram too.
func TestFirstRuleThatAnswersWins(t *testing.T) {
	r := newRig(t, delays10)
	r.addFault(second, 0, world.Fault{Number: 2, Kind: fault.Delay, Min: second, Max: second, Skip: 1})
	r.addFault(second, 0, world.Fault{Number: 1, Kind: fault.Lose, Count: 1})
	for i := range uint64(2) {
		r.sendBeacon(2*second, 0, 1, i)
	}
	r.until(5 * second)
	wantLines(t, "applied", r.effectLines(), "2s fault 1 lose 0>1 #0 0", "2s fault 2 delay 0>1 #1 1000000000")
	wantLines(t, "verdicts", r.verdictLines(), "3.01s 1 of 0 valid")
}

// TestChanceOfAFault checks the share of datagrams that a fault affects, and that
// the losses of the network stay the same.
func TestChanceOfAFault(t *testing.T) {
	lost := func(faulty bool) (n uint64, did int) {
		r := newRig(t, virtual.Config{UDP: virtual.UDP{Lose: 0.5}})
		if faulty {
			r.addFault(0, 0, world.Fault{Kind: fault.Duplicate, Chance: 0.3})
		}
		for i := range 1000 {
			r.sendBytes(second+time.Duration(i)*ms, 0, 1, 5)
		}
		r.until(3 * second)
		r.checkBalance()
		return r.Totals().Datagrams.Lost, len(r.effects)
	}
	n, _ := lost(false)
	m, did := lost(true)
	if n != m || n < 440 || n > 560 {
		t.Errorf("%d were lost without the fault, and %d with it; want the same, about 500", n, m)
	}
	if did < 110 || did > 190 {
		t.Errorf("%d of about 500 were doubled, want about 150", did)
	}
}

// TestDelayKeepsOrder checks that a datagram waits for a delayed one before it.
func TestDelayKeepsOrder(t *testing.T) {
	r := newRig(t, delays10)
	r.addFault(second, 10*ms, world.Fault{Kind: fault.Delay, Min: 300 * ms, Max: 300 * ms, Count: 1})
	r.sendBeacon(second, 0, 1, 1)
	r.sendBeacon(second+100*ms, 0, 1, 2)
	r.sendBeacon(second+100*ms, 2, 1, 3)
	r.sendBeacon(second+400*ms, 0, 1, 4)
	r.until(5 * second)
	wantLines(t, "verdicts", r.verdictLines(), "1.11s 1 of 2 valid", "1.31s 1 of 0 valid", "1.31s 1 of 0 valid",
		"1.41s 1 of 0 valid")
	one, two := forged(1), forged(2)
	if got := []string{r.verdicts[1].raw, r.verdicts[2].raw}; !slices.Equal(got,
		[]string{string(one[:]), string(two[:])}) {
		t.Error("the second has overtaken the first")
	}
}

// TestReorderBreaksOrder checks that a datagram arrives before a reordered one that
// was sent earlier.
func TestReorderBreaksOrder(t *testing.T) {
	r := newRig(t, delays10)
	r.addFault(second, 10*ms, world.Fault{Kind: fault.Reorder, Min: 300 * ms, Max: 300 * ms, Count: 1})
	r.sendBeacon(second, 0, 1, 1)
	r.sendBeacon(second+100*ms, 0, 1, 2)
	r.until(5 * second)
	wantLines(t, "verdicts", r.verdictLines(), "1.11s 1 of 0 valid", "1.31s 1 of 0 valid")
	two := forged(2)
	if r.verdicts[0].raw != string(two[:]) {
		t.Error("the first came first")
	}
	wantLines(t, "applied", r.effectLines(), "1s fault 1 reorder 0>1 #0 300000000")
}

// TestDuplicate checks that the copy of a datagram arrives too and counts as sent.
func TestDuplicate(t *testing.T) {
	r := newRig(t, delays10)
	r.addFault(second, second, world.Fault{Kind: fault.Duplicate})
	r.sendBeacon(second, 0, 1, 1)
	r.sendBeacon(2*second, 0, 1, 2)
	r.until(5 * second)
	wantLines(t, "verdicts", r.verdictLines(), "1.01s 1 of 0 valid", "1.01s 1 of 0 valid", "2.01s 1 of 0 valid")
	wantLines(t, "notes", r.noted("duplicated"), "1s duplicated, due 1.01s")
	if n := r.Totals().Datagrams; n.Sent != 3 || n.Delivered != 3 {
		t.Errorf("datagrams %+v", n)
	}
	r.checkBalance()
}

// TestCorrupt checks that one byte of a beacon changes, and that it changes in the
// same way at the same time.
func TestCorrupt(t *testing.T) {
	changed := func(byte int, seed uint64) string {
		c := delays10
		c.Seed = seed
		r := newRig(t, c)
		r.addFault(second, second, world.Fault{Kind: fault.Corrupt, Bytes: byte})
		r.sendBeacon(second, 0, 1, 1)
		r.sendBytes(second, 0, 2, 16) // too short to have byte 17
		r.sendBeacon(2*second, 0, 1, 1)
		r.until(5 * second)
		raw := forged(1)
		if r.verdicts[len(r.verdicts)-1].raw != string(raw[:]) {
			t.Error("after its end the fault changes beacons")
		}
		wantLines(t, "notes", r.noted("changed")[:1], "1s changed of 0")
		got := r.verdicts[0].raw
		if r.verdicts[0].phone != 1 {
			got = r.verdicts[1].raw
		}
		place := int(r.effects[0].amount)
		if byte != 0 && (place != byte || len(r.effects) != 1) {
			t.Errorf("applied %v, want one, at byte %d", r.effectLines(), byte)
		}
		for i := range raw {
			if (got[i] != raw[i]) != (i+1 == place) {
				t.Errorf("byte %d is %q, was %q; byte %d is to be changed", i+1, got[i], raw[i], place)
			}
		}
		return got
	}
	if changed(17, 1) != changed(17, 2) {
		t.Error("the change of byte 17 depends on the seed")
	}
	places := map[string]bool{}
	for seed := range uint64(10) {
		places[changed(0, seed+1)] = true
	}
	if len(places) < 5 {
		t.Errorf("%d different changes in 10 seeds", len(places))
	}
}

// TestTruncate checks the sizes of truncated datagrams.
func TestTruncate(t *testing.T) {
	r := newRig(t, delays10)
	r.addFault(second, second, world.Fault{Kind: fault.Truncate, Bytes: 20})
	r.sendBeacon(second, 0, 1, 1)
	r.sendBytes(second, 2, 1, 20)
	r.sendBeacon(2*second, 0, 1, 1)
	r.until(5 * second)
	wantLines(t, "arrived", r.traced("b <- a"), "1.010000000 b <- a: datagram 1, 20 bytes",
		"2.010000000 b <- a: datagram 3, 59 bytes")
	wantLines(t, "applied", r.effectLines(), "1s fault 1 truncate 0>1 #0 20")
	wantLines(t, "notes", r.noted("changed"), "1s changed of 0")
	drawn := newRig(t, delays10)
	drawn.addFault(0, 0, world.Fault{Kind: fault.Truncate, Bytes: -1})
	for i := range 200 {
		drawn.sendBytes(second+time.Duration(i), 0, 1, 3)
	}
	drawn.until(2 * second)
	seen := map[int64]int{}
	for _, a := range drawn.effects {
		seen[a.amount]++
	}
	if len(drawn.effects) != 200 || seen[0] < 40 || seen[1] < 40 || seen[2] < 40 {
		t.Errorf("left of 3 bytes: %v, want 0, 1 and 2 about equally often", seen)
	}
}

// TestSlowUDP checks a path of 100 bytes a second with room for 60.
func TestSlowUDP(t *testing.T) {
	r := newRig(t, delays10)
	r.addFault(second, 9*second, world.Fault{Kind: fault.Slow, Bytes: 100, Room: 60, From: phones(0)})
	for range 4 {
		r.sendBytes(second, 0, 1, 20)
	}
	r.sendBytes(second, 2, 1, 20)
	r.sendBytes(2*second, 0, 1, 20)
	r.sendBytes(20*second, 0, 1, 20)
	r.until(30 * second)
	wantLines(t, "applied", r.effectLines(), "1s fault 1 slow 0>1 #0 200000000", "1s fault 1 slow 0>1 #1 400000000",
		"1s fault 1 slow 0>1 #2 600000000", "1s fault 1 slow 0>1 #3 -1", "2s fault 1 slow 0>1 #0 200000000")
	wantLines(t, "arrived", r.traced("b <- "), "1.010000000 b <- c: datagram 5, 20 bytes",
		"1.210000000 b <- a: datagram 1, 20 bytes",
		"1.410000000 b <- a: datagram 2, 20 bytes", "1.610000000 b <- a: datagram 3, 20 bytes",
		"2.210000000 b <- a: datagram 6, 20 bytes", "20.010000000 b <- a: datagram 7, 20 bytes")
	r.checkBalance()
}

// TestCutOfDatagrams checks cuts in both directions, in one, and from some phones
// only.
func TestCutOfDatagrams(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault world.Fault
		want  []string // who hears whom
	}{
		{"from all phones", world.Fault{Of: phones(0)}, []string{"2 of 1", "1 of 2"}},
		{"from one", world.Fault{Of: phones(0), From: phones(1)}, []string{"2 of 0", "2 of 1", "0 of 2", "1 of 2"}},
		{"out", world.Fault{Of: phones(0), OneWay: "out"}, []string{"0 of 1", "2 of 1", "0 of 2", "1 of 2"}},
		{"in", world.Fault{Of: phones(0), OneWay: "in"}, []string{"1 of 0", "2 of 0", "2 of 1", "1 of 2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, delays10)
			c.fault.Kind = fault.Cut
			r.addFault(second, second, c.fault)
			for from := range uint32(3) {
				for to := range uint32(3) {
					if from != to {
						r.sendBeacon(second, from, to, 1)
					}
				}
			}
			r.until(1500 * ms)
			var got []string
			for _, v := range r.verdictLines() {
				got = append(got, v[len("1.01s "):len("1.01s 0 of 1")])
			}
			wantLines(t, c.name, got, c.want...)
			if len(r.effects) != 6-len(c.want) {
				t.Errorf("%s: applied %v", c.name, r.effectLines())
			}

		})
	}
}

// TestFaultThatNeverFires checks that a fault without effects changes only its own
// two lines of the trace.
func TestFaultThatNeverFires(t *testing.T) {
	run := func(faulty bool) *rig {
		r := newRig(t, virtual.Config{
			Seed: 3, DiskDelay: virtual.Delay{Max: 3 * ms},
			TCP: virtual.TCP{Delay: virtual.Delay{Min: ms, Max: 30 * ms}, Split: 9},
			UDP: virtual.UDP{Delay: virtual.Delay{Mean: 5 * ms}, Lose: 0.2},
		})
		if faulty {
			for _, k := range []fault.Kind{fault.Lose, fault.Delay, fault.Duplicate, fault.Corrupt, fault.Pieces,
				fault.Join, fault.Reset, fault.Refuse, fault.TimeOut, fault.Disk} {
				for _, stream := range []bool{false, true} {
					r.addFault(0, 100*second, world.Fault{Kind: k, Skip: 1 << 40, Of: anyNode, Stream: stream,
						Disk: "failing", Bytes: 1, Max: second})
				}
			}
		}
		for who := range uint32(3) {
			r.Call(0, func() { r.loginOK(who) })
			r.Call(second, func() { r.Type(who, protocol.CommandDownload) })
		}
		for i := range 20 {
			r.Call(2*second+10*ms, func() { r.SendBeacons(uint32(i%3), []uint32{uint32(i+1) % 3}) })
		}
		r.Call(4*second, func() { r.Type(1, protocol.CommandUpload) })
		r.until(300 * second)
		return r
	}
	with, without := run(true), run(false)
	if len(with.effects) != 0 || len(with.traced("fault")) != 40 {
		t.Errorf("the effects are %v", with.effectLines())
	}
	kept := slices.DeleteFunc(with.traced(""), func(line string) bool {
		return slices.Contains(with.traced("fault"),
			line)
	})
	if !slices.Equal(kept, without.traced("")) {
		t.Error("the rest of the trace is another")
	}
	if *with.Totals() != *without.Totals() {
		t.Errorf("counts %+v with, %+v without", with.Totals(), without.Totals())
	}
}

// TestFaultsRepeat checks that the same seed gives the same digest, and another seed
// another one.
func TestFaultsRepeat(t *testing.T) {
	digest := func(seed uint64) string {
		r, _ := runManyFaults(t, seed)
		return r.Digest()
	}
	first := digest(5)
	if again := digest(5); again != first {
		t.Errorf("digests %s and %s", first, again)
	}
	if other := digest(6); other == first {
		t.Errorf("two seeds have digest %s", first)
	}
}
