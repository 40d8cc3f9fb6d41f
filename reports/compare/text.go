package compare

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"bluetrace/reports"
)

// Text writes the comparison for a person, each scenario's verdict first. What
// came from a file is written with reports.Escape.
func Text(w io.Writer, c *Comparison, color bool) error {
	p := &page{color: color, confidence: c.Confidence, share: c.FalseDiscoveries}
	for i := range c.Loads {
		p.gap()
		p.load(&c.Loads[i])
	}
	for i := range c.Exact {
		p.gap()
		p.exact(&c.Exact[i])
	}
	if len(c.Notes) > 0 {
		p.gap()
		p.list("notes", c.Notes)
	}
	if _, err := w.Write(p.Bytes()); err != nil {
		return fmt.Errorf("writing the comparison: %w", err)
	}
	return nil
}

type page struct {
	bytes.Buffer
	color             bool
	confidence, share float64
}

func (p *page) line(format string, arguments ...any) { fmt.Fprintf(p, format+"\n", arguments...) }

// gap is an empty line, but not at the top.
func (p *page) gap() {
	if p.Len() > 0 {
		p.line("")
	}
}

// word is a verdict in its colour.
func (p *page) word(v Verdict, text string) string {
	code := map[Verdict]string{Exceeded: "31", Held: "32", Moved: "33"}[v]
	if !p.color || code == "" {
		return text
	}
	return "\x1b[1;" + code + "m" + text + "\x1b[0m"
}

// verdict is the first line of a scenario.
func (p *page) verdict(scenario string, budgets []BudgetResult, said string) {
	v := Held
	if exceeded(budgets) {
		v = Exceeded
	}
	title := strings.ToUpper(string(v))
	if len(budgets) == 0 {
		v, title = "", "COMPARED"
	}
	p.line("%s  %s: %s", p.word(v, title), reports.Escape(scenario), said)
}

func (p *page) load(l *Load) {
	tested, moved := l.tested()
	p.verdict(l.Scenario, l.Budgets, fmt.Sprintf("%d of %d figures moved; %s of A (%.0f s) and %d of B (%.0f s)",
		moved, tested, reports.Plural(l.A.Runs, "run", "runs"), l.A.Seconds, l.B.Runs, l.B.Seconds))
	p.list("not alike", l.Unlike)
	p.budgets(l.Budgets)
	p.rows(l)
	p.counts(l.Counts)
	p.used(l.Used)
}

// list names a list at its first line.
func (p *page) list(name string, texts []string) {
	for i, text := range texts {
		if i > 0 {
			name = ""
		}
		p.line("  %-11s %s", name, reports.Escape(text))
	}
}

func (p *page) budgets(budgets []BudgetResult) {
	for i, b := range budgets {
		if i == 0 {
			p.gap()
		}
		text := fmt.Sprintf("%s: %s", reports.Escape(b.Budget), changed(b.Change, b.Unit))
		if b.Tested {
			text += fmt.Sprintf(" (%s to %s)", changed(b.Low, b.Unit), changed(b.High, b.Unit))
		}
		said := string(b.Verdict)
		switch {
		case b.Verdict == NotShown:
			said = "above it, which may be chance: not shown"
		case b.Verdict == Held && b.High > b.Limit:
			said = "held, but more is not ruled out"
		}
		p.line("  budget      %s  %s", text, p.word(b.Verdict, said))
	}
}

// changed is a change with its sign and unit.
func changed(v float64, unit Unit) string {
	switch unit {
	case Percent:
		return fmt.Sprintf("%+.1f %%", v)
	case Ms:
		return fmt.Sprintf("%+.3f ms", v)
	}
	return fmt.Sprintf("%+g", v)
}

