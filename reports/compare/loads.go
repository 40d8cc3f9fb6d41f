package compare

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"

	"bluetrace/reports/stats"
)

// Row compares one figure of one metric.
type Row struct {
	Metric string `json:"metric"` // as thresholds have it, such as login.response_time
	Figure string `json:"figure"` // such as p99
	// Fewest is how many samples the figure rests on, at the side that has fewer.
	Fewest  float64 `json:"fewest_samples"`
	AMs     float64 `json:"a_ms"`
	BMs     float64 `json:"b_ms"`
	Change  float64 `json:"change"` // B/A - 1
	Verdict Verdict `json:"verdict"`
	Test    *Test   `json:"test,omitempty"` // nil: there was too little for one

	figure figure
}

// Test of a row.
type Test struct {
	Low       float64 `json:"low"` // the interval of the change
	High      float64 `json:"high"`
	LowMs     float64 `json:"low_ms"` // the interval of B - A
	HighMs    float64 `json:"high_ms"`
	P         float64 `json:"p"`
	PAdjusted float64 `json:"p_adjusted"` // for the number of rows
}

// defaultFigures are those of every metric.
func defaultFigures() []figure {
	return []figure{{quantile: .5}, {quantile: .95}, {quantile: .99}, {quantile: .999}}
}

// metric is one kind of times, of some operations.
type metric struct {
	name       string
	kind       kind
	operations []string
	figures    []figure
}

func compareLoads(p sides, o Options, used []bool) (*Load, error) {
	l := &Load{Scenario: p.scenario, A: sideOf(p.a), B: sideOf(p.b), Rows: []Row{}, Budgets: []BudgetResult{}}
	l.Unlike = unlike(p.a, p.b)
	metrics := metricsOf(p, &l.Unlike)
	var wanted []int
	for i, b := range o.Budgets {
		for j := range metrics {
			if m := &metrics[j]; m.name == b.Metric && b.timed() {
				used[i], wanted = true, append(wanted, i)
				m.want(b.figure())
			}
		}
	}
	metrics = slices.DeleteFunc(metrics, func(m metric) bool { return len(m.figures) == 0 })
	rows := make([][]Row, len(metrics))
	errs := make([]error, len(metrics))
	var left sync.WaitGroup
	turn := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i, m := range metrics {
		turn <- struct{}{}
		left.Go(func() {
			rows[i], errs[i] = m.rows(p, o, rand.New(rand.NewPCG(o.Seed, uint64(i))))
			<-turn
		})
	}
	left.Wait()
	for i := range metrics {
		if errs[i] != nil {
			return nil, errs[i]
		}
		l.Rows = append(l.Rows, rows[i]...)
	}
	l.correct(1 - o.Confidence)
	l.Counts = countsOf(p)
	l.Used = usedOf(p)
	return l, l.budget(o, wanted, used)
}

func sideOf(results []*Result) Side {
	s := Side{Runs: len(results), Files: []string{}}
	for _, r := range results {
		s.Files = append(s.Files, r.place())
		s.Seconds += r.Load.Seconds
	}
	return s
}

// metricsOf are those that both sides have: all operations together, then each
// when there is more than one.
func metricsOf(p sides, notes *[]string) []metric {
	in := func(results []*Result) (names []string) {
		for _, r := range results {
			for _, o := range r.Load.Histograms.Operations {
				if !slices.Contains(names, o.Name) {
					names = append(names, o.Name)
				}
			}
		}
		return names
	}
	ofA, ofB := in(p.a), in(p.b)
	var both []string
	for _, name := range ofA {
		if slices.Contains(ofB, name) {
			both = append(both, name)
			continue
		}
		*notes = append(*notes, fmt.Sprintf("only A has %s operations", name))
	}
	for _, name := range ofB {
		if !slices.Contains(ofA, name) {
			*notes = append(*notes, fmt.Sprintf("only B has %s operations", name))
		}
	}
	var all []metric
	for _, k := range []kind{response, service} {
		all = append(all, metric{string(k), k, slices.Concat(ofA, ofB), defaultFigures()})
		for _, name := range both {
			m := metric{name: name + "." + string(k), kind: k, operations: []string{name}}
			if len(both) > 1 {
				m.figures = defaultFigures()
			}
			all = append(all, m)
		}
	}
	return all
}

// want adds a figure that a budget is about.
func (m *metric) want(f figure) {
	if !slices.Contains(m.figures, f) {
		m.figures = append(m.figures, f)
		slices.SortFunc(m.figures, func(a, b figure) int { return cmp.Compare(a.quantile, b.quantile) })
	}
}

func (m *metric) rows(p sides, o Options, draws *rand.Rand) ([]Row, error) {
	a, b, err := gather(p.a, p.b, m.kind, m.operations)
	if err != nil {
		return nil, err
	}
	return m.test(a, b, o.Confidence, draws), nil
}

