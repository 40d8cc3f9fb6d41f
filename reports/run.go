// Package reports writes the results of runs as text, JSON, JUnit and OpenMetrics.
// It depends on no world: its input is counts, checks and histograms.
package reports

import (
	"fmt"
	"math"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"bluetrace/reports/counts"
	"bluetrace/reports/stats"
)

// Verdict is the outcome of a run or of one check.
type Verdict string

// The verdicts.
const (
	Passed      Verdict = "passed"
	Failed      Verdict = "failed"
	Interrupted Verdict = "interrupted" // a run stopped before its end; its undecided checks are Unknown
	Unknown     Verdict = "unknown"     // the run ended before the check was decided
	Skipped     Verdict = "skipped"     // a step that did not take place because another step failed; the run fails
	Invalid     Verdict = "invalid"     // the generator of a load was the bottleneck; see Load.Invalid
	NotRun      Verdict = "not run"     // the run could not start; see Run.Error
	// NotExercised stands in reports for Passed, for an invariant that was never evaluated.
	NotExercised Verdict = "not exercised"
)

// The worlds of a run.
const (
	Virtual = "virtual"
	Live    = "live" // real sockets and a real clock
)

// Run is the result of one run of a scenario. Its JSON form is stable: a later
// version only adds names.
type Run struct {
	Scenario string `json:"scenario"`
	File     string `json:"file"`
	About    string `json:"about,omitempty"`
	World    string `json:"world"` // Virtual or Live
	Seed     uint64 `json:"seed"`
	// Digest is a hash of the ordered events in 16 hexadecimal digits. It is empty
	// for a live run, which is not deterministic.
	Digest  string  `json:"digest,omitempty"`
	Verdict Verdict `json:"verdict"`
	// Repeat is the command that repeats the run.
	Repeat string `json:"repeat"`

	VirtualSeconds float64 `json:"virtual_seconds"` // time of the world; of a live run, real time
	WallSeconds    float64 `json:"wall_seconds"`
	Events         uint64  `json:"events"`
	Phones         int     `json:"phones"`
	PeakRSSBytes   int64   `json:"peak_rss_bytes"`

	counts.Counts

	// Faults counts the effects of the faults by kind, in the order of the names.
	Faults []KindCount `json:"faults,omitempty"`
	// Adversaries counts the actions of the adversaries by kind.
	Adversaries []KindCount `json:"adversaries,omitempty"`

	// Operations are the delays in the order of the names: beacon, login, logout,
	// tempid, upload. An operation without a sample is missing.
	Operations []Operation `json:"operations"`

	Checks []Check `json:"checks"`

	// Load holds the measurements of a load, whose counts and operations above are
	// empty. It is nil for any other run.
	Load *Load `json:"load,omitempty"`

	// Plots are the names of the files with the plots of the run, in the folder of
	// its other reports.
	Plots []string `json:"plots,omitempty"`

	// Notes are remarks for the user, such as unused names or malformed lines of a
	// trace.
	Notes []string `json:"notes,omitempty"`

	// Scene is the course of the run for its page. It is nil if the run was not asked for it.
	Scene *Scene `json:"-"`
	// Page is the name of the file with the page of the run, in the folder of its other reports.
	Page string `json:"-"`

	// Error is the reason if the Verdict is NotRun. Only the JUnit document contains
	// such a run.
	Error string `json:"-"`
}

// KindCount is a count with the name of its kind.
type KindCount struct {
	Kind  string `json:"kind"`
	Count uint64 `json:"count"`
}

// Operation holds the delays of one kind of operation. The values of Histogram are
// in nanoseconds.
type Operation struct {
	Name      string                  `json:"name"`
	Histogram *hdrhistogram.Histogram `json:"-"`
}

// CheckKind is the origin of a check.
type CheckKind string

// The kinds of checks.
const (
	ExpectationCheck CheckKind = "expectation"
	ThresholdCheck   CheckKind = "threshold"
	InvariantCheck   CheckKind = "invariant"
)

