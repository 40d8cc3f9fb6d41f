package runpage

import (
	"cmp"
	"fmt"
	"html/template"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"bluetrace/reports"
	"bluetrace/reports/chart"
)

// cut returns at most n runes of a text that is made visible.
func cut(s string, n int) string {
	if runes := []rune(reports.Escape(s)); len(runes) > n {
		return string(runes[:n-1]) + "…"
	}
	return s
}

// Sizes of a diagram, in pixels.
const (
	maxLanes   = 9
	firstLane  = 40 // at most, from the times to the middle of the first lane
	headHeight = 44
	rowHeight  = 22
	maxGap     = 30 // additional distance of two rows for the time between them
	labelRunes = 30
	maxPrinted = 1200 // height of a diagram that is printed
	besides    = 280  // for the texts right of the last lane
)

// diagram is a spacetime diagram: a lane for each node, time runs downwards. Each event has a row of its own, so that
// events a nanosecond apart are distinct; the distance of two rows only grows with the logarithm of the time between
// them.
type diagram struct {
	chart.Canvas
	moment *reports.Moment
	bands  []reports.Band
	lanes  []string // names of the nodes
	width  int      // of a lane
	times  int      // width of the times before the lanes
	rows   []float64
	fails  float64 // height of the failure
	left   int     // events of nodes without a lane
}

// message is a message from a node to another, as the rows of its sending and its receipt; -1 if one is not known.
type message struct {
	sent, came int
	lost       bool
}

// Picture is a spacetime diagram with the texts beside it.
type Picture struct {
	SVG     template.HTML
	Label   string
	Rows    []Row
	LeftOut int  // events of nodes without a lane
	Tall    bool // too high for a printed page
}

// Row is an event as a row of the table below a diagram.
type Row struct {
	*reports.SceneEvent
	Nodes, Group string // for the script: the lanes, and the kind in the diagram
	After        bool   // the event is later than the failure
}

// Draw draws the events around a moment, with the bands of the run at that time.
func Draw(m *reports.Moment, bands []reports.Band) *Picture {
	d := &diagram{moment: m, bands: bands}
	d.chooseLanes()
	d.placeRows()
	d.draw()
	out := &Picture{LeftOut: d.left, Tall: d.bottom() > maxPrinted}
	out.SVG = template.HTML(d.String()) //nolint:gosec // every text in it was escaped
	out.Label = fmt.Sprintf("Messages and events of %s, in the table below as text", strings.Join(d.lanes, ", "))
	for i := range m.Events {
		e := &m.Events[i]
		out.Rows = append(out.Rows, Row{
			SceneEvent: e, Nodes: d.nodes(e), Group: arrow(e), After: e.At > m.At,
		})
	}
	return out
}

// chooseLanes selects the nodes that most events concern. The server is the last one.
func (d *diagram) chooseLanes() {
	events := map[string]int{}
	for i := range d.moment.Events {
		for _, node := range []string{d.moment.Events[i].Node, d.moment.Events[i].Peer} {
			if node == "" || isFault(&d.moment.Events[i]) {
				continue
			}
			if events[node]++; events[node] == 1 {
				d.lanes = append(d.lanes, node)
			}
		}
	}
	if len(d.lanes) > maxLanes {
		most := slices.SortedStableFunc(slices.Values(d.lanes), func(a, b string) int {
			return cmp.Compare(events[b], events[a])
		})[:maxLanes]
		d.lanes = slices.DeleteFunc(d.lanes, func(node string) bool { return !slices.Contains(most, node) })
	}
	if i := slices.Index(d.lanes, "server"); i >= 0 {
		d.lanes = append(slices.Delete(d.lanes, i, i+1), "server")
	}
	d.width = min(240, max(120, 760/max(1, len(d.lanes))))
}

// isFault reports whether an event is about a fault, which has no lane: it concerns several nodes, or all.
func isFault(e *reports.SceneEvent) bool { return e.Kind == reports.FaultMark }

// placeRows gives each event a row.
func (d *diagram) placeRows() {
	const digitWidth, around = 6.7, 40
	y, last := float64(headHeight), d.moment.At
	d.times = around + int(digitWidth*float64(len(seconds(last))))
	d.fails = y
	for i := range d.moment.Events {
		at := d.moment.Events[i].At
		d.times = max(d.times, around+int(digitWidth*float64(len(seconds(at)))))
		if y += rowHeight; i > 0 && at > last {
			y += min(maxGap, 3*math.Log10(float64(at-last)))
		}
		switch {
		case at <= d.moment.At:
			d.fails = y + 0.45*rowHeight
		case last <= d.moment.At && d.moment.Failed:
			y += rowHeight // for the line of the failure
		}
		d.rows, last = append(d.rows, y), at
	}
}

