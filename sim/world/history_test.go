package world

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestHistory(t *testing.T) {
	var events []Event
	for i := range 10 {
		events = append(events, Event{At: int64(i) * int64(time.Second), What: PhonePrinted, Who: uint32(i % 2), Peer: Nobody, Text: "x"})
	}
	events[4] = Event{At: 4e9, What: DatagramSent, Who: 0, Peer: 1, A: 7<<16 | 20, B: NotKnown}
	events[6] = Event{At: 6e9, What: DatagramSent, Who: 0, Peer: 1, A: 8<<16 | 19, B: 6e9 + 5}
	h := &History{Len: len(events), At: func(i int) Event { return events[i] }, Names: []string{"a", "b"}}
	for _, c := range []struct {
		name      string
		got, want []string
	}{
		{"recent of b", h.Recent(1, 2), []string{`7.000000000 b: prints "x"`, `9.000000000 b: prints "x"`}},
		{"recent of nobody that is there", h.Recent(5, 1), []string{`9.000000000 b: prints "x"`}},
		{"since 4 s", h.Since(4*time.Second, []int{1}, 2), []string{"4.000000000 a -> b: datagram 7, 20 bytes", "(3 more)", `9.000000000 b: prints "x"`}},
		{"since 6 s", h.Since(6*time.Second, []int{0}, 9), []string{"6.000000000 a -> b: datagram 8, 19 bytes, due 6.000000005", `8.000000000 a: prints "x"`}},
	} {
		if !slices.Equal(c.got, c.want) {
			t.Errorf("%s: %q\nwant %q", c.name, c.got, c.want)
		}
	}
}

// TestLongBytesAreCut: in the last events, not in the trace, and not within a
// character.
func TestLongBytesAreCut(t *testing.T) {
	names := []string{"a"}
	long := strings.Repeat("x", 100)
	for _, c := range []struct {
		event Event
		want  string
	}{
		{Event{What: PhoneSent, A: 1, Text: long}, `0.000000000 a -> server: c1 "` + long[:64] + `"… (36 more bytes)`},
		{Event{What: ServerRead, A: 1, Who: Nobody, Text: long[:64]}, `0.000000000 server: reads c1 of a "` + long[:64] + `"`},
		{Event{What: ServerPrinted, Who: Nobody, Text: long[:63] + "éé"}, `0.000000000 server: prints "` + long[:63] + `"… (4 more bytes)`},
		{Event{What: PhonePrinted, Text: strings.Repeat("\xbf", 70)}, `0.000000000 a: prints "` + strings.Repeat(`\xbf`, 60) + `"… (10 more bytes)`},
		{Event{What: Faulted, Who: Nobody, A: 3, Text: long}, "0.000000000 fault 3: " + long},
	} {
		h := &History{Len: 1, At: func(int) Event { return c.event }, Names: names}
		if got := h.Recent(-1, 1); len(got) != 1 || got[0] != c.want {
			t.Errorf("%q\nwant %q", got, c.want)
		}
		if got := h.Since(0, []int{0}, 1); len(got) != 1 || got[0] != c.want {
			t.Errorf("since: %q\nwant %q", got, c.want)
		}
		if got := string(c.event.AppendText(nil, names)); strings.Contains(got, "more bytes") {
			t.Errorf("the trace is cut: %s", got)
		}
	}
}
