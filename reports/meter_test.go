package reports

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"google.golang.org/protobuf/proto"
)

// loadMeter returns the meter of a load in the middle of its second phase. All
// counts differ.
func loadMeter() *Meter {
	m := NewMeter("steady", "r1")
	m.SetThresholds(1, 2, 3)
	m.SetTarget(250.5)
	m.AddInFlight(9)
	m.AddInFlight(-2)
	m.SetServerUse(&ProcessUse{
		UserSeconds: 1.5, SystemSeconds: 0.25, GCPauseSeconds: new(0.003), ResidentBytes: 9 << 20,
	})
	warm, steady := m.Phase("warm-up"), m.Phase("steady")
	warm.Due.Add(10)
	warm.Started.Add(10)
	steady.Due.Add(29)
	steady.Started.Add(25)
	steady.Dropped.Add(4)
	steady.Failed.Add(3)
	steady.Unknown.Add(1)
	m.SetLagBudget(10 * time.Millisecond)
	login := steady.Operation("login")
	ended(login, OutcomeOK, 3*time.Millisecond, 2*time.Millisecond, time.Millisecond)
	ended(login, OutcomeOK, 20*time.Microsecond, 20*time.Microsecond, 0)
	ended(login, OutcomeUnknown, 10*time.Second, 10*time.Second, 0)
	login.Ended(OutcomeFailed)
	login.Lagged(0)
	login.Lost(2)
	b := m.Beacons()
	b.Sent.Add(1000)
	b.Received.Add(990)
	b.Lost.Add(10)
	b.Doubled.Add(3)
	b.Late.Add(2)
	b.Malformed.Add(1)
	b.Dropped.RaiseTo(7)
	b.Dropped.RaiseTo(6)
	b.Delay(700 * time.Microsecond)
	m.SetPhase(steady)
	return m
}

// ended counts an operation that has times.
func ended(o *OperationMeter, outcome Outcome, response, service, lag time.Duration) {
	o.Ended(outcome)
	o.Took(response, service)
	o.Lagged(lag)
}

