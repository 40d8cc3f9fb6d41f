package runpage

import (
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"bluetrace/reports"
	"bluetrace/reports/chart"
	"bluetrace/reports/page"
)

var (
	//go:embed load.html
	loadText string
	//go:embed load.css
	loadStyle string

	loadPage = page.NewScripted(loadText, chart.Style+loadStyle, "", template.FuncMap{
		"badge": Badge, "count": reports.FormatCount, "line": lineOf, "ms": reports.FormatMs,
		"rate": reports.FormatRate, "percent": reports.FormatPercent, "number": chart.Number,
		"increment": func(i int) int { return i + 1 },
		"times100":  func(x float64) float64 { return 100 * x },
		"short":     func(text string) string { return cut(text, maxText) }, "expected": expected,
	})
)

// tile is a figure at the head of the page of a load.
type tile struct {
	Name, Value, Note string
	Tone              page.Tone
}

// loadView is the data of load.html.
type loadView struct {
	*reports.Load
	Tiles    []tile
	Curve    *chart.Chart // nil if the load is no search
	Course   []*chart.Chart
	Details  []*chart.Chart
	About    string // how the charts sum up the seconds
	Failing  string // when operations failed
	Checks   []*reports.Check
	Times    []timesTable
	Facts    []page.Fact
	Parts    []part
	Reported *reports.SearchStep // nil if the load is no search
}

// timesTable has the quantiles of one kind of time of every operation.
type timesTable struct {
	Title string
	Rows  []timesRow
}

type timesRow struct {
	Name      string
	Samples   uint64
	Quantiles []string // p50, p90, p95, p99, p99.9, p99.99 and the maximum
	Intervals []reports.Interval
}

// writeLoad writes the page of a load. A load that has not ended has no verdict, and the figures until now.
func writeLoad(w io.Writer, r *reports.Run) error {
	c := courseOf(r)
	v := loadView{Load: r.Load, Tiles: tiles(r.Load), Course: c.main(), Parts: c.parts, Failing: failing(r.Load),
		Facts: loadFacts(r), Times: timesOf(r.Load)}
	if heat := c.heatmap(); heat != nil {
		v.Details = append(v.Details, heat)
	}
	v.Details = append(append(v.Details, c.services()), c.uses()...)
	shareKeys(v.Course)
	shareKeys(v.Details)
	if c.width > 1 {
		v.About = fmt.Sprintf("The charts and the table have parts of %d seconds: the mean of the rates, the sum of "+
			"the counts, the highest of the quantiles and of the processor time.", c.width)
	}
	if s := r.Load.Search; s != nil {
		v.Curve = curve(s)
		if s.ReportedStep < len(s.Steps) {
			v.Reported = &s.Steps[s.ReportedStep]
		}
	}
	number := map[reports.Verdict]int{}
	for i := range r.Checks {
		v.Checks = append(v.Checks, &r.Checks[i])
		number[r.Checks[i].Reported()]++
	}
	slices.SortStableFunc(v.Checks, func(a, b *reports.Check) int {
		return cmp.Compare(slices.Index(worstFirst, a.Reported()), slices.Index(worstFirst, b.Reported()))
	})
	p := &page.Page{Title: r.Scenario, Verdict: page.Badge{Tone: page.Unsure, Text: "running"}, Lead: r.About,
		Problem: problem(r), Notes: r.Notes, Counts: countsOf(number, "checks"), Data: v}
	if r.Verdict != "" {
		p.Verdict = Badge(r.Verdict)
		p.Verdict.Text += ": " + Result(r)
	}
	return loadPage.Write(w, p, fmt.Sprintf("the page of %q", r.Scenario))
}

// expected returns the expectation of a check. A threshold that held has it in its name only.
func expected(c *reports.Check) string {
	_, limit, named := strings.Cut(c.Name, ": ")
	if c.Expected == "" && c.Kind == reports.ThresholdCheck && named {
		return limit
	}
	return c.Expected
}

