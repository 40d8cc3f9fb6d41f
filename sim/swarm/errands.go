package swarm

import (
	"time"

	"bluetrace/scenarios"
)

// errands are what liveness takes for granted: that all is healed and over by
// then, and that nobody does something before what it needs was done. A
// smaller scenario without it fails in a right program as well.
type preconditions struct {
	heal    time.Duration
	longest time.Duration // of blocks, logins left half done, and logs
}

func preconditionsOf(drawn *scenarios.Scenario, heal time.Duration) *preconditions {
	return &preconditions{heal, longestOf(drawn)}
}

func longestOf(s *scenarios.Scenario) time.Duration {
	longest := max(s.Server.BlockDuration, s.Server.LoginTimeout)
	for _, g := range s.Phones {
		longest = max(longest, g.Retention)
	}
	return longest
}

// missing says what a candidate does not have; empty: it has all.
func (e *preconditions) missing(s *scenarios.Scenario) string {
	if longestOf(s) > e.longest {
		return "what was before the heal may not be over"
	}
	for i := range s.Faults {
		if why := notHealed(&s.Faults[i], e.heal); why != "" {
			return why
		}
	}
	if len(clockErrorsAtHeal(s, e.heal)) > 0 {
		return "clocks are wrong after the heal"
	}
	return firstUnprepared(s)
}

// firstUnprepared is the first step of liveness whose own conditions were taken away.
func firstUnprepared(s *scenarios.Scenario) string {
	in, has, heard := map[int]bool{}, map[int]bool{}, map[int]bool{}
	for i := range s.Script {
		st := &s.Script[i]
		if len(st.Expect) == 0 {
			continue
		}
		if st.Login != nil {
			in[st.Phone] = true
			continue
		}
		if st.Do == nil {
			continue
		}
		switch st.Do.Verb {
		case scenarios.VerbDownload:
			has[st.Phone] = in[st.Phone]
		case scenarios.VerbBeacon:
			for _, to := range st.Do.To {
				if !has[st.Phone] || !in[to] {
					return st.Text
				}
				heard[to] = true
			}
		case scenarios.VerbUpload:
			if entries := st.Expect[0].Entries; !in[st.Phone] || entries != nil && *entries > 0 && !heard[st.Phone] {
				return st.Text
			}
		}
		if !in[st.Phone] {
			return st.Text
		}
	}
	return ""
}

// notHealed says how a fault is not over at the heal; empty: it is over.
func notHealed(f *scenarios.Fault, heal time.Duration) string {
	switch {
	case f.Kind == scenarios.FaultClock:
		if f.At > heal {
			return "a clock is stepped after the heal"
		}
	case f.Every > 0:
		if last := f.At + (f.Until-1-f.At)/f.Every*f.Every; last+f.For > heal {
			return "the last time goes on until " + (last + f.For).String()
		}
	case f.Instant():
		if f.At > heal {
			return "it comes after the heal"
		}
	case f.For == 0 || f.At+f.For > heal:
		return "it goes on after the heal"
	}
	return ""
}

// clockErrorsAtHeal is by how much each node's clock is wrong then, when it is by more
// than a microsecond.
func clockErrorsAtHeal(s *scenarios.Scenario, heal time.Duration) map[int]time.Duration {
	off := map[int]time.Duration{}
	for i := range s.Faults {
		f := &s.Faults[i]
		if f.Kind != scenarios.FaultClock {
			continue
		}
		nodes := f.Of.Phones
		if f.Of.Server {
			nodes = append([]int{-1}, nodes...)
		}
		for _, n := range nodes {
			off[n] += f.Offset + f.Step + time.Duration(f.Drift*float64(heal)/1e6)
		}
	}
	for i := range s.Script {
		st := &s.Script[i]
		if st.Fault == nil || st.Fault.Kind != scenarios.FaultClock {
			continue
		}
		for _, n := range st.Fault.Of.Phones {
			off[n] += st.Fault.Step
		}
		if st.Fault.Of.Server {
			off[-1] += st.Fault.Step
		}
	}
	for n, d := range off {
		if d.Abs() < time.Microsecond {
			delete(off, n)
		}
	}
	return off
}
