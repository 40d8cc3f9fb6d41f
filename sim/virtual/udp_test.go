package virtual_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"bluetrace/protocol"
	"bluetrace/sim/virtual"
)

// TestOrderOfEachPair checks that datagrams of one path arrive in the order of their
// sending, whatever their delays, and that those of different paths need not.
func TestOrderOfEachPair(t *testing.T) {
	names := strings.Split(strings.Repeat("p ", 12), " ")[:12]
	for i := range names {
		names[i] += strconv.Itoa(i)
	}
	for seed := range uint64(20) {
		t.Run(fmt.Sprintf("seed %d", seed+1), func(t *testing.T) {
			r := newRig(t, virtual.Config{
				Seed: seed + 1, Phones: phonesNamed(protocol.Single, names...),
				UDP: virtual.UDP{Delay: virtual.Delay{Max: 40 * ms}, Lose: 0.1},
			})
			src := rand.New(rand.NewPCG(seed, 2))
			at := time.Duration(0)
			const sends = 3000
			for n := range uint64(sends) {
				from, to := uint32(src.IntN(2)), uint32(2+src.IntN(10))
				at += time.Duration(src.Int64N(int64(4 * ms)))
				raw := forged(n)
				r.Call(at, func() { r.SendDatagram(from, to, 0, raw[:]) })
			}
			r.until(at + second)
			last := map[[2]uint32]string{}
			overtaken, newest := 0, ""
			for _, v := range r.verdicts {
				pair := [2]uint32{v.sender, v.phone}
				if v.raw <= last[pair] {
					t.Fatalf("seed %d: %s heard %s of %s after %s", seed, r.Name(v.phone), v.raw[:20], r.Name(v.sender),
						last[pair][:20])
				}
				if v.raw < newest {
					overtaken++
				}
				last[pair], newest = v.raw, max(newest, v.raw)
			}
			if overtaken == 0 {
				t.Error("no datagram overtook one of another pair: the delays are not random")
			}
			if got := r.datagrams; got.Sent != sends || got.InFlight != 0 || got.Delivered != uint64(len(r.verdicts)) {
				t.Errorf("%+v at the end, with %d verdicts", got, len(r.verdicts))
			}

		})
	}
}

// TestLossAndBalance checks the share of lost datagrams, and the balance of the
// counts.
func TestLossAndBalance(t *testing.T) {
	const n = 20_000
	for _, lose := range []float64{0, 0.01, 0.25, 1} {
		t.Run(fmt.Sprint(lose), func(t *testing.T) {
			r := newRig(t, virtual.Config{UDP: virtual.UDP{Delay: virtual.Delay{Min: ms, Max: 9 * ms}, Lose: lose}})
			raw := forged(1)
			for i := range n {
				r.Call(time.Duration(i)*ms, func() { r.SendDatagram(0, 1, 0, raw[:]) })
			}
			r.until(n*ms + second)
			d := r.Totals().Datagrams
			if d != r.datagrams || d.Sent != n || d.InFlight != 0 || d.Delivered+d.Lost != n {
				t.Errorf("lose %g: %+v", lose, d)
			}
			if got, slack := float64(d.Lost)/n, 4*math.Sqrt(lose*(1-lose)/n); math.Abs(got-lose) > slack {
				t.Errorf("lose %g: a share of %g was lost, want within %g", lose, got, slack)
			}
			if r.forgedSent != n || r.beaconsSent != 0 || r.Totals().Beacons.Sent != 0 {
				t.Errorf("lose %g: %d forged and %d beacons were announced, want %d and none", lose, r.forgedSent,
					r.beaconsSent, n)
			}

		})
	}
}

// TestDelayOfADatagram checks that a verdict comes within the bounds of the delay,
// and that the delay is recorded.
func TestDelayOfADatagram(t *testing.T) {
	r := newRig(t, virtual.Config{Phones: phonesNamed(protocol.Single, "a", "b"),
		UDP: virtual.UDP{Delay: virtual.Delay{Min: 3 * ms, Max: 8 * ms}}})
	raw := forged(1)
	const n = 500
	for i := range n {
		r.Call(time.Duration(i)*100*ms, func() { r.SendDatagram(0, 1, 0, raw[:]) })
	}
	r.until(n * 100 * ms)
	if len(r.verdicts) != n {
		t.Fatalf("%d verdicts, want %d", len(r.verdicts), n)
	}
	for i, v := range r.verdicts {
		if d := v.at - time.Duration(i)*100*ms; d < 3*ms || d > 8*ms || !v.valid {
			t.Errorf("beacon %d was judged %s after it was sent (valid: %t)", i, d, v.valid)
		}
	}
	h := r.Latencies().Beacon.HDR()
	if h.TotalCount() != n || h.Min() < int64(3*ms)*999/1000 || h.Max() > int64(8*ms)*1001/1000 {
		t.Errorf("%d delays from %d to %d ns, want %d between 3 and 8 ms", h.TotalCount(), h.Min(), h.Max(), n)
	}
}

