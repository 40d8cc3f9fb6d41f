package swarm

import (
	"slices"
	"time"

	"bluetrace/scenarios"
)

// baseline takes out what the file expects, and bounds what it does by the time at
// which all heals.
func (h *generator) baseline() {
	s := h.s
	s.Expect, s.Thresholds = nil, nil
	least, most := leastHeal, min(mostHeal, max(h.scriptEnd(), 2*time.Minute))
	h.plan.Heal = h.between(least, most)
	if h.oneIn(8) {
		h.plan.Heal = min(max(s.Length, most), wholeHeal)
	}
	s.Length = 0
	h.boundRoutines()
	h.boundScript()
	faults, adversaries := s.Faults, s.Adversaries
	s.Faults, s.Adversaries = nil, nil
	for _, f := range faults {
		if f, ok := h.boundFault(f); ok {
			h.addFault(f)
		}
	}
	for _, a := range adversaries {
		if a.From < h.plan.Heal {
			a.Until = capped(a.Until, h.plan.Heal)
			h.actionsAfterHeal = max(h.actionsAfterHeal, a.After.Longest())
			h.addAdversary(a)
		}
	}
}

// capped is d, or most when d is 0, which has no end, or later.
func capped(d, most time.Duration) time.Duration {
	if d == 0 || d > most {
		return most
	}
	return d
}

func (h *generator) boundRoutines() {
	heal := h.plan.Heal
	var left []scenarios.Routine
	for _, r := range h.s.Routine {
		if r.From >= heal {
			continue
		}
		if r.Within > 0 {
			r.Within = max(min(r.Within, heal-r.From), 1)
		} else {
			r.Until = capped(r.Until, heal)
		}
		left = append(left, r)
	}
	h.s.Routine = left
}

// scriptEnd is when the last step with a time of its own begins, or the file ends.
func (h *generator) scriptEnd() time.Duration {
	last := h.s.Length
	for i := range h.s.Script {
		if at := h.s.Script[i].At; at.Label == "" {
			last = max(last, at.Offset)
		}
	}
	return last
}

// boundScript leaves the steps that begin before the heal, as far as that is
// known beforehand: those that wait for another one take its time as their own.
func (h *generator) boundScript() {
	heal := h.plan.Heal
	at := h.nominalTimes()
	gone := map[string]bool{}
	for i, st := range h.s.Script {
		if at[i] >= heal && st.As != "" {
			gone[st.As] = true
		}
	}
	var left []scenarios.Step
	for i, st := range h.s.Script {
		if at[i] >= heal || gone[st.At.Label] || st.Fault != nil && !h.boundStepFault(&st, at[i]) {
			continue
		}
		if st.Expect, st.Optional = nil, true; hasNoEffect(&st) {
			continue
		}
		h.extendPastHeal(&st, at[i])
		left = append(left, st)
	}
	h.s.Script = left
}

// hasNoEffect says that a step without its expectations does nothing.
func hasNoEffect(st *scenarios.Step) bool {
	return st.As == "" && st.Login == nil && st.Password == nil && st.Do == nil && st.Forge == nil &&
		st.Datagrams == nil && st.TCP == nil && st.Restart == nil && st.Fault == nil
}

// extendPastHeal remembers how long after the heal a step may go on. One that waits
// for another may have waited for the heal.
func (h *generator) extendPastHeal(st *scenarios.Step, nominal time.Duration) {
	if st.At.Label == "" && !st.At.AfterPrevious {
		nominal -= h.plan.Heal
	}
	h.actionsAfterHeal = max(h.actionsAfterHeal, nominal+stepLength(st))
}

// nominalTimes is when each step begins if all that it waits for takes no time.
func (h *generator) nominalTimes() []time.Duration {
	script := h.s.Script
	at := make([]time.Duration, len(script))
	byName := map[string]int{}
	for i := range script {
		byName[script[i].As] = i
	}
	for range script { // a moment may stand below the step that waits for it
		same := true
		for i := range script {
			was := at[i]
			switch w := script[i].At; {
			case w.AfterPrevious && i > 0:
				at[i] = at[i-1] + stepLength(&script[i-1])
			case w.Label != "":
				at[i] = at[byName[w.Label]] + w.Offset
			default:
				at[i] = w.Offset
			}
			same = same && at[i] == was
		}
		if same {
			break
		}
	}
	return at
}

