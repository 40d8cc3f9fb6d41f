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

// confidenceResamples is how often the run is drawn anew; less than one in so
// many is not told from none.
const confidenceResamples = 1000

// Confidence is how sure it is that the thresholds on response times hold at
// this rate, 0 to 1: the share of runs, put together from the measured run's own
// seconds (blocks of seconds that follow each other, drawn with replacement), in
// which all of them hold. False: the run was too short, or there is no such
// threshold. Thresholds on anything else have no part in it.
func (m *Measurement) Confidence(thresholds []scenarios.Threshold) (share float64, ok bool) {
	var (
		mine     []scenarios.Threshold
		measured []denseTimes
	)
	n := 0
	for _, t := range thresholds {
		if trend, ok := m.responses(t.Metric); ok {
			mine = append(mine, t)
			measured = append(measured, newDenseTimes(trend))
			n = max(n, len(trend))
		}
	}
	if len(mine) == 0 || n < shortestSlice {
		return 0, false
	}
	block := int(math.Round(math.Cbrt(float64(n))))
	draws := rand.New(rand.NewPCG(m.seed, 3))
	drawn := make([]int, n)
	held := make([]float64, confidenceResamples)
	for i := range held {
		drawBlocks(drawn, block, draws)
		held[i] = 1
		for k := range mine {
			if value, any := measured[k].value(&mine[k], drawn); !any || !check.Compare(value, mine[k].Op, mine[k].Value) {
				held[i] = 0
				break
			}
		}
	}
	return stat.Mean(held, nil), true
}

// drawBlocks fills drawn with seconds, 0 to its length, a block of them after
// the other; the first second follows the last.
func drawBlocks(drawn []int, block int, draws *rand.Rand) {
	for at := 0; at < len(drawn); at += block {
		first := draws.IntN(len(drawn))
		for i := range min(block, len(drawn)-at) {
			drawn[at+i] = (first + i) % len(drawn)
		}
	}
}

// responses are the response times of a metric second by second; false: it is
// not one of response times.
func (m *Measurement) responses(metric string) ([]slice, bool) {
	if !IsResponseTime(metric) {
		return nil, false
	}
	name, _, ofOne := strings.Cut(metric, ".")
	var all kind
	for o := range operations {
		if !ofOne || scenarios.LoadOperations[o] == name {
			all.addSeconds(m.figures.kinds[o].slices)
		}
	}
	return all.slices, true
}

// IsResponseTime says whether a metric is the response time of one operation, or
// of all.
func IsResponseTime(metric string) bool {
	return metric == responseTime || strings.HasSuffix(metric, "."+responseTime)
}

const responseTime = "response_time"

// denseTimes are response times second by second, in numbered cells.
type denseTimes struct {
	cells   []int32
	seconds [][]counted
	sum     []uint64
}

func newDenseTimes(seconds []slice) denseTimes {
	d := denseTimes{}
	d.cells, d.seconds = denseSlices(seconds)
	d.sum = make([]uint64, len(d.cells))
	return d
}

// value is what a threshold looks at in the drawn seconds, in milliseconds;
// false: there is no time in them.
func (d *denseTimes) value(t *scenarios.Threshold, drawn []int) (float64, bool) {
	clear(d.sum)
	for _, second := range drawn {
		if second >= len(d.seconds) {
			continue // nothing of this operation was due so late
		}
		for _, c := range d.seconds[second] {
			d.sum[c.cell] += uint64(c.count)
		}
	}
	at, ok := d.place(t)
	switch {
	case !ok:
		return 0, false
	case t.Method == "avg":
		return d.mean(), true
	}
	return milliseconds(cellTop(d.cells[at])), true
}

// place is the cell that a threshold's method picks.
func (d *denseTimes) place(t *scenarios.Threshold) (int, bool) {
	some := func(n uint64) bool { return n > 0 }
	switch t.Method {
	case "max":
		for i := range slices.Backward(d.sum) {
			if some(d.sum[i]) {
				return i, true
			}
		}
		return 0, false
	case "p":
		return quantileOf(d.sum, t.Quantile/100)
	case "med":
		return quantileOf(d.sum, .5)
	}
	at := slices.IndexFunc(d.sum, some)
	return at, at >= 0
}

func (d *denseTimes) mean() float64 {
	times, weights := make([]float64, len(d.cells)), make([]float64, len(d.cells))
	for i, cell := range d.cells {
		times[i], weights[i] = float64(cellTop(cell))/float64(time.Millisecond), float64(d.sum[i])
	}
	return stat.Mean(times, weights)
}
