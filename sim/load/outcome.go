package load

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"bluetrace/reports"
	"bluetrace/reports/stats"
	"bluetrace/scenarios"
	"bluetrace/sim/check"
)

// allOperations is how every operation together is called.
const allOperations = "all"

// Report is what was measured, for documents.
func (m *Measurement) Report(t *scenarios.Traffic) *reports.Load {
	l := &reports.Load{
		Executor: t.Executor, WarmUpSeconds: t.WarmUp.Seconds(), Seconds: m.Length.Seconds(),
		Arrivals: reports.Arrivals(m.Arrivals), Beacons: reports.LoadBeacons(m.Beacons),
		Expected: []reports.ExpectedTime{}, Operations: []reports.LoadOperation{},
	}
	for _, name := range t.AwaitedOperations() {
		o := operationNamed(name)
		if _, given := t.Expected[name]; !given && !m.Frozen[o] {
			continue // the run ended in its warm-up
		}
		l.Expected = append(l.Expected, reports.ExpectedTime{Operation: name, Ms: milliseconds(m.Expected[o]), WarmUp: m.Frozen[o]})
	}
	all := &kind{}
	for o := range operations {
		k := &m.figures.kinds[o]
		if k.outcomes == [3]uint64{} {
			continue
		}
		l.Operations = append(l.Operations, k.report(scenarios.LoadOperations[o], m.seed))
		all.merge(k)
	}
	l.All = all.report(allOperations, m.seed)
	l.Timeline = m.timeline(t)
	if m.HasOwn {
		l.Generator = useOf(m.Own, m.Length)
	}
	if m.HasServer {
		l.ServerUse = useOf(m.Server, m.Length)
	}
	return l
}

// EmptyReport is the report of a load of which nothing was measured.
func EmptyReport(t *scenarios.Traffic) *reports.Load {
	m := &Measurement{figures: newFigures(0), warm: newFigures(0)}
	return m.Report(t)
}

// merge adds more, exactly.
func (k *kind) merge(more *kind) {
	for i, n := range more.outcomes {
		k.outcomes[i] += n
	}
	k.response.Merge(&more.response)
	k.service.Merge(&more.service)
	k.lag.Merge(&more.lag)
	k.addSeconds(more.responseSeconds)
}

// addSeconds adds response times second by second.
func (k *kind) addSeconds(more []stats.Second) {
	for i, s := range more {
		if i == len(k.responseSeconds) {
			k.responseSeconds = append(k.responseSeconds, stats.Second{})
		}
		for cell, n := range s {
			k.responseSeconds[i][cell] += n
		}
	}
}

func (k *kind) report(name string, seed uint64) reports.LoadOperation {
	o := k.times(name)
	quantiles := []float64{.5, .95, .99}
	for i, v := range intervals(k.responseSeconds, quantiles, rand.NewPCG(seed, 2)) {
		o.Intervals = append(o.Intervals, reports.Interval{Quantile: quantiles[i], LowMs: milliseconds(v.Low), HighMs: milliseconds(v.High)})
	}
	return o
}

