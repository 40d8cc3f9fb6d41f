package check

import (
	"fmt"
	"time"

	"bluetrace/protocol"
	"bluetrace/reports"
	"bluetrace/sim/world"
)

// oddEntry is the first entry by which a log and the model differ.
type oddEntry struct {
	known     bool
	missing   bool            // from the log; else it is there and should not be
	id        protocol.TempID // of one that is there
	received  int64
	age       time.Duration
	retention time.Duration
	ownClock  bool // the times are by the phone's clock
}

// text says how many entries there should be, and which one tells.
func (e oddEntry) text(entries int) string {
	text := entriesText(entries)
	if !e.known {
		return text
	}
	which := "and not " + e.id.String() + ","
	switch {
	case e.missing && entries == 1:
		which = "which was"
	case e.missing:
		which = "one of them"
	}
	clock := ""
	if e.ownClock {
		clock = " of its clock"
	}
	return fmt.Sprintf("%s, %s received at %s s%s, %s ago, with a retention of %s", text, which, world.Seconds(e.received), clock, e.age, e.retention)
}

// entriesText is "1 entry" or "2 entries".
func entriesText(n int) string { return reports.Plural(uint64(n), "entry", "entries") }
