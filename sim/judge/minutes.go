package judge

import (
	"cmp"
	"slices"
	"time"

	"bluetrace/scenarios"
)

// The durations of the course.
const (
	courseRetention = 3 * time.Minute
	courseLifetime  = 15 * time.Minute
	// shortWait is the longest retention or lifetime that a rule awaits in real time although it could be hastened.
	shortWait   = 30 * time.Second
	longestWait = 5 * time.Minute // of a rule in real time
)

func (j *judgement) retention() time.Duration { return cmp.Or(j.Retention, courseRetention) }

func (j *judgement) lifetime() time.Duration { return cmp.Or(j.Lifetime, courseLifetime) }

// setMinutes sets the variables of the rules about the retention and the lifetime. The tolerances have the same
// proportion to them as in the course, and are long enough for a busy machine.
func (j *judgement) setMinutes(vars map[string]string) {
	set := func(name string, d, whole time.Duration) {
		if whole > shortWait && j.rate > 1 {
			d /= time.Duration(j.rate)
		}
		vars[name] = d.Round(10 * time.Millisecond).String()
	}
	part := func(whole, n, least time.Duration) time.Duration { return max(whole/n, least) }
	r, l := j.retention(), j.lifetime()
	set("RETENTION", r, r)
	set("EARLY", part(r, 36, time.Second), r)
	late := part(r, 9, 2*time.Second)
	set("LATE", late, r)
	set("GAP", late+max(late, 4*time.Second), r)
	set("LIFE", l, l)
	set("AFTER", part(l, 15, 2*time.Second), l)
	vars["LIFETIME"] = l.String() // of the server's own clock
}

// awaited returns the retention or the lifetime that a rule about minutes awaits.
func (j *judgement) awaited(s *scenarios.Scenario) time.Duration {
	if _, awaits := s.Vars["LIFE"]; awaits {
		return j.lifetime()
	}
	return j.retention()
}

// isShort reports whether a rule about minutes awaits a short retention or lifetime.
func (j *judgement) isShort(s *scenarios.Scenario) bool { return j.awaited(s) <= shortWait }

// isHastened reports whether a rule runs with a hastened clock.
func (j *judgement) isHastened(s *scenarios.Scenario) bool {
	return slices.Contains(s.Rule.Needs, "hastened") && j.rate > 1 && !j.isShort(s)
}

// isSlow reports whether a rule awaits minutes in real time.
func (j *judgement) isSlow(s *scenarios.Scenario) bool {
	return slices.Contains(s.Rule.Needs, "hastened") && j.rate < 2 && !j.isShort(s)
}