// loadProblem returns the sentence about the first failure of a load, or "" if none failed. An outage and a bottleneck
// come before the checks that they fail, and a threshold that ended the load before the others.
func loadProblem(r *reports.Run) string {
	l := r.Load
	if l.Outage != nil {
		text := "The server accepted no more connections, to the end of the load: " + l.Outage.Text
		for _, c := range r.Checks {
			if c.Name == reports.ServerLasts && c.Verdict == reports.Failed {
				text += "; " + cut(c.Found, 300)
			}
		}
		return text + "."
	}
	if len(l.Invalid) > 0 {
		return "The generator was the bottleneck: " + cut(strings.Join(l.Invalid, "; "), 600) +
			". The figures are those of the generator, not of the server."
	}
	var first *reports.Check
	for i := range r.Checks {
		if c := &r.Checks[i]; c.Verdict == reports.Failed && (first == nil || c.Name == l.Aborted) {
			first = c
		}
	}
	if first == nil {
		return ""
	}
	return firstFailure(first.Name, expected(first), first.FoundText())
}

// failing returns a sentence about the seconds in which something did not succeed.
func failing(l *reports.Load) string {
	bad := slices.DeleteFunc(slices.Clone(l.Timeline), func(s reports.LoadSecond) bool {
		return s.Failed+s.Unknown+s.Dropped == 0
	})
	switch {
	case len(l.Timeline) == 0:
		return "No second of the load was recorded."
	case len(bad) == 0:
		return "In no second did an operation fail or have no answer, and no arrival was dropped."
	}
	return fmt.Sprintf("Operations failed or had no answer, or arrivals were dropped, in %s of %s, "+
		"the first time from %s s on.", reports.FormatCount(uint64(len(bad))), reports.Plural(len(l.Timeline), "second", "seconds"),
		chart.Number(bad[0].FromSeconds))
}

// tiles returns the figures at the head of the page.
func tiles(l *reports.Load) []tile {
	list := []tile{}
	if s := l.Search; s != nil {
		capacity := tile{Name: "capacity", Value: "none", Tone: page.Bad}
		if s.Capacity > 0 {
			capacity = tile{Name: "capacity", Value: reports.FormatRate(s.Capacity) + "/s", Tone: page.Good}
			if s.AtLeast {
				capacity.Value = "at least " + capacity.Value
			}
			if s.Confidence != nil {
				capacity.Note = "confidence " + reports.FormatPercent(*s.Confidence)
			}
		}
		list = append(list, capacity)
	}
	perSecond := func(n uint64) string { return reports.FormatRate(float64(n)/max(l.Seconds, 1e-9)) + "/s" }
	a := &l.Arrivals
	list = append(list, tile{Name: "arrivals", Value: perSecond(a.Started), Note: "asked for " + perSecond(a.Due)})
	for _, q := range l.All.Quantiles() {
		if q.Quantile == .5 || q.Quantile == .99 {
			list = append(list, tile{Name: fmt.Sprintf("response p%g", 100*q.Quantile),
				Value: reports.FormatMs(q.Ms) + " ms"})
		}
	}
	add := func(name string, n, of uint64, unit string) {
		t := tile{Name: name, Value: reports.FormatCount(n), Note: "of " + reports.FormatCount(of) + unit}
		if n > 0 {
			t.Tone = page.Bad
		}
		list = append(list, t)
	}
	add("failed", l.All.Failed, l.All.Count(), " operations")
	add("no answer", l.All.Unknown, l.All.Count(), " operations")
	add("dropped", a.Dropped, a.Due, " arrivals")
	if h := l.All.Lag; h != nil && h.TotalCount() > 0 {
		of, p99 := l.WorstLag()
		if of != "" {
			of = " of " + cut(of, labelRunes)
		}
		t := tile{Name: "generator lag", Value: reports.FormatMs(p99) + " ms",
			Note: "p99" + of + ", budget " + chart.Number(l.Budgets.LagMs) + " ms"}
		if p99 > l.Budgets.LagMs {
			t.Tone = page.Bad
		}
		list = append(list, t)
	}
	return list
}

