package live

import (
	"context"
	"math"
	"time"
)

// Run lets everything happen up to and including the time until. It returns with
// the lock held, so that the world stands still until Close.
func (w *World) Run(ctx context.Context, until time.Duration, poll func()) error {
	w.mu.Lock()
	w.held = true
	wake := context.AfterFunc(ctx, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.happened.Broadcast()
	})
	defer wake()
	var err error
	if w.mock != nil {
		err = w.step(ctx, until, poll)
	} else {
		err = w.follow(ctx, until, poll)
	}
	if w.err != nil {
		return w.err
	}
	return err
}

// pollEvery is how often the caller of Run hears of its progress.
const pollEvery = 100 * time.Millisecond

// follow runs each call when the clock has come to it.
func (w *World) follow(ctx context.Context, until time.Duration, poll func()) error {
	polled := w.elapsed()
	for !w.stop && ctx.Err() == nil {
		now := w.elapsed()
		if poll != nil && now >= polled+pollEvery {
			polled, w.now = now, max(w.now, now)
			poll()
		}
		if f, ok := w.calls.due(min(now, until), math.MaxUint64); ok {
			w.now = max(w.now, now)
			w.events++
			f()
			continue
		}
		if now >= until {
			w.now = max(w.now, until)
			break
		}
		next := until
		if at, ok := w.calls.next(); ok {
			next = min(next, at)
		}
		if poll != nil {
			next = min(next, now+pollEvery)
		}
		w.sleep(now, next)
	}
	w.stopAlarm()
	if ctx.Err() != nil {
		w.now = max(w.now, min(w.elapsed(), until))
	}
	return ctx.Err()
}

// sleep waits until the clock has come to a time, or something has happened.
func (w *World) sleep(now, until time.Duration) {
	if w.alarm == nil || w.alarmAt != until {
		w.stopAlarm()
		w.alarmAt = until
		w.alarm = w.config.Clock.AfterFunc(until-now, func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.alarm = nil
			w.happened.Broadcast()
		})
	}
	w.happened.Wait()
}

func (w *World) stopAlarm() {
	if w.alarm != nil {
		w.alarm.Stop()
		w.alarm = nil
	}
}
