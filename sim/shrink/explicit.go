package shrink

import (
	"cmp"
	"slices"
	"time"

	"bluetrace/scenarios"
	"bluetrace/sim/event"
	"bluetrace/sim/world"
)

// makeExplicit replaces chance by what it decided, as far as the failure stays: all of
// it, or what people did and not the faults, or the faults alone.
func (w *search) makeExplicit(failing *scenarios.Scenario, rec *Recording) {
	steps, faults := explicitSteps(failing, rec), explicitFaults(failing, rec)
	all := w.changed(func(s *scenarios.Scenario) {
		replaceActors(s, steps)
		s.Faults = faults
		s.Network, s.Server.DiskDelay = constant(s.Network), mean(s.Server.DiskDelay)
	})
	if w.accept(all) {
		w.report.SeedIndependent = true
		return
	}
	w.accept(w.changed(func(s *scenarios.Scenario) { s.Faults = faults }))
	w.accept(w.changed(func(s *scenarios.Scenario) { replaceActors(s, steps) }))
	w.accept(w.changed(func(s *scenarios.Scenario) {
		s.Network, s.Server.DiskDelay = constant(s.Network), mean(s.Server.DiskDelay)
	}))
}

// replaceActors gives the scenario written steps in the place of everything that
// people and adversaries do by themselves.
func replaceActors(s *scenarios.Scenario, steps []scenarios.Step) {
	s.Script, s.Routine, s.Adversaries, s.Contacts = steps, nil, nil, scenarios.Contacts{}
}

// explicitSteps are what was commanded, and the steps that expect something, in the
// order of their times.
func explicitSteps(s *scenarios.Scenario, rec *Recording) []scenarios.Step {
	var steps []scenarios.Step
	for _, st := range rec.Steps {
		if st.Optional { // the others stand in the script, with what they expect
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

// explicitFaults are faults that happen once and surely: one for each thing that a
// fault drew, and those that draw nothing as they are.
func explicitFaults(s *scenarios.Scenario, rec *Recording) []scenarios.Fault {
	var out []scenarios.Fault
	for i := range s.Faults {
		if f := &s.Faults[i]; isDeterministic(f) {
			out = append(out, *f)
		}
	}
	for _, a := range rec.Applied {
		if a.Fault < 1 || a.Fault > len(s.Faults) || isDeterministic(&s.Faults[a.Fault-1]) {
			continue // a step's own, which stands there
		}
		out = append(out, occurrence(&s.Faults[a.Fault-1], &a))
	}
	return out
}

// isDeterministic says whether a fault does the same under every seed.
func isDeterministic(f *scenarios.Fault) bool {
	if f.Every > 0 || f.Chance < 1 && f.Chance > 0 {
		return false
	}
	if f.Kind == scenarios.FaultCorrupt && f.Bytes == 0 || f.Kind == scenarios.FaultTruncate && f.Bytes < 0 {
		return false
	}
	d := f.Delay
	return d.Mean == 0 && d.Min == d.Max
}

// occurrence is what a fault did one time, as a fault of its own.
func occurrence(from *scenarios.Fault, a *world.Applied) scenarios.Fault {
	f := *from
	f.Chance, f.Every, f.Until = 1, 0, 0
	f.At = max(time.Duration(a.At), 0)
	who := nodeOf(a.Who)
	switch f.Kind {
	case scenarios.FaultCrash, scenarios.FaultSwitchOff, scenarios.FaultPause, scenarios.FaultLeave, scenarios.FaultStall,
		scenarios.FaultCut, scenarios.FaultClock, scenarios.FaultHalfClose:
		f.Of = who
		return f
	case scenarios.FaultRefuse, scenarios.FaultTimeOut, scenarios.FaultReset, scenarios.FaultDisk:
		f.Of = who
	default:
		f.From, f.To = who, nodeOf(a.Peer)
	}
	switch f.Kind {
	case scenarios.FaultDelay, scenarios.FaultReorder:
		f.Delay = scenarios.Distribution{Min: time.Duration(a.Amount), Max: time.Duration(a.Amount)}
	case scenarios.FaultCorrupt, scenarios.FaultTruncate:
		f.Bytes = int(a.Amount)
	case scenarios.FaultReset:
		f.For = 0 // at that moment
		return f
	}
	f.Skip, f.Count, f.For = a.Nth, 1, time.Nanosecond
	return f
}

func nodeOf(n uint32) scenarios.Nodes {
	if n == event.NoPeer {
		return scenarios.Nodes{Server: true}
	}
	return scenarios.Nodes{Phones: []int{int(n)}}
}

// constant takes the chance out of delays and losses.
func constant(n scenarios.Network) scenarios.Network {
	n.TCP.Delay, n.UDP.Delay = mean(n.TCP.Delay), mean(n.UDP.Delay)
	if n.UDP.Lose < 1 {
		n.UDP.Lose = 0
	}
	return n
}

func mean(d scenarios.Distribution) scenarios.Distribution {
	m := d.Mean
	if m == 0 {
		m = (d.Min + d.Max) / 2
	}
	return scenarios.Distribution{Min: m, Max: m}
}
