package world

import (
	"fmt"
	"slices"
	"time"
	"unicode/utf8"
)

// History is the last events of a world, as it keeps them.
type History struct {
	Len   int
	At    func(i int) Event // 0 is the oldest that is kept
	Names []string          // of the phones
}

// Recent renders the last events, at most n, the oldest first: those that
// concern the phone, or every one when phone is negative or none concerns it.
func (h *History) Recent(phone, n int) []string {
	lines := h.recent(phone, n)
	if len(lines) == 0 && phone >= 0 {
		return h.recent(-1, n)
	}
	return lines
}

func (h *History) recent(phone, n int) []string {
	var lines []string
	for i := h.Len - 1; i >= 0 && len(lines) < n; i-- {
		if e := h.At(i); phone < 0 || e.Concerns(phone) {
			lines = append(lines, h.line(e))
		}
	}
	slices.Reverse(lines)
	return lines
}

// maxQuoted is how many bytes of what was sent, read or printed a line of the
// last events shows; the trace has all of them.
const maxQuoted = 64

// line renders an event, with what is quoted cut short.
func (h *History) line(e Event) string {
	more := 0
	if e.What.quotes() && len(e.Text) > maxQuoted {
		end := maxQuoted
		for end > maxQuoted-utf8.UTFMax && !utf8.RuneStart(e.Text[end]) {
			end--
		}
		e.Text, more = e.Text[:end], len(e.Text)-end
	}
	line := e.AppendText(nil, h.Names)
	if more > 0 {
		line = fmt.Appendf(line, "… (%d more bytes)", more)
	}
	return string(line)
}

// quotes says whether the text of such an event is bytes that somebody sent, read
// or printed. It ends the line.
func (k What) quotes() bool {
	switch k {
	case PhoneSent, PhoneRead, ServerSent, ServerRead, ServerPrinted, PhonePrinted:
		return true
	}
	return false
}

// Since renders the events from a time on that concern any of the phones: all of
// them when they are at most n, else the first and the last.
func (h *History) Since(from time.Duration, phones []int, n int) []string {
	var found []Event
	for i := range h.Len {
		e := h.At(i)
		if e.At >= int64(from) && slices.ContainsFunc(phones, e.Concerns) {
			found = append(found, e)
		}
	}
	var lines []string
	for i := range found {
		switch {
		case len(found) <= n, i < n/2, i >= len(found)-n/2:
			lines = append(lines, h.line(found[i]))
		case i == n/2:
			lines = append(lines, fmt.Sprintf("(%d more)", len(found)-n/2*2))
		}
	}
	return lines
}
