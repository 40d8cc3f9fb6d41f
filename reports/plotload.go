package reports

import (
	"cmp"
	"fmt"
	"image/color"
	"io"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// LoadPlot draws a load second by second as a PNG: quantiles of the response time,
// and below them the requested and the achieved rate, and the rate of operations that
// failed or had no answer.
func LoadPlot(w io.Writer, r *Run) error { return loadPicture(r).write(w) }

func loadPicture(r *Run) *picture {
	line := r.Load.Timeline
	p := &picture{title: fmt.Sprintf("%s: response time over the run", Escape(r.Scenario)), height: 4.9 * vg.Inch}
	p.subtitle = fmt.Sprintf("%s operations, seed %d, verdict: %s", FormatCount(r.Load.All.Count()), r.Seed, r.Verdict)
	if s := r.Load.Search; s != nil && len(s.Steps) > 0 {
		p.title = fmt.Sprintf("%s: response time over step %d of the search, at %s arrivals/s",
			Escape(r.Scenario), s.ReportedStep+1, FormatRate(s.Steps[s.ReportedStep].Rate))
	}
	times := newChart(0.64, "", "response time, ms (log)")
	rates := newChart(0.36, "time since the load began, s", "per second")
	end := 1.0
	var p50, p99, target, achieved, broken []plotter.XYs
	for _, s := range line {
		end = max(end, s.FromSeconds+s.Seconds)
		middle := s.FromSeconds + s.Seconds/2
		p50, p99 = addPoint(p50, middle, s.P50Ms, s.Samples > 0), addPoint(p99, middle, s.P99Ms, s.Samples > 0)
		target, achieved = addPoint(target, middle, s.Target, true), addPoint(achieved, middle, s.Achieved, true)
		broken = addPoint(broken, middle, ratio(float64(s.Failed+s.Unknown), s.Seconds), s.Failed+s.Unknown > 0)
	}
	logAxis(&times.Y, 1, 10, append(p50, p99...), nil)
	rates.Y.Min, rates.Y.Max, rates.Y.Tick.Marker = 0, 1, linear{}
	for _, part := range slices.Concat(target, achieved, broken) {
		for _, one := range part {
			rates.Y.Max = max(rates.Y.Max, 1.1*one.Y)
		}
	}
	for _, chart := range []*chart{times, rates} {
		chart.X.Min, chart.X.Max, chart.X.Tick.Marker = 0, end, linear{}
		chart.warmUp(line, chart == times)
		chart.grid()
	}
	times.lines("p99 of each second", red(), nil, p99)
	times.lines("p50 of each second", blue(), nil, p50)
	rates.lines("achieved", green(), nil, achieved)
	rates.lines("asked for", color.Black, []vg.Length{4, 4}, target)
	rates.lines("operations failed or without an answer", red(), nil, broken)
	p.charts = []*chart{times, rates}
	return p
}

// addPoint adds a point to the last of some lines. A missing point ends the line.
func addPoint(lines []plotter.XYs, x, y float64, exists bool) []plotter.XYs {
	if len(lines) == 0 || !exists && len(lines[len(lines)-1]) > 0 {
		lines = append(lines, nil)
	}
	if exists {
		last := &lines[len(lines)-1]
		*last = append(*last, plotter.XY{X: x, Y: y})
	}
	return lines
}

// lines adds several lines with one name. A line of a single point is a dot.
func (p *chart) lines(name string, c color.Color, dashes []vg.Length, parts []plotter.XYs) {
	for _, part := range parts {
		if len(part) == 0 {
			continue
		}
		p.line(name, c, dashes, part)
		name = ""
		if len(part) == 1 {
			style := draw.GlyphStyle{Color: c, Radius: 2, Shape: draw.CircleGlyph{}}
			p.Add(&plotter.Scatter{XYs: part, GlyphStyle: style})
		}
	}
}

// warmUp shades the warm-up, and adds an entry of the legend if named.
func (p *chart) warmUp(line []LoadSecond, named bool) {
	end := 0.0
	for _, s := range line {
		if s.WarmUp {
			end = max(end, s.FromSeconds+s.Seconds)
		}
	}
	if end == 0 {
		return
	}
	corners := plotter.XYs{{X: 0, Y: p.Y.Min}, {X: end, Y: p.Y.Min}, {X: end, Y: p.Y.Max}, {X: 0, Y: p.Y.Max}}
	area := &plotter.Polygon{XYs: []plotter.XYs{corners}, Color: pale()}
	p.Add(area)
	if named {
		p.entries = append(p.entries, legendEntry{"warm-up, not in the figures", area})
	}
}

// logAxis sets a logarithmic axis around the positive values among points and more.
// Without such a value it uses low and high.
func logAxis(a *plot.Axis, low, high float64, lines []plotter.XYs, more []float64) {
	least, most := math.Inf(1), 0.0
	include := func(v float64) {
		if v > 0 {
			least, most = min(least, v), max(most, v)
		}
	}
	for _, l := range lines {
		for _, one := range l {
			include(one.Y)
		}
	}
	for _, v := range more {
		include(v)
	}
	if most > 0 {
		low, high = least, most
	}
	a.Min, a.Max = logRange(low, high)
	a.Scale, a.Tick.Marker = plot.LogScale{}, decades{}
}

// SearchPlot draws a search as a PNG: quantiles of the response time against the
// rate, with the thresholds and the capacity.
func SearchPlot(w io.Writer, r *Run) error { return searchPicture(r).write(w) }

func searchPicture(r *Run) *picture {
	s := r.Load.Search
	p := &picture{title: fmt.Sprintf("%s: response time against rate", Escape(r.Scenario)), height: 4.4 * vg.Inch}
	p.subtitle = "capacity: " + s.Summary()
	if s.Capacity == 0 {
		p.subtitle = fmt.Sprintf("no capacity was found; verdict: %s", r.Verdict)
	}
	one := newChart(1, "arrivals per second (log)", "response time of all operations, ms (log)")
	steps, limited := stepsByRate(s)
	quantile := func(of func(*StepTimes) float64) (points plotter.XYs) {
		for _, step := range steps {
			points = append(points, plotter.XY{X: step.Rate, Y: max(of(&step.Response), 1e-6)})
		}
		return points
	}
	p50 := quantile(func(t *StepTimes) float64 { return t.P50 })
	p95 := quantile(func(t *StepTimes) float64 { return t.P95 })
	p99 := quantile(func(t *StepTimes) float64 { return t.P99 })
	limitedP99 := plotter.XYs{}
	for _, step := range limited {
		limitedP99 = append(limitedP99, plotter.XY{X: step.Rate, Y: max(step.Response.P99, 1e-6)})
	}
	var limits, rates []float64
	for _, l := range s.Limits {
		limits = append(limits, l.Ms)
	}
	for _, step := range s.Steps {
		rates = append(rates, step.Rate)
	}
	logAxis(&one.Y, 1, 10, []plotter.XYs{p50, p95, p99, limitedP99}, limits)
	logAxis(&one.X, s.StartRate, s.MaxRate, nil, rates)
	one.grid()
	one.marks(s)
	one.curve("p99", red(), draw.CircleGlyph{}, p99)
	one.curve("p95", orange(), draw.BoxGlyph{}, p95)
	one.curve("p50", blue(), draw.PyramidGlyph{}, p50)
	if len(limitedP99) > 0 {
		style := draw.GlyphStyle{Color: grey(), Radius: 4, Shape: draw.CrossGlyph{}}
		marks := &plotter.Scatter{XYs: limitedP99, GlyphStyle: style}
		one.Add(marks)
		one.entries = append(one.entries, legendEntry{"p99 where the generator is the limit", marks})
	}
	p.charts = []*chart{one}
	return p
}

// stepsByRate returns the last measured step of each rate, in the order of the
// rates, and separately the steps that the generator limited.
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

// curve adds a line with a glyph at every point.
func (p *chart) curve(name string, c color.Color, shape draw.GlyphDrawer, points plotter.XYs) {
	if len(points) == 0 {
		return
	}
	l := p.line("", c, nil, points)
	dots := &plotter.Scatter{XYs: points, GlyphStyle: draw.GlyphStyle{Color: c, Radius: 3, Shape: shape}}
	p.Add(dots)
	p.entries = append(p.entries, legendEntry{name, both{l, dots}})
}

// marks adds lines for the thresholds, the capacity and the lowest rate that does
// not hold.
func (p *chart) marks(s *Search) {
	for _, l := range s.Limits {
		if l.Ms > 0 {
			p.line("threshold "+Escape(l.Name), purple(), []vg.Length{6, 3},
				plotter.XYs{{X: p.X.Min, Y: l.Ms}, {X: p.X.Max, Y: l.Ms}})
		}
	}
	if s.Capacity > 0 {
		line := p.line("capacity", green(), nil, plotter.XYs{{X: s.Capacity, Y: p.Y.Min}, {X: s.Capacity, Y: p.Y.Max}})
		line.Width = 2.5
	}
	if s.FailedRate > 0 {
		name := "does not hold"
		if s.FailedBy == StepGeneratorLimited {
			name = "the generator is the limit"
		}
		p.line(name, grey(), []vg.Length{2, 3},
			plotter.XYs{{X: s.FailedRate, Y: p.Y.Min}, {X: s.FailedRate, Y: p.Y.Max}})
	}
}

// both is an entry of the legend with two samples in one place.
type both [2]plot.Thumbnailer

// Thumbnail draws both samples.
func (b both) Thumbnail(c *draw.Canvas) {
	for _, one := range b {
		one.Thumbnail(c)
	}
}
