package live

import (
	"context"
	"time"

	"github.com/benbjohnson/clock"
)

// Clock is a clock that runs like another and shows another time. What it shows
// follows the monotonic time of the other one alone: nobody steps it.
type Clock struct {
	clock.Clock           // for timers
	base        time.Time // of the other clock
	shown       time.Time // when it showed base
}

// NewClock makes a clock that now shows the given time.
func NewClock(other clock.Clock, shows time.Time) *Clock {
	return &Clock{Clock: other, base: other.Now(), shown: shows.Round(0)}
}

// Now is what the clock shows.
func (c *Clock) Now() time.Time { return c.shown.Add(c.Clock.Now().Sub(c.base)) }

// Since is the time that has passed since t.
func (c *Clock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

// Until is the time until t.
func (c *Clock) Until(t time.Time) time.Duration { return t.Sub(c.Now()) }

// WithDeadline ends the context when the clock shows d.
func (c *Clock) WithDeadline(parent context.Context, d time.Time) (context.Context, context.CancelFunc) {
	return c.WithTimeout(parent, c.Until(d))
}
