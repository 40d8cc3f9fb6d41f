package reports

import (
	"math"
	"slices"
	"sort"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// meterBounds are the upper bounds of the classic buckets of a Meter, in seconds.
func meterBounds() []float64 {
	return append([]float64{.00001, .000025, .00005}, delayBounds()...)
}

// The reach of a histogram's cells, as powers of two of seconds: what is longer
// than 4,096 s counts as 4,096 s.
const (
	cellsFrom = -30 // 0.93 ns
	cellsTo   = 12
)

// grid divides time into cells at the bounds of all buckets, classic and native,
// so that one count serves both and they agree at every moment. Cell i holds
// what is above bounds[i-1] and at most bounds[i]; cell 0 is for 0.
type grid struct {
	classic []float64 // seconds
	bounds  []float64 // seconds
	native  []int32   // the native bucket that cell i lies in, from 1
	first   []uint16  // by fineness: the first cell that a time may be in
}

// fineness is how many steps of each doubling the grid looks up; what is left is
// found by stepping on, by one cell or two.
const fineness = 16

func newGrid(classic []float64) *grid {
	g := &grid{classic: classic, bounds: []float64{0}}
	for i := cellsFrom * (1 << nativeSchema); i <= cellsTo*(1<<nativeSchema); i++ {
		g.bounds = append(g.bounds, nativeBound(i))
	}
	g.bounds = slices.Compact(slices.Sorted(slices.Values(append(g.bounds, classic...))))
	for i, bound := range g.bounds {
		g.native = append(g.native, 0)
		if i > 0 {
			g.native[i] = int32(nativeBucket(bound))
		}
	}
	for k := range (cellsTo - cellsFrom) * fineness {
		low := math.Ldexp(1+float64(k%fineness)/fineness, cellsFrom+k/fineness)
		g.first = append(g.first, uint16(sort.SearchFloat64s(g.bounds, low)))
	}
	return g
}

// nativeBound is the upper bound of a native bucket, in seconds.
func nativeBound(bucket int) float64 {
	const each = 1 << nativeSchema
	exponent := bucket >> nativeSchema
	part := bucket & (each - 1)
	return math.Ldexp(nativeFractions()[part], exponent+1)
}

// cell of a time.
func (g *grid) cell(d time.Duration) int {
	if d <= 0 {
		return 0
	}
	seconds := float64(d) / float64(time.Second)
	const mantissa, bias = 52, 1023
	k := int(math.Float64bits(seconds)>>(mantissa-4)) - (bias+cellsFrom)*fineness
	if k >= len(g.first) {
		return len(g.bounds) - 1
	}
	i := int(g.first[k])
	for seconds > g.bounds[i] {
		i++
	}
	return i
}

// cellsMax is more than a grid has.
const cellsMax = (cellsTo-cellsFrom)<<nativeSchema + 32

// histogram counts times in the cells of a grid; it is used by any number of
// goroutines at once, and is 3 KB.
type histogram struct {
	grid  *grid
	sum   atomic.Int64 // nanoseconds
	cells [cellsMax]atomic.Uint64
}

func (h *histogram) observe(d time.Duration) {
	h.cells[h.grid.cell(d)].Add(1)
	h.sum.Add(int64(max(0, d)))
}

// metric shows the histogram. Its buckets and its count agree; its sum may have
// a few samples more or fewer while others are being added.
func (h *histogram) metric(desc *prometheus.Desc, labels ...string) (*delayMetric, error) {
	sum := time.Duration(h.sum.Load()).Seconds()
	classic := make(map[float64]uint64, len(h.grid.classic))
	native := map[int]int64{}
	var count, zero uint64
	next := 0
	for i, bound := range h.grid.bounds {
		n := h.cells[i].Load()
		count += n
		switch {
		case i == 0:
			zero = n
		case n > 0:
			native[int(h.grid.native[i])] += int64(n)
		}
		if next < len(h.grid.classic) && bound == h.grid.classic[next] {
			classic[bound] = count
			next++
		}
	}
	return combine(desc, count, sum, classic, native, zero, labels)
}
