package reports

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"
)

// finishedMeter returns the meter of a finished run.
func finishedMeter(t *testing.T, r *Run) prometheus.Gatherer {
	t.Helper()
	m := NewMeter(r.Scenario, "r1")
	if err := m.Finish(r); err != nil {
		t.Fatal(err)
	}
	return m.Gatherer()
}

func TestMetricsHaveTheRunsValues(t *testing.T) {
	want := `
# HELP bluetrace_account_blocks_total Blocks that began after wrong passwords in a row.
# TYPE bluetrace_account_blocks_total counter
bluetrace_account_blocks_total{run_id="r1",scenario="classroom"} 5
# HELP bluetrace_beacons_delivered_total Beacons that a receiver judged.
# TYPE bluetrace_beacons_delivered_total counter
bluetrace_beacons_delivered_total{run_id="r1",scenario="classroom"} 14000
# HELP bluetrace_beacons_expired_total Contact log entries that reached their retention.
# TYPE bluetrace_beacons_expired_total counter
bluetrace_beacons_expired_total{run_id="r1",scenario="classroom"} 13001
# HELP bluetrace_beacons_judged_total Beacons by the receiver's verdict.
# TYPE bluetrace_beacons_judged_total counter
bluetrace_beacons_judged_total{outcome="invalid",run_id="r1",scenario="classroom"} 1
bluetrace_beacons_judged_total{outcome="valid",run_id="r1",scenario="classroom"} 13999
# HELP bluetrace_beacons_kept_total Entries written to contact logs.
# TYPE bluetrace_beacons_kept_total counter
bluetrace_beacons_kept_total{run_id="r1",scenario="classroom"} 13998
# HELP bluetrace_beacons_sent_total Beacons that phones sent.
# TYPE bluetrace_beacons_sent_total counter
bluetrace_beacons_sent_total{run_id="r1",scenario="classroom"} 14100
# HELP bluetrace_checks_total Expectations, thresholds and invariants by their verdict.
# TYPE bluetrace_checks_total counter
bluetrace_checks_total{outcome="failed",run_id="r1",scenario="classroom"} 0
bluetrace_checks_total{outcome="not_exercised",run_id="r1",scenario="classroom"} 0
bluetrace_checks_total{outcome="passed",run_id="r1",scenario="classroom"} 3
bluetrace_checks_total{outcome="skipped",run_id="r1",scenario="classroom"} 0
bluetrace_checks_total{outcome="unknown",run_id="r1",scenario="classroom"} 0
# HELP bluetrace_datagrams_delivered_total UDP datagrams that reached a phone.
# TYPE bluetrace_datagrams_delivered_total counter
bluetrace_datagrams_delivered_total{run_id="r1",scenario="classroom"} 55800
# HELP bluetrace_datagrams_in_flight UDP datagrams under way when the run ended.
# TYPE bluetrace_datagrams_in_flight gauge
bluetrace_datagrams_in_flight{run_id="r1",scenario="classroom"} 2
# HELP bluetrace_datagrams_lost_total UDP datagrams that the network lost.
# TYPE bluetrace_datagrams_lost_total counter
bluetrace_datagrams_lost_total{run_id="r1",scenario="classroom"} 598
# HELP bluetrace_datagrams_sent_total UDP datagrams sent.
# TYPE bluetrace_datagrams_sent_total counter
bluetrace_datagrams_sent_total{run_id="r1",scenario="classroom"} 56400
# HELP bluetrace_events_total Events of the run.
# TYPE bluetrace_events_total counter
bluetrace_events_total{run_id="r1",scenario="classroom"} 1.234567e+06
# HELP bluetrace_logins_total Login attempts by the server's answer.
# TYPE bluetrace_logins_total counter
bluetrace_logins_total{outcome="refused",run_id="r1",scenario="classroom"} 6
bluetrace_logins_total{outcome="welcomed",run_id="r1",scenario="classroom"} 25
bluetrace_logins_total{outcome="wrong",run_id="r1",scenario="classroom"} 4
# HELP bluetrace_phase_active 1 while the run is in this phase, else 0.
# TYPE bluetrace_phase_active gauge
bluetrace_phase_active{phase="run",run_id="r1",scenario="classroom"} 0
# HELP bluetrace_phones Phones of the scenario.
# TYPE bluetrace_phones gauge
bluetrace_phones{run_id="r1",scenario="classroom"} 27
# HELP bluetrace_run_peak_rss_bytes Largest resident memory of the process.
# TYPE bluetrace_run_peak_rss_bytes gauge
bluetrace_run_peak_rss_bytes{run_id="r1",scenario="classroom"} 2.097152e+07
# HELP bluetrace_run_virtual_seconds Virtual time that the run took.
# TYPE bluetrace_run_virtual_seconds gauge
bluetrace_run_virtual_seconds{run_id="r1",scenario="classroom"} 2700
# HELP bluetrace_run_wall_seconds Wall time that the run took.
# TYPE bluetrace_run_wall_seconds gauge
bluetrace_run_wall_seconds{run_id="r1",scenario="classroom"} 0.05
# HELP bluetrace_sessions_closed_total TCP connections that ended.
# TYPE bluetrace_sessions_closed_total counter
bluetrace_sessions_closed_total{run_id="r1",scenario="classroom"} 3
# HELP bluetrace_sessions_in_flight Sessions that have begun and not ended.
# TYPE bluetrace_sessions_in_flight gauge
bluetrace_sessions_in_flight{run_id="r1",scenario="classroom"} 23
# HELP bluetrace_sessions_opened_total TCP connections that the server accepted.
# TYPE bluetrace_sessions_opened_total counter
bluetrace_sessions_opened_total{run_id="r1",scenario="classroom"} 26
# HELP bluetrace_tempids_issued_total TempIDs that the server issued.
# TYPE bluetrace_tempids_issued_total counter
bluetrace_tempids_issued_total{run_id="r1",scenario="classroom"} 104
# HELP bluetrace_thresholds Thresholds of the run by whether they hold: held, broken or undecided.
# TYPE bluetrace_thresholds gauge
bluetrace_thresholds{outcome="broken",run_id="r1",scenario="classroom"} 0
bluetrace_thresholds{outcome="held",run_id="r1",scenario="classroom"} 1
bluetrace_thresholds{outcome="undecided",run_id="r1",scenario="classroom"} 0
# HELP bluetrace_upload_entries_resolved_total Uploaded entries whose TempID the server issued.
# TYPE bluetrace_upload_entries_resolved_total counter
bluetrace_upload_entries_resolved_total{run_id="r1",scenario="classroom"} 71
# HELP bluetrace_upload_entries_total Contact log entries in complete uploads.
# TYPE bluetrace_upload_entries_total counter
bluetrace_upload_entries_total{run_id="r1",scenario="classroom"} 72
# HELP bluetrace_uploads_total Uploads by how they ended.
# TYPE bluetrace_uploads_total counter
bluetrace_uploads_total{outcome="broken",run_id="r1",scenario="classroom"} 9
bluetrace_uploads_total{outcome="complete",run_id="r1",scenario="classroom"} 8
`
	r := passedRun(t)
	r.Operations = nil
	if err := testutil.GatherAndCompare(finishedMeter(t, r), strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}

func TestOpenMetricsText(t *testing.T) {
	r := passedRun(t)
	r.Scenario = "a \"quoted\"\nname\xff"
	var b bytes.Buffer
	if err := WriteMetrics(&b, r); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	for _, want := range []string{
		"# TYPE bluetrace_beacons_sent counter\nbluetrace_beacons_sent_total{run_id=\"seed-7\",scenario=\"a " +
			"\\\"quoted\\\"\\\\nname\\\\xff\"} 14100.0\n",
		"# TYPE bluetrace_operation_response_seconds histogram\n",
		"le=\"0.001\"} 1\n", "le=\"0.0025\"} 2\n", "le=\"0.005\"} 4\n", "le=\"+Inf\"} 4\n",
		"bluetrace_operation_response_seconds_count{operation=\"tempid\",",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if !strings.HasSuffix(text, "\n# EOF\n") || strings.Count(text, "# EOF") != 1 {
		t.Errorf("ends with %q", text[max(0, len(text)-40):])
	}
}

// observed returns a client_golang histogram of the samples, with classic and
// native buckets.
func observed(t *testing.T, nanoseconds []int64) *dto.Histogram {
	t.Helper()
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "x", Help: "x", Buckets: classicBounds(),
		NativeHistogramBucketFactor: 1.1})
	for _, v := range nanoseconds {
		h.Observe(float64(v) / 1e9)
	}
	var m dto.Metric
	if err := h.Write(&m); err != nil {
		t.Fatal(err)
	}
	m.Histogram.CreatedTimestamp = nil
	return m.Histogram
}

