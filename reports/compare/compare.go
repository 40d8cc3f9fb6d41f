// Package compare puts two sets of results side by side and says what moved.
//
// Loads are compared by the quantiles of their times, with a test: a block
// bootstrap over the seconds of each run and over the runs. Runs in virtual time
// come out the same every time, so that every difference of theirs is one.
package compare

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"bluetrace/reports"
	"bluetrace/reports/stats"
)

// Schema is the version of the JSON form of a Comparison.
const Schema = 1

// Options of a comparison.
type Options struct {
	Budgets    []Budget
	Confidence float64 // of each interval, above 0.5 and below 1
	Seed       uint64  // of the bootstrap
}

// Comparison is what came of two sets of results. Its JSON form is stable: names
// are only ever added.
type Comparison struct {
	Format int `json:"format"` // reports.Format
	Schema int `json:"schema"`
	// Verdict is Exceeded when a budget is, else Held.
	Verdict    Verdict `json:"verdict"`
	Confidence float64 `json:"confidence"`
	// FalseDiscoveries is the share of what is called moved that chance alone may
	// have made, on the average.
	FalseDiscoveries float64 `json:"false_discoveries"`
	Loads            []Load  `json:"loads"`
	Exact            []Exact `json:"exact"`
	// Notes are what the reader should know of the sets as a whole.
	Notes []string `json:"notes"`
}

// Verdict of a comparison, of a row, or of a budget.
type Verdict string

// The verdicts.
const (
	Moved    Verdict = "moved"
	NotShown Verdict = "not shown" // of a row: chance alone may have made it; of a budget: so much may be
	Exceeded Verdict = "budget exceeded"
	Held     Verdict = "held"
	TooFew   Verdict = "too few samples"
	TooShort Verdict = "too short"
)

// Load compares the runs of one scenario with a load.
type Load struct {
	Scenario string `json:"scenario"`
	A        Side   `json:"a"`
	B        Side   `json:"b"`
	// Unlike is what the two sides do not share, and should; and what weakens the
	// comparison.
	Unlike  []string       `json:"unlike"`
	Rows    []Row          `json:"rows"`
	Counts  []CountRow     `json:"counts"`
	Used    []Used         `json:"used"`
	Budgets []BudgetResult `json:"budgets"`
}

// Side is one of the two.
type Side struct {
	Files   []string `json:"files"`
	Runs    int      `json:"runs"`
	Seconds float64  `json:"seconds"` // of all its runs together
}

// sides of a scenario's results.
type sides struct {
	scenario string
	a, b     []*Result
}

// Compare two sets. The error is an *Invalid when the sets, or what is asked of
// them, are not comparable.
func Compare(a, b []*Result, o Options) (*Comparison, error) {
	c := &Comparison{Format: reports.Format, Schema: Schema, Verdict: Held, Confidence: o.Confidence, FalseDiscoveries: 1 - o.Confidence,
		Loads: []Load{}, Exact: []Exact{}, Notes: []string{}}
	pairs, err := c.pairs(a, b)
	if err != nil {
		return nil, err
	}
	used := make([]bool, len(o.Budgets))
	for _, p := range pairs {
		if p.a[0].Load == nil {
			e, err := exactly(p, o, used)
			if err != nil {
				return nil, err
			}
			c.Exact = append(c.Exact, e...)
			continue
		}
		l, err := compareLoads(p, o, used)
		if err != nil {
			return nil, err
		}
		c.Loads = append(c.Loads, *l)
	}
	for i, found := range used {
		if !found {
			return nil, &Invalid{Err: fmt.Errorf("the budget %q is of something that neither side has; the metrics are those of the table, such as response_time:p99", o.Budgets[i].Text)}
		}
	}
	c.judge()
	return c, nil
}

// pairs groups results by scenario, in the order of their names.
func (c *Comparison) pairs(a, b []*Result) ([]sides, error) {
	by := map[string]*sides{}
	group := func(results []*Result, add func(*sides, *Result)) {
		for _, r := range results {
			if by[r.Scenario] == nil {
				by[r.Scenario] = &sides{scenario: r.Scenario}
			}
			add(by[r.Scenario], r)
		}
	}
	group(a, func(s *sides, r *Result) { s.a = append(s.a, r) })
	group(b, func(s *sides, r *Result) { s.b = append(s.b, r) })
	var names []string
	for name := range by {
		names = append(names, name)
	}
	slices.Sort(names)
	var pairs []sides
	for _, name := range names {
		s := by[name]
		switch {
		case len(s.a) == 0:
			c.Notes = append(c.Notes, fmt.Sprintf("only B has %s", name))
			continue
		case len(s.b) == 0:
			c.Notes = append(c.Notes, fmt.Sprintf("only A has %s", name))
			continue
		}
		if err := s.alike(); err != nil {
			return nil, err
		}
		pairs = append(pairs, *s)
	}
	if len(pairs) == 0 {
		return nil, &Invalid{Err: fmt.Errorf("no scenario is in both A and B: A has %s, B has %s", listed(a), listed(b))}
	}
	return pairs, nil
}

