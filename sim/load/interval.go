package load

import (
	"math/rand/v2"
	"slices"
	"time"

	"gonum.org/v1/gonum/stat"

	"bluetrace/reports/stats"
)

// Interval is the 95 % confidence interval of a quantile.
type Interval struct {
	Low, High time.Duration
}

// intervalResamples is the number of resampled runs of an interval.
const intervalResamples = 400

// intervals returns the confidence intervals of quantiles, 0 to 1, by a block
// bootstrap over the seconds; nil if there are fewer than stats.MinSeconds.
func intervals(seconds []stats.Second, quantiles []float64, src rand.Source) []Interval {
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
