package load

import (
	"sync"
	"time"

	"bluetrace/reports/stats"
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
	response, service, lag stats.Histogram
	responseSeconds        []stats.Second // by the second in which the operation was due
	serviceSeconds         []stats.Second // by the same
}

func newFigures(from time.Duration) *figures {
	return &figures{from: from}
}

func (f *figures) add(r *Row) {
	f.mu.Lock()
	defer f.mu.Unlock()
	k := &f.kinds[r.Operation]
	k.outcomes[r.Outcome]++
	k.lag.Record(int64(r.Lag()))
	if r.Outcome == Failed {
		return
	}
	k.response.Record(int64(r.Response()))
	k.service.Record(int64(r.Service()))
	second := max(0, int((r.Due-f.from)/time.Second))
	for second >= len(k.responseSeconds) {
		k.responseSeconds = append(k.responseSeconds, stats.Second{})
		k.serviceSeconds = append(k.serviceSeconds, stats.Second{})
	}
	k.responseSeconds[second][stats.CellOf(int64(r.Response()))]++
	k.serviceSeconds[second][stats.CellOf(int64(r.Service()))]++
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
	h := f.kinds[o].response.HDR()
	return time.Duration(h.ValueAtQuantile(50)), h.TotalCount() > 0
}

// failed is how many of one operation were answered otherwise, or refused.
func (f *figures) failed(o Operation) uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.kinds[o].outcomes[Failed]
}
