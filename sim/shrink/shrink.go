// Package shrink makes a failing scenario small: first it writes out what chance
// decided (every command as a step at its time, every thing that a fault did as a
// fault of its own), then it takes away whatever the failure does not need (delta
// debugging), and what is left it makes plain.
//
// A failure is known by its cause, a text that is the same for failures of one
// kind. A smaller scenario counts only if it still fails with that cause.
package shrink

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"bluetrace/scenarios"
	"bluetrace/sim/world"
)

// Recording is what a run did.
type Recording struct {
	// Steps are what was commanded, each as a step at its own time (see
	// sim.Options.Commanded), and Applied what faults did.
	Steps   []scenarios.Step
	Applied []world.Applied
	// Failed is when the failure showed, in the world's time; 0: at the end.
	Failed time.Duration
}

// TryResult is what a run of a candidate came to.
type TryResult struct {
	Causes []string // of its failures
	// Recording is asked for only of the first run.
	Recording Recording
}

// Try runs a candidate. Its error ends the shrinking; a candidate that cannot be
// run at all has no causes.
type Try func(ctx context.Context, s *scenarios.Scenario, record bool) (TryResult, error)

// Options of a shrinking.
type Options struct {
	MaxRuns int            // runs at most; 0: 2,000
	Expired func() bool    // true: time is up; nil: never
	Note    func(s string) // progress; nil: nobody listens
	Seeds   []uint64       // that the result must fail under as well
	// Keep says whether a candidate that fails may be taken, such as whether it can be
	// written to a file; nil: every one may. It sees each of them in turn.
	Accept func(s *scenarios.Scenario) bool
	// KeepTimes leaves everything at its time: the failure is what does not follow
	// long after something else.
	KeepTiming bool
}

// Report says what came of it.
type Report struct {
	Runs            int
	SeedIndependent bool     // nothing is left to chance, or Limits.Seeds were asked and agree
	Seeds           []uint64 // of Limits.Seeds, those under which it fails too
	Steps           int      // with faults and adversaries: everything that happens
	Phones          int
	Complete        bool // no limit ended it
}

// Measure takes the size of a scenario.
func (r *Report) Measure(s *scenarios.Scenario) {
	r.Steps = len(s.Script) + len(s.Faults) + len(s.Adversaries) + len(s.Routine)
	r.Phones = len(s.PhoneNames())
}

const defaultTries = 2000

// ErrNotFailing says that the scenario does not fail with the cause.
var ErrNotFailing = errors.New("the scenario does not fail with this cause")

// search is a shrinking under way.
type search struct {
	ctx     context.Context
	cause   string
	try     Try
	options Options
	best    *scenarios.Scenario
	report  Report
	err     error
}

// Reduce makes the failing scenario small. It answers with the smallest that was
// found when a limit or the context ends it; the error is ErrNotFailing, that of
// try, or the context's when not even the first run was done.
func Reduce(ctx context.Context, failing *scenarios.Scenario, cause string, try Try, limits Options) (*scenarios.Scenario, Report, error) {
	if limits.MaxRuns == 0 {
		limits.MaxRuns = defaultTries
	}
	w := &search{ctx: ctx, cause: cause, try: try, options: limits, best: failing}
	first, err := try(ctx, failing, true)
	w.report.Runs = 1
	if err != nil {
		return nil, w.report, fmt.Errorf("running what is to be shrunk: %w", err)
	}
	if !slices.Contains(first.Causes, cause) {
		return nil, w.report, ErrNotFailing
	}
	w.makeExplicit(failing, &first.Recording)
	w.reduce()
	w.simplify()
	w.tryOtherSeeds()
	w.report.Complete = !w.finished()
	w.report.Measure(w.best)
	if w.err != nil && ctx.Err() == nil {
		return nil, w.report, w.err
	}
	return w.best, w.report, nil
}

// finished says whether a limit was reached.
func (w *search) finished() bool {
	return w.err != nil || w.ctx.Err() != nil || w.report.Runs >= w.options.MaxRuns || w.options.Expired != nil && w.options.Expired()
}

// fails runs a candidate; it says whether it fails with the cause.
func (w *search) fails(s *scenarios.Scenario) bool {
	if w.finished() {
		return false
	}
	w.report.Runs++
	t, err := w.try(w.ctx, s, false)
	if err != nil {
		w.err = err
		return false
	}
	return slices.Contains(t.Causes, w.cause)
}

// accept takes the candidate when it fails.
func (w *search) accept(s *scenarios.Scenario) bool {
	if !w.fails(s) || !w.allowed(s) {
		return false
	}
	w.best = s
	return true
}

func (w *search) allowed(s *scenarios.Scenario) bool {
	return w.options.Accept == nil || w.options.Accept(s)
}

// with is the best so far, changed.
func (w *search) changed(change func(s *scenarios.Scenario)) *scenarios.Scenario {
	s := *w.best
	change(&s)
	return &s
}

// tryOtherSeeds looks whether the result fails under other seeds too.
func (w *search) tryOtherSeeds() {
	for _, seed := range w.options.Seeds {
		if w.fails(w.changed(func(s *scenarios.Scenario) { s.Seed = seed })) {
			w.report.Seeds = append(w.report.Seeds, seed)
		}
	}
	if n := len(w.options.Seeds); n > 0 && !w.finished() {
		w.report.SeedIndependent = len(w.report.Seeds) == n
	}
}
