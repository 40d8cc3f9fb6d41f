package live

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/benbjohnson/clock"

	"bluetrace/nodes"
	"bluetrace/nodes/socket"
)

// scheduler keeps the time of a world and runs its calls. It owns the world's lock: all other types of this package
// are used with that lock held, unless a method states otherwise.
//
// With a clock.Mock the scheduler steps the clock from one deadline to the next. Before each call and each step it
// waits until the world is idle: no bytes, datagrams or stores are on their way and no machine is due to wake.
type scheduler struct {
	mu      sync.Mutex
	changed sync.Cond // on mu; signalled after each change for which Run or a goroutine may wait

	clock  clock.Clock
	mock   *clock.Mock // nil if the clock runs by itself
	origin time.Time   // time zero
	now    time.Duration
	events uint64

	calls   []call // in the order in which they run
	made    uint64 // number of calls made so far
	alarm   *clock.Timer
	alarmAt time.Duration

	phonesMayRead bool // false at the beginning of each instant of a stepped world
	stopped       bool
	closing       bool // the world is being closed: nothing is emitted and nothing waits any more
	err           error
	goroutines    sync.WaitGroup

	machines  []machine
	work      []iter.Seq2[uint64, string]
	idleLimit time.Duration // real time in which a stepped world must become idle
}

// machine is a host's state machine. nextWake returns the time at which it is to be woken, or false if it has none.
type machine struct {
	name     string
	nextWake func() (time.Duration, bool)
}

const (
	defaultIdleLimit = 20 * time.Second       // of scheduler.idleLimit
	pollInterval     = 100 * time.Millisecond // between two polls on a clock that runs by itself
	pollSteps        = 64                     // steps between two polls on a stepped clock
	forever          = time.Duration(math.MaxInt64)
)

func newScheduler(c *Config) *scheduler {
	s := &scheduler{
		clock: c.Clock, origin: time.Unix(c.Start, 0), now: c.Begin, phonesMayRead: true, idleLimit: defaultIdleLimit,
	}
	s.changed.L = &s.mu
	s.mock, _ = c.Clock.(*clock.Mock)
	return s
}

// addMachine adds a machine for whose deadlines a stepped world stops.
func (s *scheduler) addMachine(name string, nextWake func() (time.Duration, bool)) {
	s.machines = append(s.machines, machine{name, nextWake})
}

// addWork adds a source of unfinished work: its turns, or 0, and descriptions. A stepped world is idle if no source
// yields any.
func (s *scheduler) addWork(unfinished iter.Seq2[uint64, string]) {
	s.work = append(s.work, unfinished)
}

// call is a function to be run at a time.
type call struct {
	at    time.Duration
	order uint64 // of the calls of one time: the number of the call, plus lastCall for one that follows all others
	f     func()
}

const (
	lastCall = 1 << 63        // of call.order
	allCalls = math.MaxUint64 // limit of takeDue that includes every call
)

// callAt makes a call of f. A time that has passed means now.
func (s *scheduler) callAt(at time.Duration, last bool, f func()) {
	s.made++
	c := call{max(at, s.now), s.made, f}
	if last {
		c.order |= lastCall
	}
	i, _ := slices.BinarySearchFunc(s.calls, c, func(a, b call) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.order, b.order))
	})
	s.calls = slices.Insert(s.calls, i, c)
	if i == 0 {
		s.notify() // Run must wake earlier
	}
}

// takeDue removes and returns the first call that is due at now. It returns false if there is none, or if the order
// of that call is above limit. With a number of calls as limit, it thus returns only a call that is among the first
// limit calls made and is not a last one.
func (s *scheduler) takeDue(now time.Duration, limit uint64) (func(), bool) {
	if len(s.calls) == 0 || s.calls[0].at > now || s.calls[0].order > limit {
		return nil, false
	}
	f := s.calls[0].f
	s.calls = slices.Delete(s.calls, 0, 1)
	return f, true
}

// notify wakes Run and all goroutines that wait for a change.
func (s *scheduler) notify() { s.changed.Broadcast() }

// wait waits for the next change. It releases the lock meanwhile.
func (s *scheduler) wait() { s.changed.Wait() }

