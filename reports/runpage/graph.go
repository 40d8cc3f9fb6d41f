package runpage

import (
	"cmp"
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"bluetrace/reports"
	"bluetrace/reports/chart"
)

// Limits and sizes of a contact graph. Sizes are in pixels.
const (
	maxEdges    = 500
	graphNode   = 6
	graphRunes  = 16 // of a name
	runeWidth   = 7
	leastRadius = 130
	graphArc    = 24 // between two phones on the circle
	steepFrom   = 16 // phones from which on names are turned, so that they do not overlap
)

// Graph is a contact graph, with its edges as a table.
type Graph struct {
	*reports.Contacts
	SVG     template.HTML
	Summary string
	Rows    []GraphRow
	LeftOut []string // sentences about the parts that the graph does not show
	Open    bool     // it is shown without a click
}

// GraphRow is a phone in the table below a contact graph.
type GraphRow struct {
	Phone   string
	Senders int
	Heard   string
}

// edge is the contact of two phones, a before b, with the entries of a in the log of b and the reverse.
type edge struct{ a, b, ofA, ofB int }

// DrawContacts draws a contact graph: the phones on a circle, in the order of the scenario. It returns nil for nil.
func DrawContacts(c *reports.Contacts) *Graph {
	if c == nil {
		return nil
	}
	g := &Graph{Contacts: c, Summary: "no entries"}
	if c.Unknown > 0 {
		g.LeftOut = append(g.LeftOut, fmt.Sprintf("Entries whose sender is not known: %s.",
			reports.FormatCount(uint64(c.Unknown))))
	}
	if n := len(c.Phones); n < c.All {
		g.LeftOut = append(g.LeftOut, fmt.Sprintf("%d of %s phones are shown: those of this moment or else the one with "+
			"the longest log, then those that they heard, directly or through others, the most entries first.", n,
			reports.FormatCount(uint64(c.All))))
	}
	if len(c.Heard) == 0 {
		return g
	}
	edges, entries := edgesOf(c)
	g.Summary = fmt.Sprintf("%s of %s", reports.Plural(entries, "entry", "entries"),
		reports.Plural(len(edges), "pair of phones", "pairs of phones"))
	if len(edges) > maxEdges {
		g.LeftOut = append(g.LeftOut, fmt.Sprintf("The picture has the %d pairs with the most entries; the table has all.",
			maxEdges))
		edges = edges[:maxEdges]
	}
	g.addRows()
	g.draw(edges)
	return g
}

// edgesOf returns the pairs of phones, those with the most entries first, and the number of all entries.
func edgesOf(c *reports.Contacts) (edges []edge, entries int) {
	at := map[[2]int]int{}
	for _, h := range c.Heard {
		entries += h.Entries
		if h.From == h.To { // a beacon of its own came back, for example from an adversary
			continue
		}
		pair := [2]int{min(h.From, h.To), max(h.From, h.To)}
		i, ok := at[pair]
		if !ok {
			i, at[pair] = len(edges), len(edges)
			edges = append(edges, edge{a: pair[0], b: pair[1]})
		}
		if h.From == pair[0] {
			edges[i].ofA = h.Entries
		} else {
			edges[i].ofB = h.Entries
		}
	}
	slices.SortStableFunc(edges, func(x, y edge) int { return cmp.Compare(y.ofA+y.ofB, x.ofA+x.ofB) })
	return edges, entries
}

// addRows adds the table: a row for each phone.
func (g *Graph) addRows() {
	heard := make([][]string, len(g.Phones))
	for _, h := range g.Heard {
		heard[h.To] = append(heard[h.To], fmt.Sprintf("%s (%d)", cut(g.Phones[h.From], 40), h.Entries))
	}
	for i, phone := range g.Phones {
		g.Rows = append(g.Rows, GraphRow{cut(phone, 40), len(heard[i]), strings.Join(heard[i], ", ")})
	}
}