func converted(t *testing.T, nanoseconds []int64) *dto.Histogram {
	t.Helper()
	r := &Run{Scenario: "s", Operations: []Operation{{Name: "beacon", Histogram: histogramOf(t, nanoseconds...)}}}
	families, err := finishedMeter(t, r).Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "bluetrace_beacon_delay_seconds" {
			return f.Metric[0].Histogram
		}
	}
	t.Fatal("no beacon delay among the metrics")
	return nil
}

// TestHistogramEqualsDirectObservation uses samples that the HDR histogram stores
// exactly, the lower ends of its cells: every classic and native bucket must be
// equal.
func TestHistogramEqualsDirectObservation(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var any []int64
	for range 500 {
		any = append(any, int64(math.Exp(random.Float64()*math.Log(1e11))))
	}
	samples := []int64{0, 0}
	for _, bar := range histogramOf(t, any...).Distribution() {
		for range bar.Count {
			samples = append(samples, bar.From)
		}
	}
	got, want := converted(t, samples), observed(t, samples)
	if rel := math.Abs(got.GetSampleSum()-want.GetSampleSum()) / want.GetSampleSum(); rel > 0.0005 {
		t.Errorf("sum %g, want %g", got.GetSampleSum(), want.GetSampleSum())
	}
	want.SampleSum = got.SampleSum
	if !proto.Equal(got, want) {
		t.Errorf("got\n%v\nwant\n%v", got, want)
	}
	if got.GetSchema() != 3 || got.GetZeroCount() != 2 || len(got.PositiveSpan) < 2 ||
		len(got.Bucket) != len(classicBounds()) {
		t.Errorf("schema %d, zero count %d, %d spans, %d classic buckets", got.GetSchema(), got.GetZeroCount(),
			len(got.PositiveSpan), len(got.Bucket))
	}
}

