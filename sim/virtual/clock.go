package virtual

import (
	"context"
	"time"

	"github.com/benbjohnson/clock"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/sim/event"
)

// clocks holds the clocks of the nodes. Each shows the time of the world until a
// fault changes it.
type clocks struct {
	now    *int64 // virtual time
	zone   *protocol.Zone
	start  int64             // wall time of time zero, Unix nanoseconds
	phones int               // number of phones
	nodes  []event.NodeClock // of the phones and then the server; nil if no clock was changed
}

// wall returns the wall time of the world, in Unix nanoseconds.
func (c *clocks) wall() int64 { return c.start + *c.now }

// of returns the clock of a node. A clock must have been changed.
func (c *clocks) of(node event.Node) *event.NodeClock {
	if node == event.Server {
		return &c.nodes[len(c.nodes)-1]
	}
	return &c.nodes[node]
}

// read returns the time that a node's clocks show. It is inlined, as are elapsed and
// when.
func (c *clocks) read(node event.Node) nodes.Now {
	if c.nodes != nil {
		return c.readChanged(node)
	}
	return nodes.Now{Elapsed: time.Duration(*c.now), Wall: c.start + *c.now}
}

func (c *clocks) readChanged(node event.Node) nodes.Now {
	own := c.of(node)
	elapsed := own.ElapsedAt(*c.now)
	return nodes.Now{Elapsed: elapsed, Wall: own.Wall + int64(elapsed-own.Elapsed)}
}

// elapsed returns the elapsed time that a node's clock shows.
func (c *clocks) elapsed(node event.Node) time.Duration { return c.read(node).Elapsed }

// when returns the virtual time at which a node's clock shows the elapsed time.
func (c *clocks) when(node event.Node, elapsed time.Duration) int64 {
	if c.nodes != nil {
		return c.whenChanged(node, elapsed)
	}
	return int64(elapsed)
}

func (c *clocks) whenChanged(node event.Node, elapsed time.Duration) int64 {
	return c.of(node).When(elapsed)
}

// change steps a node's wall clock and adds ppm to the drift of both of its clocks.
// It returns the clock with the time that it shows now.
func (c *clocks) change(node event.Node, step time.Duration, ppm float64) event.NodeClock {
	at := *c.now
	if c.nodes == nil {
		c.nodes = make([]event.NodeClock, c.phones+1)
		for i := range c.nodes {
			c.nodes[i] = event.NodeClock{At: at, Elapsed: time.Duration(at), Wall: c.wall()}
		}
	}
	own := c.of(node)
	if ppm != 0 {
		now := c.readChanged(node)
		*own = event.NodeClock{At: at, Elapsed: now.Elapsed, Wall: now.Wall, PPM: own.PPM + ppm}
	}
	own.Wall += int64(step)
	now := c.readChanged(node)
	return event.NodeClock{At: at, Elapsed: now.Elapsed, Wall: now.Wall, PPM: own.PPM}
}

// Clock is the virtual time of a world as a clock.Clock, for code that is written
// for that package. It can only be read: each method that needs a channel, a
// goroutine or a callback panics, because nothing runs beside the event loop and
// such a timer would never fire.
//
// It does not embed clock.Mock, which would promote Set, Add and a Since that reads
// another time.
type Clock struct {
	clocks *clocks
}

var _ clock.Clock = (*Clock)(nil)

// Now returns the world's wall time in the scenario's zone.
func (c *Clock) Now() time.Time {
	return time.Unix(0, c.clocks.wall()).In(c.clocks.zone.Location())
}

// Since returns the virtual time that has passed since t.
func (c *Clock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

// Until returns the virtual time until t.
func (c *Clock) Until(t time.Time) time.Duration { return t.Sub(c.Now()) }

func unsupported(method string) string {
	return "virtual.Clock." + method + ": virtual time has no timers; a state machine returns its next wake-up"
}

// After panics.
func (c *Clock) After(time.Duration) <-chan time.Time { panic(unsupported("After")) }

// AfterFunc panics.
func (c *Clock) AfterFunc(time.Duration, func()) *clock.Timer { panic(unsupported("AfterFunc")) }

// Sleep panics.
func (c *Clock) Sleep(time.Duration) { panic(unsupported("Sleep")) }

// Tick panics.
func (c *Clock) Tick(time.Duration) <-chan time.Time { panic(unsupported("Tick")) }

// Ticker panics.
func (c *Clock) Ticker(time.Duration) *clock.Ticker { panic(unsupported("Ticker")) }

// Timer panics.
func (c *Clock) Timer(time.Duration) *clock.Timer { panic(unsupported("Timer")) }

// WithDeadline panics.
func (c *Clock) WithDeadline(context.Context, time.Time) (context.Context, context.CancelFunc) {
	panic(unsupported("WithDeadline"))
}

// WithTimeout panics.
func (c *Clock) WithTimeout(context.Context, time.Duration) (context.Context, context.CancelFunc) {
	panic(unsupported("WithTimeout"))
}
