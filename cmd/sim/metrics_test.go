package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"bluetrace/reports"
	"bluetrace/reports/counts"
	"bluetrace/scenarios"
	"bluetrace/sim"
)

func TestMetricsFlags(t *testing.T) {
	for _, c := range []struct{ arguments, want string }{
		{"--metrics=", "--metrics needs a value"},
		{"--metrics here", `invalid --metrics "here": must be HOST:PORT or a port`},
		{"--metrics 65536", `invalid --metrics "65536": must be HOST:PORT or a port`},
		{"--metrics 127.0.0.1:http", `invalid --metrics "127.0.0.1:http": the port "http" must be 0 to 65535`},
		{"--linger 5s", "--linger needs --metrics"},
		{"--metrics 0 --linger 0s", "invalid --linger 0s: must be above 0 and at most 1m0s"},
		{"--metrics 0 --linger 61s", "invalid --linger 1m1s: must be above 0 and at most 1m0s"},
	} {
		t.Run(c.arguments, func(t *testing.T) {
			b := newBench()
			got := b.command(t.Context(), append(strings.Fields("run "+c.arguments), "held.yaml"))
			if want := "sim: run: " + c.want + "\nhint: sim run --help lists the flags\n"; got != statusInvalid ||
				b.err.String() != want {
				t.Errorf("%s: status %d, %q; want 104, %q", c.arguments, got, b.err.String(), want)
			}
		})
	}
	for text, want := range map[string]string{"9464": "127.0.0.1:9464", ":9464": "127.0.0.1:9464",
		"0.0.0.0:1": "0.0.0.0:1", "[::1]:0": "[::1]:0", "box:80": "box:80"} {
		var f runFlags
		_, err := parseAndCheck(&f, []string{"--metrics", text, "x.yaml"})
		if err != nil || f.metrics.address != want {
			t.Errorf("--metrics %s is %q, %v; want %q", text, f.metrics.address, err, want)
		}
	}
}

func TestPortInUseMakesTheRunImpossible(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	b := newBench()
	got := b.command(t.Context(), []string{"run", "--metrics", l.Addr().String(), "held.yaml"})
	want := regexp.MustCompile(`^sim: serving metrics at "127\.0\.0\.1:\d+": .*address already in use\nhint: name a ` +
		`free port with --metrics, or 0 for any\n$`)
	if got != statusError || len(b.ran) != 0 || !want.MatchString(b.err.String()) {
		t.Errorf("status %d, ran %q, %q", got, b.ran, b.err.String())
	}
}

var servedAt = regexp.MustCompile(`(?m)^metrics at (http://\S+)$`)

// scrape reads the metrics that b serves.
func (b *bench) scrape(t *testing.T, accept string) (body []byte, contentType string) {
	t.Helper()
	at := servedAt.FindStringSubmatch(b.err.String())
	if at == nil {
		t.Fatalf("no address in %q", b.err.String())
	}
	return get(t, at[1], accept)
}

func get(t *testing.T, url, accept string) (body []byte, contentType string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", accept)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err = io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("status %d, %v: %s", response.StatusCode, err, body)
	}
	return body, response.Header.Get("Content-Type")
}

func TestMetricsAreServedWhileARunLasts(t *testing.T) {
	b := newBench()
	engine := b.program.engine
	b.program.engine = func(ctx context.Context, s *scenarios.Scenario, o sim.Options) (*sim.Result, error) {
		r := &reports.Run{Scenario: s.Name, Counts: counts.Counts{Beacons: counts.Beacons{Sent: 41}}}
		o.Progress(sim.Progress{Run: func() *reports.Run { return r }})
		body, _ := b.scrape(t, "")
		for _, want := range []string{
			`bluetrace_beacons_sent_total{run_id="19700101T000000Z-1",scenario="held"} 41`,
			`bluetrace_thresholds{outcome="undecided",run_id="19700101T000000Z-1",scenario="held"} 0`,
			`bluetrace_phase_active{phase="run",run_id="19700101T000000Z-1",scenario="held"} 1`,
			"process_resident_memory_bytes ",
		} {
			if !bytes.Contains(body, []byte("\n"+want)) {
				t.Errorf("no %q in\n%s", want, body)
			}
		}
		return engine(ctx, s, o)
	}
	if got := b.command(t.Context(), strings.Fields("run --metrics 0 held.yaml")); got != statusPassed {
		t.Fatalf("status %d: %s", got, b.err.String())
	}
	url := servedAt.FindStringSubmatch(b.err.String())[1]
	if c, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/metrics")); err == nil {
		_ = c.Close()
		t.Error("the metrics are served after the end")
	}
}

