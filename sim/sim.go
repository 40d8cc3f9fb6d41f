// Package sim runs scenarios: it builds a world from a scenario, tells the
// script to it, watches every event with the checkers of sim/check, and
// answers with what the run came to.
package sim

import (
	"context"
	"fmt"
	"io"
	"runtime/debug"
	"time"

	"bluetrace/nodes/files"
	"bluetrace/reports"
	"bluetrace/scenarios"
	"bluetrace/sim/event"
)

// Options of one run.
type Options struct {
	// Trace gets one readable line for each event; nil: none.
	Trace io.Writer
	// Progress is called every few thousand events, or of a live run ten times a
	// second; nil: never.
	Progress func(Progress)
	// Warn is told, before a load begins, what this machine may not hold of it;
	// nil: nobody is, and it stands in the notes alone.
	Warn func(text string)
	// Stepped is called at time zero of a run in virtual time and every Step after
	// it, when all that happens up to then has happened; Step 0: never.
	Step    time.Duration
	Stepped func(Progress)
	// Meter is fed by a load run while it lasts; nil: by none. Any other run is
	// shown to it by whoever made it, through Progress.
	Meter *reports.Meter
	// Live asks for a run on real sockets; nil: it is in virtual time.
	Live *Live
	// Load is needed by a scenario with a load, which is on real sockets without
	// being asked; Live then only names a server elsewhere.
	Load *Load

	// WithoutDelays leaves the result's Operations out, for many short runs of which
	// nobody reads them.
	WithoutDelays bool
	// Commanded hears of everything that a routine, an adversary or the script did
	// at the given time, as a step that does the same at that time; nil: nobody.
	Commanded func(at time.Duration, st scenarios.Step)
	// Observers observe the run, before the invariants and the script.
	Observers []event.Subscription

	// Of tests: a function that gets the run before it begins, and a folder for the
	// server's files; nil for none.
	built  func(*run)
	folder *files.Memory
}

// Progress says how far a run is.
type Progress struct {
	At, Length time.Duration // of the world's time; Length 0: not known beforehand
	Events     uint64
	Doing      string // of a search: the step; else empty
	// Run is what the run has come to, without its checks; nil of a load run. It
	// must be called before the callback returns, and its histograms be read until
	// then.
	Run func() *reports.Run
}

// Result is what one scenario came to.
type Result struct {
	Run reports.Run
	// Ended is the end on the world's clock, from time zero; of a run that is no
	// load.
	Ended time.Duration
}

// Invalid is the error of a run whose input, found good by the parser, turned
// out not to be: a trace file that is missing or has too many people.
type Invalid struct {
	Place string // file:line:column of what named it
	Err   error
}

func (e *Invalid) Error() string {
	if e.Place == "" {
		return e.Err.Error()
	}
	return fmt.Sprintf("%s: %s", e.Place, e.Err)
}

func (e *Invalid) Unwrap() error { return e.Err }

// Broken is the error of a run that found the program itself wrong: a state
// machine or the world broke a rule of its own and stopped, with the numbers.
type Broken struct {
	Why string
	// Around are the last events of a run in virtual time, and At when it broke; none
	// of one that broke before its first event, or was live.
	At     time.Duration
	Around []string
	Stack  []byte
}

func (e *Broken) Error() string {
	return "the program itself is wrong, not the scenario; please report it with the scenario and its seed: " + e.Why
}

// broke is the error of a run that panicked; r is nil when it was not made yet.
func (r *run) broke(why any, stack []byte) (b *Broken) {
	b = &Broken{Why: fmt.Sprint(why), Stack: stack}
	if r == nil || r.options.Live != nil {
		return b
	}
	defer func() { _ = recover() }() // a world that broke a rule of its own may not be able to tell
	b.At, b.Around = r.world.Now(), r.records.Recent(-1, maxEventsAround)
	return b
}

// Run runs a scenario, in virtual time or live. When ctx is cancelled the run stops and
// what was found until then is the result, with the verdict Interrupted; when
// that was before its first event, the error is the context's. An *Invalid error
// means that the scenario's input is wrong, a *Broken one that the program is;
// any other, that the run could not be done.
func Run(ctx context.Context, s *scenarios.Scenario, o Options) (result *Result, err error) {
	began := time.Now()
	var r *run
	defer func() {
		if p := recover(); p != nil {
			result, err = nil, r.broke(p, debug.Stack())
		}
	}()
	if s.Load != nil {
		return runLoad(ctx, s, o)
	}
	if r, err = newRun(ctx, s, o); err != nil {
		return nil, err
	}
	defer func() {
		if e := r.close(); e != nil && err == nil {
			result, err = nil, e
		}
	}()
	played := r.play(ctx)
	if err := r.failure(played); err != nil {
		return nil, err
	}
	result = r.outcome(played != nil)
	result.Run.WallSeconds = seconds(time.Since(began))
	result.Run.PeakRSSBytes = peakRSS()
	return result, nil
}

// Ready says why a scenario's input is wrong or cannot be read, as Run would
// before its first event; nil: nothing is wrong. It reads recorded contacts through.
func Ready(ctx context.Context, s *scenarios.Scenario) error {
	r, err := newRun(ctx, s, Options{})
	if err != nil {
		return err
	}
	return r.close()
}
