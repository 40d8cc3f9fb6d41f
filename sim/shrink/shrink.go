// Package shrink reduces a failing scenario to a small one. First it replaces random draws by their results: each
// command becomes a step with a time of its own, and each effect of a fault becomes a fault of its own. Then it removes
// everything that the failure does not need, by delta debugging. Last it simplifies settings and times.
//
// A failure is identified by its cause, a text that is equal for failures of one kind. A smaller scenario is accepted
// only if it still fails with that cause.
package shrink

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"bluetrace/reports"
	"bluetrace/scenarios"
	"bluetrace/sim"
	"bluetrace/sim/event"
)

// Recording is a record of the commands and the fault effects of a run.
type Recording struct {
	Steps   []scenarios.Step // each command as a step with its own time (see sim.Options.Commanded)
	Effects []Effect
}

// Effect is one effect of a fault: the fields of an event.FaultApplied that a fault of its own needs.
type Effect struct {
	At    time.Duration // from the start of the run
	Fault int           // index in the faults of the scenario; the fault of a step has no index in their range
	// Node and Peer are the sender and the receiver of the traffic that the fault affected, or the affected node and
	// event.NoPeer.
	Node, Peer event.Node
	Nth        int   // see event.Event
	Amount     int64 // see event.Event
}

// TryResult is the result of running a candidate.
type TryResult struct {
	Causes    []string  // of its failures
	Recording Recording // only if it was asked for
}

// Try runs a candidate, with a recording if record is set. A candidate that cannot be run has no causes. An error ends
// the reduction.
type Try func(ctx context.Context, s *scenarios.Scenario, record bool) (TryResult, error)

// VirtualTry returns a Try that runs candidates in virtual time with the given options. causes returns the causes of
// the failures of a run. Its arguments are the result of the run, or a nil result and the error of a run that ended
// because the program is wrong (sim.Broken).
func VirtualTry(o sim.Options, causes func(*sim.Result, error) []string) Try {
	return func(ctx context.Context, s *scenarios.Scenario, record bool) (TryResult, error) {
		var t TryResult
		o := o
		if record {
			rec := &t.Recording
			o.Commanded = func(_ time.Duration, st scenarios.Step) { rec.Steps = append(rec.Steps, st) }
			o.Subscribe = func(s *event.Stream) {
				s.On(event.FaultApplied, func(e *event.Event) {
					rec.Effects = append(rec.Effects, Effect{e.At, int(e.Number) - 1, e.Node, e.Peer, e.Nth, e.Amount})
				})
			}
		}
		r, err := sim.Run(ctx, s, o)
		if ctx.Err() != nil {
			return t, ctx.Err()
		}
		if _, broken := errors.AsType[*sim.Broken](err); broken || err == nil {
			t.Causes = causes(r, err)
		}
		return t, nil
	}
}

// Options are the settings of Reduce.
type Options struct {
	MaxRuns int         // the maximum number of runs; 0 stands for 2,000
	Expired func() bool // reports whether the time limit is reached; nil stands for no limit
	Seeds   []uint64    // other seeds under which the result is tried
	// Accept reports whether a candidate that fails may be accepted, for example because it can be written to a file.
	// Nil accepts every candidate.
	Accept func(s *scenarios.Scenario) bool
	// KeepTiming leaves times unchanged, for a failure that depends on the time between two events.
	KeepTiming bool
}

const defaultMaxRuns = 2000

// Report describes the result of a reduction.
type Report struct {
	Runs            int
	SeedIndependent bool     // the failure does not depend on the seed
	Seeds           []uint64 // the seeds of Options.Seeds under which the result fails
	Steps           int      // steps, faults, adversaries and routines
	Phones          int
	Complete        bool // the reduction was not ended by a limit
}

// Measure sets the sizes of a scenario.
func (r *Report) Measure(s *scenarios.Scenario) {
	r.Steps = size(s)
	r.Phones = len(s.PhoneNames())
}

// size returns the number of steps, faults, adversaries and routines of a scenario.
func size(s *scenarios.Scenario) int {
	return len(s.Script) + len(s.Faults) + len(s.Adversaries) + len(s.Routine)
}

// ErrNotFailing is the error for a scenario that does not fail with the cause.
var ErrNotFailing = errors.New("the scenario does not fail with this cause")

