package load

import (
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	dto "github.com/prometheus/client_model/go"

	"bluetrace/reports"
	"bluetrace/reports/stats"
	"bluetrace/scenarios"
)

// tally counts the operations and sessions of one phase where they begin and end. The
// figures are collected elsewhere and must agree with it.
type tally struct {
	begun    [operations]atomic.Uint64
	waited   [operations]atomic.Uint64 // without an answer within the timeout
	sessions [stillOpen + 1]atomic.Uint64
}

// copyFrom makes the tally equal to another one.
func (t *tally) copyFrom(other *tally) {
	for o := range operations {
		t.begun[o].Store(other.begun[o].Load())
		t.waited[o].Store(other.waited[o].Load())
	}
	for outcome := range t.sessions {
		t.sessions[outcome].Store(other.sessions[outcome].Load())
	}
}

// balance is a list of equations between figures.
type balance struct {
	evaluated uint64
	broken    []string
}

// equal adds the equation of two counts.
func (b *balance) equal(left string, n uint64, right string, m uint64) {
	b.evaluated++
	if n != m {
		b.broken = append(b.broken, fmt.Sprintf("%s: %d, %s: %d", left, n, right, m))
	}
}

// BalanceCheck returns the check that the figures of a run agree with each other, with
// the schedule and with the metrics: nothing is counted twice, and nothing is lost. The
// argument l is the report of m.
func (m *Measurement) BalanceCheck(t *scenarios.Traffic, l *reports.Load) reports.Check {
	b := m.balanced(t, l)
	c := reports.Check{Kind: reports.InvariantCheck, Name: "the figures of a load agree with each other",
		Verdict: reports.Passed, Evaluations: b.evaluated}
	if len(b.broken) > 0 {
		c.Verdict, c.Expected, c.Found = reports.Failed, "equal counts", b.broken[0]
		c.LastEvents = b.broken[1:]
	}
	return c
}

// balanced returns all equations of a run, with those of its parts that do not hold.
func (m *Measurement) balanced(t *scenarios.Traffic, l *reports.Load) *balance {
	b := &balance{}
	for _, p := range m.parts {
		for _, text := range p.Unbalanced {
			b.broken = append(b.broken, "the generator "+p.Name+": "+text)
		}
	}
	m.balanceArrivals(b, t)
	for i, f := range []*figures{m.warm, m.figures} {
		for o := range operations {
			m.balanceOperation(b, i, o, &f.kinds[o])
		}
	}
	m.balanceReport(b, l)
	return b
}

// balanceArrivals adds the equations of arrivals and sessions.
func (m *Measurement) balanceArrivals(b *balance, t *scenarios.Traffic) {
	a := &m.Arrivals
	b.equal("arrivals due", a.Due, "started and dropped", a.Started+a.Dropped)
	for i, phase := range []string{" in the warm-up", ""} {
		due, started := m.arrivals[i].sum()
		if i == phaseIndex(true) {
			b.equal("arrivals due", a.Due, "second by second", due)
			b.equal("arrivals started", a.Started, "second by second", started)
		}
		tally, sessions := &m.tallies[i], uint64(0)
		for outcome := range tally.sessions {
			sessions += tally.sessions[outcome].Load()
		}
		b.equal("arrivals started"+phase, started, "sessions", sessions)
		if t.Session != nil {
			b.equal("arrivals started"+phase, started, "connections begun", tally.begun[Connect].Load())
		}
		scheduled := scheduledArrivals(t)[i] / float64(m.share.shares())
		if b.evaluated++; !m.endedEarly() && math.Abs(float64(due)-scheduled) > 1+rounding {
			b.broken = append(b.broken, fmt.Sprintf("arrivals due%s: %d, by the rates and durations of the "+
				"scenario: %.1f", phase, due, scheduled))
		}
	}
}

// endedEarly reports whether the run ended before its last stage.
func (m *Measurement) endedEarly() bool { return m.Interrupted || m.Aborted != "" || m.unanswered }

// scheduledArrivals returns the number of arrivals in the warm-up and in all stages.
func scheduledArrivals(t *scenarios.Traffic) (n [2]float64) {
	n[0] = t.StartRate * t.WarmUp.Seconds()
	rate := t.StartRate
	for _, s := range t.Stages {
		n[1] += (rate + s.Rate) / 2 * s.Duration.Seconds()
		rate = s.Rate
	}
	return n
}

