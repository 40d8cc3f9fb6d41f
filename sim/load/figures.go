package load

import (
	"fmt"
	"math/bits"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Histograms go from a nanosecond to an hour with three significant digits: a
// value is known within 0.1 %.
const (
	longest     = int64(time.Hour)
	significant = 3
)

// figures gathers rows of one phase, from many goroutines.
type figures struct {
	from  time.Duration // rows that are due earlier belong to the first second
	mu    sync.Mutex
	kinds [operations]kind
}

// kind is the rows of one operation. Failed ones are counted and have no place
// in the histograms: a refusal is quick. Those without an answer have one, with
// the time for which it was waited.
type kind struct {
	outcomes               [Unknown + 1]uint64
	response, service, lag *hdrhistogram.Histogram
	slices                 []slice // of the response time, by the second in which it was due
	serviceSlices          []slice // of the service time, by the same
}

// slice is how many times of one second fell into each cell.
type slice map[int32]uint32

func newFigures(from time.Duration) *figures {
	f := &figures{from: from}
	for i := range f.kinds {
		f.kinds[i] = *newKind()
	}
	return f
}

func newKind() *kind {
	return &kind{response: newHistogram(), service: newHistogram(), lag: newHistogram()}
}

func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, longest, significant) }

func (f *figures) add(r *Row) {
	f.mu.Lock()
	defer f.mu.Unlock()
	k := &f.kinds[r.Operation]
	k.outcomes[r.Outcome]++
	record(k.lag, r.Lag())
	if r.Outcome == Failed {
		return
	}
	record(k.response, r.Response())
	record(k.service, r.Service())
	second := max(0, int((r.Due-f.from)/time.Second))
	for second >= len(k.slices) {
		k.slices = append(k.slices, slice{})
		k.serviceSlices = append(k.serviceSlices, slice{})
	}
	k.slices[second][cellOf(r.Response())]++
	k.serviceSlices[second][cellOf(r.Service())]++
}

// lost counts beacons that were sent and never came: nothing was measured of
// them but that.
func (f *figures) lost(n uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kinds[Beacon].outcomes[Unknown] += n
}

// median of the response times of one operation; false without a sample.
func (f *figures) median(o Operation) (time.Duration, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	h := f.kinds[o].response
	return time.Duration(h.ValueAtQuantile(50)), h.TotalCount() > 0
}

// failed is how many of one operation were answered otherwise, or refused.
func (f *figures) failed(o Operation) uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.kinds[o].outcomes[Failed]
}

// record takes d, cut to what the histogram reaches.
func record(h *hdrhistogram.Histogram, d time.Duration) {
	if err := h.RecordValue(min(max(int64(d), 0), longest)); err != nil {
		panic(fmt.Sprintf("load: %v is not 0 to %v: %v", d, time.Duration(longest), err))
	}
}

// cellBits divides each doubling into so many cells, as a power of two: 128, so
// that a cell is no wider than 0.8 % of its value.
const cellBits = 7

func cellOf(d time.Duration) int32 {
	v := uint64(max(0, d))
	e := max(0, bits.Len64(v)-cellBits-1)
	return int32(e<<cellBits) + int32(v>>e)
}

// cellTop is the largest value of a cell.
func cellTop(cell int32) time.Duration {
	if cell < 2<<cellBits {
		return time.Duration(cell)
	}
	e := cell>>cellBits - 1
	v := int64(cell&(1<<cellBits-1)|1<<cellBits) + 1
	return time.Duration(v<<e - 1)
}
