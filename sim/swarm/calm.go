package swarm

import (
	"slices"
	"time"

	"bluetrace/scenarios"
)

// calm takes out what the file expects, and bounds what it does by the time at
// which all heals.
func (h *hand) calm() {
	s := h.s
	s.Expect, s.Thresholds = nil, nil
	least, most := leastHeal, min(mostHeal, max(h.scripted(), 2*time.Minute))
	h.plan.Heal = h.between(least, most)
	if h.one(8) {
		h.plan.Heal = min(max(s.Length, most), wholeHeal)
	}
	s.Length = 0
	h.calmRoutines()
	h.calmScript()
	faults, adversaries := s.Faults, s.Adversaries
	s.Faults, s.Adversaries = nil, nil
	for _, f := range faults {
		if f, ok := h.calmed(f); ok {
			h.fault(f)
		}
	}
	for _, a := range adversaries {
		if a.From < h.plan.Heal {
			a.Until = atMost(a.Until, h.plan.Heal)
			h.late = max(h.late, a.After.Longest())
			h.adversary(a)
		}
	}
}

// atMost is d, or most when d is 0, which has no end, or later.
func atMost(d, most time.Duration) time.Duration {
	if d == 0 || d > most {
		return most
	}
	return d
}

func (h *hand) calmRoutines() {
	heal := h.plan.Heal
	var left []scenarios.Routine
	for _, r := range h.s.Routine {
		if r.From >= heal {
			continue
		}
		if r.Within > 0 {
			r.Within = max(min(r.Within, heal-r.From), 1)
		} else {
			r.Until = atMost(r.Until, heal)
		}
		left = append(left, r)
	}
	h.s.Routine = left
}

// scripted is when the last step with a time of its own begins, or the file ends.
func (h *hand) scripted() time.Duration {
	last := h.s.Length
	for i := range h.s.Script {
		if at := h.s.Script[i].At; at.Label == "" {
			last = max(last, at.Offset)
		}
	}
	return last
}

// calmScript leaves the steps that begin before the heal, as far as that is
// known beforehand: those that wait for another one take its time as their own.
func (h *hand) calmScript() {
	heal := h.plan.Heal
	at := h.nominal()
	gone := map[string]bool{}
	for i, st := range h.s.Script {
		if at[i] >= heal && st.As != "" {
			gone[st.As] = true
		}
	}
	var left []scenarios.Step
	for i, st := range h.s.Script {
		if at[i] >= heal || gone[st.At.Label] || st.Fault != nil && !h.calmFault(&st, at[i]) {
			continue
		}
		if st.Expect, st.Optional = nil, true; idle(&st) {
			continue
		}
		h.keepLate(&st, at[i])
		left = append(left, st)
	}
	h.s.Script = left
}

// idle says that a step without its expectations does nothing.
func idle(st *scenarios.Step) bool {
	return st.As == "" && st.Login == nil && st.Password == nil && st.Do == nil && st.Forge == nil &&
		st.Datagrams == nil && st.TCP == nil && st.Restart == nil && st.Fault == nil
}

// keepLate remembers how long after the heal a step may go on. One that waits
// for another may have waited for the heal.
func (h *hand) keepLate(st *scenarios.Step, nominal time.Duration) {
	if st.At.Label == "" && !st.At.AfterPrevious {
		nominal -= h.plan.Heal
	}
	h.late = max(h.late, nominal+lasts(st))
}

// nominal is when each step begins if all that it waits for takes no time.
func (h *hand) nominal() []time.Duration {
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
				at[i] = at[i-1] + lasts(&script[i-1])
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

// lasts is how long a step goes on by its own wish.
func lasts(st *scenarios.Step) time.Duration {
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

// calmFault has the fault of a step end; false: it is left out.
func (h *hand) calmFault(st *scenarios.Step, at time.Duration) bool {
	f := *st.Fault
	if f.Kind == scenarios.FaultClock {
		if st.At.Label != "" || st.At.AfterPrevious {
			st.Fault = nil // when to put it right is not known
			return true
		}
		f.Chance = 1
		h.putRight(&f)
	} else if !f.Instant() {
		f.For = atMost(f.For, h.plan.Heal-at)
	}
	f.At, f.Every, f.Until = 0, 0, 0
	h.roomy(&f)
	f.Text = h.s.StepFaultText(&f)
	st.Fault = &f
	return true
}

// calmed is a fault of the file that is over by the heal; false when it begins
// later.
func (h *hand) calmed(f scenarios.Fault) (scenarios.Fault, bool) {
	heal := h.plan.Heal
	switch {
	case f.At >= heal:
		return f, false
	case f.Kind == scenarios.FaultClock:
		f.Chance, f.Every, f.Until = 1, 0, 0
	case f.Instant():
		if f.Every > 0 {
			f.Until = atMost(f.Until, heal)
		}
	case f.Every > 0 && heal-f.For > f.At:
		f.Until = atMost(f.Until, heal-f.For) // none begins that would outlast the heal
	default:
		f.Every, f.Until = 0, 0
		f.For = atMost(f.For, heal-f.At)
	}
	return f, true
}

// roomy gives a slow way room, if it has none of its own: else what waits for it
// may take many times as long as the fault. What waits at the end of the fault is
// still carried as slowly.
func (h *hand) roomy(f *scenarios.Fault) {
	if f.Kind != scenarios.FaultSlow || f.Stream {
		return
	}
	if f.Room == 0 {
		f.Room = f.Bytes * int(mostWait/time.Second)
	}
	last := time.Duration(float64(f.Room) / float64(f.Bytes) * float64(time.Second))
	h.behind = max(h.behind, last.Truncate(time.Millisecond)+time.Millisecond)
}

// fault puts a fault into the file, over by the heal.
func (h *hand) fault(f scenarios.Fault) {
	h.roomy(&f)
	f.Text = h.s.FaultText(&f)
	h.note("fault: %s", f.Text)
	h.s.Faults = append(h.s.Faults, f)
	if f.Kind == scenarios.FaultClock {
		h.putRight(&f)
	}
}

// putRight has a clock that was set wrong stepped to the right time at the
// heal. What drifts goes on drifting, but from there.
func (h *hand) putRight(wrong *scenarios.Fault) {
	off := wrong.Offset + wrong.Step + time.Duration(wrong.Drift*float64(h.plan.Heal)/1e6)
	if off == 0 {
		return
	}
	f := scenarios.Fault{Kind: scenarios.FaultClock, Chance: 1, Of: wrong.Of, At: h.plan.Heal, Step: -off}
	f.Text = h.s.FaultText(&f)
	h.wrongs = append(h.wrongs, f)
}

func (h *hand) adversary(a scenarios.Adversary) {
	a.Text = h.s.AdversaryText(&a)
	h.note("adversary: %s", a.Text)
	h.s.Adversaries = append(h.s.Adversaries, a)
}

// fit has what was drawn later not contradict what was there before: clocks are
// put right, and a login takes as long as the network that was drawn.
func (h *hand) fit() {
	h.s.Faults = slices.Concat(h.s.Faults, h.wrongs)
	for i := range h.s.Script {
		st := &h.s.Script[i]
		login := st.Login != nil || st.Do != nil && st.Do.Verb == scenarios.VerbLogin
		if login && st.At.Label != "" {
			st.At.Offset = max(st.At.Offset, h.s.LoginLead(st.Phone))
		}
	}
}
