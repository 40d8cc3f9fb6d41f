package compare

import (
	"fmt"
	"slices"
	"strings"

	"bluetrace/reports"
)

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