// timesOf returns the tables of the three times.
func timesOf(l *reports.Load) []timesTable {
	operations := l.Operations
	if len(operations) > 1 {
		operations = append(slices.Clone(operations), l.All)
	}
	table := func(title string, of func(*reports.LoadOperation) *hdrhistogram.Histogram) timesTable {
		t := timesTable{Title: title}
		for i := range operations {
			o := &operations[i]
			row := timesRow{Name: o.Name}
			if h := of(o); h != nil && h.TotalCount() > 0 {
				row.Samples = uint64(h.TotalCount())
				for _, q := range reports.QuantilesOf(h) {
					text := "-"
					if q.Beyond > 0 {
						text = reports.FormatMs(q.Ms)
					}
					row.Quantiles = append(row.Quantiles, text)
				}
				row.Quantiles = append(row.Quantiles, reports.FormatMs(float64(h.Max())/1e6))
			}
			t.Rows = append(t.Rows, row)
		}
		return t
	}
	response := table("Response time, from when an operation was due",
		func(o *reports.LoadOperation) *hdrhistogram.Histogram { return o.Response })
	for i := range operations {
		response.Rows[i].Intervals = operations[i].Intervals
	}
	return []timesTable{
		response,
		table("Service time, from when it was sent",
			func(o *reports.LoadOperation) *hdrhistogram.Histogram { return o.Service }),
		table("Schedule lag, the generator's own",
			func(o *reports.LoadOperation) *hdrhistogram.Histogram { return o.Lag }),
	}
}

// useFact returns the usage of a process in the measured time.
func useFact(name string, u *reports.ProcessUse) page.Fact {
	if u == nil {
		return page.Fact{}
	}
	return page.Fact{Name: name, Text: u.Summary()}
}

func loadFacts(r *reports.Run) []page.Fact {
	l := r.Load
	facts := []page.Fact{
		{Name: "repeat", Text: r.Repeat, Code: true},
		{Name: "seed", Text: strconv.FormatUint(r.Seed, 10)},
		{Name: "file", Text: r.File},
		{Name: "executor", Text: l.Executor},
		{Name: "time", Text: fmt.Sprintf("%.1f s after a warm-up of %.1f s", l.Seconds, l.WarmUpSeconds)},
		{Name: "phones", Text: reports.FormatCount(uint64(r.Phones))},
		{Name: "server", Text: l.Server},
		useFact("server used", l.ServerUse), useFact("generator", l.Generator),
	}
	for i := range l.Generators {
		facts = append(facts, page.Fact{Name: "generator " + l.Generators[i].Name, Text: l.Generators[i].Summary()})
	}
	if c := l.Conditions; c != nil {
		stages := "begins at " + reports.FormatRate(c.StartRate) + "/s"
		for _, s := range c.Stages {
			stages += fmt.Sprintf("; to %s/s in %v", reports.FormatRate(s.Rate),
				time.Duration(s.Seconds*float64(time.Second)))
		}
		facts = append(facts, page.Fact{Name: "stages", Text: stages},
			page.Fact{Name: "machine", Text: fmt.Sprintf("%s, %d processors, %s/%s",
				cmp.Or(c.Machine.CPU, "unknown processor"), c.Machine.CPUs, c.Machine.OS, c.Machine.Arch)},
			page.Fact{Name: "build", Text: cmp.Or(c.Build.Revision, "unknown revision") + ", " + c.Build.Go})
	}
	var expected []string
	for _, e := range l.Expected {
		source := "given"
		if e.WarmUp {
			source = "median of the warm-up"
		}
		expected = append(expected, fmt.Sprintf("%s %s ms (%s)", e.Operation, reports.FormatMs(e.Ms), source))
	}
	return append(facts, page.Fact{Name: "next operation due after", Text: strings.Join(expected, ", ")})
}
