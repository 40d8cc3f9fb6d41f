package shrink

import (
	"slices"

	"bluetrace/scenarios"
)

// reduce takes away what the failure does not need, until nothing more can go.
func (w *search) reduce() {
	for size := -1; size != w.size() && !w.finished(); {
		size = w.size()
		w.reduceFaults()
		w.reduceActors()
		w.reduceScript()
		w.reducePhones()
	}
}

func (w *search) size() int {
	s := w.best
	return len(s.Faults) + len(s.Adversaries) + len(s.Routine) + len(s.Script) + len(s.PhoneNames())
}

func (w *search) reduceFaults() {
	all := w.best.Faults
	minimize(len(all), func(left []int) bool {
		return w.accept(w.changed(func(s *scenarios.Scenario) { s.Faults = selected(all, left) }))
	})
}

func (w *search) reduceActors() {
	adversaries, routines := w.best.Adversaries, w.best.Routine
	minimize(len(adversaries), func(left []int) bool {
		return w.accept(w.changed(func(s *scenarios.Scenario) { s.Adversaries = selected(adversaries, left) }))
	})
	minimize(len(routines), func(left []int) bool {
		return w.accept(w.changed(func(s *scenarios.Scenario) { s.Routine = selected(routines, left) }))
	})
}

func (w *search) reduceScript() {
	all := w.best.Script
	minimize(len(all), func(left []int) bool {
		return w.accept(w.changed(func(s *scenarios.Scenario) { s.Script = remainingSteps(all, left) }))
	})
}

// remainingSteps is the steps that are left, without those that wait for a moment that
// is not named any more.
func remainingSteps(all []scenarios.Step, left []int) []scenarios.Step {
	steps := selected(all, left)
	for {
		named := map[string]bool{"": true}
		for i := range steps {
			named[steps[i].As] = true
		}
		n := len(steps)
		steps = slices.DeleteFunc(steps, func(st scenarios.Step) bool { return !named[st.At.Label] })
		if len(steps) == n {
			return steps
		}
	}
}

func (w *search) reducePhones() {
	from := w.best
	minimize(len(from.PhoneNames()), func(left []int) bool {
		if len(left) == 0 {
			return false // somebody has to be there
		}
		return w.accept(from.Subset(func(p int) bool { return slices.Contains(left, p) }))
	})
}

func selected[T any](all []T, left []int) []T {
	some := make([]T, 0, len(left))
	for _, i := range left {
		some = append(some, all[i])
	}
	return some
}

// minimize finds a small set of 0 to n-1 for which fails holds, given that it holds
// for all of them, by delta debugging (Zeller and Hildebrandt 2002): the parts that
// are tried for removal get smaller until single ones were tried.
func minimize(n int, fails func(left []int) bool) []int {
	left := make([]int, n)
	for i := range left {
		left[i] = i
	}
	if n > 0 && fails(nil) {
		return nil
	}
	for parts := 2; len(left) > 0; {
		size := (len(left) + parts - 1) / parts
		smaller := false
		for at := 0; at < len(left); at += size {
			without := slices.Concat(left[:at], left[min(at+size, len(left)):])
			if len(without) < len(left) && len(without) > 0 && fails(without) {
				left, smaller = without, true
				at -= size // what was behind has come forward
			}
		}
		switch {
		case smaller:
			parts = max(2, parts-1)
		case size == 1:
			return left
		default:
			parts = min(2*parts, len(left))
		}
	}
	return left
}
