package compare

import (
	"fmt"
	"slices"

	"bluetrace/reports"
	"bluetrace/reports/counts"
)

// Exact compares two runs without a load, figure by figure. Runs in virtual time
// are deterministic, so a difference comes from the programs or the scenario.
type Exact struct {
	Scenario string `json:"scenario"`
	World    string `json:"world"`
	Seed     uint64 `json:"seed"`
	A        string `json:"a"` // a file
	B        string `json:"b"` // a file
	// Identical reports whether the digests are equal: the runs had the same events
	// in the same order.
	Identical bool `json:"identical"`
	seedB     uint64
	// Warnings name the conditions that the runs do not share.
	Warnings    []string       `json:"unlike"`
	Differences []Difference   `json:"differences"`
	Budgets     []BudgetResult `json:"budgets"`
}

// Difference is a figure or a check that differs.
type Difference struct {
	Name string `json:"what"`
	A    string `json:"a"` // empty if A does not have it
	B    string `json:"b"` // empty if B does not have it
}

// compareExact compares the runs of equal seeds, or the first runs if no seed is
// on both sides.
func compareExact(p sides, o Options, used []bool) ([]Exact, error) {
	var all []Exact
	pair := func(a, b *Result) error {
		e := exactOf(a, b, p)
		err := e.judgeBudgets(a, b, o, used)
		all = append(all, e)
		return err
	}
	done := map[uint64]bool{}
	for _, a := range p.a {
		at := slices.IndexFunc(p.b, func(b *Result) bool { return b.Seed == a.Seed })
		if at < 0 || done[a.Seed] {
			continue
		}
		done[a.Seed] = true
		if err := pair(a, p.b[at]); err != nil {
			return nil, err
		}
	}
	if len(all) > 0 {
		return all, nil
	}
	err := pair(p.a[0], p.b[0])
	return all, err
}

func exactOf(a, b *Result, p sides) Exact {
	e := Exact{
		Scenario: p.scenario, World: a.World, Seed: a.Seed, seedB: b.Seed, A: a.place(), B: b.place(),
		Identical: a.Digest != "" && a.Digest == b.Digest,
		Warnings:  []string{}, Differences: []Difference{}, Budgets: []BudgetResult{},
	}
	if a.Seed != b.Seed {
		e.Warnings = append(e.Warnings, fmt.Sprintf("seed: A has %d, B has %d", a.Seed, b.Seed))
	}
	if a.World != b.World {
		e.Warnings = append(e.Warnings, fmt.Sprintf("world: A has %s, B has %s", a.World, b.World))
	}
	if a.World != reports.Virtual || b.World != reports.Virtual {
		e.Warnings = append(e.Warnings, "live runs are not deterministic: a difference may be chance")
	}
	for _, side := range [][]*Result{p.a, p.b} {
		for _, r := range side {
			first := side[slices.IndexFunc(side, func(x *Result) bool { return x.Seed == r.Seed })]
			if first.Digest != r.Digest {
				e.Warnings = append(e.Warnings,
					fmt.Sprintf("%s and %s have the same seed and different digests", first.place(), r.place()))
			}
		}
	}
	e.Warnings = append(append(e.Warnings, a.weakness()...), b.weakness()...)
	e.addDifferences(a.checks(), b.checks())
	e.addDifferences(a.figures(), b.figures())
	return e
}

// value is a figure or the outcome of a check, with its name.
type value struct {
	name, text string
	number     float64
}

// addDifferences adds the values that differ or are on one side only.
func (e *Exact) addDifferences(a, b []value) {
	inA := map[string]value{}
	for _, v := range a {
		inA[v.name] = v
	}
	inB := map[string]bool{}
	for _, v := range b {
		inB[v.name] = true
		if of := inA[v.name]; of != v { // a difference may be in digits that are not shown
			e.Differences = append(e.Differences, Difference{v.name, of.text, v.text})
		}
	}
	for _, v := range a {
		if !inB[v.name] {
			e.Differences = append(e.Differences, Difference{v.name, v.text, ""})
		}
	}
}

// figures returns the figures of a run that do not depend on the speed of the
// machine.
func (r *Result) figures() []value {
	all := []value{{"verdict", string(r.Verdict), 0}, {"digest", r.Digest, 0}}
	count := func(name string, n float64) { all = append(all, value{name, number(n), n}) }
	count("virtual_seconds", r.VirtualSeconds)
	count("events", float64(r.Events))
	count("phones", float64(max(0, r.Phones)))
	for _, row := range counts.Rows() {
		count(row.Name, float64(row.Of(&r.Counts)))
	}
	for _, o := range r.Operations {
		d := o.DelayMs
		metric := o.Name + "_delay"
		all = append(all, value{metric + ":count", number(float64(o.Count)), float64(o.Count)})
		if o.Count == 0 {
			continue // its delays are unknown
		}
		for _, v := range []struct {
			name string
			ms   float64
		}{
			{"min", d.Min}, {"avg", d.Mean}, {"p50", d.P50}, {"p90", d.P90},
			{"p95", d.P95}, {"p99", d.P99}, {"max", d.Max},
		} {
			all = append(all, value{metric + ":" + v.name, number(v.ms) + " ms", v.ms})
		}
	}
	return all
}

// checks returns the outcomes of the checks. A name that repeats is numbered.
func (r *Result) checks() []value {
	var all []value
	seen := map[string]int{}
	for _, c := range r.Checks {
		name := string(c.Kind) + " " + c.Name
		if seen[name]++; seen[name] > 1 {
			name += fmt.Sprintf(" (%d)", seen[name])
		}
		text := string(c.Verdict)
		if c.Found != "" {
			text += ": " + c.Found
		}
		all = append(all, value{name, text, 0})
	}
	return all
}

// judgeBudgets judges the budgets for figures that both runs have. It sets used[i] if
// both runs have the figure of budget i.
func (e *Exact) judgeBudgets(a, b *Result, o Options, used []bool) error {
	inA, inB := a.figures(), b.figures()
	for i, budget := range o.Budgets {
		name := budget.Metric
		if budget.isLoadTime() {
			continue
		}
		if budget.Method != "count" {
			name += ":" + budget.Figure()
		}
		named := func(v value) bool { return v.name == name }
		x, y := slices.IndexFunc(inA, named), slices.IndexFunc(inB, named)
		switch {
		case x < 0 && y < 0 || budget.Method == "rate":
			continue
		case x < 0:
			return budget.noSample(e.Scenario, "A")
		case y < 0:
			return budget.noSample(e.Scenario, "B")
		}
		r, err := budget.judgeValues(inA[x].number, inB[y].number, e.Scenario)
		if err != nil {
			return err
		}
		used[i] = true
		e.Budgets = append(e.Budgets, r)
	}
	return nil
}
