package shrink

import (
	"cmp"
	"slices"
	"time"

	"bluetrace/scenarios"
	"bluetrace/scenarios/fault"
	"bluetrace/sim/event"
)

// makeExplicit replaces random draws by their recorded results: in the steps, the faults and the delays. If the failure
// does not remain, it tries to replace the draws of one of the three at a time.
func (w *search) makeExplicit(failing *scenarios.Scenario, rec *Recording) {
	steps, faults := explicitSteps(failing, rec), explicitFaults(failing, rec)
	setSteps := func(s *scenarios.Scenario) {
		s.Script, s.Routine, s.Adversaries, s.Contacts = steps, nil, nil, scenarios.Contacts{}
	}
	setFaults := func(s *scenarios.Scenario) { s.Faults = faults }
	setDelays := func(s *scenarios.Scenario) {
		n := &s.Network
		n.TCP.Delay, n.UDP.Delay = constantMean(n.TCP.Delay), constantMean(n.UDP.Delay)
		if n.UDP.Lose < 1 {
			n.UDP.Lose = 0
		}
		s.Server.DiskDelay = constantMean(s.Server.DiskDelay)
	}
	if w.accept(w.changed(func(s *scenarios.Scenario) {
		setSteps(s)
		setFaults(s)
		setDelays(s)
	})) {
		w.report.SeedIndependent = true
		return
	}
	w.accept(w.changed(setFaults))
	w.accept(w.changed(setSteps))
	w.accept(w.changed(setDelays))
}

// explicitSteps returns the recorded optional commands and the mandatory steps of the script, ordered by time.
func explicitSteps(s *scenarios.Scenario, rec *Recording) []scenarios.Step {
	var steps []scenarios.Step
	for _, st := range rec.Steps {
		if st.Optional { // the other steps are taken from the script, with their expectations
			st.Before = 0 // it has a time of its own now
			steps = append(steps, st)
		}
	}
	for i := range s.Script {
		if st := &s.Script[i]; !st.Optional {
			steps = append(steps, *st)
		}
	}
	slices.SortStableFunc(steps, func(a, b scenarios.Step) int { return cmp.Compare(a.At.Offset, b.At.Offset) })
	return steps
}

// explicitFaults returns the deterministic faults of the scenario, and one fault for each recorded effect of the
// others. It omits effects on the additional programs of a phone: the language cannot name such a program, and a fault
// of a phone affects all its programs.
func explicitFaults(s *scenarios.Scenario, rec *Recording) []scenarios.Fault {
	var out []scenarios.Fault
	for i := range s.Faults {
		if f := &s.Faults[i]; isDeterministic(f) {
			out = append(out, *f)
		}
	}
	phones := uint32(len(s.PhoneNames()))
	isNode := func(n uint32) bool { return n == event.Server || n < phones }
	for _, a := range rec.Effects {
		if a.Fault < 0 || a.Fault >= len(s.Faults) { // the fault of a step, which the script contains
			continue
		}
		if f := &s.Faults[a.Fault]; !isDeterministic(f) && isNode(a.Node) && isNode(a.Peer) {
			out = append(out, occurrence(f, &a))
		}
	}
	return out
}

// isDeterministic reports whether a fault has the same effect under every seed.
func isDeterministic(f *scenarios.Fault) bool {
	switch {
	case f.Every > 0, f.Chance > 0 && f.Chance < 1:
		return false
	case f.Kind == fault.Corrupt && f.Bytes == 0, f.Kind == fault.Truncate && f.Bytes < 0:
		return false
	}
	return f.Delay.Mean == 0 && f.Delay.Min == f.Delay.Max
}

// occurrence returns one effect of a fault as a fault of its own.
func occurrence(from *scenarios.Fault, a *Effect) scenarios.Fault {
	f := *from
	f.Chance, f.Every, f.Until = 1, 0, 0
	f.At = max(a.At, 0)
	node := nodeOf(a.Node)
	if from.PerNode() {
		f.Of = node
		return f
	}
	switch f.Kind {
	case fault.Reset:
		f.Of, f.For = node, 0
		return f
	case fault.Refuse, fault.TimeOut, fault.Disk:
		f.Of = node
	default:
		f.From, f.To = node, nodeOf(a.Peer)
	}
	switch f.Kind {
	case fault.Delay, fault.Reorder:
		f.Delay = scenarios.Distribution{Min: time.Duration(a.Amount), Max: time.Duration(a.Amount)}
	case fault.Corrupt, fault.Truncate:
		f.Bytes = int(a.Amount)
	}
	f.Skip, f.Count, f.For = a.Nth, 1, time.Nanosecond
	return f
}

func nodeOf(n uint32) scenarios.Nodes {
	if n == event.Server {
		return scenarios.Nodes{Server: true}
	}
	return scenarios.Nodes{Phones: []int{int(n)}}
}

// constantMean returns the mean of a distribution as a constant.
func constantMean(d scenarios.Distribution) scenarios.Distribution {
	m := d.Mean
	if m == 0 {
		m = (d.Min + d.Max) / 2
	}
	return scenarios.Distribution{Min: m, Max: m}
}