// notifyLater wakes all that wait, from a goroutine that does not hold the lock. set, if not nil, is called before.
func (s *scheduler) notifyLater(set func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if set != nil {
		set()
	}
	s.notify()
}

// realTimeout returns a flag that is set after d of real time, and the function that stops the timer.
func (s *scheduler) realTimeout(d time.Duration) (over *bool, stop func() bool) {
	over = new(bool)
	timer := socket.RealClock().AfterFunc(d, func() { s.notifyLater(func() { *over = true }) })
	return over, timer.Stop
}

// elapsed reads the clock.
func (s *scheduler) elapsed() time.Duration { return s.clock.Now().Sub(s.origin) }

// observe sets the time to that of an event which a host has observed. The world's time never runs backwards, even if
// hosts report out of order. observe returns false if the world is being closed.
func (s *scheduler) observe(now nodes.Now) bool {
	if s.closing {
		return false
	}
	s.now = max(s.now, now.Elapsed)
	s.events++
	return true
}

// locked calls f with the lock at the time of the clock, unless the world is being closed. The caller does not hold the
// lock.
func (s *scheduler) locked(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closing {
		s.advanceToClock()
		f()
	}
}

// advanceToClock does the same for an event that no host observes. A stepped clock already shows the world's time.
func (s *scheduler) advanceToClock() {
	if s.mock == nil {
		s.now = max(s.now, s.elapsed())
	}
	s.events++
	s.notify()
}

// stop makes run return after the current event.
func (s *scheduler) stop() {
	s.stopped = true
	s.notify()
}

// fail ends the run with an error, if there is one. The first error is kept.
func (s *scheduler) fail(err error) {
	if err != nil {
		s.err = cmp.Or(s.err, err)
		s.stop()
	}
}

// close makes all waiting goroutines return.
func (s *scheduler) close() {
	s.closing, s.stopped = true, true
	s.stopAlarm()
	s.notify()
}

// run handles all events up to and including the time until. See world.World.
func (s *scheduler) run(ctx context.Context, until time.Duration, poll func()) error {
	cancel := context.AfterFunc(ctx, func() { s.notifyLater(nil) })
	defer cancel()
	var err error
	if s.mock != nil {
		err = s.step(ctx, until, poll)
	} else {
		err = s.follow(ctx, until, poll)
	}
	if s.err != nil {
		return s.err
	}
	return err
}

// follow runs each call when a clock that runs by itself reaches the call's time.
func (s *scheduler) follow(ctx context.Context, until time.Duration, poll func()) error {
	polled := s.elapsed()
	for !s.stopped && ctx.Err() == nil {
		now := s.elapsed()
		if poll != nil && now >= polled+pollInterval {
			polled, s.now = now, max(s.now, now)
			poll()
		}
		if f, ok := s.takeDue(min(now, until), allCalls); ok {
			s.now = max(s.now, now)
			s.events++
			f()
			continue
		}
		if now >= until {
			s.now = max(s.now, until)
			break
		}
		next := until
		if len(s.calls) > 0 {
			next = min(next, s.calls[0].at)
		}
		if poll != nil {
			next = min(next, now+pollInterval)
		}
		s.sleep(now, next)
	}
	s.stopAlarm()
	if ctx.Err() != nil {
		s.now = max(s.now, min(s.elapsed(), until))
	}
	return ctx.Err()
}

// sleep waits until the clock reaches a time or the world changes.
func (s *scheduler) sleep(now, until time.Duration) {
	if s.alarm == nil || s.alarmAt != until {
		s.stopAlarm()
		s.alarmAt = until
		s.alarm = s.clock.AfterFunc(until-now, func() { s.notifyLater(func() { s.alarm = nil }) })
	}
	s.wait()
}

func (s *scheduler) stopAlarm() {
	if s.alarm != nil {
		s.alarm.Stop()
		s.alarm = nil
	}
}

// step sets the mock clock to one deadline after the other and runs the calls that are due.
func (s *scheduler) step(ctx context.Context, until time.Duration, poll func()) error {
	next := s.now
	for n := 1; ; n++ {
		if err := s.instant(ctx, next); err != nil || s.stopped {
			return err
		}
		if poll != nil && n%pollSteps == 0 {
			poll()
		}
		at, ok := s.nextDeadline()
		switch {
		case ok && at <= until:
			next = at
		case s.now < until && until != forever:
			next = until
		default:
			return nil
		}
	}
}