// TestDatagramsOfEverySize checks that datagrams of every size arrive.
func TestDatagramsOfEverySize(t *testing.T) {
	sizes := []int{0, 1, 19, 20, 58, 59, 60, 61, 62, 63, 64, 1472, 65507}
	r := newRig(t, virtual.Config{})
	for i, n := range sizes {
		p := []byte(strings.Repeat("x", n))
		if n == protocol.BeaconSize {
			raw := forged(7)
			p = raw[:]
		}
		// a port each: parts behind one that is out of turn are dropped
		r.Call(0, func() { r.SendDatagram(0, 1, uint16(20000+i), p) })
	}
	r.until(second)
	broken, valid := 0, 0
	for _, v := range r.verdicts {
		switch {
		case v.sender != 0 || v.phone != 1:
			t.Errorf("a verdict of %d on %d", v.phone, v.sender)
		case v.broken:
			broken++
		case v.valid:
			valid++
		}
	}
	// 20 bytes begin a beacon that never ends: no verdict
	if broken != len(sizes)-2 || valid != 1 {
		t.Errorf("%d broken and %d valid, want %d and 1", broken, valid, len(sizes)-2)
	}
	if d := r.Totals().Datagrams; d.Delivered != uint64(len(sizes)) || d.Lost != 0 {
		t.Errorf("%+v, want all %d delivered", d, len(sizes))
	}
	if !strings.Contains(r.trace.String(), "65507 bytes") {
		t.Error("the trace does not show the largest datagram")
	}
}

func TestDatagramThatIsTooLarge(t *testing.T) {
	r := newRig(t, virtual.Config{})
	defer func() {
		if got := recover(); got != "virtual: a datagram of 65508 bytes, at most 65507" {
			t.Errorf("it panics with %v", got)
		}
	}()
	r.SendDatagram(0, 1, 0, make([]byte, 65508))
}

// TestUnknownAddress checks that datagrams to an address without a phone are lost.
func TestUnknownAddress(t *testing.T) {
	r := newRig(t, virtual.Config{Phones: phonesNamed(protocol.Split, "a", "b")})
	r.loginOK(0)
	r.until(second)
	r.Type(0, "Download_tempID")
	r.until(2 * second)
	for _, to := range []string{"10.0.0.4 14000", "10.0.0.1 14000", "192.0.2.1 14000", "10.0.0.3 13999", "::1 14000"} {
		r.Type(0, "Beacon "+to)
	}
	r.until(3 * second)
	if d := r.Totals().Datagrams; d.Sent != 20 || d.Lost != 20 || d.InFlight != 0 {
		t.Errorf("%+v, want 20 sent and lost", d)
	}
	r.Type(0, "Beacon 10.0.0.3 14000")
	r.Type(0, "Beacon 10.0.0.2 14000") // to itself
	r.until(4 * second)
	if d, b := r.Totals().Datagrams, r.Totals().Beacons; d.Sent != 28 || d.Lost != 20 || d.Delivered != 8 ||
		b.Sent != 7 || b.Valid != 2 || b.Kept != 2 {
		t.Errorf("%+v %+v, want 8 more delivered: two valid beacons", d, b)
	}
	if a := r.Phone(0); a.Sent != 7 || a.Valid != 1 || r.Phone(1).Valid != 1 {
		t.Errorf("phone a: %+v, phone b: %+v", a, r.Phone(1))
	}
}

// TestOtherPhonesDrawTheSame checks that another phone changes neither the delays
// nor the losses of the others.
func TestOtherPhonesDrawTheSame(t *testing.T) {
	arrivals := func(names ...string) (first []verdict) {
		r := newRig(t, virtual.Config{
			Phones: phonesNamed(protocol.Single, names...),
			UDP:    virtual.UDP{Delay: virtual.Delay{Min: ms, Max: 50 * ms}, Lose: 0.3},
		})
		for i := range 200 {
			for who := range names {
				raw := forged(uint64(i))
				r.Call(time.Duration(i)*100*ms, func() { r.SendDatagram(uint32(who), 0, 0, raw[:]) })
			}
		}
		r.until(30 * second)
		for _, v := range r.verdicts {
			if v.sender < 2 {
				first = append(first, v)
			}
		}
		return first
	}
	two, three := arrivals("a", "b"), arrivals("a", "b", "c")
	if len(two) < 200 || len(two) != len(three) {
		t.Fatalf("%d verdicts without a third phone, %d with it", len(two), len(three))
	}
	for i := range two {
		if two[i] != three[i] {
			t.Fatalf("verdict %d is %+v, and %+v with a third phone", i, two[i], three[i])
		}
	}
}