// stepLength is how long a step goes on by its own wish.
func stepLength(st *scenarios.Step) time.Duration {
	switch {
	case st.TCP != nil:
		return time.Duration(len(st.TCP.Send)) * st.TCP.Gap
	case st.Datagrams != nil:
		return time.Duration(len(st.Datagrams.Send)) * st.Datagrams.Gap
	case st.Forge != nil:
		return 4 * st.Forge.Gap
	case st.Restart != nil:
		return st.Restart.Down
	case st.Fault != nil:
		return st.Fault.For
	}
	return 0
}

// boundStepFault has the fault of a step end; false: it is left out.
func (h *generator) boundStepFault(st *scenarios.Step, at time.Duration) bool {
	f := *st.Fault
	if f.Kind == scenarios.FaultClock {
		if st.At.Label != "" || st.At.AfterPrevious {
			st.Fault = nil // when to put it right is not known
			return true
		}
		f.Chance = 1
		h.correctClock(&f)
	} else if !f.Instant() {
		f.For = capped(f.For, h.plan.Heal-at)
	}
	f.At, f.Every, f.Until = 0, 0, 0
	h.limitBacklog(&f)
	f.Text = h.s.StepFaultText(&f)
	st.Fault = &f
	return true
}

// boundFault is a fault of the file that is over by the heal; false when it begins
// later.
func (h *generator) boundFault(f scenarios.Fault) (scenarios.Fault, bool) {
	heal := h.plan.Heal
	switch {
	case f.At >= heal:
		return f, false
	case f.Kind == scenarios.FaultClock:
		f.Chance, f.Every, f.Until = 1, 0, 0
	case f.Instant():
		if f.Every > 0 {
			f.Until = capped(f.Until, heal)
		}
	case f.Every > 0 && heal-f.For > f.At:
		f.Until = capped(f.Until, heal-f.For) // none begins that would outlast the heal
	default:
		f.Every, f.Until = 0, 0
		f.For = capped(f.For, heal-f.At)
	}
	return f, true
}

// limitBacklog gives a slow way room, if it has none of its own: else what waits for it
// may take many times as long as the fault. What waits at the end of the fault is
// still carried as slowly.
func (h *generator) limitBacklog(f *scenarios.Fault) {
	if f.Kind != scenarios.FaultSlow || f.Stream {
		return
	}
	if f.Room == 0 {
		f.Room = f.Bytes * int(mostWait/time.Second)
	}
	last := time.Duration(float64(f.Room) / float64(f.Bytes) * float64(time.Second))
	h.backlogAfterHeal = max(h.backlogAfterHeal, last.Truncate(time.Millisecond)+time.Millisecond)
}

// addFault puts a fault into the file, over by the heal.
func (h *generator) addFault(f scenarios.Fault) {
	h.limitBacklog(&f)
	f.Text = h.s.FaultText(&f)
	h.note("fault: %s", f.Text)
	h.s.Faults = append(h.s.Faults, f)
	if f.Kind == scenarios.FaultClock {
		h.correctClock(&f)
	}
}

// correctClock has a clock that was set wrong stepped to the right time at the
// heal. What drifts goes on drifting, but from there.
func (h *generator) correctClock(wrong *scenarios.Fault) {
	off := wrong.Offset + wrong.Step + time.Duration(wrong.Drift*float64(h.plan.Heal)/1e6)
	if off == 0 {
		return
	}
	f := scenarios.Fault{Kind: scenarios.FaultClock, Chance: 1, Of: wrong.Of, At: h.plan.Heal, Step: -off}
	f.Text = h.s.FaultText(&f)
	h.clockCorrections = append(h.clockCorrections, f)
}

func (h *generator) addAdversary(a scenarios.Adversary) {
	a.Text = h.s.AdversaryText(&a)
	h.note("adversary: %s", a.Text)
	h.s.Adversaries = append(h.s.Adversaries, a)
}

// reconcile has what was drawn later not contradict what was there before: clocks are
// put right, and a login takes as long as the network that was drawn.
func (h *generator) reconcile() {
	h.s.Faults = slices.Concat(h.s.Faults, h.clockCorrections)
	for i := range h.s.Script {
		st := &h.s.Script[i]
		login := st.Login != nil || st.Do != nil && st.Do.Verb == scenarios.VerbLogin
		if login && st.At.Label != "" {
			st.At.Offset = max(st.At.Offset, h.s.LoginLead(st.Phone))
		}
	}
}
