package scenarios

import (
	"math"
	"time"
)

// Wall clocks show nanoseconds since 1970 in 64 bits: from September 1677 to April
// 2262. These bounds leave room for a run and all that is reckoned from its times.
const (
	firstYear = 1700
	lastYear  = 2200
	// mostSet is how far all that sets clocks may put them, the one way or the other.
	mostSet = 20 * 365 * 24 * time.Hour
)

// startRange refuses a start that is too far from 1970; at is where it stands.
func (b *builder) startRange(at *value, wall time.Time) {
	if y := wall.Year(); at != nil && (y < firstYear || y > lastYear) {
		b.at(at.pos, "`start` is %s, which is too far from 1970 for clocks that count nanoseconds; expected a year from %d to %d",
			quoted(at.text), firstYear, lastYear)
	}
}

// clockRange refuses clocks that are set too far, all faults taken together.
func (b *builder) clockRange() {
	var ahead, back float64
	one := func(f *Fault) {
		if f.Kind != FaultClock {
			return
		}
		far := float64(f.Offset) + float64(f.Step)*b.repeats(f)
		ahead += max(far, 0)
		back += max(-far, 0)
		if max(ahead, back) > float64(mostSet) {
			b.at(f.Pos, "with this fault, clocks are set by more than %s in all; expected `offset` and `step`, as often as they come, to add up to no more", shortDuration(mostSet))
			ahead, back = math.Inf(-1), math.Inf(-1) // once is enough
		}
	}
	for i := range b.s.Faults {
		one(&b.s.Faults[i])
	}
	for i := range b.s.Script {
		if f := b.s.Script[i].Fault; f != nil {
			one(f)
		}
	}
}

// repeats is how often a fault comes at most.
func (b *builder) repeats(f *Fault) float64 {
	if f.Every <= 0 {
		return 1
	}
	end := maxDuration
	if b.s.Length > 0 {
		end = b.s.Length
	}
	if f.Until > 0 {
		end = min(end, f.Until)
	}
	return 1 + max(float64(end-f.At), 0)/float64(f.Every)
}
