package load

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"gonum.org/v1/gonum/stat"

	"bluetrace/scenarios"
	"bluetrace/sim/check"
)

// The confidence of quantiles and of thresholds comes from a block bootstrap: a run
// of the same length is put together from the seconds of the measured one, drawn
// with replacement in blocks of consecutive seconds, since slow seconds follow each
// other.
const (
	intervalResamples   = 400
	confidenceResamples = 1000
	minSeconds          = 8 // a shorter run has no confidence
)

// Interval contains a quantile with 95 % confidence.
type Interval struct {
	Low, High time.Duration
}

// intervals returns the confidence intervals of quantiles, 0 to 1, of times second
// by second. It returns nil if there are too few seconds.
func intervals(seconds []slice, quantiles []float64, src rand.Source) []Interval {
	if len(seconds) < minSeconds {
		return nil
	}
	d := newDenseTimes(seconds)
	found := make([][]float64, len(quantiles))
	resample(len(seconds), intervalResamples, src, func(drawn []int) {
		d.addUp(drawn)
		for i, q := range quantiles {
			if at, ok := d.quantile(q); ok {
				found[i] = append(found[i], float64(cellTop(d.cells[at])))
			}
		}
	})
	var out []Interval
	for _, values := range found {
		if len(values) == 0 {
			return nil
		}
		slices.Sort(values)
		out = append(out, Interval{
			time.Duration(stat.Quantile(0.025, stat.Empirical, values, nil)),
			time.Duration(stat.Quantile(0.975, stat.Empirical, values, nil)),
		})
	}
	return out
}

// resample calls use with n seconds, 0 to n-1, as often as it is told. They are
// drawn in blocks, and the first second follows the last.
func resample(n, times int, src rand.Source, use func(drawn []int)) {
	block := int(math.Round(math.Cbrt(float64(n))))
	draws := rand.New(src)
	drawn := make([]int, n)
	for range times {
		for at := 0; at < n; at += block {
			first := draws.IntN(n)
			for i := range min(block, n-at) {
				drawn[at+i] = (first + i) % n
			}
		}
		use(drawn)
	}
}

// Confidence returns the confidence, 0 to 1, with which the thresholds on response
// times hold at this rate: the share of resampled runs in which all of them hold.
// It returns false if the run was too short, or there is no such threshold.
// Thresholds on other metrics have no part in it.
func (m *Measurement) Confidence(thresholds []scenarios.Threshold) (share float64, ok bool) {
	var (
		checked []scenarios.Threshold
		times   []denseTimes
	)
	n := 0
	for _, t := range thresholds {
		if IsResponseTime(t.Metric) {
			seconds := m.responses(t.Metric)
			checked = append(checked, t)
			times = append(times, newDenseTimes(seconds))
			n = max(n, len(seconds))
		}
	}
	if len(checked) == 0 || n < minSeconds {
		return 0, false
	}
	held := 0
	resample(n, confidenceResamples, rand.NewPCG(m.seed, 3), func(drawn []int) {
		for k := range checked {
			value, any := times[k].value(&checked[k], drawn)
			if !any || !check.Compare(value, checked[k].Op, checked[k].Value) {
				return
			}
		}
		held++
	})
	return float64(held) / confidenceResamples, true
}

// responses returns the response times of a metric second by second.
func (m *Measurement) responses(metric string) []slice {
	name, _, ofOne := strings.Cut(metric, ".")
	if !ofOne {
		return m.figures.responseSlices()
	}
	if o := slices.Index(scenarios.LoadOperations[:], name); o >= 0 {
		return m.figures.kinds[o].slices
	}
	return nil
}

// IsResponseTime reports whether a metric is the response time of one operation or
// of all.
func IsResponseTime(metric string) bool {
	return metric == responseTime || strings.HasSuffix(metric, "."+responseTime)
}

const responseTime = "response_time"

// denseTimes are times second by second, with the cells in use numbered by size.
type denseTimes struct {
	cells   []int32
	seconds [][]cellCount
	sum     []uint64 // by cell, after addUp
}

type cellCount struct {
	cell  int // index in denseTimes.cells
	count uint32
}

func newDenseTimes(seconds []slice) denseTimes {
	d := denseTimes{}
	for _, s := range seconds {
		for c := range s {
			d.cells = append(d.cells, c)
		}
	}
	slices.Sort(d.cells)
	d.cells = slices.Compact(d.cells)
	for _, s := range seconds {
		var list []cellCount
		for c, n := range s {
			at, _ := slices.BinarySearch(d.cells, c)
			list = append(list, cellCount{at, n})
		}
		d.seconds = append(d.seconds, list)
	}
	d.sum = make([]uint64, len(d.cells))
	return d
}

// addUp sets sum to the times of the given seconds.
func (d *denseTimes) addUp(seconds []int) {
	clear(d.sum)
	for _, second := range seconds {
		if second >= len(d.seconds) {
			continue // nothing of this operation was due so late
		}
		for _, c := range d.seconds[second] {
			d.sum[c.cell] += uint64(c.count)
		}
	}
}

// quantile returns the index of the first cell up to which the share q of sum lies,
// or false if sum is empty.
func (d *denseTimes) quantile(q float64) (at int, ok bool) {
	total := uint64(0)
	for _, n := range d.sum {
		total += n
	}
	want := uint64(math.Ceil(q * float64(total)))
	seen := uint64(0)
	for i, n := range d.sum {
		if seen += n; n > 0 && seen >= want {
			return i, true
		}
	}
	return 0, false
}

// value returns the value of a threshold in the given seconds, in milliseconds, or
// false if there is no time in them.
func (d *denseTimes) value(t *scenarios.Threshold, seconds []int) (float64, bool) {
	d.addUp(seconds)
	share := 0.0 // of min
	switch t.Method {
	case "max":
		share = 1
	case "p":
		share = t.Quantile / 100
	case "med":
		share = .5
	}
	at, ok := d.quantile(share)
	switch {
	case !ok:
		return 0, false
	case t.Method == "avg":
		return d.mean(), true
	}
	return milliseconds(cellTop(d.cells[at])), true
}

func (d *denseTimes) mean() float64 {
	times, weights := make([]float64, len(d.cells)), make([]float64, len(d.cells))
	for i, cell := range d.cells {
		times[i], weights[i] = float64(cellTop(cell))/float64(time.Millisecond), float64(d.sum[i])
	}
	return stat.Mean(times, weights)
}
