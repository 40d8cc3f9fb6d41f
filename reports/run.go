// Package reports turns the results of runs into documents: text, JSON, JUnit
// and OpenMetrics. It knows no engine: rows and counts come in, documents go
// out.
package reports

import (
	"math"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"bluetrace/reports/counts"
)

// Verdict of a run, or of one check.
type Verdict string

// The verdicts.
const (
	Passed      Verdict = "passed"
	Failed      Verdict = "failed"
	Interrupted Verdict = "interrupted" // stopped before its end: what was not decided is unknown
	Unknown     Verdict = "unknown"     // of a check: the run ended before it was decided
	Invalid     Verdict = "invalid"     // of a load run: the generator was the bottleneck; see Load.Invalid
	NotRun      Verdict = "not run"     // of a run: it could not be done; see Run.Error
)

// The worlds that a run may be in.
const (
	Virtual = "virtual"
	Live    = "live" // real sockets and a real clock
)

// Run is what one scenario came to. Its JSON form is stable: names are only
// ever added.
type Run struct {
	Scenario string `json:"scenario"`
	File     string `json:"file"`
	About    string `json:"about,omitempty"`
	World    string `json:"world"` // Virtual or Live
	Seed     uint64 `json:"seed"`
	// Digest is of the ordered events, 16 hexadecimal digits; empty of a live run,
	// which never comes out the same twice.
	Digest  string  `json:"digest,omitempty"`
	Verdict Verdict `json:"verdict"`
	// Repeat is the command that repeats the run.
	Repeat string `json:"repeat"`

	VirtualSeconds float64 `json:"virtual_seconds"` // of the run's own time, also of a live one
	WallSeconds    float64 `json:"wall_seconds"`
	Events         uint64  `json:"events"`
	Phones         int     `json:"phones"`
	PeakRSSBytes   int64   `json:"peak_rss_bytes"`

	counts.Counts

	// Faults counts what the faults of the run did, by kind, in the order of the
	// kinds' names; Adversaries, how often each kind of adversary acted.
	Faults      []KindCount `json:"faults,omitempty"`
	Adversaries []KindCount `json:"adversaries,omitempty"`

	// Operations are the delays, in the order of their names: beacon, login,
	// logout, tempid, upload. One without a sample is left out.
	Operations []Operation `json:"operations"`

	Checks []Check `json:"checks"`

	// Load is what a load run measured; missing of any other. Then the counts and
	// operations above are empty.
	Load *Load `json:"load,omitempty"`

	// Plots are the names of the files with the run's pictures, beside its other
	// reports.
	Plots []string `json:"plots,omitempty"`

	// Notes are things that the user should know about the run: odd lines of a
	// trace, names that were not used.
	Notes []string `json:"notes,omitempty"`

	// Error is why a run could not be done (its Verdict is NotRun). Only the
	// JUnit document shows such a run.
	Error string `json:"-"`
}

// KindCount is a count of things of one kind.
type KindCount struct {
	Kind  string `json:"kind"`
	Count uint64 `json:"count"`
}

// Operation is the delay of one kind of operation. The quantiles in the JSON
// document are made from Histogram, whose values are nanoseconds.
type Operation struct {
	Name      string                  `json:"name"`
	Histogram *hdrhistogram.Histogram `json:"-"`
}

// CheckKind says where a check came from.
type CheckKind string

// The kinds of checks.
const (
	ExpectationCheck CheckKind = "expectation"
	ThresholdCheck   CheckKind = "threshold"
	InvariantCheck   CheckKind = "invariant"
)

// Check is one thing that had to hold.
type Check struct {
	Kind    CheckKind `json:"kind"`
	Name    string    `json:"name"`            // one line: the expectation as it stands in the file, the invariant's name
	Place   string    `json:"place,omitempty"` // file:line:column; none for an invariant
	Verdict Verdict   `json:"verdict"`
	// Evaluations says how often it was looked at (an invariant: at how many events).
	Evaluations uint64 `json:"times"`
	Expected    string `json:"expected,omitempty"` // of a failure
	Found       string `json:"found,omitempty"`
	// AtSeconds is the virtual time of the failure, from the start of the run.
	AtSeconds *float64 `json:"at_seconds,omitempty"`
	// LastEvents are the last events before the failure, one line each.
	LastEvents []string `json:"around,omitempty"`
}

// Delays sums up one operation, in milliseconds. The values are those of an
// HDR histogram: a quantile or the maximum is the largest value that the
// histogram cannot tell from the true one, the minimum the smallest, so with
// three digits each is within 0.1 % of the truth.
type Delays struct {
	Min  float64 `json:"min"`
	Mean float64 `json:"mean"`
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P95  float64 `json:"p95"`
	P99  float64 `json:"p99"`
	Max  float64 `json:"max"`
}

// Count is the number of samples.
func (o Operation) Count() int64 {
	if o.Histogram == nil {
		return 0
	}
	return o.Histogram.TotalCount()
}

// Delays of the operation; all zero without a sample.
func (o Operation) Delays() Delays {
	if o.Count() == 0 {
		return Delays{}
	}
	h := o.Histogram
	q := h.ValueAtPercentilesSlice([]float64{50, 90, 95, 99})
	return Delays{
		Min: milliseconds(float64(h.Min())), Mean: milliseconds(h.Mean()),
		P50: milliseconds(float64(q[0])), P90: milliseconds(float64(q[1])),
		P95: milliseconds(float64(q[2])), P99: milliseconds(float64(q[3])),
		Max: milliseconds(float64(h.Max())),
	}
}

func milliseconds(nanoseconds float64) float64 {
	return nanoseconds / float64(time.Millisecond)
}

// Throughput is derived from a run's counts and its two times. A rate over no
// time is 0.
type Throughput struct {
	BeaconsPerVirtualSecond float64 `json:"beacons_per_virtual_second"` // delivered
	BeaconsPerWallSecond    float64 `json:"beacons_per_wall_second"`    // delivered
	EventsPerWallSecond     float64 `json:"events_per_wall_second"`
	// VirtualPerWall is how many times faster than life the run was.
	VirtualPerWall float64 `json:"virtual_per_wall"`
}

// Throughput of the run.
func (r *Run) Throughput() Throughput {
	return Throughput{
		BeaconsPerVirtualSecond: ratio(float64(r.Beacons.Delivered), r.VirtualSeconds),
		BeaconsPerWallSecond:    ratio(float64(r.Beacons.Delivered), r.WallSeconds),
		EventsPerWallSecond:     ratio(float64(r.Events), r.WallSeconds),
		VirtualPerWall:          ratio(r.VirtualSeconds, r.WallSeconds),
	}
}

func ratio(a, b float64) float64 {
	if b <= 0 {
		return 0
	}
	return finite(a / b)
}

// finite is x, or 0 when x is no number that JSON can write.
func finite(x float64) float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return 0
	}
	return x
}
