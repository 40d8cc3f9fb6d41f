package compare

import (
	"cmp"
	_ "embed"
	"fmt"
	"html"
	"html/template"
	"io"
	"slices"
	"strings"

	"bluetrace/reports"
	pages "bluetrace/reports/page"
)

var (
	//go:embed compare.html
	htmlText string
	//go:embed compare.css
	htmlStyle string

	htmlPage = pages.NewScripted(htmlText, htmlStyle, "", template.FuncMap{
		"badge": badge, "count": reports.FormatCount, "ms": reports.FormatMs, "part": formatPart, "spread": valueRange,
		"dash": func(text string) string { return cmp.Or(text, "-") },
	})
)

// maxHTMLDifferences is the number of differences of a pair of runs that a page lists.
const maxHTMLDifferences = 500

// htmlView is the data of compare.html.
type htmlView struct {
	*Comparison
	Loads                    []htmlLoad
	Exact                    []htmlExact
	Percent, FalseDiscovered string
}

// htmlLoad is a load on the page. Rows are those that exceed a budget, then those that moved, then the others.
type htmlLoad struct {
	*Load
	Result  string
	Rows    []htmlRow
	Budgets []htmlBudget
}

// htmlRow is a row with its texts.
type htmlRow struct {
	*Row
	Change, Interval, P string
	SVG                 template.HTML // empty without a test
}

type htmlBudget struct {
	*BudgetResult
	Text, Outcome string
}

type htmlExact struct {
	*Exact
	Result  string
	Budgets []htmlBudget
	More    int // differences that are left out
}

// HTML writes the comparison as a page. a and b name the two sets of results as the user did.
func HTML(w io.Writer, c *Comparison, a, b string) error {
	v := htmlView{Comparison: c, Percent: percent(c.Confidence), FalseDiscovered: percent(c.FalseDiscoveries)}
	p := &pages.Page{Title: "Comparison of B with A", Verdict: badge(c.Verdict), Notes: c.Notes, Data: &v,
		Lead: fmt.Sprintf("A, before: %s. B, after: %s.", a, b)}
	number := map[Verdict]int{}
	budgets := 0
	for i := range c.Loads {
		l := &c.Loads[i]
		h := htmlLoad{Load: l, Result: l.result(), Budgets: htmlBudgets(l.Budgets)}
		for k := range l.Rows {
			r := &l.Rows[k]
			number[r.Verdict]++
			row := htmlRow{Row: r, Change: formatChange(100*r.Change, Percent)}
			row.Interval, row.P = r.Test.texts()
			if r.Test != nil {
				row.SVG = l.draw(r)
			}
			h.Rows = append(h.Rows, row)
		}
		rank := func(r htmlRow) int { return map[Verdict]int{Exceeded: -2, Moved: -1}[r.Verdict] }
		slices.SortStableFunc(h.Rows, func(a, b htmlRow) int { return cmp.Compare(rank(a), rank(b)) })
		v.Loads, budgets = append(v.Loads, h), budgets+len(l.Budgets)
		p.Problem = cmp.Or(p.Problem, firstExceeded(l.Scenario, l.Budgets))
	}
	for i := range c.Exact {
		e := c.Exact[i] // its differences may be cut
		h := htmlExact{Exact: &e, Result: e.result(), Budgets: htmlBudgets(e.Budgets)}
		if h.More = max(0, len(e.Differences)-maxHTMLDifferences); h.More > 0 {
			e.Differences = e.Differences[:maxHTMLDifferences]
		}
		v.Exact, budgets = append(v.Exact, h), budgets+len(e.Budgets)
		p.Problem = cmp.Or(p.Problem, firstExceeded(e.Scenario, e.Budgets))
	}
	if budgets == 0 {
		p.Verdict = pages.Badge{Tone: pages.Neutral, Text: "compared, without a budget"}
	}
	for _, verdict := range []Verdict{Exceeded, Moved, NotShown, TooFew, TooShort} {
		if n := number[verdict]; n > 0 {
			p.Counts = append(p.Counts, pages.Count{Badge: badge(verdict), Count: n, Section: "loads"})
		}
	}
	return htmlPage.Write(w, p, "the page of the comparison")
}

