package compare

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"bluetrace/reports"
	"bluetrace/reports/page/pagetest"
)

const hostile = "x\x1b[2J\x00\u202e</script></style><script>alert(1)</script>\"'><img src=x onerror=y>\xff"

// htmlOf returns the page of a comparison, the rows of its tables, and the descriptions of its pictures.
func htmlOf(t *testing.T, c *Comparison) (text string, rows, pictures []string) {
	t.Helper()
	var b bytes.Buffer
	if err := HTML(&b, c, "results/old", "results/new"); err != nil {
		t.Fatal(err)
	}
	text = b.String()
	for _, n := range pagetest.Elements(t, text) {
		switch {
		case n.Data == "tr":
			rows = append(rows, pagetest.Content(n))
		case n.Data == "svg" && pagetest.Attribute(n, "role") == "img":
			pictures = append(pictures, pagetest.Attribute(n, "aria-label"))
		case n.Data == "script", n.Data == "img":
			t.Errorf("the page has the element %s", n.Data)
		}
	}
	if !strings.Contains(text, "A, before: results/old. B, after: results/new.") {
		t.Error("the page does not name the two sets")
	}
	if strings.ContainsAny(text, "\x00\x1b\u202e") || strings.Contains(text, "ZgotmplZ") ||
		strings.Contains(text, "%!") || strings.Contains(text, "NaN") || strings.Contains(text, "://") {
		t.Error("the page has a control character, a refused text, no number or a foreign address")
	}
	return text, rows, pictures
}

// TestPageEqualsTheJSON compares the figures and intervals of the page with the JSON.
func TestPageEqualsTheJSON(t *testing.T) {
	draws := rand.New(rand.NewPCG(9, 9))
	base := drawing{runs: 5, seconds: 10, each: 100, factor: 1, perRun: 0.005}
	slower := base
	slower.factor = 1.2
	a, b := base.draw(t, draws), slower.draw(t, draws)
	c := compareDrawn(t, a, b, "login.response_time:p95=+2ms", "response_time:p50=+10%")
	c.Loads[0].Scenario, c.Loads[0].Warnings, c.Notes = hostile, []string{hostile}, []string{hostile}
	text, rows, pictures := htmlOf(t, c)
	var document bytes.Buffer
	if err := JSON(&document, c); err != nil {
		t.Fatal(err)
	}
	var parsed struct{ Loads []Load }
	if err := json.Unmarshal(document.Bytes(), &parsed); err != nil {
		t.Fatal(err)
	}
	l := &parsed.Loads[0]
	tested := 0
	for _, r := range l.Rows {
		want := fmt.Sprintf("%s %s %s %s %+.1f %%", r.Metric, r.Figure, reports.FormatMs(r.AMs), reports.FormatMs(r.BMs),
			100*r.Change)
		if !slices.ContainsFunc(rows, func(row string) bool { return strings.Contains(row, want) }) {
			t.Errorf("no row %q", want)
		}
		if r.Test == nil {
			continue
		}
		tested++
		want = fmt.Sprintf("A %s ms (%s to %s), B %s ms (%s to %s)", reports.FormatMs(r.AMs),
			reports.FormatMs(r.Test.ALowMs), reports.FormatMs(r.Test.AHighMs), reports.FormatMs(r.BMs),
			reports.FormatMs(r.Test.BLowMs), reports.FormatMs(r.Test.BHighMs))
		if !slices.ContainsFunc(pictures, func(p string) bool { return strings.HasPrefix(p, want) }) {
			t.Errorf("no picture %q", want)
		}
		if !(r.Test.ALowMs < r.AMs && r.AMs < r.Test.AHighMs && r.Test.BLowMs < r.BMs && r.BMs < r.Test.BHighMs) {
			t.Errorf("%s %s is not in its interval: %+v", r.Metric, r.Figure, r.Test)
		}
	}
	if tested < 4 || len(pictures) != tested {
		t.Errorf("%d rows were tested, %d pictures", tested, len(pictures))
	}
	i := slices.IndexFunc(rows, func(r string) bool { return strings.HasPrefix(r, "verdict time") })
	if first := rows[i+1]; !strings.HasPrefix(first, "✗ budget exceeded response_time p50") {
		t.Errorf("the first row is %q", first)
	}
	limit := reports.FormatMs(1.1 * l.Rows[0].AMs)
	if n := strings.Count(text, `class="limit" d="M`) - 1; n != 2 || !strings.HasSuffix(pictures[0], "limit "+limit+" ms") {
		t.Errorf("%d limits; the first picture is %q, want the limit %s", n, pictures[0], limit)
	}
	if !strings.Contains(text, "exceeds the budget response_time:p50=&#43;10%") {
		t.Error("the page does not begin with the budget")
	}
}

// TestIntervalsAreInTheirPlaces: A is above B, each with its own class, from its least to its largest value; a limit is a
// line at its value. 10 to 20 ms are 8 to 172 pixels.
func TestIntervalsAreInTheirPlaces(t *testing.T) {
	l := &Load{Budgets: []BudgetResult{{Budget: "response_time:p50=+4ms"}}}
	got := string(l.draw(&Row{Metric: "response_time", Figure: "p50", AMs: 11, BMs: 18,
		Test: &Test{ALowMs: 10, AHighMs: 12, BLowMs: 16, BHighMs: 20}}))
	for _, want := range []string{
		`<path class="a" d="M8.0 6v10m0 -5H40.8m0 -5v10"/><circle class="a" cx="24.4" cy="11" r="4"/>`,
		`<path class="b" d="M106.4 24v10m0 -5H172.0m0 -5v10"/><circle class="b" cx="139.2" cy="29" r="4"/>`,
		`<path class="limit" d="M90.0 1V39"/>`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
}

// TestPageOfRunsInVirtualTime: many differences are cut, and the page says so.
func TestPageOfRunsInVirtualTime(t *testing.T) {
	c := &Comparison{Verdict: Exceeded, Notes: []string{hostile}, Exact: []Exact{{Scenario: hostile, A: hostile, B: "b",
		Seed: 7, seedB: 7, Warnings: []string{hostile},
		Budgets: []BudgetResult{{Budget: hostile, Verdict: Exceeded, Change: 3}}}}}
	for i := range maxHTMLDifferences + 3 {
		c.Exact[0].Differences = append(c.Exact[0].Differences, Difference{fmt.Sprint("figure ", i), hostile, ""})
	}
	text, rows, _ := htmlOf(t, c)
	if n := len(rows); n != maxHTMLDifferences+3 || !strings.Contains(text, "3 more differences are left out") ||
		!strings.Contains(text, "503 differences, seed 7") || len(c.Exact[0].Differences) != maxHTMLDifferences+3 {
		t.Errorf("%d rows", n)
	}
	if !strings.Contains(text, "exceeds the budget") {
		t.Error("the page does not begin with the budget")
	}
	if !strings.HasSuffix(rows[len(rows)-1], "-") {
		t.Errorf("the last row is %q", rows[len(rows)-1])
	}
}

func TestPageOfNothing(t *testing.T) {
	if text, rows, _ := htmlOf(t, &Comparison{Verdict: Held}); len(rows) != 0 ||
		!strings.Contains(text, "compared, without a budget") {
		t.Errorf("the page is %s", text)
	}
}
