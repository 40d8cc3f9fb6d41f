package reports

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestHistoryKeepsFamiliesAndSeriesTogether checks that the metrics of a family are
// together, as OpenMetrics requires, and each series is in the order of time.
func TestHistoryKeepsFamiliesAndSeriesTogether(t *testing.T) {
	m := NewMeter("s", "r1")
	var h History
	at := func(seconds float64) time.Time {
		return time.Unix(1_596_063_600, 0).Add(time.Duration(seconds * 1e9))
	}
	keep := func(when time.Time) {
		t.Helper()
		if err := h.Add(when, m.Gatherer()); err != nil {
			t.Fatal(err)
		}
	}
	keep(at(0))
	p := m.Phase("steady")
	p.Started.Add(3)
	ended(p.Operation("login"), OutcomeOK, 20*time.Millisecond, 0, 0)
	keep(at(10))
	m.Phase("again").Started.Add(4)
	p.Started.Add(5)
	keep(at(10.0004)) // the same millisecond
	var b strings.Builder
	if err := h.OpenMetrics(&b); err != nil {
		t.Fatal(err)
	}
	const want = `# HELP bluetrace_arrivals_started Arrivals that began.
# TYPE bluetrace_arrivals_started counter
bluetrace_arrivals_started_total{phase="again",run_id="r1",scenario="s"} 4.0 1.596063610001e+09
bluetrace_arrivals_started_total{phase="steady",run_id="r1",scenario="s"} 3.0 1.59606361e+09
bluetrace_arrivals_started_total{phase="steady",run_id="r1",scenario="s"} 8.0 1.596063610001e+09
# HELP bluetrace_arrivals_target_per_second Arrivals per second that are asked for.
# TYPE bluetrace_arrivals_target_per_second gauge
bluetrace_arrivals_target_per_second{run_id="r1",scenario="s"} 0.0 1.5960636e+09
bluetrace_arrivals_target_per_second{run_id="r1",scenario="s"} 0.0 1.59606361e+09
bluetrace_arrivals_target_per_second{run_id="r1",scenario="s"} 0.0 1.596063610001e+09
`
	_, got, _ := strings.Cut(b.String(), "# HELP bluetrace_arrivals_started ")
	got = "# HELP bluetrace_arrivals_started " + got
	if i := strings.Index(got, "# HELP bluetrace_arrivals_unknown"); i < 0 {
		t.Fatalf("got\n%s", b.String())
	} else if diff := cmp.Diff(want, got[:i]); diff != "" {
		t.Error(diff)
	}
	for _, text := range []string{
		`bluetrace_operation_response_seconds_bucket{operation="login",phase="steady",run_id="r1",` +
			`scenario="s",le="0.025"} 1 1.59606361e+09`,
		`bluetrace_operation_response_seconds_sum{operation="login",phase="steady",run_id="r1",scenario="s"} 0.02 ` +
			`1.59606361e+09`,
	} {
		if strings.Count(b.String(), text+"\n") != 1 {
			t.Errorf("no %q in\n%s", text, b.String())
		}
	}
	for _, name := range []string{"bluetrace_operation_response_seconds histogram", "bluetrace_thresholds gauge"} {
		if n := strings.Count(b.String(), "# TYPE "+name+"\n"); n != 1 {
			t.Errorf("%d families %s", n, name)
		}
	}
	if !strings.HasSuffix(b.String(), "\n# EOF\n") || h.samples != 3 {
		t.Errorf("%d samples; ends with %q", h.samples, b.String()[b.Len()-20:])
	}
}

func TestHistoryIsBounded(t *testing.T) {
	h := History{samples: HistoryMax}
	err := h.Add(time.Unix(1, 0), NewMeter("s", "r").Gatherer())
	if err == nil || err.Error() != "keeping metrics: the run is longer than 10,000 steps" {
		t.Errorf("got %v", err)
	}
}
