package runpage

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"bluetrace/reports"
	"bluetrace/reports/chart"
)

// WriteTimePlot writes a load over its time as an SVG: the quantiles of the response time, the requested and the
// achieved rate, and everything that did not succeed.
func WriteTimePlot(w io.Writer, r *reports.Run) error { return timePlot(r).Write(w) }

func timePlot(r *reports.Run) *chart.File {
	c := courseOf(r)
	f := &chart.File{Title: fmt.Sprintf("%s: response time over the run", r.Scenario)}
	f.Subtitle = fmt.Sprintf("%s operations, seed %d, verdict: %s",
		reports.FormatCount(r.Load.All.Count()), r.Seed, r.Verdict)
	if s := r.Load.Search; s != nil && len(s.Steps) > 0 {
		f.Title = fmt.Sprintf("%s: response time over step %d of the search, at %s arrivals/s",
			r.Scenario, s.ReportedStep+1, reports.FormatRate(s.Steps[s.ReportedStep].Rate))
	}
	f.Charts = c.main()
	shareKeys(f.Charts)
	for i, one := range f.Charts {
		one.Hints = nil // a picture has no pointer
		name := strings.ToLower(one.Title[:1]) + one.Title[1:]
		one.Y.Name = name + strings.TrimPrefix(", "+one.Y.Name, ", per second")
		if i == len(f.Charts)-1 {
			one.X.Name = "time since the load began"
		}
	}
	return f
}

// WriteSearchPlot writes a search as an SVG: quantiles of the response time against the rate, with the thresholds and
// the capacity.
func WriteSearchPlot(w io.Writer, r *reports.Run) error {
	s := r.Load.Search
	f := &chart.File{Title: fmt.Sprintf("%s: response time against rate", r.Scenario), Charts: []*chart.Chart{curve(s)}}
	f.Subtitle = "capacity: " + s.Summary()
	if s.Capacity == 0 {
		f.Subtitle = fmt.Sprintf("no capacity was found; verdict: %s", r.Verdict)
	}
	return f.Write(w)
}

// curve returns the chart of a search.
func curve(s *reports.Search) *chart.Chart {
	c := &chart.Chart{Title: "Response time against rate", Height: 300}
	steps, limited := stepsByRate(s)
	quantile := func(list []reports.SearchStep, of func(*reports.StepTimes) float64) (points []chart.Point) {
		for i := range list {
			points = append(points, chart.Point{X: list[i].Rate, Y: max(of(&list[i].Response), 1e-6)})
		}
		return points
	}
	p99 := func(t *reports.StepTimes) float64 { return t.P99 }
	c.Series = []chart.Series{
		{Name: "p99", Color: chart.Red, Shape: chart.Circle, Points: quantile(steps, p99)},
		{Name: "p95", Color: chart.Orange, Shape: chart.Square,
			Points: quantile(steps, func(t *reports.StepTimes) float64 { return t.P95 })},
		{Name: "p50", Color: chart.Blue, Shape: chart.Triangle,
			Points: quantile(steps, func(t *reports.StepTimes) float64 { return t.P50 })},
		{Name: "p99 where the generator is the limit", Color: chart.Grey, Shape: chart.Cross, NoLine: true,
			Points: quantile(limited, p99)},
	}
	var rates []float64
	for i := range s.Steps {
		rates = append(rates, s.Steps[i].Rate)
	}
	times := append(valuesOf(c.Series...), limitValues(s.Limits)...)
	c.Y = chart.Log("response time of all operations, ms (log)", 1, 10, times...)
	c.X = chart.Log("arrivals per second (log)", max(s.StartRate, 1e-3), max(s.MaxRate, 1e-3), rates...)
	limit(c, s.Limits, nil)
	if s.Capacity > 0 {
		c.Rules = append(c.Rules, chart.Rule{Name: "capacity", Color: chart.Green, Vertical: true, At: s.Capacity})
	}
	if s.FailedRate > 0 {
		name := "does not hold"
		if s.FailedBy == reports.StepGeneratorLimited {
			name = "the generator is the limit"
		}
		c.Rules = append(c.Rules,
			chart.Rule{Name: name, Color: chart.Grey, Dash: chart.Dotted, Vertical: true, At: s.FailedRate})
	}
	return c
}

// stepsByRate returns the last measured step of each rate, in the order of the
// rates, and separately the steps that the generator limited.
func stepsByRate(s *reports.Search) (steps, limited []reports.SearchStep) {
	for _, step := range s.Steps {
		switch {
		case step.Operations == 0 || step.Outcome == reports.StepInterrupted:
		case step.Outcome == reports.StepGeneratorLimited:
			limited = append(limited, step)
		default:
			steps = slices.DeleteFunc(steps, func(before reports.SearchStep) bool { return before.Rate == step.Rate })
			steps = append(steps, step)
		}
	}
	slices.SortFunc(steps, func(a, b reports.SearchStep) int { return cmp.Compare(a.Rate, b.Rate) })
	return steps, limited
}
