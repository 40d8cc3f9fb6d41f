// Package reports turns the results of runs into documents: text, JSON, JUnit
// and OpenMetrics. It knows no engine: rows and counts come in, documents go
// out.
package reports

import (
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
