package virtual

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

func draws(src rand.Source, n int) []uint64 {
	all := make([]uint64, n)
	for i := range all {
		all[i] = src.Uint64()
	}
	return all
}

func TestStreamValues(t *testing.T) {
	for _, c := range []struct {
		seed            uint64
		entity, purpose string
		want            [2]uint64
	}{
		{1, "pupil-1", "datagrams", [2]uint64{0xbba16696c57402f, 0xcaa4d7e0ebf5f4ca}},
		{1, "server", "TempIDs", [2]uint64{0xdd49a5b0abbe64cb, 0x6b182839021ed3c5}},
		{0, "", "", [2]uint64{0x50fedd677b766d71, 0x96a26bf760df0481}},
	} {
		s := Stream(c.seed, c.entity, c.purpose)
		if got := draws(&s, 2); [2]uint64(got) != c.want {
			t.Errorf("Stream(%d, %q, %q) begins %#x, want %#x", c.seed, c.entity, c.purpose, got, c.want)
		}
	}
}

func TestStreamsDiffer(t *testing.T) {
	seen := map[uint64]string{}
	for _, seed := range []uint64{0, 1, 2, 1 << 63} {
		for _, entity := range []string{"", "a", "b", "ab", "pupil-1", "pupil-11"} {
			for _, purpose := range []string{"", "a", "b", "ba", "1 datagrams", "datagrams"} {
				s := Stream(seed, entity, purpose)
				first := s.Uint64()
				name := fmt.Sprintf("Stream(%d, %q, %q)", seed, entity, purpose)
				if other, twice := seen[first]; twice {
					t.Errorf("%s begins like %s", name, other)
				}
				seen[first] = name
				again := Stream(seed, entity, purpose)
				if got := again.Uint64(); got != first {
					t.Errorf("%s begins %#x, and %#x the second time", name, first, got)
				}
			}
		}
	}
}

func TestDelayBoundsAndMean(t *testing.T) {
	const n = 100_000
	ms := time.Millisecond
	for _, c := range []struct {
		name      string
		d         Delay
		low, high time.Duration // inclusive
		mean, sd  float64       // of one draw, in milliseconds
	}{
		{"constant", Delay{Min: 7 * ms, Max: 7 * ms}, 7 * ms, 7 * ms, 7, 0},
		{"zero", Delay{}, 0, 0, 0, 0},
		{"uniform", Delay{Min: 10 * ms, Max: 40 * ms}, 10 * ms, 40 * ms, 25, 30 / math.Sqrt(12)},
		{"from zero", Delay{Max: 2 * ms}, 0, 2 * ms, 1, 2 / math.Sqrt(12)},
		{"two nanoseconds", Delay{Min: 5, Max: 7}, 5, 6, 5.5e-6, 0.5e-6},
		{"exponential", Delay{Mean: 5 * ms}, 0, 95 * ms, 5, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			src := rand.NewPCG(3, 4)
			sum := 0.0
			for range n {
				v := c.d.Draw(src)
				if v < c.low || v > c.high {
					t.Fatalf("%s: drew %s, want between %s and %s", c.name, v, c.low, c.high)
				}
				sum += float64(v) / float64(ms)
			}
			mean, slack := sum/n, 4*c.sd/math.Sqrt(n)
			if math.Abs(mean-c.mean) > slack+1e-9 {
				t.Errorf("%s: the mean of %d draws is %g ms, want %g within %g", c.name, n, mean, c.mean, slack)
			}

		})
	}
}

func TestCertainOutcomesDrawNothing(t *testing.T) {
	fresh := rand.NewPCG(5, 6)
	first := fresh.Uint64()
	src := rand.NewPCG(5, 6)
	Delay{Min: time.Second, Max: time.Second}.Draw(src)
	Delay{}.Draw(src)
	if chance(0, src) || !chance(1, src) || chance(-1, src) || !chance(2, src) {
		t.Error("a certain outcome came out the other way")
	}
	if got := src.Uint64(); got != first {
		t.Errorf("the stream goes on with %#x, want its first draw %#x", got, first)
	}
}

func TestChance(t *testing.T) {
	const n = 100_000
	for _, p := range []float64{0.01, 0.3, 0.99} {
		t.Run(fmt.Sprint(p), func(t *testing.T) {
			src := rand.NewPCG(7, 8)
			hits := 0
			for range n {
				if chance(p, src) {
					hits++
				}
			}
			if got, slack := float64(hits)/n, 4*math.Sqrt(p*(1-p)/n); math.Abs(got-p) > slack {
				t.Errorf("chance(%g) was true for a share of %g, want within %g", p, got, slack)
			}

		})
	}
}