func TestALoadRunFeedsItsMeterItself(t *testing.T) {
	b := newBench()
	ran := 0
	b.program.engine = func(_ context.Context, s *scenarios.Scenario, o sim.Options) (*sim.Result, error) {
		ran++
		p := o.Meter.Phase("steady")
		o.Meter.SetPhase(p)
		p.Operation("login").Ended(reports.OutcomeOK)
		o.Progress(sim.Progress{})
		if ran < 2 {
			return &sim.Result{Run: reports.Run{Scenario: s.Name, Verdict: reports.Passed, Checks: []reports.Check{
				{Kind: reports.ThresholdCheck, Verdict: reports.Passed},
				{Kind: reports.ThresholdCheck, Verdict: reports.Passed},
				{Kind: reports.ExpectationCheck, Verdict: reports.Failed}}}}, nil
		}
		want := strings.ReplaceAll(`
# HELP bluetrace_operations_total Operations by how they ended.
# TYPE bluetrace_operations_total counter
bluetrace_operations_total{operation="login",outcome="failed",phase="steady",run_id="T-1",scenario="first"} 0
bluetrace_operations_total{operation="login",outcome="failed",phase="steady",run_id="T-2",scenario="second"} 0
bluetrace_operations_total{operation="login",outcome="ok",phase="steady",run_id="T-1",scenario="first"} 1
bluetrace_operations_total{operation="login",outcome="ok",phase="steady",run_id="T-2",scenario="second"} 1
bluetrace_operations_total{operation="login",outcome="unknown",phase="steady",run_id="T-1",scenario="first"} 0
bluetrace_operations_total{operation="login",outcome="unknown",phase="steady",run_id="T-2",scenario="second"} 0
# HELP bluetrace_phase_active 1 while the run is in this phase, else 0.
# TYPE bluetrace_phase_active gauge
bluetrace_phase_active{phase="steady",run_id="T-1",scenario="first"} 0
bluetrace_phase_active{phase="steady",run_id="T-2",scenario="second"} 1
# HELP bluetrace_thresholds Thresholds of the run by whether they hold: held, broken or undecided.
# TYPE bluetrace_thresholds gauge
bluetrace_thresholds{outcome="broken",run_id="T-1",scenario="first"} 0
bluetrace_thresholds{outcome="broken",run_id="T-2",scenario="second"} 0
bluetrace_thresholds{outcome="held",run_id="T-1",scenario="first"} 2
bluetrace_thresholds{outcome="held",run_id="T-2",scenario="second"} 0
bluetrace_thresholds{outcome="undecided",run_id="T-1",scenario="first"} 0
bluetrace_thresholds{outcome="undecided",run_id="T-2",scenario="second"} 0
`, `"T-`, `"19700101T000000Z-`)
		at := servedAt.FindStringSubmatch(b.err.String())[1]
		if err := testutil.ScrapeAndCompare(at, strings.NewReader(want), "bluetrace_operations_total",
			"bluetrace_phase_active", "bluetrace_thresholds"); err != nil {
			t.Error(err)
		}
		return &sim.Result{Run: reports.Run{Scenario: s.Name, Verdict: reports.Passed}}, nil
	}
	if got := b.command(t.Context(), strings.Fields("run --metrics 0 first.yaml second.yaml")); got != statusPassed ||
		ran != 2 {
		t.Fatalf("status %d after %d runs: %s", got, ran, b.err.String())
	}
}

func TestServedFormsParse(t *testing.T) {
	m := reports.NewMeter("steady", "r1")
	m.Phase("steady").Operation("login").Took(time.Millisecond, 0)
	e, err := newExporter("127.0.0.1:0", newPages(nil))
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	e.add(m.Gatherer())
	const openMetrics, protobuf = "application/openmetrics-text;version=1.0.0",
		"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
	for _, accept := range []string{"", protobuf} {
		body, contentType := get(t, "http://"+e.Address().String()+"/metrics", accept)
		families := map[string]*dto.MetricFamily{}
		for d := expfmt.NewDecoder(bytes.NewReader(body), expfmt.NewFormat(formOf(accept))); ; {
			f := &dto.MetricFamily{}
			if err := d.Decode(f); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", contentType, err)
			}
			families[f.GetName()] = f
		}
		h := families["bluetrace_operation_response_seconds"].GetMetric()[0].GetHistogram()
		if native := len(h.GetPositiveSpan()) > 0; h.GetSampleCount() != 1 || len(h.GetBucket()) < 20 ||
			native != (accept == protobuf) {
			t.Errorf("%s: %v", contentType, h)
		}
	}
	if body, contentType := get(t, "http://"+e.Address().String()+"/metrics", openMetrics); !bytes.HasSuffix(body,
		[]byte("\n# EOF\n")) || !strings.HasPrefix(contentType, "application/openmetrics-text") {
		t.Errorf("%s: ends with %q", contentType, body[max(0, len(body)-20):])
	}
}