// search is a reduction in progress.
type search struct {
	ctx     context.Context
	cause   string
	try     Try
	options Options
	best    *scenarios.Scenario // the smallest scenario so far
	report  Report
	err     error // of try
}

// Reduce reduces a failing scenario. If a limit or the context ends it, Reduce returns the smallest scenario so far.
// The error is ErrNotFailing, an error of try, or the error of a context that ended before the first run.
func Reduce(
	ctx context.Context, failing *scenarios.Scenario, cause string, try Try, o Options,
) (*scenarios.Scenario, Report, error) {
	if o.MaxRuns == 0 {
		o.MaxRuns = defaultMaxRuns
	}
	w := &search{ctx: ctx, cause: cause, try: try, options: o, best: failing}
	first, err := try(ctx, failing, true)
	w.report.Runs = 1
	if err != nil {
		return nil, w.report, fmt.Errorf("running the scenario to be reduced: %w", err)
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

// finished reports whether a limit was reached.
func (w *search) finished() bool {
	return w.err != nil || w.ctx.Err() != nil || w.report.Runs >= w.options.MaxRuns ||
		w.options.Expired != nil && w.options.Expired()
}

// causes runs a candidate and returns the causes of its failures. It returns none if a limit was reached.
func (w *search) causes(s *scenarios.Scenario) []string {
	if w.finished() {
		return nil
	}
	w.report.Runs++
	t, err := w.try(w.ctx, s, false)
	if err != nil {
		w.err = err
		return nil
	}
	return t.Causes
}

// fails reports whether a candidate fails with the cause.
func (w *search) fails(s *scenarios.Scenario) bool { return slices.Contains(w.causes(s), w.cause) }

// accept makes the candidate the best scenario if it fails with the cause.
func (w *search) accept(s *scenarios.Scenario) bool {
	if !w.fails(s) || !w.allowed(s) {
		return false
	}
	w.best = s
	return true
}

// allowed reports whether the options accept a candidate that fails.
func (w *search) allowed(s *scenarios.Scenario) bool {
	return w.options.Accept == nil || w.options.Accept(s)
}

// changed returns a copy of the best scenario with a change.
func (w *search) changed(change func(s *scenarios.Scenario)) *scenarios.Scenario {
	s := *w.best
	change(&s)
	return &s
}

// tryOtherSeeds runs the result under other seeds.
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

// Description describes a reduced scenario in its file.
type Description struct {
	Name     string // of the scenario, and of its file without .yaml
	From     string // the seed and the base scenario of the run that failed
	Expected string
	Found    string
	Mark     string // begins the comment of the file, which identifies it as generated
}

// maxAbout is the length in bytes to which the text `about` is cut.
const maxAbout = 500

// File returns the file of a reduced scenario, with a comment that describes the reduction.
func File(s *scenarios.Scenario, d Description, r Report) []byte {
	t := *s
	t.Name = d.Name
	t.About = fmt.Sprintf("Found by a swarm in %s: expected %s, found %s.", d.From, d.Expected, d.Found)
	t.About = reports.Escape(strings.Join(strings.Fields(t.About), " "))
	if len(t.About) > maxAbout {
		t.About = strings.ToValidUTF8(t.About[:maxAbout], "") + "…"
	}
	t.Manual = false
	comment := fmt.Sprintf("%sreduced in %d runs to %s and %s.", d.Mark, r.Runs,
		reports.Plural(r.Steps, "step, fault or actor", "steps, faults and actors"),
		reports.Plural(r.Phones, "phone", "phones"))
	b := fmt.Appendf(nil, "# %s\n", reports.Escape(comment))
	switch {
	case r.SeedIndependent:
		b = append(b, "# The failure does not depend on the seed.\n"...)
	case slices.ContainsFunc(r.Seeds, func(seed uint64) bool { return seed != s.Seed }):
		others := slices.DeleteFunc(slices.Clone(r.Seeds), func(seed uint64) bool { return seed == s.Seed })
		seeds := strings.Trim(strings.ReplaceAll(fmt.Sprint(others), " ", ", "), "[]")
		b = fmt.Appendf(b, "# The failure depends on random draws. It occurs with the seeds %d and %s.\n",
			s.Seed, seeds)
	default:
		b = append(b, "# The failure depends on random draws. It occurs only with this seed.\n"...)
	}
	return t.AppendYAML(b)
}
