package stats

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
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

// filled returns a histogram of values, which has its HDR form if hdr is true.
func filled(hdr bool, values ...int64) *Histogram {
	h := new(Histogram)
	for _, v := range values {
		h.Record(v)
	}
	if hdr {
		h.HDR()
	}
	return h
}

// TestCopiesAndSumsOfHistograms: a copy does not change with its original, and a sum has the values of both, whose
// forms do not matter.
func TestCopiesAndSumsOfHistograms(t *testing.T) {
	for _, form := range []struct{ one, other bool }{{}, {one: true}, {other: true}, {true, true}} {
		one, other := filled(form.one, 5, 6, 7), filled(form.other, 7, 900, 1000)
		clone := one.Clone()
		one.Merge(other)
		other.Record(3)
		clone.Record(11)
		for _, c := range []struct {
			name      string
			got, want *Histogram
		}{
			{"sum", one, filled(true, 5, 6, 7, 7, 900, 1000)}, {"copy", &clone, filled(true, 5, 6, 7, 11)},
			{"other", other, filled(true, 3, 7, 900, 1000)},
		} {
			if n := c.want.Count(); c.got.Count() != n || !c.got.HDR().Equals(c.want.HDR()) {
				t.Errorf("%+v: %s: %d values %v, want %v", form, c.name, c.got.Count(),
					c.got.HDR().CumulativeDistribution(), c.want.HDR().CumulativeDistribution())
			}
		}
	}
}

// TestHistogramsInJSON: a histogram comes back with all counts, is added to the values before, and does not change by
// being written. A cell that cannot be is refused.
func TestHistogramsInJSON(t *testing.T) {
	of := filled(false, 0, 7, 7, 1_000_000_000, longest)
	text, err := json.Marshal(of)
	if err != nil || !strings.HasPrefix(string(text), "[[0,1],[7,2],[999") || of.all != nil {
		t.Fatalf("%s, %v", text, err)
	}
	got := filled(false, 7)
	if err := json.Unmarshal(text, got); err != nil {
		t.Fatal(err)
	}
	if want := filled(true, 0, 7, 7, 7, 1_000_000_000, longest); !got.HDR().Equals(want.HDR()) {
		t.Errorf("%v, want %v", got.HDR().CumulativeDistribution(), want.HDR().CumulativeDistribution())
	}
	for text, want := range map[string]string{
		"[]": "", "[[0,1]]": "", "[[86400000000000,1]]": "", `{}`: "json: cannot unmarshal object",
		"[[-1,1]]":             "invalid cell of 1 samples at -1 ns",
		"[[86400000000001,1]]": "invalid cell of 1 samples at 86400000000001 ns",
		"[[5,0]]":              "invalid cell of 0 samples at 5 ns", "[[5,-2]]": "invalid cell of -2 samples at 5 ns",
	} {
		var h Histogram
		err := json.Unmarshal([]byte(text), &h)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// TestBarsSinceAnEarlierState: only the samples that came later are in the bars.
func TestBarsSinceAnEarlierState(t *testing.T) {
	h := filled(true, 5, 7, 7)
	before := h.Clone()
	h.Record(7)
	h.Record(9)
	if got := slices.Collect(BarsSince(h.HDR(), before.HDR())); !slices.Equal(got, []Bar{{7, 7, 1}, {9, 9, 1}}) {
		t.Errorf("%v", got)
	}
	for bar := range Bars(h.HDR()) { // the loop may end early
		if bar != (Bar{5, 5, 1}) {
			t.Errorf("the first bar is %v", bar)
		}
		break
	}
}
