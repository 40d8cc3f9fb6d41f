package compare

import (
	"fmt"
	"slices"

	"bluetrace/reports"
	"bluetrace/reports/counts"
)

// Exact compares two runs without a load, figure by figure. In virtual time
// every difference is one of what was run.
type Exact struct {
	Scenario string `json:"scenario"`
	World    string `json:"world"`
	Seed     uint64 `json:"seed"`
	A        string `json:"a"` // files
	B        string `json:"b"`
	// Identical: the same events in the same order, by the digest.
	Identical   bool           `json:"identical"`
	Unlike      []string       `json:"unlike"`
	Differences []Difference   `json:"differences"`
	Budgets     []BudgetResult `json:"budgets"`
}

// Difference is one figure, or one check, that is not the same.
type Difference struct {
	What string `json:"what"`
	A    string `json:"a"` // empty: there was none
	B    string `json:"b"`
}

// exactly compares runs with one seed with each other.
func exactly(p sides, o Options, used []bool) ([]Exact, error) {
	var all []Exact
	pair := func(a, b *Result) error {
		e := exact(a, b, p)
		err := e.budget(a, b, o, used)
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

func exact(a, b *Result, p sides) Exact {
	e := Exact{Scenario: p.scenario, World: a.World, Seed: a.Seed, A: a.place(), B: b.place(), Unlike: []string{}, Differences: []Difference{}, Budgets: []BudgetResult{}}
	e.Identical = a.Digest != "" && a.Digest == b.Digest
	if a.Seed != b.Seed {
		e.Unlike = append(e.Unlike, fmt.Sprintf("seed: A has %d, B has %d", a.Seed, b.Seed))
	}
	if a.World != b.World {
		e.Unlike = append(e.Unlike, fmt.Sprintf("world: A has %s, B has %s", a.World, b.World))
	}
	if a.World != reports.Virtual || b.World != reports.Virtual {
		e.Unlike = append(e.Unlike, "a live run never comes out the same twice: a difference may be chance")
	}
	for _, side := range [][]*Result{p.a, p.b} {
		for _, r := range side {
			if i := slices.IndexFunc(side, func(x *Result) bool { return x.Seed == r.Seed }); side[i].Digest != r.Digest {
				e.Unlike = append(e.Unlike, fmt.Sprintf("%s and %s have one seed and are not the same", side[i].place(), r.place()))
			}
		}
	}
	e.compare(a.figures(), b.figures())
	e.compare(a.checks(), b.checks())
	return e
}

// value of a figure, or of a check, by its name.
type value struct {
	name, text string
	number     float64
}

// compare adds what is not the same.
func (e *Exact) compare(a, b []value) {
	inA := map[string]string{}
	for _, v := range a {
		inA[v.name] = v.text
	}
	inB := map[string]bool{}
	for _, v := range b {
		inB[v.name] = true
		if text, ok := inA[v.name]; !ok || text != v.text {
			e.Differences = append(e.Differences, Difference{v.name, text, v.text})
		}
	}
	for _, v := range a {
		if !inB[v.name] {
			e.Differences = append(e.Differences, Difference{v.name, v.text, ""})
		}
	}
}

// figures of a run that do not depend on how fast the machine is.
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
		for _, v := range []struct {
			name string
			ms   float64
		}{{"min", d.Min}, {"avg", d.Mean}, {"p50", d.P50}, {"p90", d.P90}, {"p95", d.P95}, {"p99", d.P99}, {"max", d.Max}} {
			all = append(all, value{metric + ":" + v.name, number(v.ms) + " ms", v.ms})
		}
	}
	return all
}

// checks with what became of them; one that comes twice is numbered.
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

// budget judges those of figures that both runs have.
func (e *Exact) budget(a, b *Result, o Options, used []bool) error {
	inA, inB := a.figures(), b.figures()
	for i, one := range o.Budgets {
		name := one.Metric
		if one.timed() {
			continue
		}
		if one.Method != "count" {
			name += ":" + one.Figure()
		}
		named := func(v value) bool { return v.name == name }
		x, y := slices.IndexFunc(inA, named), slices.IndexFunc(inB, named)
		if x < 0 || y < 0 || one.Method == "rate" {
			continue
		}
		r, err := one.counted(inA[x].number, inB[y].number, e.Scenario)
		if err != nil {
			return err
		}
		used[i] = true
		e.Budgets = append(e.Budgets, r)
	}
	return nil
}
