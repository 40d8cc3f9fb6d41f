package load

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bluetrace/reports"
)

// TestSearchSteps: the answers determine the rates of the steps.
func TestSearchSteps(t *testing.T) {
	const h, b, u, l = reports.StepPassed, reports.StepFailed, reports.StepUncertain, reports.StepGeneratorLimited
	type step = Step
	type outcomes = []reports.StepOutcome
	search := func(rates ...float64) (all []step) {
		for _, r := range rates {
			all = append(all, step{r, false})
		}
		return all
	}
	confirm := func(before []step, rates ...float64) []step {
		for _, r := range rates {
			before = append(before, step{r, true})
		}
		return before
	}
	for _, c := range []struct {
		name    string
		answers outcomes
		steps   []step
		found   Capacity
	}{
		{"up to the most", outcomes{h, h, h, h, h}, confirm(search(100, 200, 400, 700), 700), Capacity{Rate: 700}},
		{"between two", outcomes{h, h, b, b, h, b, b, h}, confirm(search(100, 200, 400, 400, 283, 336, 336), 283),
			Capacity{283, 336, b}},
		{"a stumble", outcomes{h, b, h, h, b, b, b, b, b, b, h}, confirm(search(100, 200, 200, 400, 700, 700, 529, 529,
			460, 460), 400), Capacity{400, 460, b}},
		{"not even the lowest", outcomes{b, b}, search(100, 100), Capacity{0, 100, b}},
		{"the generator at the lowest", outcomes{l, l}, search(100, 100), Capacity{0, 100, l}},
		{"the generator at the lowest, then the server", outcomes{l, b}, search(100, 100), Capacity{0, 100, b}},
		{"the generator is the limit", outcomes{h, h, l, l, h, l, l, h}, confirm(search(100, 200, 400, 400, 283, 336,
			336), 283), Capacity{283, 336, l}},
		{"the generator, and below it the server", outcomes{h, l, l, b, b, b, b, h}, confirm(search(100, 200, 200, 141,
			141, 119, 119), 100), Capacity{100, 119, b}},
		{"not confirmed, then one that is, and back between", outcomes{h, h, h, h, b, u, b, h, h, u},
			confirm(search(100, 200, 400, 700), 700, 584, 418, 233, 312, 361), Capacity{312, 361, u}},
		{"confirmed a step below", outcomes{h, h, h, h, b, h}, confirm(search(100, 200, 400, 700), 700, 584),
			Capacity{584, 700, b}},
		{"the generator stumbles at the confirmation", outcomes{h, h, h, h, l, h}, confirm(search(100, 200, 400, 700),
			700, 700), Capacity{Rate: 700}},
		{"nothing is confirmed", outcomes{h, b, b, b, b, b, b, u}, confirm(search(100, 200, 200, 141, 141, 119, 119),
			100), Capacity{0, 100, u}},
	} {
		s := NewSearch(100, 700, 0.2)
		var steps []step
		for _, a := range c.answers {
			next, ok := s.Next()
			if !ok {
				break
			}
			steps = append(steps, next)
			s = s.After(a)
		}
		if next, ok := s.Next(); ok {
			t.Errorf("%s: not over after %v: next is %v", c.name, steps, next)
		}
		if d := cmp.Diff(c.steps, steps); d != "" {
			t.Errorf("%s:\n%s", c.name, d)
		}
		if d := cmp.Diff(c.found, s.Found()); d != "" {
			t.Errorf("%s:\n%s", c.name, d)
		}
	}
}

// TestSearchFindsTheCapacity: for a server whose steps hold up to a capacity, with
// some noise and occasional failures, the search finds the capacity within noise
// and resolution in few steps.
func TestSearchFindsTheCapacity(t *testing.T) {
	draws := rand.New(rand.NewPCG(5, 6))
	for range 20_000 {
		start := 1 + math.Floor(draws.ExpFloat64()*100)
		most := start * (1 + 200*draws.Float64())
		capacity := start * math.Pow(2*most/start, draws.Float64())
		resolution := 0.01 + 0.49*draws.Float64()
		noise := 0.05 * draws.Float64()
		limited := start * math.Pow(2*most/start, draws.Float64()) // the generator's own capacity, without noise
		s, steps := NewSearch(start, most, resolution), 0
		stumbled := false
		for step, ok := s.Next(); ok; step, ok = s.Next() {
			if steps++; steps > 80 {
				t.Fatalf("no end: from %g to %g by %g, capacity %g", start, most, resolution, capacity)
			}
			if step.Rate < start || step.Rate > most {
				t.Fatalf("a step at %g is not %g to %g", step.Rate, start, most)
			}
			answer := reports.StepPassed
			switch {
			case step.Rate > limited:
				answer = reports.StepGeneratorLimited
			case step.Rate > capacity*(1+noise*(2*draws.Float64()-1)):
				answer = reports.StepFailed
			}
			if answer == reports.StepPassed && !stumbled && !step.Confirming && draws.IntN(10) == 0 {
				answer, stumbled = reports.StepFailed, true
			} else {
				stumbled = false
			}
			s = s.After(answer)
		}
		checkFound(t, s.Found(), start, most, capacity, limited, noise, resolution)
	}
}

func checkFound(t *testing.T, found Capacity, start, most, capacity, limited, noise, resolution float64) {
	t.Helper()
	least := min(capacity, limited, most)
	low, high := least*(1-noise)/(1+resolution), min(capacity*(1+noise), limited, most)
	if found.Rate > high || found.Rate < low && found.Rate > 0 || found.Rate == 0 && least*(1-noise) >= start {
		t.Fatalf("found %+v, want %g to %g: start %g, most %g, capacity %g, the generator's %g, noise %g, "+
			"resolution %g",
			found, low, high, start, most, capacity, limited, noise, resolution)
	}
	switch {
	case found.Refused == 0 && found.Rate < most:
		t.Fatalf("%+v: nothing stands against more, up to %g", found, most)
	case found.Refused > 0 && found.Rate > 0 && found.Refused > found.Rate*(1+resolution):
		t.Fatalf("%+v: not within %g", found, resolution)
	case found.Why == reports.StepGeneratorLimited && found.Refused < limited,
		found.Why == reports.StepFailed && found.Refused > 0 && found.Refused < capacity*(1-noise):
		t.Fatalf("%+v: capacity %g, the generator's %g", found, capacity, limited)
	}
}
