package load

import (
	"context"
	"fmt"
	"math"
	"time"

	"bluetrace/reports"
	"bluetrace/scenarios"
)

// Search computes the rate of the next step of a search. The rate doubles until a
// step does not hold, then the interval is halved, and the highest rate that held is
// confirmed by a longer step. If it is not confirmed lower rates are tried, each by a
// longer step. A Search is a value, and the next step depends only on the limits and
// the answers so far.
//
// A step that does not hold is repeated once, and counts if it does not hold again:
// other work of the machine may have disturbed it. A confirming step is repeated only
// if the generator was the bottleneck.
type Search struct {
	start, most, resolution float64

	next    Step
	again   bool                // next is being repeated
	over    bool                // there is no next step
	held    float64             // the highest rate that held in steps of this kind; 0 if there is none
	refused float64             // the lowest rate that did not; 0 if there is none
	why     reports.StepOutcome // of refused
	down    int                 // confirming steps that have not held in a row
}

// Step is one run of a search.
type Step struct {
	Rate       float64 // arrivals per second
	Confirming bool
}

// NewSearch returns a search from start up to most, in arrivals per second. It ends
// when the lowest rate that does not hold is above the highest that does by at most
// the share resolution.
func NewSearch(start, most, resolution float64) Search {
	return Search{start: start, most: most, resolution: resolution, next: Step{Rate: start}}
}

// Next returns the next step, or false if the search is over.
func (s Search) Next() (Step, bool) { return s.next, !s.over }

// After returns the search after the step that Next returned.
func (s Search) After(a reports.StepOutcome) Search {
	if a != reports.StepPassed && !s.again && (a == reports.StepGeneratorLimited || !s.next.Confirming) {
		s.again = true
		return s
	}
	s.again = false
	if a == reports.StepPassed {
		s.held = s.next.Rate
	} else {
		s.refused, s.why = s.next.Rate, a
	}
	switch {
	case s.next.Confirming:
		return s.confirmed()
	case s.held == 0: // the lowest rate does not hold
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

// confirmed returns the search after a confirming step. The rates of confirming steps
// decrease in growing intervals until a step holds. Then they lie between the highest
// rate that held and the lowest that did not.
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

// near reports whether the two rates are within the resolution.
func (s Search) near() bool { return s.refused <= s.held*(1+s.resolution) }

// Capacity is the result of a search.
type Capacity struct {
	Rate    float64             // arrivals per second; the highest at which a confirming step held, 0 if there is none
	Refused float64             // the lowest above it at which a step did not hold, 0 if there is none
	Why     reports.StepOutcome // of Refused
}

// Found returns the capacity once the search is over.
func (s Search) Found() Capacity {
	if !s.next.Confirming {
		return Capacity{0, s.refused, s.why}
	}
	return Capacity{s.held, s.refused, s.why}
}

// between returns the geometric mean, rounded to three digits if that lies between.
func between(low, high float64) float64 {
	mean := math.Sqrt(low * high)
	if r := rounded(mean); low < r && r < high {
		return r
	}
	return mean
}

// rounded returns the rate rounded to three digits.
func rounded(rate float64) float64 {
	unit := lastDigit(rate)
	return math.Round(rate/unit) * unit
}

// roundedUp rounds up to three digits, with a tolerance for the error of a float64.
func roundedUp(rate float64) float64 {
	unit := lastDigit(rate)
	return math.Ceil(rate/unit-1e-9) * unit
}

// lastDigit returns the place value of the third significant digit of a rate: 10 for 1270, 0.1 for 12.7.
func lastDigit(rate float64) float64 { return math.Pow10(int(math.Floor(math.Log10(rate))) - 2) }

// Probe returns the time that the first phone takes to connect, log in and download
// a TempID while there is no other load. Nothing is measured. The phone is one of this process.
func Probe(ctx context.Context, c Config) (took time.Duration, err error) {
	c.Phones, c.Meter, c.Generators = c.Phones[:1], reports.NewMeter("", ""), nil
	c.Traffic = &scenarios.Traffic{
		Timeout: c.Traffic.Timeout,
		Mix:     []scenarios.Weight{{Verb: scenarios.VerbDownload, Weight: 1}},
	}
	e := newEngine(ctx, c)
	defer func() {
		if closed := e.close(); err == nil {
			err = closed
		}
	}()
	began := e.now()
	if err := e.prepare(); err != nil {
		return 0, err
	}
	return e.now() - began, nil
}

// A server has recovered from a step when a probe takes at most recoveredFactor
// times the time before the search, plus recoveredSpare for a slow write to a disk.
const (
	recoveredFactor = 2
	recoveredSpare  = 20 * time.Millisecond
	probePause      = 200 * time.Millisecond
)

// Recover waits until a probe takes about as long as the probe of the idle server
// did. It returns an error if the server does not recover within limit.
func Recover(ctx context.Context, c Config, idle, limit time.Duration) error {
	began := c.Clock.Now()
	for {
		took, err := Probe(ctx, c)
		switch {
		case ctx.Err() != nil:
			return &Interrupted{"the server recovered from a step of the search"}
		case err == nil && took <= recoveredFactor*idle+recoveredSpare:
			return nil
		case c.Clock.Since(began) < limit:
			c.Clock.Sleep(probePause)
		case err != nil:
			return fmt.Errorf("the server had not recovered %v later: %w", limit, err)
		default:
			return fmt.Errorf("the server had not recovered %v later: a login and a download took %v, "+
				"and %v before the search", limit, took.Round(time.Millisecond/10), idle.Round(time.Millisecond/10))
		}
	}
}
