package virtual

import (
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"time"

	"gonum.org/v1/gonum/stat/distuv"
)

// Stream returns the random stream of one entity for one purpose. It is derived
// from (seed, entity, purpose) alone, so that streams of other entities or purposes
// never change it.
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

// Delay is a distribution of delays: constant if Min == Max, uniform between Min and
// Max, or exponential with the mean Mean if that is above 0.
type Delay struct {
	Min, Max, Mean time.Duration
}

// Draw draws a delay from src. A constant draws nothing.
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

// constant reports whether every draw is the same.
func (d Delay) constant() bool { return d.Mean <= 0 && d.Min == d.Max }

// chance returns true with probability p. It draws nothing if p is 0 or 1.
func chance(p float64, src rand.Source) bool {
	switch {
	case p <= 0:
		return false
	case p >= 1:
		return true
	}
	return distuv.Bernoulli{P: p, Src: src}.Rand() == 1
}

// streamReader reads a random stream as bytes, eight for each number.
type streamReader struct{ src rand.PCG }

// Read fills p. It never fails.
func (r *streamReader) Read(p []byte) (int, error) {
	var eight [8]byte
	for at := 0; at < len(p); at += len(eight) {
		binary.LittleEndian.PutUint64(eight[:], r.src.Uint64())
		copy(p[at:], eight[:])
	}
	return len(p), nil
}
