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
	Note string // sizes of the scenario and the search, in parentheses; remarks, such as "needs its seed"
	// Run is a run of the file with its scene, and Check its check that failed. They are nil if the run breaks.
	Run   *reports.Run
	Check *reports.Check
}

// Errors of shrinking.
var (
	errOtherCause         = errors.New("the written file does not fail with this cause")
	errFailsWithoutFaults = errors.New("the scenario also fails without its faults and adversaries")
)

// shrinking is the reduction of one failure.
type shrinking struct {
	group  *Group
	naming *causeNames
	name   string // of the small scenario
	path   string // of its file
	try    shrink.Try
	// failed runs a scenario and returns its failed check with the cause, or nil if it does not fail with the cause.
	failed func(context.Context, *scenarios.Scenario) *reports.Check
	// accepted are the scenarios that fail and can be written to a file, each one smaller than the one before it.
	accepted []*scenarios.Scenario
}

// Shrink reduces the first scenario of a group, whose file will stand at path. It sets Seeds and Accept of the options.
// It returns nil without an error for a run that does not end, that differs from its repetition, or that has a fault
// after its heal.
func Shrink(
	ctx context.Context, base *scenarios.Scenario, g *Group, name, path string, o shrink.Options,
) (*Shrunk, error) {
	if g.Check.Name == RunEnds && !strings.HasPrefix(g.Cause, breaksCause) || g.Check.Name == SameRun ||
		g.Check.Name == FaultsUntilHeal {
		return nil, nil
	}
	failing, plan := Draw(base, g.Seed)
	failing.File = path
	sh := &shrinking{
		group: g, naming: newCauseNames(base), name: name, path: path, accepted: []*scenarios.Scenario{failing},
	}
	sh.try, sh.failed = shrink.VirtualTry(sim.Options{WithoutDelays: true}, sh.causes), sh.check
	small, err := sh.shrink(ctx, failing, plan, o)
	if err != nil {
		return nil, fmt.Errorf("shrinking seed %d of %q: %w", g.Seed, g.File, err)
	}
	if s, err := scenarios.Parse(path, small.File, scenarios.Options{}); err == nil {
		small.Run, small.Check = sh.run(ctx, s, sim.Options{Scene: true})
	}
	return small, nil
}

// Again runs the small scenario of a group, whose file stands at path. Its result has a nil Check if this run does not
// fail with the cause.
func Again(ctx context.Context, g *Group, path string, file []byte) (*Shrunk, error) {
	s, err := scenarios.Parse(path, file, scenarios.Options{})
	if err != nil {
		return nil, err
	}
	sh, small := &shrinking{group: g, naming: newCauseNames(s)}, &Shrunk{File: file, Note: g.ShrunkNote}
	small.Run, small.Check = sh.run(ctx, s, sim.Options{Scene: true})
	return small, nil
}

func (sh *shrinking) shrink(
	ctx context.Context, failing *scenarios.Scenario, plan Plan, o shrink.Options,
) (*Shrunk, error) {
	o.Seeds = []uint64{1, 2, 3, 4, 5}
	o.Accept = func(s *scenarios.Scenario) bool {
		if _, err := scenarios.Parse(sh.path, s.AppendYAML(nil), scenarios.Options{}); err != nil {
			return false
		}
		sh.accepted = append(sh.accepted, s)
		return true
	}
	if strings.HasPrefix(sh.group.Cause, livenessCause) {
		if tried, err := sh.try(ctx, withoutFaults(failing), false); err != nil || len(tried.Causes) > 0 {
			return nil, cmp.Or(err, errFailsWithoutFaults)
		}
		o.KeepTiming = true
		sh.try = onlyWithFaults(sh.try, sh.group.Cause, preconditions(failing, plan.Heal))
	}
	small, report, err := shrink.Reduce(ctx, failing, sh.group.Cause, sh.try, o)
	if err != nil {
		return nil, err
	}
	file, err := sh.file(ctx, small, &report)
	fallback := err != nil
	// If the file does not fail, try the files of larger scenarios. Each attempt goes back twice as far as the last.
	for i, step := len(sh.accepted)-1, 1; err != nil && ctx.Err() == nil && i > 0; step *= 2 {
		i = max(i-step, 0)
		larger := sh.accepted[i]
		report.Measure(larger)
		report.SeedIndependent, report.Seeds = false, nil
		file, err = sh.file(ctx, larger, &report)
	}
	if err != nil {
		return nil, err
	}
	note := reportNote(&report)
	if fallback {
		note += "; the file of a smaller scenario does not fail"
	}
	return &Shrunk{File: file, Note: note}, nil
}

