package virtual

import (
	"context"
	"time"

	"github.com/benbjohnson/clock"
)

// Clock is the virtual time of a world as a clock.Clock, so that code written
// for that package can read it. Only reading is possible: a method that would
// need a channel, a goroutine or a callback panics, because nothing here runs
// beside the event loop and a timer that never fires would be worse.
//
// It does not embed clock.Mock: that would promote Set, Add and a Since that
// reads another time.
type Clock struct {
	world *World
}

var _ clock.Clock = (*Clock)(nil)

// Now is the world's wall time in the scenario's zone.
func (c *Clock) Now() time.Time {
	return time.Unix(0, c.world.wall(c.world.now)).In(c.world.zone.Location())
}

// Since is the virtual time that has passed since t.
func (c *Clock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

// Until is the virtual time until t.
func (c *Clock) Until(t time.Time) time.Duration { return t.Sub(c.Now()) }

func refuse(method string) string {
	return "virtual.Clock." + method + ": virtual time has no timers; a state machine says when it next wants to be woken"
}

// After panics.
func (c *Clock) After(time.Duration) <-chan time.Time { panic(refuse("After")) }

// AfterFunc panics.
func (c *Clock) AfterFunc(time.Duration, func()) *clock.Timer { panic(refuse("AfterFunc")) }

// Sleep panics.
func (c *Clock) Sleep(time.Duration) { panic(refuse("Sleep")) }

// Tick panics.
func (c *Clock) Tick(time.Duration) <-chan time.Time { panic(refuse("Tick")) }

// Ticker panics.
func (c *Clock) Ticker(time.Duration) *clock.Ticker { panic(refuse("Ticker")) }

// Timer panics.
func (c *Clock) Timer(time.Duration) *clock.Timer { panic(refuse("Timer")) }

// WithDeadline panics.
func (c *Clock) WithDeadline(context.Context, time.Time) (context.Context, context.CancelFunc) {
	panic(refuse("WithDeadline"))
}

// WithTimeout panics.
func (c *Clock) WithTimeout(context.Context, time.Duration) (context.Context, context.CancelFunc) {
	panic(refuse("WithTimeout"))
}
