package livepage

import (
	"html/template"
	"math"
	"slices"

	"bluetrace/reports"
	"bluetrace/reports/chart"
)

// looks are the colours and dashes of the lines of a chart.
var looks = []chart.Series{
	{Color: chart.Blue}, {Color: chart.Green, Dash: chart.Dashed}, {Color: chart.Red, Dash: chart.Dotted},
	{Color: chart.Orange, Dash: chart.Dashed},
}

// draw draws lines over the same times, of which there are two or more. The legend has their last values. It reports
// false if no value is above 0.
func draw(times []float64, lines []*line) (svg template.HTML, ok bool) {
	c := &chart.Chart{Title: lines[0].chart, Height: 90, X: chart.Time("", times[0], times[len(times)-1])}
	var all []float64
	for i, l := range lines {
		s, last := looks[i%len(looks)], "–"
		if p := l.points[len(l.points)-1]; !math.IsNaN(p) {
			last = number(p)
		}
		s.Name = l.name + " " + last
		for k, p := range l.points {
			s.Points = append(s.Points, chart.Point{X: times[k], Y: p})
		}
		c.Series, all = append(c.Series, s), append(all, l.points...)
	}
	c.Y = chart.Linear("", all...)
	return c.Inline(), slices.ContainsFunc(all, func(v float64) bool { return v > 0 })
}

// number returns a number with three digits, or a larger one as a whole number.
func number(x float64) string {
	if x >= 100 {
		return reports.FormatCount(uint64(math.Round(x)))
	}
	return chart.Number(x)
}
