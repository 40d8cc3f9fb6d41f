package shrink

import (
	"context"
	"errors"
	"time"

	"bluetrace/reports"
	"bluetrace/scenarios"
	"bluetrace/sim"
	"bluetrace/sim/event"
	"bluetrace/sim/world"
)

// Observe records one effect of a fault.
func (r *Recording) Observe(e *event.Event) {
	r.Applied = append(r.Applied, world.Applied{
		At: int64(e.At), Fault: int(e.Number), Kind: e.Fault, Who: e.Node, Peer: e.Peer, Nth: e.Nth, Amount: e.Amount})
}

// VirtualTry tries candidates by running them. causes names the failures of a
// run, broken that of one that could not be done because the program is wrong.
// options are those of each run; what they listen to is replaced while recording.
func VirtualTry(options sim.Options, causes func(*reports.Run) []string, broken func(error) string) Try {
	return func(ctx context.Context, s *scenarios.Scenario, record bool) (TryResult, error) {
		var t TryResult
		o := options
		if record {
			o.Commanded = func(_ time.Duration, st scenarios.Step) { t.Recording.Steps = append(t.Recording.Steps, st) }
			o.Observers = []event.Subscription{{Observer: &t.Recording, Kinds: []event.Kind{event.FaultApplied}}}
		}
		r, err := sim.Run(ctx, s, o)
		if ctx.Err() != nil {
			return t, ctx.Err()
		}
		if _, wrong := errors.AsType[*sim.Broken](err); wrong {
			t.Causes = []string{broken(err)}
			return t, nil
		}
		if err != nil {
			return t, nil //nolint:nilerr // a candidate that cannot be run does not fail with the cause
		}
		t.Causes = causes(&r.Run)
		return t, nil
	}
}
