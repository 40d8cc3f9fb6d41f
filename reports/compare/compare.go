// Package compare compares two sets of results and reports the figures that
// moved.
//
// Loads are compared by the quantiles of their times, with a statistical test: a
// block bootstrap over the seconds of each run and over the runs. Runs in virtual
// time are deterministic, so they are compared exactly.
package compare

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"bluetrace/reports"
	"bluetrace/reports/stats"
)

// Schema is the version of the JSON form of a Comparison.
const Schema = 1

// Options are the settings of a comparison.
type Options struct {
	Budgets    []Budget
	Confidence float64 // of each interval; above 0.5 and below 1
	Seed       uint64  // of the bootstrap
}

// Comparison is the result for two sets of results, A and B. Its JSON form is
// stable: a later version only adds names.
type Comparison struct {
	Format int `json:"format"` // reports.Format
	Schema int `json:"schema"`
	// Verdict is Exceeded if a budget is exceeded, else Held.
	Verdict    Verdict `json:"verdict"`
	Confidence float64 `json:"confidence"`
	// FalseDiscoveries is the expected share, among the rows that moved, of rows
	// that moved by chance only.
	FalseDiscoveries float64 `json:"false_discoveries"`
	Loads            []Load  `json:"loads"`
	Exact            []Exact `json:"exact"`
	// Notes are remarks about the sets, such as a scenario that is in one only.
	Notes []string `json:"notes"`
}

// Verdict is the outcome of a comparison, of a row, or of a budget.
type Verdict string

// The verdicts.
const (
	Moved    Verdict = "moved"
	NotShown Verdict = "not shown" // the change may be chance
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
	// Warnings name the conditions that the two sides do not share, and anything
	// else that weakens the comparison.
	Warnings  []string       `json:"unlike"`
	Rows      []Row          `json:"rows"`
	Counts    []CountRow     `json:"counts"`
	Resources []ResourceRow  `json:"used"`
	Budgets   []BudgetResult `json:"budgets"`
}

// Side describes the runs of one side, A or B.
type Side struct {
	Files   []string `json:"files"`
	Runs    int      `json:"runs"`
	Seconds float64  `json:"seconds"` // of all runs together
}

// sides holds the results of one scenario on both sides.
type sides struct {
	scenario string
	a, b     []*Result
	leftOut  []string // the loads that are not compared, each with the reason
}

// Compare compares two sets of results. The error is an *Invalid if the sets
// cannot be compared or a budget cannot be judged.
func Compare(a, b []*Result, o Options) (*Comparison, error) {
	c := &Comparison{
		Format: reports.Format, Schema: Schema, Verdict: Held,
		Confidence: o.Confidence, FalseDiscoveries: 1 - o.Confidence,
		Loads: []Load{}, Exact: []Exact{}, Notes: []string{},
	}
	pairs, err := c.pairs(a, b)
	if err != nil {
		return nil, err
	}
	var budgets []BudgetResult
	used := make([]bool, len(o.Budgets)) // by budget: whether a scenario has its figure
	for _, p := range pairs {
		if p.a[0].Load == nil {
			e, err := compareExact(p, o, used)
			if err != nil {
				return nil, err
			}
			c.Exact = append(c.Exact, e...)
			for _, one := range e {
				budgets = append(budgets, one.Budgets...)
			}
			continue
		}
		l, err := compareLoads(p, o, used)
		if err != nil {
			return nil, err
		}
		c.Loads = append(c.Loads, *l)
		budgets = append(budgets, l.Budgets...)
	}
	for i, found := range used {
		if !found {
			return nil, &Invalid{Err: fmt.Errorf("budget %q: no scenario has this figure on both sides; "+
				"use a metric of the table, such as response_time:p99", o.Budgets[i].Text)}
		}
	}
	if exceeded(budgets) {
		c.Verdict = Exceeded
	}
	return c, nil
}

// pairs groups results by scenario, in the order of the names. It adds a note for
// each scenario that is on one side only.
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
	var pairs []sides
	for _, name := range slices.Sorted(maps.Keys(by)) {
		s := by[name]
		switch {
		case len(s.a) == 0:
			c.Notes = append(c.Notes, fmt.Sprintf("only B has %s", name))
		case len(s.b) == 0:
			c.Notes = append(c.Notes, fmt.Sprintf("only A has %s", name))
		default:
			if err := s.chooseLoads(); err != nil {
				return nil, err
			}
			if err := s.checkComparable(); err != nil {
				return nil, err
			}
			pairs = append(pairs, *s)
		}
	}
	if len(pairs) == 0 {
		return nil, &Invalid{Err: fmt.Errorf("no scenario is in both A and B: A has %s, B has %s",
			scenarioNames(a), scenarioNames(b))}
	}
	return pairs, nil
}

// chooseLoads leaves out invalid loads and copies of a load. It returns an error if no
// load of a side is left, or if no operation of a side succeeded.
func (s *sides) chooseLoads() (err error) {
	if s.a, err = s.chosen(s.a); err == nil {
		s.b, err = s.chosen(s.b)
	}
	return err
}

