package generators

import (
	"testing"
	"time"
)

// TestQuickestPingDecides: the offset of a clock is that at the middle of the quickest ping. An answer to another ping
// does not count.
func TestQuickestPingDecides(t *testing.T) {
	const ms = time.Millisecond
	origin := time.Unix(0, 0)
	var c clocks
	for i, ping := range []struct {
		number       uint64 // of the answer
		took, ahead  time.Duration
		best, offset time.Duration
	}{
		{1, 40 * ms, 5 * ms, 40 * ms, 5 * ms},
		{2, 60 * ms, 9 * ms, 40 * ms, 5 * ms},
		{2, 1 * ms, 7 * ms, 40 * ms, 5 * ms},
		{4, 2 * ms, -6 * ms, 2 * ms, -6 * ms},
	} {
		c.number++
		c.asked, c.sent = true, origin.Add(time.Duration(i)*time.Second)
		at := c.sent.Sub(origin) + ping.took/2 // at which the generator reads its clock
		c.answered(&message{Number: ping.number, Clock: at + ping.ahead}, origin, c.sent.Add(ping.took))
		if c.best != ping.best || c.offset != ping.offset {
			t.Errorf("after ping %d: best %v, offset %v; want %v, %v", c.number, c.best, c.offset, ping.best, ping.offset)
		}
	}
	if c.count != 3 {
		t.Errorf("%d answers, want 3", c.count)
	}
}
