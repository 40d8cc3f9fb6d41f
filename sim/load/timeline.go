package load

import (
	"time"

	"bluetrace/reports"
	"bluetrace/reports/stats"
	"bluetrace/scenarios"
)

// arrivalsOfSecond counts those that were due in one second of a phase.
type arrivalsOfSecond struct{ due, started uint32 }

// bySecond are the arrivals of a phase, second by second.
type bySecond []arrivalsOfSecond

func (b *bySecond) count(sinceBegin time.Duration, started bool) {
	second := int(max(0, sinceBegin) / time.Second)
	for second >= len(*b) {
		*b = append(*b, arrivalsOfSecond{})
	}
	(*b)[second].due++
	if started {
		(*b)[second].started++
	}
}

// timeline is the run second by second, its warm-up first.
func (m *Measurement) timeline(t *scenarios.Traffic) []reports.LoadSecond {
	pacer := NewPacer(t)
	line := []reports.LoadSecond{}
	for i, f := range []*figures{m.warm, m.figures} {
		begin, length := time.Duration(0), t.WarmUp
		if i == phaseOf(true) {
			begin, length = t.WarmUp, m.Length
		}
		times := responsesBySecond(f)
		for n := 0; time.Duration(n)*time.Second < length; n++ {
			from := begin + time.Duration(n)*time.Second
			till := min(from+time.Second, begin+length)
			s := reports.LoadSecond{FromSeconds: from.Seconds(), Seconds: (till - from).Seconds(), WarmUp: i == 0,
				Target: pacer.Rate(from + (till-from)/2)}
			if n < len(m.bySecond[i]) {
				s.Achieved = float64(m.bySecond[i][n].started) / s.Seconds
			}
			if n < len(times) {
				s.Samples, s.P50Ms, s.P99Ms = quantilesOfSecond(times[n])
			}
			line = append(line, s)
		}
	}
	return line
}

// responsesBySecond returns the response times of all operations.
func responsesBySecond(f *figures) []stats.Second {
	if f == nil {
		return nil
	}
	var all kind
	for o := range operations {
		all.addSeconds(f.kinds[o].responseSeconds)
	}
	return all.responseSeconds
}

func quantilesOfSecond(s stats.Second) (samples uint64, p50, p99 float64) {
	sum := stats.NewCounts()
	sum.Add(s.Bins())
	if sum.Total() == 0 {
		return 0, 0, 0
	}
	median, _, _ := sum.Quantile(.5)
	tail, _, _ := sum.Quantile(.99)
	return sum.Total(), float64(median.Top()) / 1e6, float64(tail.Top()) / 1e6
}
