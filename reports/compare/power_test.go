package compare

import (
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"bluetrace/reports/stats"
)

// TestNothingMovesByChance compares 100 pairs of sets from one distribution, with BLUETRACE_FULL=1 200 pairs. About
// 5 % of the pairs at most have a figure that moved, and 5 % of the intervals at
// most exclude the true value. With one run on each side and slow seconds in
// groups it may be 10 % (docs/RESULTS.md).
func TestNothingMovesByChance(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: chance needs many draws; run without -short")
	}
	pairs := 100
	if os.Getenv("BLUETRACE_FULL") != "" {
		pairs = 200
	}
	for _, c := range []struct {
		name string
		drawing
		most float64 // in 100 pairs, or intervals
	}{
		{"one run a side", drawing{runs: 1, seconds: 30, each: 40, factor: 1}, 5},
		{"one run a side, slow in heaps", drawing{runs: 1, seconds: 30, each: 40, factor: 1, heaps: 0.1}, 10},
		{"three runs, each at its own speed", drawing{runs: 3, seconds: 9, each: 40, factor: 1, perRun: 0.05}, 5},
		{"three runs, slow in heaps", drawing{runs: 3, seconds: 9, each: 40, factor: 1, perRun: 0.02, heaps: 0.1}, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			draws := rand.New(rand.NewPCG(7, 11))
			moved, outside, all := 0, 0, 0
			for range pairs {
				l := rows(c.drawing, c.drawing, draws)
				if _, some := l.tested(); some > 0 {
					moved++
				}
				for _, r := range l.Rows {
					if r.Test == nil {
						continue
					}
					all++
					if r.Test.Low > 0 || r.Test.High < 0 {
						outside++
					}
				}
			}
			most := int(c.most / 100 * float64(pairs))
			if moved > most || 100*float64(outside) > c.most*float64(all) || all < 2*pairs {
				t.Errorf("in %d of %d pairs something moved, and %d of %d intervals leave out 0; "+
					"want at most %g in 100",
					moved, pairs, outside, all, c.most)
			}
			t.Logf("in %d of %d pairs something moved; %d of %d intervals leave out 0", moved, pairs, outside, all)
		})
	}
}

// TestRunsThatAreEqual: two equal runs, whose seconds differ, have the variance within them and not the one between
// them, which is 0.
func TestRunsThatAreEqual(t *testing.T) {
	var run [][]stats.Bin
	for i := range 16 {
		run = append(run, []stats.Bin{{Cell: stats.CellOf(int64(1e6 * (1 + i%4))), Count: 10 + uint64(i)}})
	}
	of := []figure{{quantile: .5}}
	two := newSeries([][][]stats.Bin{run, run})
	within, _ := two.varianceWithin(of, rand.New(rand.NewPCG(1, 2)))
	got := two.estimates(of, rand.New(rand.NewPCG(1, 2)))[0]
	if got.variance != within[0] || within[0] == 0 || got.freedom != 1 {
		t.Errorf("variance %g with %g degrees of freedom, want %g with 1", got.variance, got.freedom, within[0])
	}
}

// TestRunsThatDiffer checks that two runs of constant times of 1 and 2 ms, which do not vary within, have the variance
// between them.
func TestRunsThatDiffer(t *testing.T) {
	var runs [][][]stats.Bin
	for _, ns := range []int64{1e6, 2e6} {
		second := secondOf(map[int64]uint64{ns: 100}).Bins()
		runs = append(runs, [][]stats.Bin{second, second, second, second})
	}
	got := newSeries(runs).estimates([]figure{{quantile: .95}}, rand.New(rand.NewPCG(1, 2)))[0]
	// The logarithm is log 1 in a quarter of the draws and else log 2; of two runs the variance is twice that.
	want := 2 * .25 * .75 * math.Ln2 * math.Ln2
	if math.Abs(got.variance-want) > want/10 || got.freedom != 1 {
		t.Errorf("variance %g with %g degrees of freedom, want about %g with 1", got.variance, got.freedom, want)
	}
}

// TestAShiftIsFound checks that every figure of a load that is 10 % slower moved,
// with 10 % in the intervals. If only the tail is slower, only its figures moved.
func TestAShiftIsFound(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: chance needs many draws; run without -short")
	}
	base := drawing{runs: 5, seconds: 10, each: 100, factor: 1, perRun: 0.01}
	one := drawing{runs: 1, seconds: 60, each: 100, factor: 1}
	slower := func(d drawing) drawing { d.factor = 1.1; return d }
	tail := base
	tail.tail = 1.5
	const draws = 20
	for _, c := range []struct {
		name  string
		a, b  drawing
		moved map[string]int // of figures: how often at least
		still string         // a figure that does not
	}{
		{"five runs a side, 10 %", base, slower(base), map[string]int{"p50": 20, "p95": 20, "p99": 8}, ""},
		{"one run a side, 10 %", one, slower(one), map[string]int{"p50": 20, "p95": 18}, ""},
		{"the tail", base, tail, map[string]int{"p99": 20}, "p50"},
	} {
		random := rand.New(rand.NewPCG(3, 5))
		moved, held := map[string]int{}, 0
		for range draws {
			for _, r := range rows(c.a, c.b, random).Rows {
				if r.Verdict == Moved {
					moved[r.Figure]++
				}
				if r.Figure == "p50" && r.Test.Low < 0.1 && r.Test.High > 0.1 {
					held++
				}
			}
		}
		for figure, least := range c.moved {
			if moved[figure] < least {
				t.Errorf("%s: %s moved in %d of %d pairs, want %d at least", c.name, figure, moved[figure], draws,
					least)
			}
		}
		if c.still != "" && moved[c.still] > 2 {
			t.Errorf("%s: %s moved in %d of %d pairs, and it does not", c.name, c.still, moved[c.still], draws)
		}
		if c.still == "" && held < draws*8/10 {
			t.Errorf("%s: %d of %d intervals of p50 hold the 10 %%", c.name, held, draws)
		}
	}
}
