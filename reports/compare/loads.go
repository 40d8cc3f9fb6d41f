package compare

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"

	"bluetrace/reports"
	"bluetrace/reports/stats"
)

// Row compares one figure of one metric.
type Row struct {
	Metric string `json:"metric"` // a metric of thresholds, such as login.response_time
	Figure string `json:"figure"` // such as p99
	// Samples is the number of samples that support the figure, on the side that
	// has fewer.
	Samples float64 `json:"fewest_samples"`
	AMs     float64 `json:"a_ms"`
	BMs     float64 `json:"b_ms"`
	Change  float64 `json:"change"` // B/A - 1
	Verdict Verdict `json:"verdict"`
	Test    *Test   `json:"test,omitempty"` // nil if the samples are too few for a test

	figure figure
}

// Test is the statistical test of a row.
type Test struct {
	Low       float64 `json:"low"` // the interval of the change
	High      float64 `json:"high"`
	LowMs     float64 `json:"low_ms"` // the interval of B - A
	HighMs    float64 `json:"high_ms"`
	ALowMs    float64 `json:"a_low_ms"` // the interval of A's figure
	AHighMs   float64 `json:"a_high_ms"`
	BLowMs    float64 `json:"b_low_ms"` // the interval of B's figure
	BHighMs   float64 `json:"b_high_ms"`
	P         float64 `json:"p"`
	PAdjusted float64 `json:"p_adjusted"` // for the number of rows
}

// defaultFigures returns the figures that are compared without a budget.
func defaultFigures() []figure {
	return []figure{{quantile: .5}, {quantile: .95}, {quantile: .99}, {quantile: .999}}
}

// metric is one kind of times of some operations.
type metric struct {
	name       string
	kind       kind
	operations []string
	figures    []figure
	lacking    string // the sides without a sample: A, B or both; "" if there are none
}

// compareLoads compares the loads of one scenario. It sets used[i] if the scenario has
// the figure of budget i.
func compareLoads(p sides, o Options, used []bool) (*Load, error) {
	l := &Load{Scenario: p.scenario, A: sideOf(p.a), B: sideOf(p.b), Rows: []Row{}, Budgets: []BudgetResult{}}
	l.Warnings = slices.Concat(warningsOf(p.a, p.b), p.leftOut)
	metrics := metricsOf(p, &l.Warnings)
	for i, b := range o.Budgets {
		for j := range metrics {
			if m := &metrics[j]; m.name == b.Metric && b.isLoadTime() {
				used[i] = true
				m.addFigure(b.figure())
			}
		}
	}
	metrics = slices.DeleteFunc(metrics, func(m metric) bool { return len(m.figures) == 0 })
	rows := make([][]Row, len(metrics))
	errs := make([]error, len(metrics))
	var running sync.WaitGroup
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i := range metrics {
		slots <- struct{}{}
		running.Go(func() {
			rows[i], errs[i] = metrics[i].rows(p, o, rand.New(rand.NewPCG(o.Seed, uint64(i))))
			<-slots
		})
	}
	running.Wait()
	for i := range metrics {
		if errs[i] != nil {
			return nil, errs[i]
		}
		l.Rows = append(l.Rows, rows[i]...)
	}
	if len(l.Rows) == 0 {
		return nil, &Invalid{Err: fmt.Errorf("%s cannot be compared: no time of an operation in %s",
			p.scenario, metrics[0].lacking)}
	}
	l.adjust(1 - o.Confidence)
	l.Counts = countsOf(p)
	l.Resources = resourcesOf(p)
	return l, l.judgeBudgets(o, metrics, used)
}

func sideOf(results []*Result) Side {
	s := Side{Runs: len(results), Files: []string{}}
	for _, r := range results {
		s.Files = append(s.Files, r.place())
		s.Seconds += r.Load.Seconds
	}
	return s
}

