package load

import (
	"fmt"
	"math/bits"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"bluetrace/reports"
	"bluetrace/scenarios"
)

// Operation is a kind of operation that is measured.
type Operation int

// The operations, in the order of scenarios.LoadOperations.
const (
	Connect Operation = iota
	Login
	TempID
	Beacon
	Upload
	Logout
	operations
)

// Outcome is the outcome of an operation.
type Outcome int

// The outcomes.
const (
	OK      Outcome = iota // the expected answer came
	Failed                 // another answer came, or the connection was refused
	Unknown                // no answer came: the server may have done it or not
)

// Row holds the times of one operation.
type Row struct {
	Operation Operation
	Outcome   Outcome
	// Due is the time at which it should have been sent. Ready is the time at which
	// its preconditions were met, at Due or later; it cannot be sent before. Done is
	// the time of the answer, or of the timeout.
	Due, Ready, Sent, Done time.Duration
}

// Response returns the response time, from Due to Done.
func (r *Row) Response() time.Duration { return r.Done - r.Due }

// Service returns the service time, from Sent to Done. A closed loop measures it.
func (r *Row) Service() time.Duration { return r.Done - r.Sent }

// Lag returns the delay that the generator itself caused.
func (r *Row) Lag() time.Duration { return r.Sent - max(r.Due, r.Ready) }

// add measures a row.
func (e *engine) add(r *Row, measured bool) {
	f := e.warm
	if measured {
		f = e.measured
	}
	f.add(r)
	outcome := [...]reports.Outcome{
		OK: reports.OutcomeOK, Failed: reports.OutcomeFailed, Unknown: reports.OutcomeUnknown,
	}[r.Outcome]
	e.meters[phaseIndex(measured)][r.Operation].Done(outcome, r.Response(), r.Service(), r.Lag())
}

// Histograms reach from a nanosecond to an hour, with three significant digits: a
// value is known within 0.1 %.
const (
	maxTime           = int64(time.Hour)
	significantDigits = 3
)

// figures collects the rows of one phase, from many goroutines.
type figures struct {
	from  time.Duration // rows that are due before it belong to the first second
	mu    sync.Mutex
	kinds [operations]kind
}

// kind collects the rows of one operation. Those that failed are only counted,
// since a refusal is quick. Those without an answer are in the histograms with the
// time until the timeout.
type kind struct {
	outcomes               [Unknown + 1]uint64
	response, service, lag *hdrhistogram.Histogram
	slices                 []slice // response times by the second in which they were due
	serviceSlices          []slice // service times by the same second
}

// slice counts the times of one second by cell.
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

func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, maxTime, significantDigits) }

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

// addLost counts beacons that did not arrive. They have no times.
func (f *figures) addLost(n uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kinds[Beacon].outcomes[Unknown] += n
}

// median returns the median response time of one operation, or false if there is no
// sample.
func (f *figures) median(o Operation) (time.Duration, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	h := f.kinds[o].response
	return time.Duration(h.ValueAtQuantile(50)), h.TotalCount() > 0
}

// failed returns the number of operations of a kind that failed.
func (f *figures) failed(o Operation) uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.kinds[o].outcomes[Failed]
}

// copied returns a copy of the figures of one operation, without its seconds, or nil
// if there are none. It holds the lock only for the copy, since sessions wait for it.
func (f *figures) copied(o Operation) *kind {
	f.mu.Lock()
	defer f.mu.Unlock()
	k := &f.kinds[o]
	if k.isEmpty() {
		return nil
	}
	c := &kind{outcomes: k.outcomes}
	c.response, c.service, c.lag = k.response.Clone(), k.service.Clone(), k.lag.Clone()
	return c
}

// lag returns the p99 of the schedule lag of all operations so far.
func (f *figures) lag() time.Duration {
	all := newHistogram()
	for o := range operations {
		if k := f.copied(o); k != nil {
			all.Merge(k.lag)
		}
	}
	return time.Duration(all.ValueAtQuantile(99))
}

// responseSlices returns the response times of all operations second by second.
func (f *figures) responseSlices() []slice {
	var all kind
	for o := range operations {
		all.addSlices(f.kinds[o].slices)
	}
	return all.slices
}

// histograms returns the times of every operation second by second.
func (f *figures) histograms() *reports.Histograms {
	out := &reports.Histograms{Schema: reports.SecondsSchema, Operations: []reports.OperationHistograms{}}
	for o := range operations {
		if k := &f.kinds[o]; len(k.slices) > 0 {
			out.Operations = append(out.Operations, reports.OperationHistograms{
				Name: scenarios.LoadOperations[o], Response: encode(k.slices), Service: encode(k.serviceSlices),
			})
		}
	}
	return out
}

func encode(seconds []slice) []string {
	out := make([]string, 0, len(seconds))
	for _, s := range seconds {
		samples := make(map[int64]uint64, len(s))
		for c, n := range s {
			samples[int64(cellTop(c))] += uint64(n)
		}
		text, err := reports.EncodeSecond(samples)
		if err != nil {
			panic(fmt.Sprintf("load: a second of %d cells: %v", len(s), err))
		}
		out = append(out, text)
	}
	return out
}

func (k *kind) isEmpty() bool { return k.outcomes == [Unknown + 1]uint64{} }

// merge adds the rows of another kind, exactly.
func (k *kind) merge(more *kind) {
	for i, n := range more.outcomes {
		k.outcomes[i] += n
	}
	k.response.Merge(more.response)
	k.service.Merge(more.service)
	k.lag.Merge(more.lag)
	k.addSlices(more.slices)
}

// addSlices adds response times second by second.
func (k *kind) addSlices(more []slice) {
	for i, s := range more {
		if i == len(k.slices) {
			k.slices = append(k.slices, slice{})
		}
		for cell, n := range s {
			k.slices[i][cell] += n
		}
	}
}

// record adds a time, limited to the range of the histogram.
func record(h *hdrhistogram.Histogram, d time.Duration) {
	if err := h.RecordValue(min(max(int64(d), 0), maxTime)); err != nil {
		panic(fmt.Sprintf("load: %v is not 0 to %v: %v", d, time.Duration(maxTime), err))
	}
}

// cellBits divides each doubling into 128 cells, so that a cell is no wider than
// 0.8 % of its value.
const cellBits = 7

func cellOf(d time.Duration) int32 {
	v := uint64(max(0, d))
	e := max(0, bits.Len64(v)-cellBits-1)
	return int32(e<<cellBits) + int32(v>>e)
}

// cellTop returns the largest time of a cell.
func cellTop(cell int32) time.Duration {
	if cell < 2<<cellBits {
		return time.Duration(cell)
	}
	e := cell>>cellBits - 1
	v := int64(cell&(1<<cellBits-1)|1<<cellBits) + 1
	return time.Duration(v<<e - 1)
}
