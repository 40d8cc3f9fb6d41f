package runpage

import (
	"strings"
	"testing"
	"time"

	"bluetrace/reports"
	"bluetrace/reports/chart"
	"bluetrace/reports/stats"
)

// operation returns a kind of operation with these delays in nanoseconds.
func operation(delays ...int64) reports.Operation {
	h := &stats.Histogram{}
	for _, ns := range delays {
		h.Record(ns)
	}
	return reports.Operation{Name: "login", Histogram: h.HDR()}
}

// TestDistributionsHaveEverySample checks that the columns are apart, within the axis and hold all samples, that each
// mark has the name of its value, and that a run without a sample has no chart.
func TestDistributionsHaveEverySample(t *testing.T) {
	const ms = int64(time.Millisecond)
	spread := make([]int64, 1000)
	for i := range spread {
		spread[i] = int64(i) * ms / 10
	}
	day := int64(24 * time.Hour)
	for name, c := range map[string]struct {
		delays []int64
		title  string
		rules  string
		hint   string // of the first column
	}{
		"one sample": {delays: []int64{20 * ms}, title: "login: 1 sample", hint: "19.99 to 20.00 ms: 1 sample"},
		"equal": {delays: []int64{20 * ms, 20 * ms, 20 * ms}, title: "login: 3 samples",
			rules: "p50, p95, p99 20.00 ms", hint: "19.99 to 20.00 ms: 3 samples"},
		"zero": {delays: []int64{0, 0}, title: "login: 2 samples", rules: "p50, p95, p99 0 ms",
			hint: "0 ms: 2 samples"},
		"spread": {delays: spread, title: "login: 1,000 samples",
			rules: "p50 49.91 ms; p95 94.96 ms; p99 98.96 ms", hint: "0 ms: 1 sample"},
		"extremes": {delays: []int64{0, 500, day}, title: "login: 3 samples",
			rules: "p50 0.001 ms; p95, p99 86,449,102 ms", hint: "0 to 0.001 ms: 2 samples"},
	} {
		t.Run(name, func(t *testing.T) {
			list := distributions([]reports.Operation{operation(c.delays...), operation(), {Name: "upload"}})
			if len(list) != 1 {
				t.Fatalf("%d charts, want one", len(list))
			}
			drawn, total, last := list[0], 0.0, 0.0
			for _, b := range drawn.Blocks[0].List {
				total += b.High
				if b.From < last-1e-9 || b.To <= b.From || b.From < drawn.X.Min*0.85 || b.To > drawn.X.Max ||
					b.High > drawn.Y.Max {
					t.Errorf("column %+v after %g, with axes to %g and %g", b, last, drawn.X.Max, drawn.Y.Max)
				}
				last = b.To
			}
			if int(total) != len(c.delays) || drawn.Title != c.title {
				t.Errorf("%q has %g samples", drawn.Title, total)
			}
			if got := strings.Join(names(drawn.Rules), "; "); got != c.rules {
				t.Errorf("the marks are %q, want %q", got, c.rules)
			}
			if got := drawn.Hints[0].Text; got != c.hint {
				t.Errorf("the first column has the hint %q, want %q", got, c.hint)
			}
		})
	}
}

func names(rules []chart.Rule) (list []string) {
	for _, r := range rules {
		list = append(list, r.Name)
	}
	return list
}
