package stats

import (
	"math"
	"math/rand/v2"
)

// MinSeconds is the least number of seconds for a bootstrap: a shorter run does
// not show its own variance.
const MinSeconds = 8

// BlockLength returns the length of a block of a run of n seconds: the square
// root of n.
func BlockLength(n int) int { return max(1, int(math.Round(math.Sqrt(float64(n))))) }

// DrawBlocks draws the first seconds of the blocks that make up a resampled run
// of n seconds, and returns them in starts, which it reuses. The blocks are
// circular: the first second follows the last. The last block is cut so that
// the resampled run has n seconds.
func DrawBlocks(n int, draws *rand.Rand, starts []int) []int {
	starts = starts[:0]
	for drawn := 0; drawn < n; drawn += BlockLength(n) {
		starts = append(starts, draws.IntN(n))
	}
	return starts
}

// Blocks resamples one run by a moving block bootstrap. Consecutive seconds are
// drawn together, because slow seconds come in groups.
type Blocks struct {
	seconds [][]Bin
	blocks  [][]Bin // by first second: the sum of a whole block
}

// NewBlocks returns the blocks of a run. Each second has its bins in the order
// of their cells.
func NewBlocks(seconds [][]Bin) *Blocks {
	b := &Blocks{seconds: seconds}
	sum := NewCounts()
	for first := range seconds {
		sum.Reset()
		for i := range BlockLength(len(seconds)) {
			sum.Add(seconds[(first+i)%len(seconds)])
		}
		b.blocks = append(b.blocks, sum.Bins())
	}
	return b
}

// AddTo adds the resampled run whose blocks begin at starts to a sum.
func (b *Blocks) AddTo(sum *Counts, starts []int) {
	n := len(b.seconds)
	for length, left := BlockLength(n), n; left > 0; left -= length {
		start := starts[(n-left)/length]
		if left >= length {
			sum.Add(b.blocks[start])
			continue
		}
		for i := range left {
			sum.Add(b.seconds[(start+i)%n])
		}
	}
}