// rows is the table of what was measured.
func (p *page) rows(l *Load) {
	if len(l.Rows) == 0 {
		return
	}
	p.gap()
	p.line("  %-29s %9s %9s %9s   %-20s %7s  %s", "times; ms", "A", "B", "change", fmt.Sprintf("%s %% confidence", number(math.Round(1e4*p.confidence)/1e2)), "p", "")
	before := ""
	for _, r := range l.Rows {
		name := r.Metric
		if name == before {
			name = ""
		}
		before = r.Metric
		interval, chance := "", ""
		if r.Test != nil {
			interval = fmt.Sprintf("%+.1f to %s", 100*r.Test.Low, atMost(r.Test.High))
			chance = fmt.Sprintf("%.3f", r.Test.PAdjusted)
			if r.Test.PAdjusted < 0.001 {
				chance = "<0.001"
			}
		}
		p.line("  %-22s %-6s %9s %9s %9s   %-20s %7s  %s", reports.Escape(name), r.Figure, shortMs(r.AMs), shortMs(r.BMs),
			fmt.Sprintf("%+.1f %%", 100*r.Change), interval, chance, p.word(r.Verdict, string(r.Verdict)))
	}
	tested, _ := l.tested()
	p.line("  p is for a change as large by chance alone, adjusted for the %d rows that were tested: of those that", tested)
	p.line("  moved, %s %% are expected to be chance. Each interval is by itself. Times are within 0.8 %%.", number(math.Round(1e4*p.share)/1e2))
}

// atMost is the high end of an interval; what is beyond ten times as much says
// only that nothing is known.
func atMost(share float64) string {
	if share > 9.99 {
		return "over +999 %"
	}
	return fmt.Sprintf("%+.1f %%", 100*share)
}

// shortMs has three digits or so.
func shortMs(ms float64) string {
	switch {
	case ms < 1:
		return fmt.Sprintf("%.3f", ms)
	case ms < 100:
		return fmt.Sprintf("%.2f", ms)
	}
	return fmt.Sprintf("%.0f", ms)
}

// counts leaves out what there was none of.
func (p *page) counts(rows []CountRow) {
	head := false
	for _, c := range rows {
		if c.A == 0 && c.B == 0 {
			continue
		}
		if !head {
			head = true
			p.gap()
			p.line("  counted, not tested")
		}
		p.line("    %-20s A %s of %s (%.4g %%), B %s of %s (%.4g %%)", c.Metric,
			reports.FormatCount(c.A), reports.FormatCount(c.AOf), 100*c.ARate, reports.FormatCount(c.B), reports.FormatCount(c.BOf), 100*c.BRate)
	}
}

func (p *page) used(all []Used) {
	for i, u := range all {
		if i == 0 {
			p.gap()
			p.line("  used, run by run, not tested")
		}
		p.line("    %-28s A %s; B %s", u.What, spread(u.A), spread(u.B))
	}
}

// spread is the least and the largest of values.
func spread(values []float64) string {
	low, high := shortMs(slices.Min(values)), shortMs(slices.Max(values))
	if low == high {
		return low
	}
	return low + " to " + high
}

// mostDifferences are listed of one pair of runs.
const mostDifferences = 100

func (p *page) exact(e *Exact) {
	said := fmt.Sprintf("%s, seed %d", reports.Plural(len(e.Differences), "difference", "differences"), e.Seed)
	if e.Identical && len(e.Differences) == 0 {
		said = fmt.Sprintf("identical, the same events in the same order, seed %d", e.Seed)
	}
	p.verdict(e.Scenario, e.Budgets, said)
	p.list("not alike", e.Unlike)
	p.budgets(e.Budgets)
	for i, d := range e.Differences {
		if i == 0 {
			p.gap()
			p.line("  %-40s %20s    %s", "what", "A", "B")
		}
		if i == mostDifferences {
			p.line("  and %d more", len(e.Differences)-i)
			break
		}
		p.line("  %-40s %20s    %s", reports.Escape(d.What), orNone(d.A), orNone(d.B))
	}
}

func orNone(text string) string {
	if text == "" {
		return "-"
	}
	return reports.Escape(text)
}

// JSON writes the comparison as one indented object. The names are documented in
// docs/RESULTS.md and are only ever added to.
func JSON(w io.Writer, c *Comparison) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(c); err != nil {
		return fmt.Errorf("encoding the comparison: %w", err)
	}
	if _, err := w.Write(reports.EscapeJSON(b.Bytes())); err != nil {
		return fmt.Errorf("writing the comparison: %w", err)
	}
	return nil
}