func formOf(accept string) expfmt.FormatType {
	if accept == "" {
		return expfmt.TypeTextPlain
	}
	return expfmt.TypeProtoDelim
}

func TestLingerEndsWithTheNextScrape(t *testing.T) {
	b := newBench()
	asked := make(chan time.Duration, 1)
	never := make(chan time.Time)
	b.after = func(d time.Duration) <-chan time.Time { asked <- d; return never }
	b.stderr = io.MultiWriter(&b.err, whenItSays("served until", func() {
		at := servedAt.FindStringSubmatch(b.err.String())[1]
		go func() {
			for range 1000 { // the first may be read just before the end
				response, err := http.Get(at)
				if err != nil {
					return
				}
				_, _ = io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
			}
		}()
	}))
	if got := b.command(t.Context(), strings.Fields("run --metrics 0 --linger 30s held.yaml")); got != statusPassed {
		t.Fatalf("status %d: %s", got, b.err.String())
	}
	if d := <-asked; d != 30*time.Second {
		t.Errorf("it would have lingered %v", d)
	}
}

// whenItSays is a writer that calls f once, when a text is written.
func whenItSays(text string, f func()) io.Writer { return &listener{text, f} }

type listener struct {
	text string
	f    func()
}

func (l *listener) Write(p []byte) (int, error) {
	if l.f != nil && bytes.Contains(p, []byte(l.text)) {
		l.f()
		l.f = nil
	}
	return len(p), nil
}

func TestLingerEndsWithoutAScrape(t *testing.T) {
	over := make(chan time.Time)
	close(over)
	b := newBench()
	b.after = func(time.Duration) <-chan time.Time { return over }
	got := b.command(t.Context(), strings.Fields("run --quiet --metrics 0 --linger 1m held.yaml"))
	if got != statusPassed {
		t.Fatalf("status %d: %s", got, b.err.String())
	}
	if n := strings.Count(b.err.String(), "\n"); n != 1 {
		t.Errorf("standard error is %q", b.err.String())
	}
	ctx, cancel := context.WithCancel(t.Context())
	b = newBench()
	b.after = func(time.Duration) <-chan time.Time { cancel(); return nil }
	if got := b.command(ctx, strings.Fields("run --metrics 0 --linger 1m held.yaml")); got != statusPassed {
		t.Fatalf("status %d: %s", got, b.err.String())
	}
}

// TestARunInVirtualTimeIsFollowed scrapes a real run during its progress.
func TestARunInVirtualTimeIsFollowed(t *testing.T) {
	b := newBench()
	b.program.load, b.program.engine = scenarios.Load, sim.Run
	var clock time.Time
	b.now = func() time.Time { clock = clock.Add(updateEvery); return clock }
	looks, last := 0, 0.0
	b.program.engine = func(ctx context.Context, s *scenarios.Scenario, o sim.Options) (*sim.Result, error) {
		show := o.Progress
		o.Progress = func(at sim.Progress) {
			show(at)
			now := beaconsSent(t, o.Meter.Gatherer())
			if now < last {
				t.Errorf("%g beacons after %g", now, last)
			}
			looks, last = looks+1, now
		}
		result, err := sim.Run(ctx, s, o)
		if err == nil && last >= float64(result.Run.Beacons.Sent) {
			t.Errorf("%g beacons of %d before the end", last, result.Run.Beacons.Sent)
		}
		return result, err
	}
	got := b.command(t.Context(), strings.Fields("run --quiet --metrics 0 ../../scenarios/classroom.yaml"))
	if got != statusPassed {
		t.Fatalf("status %d: %s", got, b.err.String())
	}
	if looks < 3 || last == 0 {
		t.Errorf("%d looks, %g beacons at the last", looks, last)
	}
}

func beaconsSent(t *testing.T, g prometheus.Gatherer) float64 {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "bluetrace_beacons_sent_total" {
			return f.Metric[0].GetCounter().GetValue()
		}
	}
	t.Fatal("no bluetrace_beacons_sent_total")
	return 0
}
