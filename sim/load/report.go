package load

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"bluetrace/reports"
	"bluetrace/reports/stats"
	"bluetrace/scenarios"
	"bluetrace/sim/check"
)

// allOperations is the name of all operations together.
const allOperations = "all"

// Report returns the measurement in the form of the reports.
func (m *Measurement) Report(t *scenarios.Traffic) *reports.Load {
	l := &reports.Load{
		Executor: t.Executor, Sessions: t.Session != nil, WarmUpSeconds: t.WarmUp.Seconds(), Seconds: m.Length.Seconds(),
		Arrivals: m.Arrivals, Beacons: m.Beacons, Aborted: m.Aborted,
		Budgets:  reports.GeneratorBudgets{LagMs: milliseconds(t.LagBudget), CPUShare: t.CPUBudget},
		Expected: []reports.ExpectedTime{}, Operations: []reports.LoadOperation{}, Limits: []reports.SearchLimit{},
		Use: m.use(),
	}
	if m.Outage != "" {
		l.Outage = &reports.Outage{Text: m.Outage, SinceSeconds: m.OutageSince.Seconds()}
	}
	for _, name := range t.AwaitedOperations() {
		o := operationNamed(name)
		if _, given := t.Expected[name]; !given && !m.Frozen[o] {
			continue // the run ended in its warm-up
		}
		l.Expected = append(l.Expected,
			reports.ExpectedTime{Operation: name, Ms: milliseconds(m.Expected[o]), WarmUp: m.Frozen[o]})
	}
	all := &kind{}
	for o := range operations {
		k := &m.figures.kinds[o]
		if k.isEmpty() {
			continue
		}
		l.Operations = append(l.Operations, k.report(scenarios.LoadOperations[o], m.seed))
		all.merge(k)
	}
	l.All = all.report(allOperations, m.seed)
	l.Timeline = m.timeline(t)
	if m.HasOwn {
		l.Generator = processUse(m.Own, m.Length, m.CPUQuota)
		if m.processors > 0 {
			l.Generator = useOf(m.Own, m.Length, m.processors)
		}
	}
	if m.HasServer {
		l.ServerUse = processUse(m.Server, m.Length, m.CPUQuota)
	}
	l.Generators = m.generators()
	return l
}

// Histograms returns the times of every operation second by second.
func (m *Measurement) Histograms() *reports.Histograms { return m.figures.histograms() }

// EmptyReport returns the report of a load that measured nothing.
func EmptyReport(t *scenarios.Traffic) *reports.Load {
	m := &Measurement{figures: newFigures(0), warm: newFigures(0)}
	return m.Report(t)
}

// report returns the figures of one operation with confidence intervals.
func (k *kind) report(name string, seed uint64) reports.LoadOperation {
	o := k.times(name)
	o.Intervals = intervals(k.responseSeconds, []float64{.5, .95, .99}, rand.NewPCG(seed, 2))
	return o
}

