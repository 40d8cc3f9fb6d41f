package virtual

import (
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"time"

	"gonum.org/v1/gonum/stat/distuv"
)

// Stream is the random stream of one entity for one purpose. Streams of other
// entities or purposes never change it: it is derived from (seed, entity,
// purpose) alone.
func Stream(seed uint64, entity, purpose string) rand.PCG {
	h := sha256.New()
	var b [8]byte
	for _, part := range []string{entity, purpose} {
		binary.BigEndian.PutUint64(b[:], uint64(len(part)))
		h.Write(b[:])
		h.Write([]byte(part))
	}
	binary.BigEndian.PutUint64(b[:], seed)
	h.Write(b[:])
	sum := h.Sum(nil)
	return *rand.NewPCG(binary.BigEndian.Uint64(sum), binary.BigEndian.Uint64(sum[8:]))
}

// Delay is a distribution of delays: constant (Min == Max), uniform between
// Min and Max, or exponential with the mean Mean when that is set.
type Delay struct {
	Min, Max, Mean time.Duration
}

// Draw takes a delay from src; a constant draws nothing.
func (d Delay) Draw(src rand.Source) time.Duration {
	switch {
	case d.Mean > 0:
		return time.Duration(distuv.Exponential{Rate: 1 / float64(d.Mean), Src: src}.Rand())
	case d.Min == d.Max:
		return d.Min
	default:
		return time.Duration(distuv.Uniform{Min: float64(d.Min), Max: float64(d.Max), Src: src}.Rand())
	}
}

// constant says whether every draw is the same.
func (d Delay) constant() bool { return d.Mean <= 0 && d.Min == d.Max }

// chance is true with probability p; certain outcomes draw nothing.
func chance(p float64, src rand.Source) bool {
	switch {
	case p <= 0:
		return false
	case p >= 1:
		return true
	}
	return distuv.Bernoulli{P: p, Src: src}.Rand() == 1
}
