package scenarios

import (
	"fmt"
	"slices"
	"time"
)

// SearchSettings is how `search` goes about it. Its lowest rate is StartRate.
type SearchSettings struct {
	MaxRate    float64 // arrivals per second
	Resolution float64 // as a share of the rate, 0 to 1
	// Step and Confirm are how long a step and a confirming one last, without
	// their warm-ups; Confirm is the longer.
	Step, Confirm time.Duration
	Confidence    float64 // at least, of a confirming step, 0 to 1
}

// pacingKeys are the keys of one executor that others do not have: those that it
// needs, then those that it may have.
type pacingKeys struct{ needs, may []string }

func pacingOf(executor string) pacingKeys {
	switch executor {
	case RampingArrivalRate:
		return pacingKeys{needs: []string{"stages"}, may: []string{"start_rate"}}
	case Search:
		return pacingKeys{needs: []string{"start_rate", "max_rate", "duration"}, may: []string{"resolution", "confirm", "confidence"}}
	}
	return pacingKeys{needs: []string{"rate", "duration"}}
}

// ofSomeExecutor are the keys that not every executor has.
var ofSomeExecutor = [...]string{"rate", "duration", "start_rate", "stages", "max_rate", "resolution", "confirm", "confidence"}

// pacing reads the keys of the executor.
func (b *builder) pacing(v *value, t *Traffic) {
	if t.Executor == "" {
		return // complained of
	}
	keys := pacingOf(t.Executor)
	for _, key := range ofSomeExecutor {
		if v.has(key) && !slices.Contains(keys.needs, key) && !slices.Contains(keys.may, key) {
			b.at(v.keyPos(key), "`%s` is not of `%s`; expected %s", key, t.Executor, backquoted(keys.needs))
		}
	}
	for _, key := range keys.needs {
		if !v.has(key) || v.at(key).empty() {
			b.at(v.keyPos(key), "`%s` needs `%s`", t.Executor, key)
		}
	}
	switch t.Executor {
	case ConstantArrivalRate:
		t.StartRate = get[float64](v, "rate")
		t.Stages = []Stage{{duration(v, "duration"), t.StartRate}}
	case RampingArrivalRate:
		b.ramp(v, t)
	case Search:
		b.search(v, t)
	}
}

func (b *builder) ramp(v *value, t *Traffic) {
	t.StartRate = get[float64](v, "start_rate")
	for _, s := range v.at("stages").each() {
		t.Stages = append(t.Stages, Stage{duration(s, "duration"), get[float64](s, "rate")})
	}
	if t.WarmUp > 0 && t.StartRate == 0 && (!v.has("start_rate") || v.at("start_rate") != nil) {
		b.at(v.keyPos("warm_up"), "the warm-up goes at `start_rate`, which is 0; write a `start_rate` above 0")
	}
}

// confirmLeast is the shortest confirming step whose seconds say anything of its
// chance.
const confirmLeast = 8 * time.Second

func (b *builder) search(v *value, t *Traffic) {
	s := &SearchSettings{
		MaxRate: get[float64](v, "max_rate"), Resolution: get[float64](v, "resolution"),
		Step: duration(v, "duration"), Confirm: duration(v, "confirm"), Confidence: get[float64](v, "confidence"),
	}
	t.Search = s
	t.StartRate = get[float64](v, "start_rate")
	t.Stages = []Stage{{s.Step, t.StartRate}}
	start, most := v.at("start_rate"), v.at("max_rate")
	if start != nil && start.got != nil && t.StartRate == 0 {
		b.at(start.pos, "the first step goes at `start_rate`, which is 0; write a `start_rate` above 0")
	}
	if start != nil && most != nil && most.got != nil && s.MaxRate < t.StartRate {
		b.at(most.pos, "`max_rate` is %s, below the `start_rate` of %s, from which the search goes up", most.text, start.text)
	}
	switch at := v.keyPos("confirm"); {
	case s.Confirm == 0 || s.Step == 0: // complained of
	case s.Confirm < confirmLeast:
		b.at(at, "`confirm` is %v; the confidence comes from its seconds, of which it needs %v or more", s.Confirm, confirmLeast)
	case s.Confirm <= s.Step:
		b.at(at, "`confirm` is %v, and a step's `duration` %v: what confirms a step lasts longer than it", s.Confirm, s.Step)
	}
}

// The bounds of `resolution` and `confidence`: rates are written with three
// digits, and a thousand resamples tell no more than a tenth of a percent.
const (
	minResolution, maxResolution = 0.01, 0.5
	minConfidence, maxConfidence = 0.5, 0.999
)

// shareWord is a percentage from least to most, which are shares.
func shareWord(least, most float64) *shape {
	doc := fmt.Sprintf("a percentage from %g%% to %g%%", 100*least, 100*most)
	return formed("", doc, percent.String(), func(t string) (any, error) {
		p, err := parsePercent(t)
		if err == nil && (p < least-1e-12 || p > most+1e-12) { // 99.9/100 is a little more than 0.999
			return nil, errExpected
		}
		return p, err
	})
}