// times returns the counts and histograms, without intervals.
func (k *kind) times(name string) reports.LoadOperation {
	return reports.LoadOperation{Name: name,
		OK: k.outcomes[OK], Failed: k.outcomes[Failed], Unknown: k.outcomes[Unknown],
		Response: k.response.HDR(), Service: k.service.HDR(), Lag: k.lag.HDR()}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// processorsOf returns the number of processors that this process may use. The argument quota is the number that its
// control groups allow, or 0.
func processorsOf(quota float64) float64 {
	n := float64(runtime.NumCPU())
	if quota > 0 {
		n = min(n, quota)
	}
	return n
}

// processUse returns the usage u of a process of this machine, which it had within the time in. The argument quota is
// the number of processors that its control groups allow, or 0.
func processUse(u Usage, in time.Duration, quota float64) *reports.ProcessUse {
	p := useOf(u, in, processorsOf(quota))
	if quota > 0 && quota < float64(runtime.NumCPU()) {
		p.CPUQuota = quota
	}
	return p
}

// useOf returns the usage u, which processes had within the time in on a number of processors.
func useOf(u Usage, in time.Duration, processors float64) *reports.ProcessUse {
	p := &reports.ProcessUse{UserSeconds: u.User.Seconds(), SystemSeconds: u.System.Seconds(),
		ResidentBytes: u.ResidentBytes, PeakBytes: u.PeakBytes}
	if in > 0 {
		p.CPUShare = (p.UserSeconds + p.SystemSeconds) / in.Seconds() / processors
	}
	if u.HasGCPause {
		pause := u.GCPause.Seconds()
		p.GCPauseSeconds = &pause
	}
	return p
}

// use returns the sampled usage of both processes. The first sample is only the begin of the second.
func (m *Measurement) use() (list []reports.UseSample) {
	slices.SortFunc(m.samples, func(a, b useSample) int { return cmp.Compare(a.at, b.at) })
	for i := 1; i < len(m.samples); i++ {
		before, now := &m.samples[i-1], &m.samples[i]
		of := func(before, now *Usage) *reports.SampledUse {
			if before == nil || now == nil {
				return nil
			}
			u := processUse(now.since(*before), m.samples[i].at-m.samples[i-1].at, m.CPUQuota)
			return &reports.SampledUse{CPUShare: u.CPUShare, ResidentBytes: u.ResidentBytes}
		}
		list = append(list, reports.UseSample{AtSeconds: now.at.Seconds(), Generator: of(before.own, now.own),
			Server: of(before.server, now.server)})
	}
	return list
}

// GeneratorOverloaded returns the reasons why the figures are limited by the
// generator instead of the server, or none. The argument resourceFailures is
// Sockets.ResourceFailures.
func GeneratorOverloaded(t *scenarios.Traffic, l *reports.Load, resourceFailures uint64) (why []string) {
	const advice = "ask for a lower rate, or give it more processors"
	if of, p99 := worstLag(l); p99 > t.LagBudget {
		why = append(why, fmt.Sprintf("its schedule lag%s has a p99 of %s ms, above its budget of %s ms; %s",
			of, shortMilliseconds(p99), check.Number(milliseconds(t.LagBudget)), advice))
	}
	if g := l.Generator; g != nil && g.CPUShare > t.CPUBudget {
		why = append(why, fmt.Sprintf("it used %.0f %% of %s, above its budget of %.0f %%; %s",
			100*g.CPUShare, g.Processors(), 100*t.CPUBudget, advice))
	}
	if resourceFailures > 0 {
		why = append(why, fmt.Sprintf("this machine had no file descriptor or port for %s",
			reports.Plural(int(resourceFailures), "connection", "connections")))
	}
	return why
}

// BudgetNote describes how far below its budgets the generator stayed, for a run that is not invalid.
func BudgetNote(t *scenarios.Traffic, l *reports.Load) string {
	of, p99 := worstLag(l)
	if p99 > t.LagBudget { // after an outage of the server
		return fmt.Sprintf("load: the generator was late, too: the p99 of its lag%s is %s of %s ms", of, shortMilliseconds(p99),
			check.Number(milliseconds(t.LagBudget)))
	}
	text := fmt.Sprintf("load: the generator kept its budgets: the p99 of its lag%s is %s of %s ms", of,
		shortMilliseconds(p99), check.Number(milliseconds(t.LagBudget)))
	if g := l.Generator; g != nil {
		text += fmt.Sprintf(", and it used %.0f of %.0f %% of %s", 100*g.CPUShare, 100*t.CPUBudget, g.Processors())
	}
	return text
}

// shortMilliseconds writes a time with three decimals at most.
func shortMilliseconds(d time.Duration) string {
	return check.Number(math.Round(milliseconds(d)*1e3) / 1e3)
}

// worstLag returns the lag that decides, with the words that name its operation.
func worstLag(l *reports.Load) (of string, worst time.Duration) {
	name, ms := l.WorstLag()
	if name != "" {
		of = " of " + name
	}
	return of, time.Duration(math.Round(ms * float64(time.Millisecond)))
}

// thresholdsOf returns the thresholds of the scenario, and after them those that
// apply to every load unless the scenario has one on the same metric: no arrival is
// dropped, and no operation fails or is unknown. These have no position in the
// scenario.
func thresholdsOf(s *scenarios.Scenario) []scenarios.Threshold {
	all := slices.Clone(s.Thresholds)
	for _, metric := range []string{"arrivals_dropped", "operations_failed", "operations_unknown"} {
		if !hasThreshold(s, metric) {
			all = append(all, scenarios.Threshold{Metric: metric, Text: "count==0", Method: "count", Op: "=="})
		}
	}
	return all
}

func hasThreshold(s *scenarios.Scenario, metric string) bool {
	return slices.ContainsFunc(s.Thresholds, func(t scenarios.Threshold) bool { return t.Metric == metric })
}

// Status is the number of thresholds that the figures so far hold and break, and of
// those that have no sample yet. Abort is the name of a broken threshold that ends the
// run, or "".
type Status struct {
	Held, Broken, Undecided int
	Abort                   string
}

// ThresholdStatus returns the status of the thresholds. The argument at is the time
// since the warm-up. A threshold with `abort` ends the run from its delay on, also if it
// has no sample because no operation of its kind succeeded.
func ThresholdStatus(s *scenarios.Scenario, l *reports.Load, at time.Duration) (status Status) {
	for _, t := range thresholdsOf(s) {
		sample := sampleOf(t.Metric, l)
		_, holds, ok := check.Threshold(&t, sample)
		switch {
		case !ok:
			status.Undecided++
		case holds:
			status.Held++
		default:
			status.Broken++
		}
		if t.Abort && !holds && (ok || sample.Count > 0) && at >= t.Delay && status.Abort == "" {
			status.Abort = nameOf(&t)
		}
	}
	return status
}

// nameOf is the name of the check of a threshold.
func nameOf(t *scenarios.Threshold) string { return t.Metric + ": " + t.Text }

// Checks returns the checks of the thresholds: those of the scenario, and those that
// apply to every load (thresholdsOf).
func Checks(s *scenarios.Scenario, l *reports.Load, interrupted bool) []reports.Check {
	var all []reports.Check
	for _, t := range thresholdsOf(s) {
		c := ThresholdCheck(&t, sampleOf(t.Metric, l), interrupted, 1e6)
		if l.Aborted == c.Name && !interrupted {
			c.Verdict, c.Expected = reports.Failed, t.Text
			c.Found += fmt.Sprintf("; it ended the load after %.1f s", l.Seconds)
		}
		if t.Pos != (scenarios.Pos{}) {
			c.Place = s.Place(t.Pos)
		}
		all = append(all, c)
	}
	if !hasThreshold(s, "operations_ok") {
		all = append(all, successCheck(s.Load, l, interrupted))
	}
	return all
}

// ThresholdsSoFar returns the checks of the thresholds by the figures so far, nil if there are none.
func ThresholdsSoFar(s *scenarios.Scenario, l *reports.Load) (all []reports.Check) {
	if l == nil {
		l = &reports.Load{}
	}
	for _, t := range thresholdsOf(s) {
		all = append(all, ThresholdSoFar(&t, sampleOf(t.Metric, l), 1e6))
	}
	return all
}

// ThresholdSoFar returns the check of a threshold like ThresholdCheck, but is Unknown without a sample.
func ThresholdSoFar(t *scenarios.Threshold, s check.Sample, parts float64) reports.Check {
	if _, _, ok := check.Threshold(t, s); !ok {
		return reports.Check{Kind: reports.ThresholdCheck, Name: nameOf(t), Verdict: reports.Unknown}
	}
	return ThresholdCheck(t, s, false, parts)
}

// successCheck returns the check that every operation of the load succeeded at least
// once: those of a session, and those of a mix that were tried.
func successCheck(t *scenarios.Traffic, l *reports.Load, interrupted bool) reports.Check {
	c := reports.Check{Kind: reports.ExpectationCheck, Name: "every operation of the load succeeds at least once",
		Verdict: reports.Passed, Evaluations: 1}
	if interrupted {
		c.Verdict = reports.Unknown
		return c
	}
	var none []string
	for o, name := range scenarios.LoadOperations {
		at := slices.IndexFunc(l.Operations, func(one reports.LoadOperation) bool { return one.Name == name })
		switch tried := at >= 0; {
		case !tried && slices.Contains(newScripts(t).session, Operation(o)):
			none = append(none, name+": none was tried")
		case tried && l.Operations[at].OK == 0:
			none = append(none, fmt.Sprintf("%s: 0 of %d", name, l.Operations[at].Count()))
		}
	}
	if l.Arrivals.Due == 0 {
		none = []string{"no arrival was due"}
	}
	if len(none) > 0 {
		c.Verdict, c.Expected, c.Found = reports.Failed, "one of each, or a threshold on operations_ok",
			strings.Join(none, ", ")
	}
	return c
}

// ThresholdCheck returns the check of a threshold, without its place. The value found is rounded to parts of a unit,
// and
// a time to microseconds.
func ThresholdCheck(t *scenarios.Threshold, s check.Sample, interrupted bool, parts float64) reports.Check {
	c := reports.Check{Kind: reports.ThresholdCheck, Name: nameOf(t), Verdict: reports.Passed, Evaluations: 1}
	if interrupted {
		c.Verdict = reports.Unknown
		return c
	}
	value, held, ok := check.Threshold(t, s)
	c.Found = check.Number(math.Round(value*parts) / parts)
	if s.Trend != nil && t.Method != "count" {
		c.Found = check.Number(math.Round(value*1e3)/1e3) + " ms"
	}
	if !ok {
		c.Found = "no sample: nothing of this kind happened"
		if s.Trend != nil && s.Count > 0 {
			c.Found = fmt.Sprintf("no sample: none of %.0f was answered", s.Count)
		}
	}
	if !held {
		c.Verdict, c.Expected = reports.Failed, t.Text
	}
	return c
}

// sampleOf returns the sample of a metric. The count of a trend is the number of
// operations that ended, with and without an answer.
func sampleOf(metric string, l *reports.Load) check.Sample {
	switch metric {
	case "arrivals_dropped":
		return check.Share(l.Arrivals.Dropped, l.Arrivals.Due)
	case "operations_ok":
		return check.Share(l.All.OK, l.All.Count())
	case "operations_failed":
		return check.Share(l.All.Failed, l.All.Count())
	case "operations_unknown":
		return check.Share(l.All.Unknown, l.All.Count())
	case "beacons_lost":
		return check.Share(l.Beacons.Lost, l.Beacons.Sent)
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
	return check.Sample{Trend: trendNamed(trend, &o), Count: float64(o.Count())}
}

func trendNamed(name string, o *reports.LoadOperation) *hdrhistogram.Histogram {
	h, ok := map[string]*hdrhistogram.Histogram{
		responseTime: o.Response, "service_time": o.Service, "schedule_lag": o.Lag,
	}[name]
	switch {
	case !ok:
		panic(fmt.Sprintf("load: %q is no metric", name))
	case h == nil: // no such operation took place
		return new(stats.Histogram).HDR()
	}
	return h
}

// timeline returns the run second by second, beginning with its warm-up.
func (m *Measurement) timeline(t *scenarios.Traffic) []reports.LoadSecond {
	pacer := NewPacer(t)
	line := []reports.LoadSecond{}
	for i, f := range []*figures{m.warm, m.figures} {
		begin, length := time.Duration(0), t.WarmUp
		if i == phaseIndex(true) {
			begin, length = t.WarmUp, m.Length
		}
		responses := f.responses()
		services := f.seconds(func(k *kind) []stats.Second { return k.serviceSeconds })
		for n := 0; time.Duration(n)*time.Second < length; n++ {
			from := begin + time.Duration(n)*time.Second
			to := min(from+time.Second, begin+length)
			s := reports.LoadSecond{
				FromSeconds: from.Seconds(), Seconds: (to - from).Seconds(), WarmUp: i == 0,
				Target: pacer.Rate(from + (to-from)/2),
			}
			if n < len(m.arrivals[i]) {
				a := m.arrivals[i][n]
				s.Achieved, s.Dropped = float64(a.started)/s.Seconds, uint64(a.due-a.started)
			}
			if n < len(f.notOK) {
				s.Failed, s.Unknown = uint64(f.notOK[n][Failed]), uint64(f.notOK[n][Unknown])
			}
			s.Samples, s.P50Ms, s.P99Ms = quantilesOf(responses, n)
			if n < len(responses) {
				s.Rows = stats.Rows(responses[n].Bins())
			}
			_, s.ServiceP50Ms, s.ServiceP99Ms = quantilesOf(services, n)
			_, _, s.LagP99Ms = quantilesOf(f.lagSeconds, n)
			line = append(line, s)
		}
	}
	return line
}

// quantilesOf returns the number of samples of a second, and two quantiles in
// milliseconds. All are 0 beyond the last second.
func quantilesOf(seconds []stats.Second, second int) (samples uint64, p50, p99 float64) {
	if second >= len(seconds) {
		return 0, 0, 0
	}
	sum := stats.NewCounts()
	sum.Add(seconds[second].Bins())
	if sum.Total() == 0 {
		return 0, 0, 0
	}
	median, _, _ := sum.Quantile(.5)
	tail, _, _ := sum.Quantile(.99)
	return sum.Total(), float64(median.Top()) / 1e6, float64(tail.Top()) / 1e6
}