// instant handles everything that happens at one time: first the timers and the calls that were made before this
// instant, while phones read nothing, then the reads of the phones and the remaining calls. Virtual time has the same
// order: a step of a script finds its connection in the state in which the previous instant left it.
func (s *scheduler) instant(ctx context.Context, at time.Duration) error {
	before := s.made
	s.phonesMayRead = false
	s.setClock(at)
	if err := s.runCalls(ctx, before); err != nil || s.stopped {
		return err
	}
	s.phonesMayRead = true
	s.notify()
	return s.runCalls(ctx, allCalls)
}

// runCalls runs the calls that are due, with the limit of takeDue. The world is idle before each call and after the
// last one.
func (s *scheduler) runCalls(ctx context.Context, limit uint64) error {
	for {
		if err := s.waitUntilIdle(ctx); err != nil || s.stopped {
			return err
		}
		f, ok := s.takeDue(s.now, limit)
		if !ok {
			return nil
		}
		s.events++
		f()
	}
}

// setClock sets the mock clock without the lock, because timers that fire meanwhile need it.
func (s *scheduler) setClock(to time.Duration) {
	s.mu.Unlock()
	s.mock.Set(s.origin.Add(to))
	s.mu.Lock()
	s.now = to
}

// nextDeadline returns the time of the next call or wake-up of a machine, or false if there is none.
func (s *scheduler) nextDeadline() (time.Duration, bool) {
	next, found := time.Duration(0), len(s.calls) > 0
	if found {
		next = s.calls[0].at
	}
	for _, m := range s.machines {
		if at, ok := m.nextWake(); ok && (!found || at < next) {
			next, found = at, true
		}
	}
	return next, found
}

// waitUntilIdle waits until no work is unfinished. It returns an error with the unfinished work after idleLimit.
func (s *scheduler) waitUntilIdle(ctx context.Context) error {
	if s.idle() {
		return ctx.Err()
	}
	over, stop := s.realTimeout(s.idleLimit)
	defer stop()
	for ctx.Err() == nil && !s.stopped {
		if s.idle() {
			return nil
		}
		if *over {
			work := slices.Sorted(s.unfinished) // some of it comes from maps
			return fmt.Errorf("at %s the live world was still busy after %s of real time, waiting for: %s",
				s.now, s.idleLimit, strings.Join(work, "; "))
		}
		s.wait()
	}
	return ctx.Err()
}

func (s *scheduler) idle() bool {
	for range s.unfinished {
		return false
	}
	return true
}

// unfinished yields a description of each unfinished piece of work and of each wake-up that is due.
func (s *scheduler) unfinished(yield func(string) bool) {
	for _, source := range s.work {
		for _, text := range source {
			if !yield(text) {
				return
			}
		}
	}
	for _, m := range s.machines {
		if at, ok := m.nextWake(); ok && at <= s.now && !yield(fmt.Sprintf("the wake-up of %s at %s", m.name, at)) {
			return
		}
	}
}

// Clock is a clock that shows another time than the clock on which it is based. It follows the monotonic time of that
// clock, so a step of the system's wall clock does not affect it.
type Clock struct {
	clock.Clock           // for timers
	base        time.Time // time of the other clock at the creation
	shown       time.Time // time shown at the creation
}

// NewClock returns a clock that shows the time shows now.
func NewClock(other clock.Clock, shows time.Time) *Clock {
	return &Clock{Clock: other, base: other.Now(), shown: shows.Round(0)}
}

// Now returns the time that the clock shows.
func (c *Clock) Now() time.Time { return c.shown.Add(c.Clock.Now().Sub(c.base)) }

// Since returns the time passed since t.
func (c *Clock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

// Until returns the time until t.
func (c *Clock) Until(t time.Time) time.Duration { return t.Sub(c.Now()) }

// WithDeadline returns a context that ends when the clock shows d.
func (c *Clock) WithDeadline(parent context.Context, d time.Time) (context.Context, context.CancelFunc) {
	return c.WithTimeout(parent, c.Until(d))
}