// height returns the height of the time at: that of its row, or one between two rows.
func (d *diagram) height(at time.Duration) float64 {
	i, found := slices.BinarySearchFunc(d.moment.Events, at, func(e reports.SceneEvent, at time.Duration) int {
		return cmp.Compare(e.At, at)
	})
	switch {
	case len(d.rows) == 0:
		return headHeight + rowHeight
	case found:
		return d.rows[i]
	case i == 0:
		return headHeight
	case i == len(d.rows):
		return d.rows[i-1] + rowHeight
	}
	return (d.rows[i-1] + d.rows[i]) / 2
}

// bottom returns the height of the diagram.
func (d *diagram) bottom() float64 { return d.height(1<<62) + rowHeight }

// x returns the middle of a lane.
func (d *diagram) x(lane int) int { return d.times + min(firstLane, d.width/2) + d.width*lane }

// nodes returns the attribute with the nodes of an event, for the script.
func (d *diagram) nodes(e *reports.SceneEvent) string {
	var list []string
	for i, name := range d.lanes {
		if name == e.Node || name == e.Peer {
			list = append(list, strconv.Itoa(i))
		}
	}
	return strings.Join(list, " ")
}

func (d *diagram) draw() {
	right, bottom := d.x(len(d.lanes)-1)+besides, d.bottom()
	d.Add(`<svg class="scene" viewBox="0 0 %d %.0f" width="%[1]d" height="%.0[2]f" preserveAspectRatio="xMinYMin" `+
		`role="img" aria-label="%[3]s">`, right, bottom, chart.Text("messages between "+strings.Join(d.lanes, ", ")))
	d.drawBands(right, bottom)
	for i, name := range d.lanes {
		d.Add(`<g class="lane" data-n="%d" data-name="%s"><title>%s</title>`, i, chart.Text(name), chart.Text(name))
		d.Add(`<path class="life" d="M%d %dV%.0f"/>`, d.x(i), headHeight-14, bottom)
		d.Add(`<text class="node" x="%d" y="20" text-anchor="middle">%s</text></g>`,
			d.x(i), chart.Text(cut(name, d.width/8)))
	}
	if d.moment.Failed {
		d.Add(`<path class="failure" d="M0 %.0fH%d"/>`, d.fails, right)
		d.Add(`<text class="failure" x="4" y="%.0f">failure at %s</text>`, d.fails+13, seconds(d.moment.At))
	}
	d.drawTimes()
	for _, m := range messagesOf(d.moment.Events) {
		d.drawMessage(m)
	}
	for i := range d.moment.Events {
		d.drawMark(i)
	}
	d.Add("</svg>")
}

func (d *diagram) drawTimes() {
	for i := range d.moment.Events {
		if at := d.moment.Events[i].At; i == 0 || at != d.moment.Events[i-1].At {
			d.Add(`<text class="time" x="%d" y="%.0f" text-anchor="end">%s</text>`, d.times-28, d.rows[i]+4,
				seconds(at))
		}
	}
}

// drawBands draws the states that last: those of the whole run over all lanes, those of a node on its lane.
func (d *diagram) drawBands(right int, bottom float64) {
	for i := range d.bands {
		b := &d.bands[i]
		list := d.moment.Events
		if len(list) == 0 || b.To < list[0].At || b.From > list[len(list)-1].At {
			continue
		}
		from, to := d.height(b.From), min(bottom, max(d.height(b.To), d.height(b.From)+2))
		x, width, lane := d.times-8, right-d.times+8, slices.Index(d.lanes, b.Node)
		labelX, room := x+4, right-d.times
		switch {
		case lane >= 0:
			x, width = d.x(lane)-11, 22
			labelX, room = x+26, d.width
			if lane == len(d.lanes)-1 {
				room = besides
			}
		case b.Node != "":
			continue
		}
		d.Add(`<g class="band %s"><title>%s, from %s to %s</title>`, b.Kind, chart.Text(b.Text), seconds(b.From),
			seconds(b.To))
		d.Add(`<rect x="%d" y="%.0f" width="%d" height="%.0f"/>`, x, from, width, to-from)
		if b.Kind == reports.BlockBand || b.From < list[0].At { // else there is a mark
			d.Add(`<text x="%d" y="%.0f">%s</text>`, labelX, from+8, chart.Text(cut(b.Text, (room-20)/7)))
		}
		d.Add("</g>")
	}
}

