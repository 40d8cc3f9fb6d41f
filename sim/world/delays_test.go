package world

import (
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Whenever the histogram is made, it is of all values.
func TestDurationsAreThoseOfAHistogram(t *testing.T) {
	for _, asked := range []int{0, 1, firstDelays, firstDelays + 1, 2 * firstDelays} {
		want := hdrhistogram.New(1, int64(24*time.Hour), 3)
		var d Durations
		for i := range 2*firstDelays + 10 {
			if i == asked {
				d.Histogram()
			}
			ns := int64(i) * int64(i) * 1_000_003
			d.Add(ns)
			if err := want.RecordValue(min(ns, int64(24*time.Hour))); err != nil {
				t.Fatal(err)
			}
			if d.Count() != int64(i+1) {
				t.Fatalf("asked for at %d: %d after %d", asked, d.Count(), i+1)
			}
		}
		d.Add(-1)
		if err := want.RecordValue(0); err != nil {
			t.Fatal(err)
		}
		if !d.Histogram().Equals(want) {
			t.Errorf("asked for at %d: %v, want %v", asked, d.Histogram().CumulativeDistribution(), want.CumulativeDistribution())
		}
	}
	var none Durations
	if none.Count() != 0 || none.Histogram().TotalCount() != 0 {
		t.Error("there is something in an empty one")
	}
}
