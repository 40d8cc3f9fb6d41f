package load

import (
	"fmt"
	"sync"
	"time"

	"bluetrace/reports"
	"bluetrace/reports/stats"
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
type Outcome = reports.Outcome

// The outcomes.
const (
	OK      = reports.OutcomeOK      // the expected answer came
	Failed  = reports.OutcomeFailed  // another answer came, or the connection was refused
	Unknown = reports.OutcomeUnknown // no answer came: the server may have done it or not

	stillOpen = Unknown + 1 // of a session only: it was in progress when the run ended
)

// Row holds the times of one operation.
type Row struct {
	Operation Operation
	Outcome   Outcome
	// NotSent is set if there was no connection for it: the server refused the
	// connection, or had closed it before.
	NotSent bool
	// Waited is set if no answer came within the timeout.
	Waited bool
	// Lost is set for a beacon that did not arrive. Only Rows gets it, and Done has no meaning.
	Lost bool
	// Due is the time at which it should have been sent. Ready is the time at which
	// its preconditions were met, at Due or later; it cannot be sent before. Done is
	// the time of the answer, or of the timeout.
	Due, Ready, Sent, Done time.Duration
}

// Response returns the response time, from Due to Done.
func (r *Row) Response() time.Duration { return r.Done - r.Due }

// Service returns the service time, from Sent to Done. A closed loop measures it.
func (r *Row) Service() time.Duration { return r.Done - r.Sent }

// timed reports whether the times of the operation are measured. A refusal is quick,
// and an operation whose connection broke waited for nothing.
func (r *Row) timed() bool { return r.Outcome == OK || r.Waited }

// Lag returns the delay that the generator itself caused. It has no meaning if NotSent
// is set.
func (r *Row) Lag() time.Duration { return r.Sent - max(r.Due, r.Ready) }

// figures collects the rows of one phase, from many goroutines.
type figures struct {
	from  time.Duration // rows that are due before it belong to the first second
	mu    sync.Mutex
	kinds [operations]kind
	// notOK counts the operations of each second by their outcome, without those that
	// are OK and without lost beacons.
	notOK [][Unknown + 1]uint32
	// lagSeconds has the lags of all operations by the second in which they were due.
	lagSeconds []stats.Second
}

// kind collects the rows of one operation. An operation that failed, or whose
// connection broke, is only counted. An operation without an answer within the timeout
// is in the histograms with the time until then.
type kind struct {
	outcomes               [Unknown + 1]uint64
	response, service, lag stats.Histogram
	responseSeconds        []stats.Second // by the second in which the operation was due
	serviceSeconds         []stats.Second // by the same second
}

func newFigures(from time.Duration) *figures { return &figures{from: from} }

func (f *figures) add(r *Row) {
	f.mu.Lock()
	defer f.mu.Unlock()
	k := &f.kinds[r.Operation]
	k.outcomes[r.Outcome]++
	second := max(0, int((r.Due-f.from)/time.Second))
	if !r.NotSent {
		k.lag.Record(int64(r.Lag()))
		f.lagSeconds = grown(f.lagSeconds, second)
		f.lagSeconds[second][stats.CellOf(int64(r.Lag()))]++
	}
	if r.Outcome != OK {
		f.notOK = lengthened(f.notOK, second)
		f.notOK[second][r.Outcome]++
	}
	if !r.timed() {
		return
	}
	k.response.Record(int64(r.Response()))
	k.service.Record(int64(r.Service()))
	k.responseSeconds = grown(k.responseSeconds, second)
	k.serviceSeconds = grown(k.serviceSeconds, second)
	k.responseSeconds[second][stats.CellOf(int64(r.Response()))]++
	k.serviceSeconds[second][stats.CellOf(int64(r.Service()))]++
}

// grown returns seconds with at least the given index.
func grown(seconds []stats.Second, index int) []stats.Second {
	for index >= len(seconds) {
		seconds = append(seconds, stats.Second{})
	}
	return seconds
}

// lengthened returns a list with at least the given index. New elements are zero values.
func lengthened[S ~[]E, E any](list S, index int) S {
	for index >= len(list) {
		list = append(list, *new(E))
	}
	return list
}

// addLost counts beacons that did not arrive. They have no times.
func (f *figures) addLost(n uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kinds[Beacon].outcomes[Unknown] += n
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
	return &kind{outcomes: k.outcomes, response: k.response.Clone(), service: k.service.Clone(), lag: k.lag.Clone()}
}

// lag returns the p99 of the schedule lag of all operations so far.
func (f *figures) lag() time.Duration {
	var all stats.Histogram
	for o := range operations {
		if k := f.copied(o); k != nil {
			all.Merge(&k.lag)
		}
	}
	return time.Duration(stats.Quantile(all.HDR(), 99))
}

// responses returns the response times of all operations second by second.
func (f *figures) responses() []stats.Second {
	return f.seconds(func(k *kind) []stats.Second { return k.responseSeconds })
}

// seconds returns the times of all operations second by second. The function of selects those of one operation.
func (f *figures) seconds(of func(*kind) []stats.Second) []stats.Second {
	var all kind
	for o := range operations {
		all.addSeconds(of(&f.kinds[o]))
	}
	return all.responseSeconds
}

// histograms returns the times of every operation second by second.
func (f *figures) histograms() *reports.Histograms {
	out := &reports.Histograms{Schema: stats.Schema, Operations: []reports.OperationHistograms{}}
	for o := range operations {
		if k := &f.kinds[o]; len(k.responseSeconds) > 0 {
			out.Operations = append(out.Operations, reports.OperationHistograms{
				Name:     scenarios.LoadOperations[o],
				Response: encode(k.responseSeconds), Service: encode(k.serviceSeconds),
			})
		}
	}
	return out
}

func encode(seconds []stats.Second) []string {
	out := make([]string, 0, len(seconds))
	for _, s := range seconds {
		text, err := stats.EncodeSecond(s.Bins())
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
	k.response.Merge(&more.response)
	k.service.Merge(&more.service)
	k.lag.Merge(&more.lag)
	k.addSeconds(more.responseSeconds)
}

// addSeconds adds response times second by second.
func (k *kind) addSeconds(more []stats.Second) {
	for i, s := range more {
		k.responseSeconds = grown(k.responseSeconds, i)
		for cell, n := range s {
			k.responseSeconds[i][cell] += n
		}
	}
}
