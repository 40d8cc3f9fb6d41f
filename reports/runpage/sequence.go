package runpage

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"bluetrace/reports"
)

// maxSequenceText is the number of runes of a text in a sequence diagram.
const maxSequenceText = 90

// sequenceHead begins a diagram whose long texts are wrapped.
const sequenceHead = "```mermaid\n%%{init: {\"sequence\": {\"wrap\": true}}}%%\nsequenceDiagram\n"

// Sequence returns the events around a moment as a Mermaid sequence diagram in Markdown, between the lines of a code
// block. It has the messages at the time of their receipt, and notes for verdicts, expiries, faults, disks and programs
// that stop or start. failure is the text of the note at the moment.
func Sequence(m *reports.Moment, failure string) []byte {
	d := &diagram{moment: m}
	d.chooseLanes()
	var b bytes.Buffer
	b.WriteString(sequenceHead)
	for i, name := range d.lanes {
		fmt.Fprintf(&b, "    participant p%d as %s\n", i, mermaidText(cut(name, labelRunes)))
	}
	over := "p0"
	if last := len(d.lanes) - 1; last > 0 {
		over = fmt.Sprintf("p0,p%d", last)
	}
	note := func(over, text string) { fmt.Fprintf(&b, "    Note over %s: %s\n", over, mermaidText(text)) }
	at := map[int][]message{} // by the row at which they are written
	for _, message := range messagesOf(m.Events) {
		row := max(message.sent, message.came)
		at[row] = append(at[row], message)
	}
	failed := len(d.lanes) == 0
	for i := range m.Events {
		e := &m.Events[i]
		if !failed && e.At > m.At {
			note(over, failure)
			failed = true
		}
		for _, message := range at[i] {
			d.writeMessage(&b, message)
		}
		lane := slices.Index(d.lanes, e.Node)
		switch e.Kind {
		case reports.FaultMark:
			if len(d.lanes) > 0 {
				note(over, seconds(e.At)+" s "+e.Text)
			}
		case reports.ValidMark, reports.InvalidMark, reports.ExpiryMark, reports.DiskMark, reports.StatusMark:
			if lane >= 0 {
				note(fmt.Sprintf("p%d", lane), seconds(e.At)+" s "+withoutNode(e))
			}
		}
	}
	if !failed {
		note(over, failure)
	}
	b.WriteString("```\n")
	return b.Bytes()
}

// writeMessage writes a message of a sequence diagram, unless one of its nodes has no lane.
func (d *diagram) writeMessage(b *bytes.Buffer, m message) {
	e := &d.moment.Events[max(m.sent, m.came)]
	sent := e
	if m.sent >= 0 {
		sent = &d.moment.Events[m.sent]
	}
	from, to := slices.Index(d.lanes, sent.Node), slices.Index(d.lanes, sent.Peer)
	if m.sent < 0 && !m.lost { // the receiver is the node
		from, to = to, from
	}
	if from < 0 || to < 0 {
		return
	}
	arrow, text := "->>", seconds(e.At)+" s "+strconv.Quote(sent.Bytes)
	if sent.Bytes == "" {
		text = strings.TrimSpace(fmt.Sprintf("%s s datagram %d %s", seconds(e.At), sent.Number, sent.Altered))
	}
	switch {
	case m.lost:
		arrow, text = "-x", text+" lost"
	case m.came < 0:
		arrow, text = "-)", text+" (receipt not shown)"
	case sent.Altered != "":
		arrow = "-->>"
	}
	fmt.Fprintf(b, "    p%d%sp%d: %s\n", from, arrow, to, mermaidText(text))
}

var (
	// mermaidSafe replaces the characters that end a statement of Mermaid, begin an entity, a comment or a directive, or
	// are HTML or Markdown.
	mermaidSafe = strings.NewReplacer(";", ",", "#", "No.", "%", " percent", "<", "‹", ">", "›", "&", "+", "`", "'",
		"{", "(", "}", ")", "$", "＄")
	// reservedEnd is the word that ends a block of a sequence diagram, in any letters.
	reservedEnd = regexp.MustCompile(`(?i)\bend\b`)
)

// mermaidText returns a text that is inert in a sequence diagram and in Markdown: one line without characters that have
// a meaning there. It is cut to maxSequenceText.
func mermaidText(s string) string {
	s = reservedEnd.ReplaceAllString(mermaidSafe.Replace(reports.Escape(s)), "e-n-d")
	if s = strings.TrimSpace(cut(s, maxSequenceText)); s == "" {
		return "-"
	}
	return s
}