// TestHistogramErrorIsAsStated uses random samples: no cumulative count is too low,
// and it is too high by at most the samples up to 0.1 % above the bound.
func TestHistogramErrorIsAsStated(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	var samples []int64
	for _, bound := range classicBounds() {
		for range 300 {
			samples = append(samples, int64(bound*1e9*(0.997+0.006*random.Float64())))
		}
		samples = append(samples, int64(math.Round(bound*1e9)))
	}
	got, want := converted(t, samples), observed(t, samples)
	shifted := 0
	for i, bound := range classicBounds() {
		near := uint64(0)
		for _, v := range samples {
			if s := float64(v) / 1e9; s > bound && s <= bound*1.001 {
				near++
			}
		}
		g, w := got.Bucket[i].GetCumulativeCount(), want.Bucket[i].GetCumulativeCount()
		if g < w || g > w+near {
			t.Errorf("le %g: %d, want %d to %d", bound, g, w, w+near)
		}
		if g != w {
			shifted++
		}
	}
	if shifted == 0 {
		t.Error("no bound was cut by a cell: the samples show nothing")
	}
	if rel := math.Abs(got.GetSampleSum()-want.GetSampleSum()) / want.GetSampleSum(); rel > 0.0005 {
		t.Errorf("sum %g, want %g", got.GetSampleSum(), want.GetSampleSum())
	}
	if got.GetSampleCount() != uint64(len(samples)) {
		t.Errorf("count %d, want %d", got.GetSampleCount(), len(samples))
	}
}

func TestConstantDelayAtABoundCountsBelowIt(t *testing.T) {
	h := converted(t, []int64{5_000_000, 5_000_000, 5_000_000})
	var at []uint64
	for _, b := range h.Bucket {
		at = append(at, b.GetCumulativeCount())
	}
	if diff := cmp.Diff([]uint64{0, 0, 0, 0, 0, 0, 0, 0, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3}, at); diff != "" {
		t.Error(diff)
	}
}

