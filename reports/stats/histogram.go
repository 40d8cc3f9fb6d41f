// Package stats holds the statistics that runs, reports and comparisons share:
// one histogram of durations, the histograms of a load second by second, and
// the block bootstrap over those seconds.
package stats

import (
	"encoding/json"
	"fmt"
	"iter"
	"math"
	"math/bits"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Histogram counts durations with three significant digits, from 0 to 24
// hours. The zero value is empty. It is not safe for concurrent use.
//
// The HDR histogram takes 300 KiB, more than everything else of a short run,
// and most runs of a swarm never read it. It is therefore made from the first
// values only when there are many of them, or when it is read.
type Histogram struct {
	first []int64
	all   *hdrhistogram.Histogram // nil until it is needed
}

const (
	longest     = int64(24 * time.Hour)
	digits      = 3
	firstValues = 1 << 13
)

// Record adds a duration in nanoseconds. A value outside 0 to 24 hours counts
// as the nearest end.
func (h *Histogram) Record(ns int64) {
	ns = min(max(ns, 0), longest)
	if h.all == nil && len(h.first) < firstValues {
		h.first = append(h.first, ns)
		return
	}
	record(h.HDR(), ns)
}

func record(all *hdrhistogram.Histogram, ns int64) {
	if err := all.RecordValue(ns); err != nil {
		panic(fmt.Sprintf("stats: a duration of %d ns is outside 0 to %d: %v", ns, longest, err))
	}
}

// Count returns the number of recorded durations.
func (h *Histogram) Count() int64 {
	if h.all != nil {
		return h.all.TotalCount()
	}
	return int64(len(h.first))
}

// HDR returns the histogram of all recorded durations, in nanoseconds. Later
// calls of Record change it.
func (h *Histogram) HDR() *hdrhistogram.Histogram {
	if h.all == nil {
		h.all = hdrhistogram.New(1, longest, digits)
		for _, ns := range h.first {
			record(h.all, ns)
		}
		h.first = nil
	}
	return h.all
}

// Clone returns an independent copy.
func (h *Histogram) Clone() Histogram {
	c := Histogram{first: append([]int64(nil), h.first...)}
	if h.all != nil {
		c.all = h.all.Clone()
	}
	return c
}

// Merge adds the durations of another histogram, without loss.
func (h *Histogram) Merge(other *Histogram) {
	if other.all != nil {
		h.HDR().Merge(other.all)
		return
	}
	for _, ns := range other.first {
		h.Record(ns)
	}
}

// MarshalJSON returns the cells that hold samples: pairs of the least duration of a cell, in nanoseconds, and its count.
func (h Histogram) MarshalJSON() ([]byte, error) {
	pairs := [][2]int64{}
	if h.Count() > 0 {
		c := h.Clone()
		for b := range Bars(c.HDR()) {
			pairs = append(pairs, [2]int64{b.Low, b.Count})
		}
	}
	return json.Marshal(pairs)
}

// UnmarshalJSON adds the samples of a text of MarshalJSON, in the same cells.
func (h *Histogram) UnmarshalJSON(text []byte) error {
	var pairs [][2]int64
	if err := json.Unmarshal(text, &pairs); err != nil {
		return err
	}
	for _, p := range pairs {
		if p[0] < 0 || p[0] > longest || p[1] < 1 {
			return fmt.Errorf("invalid cell of %d samples at %d ns", p[1], p[0])
		}
		if err := h.HDR().RecordValues(p[0], p[1]); err != nil {
			return fmt.Errorf("reading %d samples of %d ns: %w", p[1], p[0], err)
		}
	}
	return nil
}

// Quantile returns the least duration that at least percent of the samples do not exceed, within the width of its cell,
// in nanoseconds; 0 without a sample. The library alone rounds the rank to the nearest sample, so that more than one in a
// hundred samples may exceed its p99. The argument percent is from 0 to 100.
func Quantile(h *hdrhistogram.Histogram, percent float64) int64 {
	n := float64(h.TotalCount())
	if n == 0 {
		return 0
	}
	rank := math.Ceil(percent / 100 * n * (1 - 1e-12)) // the last factor absorbs rounding
	return h.ValueAtQuantile(100 * max(rank, 1) / n)
}

// Bar is a cell of an HDR histogram with its number of samples, in nanoseconds.
type Bar struct{ Low, Middle, Count int64 }

// Bars yields the cells of an HDR histogram that hold samples, from the lowest
// on. The library's own Distribution takes milliseconds, which is too slow for
// metrics that are read during a run.
func Bars(h *hdrhistogram.Histogram) iter.Seq[Bar] { return BarsSince(h, nil) }

// BarsSince yields the cells with the samples that h has and before, an earlier state of it, had not. The argument
// before may be nil.
func BarsSince(h, before *hdrhistogram.Histogram) iter.Seq[Bar] {
	s := h.Export()
	if before != nil {
		for i, n := range before.Export().Counts {
			s.Counts[i] -= n
		}
	}
	// In the layout of HdrHistogram the cells of the first bucket are as wide as the
	// unit. Each later bucket has half as many cells, twice as wide.
	unit := bits.Len64(uint64(s.LowestTrackableValue)) - 1
	half := bits.Len64(uint64(2*math.Pow10(int(s.SignificantFigures)))-1) - 1
	return func(yield func(Bar) bool) {
		for i, n := range s.Counts {
			if n == 0 {
				continue
			}
			bucket, part := max(0, i>>half-1), i
			if i>>half > 0 {
				part = i&(1<<half-1) + 1<<half
			}
			width := int64(1) << (bucket + unit)
			low := int64(part) << (bucket + unit)
			if !yield(Bar{low, low + width/2, n}) {
				return
			}
		}
	}
}