func TestMeterHasTheValuesItWasFed(t *testing.T) {
	const want = `
# HELP bluetrace_arrivals_dropped_total Arrivals that were dropped because too many sessions were in flight.
# TYPE bluetrace_arrivals_dropped_total counter
bluetrace_arrivals_dropped_total{phase="steady",run_id="r1",scenario="steady"} 4
bluetrace_arrivals_dropped_total{phase="warm-up",run_id="r1",scenario="steady"} 0
# HELP bluetrace_arrivals_due_total Arrivals whose time has come.
# TYPE bluetrace_arrivals_due_total counter
bluetrace_arrivals_due_total{phase="steady",run_id="r1",scenario="steady"} 29
bluetrace_arrivals_due_total{phase="warm-up",run_id="r1",scenario="steady"} 10
# HELP bluetrace_arrivals_failed_total Arrivals whose last operation failed.
# TYPE bluetrace_arrivals_failed_total counter
bluetrace_arrivals_failed_total{phase="steady",run_id="r1",scenario="steady"} 3
bluetrace_arrivals_failed_total{phase="warm-up",run_id="r1",scenario="steady"} 0
# HELP bluetrace_arrivals_started_total Arrivals that began.
# TYPE bluetrace_arrivals_started_total counter
bluetrace_arrivals_started_total{phase="steady",run_id="r1",scenario="steady"} 25
bluetrace_arrivals_started_total{phase="warm-up",run_id="r1",scenario="steady"} 10
# HELP bluetrace_arrivals_target_per_second Arrivals per second that are asked for.
# TYPE bluetrace_arrivals_target_per_second gauge
bluetrace_arrivals_target_per_second{run_id="r1",scenario="steady"} 250.5
# HELP bluetrace_arrivals_unknown_total Arrivals that ended without an answer.
# TYPE bluetrace_arrivals_unknown_total counter
bluetrace_arrivals_unknown_total{phase="steady",run_id="r1",scenario="steady"} 1
bluetrace_arrivals_unknown_total{phase="warm-up",run_id="r1",scenario="steady"} 0
# HELP bluetrace_beacons_doubled_total Receptions of a beacon after its first.
# TYPE bluetrace_beacons_doubled_total counter
bluetrace_beacons_doubled_total{run_id="r1",scenario="steady"} 3
# HELP bluetrace_beacons_late_total Beacons that were received after they had been given up.
# TYPE bluetrace_beacons_late_total counter
bluetrace_beacons_late_total{run_id="r1",scenario="steady"} 2
# HELP bluetrace_beacons_lost_total Beacons that were not received while they were waited for.
# TYPE bluetrace_beacons_lost_total counter
bluetrace_beacons_lost_total{run_id="r1",scenario="steady"} 10
# HELP bluetrace_beacons_malformed_total Received data that is not a beacon.
# TYPE bluetrace_beacons_malformed_total counter
bluetrace_beacons_malformed_total{run_id="r1",scenario="steady"} 1
# HELP bluetrace_beacons_received_total Beacons that were received, each counted once.
# TYPE bluetrace_beacons_received_total counter
bluetrace_beacons_received_total{run_id="r1",scenario="steady"} 990
# HELP bluetrace_beacons_sent_total Beacons that phones sent.
# TYPE bluetrace_beacons_sent_total counter
bluetrace_beacons_sent_total{run_id="r1",scenario="steady"} 1000
# HELP bluetrace_datagrams_dropped_total UDP datagrams that the kernel dropped because a socket's buffer was full.
# TYPE bluetrace_datagrams_dropped_total counter
bluetrace_datagrams_dropped_total{run_id="r1",scenario="steady"} 7
# HELP bluetrace_generator_lag_budget_seconds The p99 of the schedule lag above which the load is invalid.
# TYPE bluetrace_generator_lag_budget_seconds gauge
bluetrace_generator_lag_budget_seconds{run_id="r1",scenario="steady"} 0.01
# HELP bluetrace_operations_total Operations by how they ended.
# TYPE bluetrace_operations_total counter
bluetrace_operations_total{operation="login",outcome="failed",phase="steady",run_id="r1",scenario="steady"} 1
bluetrace_operations_total{operation="login",outcome="ok",phase="steady",run_id="r1",scenario="steady"} 2
bluetrace_operations_total{operation="login",outcome="unknown",phase="steady",run_id="r1",scenario="steady"} 3
# HELP bluetrace_phase_active 1 while the run is in this phase, else 0.
# TYPE bluetrace_phase_active gauge
bluetrace_phase_active{phase="steady",run_id="r1",scenario="steady"} 1
bluetrace_phase_active{phase="warm-up",run_id="r1",scenario="steady"} 0
# HELP bluetrace_server_cpu_system_seconds_total Processor time of the server in the kernel.
# TYPE bluetrace_server_cpu_system_seconds_total counter
bluetrace_server_cpu_system_seconds_total{run_id="r1",scenario="steady"} 0.25
# HELP bluetrace_server_cpu_user_seconds_total Processor time of the server in its own code.
# TYPE bluetrace_server_cpu_user_seconds_total counter
bluetrace_server_cpu_user_seconds_total{run_id="r1",scenario="steady"} 1.5
# HELP bluetrace_server_gc_pause_seconds_total Time in which the server stood still to collect its memory.
# TYPE bluetrace_server_gc_pause_seconds_total counter
bluetrace_server_gc_pause_seconds_total{run_id="r1",scenario="steady"} 0.003
# HELP bluetrace_server_resident_bytes Resident memory of the server.
# TYPE bluetrace_server_resident_bytes gauge
bluetrace_server_resident_bytes{run_id="r1",scenario="steady"} 9.437184e+06
# HELP bluetrace_sessions_in_flight Sessions that have begun and not ended.
# TYPE bluetrace_sessions_in_flight gauge
bluetrace_sessions_in_flight{run_id="r1",scenario="steady"} 7
# HELP bluetrace_thresholds Thresholds of the run by whether they hold: held, broken or undecided.
# TYPE bluetrace_thresholds gauge
bluetrace_thresholds{outcome="broken",run_id="r1",scenario="steady"} 2
bluetrace_thresholds{outcome="held",run_id="r1",scenario="steady"} 1
bluetrace_thresholds{outcome="undecided",run_id="r1",scenario="steady"} 3
`
	families := gathered(t, loadMeter())
	var names []string
	for _, f := range families {
		if f.GetType() != dto.MetricType_HISTOGRAM {
			names = append(names, f.GetName())
		}
	}
	if err := testutil.GatherAndCompare(loadMeter().Gatherer(), strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		name string
		sum  float64
		n    uint64
		at   map[float64]uint64 // cumulative
	}{
		{"bluetrace_operation_response_seconds", 10.00302, 3, map[float64]uint64{.00001: 0, .000025: 1, .0025: 1,
			.005: 2, .025: 2, 5: 2, 10: 3, 60: 3}},
		{"bluetrace_operation_service_seconds", 10.00202, 3, map[float64]uint64{.00001: 0, .000025: 1, .001: 1,
			.0025: 2, .05: 2, 10: 3}},
		{"bluetrace_operation_lag_seconds", 0.001, 4, map[float64]uint64{.00001: 3, .0005: 3, .001: 4, 60: 4}},
		{"bluetrace_beacon_delay_seconds", 0.0007, 1, map[float64]uint64{.0005: 0, .001: 1}},
	} {
		h := histogramNamed(t, families, c.name)
		if h.GetSampleCount() != c.n || math.Abs(h.GetSampleSum()-c.sum) > 1e-9 {
			t.Errorf("%s: %d samples, sum %g; want %d, %g", c.name, h.GetSampleCount(), h.GetSampleSum(), c.n, c.sum)
		}
		for _, b := range h.Bucket {
			if want, ok := c.at[b.GetUpperBound()]; ok && b.GetCumulativeCount() != want {
				t.Errorf("%s: le %g is %d, want %d", c.name, b.GetUpperBound(), b.GetCumulativeCount(), want)
			}
		}
	}
}

