package chart

import (
	"math"
	"slices"
	"strings"
)

// units is the width of the stretched coordinates.
const units = 1000

// Sizes of the sample of a legend, in pixels.
const (
	sampleWidth = 26
	rowHeight   = 14
)

// x returns a horizontal position in percent.
func (c *Chart) x(v float64) float64 { return 100 * c.X.share(v) }

// y returns a vertical position in pixels from the top.
func (c *Chart) y(v float64) float64 { return (1 - c.Y.share(v)) * float64(c.Height) }

// draw draws the chart in an SVG element of its height, whose width may be any. Texts and points are placed in percent
// of the width. Lines and blocks are in an inner element, which the browser stretches without their strokes.
func (c *Chart) draw(d *Canvas) {
	for _, b := range c.Bands {
		d.Add(`<rect class="band c-%s" x="%.2f%%" width="%.2f%%" height="%d"/>`, b.Color, c.x(b.From),
			c.x(b.To)-c.x(b.From), c.Height)
	}
	c.axes(d)
	d.Add(`<svg class="data" width="100%%" height="%d" viewBox="0 0 %d %[1]d" preserveAspectRatio="none">`,
		c.Height, units)
	for i := range c.Blocks {
		c.blocks(d, &c.Blocks[i])
	}
	for i := range c.Series {
		c.line(d, &c.Series[i])
	}
	d.Add("</svg>")
	for i := range c.Rules {
		c.rule(d, &c.Rules[i])
	}
	c.labels(d)
	for i := range c.Series {
		c.points(d, &c.Series[i])
	}
	for _, h := range c.Hints {
		d.Add(`<rect class="hint" x="%.2f%%" width="%.2f%%" height="%d"><title>%s</title></rect>`, c.x(h.From),
			c.x(h.To)-c.x(h.From), c.Height, hintText(h.Text))
	}
}

// hintText returns a text of several lines.
func hintText(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = Text(lines[i])
	}
	return strings.Join(lines, "\n")
}

func (c *Chart) axes(d *Canvas) {
	for _, t := range c.Y.ticks() {
		y := c.y(t.value)
		d.Add(`<path class="tick" d="M-4 %.1fh4"/>`, y)
		if t.label != "" {
			d.Add(`<line class="grid" x2="100%%" y1="%.1f" y2="%.1[1]f"/>`, y)
			d.Add(`<text x="-7" y="%.1f" text-anchor="end">%s</text>`, y+4, Text(t.label))
		}
	}
	for _, t := range c.X.ticks() {
		x := c.x(t.value)
		d.Add(`<line class="tick" x1="%.2f%%" x2="%.2[1]f%%" y1="%d" y2="%d"/>`, x, c.Height, c.Height+4)
		if t.label != "" {
			d.Add(`<line class="grid" x1="%.2f%%" x2="%.2[1]f%%" y2="%d"/>`, x, c.Height)
			d.Add(`<text x="%.2f%%" y="%d" text-anchor="middle">%s</text>`, x, c.Height+17, Text(t.label))
		}
	}
	d.Add(`<line class="axis" x2="100%%" y1="%d" y2="%[1]d"/><path class="axis" d="M0 0v%[1]d"/>`, c.Height)
	d.Add(`<text class="name" x="-%d" y="-9">%s</text>`, left-4, Text(c.Y.Name))
	d.Add(`<text class="name" x="50%%" y="%d" text-anchor="middle">%s</text>`, c.Height+33, Text(c.X.Name))
}

func (c *Chart) blocks(d *Canvas, b *Blocks) {
	if len(b.List) == 0 {
		return
	}
	d.Add(`<path class="block c-%s l%d" d="`, b.Color, b.Level)
	for _, one := range b.List {
		from, to := c.x(one.From)*units/100, c.x(one.To)*units/100
		low, high := c.y(one.Low), c.y(one.High)
		d.Add("M%.1f %.1fH%.1fV%.1fH%.1fz", from, high, to, low, from)
	}
	d.Add(`"/>`)
}

// line draws the line of a series. A point without a neighbour is a dot.
func (c *Chart) line(d *Canvas, s *Series) {
	var line, dots Canvas
	for i, p := range s.Points {
		if p.isGap() {
			continue
		}
		x, y := c.x(p.X)*units/100, c.y(p.Y)
		first := i == 0 || s.Points[i-1].isGap()
		last := i == len(s.Points)-1 || s.Points[i+1].isGap()
		switch {
		case first && last:
			dots.Add("M%.1f %.1fh0", x, y)
		case first:
			line.Add("M%.1f %.1f", x, y)
		default:
			line.Add("L%.1f %.1f", x, y)
		}
	}
	if line.Len() > 0 && !s.NoLine {
		d.Add(`<path class="line c-%s %s" d="%s"/>`, s.Color, s.Dash, &line)
	}
	if dots.Len() > 0 && s.Shape == "" {
		d.Add(`<path class="line dot c-%s" d="%s"/>`, s.Color, &dots)
	}
}

