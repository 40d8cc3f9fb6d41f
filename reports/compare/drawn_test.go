package compare

import (
	"math"
	"math/rand/v2"
	"testing"

	"bluetrace/reports"
	"bluetrace/reports/stats"
)

// drawing generates log-normal times around a millisecond. Slow seconds come in
// groups, and the mean differs from run to run.
type drawing struct {
	runs, seconds, each int     // each: samples of a second
	factor              float64 // of every time
	tail                float64 // a further one, of the slowest fiftieth
	perRun              float64 // the deviation of a run's own speed, as a logarithm
	heaps               float64 // how likely a slow time begins in a second
}

// sample returns, for each run and second, the number of samples of each value.
func (d drawing) sample(draws *rand.Rand) (runs [][]map[int64]uint64) {
	for range d.runs {
		speed := d.factor * math.Exp(d.perRun*draws.NormFloat64())
		var seconds []map[int64]uint64
		slow := 0
		for range d.seconds {
			if slow--; draws.Float64() < d.heaps {
				slow = 1 + draws.IntN(3)
			}
			samples := map[int64]uint64{}
			for range d.each {
				z := draws.NormFloat64()
				v := 1e6 * speed * math.Exp(0.5*z)
				if z > 2.05 && d.tail > 0 {
					v *= d.tail
				}
				if slow > 0 {
					v *= 3
				}
				samples[int64(v)]++
			}
			seconds = append(seconds, samples)
		}
		runs = append(runs, seconds)
	}
	return runs
}

// draw returns the results of such runs.
func (d drawing) draw(t testing.TB, draws *rand.Rand) []*Result {
	t.Helper()
	var all []*Result
	for _, seconds := range d.sample(draws) {
		var texts []string
		for _, samples := range seconds {
			texts = append(texts, encodeSecond(t, samples))
		}
		all = append(all, result(texts))
	}
	return all
}

// rows compares two sets directly, without JSON.
func rows(a, b drawing, draws *rand.Rand) *Load {
	side := func(d drawing) *series {
		var runs [][][]stats.Bin
		for _, seconds := range d.sample(draws) {
			var run [][]stats.Bin
			for _, samples := range seconds {
				run = append(run, secondOf(samples).Bins())
			}
			runs = append(runs, run)
		}
		return newSeries(runs)
	}
	sa, sb := side(a), side(b)
	m := metric{name: "response_time", figures: defaultFigures()}
	l := &Load{Rows: m.test(sa, sb, 0.95, draws)}
	l.adjust(0.05)
	return l
}

func secondOf(samples map[int64]uint64) stats.Second {
	s := stats.Second{}
	for v, n := range samples {
		s[stats.CellOf(v)] += uint32(n)
	}
	return s
}

func encodeSecond(t testing.TB, samples map[int64]uint64) string {
	t.Helper()
	text, err := stats.EncodeSecond(secondOf(samples).Bins())
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// result returns the result of a load of one operation with response times only.
func result(texts []string) *Result {
	load := &reports.Load{
		Seconds: float64(len(texts)),
		Histograms: &reports.Histograms{Schema: stats.Schema, Operations: []reports.OperationHistograms{
			{Name: "login", Response: texts, Service: make([]string, len(texts))},
		}},
	}
	return &Result{path: "drawn.json", Run: reports.Run{
		Scenario: "drawn", World: reports.Live, Verdict: reports.Passed, Seed: 1, Load: load,
	}}
}

func compareDrawn(t testing.TB, a, b []*Result, budgets ...string) *Comparison {
	t.Helper()
	o := Options{Confidence: 0.95, Seed: 1}
	for _, text := range budgets {
		one, err := ParseBudget(text)
		if err != nil {
			t.Fatal(err)
		}
		o.Budgets = append(o.Budgets, one)
	}
	c, err := Compare(a, b, o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