func gathered(t *testing.T, m *Meter) []*dto.MetricFamily {
	t.Helper()
	families, err := m.Gatherer().Gather()
	if err != nil || len(families) == 0 {
		t.Fatalf("%d families, %v", len(families), err)
	}
	return families
}

func histogramNamed(t *testing.T, families []*dto.MetricFamily, name string) *dto.Histogram {
	t.Helper()
	for _, f := range families {
		if f.GetName() == name {
			return f.Metric[0].Histogram
		}
	}
	t.Fatalf("no metric %s", name)
	return nil
}

func TestMeterShowsARunInVirtualTime(t *testing.T) {
	m := NewMeter("classroom", "r2")
	m.SetThresholds(0, 0, 1)
	r := passedRun(t)
	if err := m.SetResult(r); err != nil {
		t.Fatal(err)
	}
	const want = `
# HELP bluetrace_beacons_sent_total Beacons that phones sent.
# TYPE bluetrace_beacons_sent_total counter
bluetrace_beacons_sent_total{run_id="r2",scenario="classroom"} 14100
# HELP bluetrace_datagrams_lost_total UDP datagrams that the network lost.
# TYPE bluetrace_datagrams_lost_total counter
bluetrace_datagrams_lost_total{run_id="r2",scenario="classroom"} 598
# HELP bluetrace_operations_total Operations by how they ended.
# TYPE bluetrace_operations_total counter
bluetrace_operations_total{operation="tempid",outcome="ok",phase="run",run_id="r2",scenario="classroom"} 1
# HELP bluetrace_phase_active 1 while the run is in this phase, else 0.
# TYPE bluetrace_phase_active gauge
bluetrace_phase_active{phase="run",run_id="r2",scenario="classroom"} 1
# HELP bluetrace_sessions_in_flight Sessions that have begun and not ended.
# TYPE bluetrace_sessions_in_flight gauge
bluetrace_sessions_in_flight{run_id="r2",scenario="classroom"} 23
# HELP bluetrace_thresholds Thresholds of the run by whether they hold: held, broken or undecided.
# TYPE bluetrace_thresholds gauge
bluetrace_thresholds{outcome="broken",run_id="r2",scenario="classroom"} 0
bluetrace_thresholds{outcome="held",run_id="r2",scenario="classroom"} 1
bluetrace_thresholds{outcome="undecided",run_id="r2",scenario="classroom"} 0
`
	names := []string{"bluetrace_beacons_sent_total", "bluetrace_datagrams_lost_total", "bluetrace_operations_total",
		"bluetrace_phase_active", "bluetrace_sessions_in_flight", "bluetrace_thresholds"}
	if err := testutil.GatherAndCompare(m.Gatherer(), strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
	r.Beacons.Sent, r.Operations = 14101, nil
	if n := testutil.ToFloat64(only(t, m, "bluetrace_beacons_sent_total")); n != 14100 {
		t.Errorf("%g beacons: the run was not shown again", n)
	}
	families := gathered(t, m)
	for _, name := range []string{"bluetrace_operation_response_seconds", "bluetrace_operation_service_seconds"} {
		if h := histogramNamed(t, families, name); h.GetSampleCount() != 1 || len(h.Bucket) != len(classicBounds()) {
			t.Errorf("%s: %d samples in %d buckets", name, h.GetSampleCount(), len(h.Bucket))
		}
	}
	if err := m.SetResult(r); err != nil {
		t.Fatal(err)
	}
	m.SetPhase(nil)
	if n := testutil.ToFloat64(only(t, m, "bluetrace_beacons_sent_total")); n != 14101 {
		t.Errorf("%g beacons after the second Show", n)
	}
	if on := testutil.ToFloat64(only(t, m, "bluetrace_phase_active")); on != 0 {
		t.Errorf("phase_active is %g after the end", on)
	}
}

// alone is a collector of one metric of a meter.
type alone struct{ metric prometheus.Metric }

func (a alone) Describe(chan<- *prometheus.Desc)    {}
func (a alone) Collect(ch chan<- prometheus.Metric) { ch <- a.metric }

func only(t *testing.T, m *Meter, name string) prometheus.Collector {
	t.Helper()
	ch := make(chan prometheus.Metric, 1000)
	m.Collect(ch)
	close(ch)
	for metric := range ch {
		if strings.Contains(metric.Desc().String(), `"`+name+`"`) {
			return alone{metric}
		}
	}
	t.Fatalf("no metric %s", name)
	return nil
}

func TestMeterNamesFollowTheConventions(t *testing.T) {
	shown := NewMeter("classroom", "r2")
	if err := shown.SetResult(passedRun(t)); err != nil {
		t.Fatal(err)
	}
	for _, m := range []*Meter{loadMeter(), shown} {
		problems, err := testutil.GatherAndLint(m.Gatherer())
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range problems {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

func TestMeterLabelsAreAFixedFew(t *testing.T) {
	allowed := []string{"scenario", "run_id", "phase", "operation", "outcome"}
	m := NewMeter("a \"quoted\"\nname\xff", "r1")
	m.Phase("x\x1b[2J").Operation("login")
	for _, f := range slices.Concat(gathered(t, loadMeter()), gathered(t, m)) {
		for _, metric := range f.Metric {
			for _, l := range metric.Label {
				if !slices.Contains(allowed, l.GetName()) || l.GetValue() != Escape(l.GetValue()) {
					t.Errorf("%s has the label %s=%q", f.GetName(), l.GetName(), l.GetValue())
				}
			}
		}
	}
}

func TestBothFormsOfTheMeterParse(t *testing.T) {
	families := gathered(t, loadMeter())
	var b bytes.Buffer
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&b, f); err != nil {
			t.Fatal(err)
		}
	}
	parser := expfmt.NewDecoder(&b, expfmt.NewFormat(expfmt.TypeTextPlain))
	for n := 0; ; n++ {
		var f dto.MetricFamily
		if err := parser.Decode(&f); err != nil {
			if n != len(families) {
				t.Errorf("%d families of %d parsed, then %v", n, len(families), err)
			}
			break
		}
	}
	b.Reset()
	if err := OpenMetrics(&b, loadMeter().Gatherer()); err != nil || !strings.HasSuffix(b.String(), "# EOF\n") {
		t.Errorf("the OpenMetrics form ends with %q, %v", b.String()[max(0, b.Len()-20):], err)
	}
	b.Reset()
	protobuf := expfmt.NewEncoder(&b, expfmt.NewFormat(expfmt.TypeProtoDelim))
	for _, f := range families {
		if err := protobuf.Encode(f); err != nil {
			t.Fatal(err)
		}
	}
	decoder := expfmt.NewDecoder(&b, expfmt.NewFormat(expfmt.TypeProtoDelim))
	for _, want := range families {
		var got dto.MetricFamily
		if err := decoder.Decode(&got); err != nil || !proto.Equal(&got, want) {
			t.Fatalf("got %v, %v; want %v", &got, err, want)
		}
	}
}

func TestMeterIsFedFromManyGoroutines(t *testing.T) {
	m := NewMeter("steady", "r1")
	const goroutines, each = 8, 2000
	var all sync.WaitGroup
	for range goroutines {
		all.Go(func() {
			p := m.Phase("steady")
			o := p.Operation("login")
			for i := range each {
				p.Due.Add(1)
				ended(o, OutcomeOK, time.Duration(i)*time.Microsecond, 0, 0)
				m.AddInFlight(1)
				m.Beacons().Delay(time.Duration(i))
				if i%100 == 0 {
					m.SetPhase(p)
					gathered(t, m)
				}
			}
		})
	}
	all.Wait()
	families := gathered(t, m)
	h := histogramNamed(t, families, "bluetrace_operation_response_seconds")
	if h.GetSampleCount() != goroutines*each || math.Abs(h.GetSampleSum()-goroutines*each*(each-1)/2*1e-6) > 1e-6 {
		t.Errorf("%d samples, sum %g", h.GetSampleCount(), h.GetSampleSum())
	}
	if n := m.inFlight.Load(); n != goroutines*each {
		t.Errorf("%d in flight", n)
	}
}

func TestMeasuringDoesNotAllocate(t *testing.T) {
	m := loadMeter()
	p := m.Phase("steady")
	o := p.Operation("login")
	const d = 12345 * time.Nanosecond // a bucket that is used for the first time allocates
	ended(o, OutcomeUnknown, 3*d, d, 0)
	m.Beacons().Delay(d)
	if n := testing.AllocsPerRun(1000, func() {
		p.Due.Add(1)
		ended(o, OutcomeUnknown, 3*d, d, 0)
		m.AddInFlight(1)
		m.SetTarget(float64(d))
		m.Beacons().Delay(d)
	}); n != 0 {
		t.Errorf("%g allocations", n)
	}
}

func BenchmarkMeterOperation(b *testing.B) {
	m := NewMeter("steady", "r1")
	p := m.Phase("steady")
	o := p.Operation("login")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for d := time.Duration(0); pb.Next(); d = (d + 7919) % (50 * time.Millisecond) {
			p.Due.Add(1)
			p.Started.Add(1)
			m.AddInFlight(1)
			ended(o, OutcomeOK, 1000+d, d, 1000)
			m.AddInFlight(-1)
		}
	})
}

func BenchmarkMeterShow(b *testing.B) {
	r := passedRun(b)
	for i := range r.Operations {
		r.Operations[i].Histogram = hdrhistogram.New(1, int64(24*time.Hour), 3)
		for n := range int64(10_000) {
			if err := r.Operations[i].Histogram.RecordValue(n * 5000); err != nil {
				b.Fatal(err)
			}
		}
	}
	m := NewMeter("classroom", "r2")
	for b.Loop() {
		if err := m.SetResult(r); err != nil {
			b.Fatal(err)
		}
	}
}
