package live

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"bluetrace/nodes/socket"
)

// hangLimit is how long, in real time, a stepped world may take to come to rest.
const hangLimit = 20 * time.Second

// pollSteps is how many steps lie between two polls.
const pollSteps = 64

// step sets the clock to one deadline after the other, and runs the calls that
// are due then.
func (w *World) step(ctx context.Context, until time.Duration, poll func()) error {
	next := w.now
	for n := 1; ; n++ {
		if err := w.instant(ctx, next); err != nil || w.stop {
			return err
		}
		if poll != nil && n%pollSteps == 0 {
			poll()
		}
		at, ok := w.nextDeadline()
		switch {
		case ok && at <= until:
			next = at
		case w.now < until && until != forEver:
			next = until
		default:
			return nil
		}
	}
}

// instant handles everything that happens at one time: what is due, the calls
// that were asked for before it, what comes of both, and the other calls.
func (w *World) instant(ctx context.Context, at time.Duration) error {
	before := w.calls.seq
	w.gated = true
	w.setClock(at)
	if err := w.runCalls(ctx, before); err != nil || w.stop {
		return err
	}
	w.gated = false
	w.happened.Broadcast()
	return w.runCalls(ctx, math.MaxUint64)
}

// runCalls runs the calls that are due, each once the world is at rest, and lets
// it come to rest; when before is not the largest number, only those that were
// made up to it and are not to be the last of their instant.
func (w *World) runCalls(ctx context.Context, before uint64) error {
	for {
		if err := w.rest(ctx); err != nil || w.stop {
			return err
		}
		f, ok := w.calls.due(w.now, before)
		if !ok {
			return nil
		}
		w.events++
		f()
	}
}

const forEver = time.Duration(1<<63 - 1)

// setClock sets the mock, whose timers fire meanwhile.
func (w *World) setClock(to time.Duration) {
	w.mu.Unlock()
	w.mock.Set(w.origin.Add(to))
	w.mu.Lock()
	w.now = to
}

// nextDeadline is when a node wants to be woken, or a call is due.
func (w *World) nextDeadline() (time.Duration, bool) {
	next, any := w.calls.next()
	sooner := func(at time.Duration, ok bool) {
		if ok && (!any || at < next) {
			next, any = at, true
		}
	}
	for _, p := range w.phones {
		if p.host != nil {
			sooner(p.host.Machine().NextWake())
		}
	}
	if s := w.host.server; s != nil {
		sooner(s.Machine().NextWake())
	}
	return next, any
}

// rest waits until nothing is under way.
func (w *World) rest(ctx context.Context) error {
	if w.awaited() == "" {
		return ctx.Err()
	}
	over := false
	limit := socket.RealClock().AfterFunc(w.hangOver, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		over = true
		w.happened.Broadcast()
	})
	defer limit.Stop()
	for ctx.Err() == nil && !w.stop {
		if w.awaited() == "" {
			return nil
		}
		if over {
			return fmt.Errorf("at %s the live world has not come to rest within %s of real time; it waits for: %s",
				w.now, w.hangOver, strings.Join(w.allAwaited(), "; "))
		}
		w.happened.Wait()
	}
	return ctx.Err()
}

// awaited is one thing that is under way; empty: nothing is.
func (w *World) awaited() string {
	found := ""
	w.awaits(func(what string) bool { found = what; return false })
	return found
}

func (w *World) allAwaited() []string {
	var all []string
	w.awaits(func(what string) bool { all = append(all, what); return true })
	slices.Sort(all) // the links are in a map
	return all
}

// awaits yields everything that is under way: what is due, what is on a socket,
// and what a disk was asked for.
func (w *World) awaits(yield func(string) bool) {
	for _, p := range w.phones {
		if p.host == nil {
			continue
		}
		if at, ok := p.host.Machine().NextWake(); ok && at <= w.now && !yield(fmt.Sprintf("the wake-up of %s at %s", w.names[p.who], at)) {
			return
		}
	}
	if what := w.host.awaited(w.now); what != "" && !yield(what) {
		return
	}
	more := true
	w.underWay(func(_ uint64, what string) bool {
		more = yield(what)
		return more
	})
	if !more {
		return
	}
	for way, under := range w.air {
		if len(under) > 0 && !yield(fmt.Sprintf("%d datagrams from %s to %s", len(under), way.from, w.names[way.to])) {
			return
		}
	}
}
