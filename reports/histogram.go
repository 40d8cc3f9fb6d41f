package reports

import (
	"iter"
	"math"
	"math/bits"
	"sort"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// nativeSchema makes eight native buckets for each doubling: a bucket's bounds
// differ by the factor 2^(1/8), about 1.09.
const nativeSchema = 3

// delayBounds are the upper bounds of the classic buckets, in seconds.
func delayBounds() []float64 {
	return []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
}

// delayMetric is a finished delay histogram with classic and native buckets.
type delayMetric struct {
	desc      *prometheus.Desc
	labels    []*dto.LabelPair
	histogram *dto.Histogram
}

// newDelayMetric converts h, whose values are nanoseconds, to seconds, with classic
// buckets at these bounds.
//
// The error of the conversion: h knows of a sample only the cell it fell into,
// [from, to], no wider than from/1000 when h has three digits. Every sample is
// placed at its cell's lower end. So a sample that is exactly at a bucket's
// upper bound counts as at or below it, as it should (a constant delay often
// is), no bucket's cumulative count is ever too low, and it is too high by at
// most the samples of the one cell that the bound cuts: those no more than
// 0.1 % above it. The sum is made from the middles of the cells and is within
// 0.05 % of the truth (three digits). The count is exact.
func newDelayMetric(bounds []float64, desc *prometheus.Desc, h *hdrhistogram.Histogram, labels ...string) (*delayMetric, error) {
	classic := make(map[float64]uint64, len(bounds))
	native := map[int]int64{}
	below := make([]uint64, len(bounds)+1) // by classic bucket
	zero, sum := uint64(0), 0.0
	next := 0
	for c := range cellsOf(h) {
		seconds := float64(c.from) / float64(time.Second)
		for next < len(bounds) && bounds[next] < seconds {
			next++
		}
		below[next] += uint64(c.count)
		sum += float64(c.middle) / float64(time.Second) * float64(c.count)
		if seconds <= prometheus.DefNativeHistogramZeroThreshold {
			zero += uint64(c.count)
		} else {
			native[nativeBucket(seconds)] += c.count
		}
	}
	cumulative := uint64(0)
	for k, bound := range bounds {
		cumulative += below[k]
		classic[bound] = cumulative
	}
	return combine(desc, uint64(h.TotalCount()), sum, classic, native, zero, labels)
}

// hdrCell is a cell of an HDR histogram with samples in it, in nanoseconds.
type hdrCell struct{ from, middle, count int64 }

// cellsOf are the cells of h that hold samples, from the least on. The library's
// own Distribution takes milliseconds, too long for a run that is looked at
// while it goes on.
func cellsOf(h *hdrhistogram.Histogram) iter.Seq[hdrCell] {
	s := h.Export()
	// The layout of HdrHistogram: the cells of the first bucket are as wide as the
	// unit, in each one after it there are half as many, twice as wide.
	unit := bits.Len64(uint64(s.LowestTrackableValue)) - 1
	half := bits.Len64(uint64(2*math.Pow10(int(s.SignificantFigures)))-1) - 1
	return func(yield func(hdrCell) bool) {
		for i, n := range s.Counts {
			if n == 0 {
				continue
			}
			bucket, part := max(0, i>>half-1), i
			if i>>half > 0 {
				part = i&(1<<half-1) + 1<<half
			}
			width := int64(1) << (bucket + unit)
			from := int64(part) << (bucket + unit)
			if !yield(hdrCell{from, from + width/2, n}) {
				return
			}
		}
	}
}

// combine lets the library build both forms and joins them in one metric, as
// a prometheus.Histogram with both kinds of buckets shows itself.
func combine(desc *prometheus.Desc, count uint64, sum float64, classic map[float64]uint64, native map[int]int64, zero uint64, labels []string) (*delayMetric, error) {
	c, err := prometheus.NewConstHistogram(desc, count, sum, classic, labels...)
	if err != nil {
		return nil, err
	}
	n, err := prometheus.NewConstNativeHistogram(desc, count, sum, native, nil, zero, nativeSchema,
		prometheus.DefNativeHistogramZeroThreshold, time.Time{}, labels...)
	if err != nil {
		return nil, err
	}
	var withClassic, withNative dto.Metric
	if err := c.Write(&withClassic); err != nil {
		return nil, err
	}
	if err := n.Write(&withNative); err != nil {
		return nil, err
	}
	h := withNative.Histogram
	h.Bucket = withClassic.Histogram.Bucket
	h.CreatedTimestamp = nil
	return &delayMetric{desc: desc, labels: withClassic.Label, histogram: h}, nil
}

// nativeBucket is the index of the native bucket of a positive value: bucket i
// holds what is above 2^((i-1)/8) and at most 2^(i/8).
func nativeBucket(seconds float64) int {
	bounds := nativeFractions()
	fraction, exponent := math.Frexp(seconds)
	return sort.SearchFloat64s(bounds[:], fraction) + (exponent-1)*len(bounds)
}

// nativeFractions are 2^(i/8) for i from -8 to -1.
func nativeFractions() [1 << nativeSchema]float64 {
	return [...]float64{
		0.5, 0.5452538663326288, 0.5946035575013605, 0.6484197773255048,
		0.7071067811865475, 0.7711054127039704, 0.8408964152537144, 0.9170040432046711,
	}
}

// as is the same histogram under another name.
func (m *delayMetric) as(desc *prometheus.Desc) *delayMetric {
	return &delayMetric{desc: desc, labels: m.labels, histogram: m.histogram}
}

func (m *delayMetric) Desc() *prometheus.Desc { return m.desc }

func (m *delayMetric) Write(out *dto.Metric) error {
	out.Label = append([]*dto.LabelPair(nil), m.labels...)
	out.Histogram = m.histogram
	return nil
}