// messagesOf returns the messages of some events: each datagram and the bytes on each connection, from the sending to the
// receipt, by the time of the later end. Those that have no receipt among the events are last.
func messagesOf(events []reports.SceneEvent) (list []message) {
	open := map[string][]int{} // by medium, number, sender and receiver: those that have not been received
	rest := map[int]string{}   // the bytes of a sending that have not been read
	for i := range events {
		e := &events[i]
		outward := fmt.Sprint(e.Bytes != "", e.Number, "\x00", e.Node, "\x00", e.Peer)
		inward := fmt.Sprint(e.Bytes != "", e.Number, "\x00", e.Peer, "\x00", e.Node)
		switch e.Kind {
		case reports.DatagramSent, reports.BytesSent:
			open[outward], rest[i] = append(open[outward], i), e.Bytes
		case reports.DatagramLost:
			sent := -1
			if list := open[outward]; len(list) > 0 {
				sent, open[outward] = list[0], list[1:]
			}
			list = append(list, message{sent, i, true})
		case reports.DatagramCame, reports.BytesCame:
			var came []message
			came, open[inward] = receive(i, e.Bytes, open[inward], rest)
			list = append(list, came...)
		}
	}
	for i := range events {
		for _, sent := range open {
			if slices.Contains(sent, i) {
				list = append(list, message{i, -1, false})
			}
		}
	}
	return list
}

// receive returns the messages of a receipt, and the sendings of its stream that are still under way. A read may have
// the bytes of several sendings, or a part of one. Where the bytes differ, since a side has another wire or the network
// changed them, a read is that of one sending.
func receive(i int, bytes string, sent []int, rest map[int]string) (list []message, left []int) {
	for len(sent) > 0 && (bytes != "" || len(list) == 0) {
		first := sent[0]
		list = append(list, message{first, i, false})
		if bytes != "" && len(bytes) < len(rest[first]) && strings.HasPrefix(rest[first], bytes) {
			rest[first] = rest[first][len(bytes):]
			return list, sent
		}
		sent = sent[1:]
		if !strings.HasPrefix(bytes, rest[first]) {
			return list, sent
		}
		bytes = bytes[len(rest[first]):]
	}
	if len(list) == 0 {
		list = append(list, message{-1, i, false})
	}
	return list, sent
}

// drawMessage draws one arrow. That of a lost message ends in a cross half-way, and that of a message whose other end
// is not among the events is short.
func (d *diagram) drawMessage(m message) {
	e := &d.moment.Events[max(m.sent, m.came)]
	if m.sent >= 0 {
		e = &d.moment.Events[m.sent]
	}
	from, to := slices.Index(d.lanes, e.Node), slices.Index(d.lanes, e.Peer)
	kind, title := arrow(e), seconds(e.At)+" s"
	switch {
	case m.lost:
		kind = string(reports.DatagramLost)
	case m.sent < 0: // the receiver is the node
		from, to = to, from
	}
	if from < 0 || to < 0 || from == to {
		d.left++
		return
	}
	x1, x2 := float64(d.x(from)), float64(d.x(to))
	var y1, y2 float64
	class := "message"
	switch e.Altered {
	case reports.Duplicated:
		class = "message copy"
	case reports.Corrupted, reports.Truncated:
		class = "message changed"
	}
	switch {
	case m.sent >= 0 && m.came >= 0:
		y1, y2 = d.rows[m.sent], d.rows[m.came]
		came := d.moment.Events[m.came].At
		title += fmt.Sprintf(" to %s s, after %v", seconds(came), came-e.At)
	case m.sent >= 0: // not received while events were kept
		y1, y2, x2, class = d.rows[m.sent], d.rows[m.sent]+14, (x1+x2)/2, class+" open"
		title += ", receipt not shown"
	case m.lost:
		y1, y2 = d.rows[m.came], d.rows[m.came]+14
	default: // sent before
		y1, y2, x1, class = d.rows[m.came]-10, d.rows[m.came], (x1+x2)/2, "message open"
		title += ", sending not shown"
	}
	if m.lost {
		class, x2 = "message lost", (x1+x2)/2
	}
	title += "\n" + e.Text
	if e.Altered != "" {
		title += ", " + string(e.Altered)
	}
	if m.lost {
		title = seconds(d.moment.Events[m.came].At) + " s\n" + d.moment.Events[m.came].Text
	}
	d.Add(`<g class="ev %s" data-n="%s" data-k="%s"><title>%s</title>`, class, d.nodes(e), kind, inertLines(title))
	d.Add(`<path d="M%.0f %.0fL%.0f %.0f"/>`, x1, y1, x2, y2)
	if m.lost {
		d.Add(`<path class="cross" d="M%.0f %.0fl12 12m0 -12l-12 12"/>`, x2-6, y2-6)
	} else {
		drawHead(&d.Canvas, x1, y1, x2, y2)
	}
	label, share := strconv.Quote(e.Bytes), 0.45
	if e.Bytes == "" { // near the sender, where the arrows of a split beacon are apart
		label, share = strings.TrimSpace(fmt.Sprintf("#%d %s", e.Number, e.Altered)), 0.3
	}
	d.Add(`<text x="%.0f" y="%.0f" text-anchor="middle">%s</text></g>`, x1+share*(x2-x1), y1+share*(y2-y1)-4,
		chart.Text(cut(label, min(labelRunes, (d.width-30)/7))))
}

