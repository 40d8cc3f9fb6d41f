package load

import (
	"math"
	"time"

	"bluetrace/scenarios"
)

// Pacer says when each arrival is due. The arrivals that are due before t are
// the integral of the rate up to t; arrival 0 is due when the rate is first
// above zero.
type Pacer struct {
	pieces []piece
	total  float64 // the integral of all
}

// piece is a time in which the rate changes evenly.
type piece struct {
	begin, length float64 // seconds
	from, to      float64 // arrivals per second
	before        float64 // arrivals that were due before it
}

// NewPacer paces a warm-up at the first rate, and then the stages.
func NewPacer(t *scenarios.Traffic) *Pacer {
	p := &Pacer{}
	at, rate := p.add(0, t.WarmUp, t.StartRate, t.StartRate), t.StartRate
	for _, s := range t.Stages {
		at = p.add(at, s.Duration, rate, s.Rate)
		rate = s.Rate
	}
	return p
}

func (p *Pacer) add(begin float64, length time.Duration, from, to float64) (end float64) {
	seconds := length.Seconds()
	if seconds > 0 {
		p.pieces = append(p.pieces, piece{begin, seconds, from, to, p.total})
		p.total += (from + to) / 2 * seconds
	}
	return begin + seconds
}

// Due is when arrival n, from 0, is due; false: there are no more. Times never
// decrease with n.
func (p *Pacer) Due(n int) (time.Duration, bool) {
	if float64(n) >= p.total-rounding {
		return 0, false
	}
	for i := range p.pieces {
		last := i == len(p.pieces)-1
		if one := &p.pieces[i]; last || float64(n) < p.pieces[i+1].before {
			return one.due(float64(n)), true
		}
	}
	return 0, false
}

// rounding is how far from a whole number of arrivals a sum of stages may be:
// an arrival at the very end of the last stage is not in it.
const rounding = 1e-6

// due solves from*x + (to-from)/(2*length)*x² = n-before for x, in the form that
// loses no digits when the rate hardly changes.
func (p *piece) due(n float64) time.Duration {
	left, slope := n-p.before, (p.to-p.from)/p.length
	x := 0.0
	if left > 0 {
		x = 2 * left / (p.from + math.Sqrt(max(0, p.from*p.from+2*slope*left)))
	}
	return time.Duration((p.begin + min(x, p.length)) * float64(time.Second))
}

// Rate is the arrivals per second at a time; 0 after the last stage.
func (p *Pacer) Rate(at time.Duration) float64 {
	t := at.Seconds()
	for i := range p.pieces {
		if one := &p.pieces[i]; t < one.begin+one.length {
			return one.from + (one.to-one.from)*max(0, t-one.begin)/one.length
		}
	}
	return 0
}

// End is when the last stage ends.
func (p *Pacer) End() time.Duration {
	last := p.pieces[len(p.pieces)-1]
	return time.Duration((last.begin + last.length) * float64(time.Second))
}