// times are counts and histograms, without intervals.
func (k *kind) times(name string) reports.LoadOperation {
	return reports.LoadOperation{Name: name, OK: k.outcomes[OK], Failed: k.outcomes[Failed], Unknown: k.outcomes[Unknown],
		Response: k.response.HDR(), Service: k.service.HDR(), Lag: k.lag.HDR()}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func useOf(u Usage, in time.Duration) *reports.ProcessUse {
	p := &reports.ProcessUse{UserSeconds: u.User.Seconds(), SystemSeconds: u.System.Seconds(),
		ResidentBytes: u.ResidentBytes, PeakBytes: u.PeakBytes, GCPauseSeconds: u.GCPause.Seconds()}
	if in > 0 {
		p.CPUShare = (p.UserSeconds + p.SystemSeconds) / in.Seconds() / float64(runtime.NumCPU())
	}
	return p
}

// GeneratorOverloaded is why the figures are the generator's and not the server's; none: they
// are the server's. ResourceFailures is how many connections the machine had no room for.
func GeneratorOverloaded(t *scenarios.Traffic, l *reports.Load, wanting uint64) (why []string) {
	if of, p99 := worstLag(t, l); p99 > t.LagBudget {
		why = append(why, fmt.Sprintf("its schedule lag%s has a p99 of %s ms, above its budget of %s ms; ask for a lower rate, or give it more processors",
			of, check.Number(math.Round(milliseconds(p99)*1e3)/1e3), check.Number(milliseconds(t.LagBudget))))
	}
	if g := l.Generator; g != nil && g.CPUShare > t.CPUBudget {
		why = append(why, fmt.Sprintf("it used %.0f %% of all processors, above its budget of %.0f %%; ask for a lower rate, or give it more processors",
			100*g.CPUShare, 100*t.CPUBudget))
	}
	if wanting > 0 {
		why = append(why, fmt.Sprintf("this machine had no file descriptor or port for %s", reports.Plural(int(wanting), "connection", "connections")))
	}
	return why
}

// BudgetNote says how far inside its budgets the generator stayed, for a run that
// can be believed.
func BudgetNote(t *scenarios.Traffic, l *reports.Load) string {
	of, p99 := worstLag(t, l)
	text := fmt.Sprintf("load: the generator kept its budgets: the p99 of its lag%s is %s of %s ms", of,
		check.Number(math.Round(milliseconds(p99)*1e3)/1e3), check.Number(milliseconds(t.LagBudget)))
	if g := l.Generator; g != nil {
		text += fmt.Sprintf(", and it used %.0f of %.0f %% of all processors", 100*g.CPUShare, 100*t.CPUBudget)
	}
	return text
}

// fewestLags are needed of one operation for the p99 of its lag to count.
const fewestLags = 100

// worstLag is the p99 of the lag of all operations; when that is in budget and
// the load has sessions, the largest of a single operation. In a session one
// operation that is late makes all after it late, whose own lag is none: ten
// operations a session would hide a late tenth of all connections.
func worstLag(t *scenarios.Traffic, l *reports.Load) (of string, worst time.Duration) {
	worst = time.Duration(l.All.Lag.ValueAtQuantile(99))
	if worst > t.LagBudget || t.Session == nil {
		return "", worst
	}
	for i := range l.Operations {
		o := &l.Operations[i]
		if p99 := time.Duration(o.Lag.ValueAtQuantile(99)); o.Lag.TotalCount() >= fewestLags && p99 > worst {
			of, worst = " of "+o.Name, p99
		}
	}
	return of, worst
}

// Checks are the thresholds of the scenario and what every load must keep unless
// a threshold says otherwise: no arrival dropped, no operation failed. place is
// the place of a threshold in the scenario.
func Checks(s *scenarios.Scenario, l *reports.Load, interrupted bool, place func(scenarios.Pos) string) []reports.Check {
	var all []reports.Check
	own, implied := thresholdsOf(s)
	for i := range own {
		c := checkOf(&own[i], l, interrupted)
		c.Place = place(own[i].Pos)
		all = append(all, c)
	}
	for i := range implied {
		all = append(all, checkOf(&implied[i], l, interrupted))
	}
	return all
}

func checkOf(t *scenarios.Threshold, l *reports.Load, interrupted bool) reports.Check {
	c := reports.Check{Kind: reports.ThresholdCheck, Name: t.Metric + ": " + t.Text, Verdict: reports.Passed, Evaluations: 1}
	if interrupted {
		c.Verdict = reports.Unknown
		return c
	}
	s := sampleOf(t.Metric, l)
	value, held, ok := check.Threshold(t, s)
	c.Found = check.Number(math.Round(value*1e6) / 1e6)
	if s.Trend != nil {
		c.Found = check.Number(math.Round(value*1e3)/1e3) + " ms"
	}
	if !ok {
		c.Found = "no sample: nothing of this kind happened"
	}
	if !held {
		c.Verdict, c.Expected = reports.Failed, t.Text
	}
	return c
}

// sampleOf is what a metric of a load came to.
func sampleOf(metric string, l *reports.Load) check.Sample {
	share := func(n, of uint64) check.Sample {
		return check.Sample{Count: float64(n), Rate: float64(n) / float64(max(1, of))}
	}
	switch metric {
	case "arrivals_dropped":
		return share(l.Arrivals.Dropped, l.Arrivals.Due)
	case "operations_failed":
		return share(l.All.Failed, l.All.Count())
	case "operations_unknown":
		return share(l.All.Unknown, l.All.Count())
	case "beacons_lost":
		return share(l.Beacons.Lost, l.Beacons.Sent)
	}
	name, trend, ofOne := strings.Cut(metric, ".")
	o := l.All
	if ofOne {
		o = reports.LoadOperation{}
		for _, one := range l.Operations {
			if one.Name == name {
				o = one
			}
		}
	} else {
		trend = metric
	}
	return check.Sample{Trend: trendNamed(trend, &o)}
}

func trendNamed(name string, o *reports.LoadOperation) *hdrhistogram.Histogram {
	h, ok := map[string]*hdrhistogram.Histogram{"response_time": o.Response, "service_time": o.Service, "schedule_lag": o.Lag}[name]
	switch {
	case !ok:
		panic(fmt.Sprintf("load: %q is no metric", name))
	case h == nil: // there was no such operation
		return new(stats.Histogram).HDR()
	}
	return h
}
