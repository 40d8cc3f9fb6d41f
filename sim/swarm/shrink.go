package swarm

import (
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

// errNotTheSame says that a shrunk file is not what it should be.
var errNotTheSame = errors.New("the file that was written does not fail with this cause")

// Shrink makes the first scenario of a group small. path is where its file will
// stand. The limits are those of shrink.Reduce; Seeds are filled in. A run
// that does not end, or is not the same twice, is not shrunk: nil.
func Shrink(ctx context.Context, base *scenarios.Scenario, g *Group, name, path string, limits shrink.Limits) (*Shrunk, error) {
	if g.Check.Name == RunEnds && !strings.HasPrefix(g.Cause, breaks) || g.Check.Name == SameRun {
		return nil, nil
	}
	failing, _ := Draw(base, g.Seed)
	failing.File = path
	n := newNaming(base)
	causes := func(r *reports.Run) []string { return n.causes(r) }
	try := shrink.InVirtualTime(sim.Options{WithoutDelays: true}, causes, func(err error) string { return broken(err).Cause })
	limits.Seeds = []uint64{1, 2, 3, 4, 5}
	if strings.HasPrefix(g.Cause, livenessCause) {
		limits.KeepTimes, try = true, becauseOfFaults(try, g.Cause)
	}
	small, report, err := shrink.Reduce(ctx, failing, g.Cause, try, limits)
	if err != nil {
		return nil, fmt.Errorf("shrinking seed %d of %q: %w", g.Seed, g.File, err)
	}
	small.Name = name
	file := shrink.File(small, shrink.Shown{
		Name: name, From: fmt.Sprintf("seed %d of %s", g.Seed, g.File), Expected: g.Check.Expected, Found: g.Check.Found,
	}, report)
	if err := stillFails(ctx, path, file, g.Cause, try); err != nil {
		return nil, fmt.Errorf("shrinking seed %d of %q: %w", g.Seed, g.File, err)
	}
	return &Shrunk{file, noteOf(&report)}, nil
}

// becauseOfFaults takes a candidate only for one that fails with the cause if it
// holds without its faults and adversaries: else what is not possible after the heal
// may be so for want of a login.
func becauseOfFaults(try shrink.Try, cause string) shrink.Try {
	return func(ctx context.Context, s *scenarios.Scenario, record bool) (shrink.Tried, error) {
		tried, err := try(ctx, s, record)
		if err != nil || record || !slices.Contains(tried.Causes, cause) {
			return tried, err
		}
		calm := *s
		calm.Faults, calm.Adversaries = nil, nil
		calm.Script = slices.DeleteFunc(slices.Clone(s.Script), func(st scenarios.Step) bool { return st.Fault != nil })
		held, err := try(ctx, &calm, false)
		if slices.Contains(held.Causes, cause) {
			tried.Causes = slices.DeleteFunc(tried.Causes, func(c string) bool { return c == cause })
		}
		return tried, err
	}
}

// stillFails reads the file as it will stand there, and runs it.
func stillFails(ctx context.Context, path string, file []byte, cause string, try shrink.Try) error {
	s, err := scenarios.Parse(path, file, scenarios.Options{})
	if err != nil {
		return err
	}
	tried, err := try(ctx, s, false)
	if err != nil {
		return err
	}
	if !slices.Contains(tried.Causes, cause) {
		return errNotTheSame
	}
	return nil
}

func noteOf(r *shrink.Report) string {
	note := fmt.Sprintf("(%s, %s", reports.Plural(r.Phones, "phone", "phones"), reports.Plural(r.Steps, "step or fault", "steps and faults"))
	if !r.Explicit {
		note += "; needs its seed"
	}
	if !r.Complete {
		note += "; time was up, it may become smaller"
	}
	return note + fmt.Sprintf("; %s)", reports.Plural(r.Tries, "run", "runs"))
}

// causes are those of a run, none twice.
func (n *naming) causes(r *reports.Run) []string {
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
