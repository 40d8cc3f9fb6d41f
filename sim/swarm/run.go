package swarm

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"bluetrace/reports"
	"bluetrace/scenarios"
	"bluetrace/sim"
)

// Options of a swarm.
type Options struct {
	Bases []*scenarios.Scenario // each seed runs each of them
	Seeds iter.Seq[uint64]      // in this order
	Jobs  int                   // workers; 1 or more
	// Twice has every so manieth seed run a second time: both runs must be the
	// same. 0: none.
	Twice uint64
	// Each is called with every outcome, in the order of seeds and files, whatever
	// the jobs.
	Each func(*Outcome)
}

// Outcome is what one seed of one file came to.
type Outcome struct {
	File           string          `json:"file"`
	Plan           Plan            `json:"plan"`
	Verdict        reports.Verdict `json:"verdict"`
	Digest         string          `json:"digest"`
	VirtualSeconds float64         `json:"virtual_seconds"`
	Events         uint64          `json:"events"`

	Faults      []reports.KindCount `json:"faults,omitempty"`
	Adversaries []reports.KindCount `json:"adversaries,omitempty"`
	Failures    []Failure           `json:"failures,omitempty"`
}

// Failure is a check that failed, or a run that broke.
type Failure struct {
	Cause string        `json:"cause"` // the same for failures of one kind
	Check reports.Check `json:"check"`
}

// job is one seed of one file; its outcome comes on done.
type job struct {
	base *scenarios.Scenario
	seed uint64
	done chan *Outcome
}

// Run runs the seeds until they or the context end; its error is the context's.
func Run(ctx context.Context, o Options) error {
	jobs := make(chan job)
	queue := make(chan job, 2*o.Jobs) // in order, for those who collect
	var workers sync.WaitGroup
	for range max(o.Jobs, 1) {
		workers.Go(func() {
			for j := range jobs {
				j.done <- o.one(ctx, j.base, j.seed)
			}
		})
	}
	workers.Go(func() {
		defer close(queue)
		defer close(jobs)
		for seed := range o.Seeds {
			for _, b := range o.Bases {
				j := job{b, seed, make(chan *Outcome, 1)}
				select {
				case queue <- j:
				case <-ctx.Done():
					return
				}
				jobs <- j
			}
		}
	})
	for j := range queue {
		if out := <-j.done; out != nil && o.Each != nil {
			o.Each(out)
		}
	}
	workers.Wait()
	return ctx.Err()
}

// one runs a seed; nil when it was interrupted.
func (o *Options) one(ctx context.Context, base *scenarios.Scenario, seed uint64) *Outcome {
	s, plan := Draw(base, seed)
	out := &Outcome{File: base.File, Plan: plan}
	r, err := sim.Run(ctx, s, sim.Options{})
	switch {
	case err != nil && ctx.Err() != nil:
		return nil
	case err != nil:
		out.Verdict = reports.Failed
		out.Failures = []Failure{broken(err)}
		return out
	case r.Run.Verdict == reports.Interrupted:
		return nil
	}
	out.take(&r.Run)
	if o.Twice > 0 && seed%o.Twice == 0 {
		if f, ok := o.again(ctx, s, r.Run.Digest); !ok {
			out.Failures = append(out.Failures, f)
			out.Verdict = reports.Failed
		}
	}
	return out
}

func (out *Outcome) take(r *reports.Run) {
	out.Verdict, out.Digest, out.VirtualSeconds, out.Events = r.Verdict, r.Digest, r.VirtualSeconds, r.Events
	out.Faults, out.Adversaries = r.Faults, r.Adversaries
	for i := range r.Checks {
		if c := &r.Checks[i]; c.Verdict == reports.Failed {
			out.Failures = append(out.Failures, Failure{causeOf(c), *c})
		}
	}
}

// broken is the failure of a run that could not be done.
func broken(err error) Failure {
	f := Failure{Cause: "the run broke: " + plain(err.Error())}
	f.Check = reports.Check{Kind: reports.InvariantCheck, Name: "the run ends", Verdict: reports.Failed, Expected: "an outcome", Found: err.Error()}
	if b, ok := errors.AsType[*sim.Broken](err); ok {
		f.Check.Around = []string{string(b.Stack)}
	}
	return f
}

// again runs a scenario a second time; false when it was another run.
func (o *Options) again(ctx context.Context, s *scenarios.Scenario, digest string) (Failure, bool) {
	r, err := sim.Run(ctx, s, sim.Options{})
	if ctx.Err() != nil || err == nil && r.Run.Digest == digest {
		return Failure{}, true
	}
	f := Failure{Cause: "a second run was another one"}
	f.Check = reports.Check{Kind: reports.InvariantCheck, Name: "a seed is one run", Verdict: reports.Failed,
		Expected: "digest " + digest, Found: fmt.Sprint(err)}
	if err == nil {
		f.Check.Found = "digest " + r.Run.Digest + Diverged(ctx, s)
	}
	return f, false
}