func (s *sides) chosen(side []*Result) (left []*Result, err error) {
	copies := map[[sha256.Size]byte]string{}
	for _, r := range side {
		if r.Load == nil {
			left = append(left, r)
			continue
		}
		text, err := json.Marshal(r.Load) // two runs never have all measured times in common
		if err != nil {
			return nil, &Invalid{r.place(), err}
		}
		sum := sha256.Sum256(text)
		first, copied := copies[sum]
		switch {
		case r.Verdict == reports.Invalid:
			s.leftOut = append(s.leftOut, r.place()+" is left out: invalid run: "+invalidity(r.Load))
			continue
		case copied:
			s.leftOut = append(s.leftOut, fmt.Sprintf("%s is left out: a copy of %s", r.place(), first))
			continue
		case hasNoSuccess(r.Load):
			return nil, &Invalid{r.place(), fmt.Errorf("no operation succeeded, of %d, so there is no time to compare",
				r.Load.All.Count())}
		}
		copies[sum] = r.place()
		left = append(left, r)
	}
	if len(left) == 0 {
		return nil, &Invalid{side[0].place(), fmt.Errorf("invalid run: %s, so its figures do not describe the server; "+
			"repeat the run, or leave it out", invalidity(side[0].Load))}
	}
	return left, nil
}

// hasNoSuccess reports whether no operation succeeded: each failed, or none took place.
func hasNoSuccess(l *reports.Load) bool {
	return l.All.OK == 0 && (l.All.Count() > 0 || l.Histograms != nil && len(l.Histograms.Operations) == 0)
}

// invalidity returns the reasons why a load is invalid.
func invalidity(l *reports.Load) string {
	return cmp.Or(strings.Join(l.Invalid, "; "), "the generator was the bottleneck")
}

// checkComparable returns an error if the results cannot be compared: a load with
// a run without one, or a load without histograms that this version reads.
func (s *sides) checkComparable() error {
	first := s.a[0]
	for _, r := range slices.Concat(s.a, s.b) {
		if (r.Load == nil) != (first.Load == nil) {
			return &Invalid{r.place(),
				fmt.Errorf("%s is a load in one result and not in another (%s)", s.scenario, first.place())}
		}
		if r.Load == nil {
			continue
		}
		if r.Load.Histograms == nil {
			return &Invalid{r.place(),
				fmt.Errorf("missing `load.histograms`: an older sim wrote this file; repeat the run")}
		}
		if v := r.Load.Histograms.Schema; v != stats.Schema {
			return &Invalid{r.place(), fmt.Errorf("`load.histograms.schema` is %d: this sim reads %d", v, stats.Schema)}
		}
	}
	return nil
}

// scenarioNames lists the scenarios of results, at most five by name.
func scenarioNames(results []*Result) string {
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
	return cmp.Or(strings.Join(names, ", "), "none")
}

func exceeded(budgets []BudgetResult) bool {
	return slices.ContainsFunc(budgets, func(b BudgetResult) bool { return b.Verdict == Exceeded })
}

// Invalid is the error of results that cannot be read or compared, or of a budget
// that cannot be judged.
type Invalid struct {
	Place string // a file, with line and column if they are known; may be empty
	Err   error
}

func (e *Invalid) Error() string {
	if e.Place == "" {
		return e.Err.Error()
	}
	return e.Place + ": " + e.Err.Error()
}

func (e *Invalid) Unwrap() error { return e.Err }

// minRuns is the number of runs below which a side gets a warning.
const minRuns = 3

// warningsOf returns the conditions that two sides of a load do not share, and
// the weaknesses of the comparison.
func warningsOf(a, b []*Result) []string {
	warnings := []string{}
	for _, c := range []struct {
		name string
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
		{"generators", func(r *Result) string { return fmt.Sprint(max(1, conditions(r).Generators)) }},
		{"machine", func(r *Result) string { return conditions(r).Machine.Host }},
		{"compiler", func(r *Result) string { return conditions(r).Build.Go }},
		{"build", func(r *Result) string { return first(conditions(r).Build.Revision, 12) }},
	} {
		ofA, ofB := distinct(a, c.of), distinct(b, c.of)
		if !slices.Equal(ofA, ofB) || len(ofA) > 1 && c.name != "seed" {
			warnings = append(warnings, fmt.Sprintf("%s: A has %s, B has %s",
				c.name, strings.Join(ofA, " and "), strings.Join(ofB, " and ")))
		}
	}
	for _, r := range slices.Concat(a, b) {
		warnings = append(warnings, r.weakness()...)
		if all := r.Load.All; all.Failed+all.Unknown > 0 {
			warnings = append(warnings, fmt.Sprintf("%s: of %s, %d failed and %d had no answer: the times do not "+
				"describe them", r.place(), reports.Plural(all.Count(), "operation", "operations"), all.Failed,
				all.Unknown))
		}
	}
	if n := min(len(a), len(b)); n < minRuns {
		effect := "is poorly known"
		if n == 1 {
			effect = "is not in the intervals"
		}
		warnings = append(warnings, fmt.Sprintf("a side has %s: the variation between runs of one server %s; "+
			"give at least %d runs on each side", reports.Plural(n, "run", "runs"), effect, minRuns))
	}
	return warnings
}

// weakness returns a warning if the run did not pass.
func (r *Result) weakness() []string {
	switch r.Verdict {
	case reports.Interrupted:
		return []string{r.place() + " was interrupted"}
	case reports.Failed:
		return []string{r.place() + " failed its own checks"}
	}
	return nil
}

// conditions returns the conditions of a load, empty if the file has none.
func conditions(r *Result) reports.Conditions {
	if r.Load.Conditions == nil {
		return reports.Conditions{}
	}
	return *r.Load.Conditions
}

// distinct returns the different texts of some results, sorted.
func distinct(results []*Result, of func(*Result) string) []string {
	var all []string
	for _, r := range results {
		all = append(all, cmp.Or(of(r), "unknown"))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func first(text string, n int) string { return text[:min(n, len(text))] }

// stages describes the stages of a load, such as "500/s for 60 s".
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
