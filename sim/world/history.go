package world

import (
	"fmt"
	"slices"
	"time"
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
			lines = append(lines, string(e.AppendText(nil, h.Names)))
		}
	}
	slices.Reverse(lines)
	return lines
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
			lines = append(lines, string(found[i].AppendText(nil, h.Names)))
		case i == n/2:
			lines = append(lines, fmt.Sprintf("(%d more)", len(found)-n/2*2))
		}
	}
	return lines
}
