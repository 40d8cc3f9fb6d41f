package compare

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"bluetrace/reports"
)

// Text writes the comparison for a person, each scenario's verdict first. Text
// from a file is written with reports.Escape.
func Text(w io.Writer, c *Comparison, color bool) error {
	p := &page{Page: reports.Page{Colored: color}, confidence: c.Confidence, falseDiscoveries: c.FalseDiscoveries}
	for i := range c.Loads {
		p.Gap()
		p.load(&c.Loads[i])
	}
	for i := range c.Exact {
		p.Gap()
		p.exact(&c.Exact[i])
	}
	if len(c.Notes) > 0 {
		p.Gap()
		p.Fields("notes", c.Notes)
	}
	return reports.WriteDocument(w, p.Bytes(), "the comparison")
}

// JSON writes the comparison as one indented object. docs/RESULTS.md documents the
// names; a later version only adds names.
func JSON(w io.Writer, c *Comparison) error { return reports.WriteJSON(w, c, "the comparison") }

// page is the text of a comparison.
type page struct {
	reports.Page
	confidence, falseDiscoveries float64
}

// Color returns the colour of the verdict.
func (v Verdict) Color() reports.Color {
	return map[Verdict]reports.Color{Exceeded: reports.Red, Held: reports.Green, Moved: reports.Yellow}[v]
}

// verdict writes the first line of a scenario.
func (p *page) verdict(scenario string, budgets []BudgetResult, result string) {
	var over []string
	for _, b := range budgets {
		if b.Verdict == Exceeded {
			over = append(over, reports.Escape(b.Budget))
		}
	}
	v := Held
	if over != nil {
		v, result = Exceeded, strings.Join(over, ", ")+"; "+result
	}
	title := strings.ToUpper(string(v))
	if len(budgets) == 0 {
		v, title = "", "COMPARED"
	}
	p.Line("%s  %s: %s", p.Paint(v.Color(), title), reports.Escape(scenario), result)
}

func (p *page) load(l *Load) {
	p.verdict(l.Scenario, l.Budgets, l.result())
	p.Fields("warnings", l.Warnings)
	p.budgets(l.Budgets)
	p.rows(l)
	p.counts(l.Counts)
	p.resources(l.Resources)
}

// result returns the number of times that moved, and the runs.
func (l *Load) result() string {
	tested, moved := l.tested()
	result := fmt.Sprintf("%d of %d times moved", moved, tested)
	if tested == 0 {
		result = "no time could be tested"
	}
	return fmt.Sprintf("%s; %s of A (%.0f s) and %d of B (%.0f s)", result,
		reports.Plural(l.A.Runs, "run", "runs"), l.A.Seconds, l.B.Runs, l.B.Seconds)
}

func (p *page) budgets(budgets []BudgetResult) {
	for i, b := range budgets {
		if i == 0 {
			p.Gap()
		}
		p.Line("  budget      %s: %s  %s", reports.Escape(b.Budget), b.change(), p.Paint(b.Verdict.Color(), b.outcome()))
	}
}

// change returns the change of the figure, with its interval if it has one.
func (b *BudgetResult) change() string {
	text := formatChange(b.Change, b.Unit)
	if b.Tested {
		text += fmt.Sprintf(" (%s to %s)", formatChange(b.Low, b.Unit), formatChange(b.High, b.Unit))
	}
	return text
}

// outcome returns the verdict with a remark about its certainty.
func (b *BudgetResult) outcome() string {
	switch {
	case b.Verdict == NotShown:
		return "beyond it, but this may be chance: not shown"
	case b.Verdict == Held && (b.exceededBy(b.Low) || b.exceededBy(b.High)):
		return "held, but a larger change is possible"
	}
	return string(b.Verdict)
}

// formatChange formats a change with its sign and unit.
func formatChange(v float64, unit Unit) string {
	switch unit {
	case Percent:
		return fmt.Sprintf("%+.1f %%", v)
	case Ms:
		return fmt.Sprintf("%+.3f ms", v)
	}
	if v < 0 {
		return number(v)
	}
	return "+" + number(v)
}