// Check is an expectation, a threshold or an invariant with its outcome.
type Check struct {
	Kind CheckKind `json:"kind"`
	// Name is one line: the text of the expectation or threshold in the scenario, or
	// the name of the invariant.
	Name    string  `json:"name"`
	Place   string  `json:"place,omitempty"` // file:line:column; empty for an invariant
	Verdict Verdict `json:"verdict"`
	// Evaluations is the number of times that the check was evaluated; for an
	// invariant, the number of events.
	Evaluations uint64 `json:"times"`
	Expected    string `json:"expected,omitempty"` // of a failed check
	Found       string `json:"found,omitempty"`
	// AtSeconds is the virtual time of the failure, from the start of the run.
	AtSeconds *float64 `json:"at_seconds,omitempty"`
	// LastEvents are the last events before the failure, one line each.
	LastEvents []string `json:"around,omitempty"`
}

// Reported returns the verdict of the check in reports: an invariant that was never evaluated held only because nothing
// that it is about happened.
func (c *Check) Reported() Verdict {
	if c.Kind == InvariantCheck && c.Verdict == Passed && c.Evaluations == 0 {
		return NotExercised
	}
	return c.Verdict
}

// Delays summarizes the delays of one operation in milliseconds. The values come
// from an HDR histogram with three digits, so each is within 0.1 % of the true
// value: a quantile or the maximum is the highest value of its cell, the minimum
// the lowest.
type Delays struct {
	Min  float64 `json:"min"`
	Mean float64 `json:"mean"`
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P95  float64 `json:"p95"`
	P99  float64 `json:"p99"`
	Max  float64 `json:"max"`
}

// Count returns the number of samples.
func (o Operation) Count() int64 {
	if o.Histogram == nil {
		return 0
	}
	return o.Histogram.TotalCount()
}

// Delays returns the summary of the operation; all zero without a sample.
func (o Operation) Delays() Delays {
	if o.Count() == 0 {
		return Delays{}
	}
	h := o.Histogram
	at := func(percent float64) float64 { return milliseconds(stats.Quantile(h, percent)) }
	return Delays{
		Min: milliseconds(h.Min()), Mean: milliseconds(h.Mean()), Max: milliseconds(h.Max()),
		P50: at(50), P90: at(90), P95: at(95), P99: at(99),
	}
}

func milliseconds[N int64 | float64](nanoseconds N) float64 {
	return float64(nanoseconds) / float64(time.Millisecond)
}

// Throughput holds the rates of a run. A rate over no time is 0.
type Throughput struct {
	BeaconsPerVirtualSecond float64 `json:"beacons_per_virtual_second"` // delivered
	BeaconsPerWallSecond    float64 `json:"beacons_per_wall_second"`    // delivered
	EventsPerWallSecond     float64 `json:"events_per_wall_second"`
	// VirtualPerWall is the speed of the run relative to real time.
	VirtualPerWall float64 `json:"virtual_per_wall"`
}

// Throughput returns the rates of the run.
func (r *Run) Throughput() Throughput {
	return Throughput{
		BeaconsPerVirtualSecond: ratio(float64(r.Beacons.Delivered), r.VirtualSeconds),
		BeaconsPerWallSecond:    ratio(float64(r.Beacons.Delivered), r.WallSeconds),
		EventsPerWallSecond:     ratio(float64(r.Events), r.WallSeconds),
		VirtualPerWall:          ratio(r.VirtualSeconds, r.WallSeconds),
	}
}

// Result returns the numbers of checks by their verdict, such as "2 of 84 checks failed".
func (r *Run) Result() string {
	t := tallyOf(r.Checks)
	all := Plural(t.all(), "check", "checks")
	result := fmt.Sprintf("%s held", Plural(t.held, "check", "checks"))
	switch {
	case t.failed > 0:
		result = fmt.Sprintf("%d of %s failed", t.failed, all)
	case t.skipped+t.undecided > 0:
		result = fmt.Sprintf("%d of %s held", t.held, all)
	}
	return result + t.others()
}

// ratio returns a/b, or 0 if b is not positive.
func ratio(a, b float64) float64 {
	if b <= 0 {
		return 0
	}
	return finite(a / b)
}

// finite returns x, or 0 if x is infinite or not a number, which JSON cannot
// express.
func finite(x float64) float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return 0
	}
	return x
}
