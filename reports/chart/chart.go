// Package chart draws charts as SVG: inside a page, whose colours and width they take, or as a file of their own. The
// texts of a chart in a page keep their size on a screen of any width.
package chart

import (
	_ "embed"
	"fmt"
	"html"
	"html/template"
	"io"
	"math"
	"strings"

	"bluetrace/reports"
)

var (
	// Style is the style sheet of the charts of a page. It uses the colours of package page.
	//go:embed chart.css
	Style string
	//go:embed file.css
	fileStyle string
)

// Color is the name of a colour of the style sheet. The first six remain distinct for colour-blind readers.
type Color string

// The colours.
const (
	Blue   Color = "blue"
	Orange Color = "orange"
	Red    Color = "red"
	Green  Color = "green"
	Purple Color = "purple"
	Ink    Color = "ink" // that of the text
	Grey   Color = "grey"
)

// Shape is the form of the points of a series.
type Shape string

// The shapes. A line without a shape shows only those points that have no neighbour.
const (
	Circle   Shape = "M-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0-7 0"
	Square   Shape = "M-3-3h6v6h-6z"
	Triangle Shape = "M0-4.5L4 3.5H-4z"
	Cross    Shape = "M-4-4L4 4M-4 4L4-4"
)

// Dashes of a line.
const (
	Dashed = "dashed"
	Dotted = "dotted"
)

// Point is a point of a series. If Y is not a number, the line has a gap.
type Point struct{ X, Y float64 }

// Series is a line, or only points. Without a name it has no entry in the legend.
type Series struct {
	Name   string
	Color  Color
	Dash   string // Dashed, Dotted or ""
	Shape  Shape
	NoLine bool
	Points []Point
}

// Block is a rectangle.
type Block struct{ From, To, Low, High float64 }

// Levels is the number of opacities of blocks.
const Levels = 9

// Blocks are rectangles of one colour, such as the columns of counts or the cells of a heatmap.
type Blocks struct {
	Name  string
	Color Color
	Level int // of the opacity, 1 to Levels
	List  []Block
}

// Rule is a straight line at a value of an axis, such as a threshold.
type Rule struct {
	Name     string
	Label    string // at the line, if it is horizontal
	Color    Color
	Dash     string
	Vertical bool
	At       float64
}

// Band shades a range of the horizontal axis.
type Band struct {
	Name     string
	Color    Color
	From, To float64
}

// Hint is the text that the pointer shows over a range of the horizontal axis.
type Hint struct {
	From, To float64
	Text     string
}

// Chart is one chart.
type Chart struct {
	Title  string
	X, Y   Axis
	Height int // of the area between the axes, in pixels
	Bands  []Band
	Blocks []Blocks
	Series []Series
	Rules  []Rule
	Hints  []Hint
}

// Canvas builds the text of an SVG.
type Canvas struct{ strings.Builder }

// Add adds a formatted text.
func (c *Canvas) Add(format string, arguments ...any) { fmt.Fprintf(c, format, arguments...) }

// Text returns a text that is inert in an SVG.
func Text(s string) string { return html.EscapeString(reports.Escape(s)) }

// Inline returns the chart for a page that has Style: its title, its legend, and an SVG as wide as the page.
func (c *Chart) Inline() template.HTML {
	d := &Canvas{}
	d.Add(`<figure class="chart"><figcaption>%s</figcaption>`, Text(c.Title))
	if keys := c.keys(); len(keys) > 0 {
		d.Add(`<ul class="keys">`)
		for i := range keys {
			d.Add(`<li><svg width="%d" height="%d" aria-hidden="true">`, sampleWidth, rowHeight)
			keys[i].draw(d)
			d.Add("</svg> %s</li>", Text(keys[i].name))
		}
		d.Add("</ul>")
	}
	class := "plot"
	if c.X.Name == "" {
		class += " short"
	}
	d.Add(`<svg class="%s" height="%d" role="img" aria-label="%s">`, class, c.Height, Text(c.Title))
	c.draw(d)
	d.Add("</svg></figure>")
	return template.HTML(d.String()) //nolint:gosec // every text in it was escaped
}

// File is a column of charts as a file.
type File struct {
	Title, Subtitle string
	Charts          []*Chart
}

// Sizes of a file, in pixels.
const (
	fileWidth  = 860
	margin     = 14
	left       = 62 // of the labels of the vertical axis
	right      = 20
	below      = 40 // of the labels and the name of the horizontal axis
	nameHeight = 16
)

// Write writes the file. Its colours are those that the reader's browser prefers, light or dark.
func (f *File) Write(w io.Writer) error {
	d := &Canvas{}
	top := margin + 14
	d.Add(`<text class="title" x="%d" y="%d">%s</text>`, margin, top, Text(cut(f.Title, 100)))
	if f.Subtitle != "" {
		top += 20
		d.Add(`<text x="%d" y="%d">%s</text>`, margin, top, Text(cut(f.Subtitle, 120)))
	}
	const width = fileWidth - 2*margin - left - right
	for _, c := range f.Charts {
		top = c.fileKeys(d, top+10) + 24
		d.Add(`<svg class="plot" x="%d" y="%d" width="%d" height="%d">`, margin+left, top, width, c.Height)
		c.draw(d)
		d.Add("</svg>\n")
		top += c.Height + below
		if c.X.Name == "" {
			top -= nameHeight
		}
	}
	text := fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" `+
		`role="img" aria-label="%[3]s"><style>%[4]s%[5]s</style><rect class="ground" width="100%%" height="100%%"/>`+
		"\n%[6]s</svg>\n", fileWidth, top+margin/2, Text(f.Title), fileStyle, Style, d)
	return reports.WriteDocument(w, []byte(text), "a plot")
}

// fileKeys draws the legend above a chart, from left to right, and returns the height below it.
func (c *Chart) fileKeys(d *Canvas, top int) int {
	x := margin
	keys := c.keys()
	for i := range keys {
		name := cut(keys[i].name, 80)
		width := sampleWidth + 20 + len([]rune(name))*66/10
		if x > margin && x+width > fileWidth {
			x, top = margin, top+rowHeight+4
		}
		d.Add(`<svg class="key" x="%d" y="%d" width="%d" height="%d">`, x, top+2, sampleWidth, rowHeight)
		keys[i].draw(d)
		d.Add(`</svg><text x="%d" y="%d">%s</text>`, x+sampleWidth+5, top+12, Text(name))
		x += width
	}
	if len(keys) > 0 {
		top += rowHeight + 4
	}
	return top
}

// cut returns at most n runes of a text that is made visible.
func cut(s string, n int) string {
	if runes := []rune(reports.Escape(s)); len(runes) > n {
		return string(runes[:n-1]) + "…"
	}
	return s
}

// isGap reports whether a point is missing.
func (p Point) isGap() bool { return math.IsNaN(p.Y) || math.IsNaN(p.X) }