// test makes a row of each figure that both sides have.
func (m *metric) test(a, b *series, confidence float64, draws *rand.Rand) (rows []Row) {
	short := a.short() || b.short()
	var tested []int
	var figures []figure
	for _, f := range m.figures {
		va, _, okA := f.of(a.sum)
		vb, _, okB := f.of(b.sum)
		if !okA || !okB {
			continue
		}
		r := Row{Metric: m.name, Figure: f.name(), figure: f, Verdict: NotShown,
			Fewest: math.Floor(min(f.support(a.sum.Total()), f.support(b.sum.Total()))),
			AMs:    va / 1e6, BMs: vb / 1e6, Change: vb/max(va, 1) - 1}
		switch {
		case r.Fewest < minSupport:
			r.Verdict = TooFew
		case short:
			r.Verdict = TooShort
		default:
			tested = append(tested, len(rows))
			figures = append(figures, f)
		}
		rows = append(rows, r)
	}
	if len(tested) == 0 {
		return rows
	}
	ea, eb := a.estimates(figures, draws), b.estimates(figures, draws)
	for i, at := range tested {
		rows[at].Test = testOf(differenceOf(ea[i], eb[i]), confidence)
	}
	return rows
}

// short says whether a run is too short to know its own chance.
func (s *series) short() bool {
	return slices.ContainsFunc(s.runs, func(r runSeconds) bool { return len(r.seconds) < stats.MinSeconds })
}

func testOf(d difference, confidence float64) *Test {
	t := &Test{P: d.chance()}
	t.Low, t.High = d.ratio(confidence)
	low, high := d.absolute(confidence)
	t.LowMs, t.HighMs = low/1e6, high/1e6
	return t
}

// correct decides which rows moved, such that of those that are said to, chance
// alone made at most the given share on the average (Benjamini and Hochberg).
func (l *Load) correct(share float64) {
	var tested []*Row
	for i := range l.Rows {
		if l.Rows[i].Test != nil {
			tested = append(tested, &l.Rows[i])
		}
	}
	slices.SortStableFunc(tested, func(a, b *Row) int { return cmp.Compare(b.Test.P, a.Test.P) }) // the largest first
	least := 1.0
	for i, r := range tested {
		rank := len(tested) - i
		least = min(least, r.Test.P*float64(len(tested))/float64(rank))
		r.Test.PAdjusted = least
		if least <= share {
			r.Verdict = Moved
		}
	}
}

// tested is how many rows were.
func (l *Load) tested() (tested, moved int) {
	for i := range l.Rows {
		if l.Rows[i].Test != nil {
			tested++
		}
		if l.Rows[i].Verdict == Moved {
			moved++
		}
	}
	return tested, moved
}

// CountRow compares a count of all runs of each side. No test is made of it:
// failures come in heaps, and none of them is expected.
type CountRow struct {
	Metric string  `json:"metric"`
	A      uint64  `json:"a"`
	AOf    uint64  `json:"a_of"` // of so many
	ARate  float64 `json:"a_rate"`
	B      uint64  `json:"b"`
	BOf    uint64  `json:"b_of"`
	BRate  float64 `json:"b_rate"`
}

func countsOf(p sides) []CountRow {
	var rows []CountRow
	for _, c := range []struct {
		name string
		of   func(*loaded) (n, of uint64)
	}{
		{"arrivals_dropped", func(l *loaded) (uint64, uint64) { return l.Arrivals.Dropped, l.Arrivals.Due }},
		{"operations_failed", func(l *loaded) (uint64, uint64) { return l.All.Failed, l.All.count() }},
		{"operations_unknown", func(l *loaded) (uint64, uint64) { return l.All.Unknown, l.All.count() }},
		{"beacons_lost", func(l *loaded) (uint64, uint64) { return l.Beacons.Lost, l.Beacons.Sent }},
	} {
		sum := func(results []*Result) (n, of uint64, rate float64) {
			for _, r := range results {
				some, ofSome := c.of(r.Load)
				n, of = n+some, of+ofSome
			}
			return n, of, float64(n) / float64(max(1, of))
		}
		row := CountRow{Metric: c.name}
		row.A, row.AOf, row.ARate = sum(p.a)
		row.B, row.BOf, row.BRate = sum(p.b)
		rows = append(rows, row)
	}
	return rows
}

// Used is what each run's own server used; no test is made of it.
type Used struct {
	What string    `json:"what"` // with its unit last
	A    []float64 `json:"a"`    // one for each run
	B    []float64 `json:"b"`
}

// usedOf is empty when a server was elsewhere.
func usedOf(p sides) []Used {
	all := []Used{}
	for _, u := range []struct {
		what string
		of   func(*Result) float64
	}{
		{"server_cpu_us_per_operation", func(r *Result) float64 {
			return 1e6 * (r.Load.ServerUse.UserSeconds + r.Load.ServerUse.SystemSeconds) / float64(max(1, r.Load.All.count()))
		}},
		{"server_peak_mib", func(r *Result) float64 { return float64(r.Load.ServerUse.PeakBytes) / (1 << 20) }},
		{"server_gc_pause_ms", func(r *Result) float64 { return 1000 * r.Load.ServerUse.GCPauseSeconds }},
	} {
		each := func(results []*Result) (values []float64) {
			for _, r := range results {
				if r.Load.ServerUse == nil {
					return nil
				}
				values = append(values, u.of(r))
			}
			return values
		}
		if a, b := each(p.a), each(p.b); a != nil && b != nil {
			all = append(all, Used{u.what, a, b})
		}
	}
	return all
}