// file returns the file of a scenario, after it has read the file back and run it. The file describes the failure of
// that run.
func (sh *shrinking) file(ctx context.Context, s *scenarios.Scenario, report *shrink.Report) ([]byte, error) {
	d := shrink.Description{
		Name: sh.name, From: fmt.Sprintf("seed %d of %s", sh.group.Seed, sh.group.File), Mark: generatedMark,
	}
	read, err := scenarios.Parse(sh.path, shrink.File(s, d, *report), scenarios.Options{})
	if err != nil {
		return nil, err
	}
	tried, err := sh.try(ctx, read, false)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(tried.Causes, sh.group.Cause) {
		return nil, errOtherCause
	}
	check := &sh.group.Check
	if own := sh.failed(ctx, read); own != nil {
		check = own
	}
	d.Expected, d.Found = check.Expected, check.Found
	file := shrink.File(s, d, *report)
	_, err = scenarios.Parse(sh.path, file, scenarios.Options{})
	return file, err
}

// failures returns the failures of a run, or the failure that its error is.
func (sh *shrinking) failures(r *sim.Result, err error) []Failure {
	if err != nil {
		return []Failure{sh.naming.brokenFailure(err)}
	}
	return sh.naming.failures(&r.Run)
}

func (sh *shrinking) causes(r *sim.Result, err error) []string {
	var causes []string
	for _, f := range sh.failures(r, err) {
		causes = append(causes, f.Cause)
	}
	return causes
}

// check runs a scenario and returns its failed check with the cause, or nil if there is none.
func (sh *shrinking) check(ctx context.Context, s *scenarios.Scenario) *reports.Check {
	_, check := sh.run(ctx, s, sim.Options{WithoutDelays: true})
	return check
}

// run runs a scenario and returns the run and its failed check with the cause, each nil if there is none.
func (sh *shrinking) run(
	ctx context.Context, s *scenarios.Scenario, o sim.Options,
) (run *reports.Run, check *reports.Check) {
	r, err := sim.Run(ctx, s, o)
	if err == nil {
		run = &r.Run
	}
	for _, f := range sh.failures(r, err) {
		if f.Cause == sh.group.Cause {
			return run, &f.Check
		}
	}
	return run, nil
}

// onlyWithFaults restricts try to failures that faults or adversaries cause: a candidate must be prepared (see
// preconditions), and must not fail without its faults and adversaries. Otherwise a candidate could fail because it
// lacks a login.
func onlyWithFaults(try shrink.Try, cause string, prepared func(*scenarios.Scenario) bool) shrink.Try {
	return func(ctx context.Context, s *scenarios.Scenario, record bool) (shrink.TryResult, error) {
		if !record && !prepared(s) {
			return shrink.TryResult{}, nil
		}
		tried, err := try(ctx, s, record)
		if err != nil || record || !slices.Contains(tried.Causes, cause) {
			return tried, err
		}
		without, err := try(ctx, withoutFaults(s), false)
		if len(without.Causes) > 0 {
			tried.Causes = slices.DeleteFunc(tried.Causes, func(c string) bool { return c == cause })
		}
		return tried, err
	}
}

// reportNote describes a report in parentheses.
func reportNote(r *shrink.Report) string {
	note := "(" + reports.Plural(r.Phones, "phone", "phones") + ", " +
		reports.Plural(r.Steps, "step or fault", "steps and faults")
	if !r.SeedIndependent {
		note += "; needs its seed"
	}
	if !r.Complete {
		note += "; stopped at a limit, a smaller scenario may exist"
	}
	return note + "; " + reports.Plural(r.Runs, "run", "runs") + ")"
}