func (g *Graph) draw(edges []edge) {
	n := len(g.Phones)
	radius := max(leastRadius, graphArc*float64(n)/(2*math.Pi))
	longest := 0
	for _, phone := range g.Phones {
		longest = max(longest, utf8.RuneCountInString(cut(phone, graphRunes)))
	}
	width := 2 * (radius + float64(3*graphNode+longest*runeWidth))
	height := width
	if n < steepFrom {
		height = 2 * (radius + graphArc)
	}
	place := func(i int) (x, y float64) {
		sin, cos := math.Sincos(2 * math.Pi * float64(i) / float64(n))
		return width/2 + radius*sin, height/2 - radius*cos
	}
	d := &chart.Canvas{}
	d.Add(`<svg class="graph" viewBox="0 0 %.0f %.0f" width="%.0[1]f" height="%.0[2]f" role="img" aria-label="%[3]s">`,
		width, height, chart.Text(fmt.Sprintf("who heard whom at %s s, in the table below as text", seconds(g.At))))
	alone := slices.Repeat([]bool{true}, n)
	for _, e := range edges {
		alone[e.a], alone[e.b] = false, false
		x1, y1 := place(e.a)
		x2, y2 := place(e.b)
		title := fmt.Sprintf("in the log of %s: %d of %s\nin the log of %[3]s: %[4]d of %[1]s", cut(g.Phones[e.b], 40), e.ofA,
			cut(g.Phones[e.a], 40), e.ofB)
		if e.ofA == 0 { // the arrow leads to a
			x1, y1, x2, y2 = x2, y2, x1, y1
		}
		// The line is bent towards the centre, so that lines between neighbours do not cover one another.
		bendX, bendY := (x1+x2)/2, (y1+y2)/2
		inX, inY := width/2-bendX, height/2-bendY
		most := math.Hypot(inX, inY)
		bend := min(0.6*math.Hypot(x2-x1, y2-y1), most) / max(1, most)
		bendX, bendY = bendX+bend*inX, bendY+bend*inY
		d.Add(`<g class="edge"><title>%s</title><path d="M%.0f %.0fQ%.0f %.0f %.0f %.0f"/>`, inertLines(title), x1, y1,
			bendX, bendY, x2, y2)
		if e.ofA == 0 || e.ofB == 0 {
			length := math.Hypot(x2-bendX, y2-bendY)
			drawHead(d, bendX, bendY, x2-(x2-bendX)*graphNode/length, y2-(y2-bendY)*graphNode/length)
		}
		d.Add("</g>")
	}
	for i, phone := range g.Phones {
		x, y := place(i)
		class := ""
		if alone[i] {
			class = ` class="alone"`
		}
		d.Add(`<g><title>%s</title><circle%s cx="%.0f" cy="%.0f" r="%d"/>`, chart.Text(phone), class, x, y, graphNode)
		addName(d, cut(phone, graphRunes), i, n, x, y)
		d.Add("</g>")
	}
	d.Add("</svg>")
	g.SVG = template.HTML(d.String()) //nolint:gosec // every text in it was escaped
}

// addName adds the name of phone i of n, outside of the circle: level if there are few phones, else turned.
func addName(c *chart.Canvas, name string, i, n int, x, y float64) {
	degrees, away, anchor := 360*float64(i)/float64(n), float64(graphNode+5), "start"
	sin, cos := math.Sincos(degrees * math.Pi / 180)
	left := degrees > 180
	if left {
		anchor = "end"
	}
	if n < steepFrom {
		if math.Abs(sin) < 0.1 {
			anchor = "middle"
		}
		c.Add(`<text x="%.0f" y="%.0f" text-anchor="%s">%s</text>`, x+away*sin, y-1.4*away*cos+4, anchor, chart.Text(name))
		return
	}
	turn := degrees - 90
	if left {
		away, turn = -away, degrees-270
	}
	c.Add(`<text x="%.0f" y="4" text-anchor="%s" transform="translate(%.0f %.0f) rotate(%.1f)">%s</text>`, away, anchor,
		x, y, turn, chart.Text(name))
}
