package load

import (
	"time"

	"bluetrace/reports"
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

// responsesBySecond are the response times of all operations.
func responsesBySecond(f *figures) []slice {
	if f == nil {
		return nil
	}
	var all kind
	for o := range operations {
		all.addSeconds(f.kinds[o].slices)
	}
	return all.slices
}

func quantilesOfSecond(s slice) (samples uint64, p50, p99 float64) {
	d := newDenseTimes([]slice{s})
	for _, c := range d.seconds[0] {
		d.sum[c.cell] += uint64(c.count)
		samples += uint64(c.count)
	}
	for _, q := range []struct {
		share float64
		ms    *float64
	}{{.5, &p50}, {.99, &p99}} {
		if at, ok := quantileOf(d.sum, q.share); ok {
			*q.ms = milliseconds(cellTop(d.cells[at]))
		}
	}
	return samples, p50, p99
}
