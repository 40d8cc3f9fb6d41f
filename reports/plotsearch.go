package reports

import (
	"cmp"
	"fmt"
	"image/color"
	"io"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// SearchPlot draws what a search measured as a PNG: quantiles of the response
// time against the rate, with the thresholds and the capacity.
func SearchPlot(w io.Writer, r *Run) error { return searchPicture(r).write(w) }

func searchPicture(r *Run) *picture {
	s := r.Load.Search
	p := &picture{title: fmt.Sprintf("%s: response time against rate", Escape(r.Scenario)), height: 4.4 * vg.Inch}
	p.subtitle = "capacity: " + s.Summary()
	if s.Capacity == 0 {
		p.subtitle = fmt.Sprintf("no capacity was found; verdict: %s", r.Verdict)
	}
	one := newChart(1, "arrivals per second (log)", "response time of all operations, ms (log)")
	steps, refused := stepsByRate(s)
	quantile := func(of func(*StepTimes) float64) (points plotter.XYs) {
		for _, step := range steps {
			points = append(points, plotter.XY{X: step.Rate, Y: max(of(&step.Response), 1e-6)})
		}
		return points
	}
	p50 := quantile(func(t *StepTimes) float64 { return t.P50 })
	p95 := quantile(func(t *StepTimes) float64 { return t.P95 })
	p99 := quantile(func(t *StepTimes) float64 { return t.P99 })
	odd := plotter.XYs{}
	for _, step := range refused {
		odd = append(odd, plotter.XY{X: step.Rate, Y: max(step.Response.P99, 1e-6)})
	}
	var limits, rates []float64
	for _, l := range s.Limits {
		limits = append(limits, l.Ms)
	}
	for _, step := range s.Steps {
		rates = append(rates, step.Rate)
	}
	logAxis(&one.Y, 1, 10, []plotter.XYs{p50, p95, p99, odd}, limits)
	logAxis(&one.X, s.StartRate, s.MaxRate, nil, rates)
	one.grid()
	one.marks(s)
	one.curve("p99", red(), draw.CircleGlyph{}, p99)
	one.curve("p95", orange(), draw.BoxGlyph{}, p95)
	one.curve("p50", blue(), draw.PyramidGlyph{}, p50)
	if len(odd) > 0 {
		marks := &plotter.Scatter{XYs: odd, GlyphStyle: draw.GlyphStyle{Color: grey(), Radius: 4, Shape: draw.CrossGlyph{}}}
		one.Add(marks)
		one.entries = append(one.entries, legendEntry{"p99 where the generator is the limit", marks})
	}
	p.charts = []*chart{one}
	return p
}

// stepsByRate are the measured steps in the order of their rates, of each rate
// the last; apart those in which the generator was the limit.
func stepsByRate(s *Search) (steps, limited []SearchStep) {
	for _, step := range s.Steps {
		switch {
		case step.Operations == 0 || step.Outcome == StepInterrupted:
		case step.Outcome == StepGeneratorLimited:
			limited = append(limited, step)
		default:
			steps = slices.DeleteFunc(steps, func(before SearchStep) bool { return before.Rate == step.Rate })
			steps = append(steps, step)
		}
	}
	slices.SortFunc(steps, func(a, b SearchStep) int { return cmp.Compare(a.Rate, b.Rate) })
	return steps, limited
}

// curve is a line with a glyph at every point.
func (p *chart) curve(name string, c color.Color, shape draw.GlyphDrawer, points plotter.XYs) {
	if len(points) == 0 {
		return
	}
	l := p.line("", c, nil, points)
	dots := &plotter.Scatter{XYs: points, GlyphStyle: draw.GlyphStyle{Color: c, Radius: 3, Shape: shape}}
	p.Add(dots)
	p.entries = append(p.entries, legendEntry{name, both{l, dots}})
}

// marks are the thresholds, the capacity and the rate that does not hold.
func (p *chart) marks(s *Search) {
	for _, l := range s.Limits {
		if l.Ms > 0 {
			p.line("threshold "+Escape(l.Name), purple(), []vg.Length{6, 3}, plotter.XYs{{X: p.X.Min, Y: l.Ms}, {X: p.X.Max, Y: l.Ms}})
		}
	}
	if s.Capacity > 0 {
		p.line("capacity", green(), nil, plotter.XYs{{X: s.Capacity, Y: p.Y.Min}, {X: s.Capacity, Y: p.Y.Max}}).Width = 2.5
	}
	if s.FailedRate > 0 {
		name := "does not hold"
		if s.FailedBy == StepGeneratorLimited {
			name = "the generator is the limit"
		}
		p.line(name, grey(), []vg.Length{2, 3}, plotter.XYs{{X: s.FailedRate, Y: p.Y.Min}, {X: s.FailedRate, Y: p.Y.Max}})
	}
}

// both draws two samples in one place.
type both [2]plot.Thumbnailer

// Thumbnail draws them.
func (b both) Thumbnail(c *draw.Canvas) {
	for _, one := range b {
		one.Thumbnail(c)
	}
}
