package shrink

import (
	"slices"

	"bluetrace/scenarios"
)

// reduce removes faults, actors, steps and phones that the failure does not need, until nothing more can be removed.
func (w *search) reduce() {
	total := func() int { return size(w.best) + len(w.best.PhoneNames()) }
	for before := -1; before != total() && !w.finished(); {
		before = total()
		s := *w.best
		removeItems(w, s.Faults, func(s *scenarios.Scenario, left []scenarios.Fault) { s.Faults = left })
		removeItems(w, s.Adversaries, func(s *scenarios.Scenario, left []scenarios.Adversary) { s.Adversaries = left })
		removeItems(w, s.Routine, func(s *scenarios.Scenario, left []scenarios.Routine) { s.Routine = left })
		removeItems(w, s.Script, func(s *scenarios.Scenario, left []scenarios.Step) {
			s.Script = withoutUndefinedLabels(left)
		})
		w.removePhones()
	}
}

// removeItems minimizes one list of the best scenario.
func removeItems[T any](w *search, all []T, set func(s *scenarios.Scenario, left []T)) {
	minimize(len(all), func(left []int) bool {
		items := make([]T, 0, len(left))
		for _, i := range left {
			items = append(items, all[i])
		}
		return w.accept(w.changed(func(s *scenarios.Scenario) { set(s, items) }))
	})
}

// withoutUndefinedLabels removes the steps that count from a label that no step defines.
func withoutUndefinedLabels(steps []scenarios.Step) []scenarios.Step {
	for {
		defined := map[string]bool{"": true}
		for i := range steps {
			defined[steps[i].As] = true
		}
		n := len(steps)
		steps = slices.DeleteFunc(steps, func(st scenarios.Step) bool { return !defined[st.At.Label] })
		if len(steps) == n {
			return steps
		}
	}
}

// removePhones minimizes the set of phones. At least one phone remains.
func (w *search) removePhones() {
	from := w.best
	minimize(len(from.PhoneNames()), func(left []int) bool {
		if len(left) == 0 {
			return false
		}
		return w.accept(from.Subset(func(p int) bool { return slices.Contains(left, p) }))
	})
}

// minimize finds a small subset of 0 to n-1 for which fails returns true, given that it does for the whole set. It is
// delta debugging (Zeller and Hildebrandt 2002): it tries to remove parts, which become smaller until each element was
// tried on its own.
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
		removed := false
		for at := 0; at < len(left); at += size {
			without := slices.Concat(left[:at], left[min(at+size, len(left)):])
			if len(without) < len(left) && len(without) > 0 && fails(without) {
				left, removed = without, true
				at -= size // the next part is now at this index
			}
		}
		switch {
		case removed:
			parts = max(2, parts-1)
		case size == 1:
			return left
		default:
			parts = min(2*parts, len(left))
		}
	}
	return left
}
