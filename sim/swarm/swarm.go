// Package swarm searches for failures with generated scenarios. Each seed derives one scenario from a base scenario,
// with faults, adversaries, sizes and timings drawn from the seed. The package runs these scenarios in virtual time
// and reports which checks failed, in how many runs, and the command that repeats each failure.
//
// A generated run has two phases. In the safety phase, until Plan.Heal, faults and adversaries act, and only the
// invariants must hold. Then every fault ends. In the liveness phase, every phone with an account must be able to log
// in, download a TempID, send a beacon that is found valid, and upload its contact log, each within a time limit.
package swarm

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"bluetrace/reports"
	"bluetrace/scenarios"
	"bluetrace/sim"
	"bluetrace/sim/event"
	"bluetrace/sim/situations"
)

// GCPercent is the GOGC value for a program that only runs a swarm. A run allocates about 2 MB and is short, so that
// a rare collection is cheaper than the default of 100.
const GCPercent = 400

// Engine runs one scenario, as sim.Run does.
type Engine func(context.Context, *scenarios.Scenario, sim.Options) (*sim.Result, error)

// Options are the settings of Run.
type Options struct {
	Bases []*scenarios.Scenario // every seed runs each of them
	Seeds iter.Seq[uint64]      // in this order
	Jobs  int                   // number of workers; values below 1 count as 1
	// RepeatEvery repeats the runs of each seed that it divides, on another worker if there is one. Both runs must have
	// the same digest. 0 repeats none.
	RepeatEvery uint64
	Limits      Limits
	// Situations counts the situations of package situations in the first run of each seed, and not in its repetition.
	// Equal digests then also show that counting does not change a run.
	Situations bool
	// OnOutcome receives every outcome, in the order of seeds and then of Bases, independent of the number of workers.
	OnOutcome func(*Outcome)
	// Engine runs a scenario; nil stands for sim.Run.
	Engine Engine
}

// Limits bound one run. A run that exceeds a limit fails with a LimitExceeded error.
type Limits struct {
	Events uint64 // 0 is no limit
	// Wall is the limit of real time; 0 is none. A run that goes on, because its machine is busy, has ten times as much.
	Wall time.Duration
	// Timer is time.After, or the substitute of a test. Nil: Wall is not enforced.
	Timer func(time.Duration) <-chan time.Time
}

// job is one run of one seed of one base scenario.
type job struct {
	base       *scenarios.Scenario
	seed       uint64
	situations bool          // count the situations
	done       chan *Outcome // receives the outcome, or nil if the run was interrupted
}

// jobPair is the first run of a seed and its repetition.
type jobPair struct {
	first  job
	second *job // nil if the run is not repeated
}

