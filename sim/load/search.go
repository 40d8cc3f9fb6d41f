package load

import "math"

// Answer is what a step of a search says of its rate.
type Answer int

// The answers.
const (
	Holds   Answer = iota // every threshold held
	Breaks                // one did not
	Unsure                // they held, but with less confidence than is asked for; of a confirming step
	Limited               // the generator was the bottleneck: nothing is known of the server
)

// Search decides at which rate the next step of a search goes: the rate doubles
// until a step does not hold, what lies between is halved, and the highest rate
// that held is confirmed by a longer step. If it is not confirmed, lower ones are
// tried, each by a longer step. A Search is a value: what comes next follows from
// the limits and the answers so far, and from nothing else.
//
// A step that does not hold is done once more, and counts when it does not hold
// again: a machine may stumble. Not so one that confirms, unless it was the
// generator that stumbled.
type Search struct {
	start, most, resolution float64

	next    Step
	again   bool // next has been tried before
	over    bool
	held    float64 // the highest rate that held in steps of the present kind; 0: none
	refused float64 // the lowest that did not; 0: none
	why     Answer  // of refused
	down    int     // confirming steps that have not held in a row
}

// Step is one run of a search.
type Step struct {
	Rate       float64 // arrivals per second
	Confirming bool
}

// NewSearch goes from start up to most, in arrivals per second, and ends when a
// rate that does not hold is above one that does by no more than resolution of
// it.
func NewSearch(start, most, resolution float64) Search {
	return Search{start: start, most: most, resolution: resolution, next: Step{Rate: start}}
}

// Next is the step that comes next; false: the search is over.
func (s Search) Next() (Step, bool) { return s.next, !s.over }

// After is the search after the step that Next named.
func (s Search) After(a Answer) Search {
	if a != Holds && !s.again && (a == Limited || !s.next.Confirming) {
		s.again = true
		return s
	}
	s.again = false
	if a == Holds {
		s.held = s.next.Rate
	} else {
		s.refused, s.why = s.next.Rate, a
	}
	switch {
	case s.next.Confirming:
		return s.confirmed()
	case s.held == 0: // not even the lowest
		s.over = true
	case s.refused == 0 && s.held < s.most:
		s.next.Rate = min(2*s.held, s.most)
	case s.refused == 0 || s.near():
		s.next = Step{s.held, true}
		s.held = 0
	default:
		s.next.Rate = between(s.held, s.refused)
	}
	return s
}

// confirmed goes on after a confirming step: down in growing steps until one
// holds, and then up again between that and what did not.
func (s Search) confirmed() Search {
	switch {
	case s.held == 0 && s.next.Rate <= s.start:
		s.over = true
	case s.held == 0:
		s.next.Rate = max(s.start, roundedUp(s.next.Rate/(1+s.resolution*math.Exp2(float64(s.down)))))
		s.down++
	case s.refused == 0 || s.near():
		s.over = true
	default:
		s.next.Rate = between(s.held, s.refused)
	}
	return s
}

// near says whether what held and what did not are within the resolution.
func (s Search) near() bool { return s.refused <= s.held*(1+s.resolution) }

// Capacity is what a search found.
type Capacity struct {
	Rate    float64 // the highest at which a confirming step held, arrivals per second; 0: none
	Refused float64 // the lowest above it at which a step did not hold; 0: none up to the highest
	Why     Answer  // of Refused
}

// Found is the capacity, when the search is over.
func (s Search) Found() Capacity {
	if !s.next.Confirming {
		return Capacity{0, s.refused, s.why}
	}
	return Capacity{s.held, s.refused, s.why}
}

// between is the geometric mean, with three digits where that lies between.
func between(low, high float64) float64 {
	mean := math.Sqrt(low * high)
	if r := rounded(mean); low < r && r < high {
		return r
	}
	return mean
}

// rounded has three digits.
func rounded(rate float64) float64 {
	unit := lastDigit(rate)
	return math.Round(rate/unit) * unit
}

// roundedUp has three digits, and is not below rate (but for what a float64
// loses).
func roundedUp(rate float64) float64 {
	unit := lastDigit(rate)
	return math.Ceil(rate/unit-1e-9) * unit
}

// lastDigit is the worth of the third digit.
func lastDigit(rate float64) float64 { return math.Pow10(int(math.Floor(math.Log10(rate))) - 2) }
