package swarm

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"bluetrace/reports"
	"bluetrace/scenarios"
	"bluetrace/sim"
	"bluetrace/sim/event"
	"bluetrace/sim/situations"
)

// Options of a swarm.
type Options struct {
	Bases []*scenarios.Scenario // each seed runs each of them
	Seeds iter.Seq[uint64]      // in this order
	Jobs  int                   // workers; 1 or more
	// Twice has every seed that it divides run a second time, by another worker if
	// there is one: both runs must be the same. 0: none.
	RepeatEvery uint64
	Limits      Limits
	// Marks has the situations of sim/marks counted, but in second runs, so that
	// listening is seen to change nothing.
	Situations bool
	// Each is called with every outcome, in the order of seeds and files, whatever
	// the jobs.
	OnOutcome func(*Outcome)
	// Engine runs a scenario; nil: sim.Run.
	Engine func(context.Context, *scenarios.Scenario, sim.Options) (*sim.Result, error)
}

// Limits of one run: beyond one of them it counts as one that does not end.
type Limits struct {
	Events uint64        // 0: no limit
	Wall   time.Duration // of real time; 0: no limit
	// After is time.After, or a test's.
	Timer func(time.Duration) <-chan time.Time
}

// Outcome is what one seed of one file came to.
type Outcome struct {
	Base           *scenarios.Scenario
	Plan           Plan
	Verdict        reports.Verdict
	Digest         string
	Events         uint64
	VirtualSeconds float64
	Repeated       bool               // it was run a second time
	Situations     *situations.Counts // nil if they were not observed

	Faults      []reports.KindCount
	Adversaries []reports.KindCount
	// Failures are in the order of their times, no two of one cause: the later ones
	// may be consequences of the first.
	Failures []Failure
}

// Failure is a check that failed, or a run that broke.
type Failure struct {
	Cause string // the same for failures of one kind
	Check reports.Check
}

// job is one run of one seed of one file; its outcome, nil when it was
// interrupted, comes on done.
type job struct {
	base  *scenarios.Scenario
	seed  uint64
	marks bool
	done  chan *Outcome
}

// pair is a run and, of the sample, its second one.
type pair struct {
	first  job
	second *job
}

// Run runs the seeds until they or the context end; its error is the context's.
// Outcomes of runs that were interrupted are left out.
func Run(ctx context.Context, o Options) error {
	o.Jobs = max(o.Jobs, 1)
	if o.Engine == nil {
		o.Engine = sim.Run
	}
	jobs := make(chan job)
	queue := make(chan pair, 2*o.Jobs) // in order, for those who collect
	var all sync.WaitGroup
	workers := 0
	give := func(j job) {
		if workers < o.Jobs { // each begins with a run, so that there are no more of them than runs
			workers++
			all.Go(func() {
				for j := range jobs {
					j.done <- o.runJob(ctx, &j)
				}
			})
		}
		jobs <- j
	}
	all.Go(func() {
		defer close(queue)
		defer close(jobs)
		o.dispatch(ctx, give, queue)
	})
	for p := range queue {
		out := <-p.first.done
		if p.second != nil {
			out = o.compareRuns(ctx, out, <-p.second.done)
		}
		if out != nil && o.OnOutcome != nil {
			o.OnOutcome(out)
		}
	}
	all.Wait()
	return ctx.Err()
}

// dispatch gives out the runs in their order until the context ends.
func (o *Options) dispatch(ctx context.Context, give func(job), queue chan<- pair) {
	for seed := range o.Seeds {
		for _, b := range o.Bases {
			p := pair{first: job{b, seed, o.Situations, make(chan *Outcome, 1)}}
			if o.RepeatEvery > 0 && seed%o.RepeatEvery == 0 {
				p.second = &job{b, seed, false, make(chan *Outcome, 1)}
			}
			select {
			case queue <- p:
			case <-ctx.Done():
				return
			}
			give(p.first)
			if p.second != nil {
				give(*p.second)
			}
		}
	}
}

