package load

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"bluetrace/reports"
	"bluetrace/reports/stats"
	"bluetrace/scenarios"
)

// TestTimeline: the timeline has target and achieved rates and quantiles of every
// second. The warm-up is apart, and the last second is a half one.
func TestTimeline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.stall = func(_ string, at time.Duration) time.Duration {
			if at >= 2*time.Second && at < 3*time.Second {
				return at + 20*time.Millisecond
			}
			return 0
		}
		load := steady(100, 3500*time.Millisecond, scenarios.VerbLogin)
		load.WarmUp, load.MaxInFlight = 1500*time.Millisecond, 1
		load.Expected = map[string]time.Duration{"connect": time.Millisecond}
		c := faked(f, 10, load)
		m := ran(t, c)
		line := m.Report(c.Traffic).Timeline
		if d := cmp.Diff(rowsOf(t, m.Histograms(), 1), line[3].Rows); d != "" {
			t.Errorf("the heatmap is not that of the histograms: %s", d)
		}
		var got []reports.LoadSecond
		for _, s := range line {
			if s.ServiceP99Ms < .9 || s.ServiceP50Ms > s.ServiceP99Ms || s.LagP99Ms > 1 {
				t.Errorf("second %g: %+v; want service times from 1 ms, and no lag", s.FromSeconds, s)
			}
			inRows := uint64(0)
			for _, r := range s.Rows {
				inRows += r.Count
			}
			if inRows != s.Samples {
				t.Errorf("second %g: %d samples in the heatmap, want %d", s.FromSeconds, inRows, s.Samples)
			}
			s.Rows = nil
			s.P50Ms, s.P99Ms, s.Samples, s.ServiceP50Ms, s.ServiceP99Ms, s.LagP99Ms = 0, 0, 0, 0, 0, 0
			got = append(got, s)
		}
		want := []reports.LoadSecond{
			{FromSeconds: 0, Seconds: 1, WarmUp: true, Target: 100, Achieved: 100},
			{FromSeconds: 1, Seconds: .5, WarmUp: true, Target: 100, Achieved: 100},
			// Two of three are dropped from 2s on.
			{FromSeconds: 1.5, Seconds: 1, Target: 100, Achieved: 66, Dropped: 33},
			{FromSeconds: 2.5, Seconds: 1, Target: 100, Achieved: 66, Dropped: 35},
			{FromSeconds: 3.5, Seconds: 1, Target: 100, Achieved: 100},
			{FromSeconds: 4.5, Seconds: .5, Target: 100, Achieved: 100},
		}
		if d := cmp.Diff(want, got, cmpopts.EquateApprox(0, 3)); d != "" {
			t.Error(d)
		}
		if s := line[4]; s.Samples != 200 || s.P99Ms < .9 || s.P99Ms > 1.3 {
			t.Errorf("a quiet second: %+v; want 100 connections and 100 logins, of 1 ms", s)
		}
		if s := line[2]; s.P99Ms < 19 || s.P99Ms > 22 {
			t.Errorf("a slow second: %+v; want a p99 of 20 ms", s)
		}
	})
}

// rowsOf returns the heatmap of a second after the warm-up by the JSON form of its histograms.
func rowsOf(t *testing.T, h *reports.Histograms, second int) []stats.Row {
	t.Helper()
	all := stats.NewCounts()
	for _, o := range h.Operations {
		bins, err := stats.DecodeSecond(o.Response[second])
		if err != nil {
			t.Fatal(err)
		}
		all.Add(bins)
	}
	return stats.Rows(all.Bins())
}