// arrow returns the kind of an event in the diagram, where sending and receipt are one arrow. A datagram that a fault
// altered has a kind of its own.
func arrow(e *reports.SceneEvent) string {
	switch {
	case e.Altered != "":
		return string(e.Altered)
	case e.Kind == reports.DatagramSent:
		return string(reports.DatagramCame)
	case e.Kind == reports.BytesSent:
		return string(reports.BytesCame)
	}
	return string(e.Kind)
}

// inertLines returns a text of several lines that is inert in an SVG.
func inertLines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = chart.Text(lines[i])
	}
	return strings.Join(lines, "\n")
}

// drawHead draws the head of an arrow.
func drawHead(c *chart.Canvas, x1, y1, x2, y2 float64) {
	const size, spread = 9, 0.4
	angle := math.Atan2(y2-y1, x2-x1)
	c.Add(`<path class="head" d="M%.0f %.0f`, x2, y2)
	for _, turn := range []float64{-spread, spread} {
		c.Add("L%.1f %.1f", x2-size*math.Cos(angle+turn), y2-size*math.Sin(angle+turn))
	}
	c.Add(`Z"/>`)
}

// marks are the symbols of the events that are no messages.
var marks = map[reports.EventKind]string{
	reports.ConnectionMark: "○", reports.BeaconMark: "•", reports.ValidMark: "✓", reports.InvalidMark: "✗",
	reports.ExpiryMark: "⌛", reports.PrintMark: "▤", reports.StatusMark: "⚠", reports.DiskMark: "◆",
	reports.FaultMark: "⚡",
}

// drawMark draws a mark on the lane of its node. That of a fault is beside the lanes.
func (d *diagram) drawMark(i int) {
	e := &d.moment.Events[i]
	symbol := marks[e.Kind]
	lane := slices.Index(d.lanes, e.Node)
	x, y := float64(d.times-14), d.rows[i]
	switch {
	case symbol == "":
		return
	case lane >= 0 && !isFault(e):
		x = float64(d.x(lane))
	case !isFault(e):
		d.left++
		return
	}
	d.Add(`<g class="ev mark %s" data-n="%s" data-k="%s"><title>%s s%s%s</title>`, e.Kind, d.nodes(e), e.Kind,
		seconds(e.At), "\n", chart.Text(e.Text))
	d.Add(`<circle cx="%.0f" cy="%.0f" r="8"/><text class="symbol" x="%.0f" y="%.0f" text-anchor="middle">%s</text>`,
		x, y, x, y+4, symbol)
	room := d.width
	switch {
	case isFault(e):
		room *= 2
	case lane == len(d.lanes)-1:
		room = besides
	}
	d.Add(`<text x="%.0f" y="%.0f">%s</text></g>`, x+12, y+4, chart.Text(cut(withoutNode(e), (room-20)/7)))
}

// withoutNode returns the text of an event without the name of its node before it.
func withoutNode(e *reports.SceneEvent) string {
	text := e.Text
	for _, prefix := range []string{e.Node + ": ", e.Node + " "} {
		text = strings.TrimPrefix(text, prefix)
	}
	return text
}

// seconds returns a time in seconds with nine decimals.
func seconds(at time.Duration) string {
	sign := ""
	if at < 0 {
		sign, at = "-", -at
	}
	return fmt.Sprintf("%s%d.%09d", sign, at/time.Second, at%time.Second)
}
