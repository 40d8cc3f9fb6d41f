package load

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"bluetrace/scenarios"
)

func TestConstantPace(t *testing.T) {
	p := NewPacer(&scenarios.Traffic{StartRate: 4, WarmUp: time.Second,
		Stages: []scenarios.Stage{{Duration: 2 * time.Second, Rate: 4}}})
	for n := range 12 {
		if at, ok := p.Due(n); !ok || at != time.Duration(n)*250*time.Millisecond {
			t.Errorf("arrival %d is due at %v (%v), want %v", n, at, ok, time.Duration(n)*250*time.Millisecond)
		}
	}
	if at, ok := p.Due(12); ok {
		t.Errorf("arrival 12 is due at %v, when the load is over", at)
	}
	if p.End() != 3*time.Second {
		t.Errorf("the end is at %v, want 3s", p.End())
	}
}

// TestRampFromNothing: if the rate rises from 0 to 10 per second in 10 s, arrival
// n is due at the square root of 2n.
func TestRampFromNothing(t *testing.T) {
	p := NewPacer(&scenarios.Traffic{Stages: []scenarios.Stage{{Duration: 10 * time.Second, Rate: 10}}})
	for n := range 50 {
		at, ok := p.Due(n)
		if want := math.Sqrt(2 * float64(n)); !ok || math.Abs(at.Seconds()-want) > 1e-6 {
			t.Errorf("arrival %d is due at %v (%v), want %.6f s", n, at, ok, want)
		}
	}
	if at, ok := p.Due(50); ok {
		t.Errorf("arrival 50 is due at %v, when the load is over", at)
	}
}

// TestPaceIsTheIntegralOfTheRate compares random stages with a numeric integration
// of their rate.
func TestPaceIsTheIntegralOfTheRate(t *testing.T) {
	draws := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		load := &scenarios.Traffic{StartRate: 1 + 200*draws.Float64(),
			WarmUp: time.Duration(draws.IntN(3)) * 700 * time.Millisecond}
		for range 1 + draws.IntN(4) {
			load.Stages = append(load.Stages, scenarios.Stage{
				Duration: time.Duration(1 + draws.IntN(4e9)), Rate: 300 * draws.Float64(),
			})
		}
		p := NewPacer(load)
		before := time.Duration(-1)
		const step = 1e-4
		at, sum := 0.0, 0.0
		n := 0
		for ; ; n++ {
			due, ok := p.Due(n)
			if !ok {
				break
			}
			if due < before || due > p.End() {
				t.Fatalf("%+v: arrival %d is due at %v, after one at %v", load, n, due, before)
			}
			before = due
			for ; at+step <= due.Seconds(); at += step {
				sum += step * asked(load, at+step/2)
			}
			rest := due.Seconds() - at
			if got := sum + rest*asked(load, at+rest/2); math.Abs(got-float64(n)) > 0.02 {
				t.Fatalf("%+v: arrival %d is due at %v, when %.3f arrivals were asked for", load, n, due, got)
			}
		}
		for ; at < p.End().Seconds(); at += step {
			sum += step * asked(load, at+step/2)
		}
		if sum > float64(n)+0.05 || sum < float64(n)-1.05 {
			t.Fatalf("%+v: %d arrivals, when %.3f were asked for", load, n, sum)
		}
	}
}

// asked returns the target rate at a time in seconds, from an independent formula.
func asked(load *scenarios.Traffic, at float64) float64 {
	if at < load.WarmUp.Seconds() {
		return load.StartRate
	}
	at -= load.WarmUp.Seconds()
	rate := load.StartRate
	for _, s := range load.Stages {
		if at < s.Duration.Seconds() {
			return rate + (s.Rate-rate)*at/s.Duration.Seconds()
		}
		at -= s.Duration.Seconds()
		rate = s.Rate
	}
	return 0
}