// metricsOf returns the metrics of both sides: all operations together, then each
// operation. An operation alone has its default figures only if there are
// several. An operation that is on one side only becomes a warning.
func metricsOf(p sides, warnings *[]string) []metric {
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
		*warnings = append(*warnings, fmt.Sprintf("only A has %s operations", name))
	}
	for _, name := range ofB {
		if !slices.Contains(ofA, name) {
			*warnings = append(*warnings, fmt.Sprintf("only B has %s operations", name))
		}
	}
	var all []metric
	for _, k := range []kind{response, service} {
		every := slices.Concat(ofA, ofB)
		all = append(all, metric{name: string(k), kind: k, operations: every, figures: defaultFigures()})
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

// addFigure adds the figure of a budget.
func (m *metric) addFigure(f figure) {
	if slices.Contains(m.figures, f) {
		return
	}
	m.figures = append(m.figures, f)
	slices.SortFunc(m.figures, func(a, b figure) int { return cmp.Compare(a.quantile, b.quantile) })
}

func (m *metric) rows(p sides, o Options, draws *rand.Rand) ([]Row, error) {
	a, b, err := gather(p.a, p.b, m.kind, m.operations)
	if err != nil {
		return nil, err
	}
	m.lacking = lackingSides(a.sum.Total(), b.sum.Total())
	return m.test(a, b, o.Confidence, draws), nil
}

// lackingSides returns the names of the sides whose number is 0.
func lackingSides(a, b uint64) string {
	switch {
	case a > 0 && b > 0:
		return ""
	case a > 0:
		return "B"
	case b > 0:
		return "A"
	}
	return "A and B"
}

// test returns a row for each figure of which both sides have samples.
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
		r := Row{
			Metric: m.name, Figure: f.name(), figure: f, Verdict: NotShown,
			Samples: math.Floor(min(f.support(a.sum.Total()), f.support(b.sum.Total()))),
			AMs:     va / 1e6, BMs: vb / 1e6, Change: vb/max(va, 1) - 1,
		}
		switch {
		case r.Samples < minSupport:
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

// short reports whether a run is too short for a bootstrap over its seconds.
func (s *series) short() bool {
	return slices.ContainsFunc(s.runs, func(r runSeconds) bool { return len(r.seconds) < stats.MinSeconds })
}

func testOf(d difference, confidence float64) *Test {
	t := &Test{P: d.pValue()}
	t.Low, t.High = d.ratio(confidence)
	low, high := d.absolute(confidence)
	t.LowMs, t.HighMs = low/1e6, high/1e6
	t.ALowMs, t.AHighMs = d.a.interval(confidence)
	t.BLowMs, t.BHighMs = d.b.interval(confidence)
	return t
}

// adjust sets the adjusted p of each tested row and the verdict Moved. On average
// at most the given share of the rows that moved did so by chance only (Benjamini
// and Hochberg).
func (l *Load) adjust(share float64) {
	var tested []*Row
	for i := range l.Rows {
		if l.Rows[i].Test != nil {
			tested = append(tested, &l.Rows[i])
		}
	}
	// The row with the largest p is first.
	slices.SortStableFunc(tested, func(a, b *Row) int { return cmp.Compare(b.Test.P, a.Test.P) })
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

// tested returns the number of rows with a test, and of those that moved or exceed a budget.
func (l *Load) tested() (tested, moved int) {
	for i := range l.Rows {
		if l.Rows[i].Test != nil {
			tested++
		}
		if v := l.Rows[i].Verdict; v == Moved || v == Exceeded {
			moved++
		}
	}
	return tested, moved
}

// CountRow compares a count of all runs of each side. It is not tested: failures
// come in groups, and a run without a fault has none.
type CountRow struct {
	Metric string   `json:"metric"`
	A      uint64   `json:"a"`
	AOf    uint64   `json:"a_of"`   // the total that A is a part of
	ARate  *float64 `json:"a_rate"` // A/AOf; nil if AOf is 0
	B      uint64   `json:"b"`
	BOf    uint64   `json:"b_of"`
	BRate  *float64 `json:"b_rate"`
}

const beaconsLost = "beacons_lost"

func countsOf(p sides) []CountRow {
	var rows []CountRow
	for _, c := range []struct {
		name string
		of   func(*reports.Load) (n, of uint64)
	}{
		{"arrivals_dropped", func(l *reports.Load) (uint64, uint64) { return l.Arrivals.Dropped, l.Arrivals.Due }},
		{"operations_failed", func(l *reports.Load) (uint64, uint64) { return l.All.Failed, l.All.Count() }},
		{"operations_unknown", func(l *reports.Load) (uint64, uint64) { return l.All.Unknown, l.All.Count() }},
		{beaconsLost, func(l *reports.Load) (uint64, uint64) { return l.Beacons.Lost, l.Beacons.Sent }},
	} {
		sum := func(results []*Result) (n, of uint64, rate *float64) {
			for _, r := range results {
				some, ofSome := c.of(r.Load)
				n, of = n+some, of+ofSome
			}
			if of > 0 {
				rate = new(float64(n) / float64(of))
			}
			return n, of, rate
		}
		row := CountRow{Metric: c.name}
		row.A, row.AOf, row.ARate = sum(p.a)
		row.B, row.BOf, row.BRate = sum(p.b)
		rows = append(rows, row)
	}
	return rows
}

// ResourceRow compares the use of one resource by the servers that the runs
// started. It is not tested.
type ResourceRow struct {
	Metric string    `json:"what"` // with its unit last
	A      []float64 `json:"a"`    // one for each run
	B      []float64 `json:"b"`
}

// resourcesOf returns no rows if a run did not start its own server.
func resourcesOf(p sides) []ResourceRow {
	rows := []ResourceRow{}
	for _, u := range []struct {
		metric string
		of     func(*Result) float64
	}{
		{"server_cpu_us_per_operation", func(r *Result) float64 {
			seconds := r.Load.ServerUse.UserSeconds + r.Load.ServerUse.SystemSeconds
			return 1e6 * seconds / float64(max(1, r.Load.All.Count()))
		}},
		{"server_peak_mib", func(r *Result) float64 { return float64(r.Load.ServerUse.PeakBytes) / (1 << 20) }},
		{"server_gc_pause_ms", func(r *Result) float64 { return 1000 * r.Load.ServerUse.GCPause() }},
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
			rows = append(rows, ResourceRow{u.metric, a, b})
		}
	}
	return rows
}