// one runs a seed; nil when it was interrupted.
func (o *Options) runJob(ctx context.Context, j *job) *Outcome {
	if ctx.Err() != nil {
		return nil
	}
	s, plan := Draw(j.base, j.seed)
	out := &Outcome{Base: j.base, Plan: plan, Verdict: reports.Failed}
	options := sim.Options{WithoutDelays: true}
	if j.marks {
		d := situations.New(situations.Settings{Start: s.Start, Zone: s.Zone, BlockDuration: s.Server.BlockDuration})
		options.Observers = []event.Subscription{{Observer: d, Kinds: situations.Kinds()}}
		out.Situations = &d.Counts
	}
	r, err := o.runWithinLimits(ctx, s, options)
	endless, isEndless := errors.AsType[*LimitExceeded](err)
	switch {
	case isEndless:
		out.Failures = []Failure{limitFailure(endless)}
		return out
	case ctx.Err() != nil && (err != nil || r.Run.Verdict == reports.Interrupted):
		return nil
	case err != nil:
		out.Failures = []Failure{brokenFailure(newCauseNames(j.base), err)}
		return out
	}
	out.setResult(&r.Run)
	return out
}

// setResult takes over what a run came to.
func (out *Outcome) setResult(r *reports.Run) {
	out.Verdict, out.Digest, out.VirtualSeconds, out.Events = r.Verdict, r.Digest, r.VirtualSeconds, r.Events
	out.Faults, out.Adversaries = r.Faults, r.Adversaries
	out.Failures = failures(r, out.Base)
}

// failures are those of a run, one of each cause, the earliest first.
func failures(r *reports.Run, base *scenarios.Scenario) []Failure {
	var all []Failure
	seen := map[string]bool{}
	n := newCauseNames(base)
	for i := range r.Checks {
		c := &r.Checks[i]
		if c.Verdict != reports.Failed {
			continue
		}
		if cause := n.causeOf(c); !seen[cause] {
			seen[cause] = true
			all = append(all, Failure{cause, *c})
		}
	}
	slices.SortStableFunc(all, func(a, b Failure) int { return earlier(&a.Check, &b.Check) })
	return all
}

// compareRuns is a run with a failure when its second one was another; nil when
// either was interrupted.
func (o *Options) compareRuns(ctx context.Context, a, b *Outcome) *Outcome {
	if a == nil || b == nil {
		return nil
	}
	a.Repeated = true
	switch {
	case a.Digest == b.Digest || a.Digest == "": // without a digest its own failure says why
		return a
	case b.Digest == "" && len(b.Failures) > 0:
		f := b.Failures[0]
		f.Check.Found = "in a second run: " + f.Check.Found
		a.addFailure(f)
		return a
	}
	s, _ := Draw(a.Base, a.Plan.Seed)
	a.addFailure(Failure{Cause: "a second run was another one", Check: reports.Check{
		Kind: reports.InvariantCheck, Name: SameRun, Verdict: reports.Failed, Evaluations: 1,
		Expected: "digest " + a.Digest,
		Found:    fmt.Sprintf("digest %s%s", b.Digest, firstDifference(ctx, s, o.Engine)),
	}})
	return a
}

// addFailure adds a failure that outweighs the others.
func (out *Outcome) addFailure(f Failure) {
	out.Verdict = reports.Failed
	out.Failures = slices.Insert(out.Failures, 0, f)
}

// Names of what no check of the run looks at.
const (
	RunEnds = "the run ends"
	SameRun = "a seed is one run"
	breaks  = "the run breaks: "
)

// brokenFailure is the failure of a run that could not be done.
func brokenFailure(n *causeNames, err error) Failure {
	f := Failure{Cause: breaks + n.normalize(firstLine(err.Error()))}
	f.Check = reports.Check{Kind: reports.InvariantCheck, Name: RunEnds, Verdict: reports.Failed, Evaluations: 1,
		Expected: "an outcome", Found: err.Error()}
	if b, ok := errors.AsType[*sim.Broken](err); ok {
		f.Cause = breaks + n.normalize(firstLine(b.Why))
		f.Check.LastEvents = linesOf(b.Stack)
	}
	return f
}

func limitFailure(e *LimitExceeded) Failure {
	cause := "the run does not end"
	if e.Wall > 0 {
		cause = fmt.Sprintf("the run was not finished in %v of real time", e.Wall)
	}
	return Failure{Cause: cause, Check: reports.Check{
		Kind: reports.InvariantCheck, Name: RunEnds, Verdict: reports.Failed, Evaluations: 1,
		Expected: "an end", Found: e.Error(),
	}}
}
