package nodes

import (
	"math"
	"time"

	"bluetrace/protocol"
)

// Now is the time of an input on both clocks of PROTOCOL.md section 1.
type Now struct {
	// Elapsed is the clock of durations (retention, blocks, limits). It never
	// decreases from one input of a machine to the next. It may be negative.
	Elapsed time.Duration
	// Wall is Unix nanoseconds. It decides validity and is the time that is
	// written and printed. It may step.
	Wall int64
}

// Unix returns the wall time in Unix seconds, rounded down.
func (n Now) Unix() int64 {
	return protocol.UnixSeconds(n.Wall)
}

// later returns t + d for d >= 0, or the largest time if that overflows.
func later(t, d time.Duration) time.Duration {
	if sum := t + d; sum >= t {
		return sum
	}
	return math.MaxInt64
}

// remainder returns the time that is left at wall of a period of length full that ends
// at until. wall and until are in Unix nanoseconds. The result is at least zero and at
// most full (PROTOCOL.md section 1, "Two clocks").
func remainder(until, wall int64, full time.Duration) time.Duration {
	if until <= wall {
		return 0
	}
	left := uint64(until) - uint64(wall) // exact even if int64 would overflow
	return time.Duration(min(left, uint64(full)))
}
