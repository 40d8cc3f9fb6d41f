package load

import (
	"slices"
	"time"

	"bluetrace/reports"
	"bluetrace/reports/stats"
	"bluetrace/scenarios"
	"bluetrace/sim/check"
)

// thresholdsOf are those of the scenario, and what every load must keep unless
// one of them says otherwise: no arrival dropped, no operation failed.
func thresholdsOf(s *scenarios.Scenario) (own, implied []scenarios.Threshold) {
	for _, metric := range []string{"arrivals_dropped", "operations_failed"} {
		if !slices.ContainsFunc(s.Thresholds, func(t scenarios.Threshold) bool { return t.Metric == metric }) {
			implied = append(implied, scenarios.Threshold{Metric: metric, Text: "count==0", Method: "count", Op: "=="})
		}
	}
	return s.Thresholds, implied
}

// ThresholdStatus is how many thresholds hold by the figures so far, how many do not,
// and how many have nothing to look at yet.
func ThresholdStatus(s *scenarios.Scenario, l *reports.Load) (held, broken, undecided int) {
	own, implied := thresholdsOf(s)
	for _, t := range slices.Concat(own, implied) {
		switch _, holds, ok := check.Threshold(&t, sampleOf(t.Metric, l)); {
		case !ok:
			undecided++
		case holds:
			held++
		default:
			broken++
		}
	}
	return held, broken, undecided
}

// present is what was measured so far, as far as thresholds look at it. What is
// still under way is in none of it; so a beacon is not lost before the end.
func (e *engine) present() *reports.Load {
	e.mu.Lock()
	arrivals := e.arrivals
	e.mu.Unlock()
	l := &reports.Load{Arrivals: reports.Arrivals(arrivals)}
	l.Beacons.Sent = e.beacons.sent.Load()
	all := &kind{}
	for o := range operations {
		k := e.measured.copied(o)
		if k == nil {
			continue
		}
		l.Operations = append(l.Operations, k.times(scenarios.LoadOperations[o]))
		all.merge(k)
	}
	l.All = all.times(allOperations)
	return l
}

// copied is one operation so far, without its seconds; nil: there was none. The
// lock is held for no longer than the copy takes: sessions wait for it.
func (f *figures) copied(o Operation) *kind {
	f.mu.Lock()
	defer f.mu.Unlock()
	k := &f.kinds[o]
	if k.outcomes == [3]uint64{} {
		return nil
	}
	return &kind{outcomes: k.outcomes, response: k.response.Clone(), service: k.service.Clone(), lag: k.lag.Clone()}
}

// lag is the p99 of the schedule lag of all operations so far.
func (f *figures) lag() time.Duration {
	var all stats.Histogram
	for o := range operations {
		if k := f.copied(o); k != nil {
			all.Merge(&k.lag)
		}
	}
	return time.Duration(all.HDR().ValueAtQuantile(99))
}