func (c *Chart) points(d *Canvas, s *Series) {
	for _, p := range s.Points {
		if s.Shape != "" && !p.isGap() {
			d.Add(`<svg x="%.2f%%" y="%.1f"><path class="%s" d="%s"/></svg>`, c.x(p.X), c.y(p.Y), s.class(), s.Shape)
		}
	}
}

// class returns the class of the points.
func (s *Series) class() string {
	if s.Shape == Cross {
		return "line c-" + string(s.Color)
	}
	return "block c-" + string(s.Color)
}

func (c *Chart) rule(d *Canvas, r *Rule) {
	if r.Vertical {
		d.Add(`<line class="line rule c-%s %s" x1="%.2f%%" x2="%.2[3]f%%" y2="%[4]d"/>`,
			r.Color, r.Dash, c.x(r.At), c.Height)
		return
	}
	d.Add(`<line class="line rule c-%s %s" x2="100%%" y1="%.1f" y2="%.1[3]f"/>`, r.Color, r.Dash, c.y(r.At))
}

// labels writes the labels of the horizontal rules, each above or below its line, at the first end at which it covers
// neither another label nor another line.
func (c *Chart) labels(d *Canvas) {
	const textHeight = 13
	var rules []Rule
	for _, r := range c.Rules {
		if !r.Vertical {
			rules = append(rules, r)
		}
	}
	places := []struct {
		x, anchor string
		lower     float64 // than the line
	}{{"100%", "end", -4}, {"100%", "end", textHeight}, {"0", "start", -4}, {"0", "start", textHeight},
		{"50%", "middle", -4}, {"50%", "middle", textHeight}}
	used := map[string][]float64{} // heights of labels, by their end
	for _, r := range rules {
		if r.Label == "" {
			continue
		}
		line := c.y(r.At)
		for i, at := range places {
			y := line + at.lower
			taken := slices.ContainsFunc(used[at.x], func(other float64) bool { return math.Abs(other-y) < textHeight })
			crossed := slices.ContainsFunc(rules, func(other Rule) bool {
				o := c.y(other.At)
				return o != line && o > y-textHeight && o < y+3
			})
			if last := i == len(places)-1; last || !taken && !crossed {
				used[at.x] = append(used[at.x], y)
				d.Add(`<text class="label" x="%s" y="%.1f" text-anchor="%s">%s</text>`, at.x, y, at.anchor,
					Text(r.Label))
				break
			}
		}
	}
}

// key is an entry of the legend.
type key struct {
	name string
	draw func(d *Canvas) // draws the sample
}

// keys returns the entries of those parts that have a name and data.
func (c *Chart) keys() (list []key) {
	const middle = rowHeight / 2
	add := func(name, format string, arguments ...any) {
		if name != "" {
			list = append(list, key{name, func(d *Canvas) { d.Add(format, arguments...) }})
		}
	}
	for _, b := range c.Bands {
		add(b.Name, `<rect class="band c-%s" width="%d" height="%d"/>`, b.Color, sampleWidth, rowHeight)
	}
	for _, r := range c.Rules {
		add(r.Name, `<path class="line rule c-%s %s" d="M0 %dh%d"/>`, r.Color, r.Dash, middle, sampleWidth)
	}
	for _, b := range c.Blocks {
		if len(b.List) > 0 {
			add(b.Name, `<rect class="block c-%s l%d" x="%d" width="%d" height="%d"/>`,
				b.Color, b.Level, middle, rowHeight-2, rowHeight)
		}
	}
	for i := range c.Series {
		s := &c.Series[i]
		if !s.hasPoints() {
			continue
		}
		sample := &Canvas{}
		if !s.NoLine {
			sample.Add(`<path class="line c-%s %s" d="M0 %dh%d"/>`, s.Color, s.Dash, middle, sampleWidth)
		}
		if s.Shape != "" {
			sample.Add(`<svg x="50%%" y="%d"><path class="%s" d="%s"/></svg>`, middle, s.class(), s.Shape)
		}
		add(s.Name, "%s", sample.String())
	}
	return list
}

func (s *Series) hasPoints() bool {
	for _, p := range s.Points {
		if !p.isGap() {
			return true
		}
	}
	return false
}