// Run runs the seeds until they end or ctx is cancelled, and returns the error of ctx. It omits the outcomes of
// interrupted runs.
func Run(ctx context.Context, o Options) error {
	o.Jobs = max(o.Jobs, 1)
	if o.Engine == nil {
		o.Engine = sim.Run
	}
	jobs := make(chan job)
	queue := make(chan jobPair, 2*o.Jobs) // in the order of the outcomes
	var all sync.WaitGroup
	workers := 0
	start := func(j job) {
		if workers < o.Jobs { // workers start with a job, so that there are never more workers than jobs
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
		o.dispatch(ctx, start, queue)
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

// dispatch queues and starts the jobs in their order until ctx is cancelled.
func (o *Options) dispatch(ctx context.Context, start func(job), queue chan<- jobPair) {
	for seed := range o.Seeds {
		for _, base := range o.Bases {
			p := jobPair{first: job{base, seed, o.Situations, make(chan *Outcome, 1)}}
			if o.RepeatEvery > 0 && seed%o.RepeatEvery == 0 {
				p.second = &job{base, seed, false, make(chan *Outcome, 1)}
			}
			select {
			case queue <- p:
			case <-ctx.Done():
				return
			}
			start(p.first)
			if p.second != nil {
				start(*p.second)
			}
		}
	}
}

// runJob runs one seed. It returns nil if the run was interrupted.
func (o *Options) runJob(ctx context.Context, j *job) *Outcome {
	if ctx.Err() != nil {
		return nil
	}
	s, plan := Draw(j.base, j.seed)
	out := &Outcome{Base: j.base, Plan: plan, Verdict: reports.Failed}
	var late *Failure // the first fault that begins after the heal
	observe := func(e *event.Event) {
		if late == nil && e.At > plan.Heal {
			late = newCauseNames(j.base).lateFault(e, plan.Heal)
		}
	}
	d := situations.New(situations.Settings{Start: s.Start, Zone: s.Zone, BlockDuration: s.Server.BlockDuration})
	options := sim.Options{WithoutDelays: true, Subscribe: func(s *event.Stream) {
		s.On(event.FaultBegins, observe)
		if j.situations {
			d.Subscribe(s)
		}
	}}
	if j.situations {
		out.Situations = &d.Counts
	}
	r, err := o.runWithinLimits(ctx, s, options)
	exceeded, isExceeded := errors.AsType[*LimitExceeded](err)
	switch {
	case isExceeded:
		out.Failures = []Failure{limitFailure(exceeded)}
		return out
	case ctx.Err() != nil && (err != nil || r.Run.Verdict == reports.Interrupted):
		return nil
	case err != nil:
		out.Failures = []Failure{newCauseNames(j.base).brokenFailure(err)}
		return out
	}
	out.setResult(&r.Run)
	if late != nil {
		out.addFailure(*late)
	}
	return out
}

// LimitExceeded is the error of a run that exceeded one of its limits.
type LimitExceeded struct {
	At     time.Duration // the virtual time that the run had reached
	Events uint64        // the events until then
	Wall   time.Duration // the limit of real time that was exceeded; 0 if it was the limit of events
}

func (e *LimitExceeded) Error() string {
	limit := "the limit of events was exceeded"
	if e.Wall > 0 {
		limit = fmt.Sprintf("not finished after %v of real time, a limit that depends on the machine", e.Wall)
	}
	return fmt.Sprintf("at %v of virtual time, after %d events: %s", e.At, e.Events, limit)
}

// runWithinLimits runs a scenario and cancels it when it exceeds a limit. A run that blocks within one event does not
// see the cancellation: its goroutine is abandoned.
func (o *Options) runWithinLimits(
	parent context.Context, s *scenarios.Scenario, options sim.Options,
) (*sim.Result, error) {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	var at atomic.Int64
	var events atomic.Uint64
	options.Progress = func(p sim.Progress) {
		at.Store(int64(p.At))
		events.Store(p.Events)
		if o.Limits.Events > 0 && p.Events > o.Limits.Events {
			cancel(&LimitExceeded{At: p.At, Events: p.Events})
		}
	}
	type answer struct {
		result *sim.Result
		err    error
	}
	run := func() answer {
		r, err := o.Engine(ctx, s, options)
		if exceeded, ok := errors.AsType[*LimitExceeded](context.Cause(ctx)); ok {
			return answer{nil, exceeded}
		}
		return answer{r, err}
	}
	if o.Limits.Wall <= 0 || o.Limits.Timer == nil {
		a := run()
		return a.result, a.err
	}
	done := make(chan answer, 1)
	go func() { done <- run() }()
	e := &LimitExceeded{}
	for range slowdown {
		before := e.Events
		select {
		case a := <-done:
			return a.result, a.err
		case <-parent.Done():
			return nil, parent.Err()
		case <-o.Limits.Timer(o.Limits.Wall):
		}
		e.At, e.Events, e.Wall = time.Duration(at.Load()), events.Load(), e.Wall+o.Limits.Wall
		if e.Events == before {
			break
		}
	}
	cancel(e)
	return nil, e
}

// slowdown is the number of times that a run may exceed the limit of real time while its events go on.
const slowdown = 10
