package reports

import (
	"bytes"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"
)

func registryOf(t *testing.T, runs ...*Run) *prometheus.Registry {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	for _, r := range runs {
		if err := Register(reg, r); err != nil {
			t.Fatal(err)
		}
	}
	return reg
}

func TestMetricsHaveTheRunsValues(t *testing.T) {
	want := `
# HELP bluetrace_account_blocks_total Blocks that began after wrong passwords in a row.
# TYPE bluetrace_account_blocks_total counter
bluetrace_account_blocks_total{scenario="classroom"} 5
# HELP bluetrace_beacons_delivered_total Beacons that a receiver judged.
# TYPE bluetrace_beacons_delivered_total counter
bluetrace_beacons_delivered_total{scenario="classroom"} 14000
# HELP bluetrace_beacons_expired_total Contact log entries that reached their retention.
# TYPE bluetrace_beacons_expired_total counter
bluetrace_beacons_expired_total{scenario="classroom"} 13001
# HELP bluetrace_beacons_judged_total Beacons by the receiver's verdict.
# TYPE bluetrace_beacons_judged_total counter
bluetrace_beacons_judged_total{outcome="invalid",scenario="classroom"} 1
bluetrace_beacons_judged_total{outcome="valid",scenario="classroom"} 13999
# HELP bluetrace_beacons_kept_total Entries written to contact logs.
# TYPE bluetrace_beacons_kept_total counter
bluetrace_beacons_kept_total{scenario="classroom"} 13998
# HELP bluetrace_beacons_sent_total Beacons that phones sent.
# TYPE bluetrace_beacons_sent_total counter
bluetrace_beacons_sent_total{scenario="classroom"} 14100
# HELP bluetrace_checks_total Expectations, thresholds and invariants by their verdict.
# TYPE bluetrace_checks_total counter
bluetrace_checks_total{outcome="failed",scenario="classroom"} 0
bluetrace_checks_total{outcome="passed",scenario="classroom"} 3
bluetrace_checks_total{outcome="unknown",scenario="classroom"} 0
# HELP bluetrace_datagrams_delivered_total UDP datagrams that reached a phone.
# TYPE bluetrace_datagrams_delivered_total counter
bluetrace_datagrams_delivered_total{scenario="classroom"} 55800
# HELP bluetrace_datagrams_in_flight UDP datagrams under way when the run ended.
# TYPE bluetrace_datagrams_in_flight gauge
bluetrace_datagrams_in_flight{scenario="classroom"} 2
# HELP bluetrace_datagrams_lost_total UDP datagrams that the network lost.
# TYPE bluetrace_datagrams_lost_total counter
bluetrace_datagrams_lost_total{scenario="classroom"} 598
# HELP bluetrace_datagrams_sent_total UDP datagrams sent.
# TYPE bluetrace_datagrams_sent_total counter
bluetrace_datagrams_sent_total{scenario="classroom"} 56400
# HELP bluetrace_events_total Events of the run.
# TYPE bluetrace_events_total counter
bluetrace_events_total{scenario="classroom"} 1.234567e+06
# HELP bluetrace_logins_total Login attempts by the server's answer.
# TYPE bluetrace_logins_total counter
bluetrace_logins_total{outcome="refused",scenario="classroom"} 6
bluetrace_logins_total{outcome="welcomed",scenario="classroom"} 25
bluetrace_logins_total{outcome="wrong",scenario="classroom"} 4
# HELP bluetrace_phones Phones of the scenario.
# TYPE bluetrace_phones gauge
bluetrace_phones{scenario="classroom"} 27
# HELP bluetrace_run_peak_rss_bytes Largest resident memory of the process.
# TYPE bluetrace_run_peak_rss_bytes gauge
bluetrace_run_peak_rss_bytes{scenario="classroom"} 2.097152e+07
# HELP bluetrace_run_virtual_seconds Virtual time that the run took.
# TYPE bluetrace_run_virtual_seconds gauge
bluetrace_run_virtual_seconds{scenario="classroom"} 2700
# HELP bluetrace_run_wall_seconds Wall time that the run took.
# TYPE bluetrace_run_wall_seconds gauge
bluetrace_run_wall_seconds{scenario="classroom"} 0.05
# HELP bluetrace_sessions_closed_total TCP connections that ended.
# TYPE bluetrace_sessions_closed_total counter
bluetrace_sessions_closed_total{scenario="classroom"} 3
# HELP bluetrace_sessions_opened_total TCP connections that the server accepted.
# TYPE bluetrace_sessions_opened_total counter
bluetrace_sessions_opened_total{scenario="classroom"} 26
# HELP bluetrace_tempids_issued_total TempIDs that the server issued.
# TYPE bluetrace_tempids_issued_total counter
bluetrace_tempids_issued_total{scenario="classroom"} 104
# HELP bluetrace_upload_entries_resolved_total Uploaded entries whose TempID the server issued.
# TYPE bluetrace_upload_entries_resolved_total counter
bluetrace_upload_entries_resolved_total{scenario="classroom"} 71
# HELP bluetrace_upload_entries_total Contact log entries in complete uploads.
# TYPE bluetrace_upload_entries_total counter
bluetrace_upload_entries_total{scenario="classroom"} 72
# HELP bluetrace_uploads_total Uploads by how they ended.
# TYPE bluetrace_uploads_total counter
bluetrace_uploads_total{outcome="broken",scenario="classroom"} 9
bluetrace_uploads_total{outcome="complete",scenario="classroom"} 8
`
	r := passedRun(t)
	r.Operations = nil
	if err := testutil.GatherAndCompare(registryOf(t, r), strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}

func TestMetricNamesFollowTheConventions(t *testing.T) {
	reg := registryOf(t, passedRun(t), failedRun())
	problems, err := testutil.GatherAndLint(reg)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	n, err := testutil.GatherAndCount(reg)
	if err != nil || n != 2*29+2 {
		t.Errorf("%d metrics, %v; want 60", n, err)
	}
}

func TestOneScenarioTwiceInARegistryIsRefused(t *testing.T) {
	reg := registryOf(t, passedRun(t))
	if err := Register(reg, passedRun(t)); err == nil || !strings.Contains(err.Error(), `registering the metrics of "classroom"`) {
		t.Errorf("got %v", err)
	}
}

func TestOpenMetricsText(t *testing.T) {
	r := passedRun(t)
	r.Scenario = "a \"quoted\"\nname\xff"
	var b bytes.Buffer
	if err := OpenMetrics(&b, registryOf(t, r)); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	for _, want := range []string{
		"# TYPE bluetrace_beacons_sent counter\nbluetrace_beacons_sent_total{scenario=\"a \\\"quoted\\\"\\\\nname\\\\xff\"} 14100.0\n",
		"# TYPE bluetrace_operation_delay_seconds histogram\n",
		"le=\"0.001\"} 1\n", "le=\"0.0025\"} 2\n", "le=\"0.005\"} 4\n", "le=\"+Inf\"} 4\n",
		"bluetrace_operation_delay_seconds_count{operation=\"tempid\",",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if !strings.HasSuffix(text, "\n# EOF\n") || strings.Count(text, "# EOF") != 1 {
		t.Errorf("ends with %q", text[max(0, len(text)-40):])
	}
}

// observed is a library histogram with both kinds of buckets and the samples.
func observed(t *testing.T, nanoseconds []int64) *dto.Histogram {
	t.Helper()
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "x", Help: "x", Buckets: delayBounds(), NativeHistogramBucketFactor: 1.1})
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
	families, err := registryOf(t, r).Gather()
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

// TestHistogramEqualsDirectObservation takes samples that the HDR histogram
// keeps exactly (the lower ends of its cells): every bucket, classic and
// native, must be the same.
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
	if got.GetSchema() != 3 || got.GetZeroCount() != 2 || len(got.PositiveSpan) < 2 || len(got.Bucket) != len(delayBounds()) {
		t.Errorf("schema %d, zero count %d, %d spans, %d classic buckets", got.GetSchema(), got.GetZeroCount(), len(got.PositiveSpan), len(got.Bucket))
	}
}