// alike refuses what has nothing to compare: a load and a run without one.
func (s *sides) alike() error {
	first := s.a[0]
	for _, r := range slices.Concat(s.a, s.b) {
		if (r.Load == nil) != (first.Load == nil) {
			return &Invalid{r.place(), fmt.Errorf("%s is a load in one result and none in another (%s)", s.scenario, first.place())}
		}
		if r.Load == nil {
			continue
		}
		if r.Verdict == reports.Invalid {
			return &Invalid{r.place(), fmt.Errorf("this run is invalid, the generator was the bottleneck: it says nothing about the server; repeat it, or leave it out")}
		}
		if r.Load.Histograms == nil {
			return &Invalid{r.place(), fmt.Errorf("this load has no `load.histograms`: it was written by an older sim; repeat the run")}
		}
		if v := r.Load.Histograms.Schema; v != stats.Schema {
			return &Invalid{r.place(), fmt.Errorf("`load.histograms.schema` is %d, and this sim reads %d", v, stats.Schema)}
		}
	}
	return nil
}

// listed names the scenarios of results, some of them when they are many.
func listed(results []*Result) string {
	var names []string
	for _, r := range results {
		names = append(names, r.Scenario)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	const most = 5
	if more := len(names) - most; more > 0 {
		names = append(names[:most], fmt.Sprintf("%d more", more))
	}
	text := ""
	for i, name := range names {
		if i > 0 {
			text += ", "
		}
		text += name
	}
	return cmp.Or(text, "none")
}

// judge sets the verdict of the whole.
func (c *Comparison) judge() {
	for i := range c.Loads {
		if exceeded(c.Loads[i].Budgets) {
			c.Verdict = Exceeded
		}
	}
	for i := range c.Exact {
		if exceeded(c.Exact[i].Budgets) {
			c.Verdict = Exceeded
		}
	}
}

func exceeded(budgets []BudgetResult) bool {
	return slices.ContainsFunc(budgets, func(b BudgetResult) bool { return b.Verdict == Exceeded })
}

// Invalid is a set of results, or a question to it, that cannot be answered.
type Invalid struct {
	Place string // a file, with line and column when they are known; or none
	Err   error
}

func (e *Invalid) Error() string {
	if e.Place == "" {
		return e.Err.Error()
	}
	return e.Place + ": " + e.Err.Error()
}

func (e *Invalid) Unwrap() error { return e.Err }

// few is how many runs a side should have at least.
const few = 3

// unlike is what two sides of a load do not share, and should, and what makes the
// comparison weak.
func unlike(a, b []*Result) []string {
	notes := []string{}
	for _, c := range []struct {
		what string
		of   func(*Result) string
	}{
		{"seed", func(r *Result) string { return fmt.Sprint(r.Seed) }},
		{"executor", func(r *Result) string { return r.Load.Executor }},
		{"rate", func(r *Result) string { return stages(conditions(r)) }},
		{"warm-up", func(r *Result) string { return number(r.Load.WarmUpSeconds) + " s" }},
		{"length", func(r *Result) string { return fmt.Sprintf("%.0f s", r.Load.Seconds) }},
		{"phones", func(r *Result) string { return fmt.Sprint(r.Phones) }},
		{"scenario's text or ${NAME}", func(r *Result) string { return first(conditions(r).ScenarioSum, 8) }},
		{"server", func(r *Result) string { return r.Load.Server }},
		{"processors", func(r *Result) string {
			m := conditions(r).Machine
			return fmt.Sprintf("%d of %s (%s/%s)", m.CPUs, m.CPU, m.OS, m.Arch)
		}},
		{"machine", func(r *Result) string { return conditions(r).Machine.Host }},
		{"compiler", func(r *Result) string { return conditions(r).Build.Go }},
		{"build", func(r *Result) string { return first(conditions(r).Build.Revision, 12) }},
	} {
		ofA, ofB := distinct(a, c.of), distinct(b, c.of)
		if !slices.Equal(ofA, ofB) || len(ofA) > 1 && c.what != "seed" {
			notes = append(notes, fmt.Sprintf("%s: A has %s, B has %s", c.what, strings.Join(ofA, " and "), strings.Join(ofB, " and ")))
		}
	}
	for _, r := range slices.Concat(a, b) {
		if r.Verdict == reports.Interrupted {
			notes = append(notes, r.place()+" was interrupted")
		}
	}
	if n := min(len(a), len(b)); n < few {
		notes = append(notes, fmt.Sprintf("a side has %s: what differs from one run of the same server to the next is %s; give %d or more a side",
			reports.Plural(n, "run", "runs"), map[bool]string{true: "in no interval", false: "hardly known"}[n == 1], few))
	}
	return notes
}

func conditions(r *Result) reports.Conditions {
	if r.Load.Conditions == nil {
		return reports.Conditions{}
	}
	return *r.Load.Conditions
}

func distinct(results []*Result, of func(*Result) string) []string {
	var all []string
	for _, r := range results {
		text := of(r)
		if text == "" {
			text = "none that is known"
		}
		all = append(all, text)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func first(text string, n int) string { return text[:min(n, len(text))] }

// stages in words.
func stages(c reports.Conditions) string {
	var parts []string
	rate := c.StartRate
	for _, s := range c.Stages {
		if s.Rate == rate {
			parts = append(parts, fmt.Sprintf("%s/s for %s s", number(s.Rate), number(s.Seconds)))
		} else {
			parts = append(parts, fmt.Sprintf("%s/s to %s/s in %s s", number(rate), number(s.Rate), number(s.Seconds)))
		}
		rate = s.Rate
	}
	return strings.Join(parts, ", ")
}
