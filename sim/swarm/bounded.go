package swarm

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"bluetrace/scenarios"
	"bluetrace/sim"
)

// LimitExceeded is the error of a run that went beyond its limits.
type LimitExceeded struct {
	At     time.Duration // the virtual time that it had come to
	Events uint64
	Wall   time.Duration // the limit of real time that it went beyond; 0: that of events
}

func (e *LimitExceeded) Error() string {
	limit := "too many"
	if e.Wall > 0 {
		limit = fmt.Sprintf("not over after %v of real time, in which another machine may come further", e.Wall)
	}
	return fmt.Sprintf("at %v of virtual time, after %d events: %s", e.At, e.Events, limit)
}

// engineResult of an engine.
type engineResult struct {
	result *sim.Result
	err    error
}

// runWithinLimits runs a scenario within the limits. One that hangs between two events
// cannot be stopped: it is left behind.
func (o *Options) runWithinLimits(whole context.Context, s *scenarios.Scenario, options sim.Options) (*sim.Result, error) {
	ctx, cancel := context.WithCancelCause(whole)
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
	if o.Limits.Wall <= 0 || o.Limits.Timer == nil {
		r, err := o.Engine(ctx, s, options)
		return withCause(ctx, engineResult{r, err})
	}
	done := make(chan engineResult, 1)
	go func() {
		r, err := o.Engine(ctx, s, options)
		done <- engineResult{r, err}
	}()
	select {
	case a := <-done:
		return withCause(ctx, a)
	case <-whole.Done():
		return nil, whole.Err()
	case <-o.Limits.Timer(o.Limits.Wall):
		e := &LimitExceeded{At: time.Duration(at.Load()), Events: events.Load(), Wall: o.Limits.Wall}
		cancel(e)
		return nil, e
	}
}

// withCause is what a run came to, or that it was stopped for going on too long.
func withCause(ctx context.Context, a engineResult) (*sim.Result, error) {
	if e, ok := errors.AsType[*LimitExceeded](context.Cause(ctx)); ok {
		return nil, e
	}
	return a.result, a.err
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

func linesOf(text []byte) []string {
	return strings.Split(strings.TrimRight(string(text), "\n"), "\n")
}
