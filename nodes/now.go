package nodes

import (
	"math"
	"time"
)

// Now is one moment on the two clocks of PROTOCOL.md section 1.
type Now struct {
	// Elapsed never steps; durations (retention, blocks, limits) run on it. It
	// never decreases from one call of a machine to its next, and may be negative.
	Elapsed time.Duration
	// Wall is Unix nanoseconds. It decides validity and what is written and printed.
	Wall int64
}

// Unix is the wall time cut to the second.
func (n Now) Unix() int64 {
	s := n.Wall / int64(time.Second)
	if n.Wall%int64(time.Second) < 0 {
		s--
	}
	return s
}

// later is t + d for d >= 0; what the type cannot hold is never.
func later(t, d time.Duration) time.Duration {
	if sum := t + d; sum >= t {
		return sum
	}
	return math.MaxInt64
}
