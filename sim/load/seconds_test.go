package load

import (
	"testing"
	"time"

	"bluetrace/reports/stats"
)

// TestSecondsOfALoad: the histograms contain every measured time in the second in
// which it was due, and no failed operation.
func TestSecondsOfALoad(t *testing.T) {
	m := measured(25) // due a tenth of a second apart, sent 1 ms later, done after 1 to 25 ms
	m.figures.add(&Row{Operation: Login, Outcome: Failed, Due: time.Second, Done: 2 * time.Second})
	m.figures.add(&Row{Operation: Login, Outcome: Unknown, Waited: true, Due: 4 * time.Second, Sent: 4 * time.Second,
		Done: 14 * time.Second})
	h := m.Histograms()
	if h.Schema != stats.Schema || len(h.Operations) != 1 || h.Operations[0].Name != "login" {
		t.Fatalf("%+v", h)
	}
	count := func(text string, within func(stats.Bin) bool) (n, outside uint64) {
		cells, err := stats.DecodeSecond(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range cells {
			n += c.Count
			if !within(c) {
				outside += c.Count
			}
		}
		return n, outside
	}
	for i, want := range []uint64{10, 10, 5, 0, 1} {
		least, most := time.Duration(10*i+1)*time.Millisecond, time.Duration(10*i+10)*time.Millisecond
		if i == 4 {
			least, most = 10*time.Second, 10*time.Second
		}
		within := func(c stats.Bin) bool { return c.Cell.High() > int64(least) && c.Cell.Low() <= int64(most) }
		if n, outside := count(h.Operations[0].Response[i], within); n != want || outside > 0 {
			t.Errorf("second %d has %d response times, %d of them elsewhere; want %d", i, n, outside, want)
		}
		if n, _ := count(h.Operations[0].Service[i], within); n != want {
			t.Errorf("second %d has %d service times, want %d", i, n, want)
		}
	}
	first, err := stats.DecodeSecond(h.Operations[0].Service[0])
	if err != nil || first[0].Cell != 0 || first[0].Count != 1 {
		t.Errorf("the service time of an operation that was sent when due: %+v, %v", first, err)
	}
}
