package load

import (
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"gonum.org/v1/gonum/stat"

	"bluetrace/reports"
	"bluetrace/reports/stats"
	"bluetrace/scenarios"
	"bluetrace/sim/check"
)

// confidenceResamples is the number of resampled runs of a confidence. A smaller
// share than one of them counts as none.
const confidenceResamples = 1000

// Confidence returns the probability, 0 to 1, that the thresholds on response times
// hold at this rate: the share of resampled runs (a block bootstrap over the seconds
// of the measured run) in which all of them hold. It reports false if the run was
// too short or has no such threshold. Other thresholds are ignored.
func (m *Measurement) Confidence(thresholds []scenarios.Threshold) (share float64, ok bool) {
	var mine []scenarios.Threshold
	var seconds [][][]stats.Bin
	n := 0
	for _, t := range thresholds {
		if times, ok := m.responses(t.Metric); ok {
			mine = append(mine, t)
			seconds = append(seconds, bins(times))
			n = max(n, len(times))
		}
	}
	if len(mine) == 0 || n < stats.MinSeconds {
		return 0, false
	}
	blocks := make([]*stats.Blocks, len(mine))
	for i, s := range seconds { // an operation may have no second as late as another
		blocks[i] = stats.NewBlocks(append(s, make([][]stats.Bin, n-len(s))...))
	}
	draws := rand.New(rand.NewPCG(m.seed, 3))
	sum := stats.NewCounts()
	var starts []int
	held := 0
	for range confidenceResamples {
		starts = stats.DrawBlocks(n, draws, starts)
		holds := true
		for i := 0; i < len(mine) && holds; i++ {
			sum.Reset()
			blocks[i].AddTo(sum, starts)
			value, any := valueOf(&mine[i], sum)
			holds = any && check.Compare(value, mine[i].Op, mine[i].Value)
		}
		if holds {
			held++
		}
	}
	return float64(held) / confidenceResamples, true
}

// responses returns the response times of a metric second by second. It reports
// false for a metric that is not a response time.
func (m *Measurement) responses(metric string) ([]stats.Second, bool) {
	if !IsResponseTime(metric) {
		return nil, false
	}
	name, _, ofOne := strings.Cut(metric, ".")
	if !ofOne {
		return m.figures.responses(), true
	}
	if o := slices.Index(scenarios.LoadOperations[:], name); o >= 0 {
		return m.figures.kinds[o].responseSeconds, true
	}
	return nil, true
}

// IsResponseTime reports whether a metric is the response time of one operation
// or of all operations.
func IsResponseTime(metric string) bool {
	return metric == responseTime || strings.HasSuffix(metric, "."+responseTime)
}

const responseTime = "response_time"

// valueOf returns the value that a threshold's method takes from samples, in
// milliseconds. It reports false without a sample.
func valueOf(t *scenarios.Threshold, sum *stats.Counts) (ms float64, ok bool) {
	if t.Method == "avg" {
		mean, ok := sum.Mean()
		return mean / 1e6, ok
	}
	q := map[string]float64{"min": 0, "med": .5, "max": 1, "p": t.Quantile / 100}[t.Method]
	cell, _, ok := sum.Quantile(q)
	return float64(cell.Top()) / 1e6, ok
}

// intervalResamples is the number of resampled runs of an interval.
const intervalResamples = 400

// intervals returns the 95 % confidence intervals of quantiles, 0 to 1, by a block
// bootstrap over the seconds; nil if there are fewer than stats.MinSeconds.
func intervals(seconds []stats.Second, quantiles []float64, src rand.Source) []reports.Interval {
	if len(seconds) < stats.MinSeconds {
		return nil
	}
	blocks, draws := stats.NewBlocks(bins(seconds)), rand.New(src)
	found := make([][]float64, len(quantiles))
	sum := stats.NewCounts()
	var starts []int
	for range intervalResamples {
		sum.Reset()
		starts = stats.DrawBlocks(len(seconds), draws, starts)
		blocks.AddTo(sum, starts)
		for i, q := range quantiles {
			if cell, _, ok := sum.Quantile(q); ok {
				found[i] = append(found[i], float64(cell.Top()))
			}
		}
	}
	var out []reports.Interval
	bound := func(share float64, values []float64) float64 {
		return milliseconds(time.Duration(stat.Quantile(share, stat.Empirical, values, nil)))
	}
	for i, values := range found {
		if len(values) == 0 {
			return nil
		}
		slices.Sort(values)
		out = append(out, reports.Interval{
			Quantile: quantiles[i], LowMs: bound(0.025, values), HighMs: bound(0.975, values),
		})
	}
	return out
}

// bins returns seconds with their cells in order.
func bins(seconds []stats.Second) [][]stats.Bin {
	out := make([][]stats.Bin, 0, len(seconds))
	for _, s := range seconds {
		out = append(out, s.Bins())
	}
	return out
}
