package event

import (
	"math"
	"time"
)

// NodeClock relates the two clocks of one node (PROTOCOL.md section 1) to the clock
// of the world. At is a time of the world, in nanoseconds from time zero. Elapsed
// and Wall are the readings of the node's clocks at that time. From then on both
// run faster by PPM parts per million, or slower if PPM is negative.
type NodeClock struct {
	At      int64
	Elapsed time.Duration
	Wall    int64 // Unix nanoseconds
	PPM     float64
}

// gained returns the nanoseconds that a clock has gained dt >= 0 world nanoseconds
// after it began to drift. It is exact for drifts of whole parts per thousand
// million.
func gained(dt int64, ppm float64) int64 {
	const whole = int64(time.Second)
	parts := int64(math.Round(ppm * 1000))
	q, r := dt/whole*parts, dt%whole*parts
	if r < 0 {
		r -= whole - 1
	}
	return q + r/whole
}

// ElapsedAt returns the elapsed time that the node's clock shows at a time of the
// world from c.At on.
func (c *NodeClock) ElapsedAt(at int64) time.Duration {
	dt := at - c.At
	return c.Elapsed + time.Duration(dt+gained(dt, c.PPM))
}

// WallAt returns the wall time that the node's clock shows at a time of the world
// from c.At on.
func (c *NodeClock) WallAt(at int64) int64 {
	return c.Wall + int64(c.ElapsedAt(at)-c.Elapsed)
}

// When returns the first time of the world at which the node's clock shows the given
// elapsed time or more. For a time that has passed by c.At, it returns c.At.
func (c *NodeClock) When(elapsed time.Duration) int64 {
	if elapsed <= c.Elapsed {
		return c.At
	}
	if c.PPM == 0 {
		return c.At + int64(elapsed-c.Elapsed)
	}
	at := c.At + int64(float64(elapsed-c.Elapsed)/(1+c.PPM/1e6))
	for c.ElapsedAt(at) < elapsed {
		at += max(1, int64(elapsed-c.ElapsedAt(at))/2)
	}
	for at > c.At && c.ElapsedAt(at-1) >= elapsed {
		at--
	}
	return at
}