// TestMetricsOfALoad: the file of a load has its measurements under the names of the scraped metrics.
func TestMetricsOfALoad(t *testing.T) {
	const ms = 1_000_000
	r := &Run{Scenario: "steady", Seed: 3, Load: &Load{Budgets: GeneratorBudgets{LagMs: 5, CPUShare: .7},
		Arrivals: Arrivals{Due: 15, Started: 14, Dropped: 1, OK: 2, Failed: 3, Unknown: 4, Open: 5},
		Beacons:  LoadBeacons{Sent: 27, Received: 20, Lost: 7, Doubled: 6, Late: 5, Malformed: 4, Dropped: 3},
		Operations: []LoadOperation{
			{Name: "login", OK: 2, Failed: 3, Unknown: 1, Response: histogramOf(t, ms, 3*ms),
				Service: histogramOf(t, ms), Lag: histogramOf(t, ms/2, ms/2, ms/2, ms/2)},
			{Name: "logout", OK: 9},
		}}}
	var b strings.Builder
	if err := WriteMetrics(&b, r); err != nil {
		t.Fatal(err)
	}
	const run = `run_id="seed-3",scenario="steady"`
	for name, want := range map[string]string{
		"bluetrace_arrivals_due_total{phase=load}": "15.0", "bluetrace_arrivals_started_total{phase=load}": "14.0",
		"bluetrace_arrivals_dropped_total{phase=load}": "1.0", "bluetrace_arrivals_failed_total{phase=load}": "3.0",
		"bluetrace_arrivals_unknown_total{phase=load}": "4.0", "bluetrace_generator_lag_budget_seconds{}": "0.005",
		"bluetrace_beacons_sent_total{}": "27.0", "bluetrace_beacons_received_total{}": "20.0",
		"bluetrace_beacons_lost_total{}": "7.0", "bluetrace_beacons_doubled_total{}": "6.0",
		"bluetrace_beacons_late_total{}": "5.0", "bluetrace_beacons_malformed_total{}": "4.0",
		"bluetrace_datagrams_dropped_total{}":                                    "3.0",
		"bluetrace_operations_total{operation=login,outcome=ok,phase=load}":      "2.0",
		"bluetrace_operations_total{operation=login,outcome=failed,phase=load}":  "3.0",
		"bluetrace_operations_total{operation=login,outcome=unknown,phase=load}": "1.0",
		"bluetrace_operations_total{operation=logout,outcome=ok,phase=load}":     "9.0",
		"bluetrace_operation_response_seconds_count{operation=login,phase=load}": "2",
		"bluetrace_operation_service_seconds_count{operation=login,phase=load}":  "1",
		"bluetrace_operation_lag_seconds_count{operation=login,phase=load}":      "4",
		"bluetrace_phase_active{phase=load}":                                     "0.0",
	} {
		family, labels, _ := strings.Cut(strings.TrimSuffix(name, "}"), "{")
		all := run
		for _, pair := range slices.Backward(strings.Split(labels, ",")) {
			if key, value, ok := strings.Cut(pair, "="); ok {
				all = key + `="` + value + `",` + all
			}
		}
		if line := family + "{" + all + "} " + want + "\n"; !strings.Contains(b.String(), line) {
			t.Errorf("no %q in\n%s", line, b.String())
		}
	}
	want := `bluetrace_operation_lag_seconds_bucket{operation="login",phase="load",` + run + `,le="0.0005"} 4`
	if !strings.Contains(b.String(), want) ||
		strings.Contains(b.String(), `seconds_count{operation="logout"`) {
		t.Errorf("no %q in, or times of a logout\n%s", want, b.String())
	}
}

// TestMetricsOfChecks: each verdict of a check has its own count.
func TestMetricsOfChecks(t *testing.T) {
	r := &Run{Scenario: "s", Load: &Load{}}
	verdicts := []Verdict{Passed, Failed, Skipped, Unknown}
	for n, v := range verdicts {
		for range n + 2 {
			r.Checks = append(r.Checks, Check{Kind: InvariantCheck, Verdict: v, Evaluations: 1})
		}
	}
	r.Checks = append(r.Checks, Check{Kind: InvariantCheck, Verdict: Passed},
		Check{Kind: ThresholdCheck, Verdict: Passed})
	const want = `
# HELP bluetrace_checks_total Expectations, thresholds and invariants by their verdict.
# TYPE bluetrace_checks_total counter
bluetrace_checks_total{outcome="failed",run_id="r1",scenario="s"} 3
bluetrace_checks_total{outcome="not_exercised",run_id="r1",scenario="s"} 1
bluetrace_checks_total{outcome="passed",run_id="r1",scenario="s"} 3
bluetrace_checks_total{outcome="skipped",run_id="r1",scenario="s"} 4
bluetrace_checks_total{outcome="unknown",run_id="r1",scenario="s"} 5
`
	err := testutil.GatherAndCompare(finishedMeter(t, r), strings.NewReader(want), "bluetrace_checks_total")
	if err != nil {
		t.Error(err)
	}
}
