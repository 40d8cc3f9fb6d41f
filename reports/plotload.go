package reports

import (
	"fmt"
	"image/color"
	"io"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// LoadPlot draws a load run second by second as a PNG: quantiles of the response
// time, and below them the asked and the achieved rate.
func LoadPlot(w io.Writer, r *Run) error { return loadPicture(r).write(w) }

func loadPicture(r *Run) *picture {
	line := r.Load.Timeline
	p := &picture{title: fmt.Sprintf("%s: response time over the run", Escape(r.Scenario)), height: 4.9 * vg.Inch}
	p.subtitle = fmt.Sprintf("%s operations, seed %d, verdict: %s", FormatCount(r.Load.All.Count()), r.Seed, r.Verdict)
	if s := r.Load.Search; s != nil && len(s.Steps) > 0 {
		p.title = fmt.Sprintf("%s: response time over step %d of the search, at %s arrivals/s", Escape(r.Scenario), s.ReportedStep+1, FormatRate(s.Steps[s.ReportedStep].Rate))
	}
	times := newChart(0.64, "", "response time, ms (log)")
	rates := newChart(0.36, "time since the load began, s", "arrivals/s")
	end := 1.0
	var p50, p99, target, achieved []plotter.XYs
	for _, s := range line {
		end = max(end, s.FromSeconds+s.Seconds)
		middle := s.FromSeconds + s.Seconds/2
		p50, p99 = joined(p50, middle, s.P50Ms, s.Samples > 0), joined(p99, middle, s.P99Ms, s.Samples > 0)
		target, achieved = joined(target, middle, s.Target, true), joined(achieved, middle, s.Achieved, true)
	}
	logAxis(&times.Y, 1, 10, append(p50, p99...), nil)
	rates.Y.Min, rates.Y.Max, rates.Y.Tick.Marker = 0, 1, linear{}
	for _, part := range append(append([]plotter.XYs{}, target...), achieved...) {
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
	p.charts = []*chart{times, rates}
	return p
}

// joined adds a point to the last of some lines, or begins another after a gap.
func joined(lines []plotter.XYs, x, y float64, there bool) []plotter.XYs {
	if len(lines) == 0 || !there && len(lines[len(lines)-1]) > 0 {
		lines = append(lines, nil)
	}
	if there {
		last := &lines[len(lines)-1]
		*last = append(*last, plotter.XY{X: x, Y: y})
	}
	return lines
}

// lines adds several lines of one name, with a dot where one is a single point.
func (p *chart) lines(name string, c color.Color, dashes []vg.Length, parts []plotter.XYs) {
	for _, part := range parts {
		if len(part) == 0 {
			continue
		}
		p.line(name, c, dashes, part)
		name = ""
		if len(part) == 1 {
			p.Add(&plotter.Scatter{XYs: part, GlyphStyle: draw.GlyphStyle{Color: c, Radius: 2, Shape: draw.CircleGlyph{}}})
		}
	}
}

// warmUp shades the warm-up.
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
	area := &plotter.Polygon{XYs: []plotter.XYs{{{X: 0, Y: p.Y.Min}, {X: end, Y: p.Y.Min}, {X: end, Y: p.Y.Max}, {X: 0, Y: p.Y.Max}}}, Color: pale()}
	p.Add(area)
	if named {
		p.entries = append(p.entries, legendEntry{"warm-up, not in the figures", area})
	}
}

// logAxis fits a logarithmic axis around points and further values, which are
// above 0; low and high are of use when there are none.
func logAxis(a *plot.Axis, low, high float64, lines []plotter.XYs, more []float64) {
	least, most := math.Inf(1), 0.0
	take := func(v float64) {
		if v > 0 {
			least, most = min(least, v), max(most, v)
		}
	}
	for _, l := range lines {
		for _, one := range l {
			take(one.Y)
		}
	}
	for _, v := range more {
		take(v)
	}
	if most > 0 {
		low, high = least, most
	}
	a.Min, a.Max = logRange(low, high)
	a.Scale, a.Tick.Marker = plot.LogScale{}, decades{}
}
