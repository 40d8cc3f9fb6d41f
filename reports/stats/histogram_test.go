package stats

import (
	"math"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// TestLazyHistogramHoldsAllValues reads the histogram before, at and after the
// number of values from which it exists.
func TestLazyHistogramHoldsAllValues(t *testing.T) {
	for _, asked := range []int{0, 1, firstValues, firstValues + 1, 2 * firstValues} {
		want := hdrhistogram.New(1, int64(24*time.Hour), 3)
		var d Histogram
		for i := range 2*firstValues + 10 {
			if i == asked {
				d.HDR()
			}
			ns := int64(i) * int64(i) * 1_000_003
			d.Record(ns)
			if err := want.RecordValue(min(ns, int64(24*time.Hour))); err != nil {
				t.Fatal(err)
			}
			if d.Count() != int64(i+1) {
				t.Fatalf("asked for at %d: %d after %d", asked, d.Count(), i+1)
			}
		}
		d.Record(-1)
		if err := want.RecordValue(0); err != nil {
			t.Fatal(err)
		}
		if !d.HDR().Equals(want) {
			t.Errorf("asked for at %d: %v, want %v", asked, d.HDR().CumulativeDistribution(),
				want.CumulativeDistribution())
		}
	}
	var none Histogram
	if none.Count() != 0 || none.HDR().TotalCount() != 0 {
		t.Error("there is something in an empty one")
	}
}

// TestQuantileIsNotASampleLow: at most the share above a quantile is above its value, for each number of samples.
func TestQuantileIsNotASampleLow(t *testing.T) {
	for n := 1; n <= 400; n++ {
		var h Histogram
		for i := 1; i <= n; i++ {
			h.Record(int64(i))
		}
		for _, percent := range []float64{1, 50, 90, 95, 99, 99.9, 100} {
			want := int64(math.Ceil(float64(n)*percent/100 - 1e-9))
			if got := Quantile(h.HDR(), percent); got != want {
				t.Fatalf("p%g of 1 to %d is %d, want %d", percent, n, got, want)
			}
		}
	}
	if got := Quantile(new(Histogram).HDR(), 99); got != 0 {
		t.Errorf("without a sample: %d", got)
	}
}