// badge returns a verdict with its tone.
func badge(v Verdict) pages.Badge {
	tone := pages.Neutral
	switch v {
	case Held:
		tone = pages.Good
	case Exceeded:
		tone = pages.Bad
	case Moved:
		tone = pages.Unsure
	}
	return pages.Badge{Tone: tone, Text: string(v)}
}

// firstExceeded returns a sentence about the first budget that is exceeded, or "".
func firstExceeded(scenario string, budgets []BudgetResult) string {
	for i := range budgets {
		if b := &budgets[i]; b.Verdict == Exceeded {
			return fmt.Sprintf("%s exceeds the budget %s: %s", scenario, b.Budget, b.change())
		}
	}
	return ""
}

func htmlBudgets(budgets []BudgetResult) (list []htmlBudget) {
	for i := range budgets {
		b := &budgets[i]
		list = append(list, htmlBudget{b, b.change(), b.outcome()})
	}
	return list
}

// Sizes of the picture of a row, in pixels.
const (
	svgWidth  = 180
	svgHeight = 40
	svgMargin = 8
)

// draw draws the intervals of a tested row, that of A above that of B, and the limits of its budgets for B.
func (l *Load) draw(r *Row) template.HTML {
	t := r.Test
	title := fmt.Sprintf("A %s ms (%s to %s), B %s ms (%s to %s)", reports.FormatMs(r.AMs), reports.FormatMs(t.ALowMs),
		reports.FormatMs(t.AHighMs), reports.FormatMs(r.BMs), reports.FormatMs(t.BLowMs), reports.FormatMs(t.BHighMs))
	values := []float64{t.ALowMs, t.AHighMs, t.BLowMs, t.BHighMs}
	var limits []float64
	for i := range l.Budgets {
		b, err := ParseBudget(l.Budgets[i].Budget)
		if err != nil || b.Metric != r.Metric || b.Figure() != r.Figure {
			continue // a default budget, or that of another figure
		}
		limit := r.AMs + b.Limit
		if b.Unit == Percent {
			limit = r.AMs * (1 + b.Limit/100)
		}
		limits, title = append(limits, limit), title+", limit "+reports.FormatMs(limit)+" ms"
	}
	values = append(values, limits...)
	low, high := slices.Min(values), slices.Max(values)
	x := func(v float64) float64 {
		return svgMargin + (v-low)/max(high-low, 1e-9)*(svgWidth-2*svgMargin)
	}
	var s strings.Builder
	fmt.Fprintf(&s, `<svg class="intervals" viewBox="0 0 %d %d" width="%[1]d" height="%[2]d" role="img" aria-label="%[3]s">`+
		`<title>%[3]s</title>`, svgWidth, svgHeight, html.EscapeString(reports.Escape(title)))
	for i, side := range [][3]float64{{t.ALowMs, r.AMs, t.AHighMs}, {t.BLowMs, r.BMs, t.BHighMs}} {
		y := 11 + 18*i
		fmt.Fprintf(&s, `<path class="%c" d="M%.1f %dv10m0 -5H%.1fm0 -5v10"/>`, "ab"[i], x(side[0]), y-5, x(side[2]))
		fmt.Fprintf(&s, `<circle class="%c" cx="%.1f" cy="%d" r="4"/>`, "ab"[i], x(side[1]), y)
	}
	for _, limit := range limits {
		fmt.Fprintf(&s, `<path class="limit" d="M%.1f 1V%d"/>`, x(limit), svgHeight-1)
	}
	s.WriteString("</svg>")
	return template.HTML(s.String()) //nolint:gosec // every text in it was escaped
}
