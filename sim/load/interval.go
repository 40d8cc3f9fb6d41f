package load

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"gonum.org/v1/gonum/stat"
)

// Interval holds a quantile with 95 % confidence.
type Interval struct {
	Low, High time.Duration
}

// Of the bootstrap: what is too short says nothing about its own chance.
const (
	resamples     = 400
	shortestSlice = 8 // seconds
)

// intervals are the confidence intervals of quantiles, 0 to 1, of what was
// measured second by second; nil when there are too few seconds. They come from
// a block bootstrap: seconds that follow each other are drawn together, since
// what is slow stays slow for a while.
func intervals(seconds []slice, quantiles []float64, src rand.Source) []Interval {
	n := len(seconds)
	if n < shortestSlice {
		return nil
	}
	cells, dense := denseSlices(seconds)
	block := int(math.Round(math.Cbrt(float64(n))))
	draws := rand.New(src)
	found := make([][]float64, len(quantiles))
	sum, drawn := make([]uint64, len(cells)), make([]int, n)
	for range resamples {
		clear(sum)
		drawBlocks(drawn, block, draws)
		for _, second := range drawn {
			for _, c := range dense[second] {
				sum[c.cell] += uint64(c.count)
			}
		}
		for i, q := range quantiles {
			if at, ok := quantileOf(sum, q); ok {
				found[i] = append(found[i], float64(cellTop(cells[at])))
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

// counted is how many samples are in a cell, by its place in the list of cells.
type counted struct {
	cell  int
	count uint32
}

// denseSlices numbers the cells that are used.
func denseSlices(seconds []slice) (cells []int32, dense [][]counted) {
	for _, s := range seconds {
		for c := range s {
			cells = append(cells, c)
		}
	}
	slices.Sort(cells)
	cells = slices.Compact(cells)
	for _, s := range seconds {
		var list []counted
		for c, n := range s {
			at, _ := slices.BinarySearch(cells, c)
			list = append(list, counted{at, n})
		}
		dense = append(dense, list)
	}
	return cells, dense
}

// quantileOf is the place of the first cell up to which the share q is.
func quantileOf(counts []uint64, q float64) (at int, ok bool) {
	total := uint64(0)
	for _, n := range counts {
		total += n
	}
	want := uint64(math.Ceil(q * float64(total)))
	seen := uint64(0)
	for i, n := range counts {
		if seen += n; n > 0 && seen >= want {
			return i, true
		}
	}
	return 0, false
}
