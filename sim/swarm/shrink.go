package swarm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"bluetrace/reports"
	"bluetrace/scenarios"
	"bluetrace/sim"
	"bluetrace/sim/shrink"
)

// Shrunk is a small scenario that shows a failure.
type Shrunk struct {
	File []byte
	Note string // how small it is, and whether it needs its seed
}

// Errors of shrinking.
var (
	errOtherCause         = errors.New("the file that was written does not fail with this cause")
	errFailsWithoutFaults = errors.New("without its faults and adversaries something fails as well: there is nothing to tell what it needs by")
)

// shrinking is one failure being made small.
type shrinking struct {
	group  *Group
	naming *causeNames
	name   string // of the small scenario
	path   string // of its file
	try    shrink.Try
	failed func(context.Context, *scenarios.Scenario) *reports.Check // with the cause; nil: nothing is
	kept   []*scenarios.Scenario                                     // that failed and can be written, each smaller than the one before it
}

// Shrink makes the first scenario of a group small. path is where its file will
// stand. The limits are those of shrink.Reduce; Seeds and Keep are filled in. A run
// that does not end, or is not the same twice, is not shrunk: nil.
func Shrink(ctx context.Context, base *scenarios.Scenario, g *Group, name, path string, limits shrink.Options) (*Shrunk, error) {
	if g.Check.Name == RunEnds && !strings.HasPrefix(g.Cause, breaks) || g.Check.Name == SameRun {
		return nil, nil
	}
	failing, plan := Draw(base, g.Seed)
	failing.File = path
	sh := &shrinking{group: g, naming: newCauseNames(base), name: name, path: path, kept: []*scenarios.Scenario{failing}}
	sh.try, sh.failed = shrink.VirtualTry(sim.Options{WithoutDelays: true}, sh.naming.causes, sh.broken), sh.check
	small, err := sh.shrink(ctx, failing, plan, limits)
	if err != nil {
		return nil, fmt.Errorf("shrinking seed %d of %q: %w", g.Seed, g.File, err)
	}
	return small, nil
}

func (sh *shrinking) shrink(ctx context.Context, failing *scenarios.Scenario, plan Plan, limits shrink.Options) (*Shrunk, error) {
	limits.Seeds = []uint64{1, 2, 3, 4, 5}
	limits.Accept = func(s *scenarios.Scenario) bool {
		if _, err := scenarios.Parse(sh.path, s.AppendYAML(nil), scenarios.Options{}); err != nil {
			return false
		}
		sh.kept = append(sh.kept, s)
		return true
	}
	if strings.HasPrefix(sh.group.Cause, livenessCause) {
		if held, err := sh.try(ctx, withoutFaults(failing), false); err != nil || len(held.Causes) > 0 {
			return nil, cmp.Or(err, errFailsWithoutFaults)
		}
		limits.KeepTiming, sh.try = true, onlyWithFaults(sh.try, sh.group.Cause, preconditionsOf(failing, plan.Heal))
	}
	small, report, err := shrink.Reduce(ctx, failing, sh.group.Cause, sh.try, limits)
	if err != nil {
		return nil, err
	}
	file, err := sh.file(ctx, small, &report)
	back := err != nil
	for i, step := len(sh.kept)-1, 1; err != nil && ctx.Err() == nil && i > 0; step *= 2 { // a late one whose file does fail
		i = max(i-step, 0)
		last := sh.kept[i]
		report.Measure(last)
		report.SeedIndependent, report.Seeds = false, nil
		file, err = sh.file(ctx, last, &report)
	}
	if err != nil {
		return nil, err
	}
	note := noteOf(&report)
	if back {
		note += "; the file of what is smaller does not fail"
	}
	return &Shrunk{file, note}, nil
}

// file is the scenario as a file, which was read again and failed, with what it
// shows in that run.
func (sh *shrinking) file(ctx context.Context, small *scenarios.Scenario, report *shrink.Report) ([]byte, error) {
	shown := shrink.Description{Name: sh.name, From: fmt.Sprintf("seed %d of %s", sh.group.Seed, sh.group.File), Mark: generatedMark}
	s, err := scenarios.Parse(sh.path, shrink.File(small, shown, *report), scenarios.Options{})
	if err != nil {
		return nil, err
	}
	tried, err := sh.try(ctx, s, false)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(tried.Causes, sh.group.Cause) {
		return nil, errOtherCause
	}
	check := &sh.group.Check
	if own := sh.failed(ctx, s); own != nil {
		check = own
	}
	shown.Expected, shown.Found = check.Expected, check.Found
	file := shrink.File(small, shown, *report)
	_, err = scenarios.Parse(sh.path, file, scenarios.Options{})
	return file, err
}

func (sh *shrinking) broken(err error) string { return brokenFailure(sh.naming, err).Cause }

// check is the failure of the cause in a scenario's run; nil: there is none.
func (sh *shrinking) check(ctx context.Context, s *scenarios.Scenario) *reports.Check {
	r, err := sim.Run(ctx, s, sim.Options{WithoutDelays: true})
	if err != nil {
		f := brokenFailure(sh.naming, err)
		return &f.Check
	}
	for i := range r.Run.Checks {
		if c := &r.Run.Checks[i]; c.Verdict == reports.Failed && sh.naming.causeOf(c) == sh.group.Cause {
			return c
		}
	}
	return nil
}

// onlyWithFaults takes a candidate only for one that fails with the cause if all
// that its liveness needs is there, and if nothing fails without its faults and
// adversaries: else what is not possible after the heal may be so for want of a
// login.
func onlyWithFaults(try shrink.Try, cause string, e *preconditions) shrink.Try {
	return func(ctx context.Context, s *scenarios.Scenario, record bool) (shrink.TryResult, error) {
		if !record && e.missing(s) != "" {
			return shrink.TryResult{}, nil
		}
		tried, err := try(ctx, s, record)
		if err != nil || record || !slices.Contains(tried.Causes, cause) {
			return tried, err
		}
		held, err := try(ctx, withoutFaults(s), false)
		if len(held.Causes) > 0 {
			tried.Causes = slices.DeleteFunc(tried.Causes, func(c string) bool { return c == cause })
		}
		return tried, err
	}
}

// calmed is a scenario without its faults and adversaries.
func withoutFaults(s *scenarios.Scenario) *scenarios.Scenario {
	calm := *s
	calm.Faults, calm.Adversaries = nil, nil
	calm.Script = slices.DeleteFunc(slices.Clone(s.Script), func(st scenarios.Step) bool { return st.Fault != nil })
	return &calm
}

func noteOf(r *shrink.Report) string {
	note := fmt.Sprintf("(%s, %s", reports.Plural(r.Phones, "phone", "phones"), reports.Plural(r.Steps, "step or fault", "steps and faults"))
	if !r.SeedIndependent {
		note += "; needs its seed"
	}
	if !r.Complete {
		note += "; time was up, it may become smaller"
	}
	return note + fmt.Sprintf("; %s)", reports.Plural(r.Runs, "run", "runs"))
}

// causes are those of a run, none twice.
func (n *causeNames) causes(r *reports.Run) []string {
	var all []string
	for i := range r.Checks {
		if c := &r.Checks[i]; c.Verdict == reports.Failed {
			if cause := n.causeOf(c); !slices.Contains(all, cause) {
				all = append(all, cause)
			}
		}
	}
	return all
}