// rows writes the table of times.
func (p *page) rows(l *Load) {
	if len(l.Rows) == 0 {
		return
	}
	p.Gap()
	p.Line("  %-29s %9s %9s %9s   %-20s %7s  %s",
		"times; ms", "A", "B", "change", percent(p.confidence)+" % confidence", "p", "")
	previous := ""
	for _, r := range l.Rows {
		name := r.Metric
		if name == previous {
			name = ""
		}
		previous = r.Metric
		interval, pValue := r.Test.texts()
		p.Line("  %-22s %-6s %9s %9s %9s   %-20s %7s  %s",
			reports.Escape(name), r.Figure, reports.FormatMs(r.AMs), reports.FormatMs(r.BMs),
			formatChange(100*r.Change, Percent), interval, pValue,
			p.Paint(r.Verdict.Color(), string(r.Verdict)))
	}
	tested, _ := l.tested()
	p.Line("  p is the probability of so large a change by chance, adjusted for the %d tested rows: of the rows that",
		tested)
	p.Line("  moved, %s %% are expected to be chance. The intervals are not adjusted. Times are within 0.8 %%.",
		percent(p.falseDiscoveries))
}

// texts returns the interval of the change and the adjusted p, which are empty without a test.
func (t *Test) texts() (interval, p string) {
	switch {
	case t == nil:
		return "", ""
	case t.PAdjusted < 0.001:
		p = "<0.001"
	default:
		p = fmt.Sprintf("%.3f", t.PAdjusted)
	}
	return fmt.Sprintf("%+.1f to %s", 100*t.Low, formatHigh(t.High)), p
}

// percent formats a share without the sign of a percentage.
func percent(share float64) string { return number(math.Round(1e4*share) / 1e2) }

// formatHigh formats the upper end of an interval. An end beyond ten times the
// figure is not informative, and its digits are left out.
func formatHigh(share float64) string {
	if share > 9.99 {
		return "over +999 %"
	}
	return fmt.Sprintf("%+.1f %%", 100*share)
}

// counts writes the counts that are not 0 on both sides.
func (p *page) counts(rows []CountRow) {
	head := false
	for _, c := range rows {
		if c.A == 0 && c.B == 0 {
			continue
		}
		if !head {
			head = true
			p.Gap()
			p.Line("  counted, not tested")
		}
		p.Line("    %-20s A %s, B %s", c.Metric, formatPart(c.A, c.AOf, c.ARate), formatPart(c.B, c.BOf, c.BRate))
	}
}

// formatPart formats a count, its total and its share of the total, which is nil without a total.
func formatPart(n, of uint64, share *float64) string {
	text := reports.FormatCount(n) + " of " + reports.FormatCount(of)
	if share != nil {
		text += fmt.Sprintf(" (%.4g %%)", 100**share)
	}
	return text
}

func (p *page) resources(rows []ResourceRow) {
	for i, r := range rows {
		if i == 0 {
			p.Gap()
			p.Line("  resources of the server for each run, not tested")
		}
		p.Line("    %-28s A %s; B %s", r.Metric, valueRange(r.A), valueRange(r.B))
	}
}

// valueRange formats the smallest and the largest of some values.
func valueRange(values []float64) string {
	low, high := reports.FormatMs(slices.Min(values)), reports.FormatMs(slices.Max(values))
	if low == high {
		return low
	}
	return low + " to " + high
}

// maxDifferences is the number of differences that are listed for a pair of runs.
const maxDifferences = 15

// result returns the number of differences.
func (e *Exact) result() string {
	if e.Identical && len(e.Differences) == 0 {
		return fmt.Sprintf("identical, the same events in the same order, seed %d", e.Seed)
	}
	seed := fmt.Sprintf("seed %d", e.Seed)
	if e.seedB != e.Seed {
		seed = fmt.Sprintf("seeds %d and %d", e.Seed, e.seedB)
	}
	return fmt.Sprintf("%s, %s", reports.Plural(len(e.Differences), "difference", "differences"), seed)
}

func (p *page) exact(e *Exact) {
	p.verdict(e.Scenario, e.Budgets, e.result())
	p.Fields("warnings", e.Warnings)
	p.budgets(e.Budgets)
	for i, d := range e.Differences {
		if i == 0 {
			p.Gap()
			p.Line("  %-40s %20s    %s", "figure", "A", "B")
		}
		if i == maxDifferences {
			p.Line("  and %d more (--report json lists them)", len(e.Differences)-i)
			break
		}
		p.Line("  %-40s %20s    %s", reports.Escape(d.Name), orDash(d.A), orDash(d.B))
	}
}

func orDash(text string) string { return reports.Escape(cmp.Or(text, "-")) }
