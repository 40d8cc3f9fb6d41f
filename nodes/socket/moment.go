package socket

import (
	"time"

	"github.com/benbjohnson/clock"

	"bluetrace/nodes"
)

// now is this moment on both clocks of PROTOCOL.md section 1, from one reading.
// Elapsed counts from origin; on the real clock both are monotonic.
func now(c clock.Clock, origin time.Time) nodes.Now {
	t := c.Now()
	return nodes.Now{Elapsed: t.Sub(origin), Wall: t.UnixNano()}
}