// sum returns the number of arrivals that were due, and of those that began.
func (a arrivalsBySecond) sum() (due, started uint64) {
	for _, s := range a {
		due, started = due+uint64(s.due), started+uint64(s.started)
	}
	return due, started
}

// balanceOperation adds the equations of one operation in a phase.
func (m *Measurement) balanceOperation(b *balance, phase int, o Operation, k *kind) {
	name := scenarios.LoadOperations[o] + []string{" in the warm-up", ""}[phase]
	ended := k.outcomes[OK] + k.outcomes[Failed] + k.outcomes[Unknown]
	tally := &m.tallies[phase]
	if o != Beacon || phase == phaseIndex(true) { // the lost beacons of a warm-up are not counted
		b.equal(name+" operations begun", tally.begun[o].Load(), "ended", ended)
	}
	timed := k.outcomes[OK] + tally.waited[o].Load()
	counts := []int64{k.response.Count(), k.service.Count()}
	for i, seconds := range [][]stats.Second{k.responseSeconds, k.serviceSeconds} {
		times, n, sum := name+[]string{" response times", " service times"}[i], uint64(counts[i]), uint64(0)
		for _, second := range seconds {
			for _, samples := range second {
				sum += uint64(samples)
			}
		}
		b.equal(times, n, "operations ok, and without an answer in time", timed)
		b.equal(times, n, "second by second", sum)
	}
	if o == Beacon && phase == phaseIndex(true) {
		b.equal("beacons received", m.Beacons.Received, "ok", k.outcomes[OK])
	}
}

// balanceReport adds the equations of the report with the metrics, and those of all
// operations with each of them.
func (m *Measurement) balanceReport(b *balance, l *reports.Load) {
	operations, times := uint64(0), int64(0)
	for i := range l.Operations {
		o := &l.Operations[i]
		operations, times = operations+o.Count(), times+o.Response.TotalCount()
		if m.phase != nil {
			b.equalMetrics(o, m.meters[operationNamed(o.Name)])
		}
	}
	b.equal("operations", l.All.Count(), "one by one", operations)
	b.equal("response times", uint64(l.All.Response.TotalCount()), "one by one", uint64(times))
	if p, a := m.phase, &l.Arrivals; p != nil {
		metrics := []uint64{p.Due.Value(), p.Started.Value(), p.Dropped.Value(), p.Failed.Value(), p.Unknown.Value()}
		for i, n := range []uint64{a.Due, a.Started, a.Dropped, a.Failed, a.Unknown} {
			name := []string{"due", "started", "dropped", "failed", "unknown"}[i]
			b.equal("arrivals "+name, n, "in the metrics", metrics[i])
		}
	}
}

// equalMetrics adds the equations of one operation with its metrics.
func (b *balance) equalMetrics(o *reports.LoadOperation, meter *reports.OperationMeter) {
	outcomes, response, service, lag := meter.Figures()
	for i, n := range []uint64{o.OK, o.Failed, o.Unknown} {
		outcome := reports.Outcome(i)
		b.equal(fmt.Sprintf("%s operations %s", o.Name, outcome), n, "in the metrics", outcomes[i])
	}
	for _, one := range []struct {
		name string
		h    *hdrhistogram.Histogram
		in   *dto.Histogram
	}{{"response times", o.Response, response}, {"service times", o.Service, service}, {"lags", o.Lag, lag}} {
		n := uint64(one.h.TotalCount())
		b.equal(o.Name+" "+one.name, n, "in the metrics", one.in.GetSampleCount())
		// The cells of the histogram are 0.1 % wide.
		sum := one.h.Mean() / float64(time.Second) * float64(n)
		if b.evaluated++; n > 0 && math.Abs(sum-one.in.GetSampleSum()) > sum/500+1e-8*float64(n) {
			b.broken = append(b.broken, fmt.Sprintf("sum of the %s %s: %g s, in the metrics: %g s",
				o.Name, one.name, sum, one.in.GetSampleSum()))
		}
	}
}