// TestHistogramErrorIsAsStated takes any samples: no cumulative count is too
// low, and too high by no more than the samples up to 0.1 % above the bound.
func TestHistogramErrorIsAsStated(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	var samples []int64
	for _, bound := range delayBounds() {
		for range 300 {
			samples = append(samples, int64(bound*1e9*(0.997+0.006*random.Float64())))
		}
		samples = append(samples, int64(math.Round(bound*1e9)))
	}
	got, want := converted(t, samples), observed(t, samples)
	shifted := 0
	for i, bound := range delayBounds() {
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

func TestNativeBucketsEndAtPowersOfTheEighthRoot(t *testing.T) {
	for i := -200; i <= 50; i++ {
		end := math.Exp2(float64(i) / 8)
		if got := nativeBucket(end * (1 - 1e-14)); got != i {
			t.Errorf("just below 2^(%d/8): bucket %d", i, got)
		}
		if got := nativeBucket(end * (1 + 1e-14)); got != i+1 {
			t.Errorf("just above 2^(%d/8): bucket %d, want %d", i, got, i+1)
		}
	}
	for i := -10; i <= 10; i++ {
		if got := nativeBucket(math.Ldexp(1, i)); got != 8*i {
			t.Errorf("2^%d is in bucket %d, want %d", i, got, 8*i)
		}
	}
}

func TestConstantDelayAtABoundCountsBelowIt(t *testing.T) {
	h := converted(t, []int64{5_000_000, 5_000_000, 5_000_000})
	var at []uint64
	for _, b := range h.Bucket {
		at = append(at, b.GetCumulativeCount())
	}
	if diff := cmp.Diff([]uint64{0, 0, 0, 0, 0, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3}, at); diff != "" {
		t.Error(diff)
	}
}

func TestEveryMetricIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/RESULTS.md")
	if err != nil {
		t.Fatal(err)
	}
	families, err := registryOf(t, passedRun(t)).Gather()
	if err != nil || len(families) < 20 {
		t.Fatalf("%d families, %v", len(families), err)
	}
	for _, f := range families {
		if !bytes.Contains(page, []byte("`"+f.GetName()+"`")) {
			t.Errorf("docs/RESULTS.md does not name %s", f.GetName())
		}
	}
}
