package reports

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// searched returns the result of a search that found a capacity.
func searched(t testing.TB) *Run {
	sure := 0.987
	s := &Search{StartRate: 100, MaxRate: 5000, Resolution: .06, Capacity: 1130, FailedRate: 1190, FailedBy: StepFailed,
		Confidence: &sure, MinConfidence: .95,
		Limits: []SearchLimit{{"response_time: p(99)<50", 50}}, ReportedStep: 5}
	for _, one := range []struct {
		rate, p50, p95, p99 float64
		answer              StepOutcome
	}{
		{100, .6, 1.2, 3.1, StepPassed}, {800, .8, 3.2, 14, StepPassed}, {1600, 350, 890, 1300, StepGeneratorLimited},
		{1130, 1.2, 9, 31, StepPassed}, {1190, 8.25, 44, 81, StepFailed}, {1130, 1.2, 9.4, 34, StepPassed},
	} {
		s.Steps = append(s.Steps, SearchStep{Rate: one.rate, Achieved: one.rate - .5, Outcome: one.answer,
			Operations: 4000, Seconds: 30, Dropped: 1, Failed: 2, Unknown: 3,
			Response: StepTimes{one.p50, one.p95, one.p99}, Service: StepTimes{one.p50 / 2, one.p95 / 2, one.p99 / 2},
			Lag: StepTimes{.1, .2, .25}})
	}
	s.Steps[2].Reasons, s.Steps[4].Reasons = []string{"its lag was high; do something"},
		[]string{"response_time: p(99)<50 (81 ms)"}
	s.Steps[5].Confirming, s.Steps[5].Confidence = true, &sure
	h := histogramOf(t, 1e6, 2e6)
	l := &Load{Executor: "search", Server: "x", Search: s, All: LoadOperation{Name: "all", OK: 4000, Response: h,
		Service: h, Lag: h}}
	for i := range 34 {
		one := LoadSecond{FromSeconds: float64(i), Seconds: 1, WarmUp: i < 4, Target: 1130, Achieved: 1130,
			Samples: 4000, P50Ms: 1.2, P99Ms: 20 + float64(i%7)}
		switch i {
		case 20:
			one.Achieved, one.P99Ms, one.P50Ms = 400, 900, 40
		case 27:
			one.Samples = 0
		}
		l.Timeline = append(l.Timeline, one)
	}
	return &Run{Scenario: "search", Verdict: Passed, World: Live, Seed: 1, Load: l, Repeat: "sim run search.yaml",
		Checks: []Check{{Kind: ThresholdCheck, Name: "search", Verdict: Passed, Found: s.Summary()}},
		Plots:  []string{"search.search.svg", "search.time.svg"}}
}

func TestTextOfASearch(t *testing.T) {
	text := textOf(t, searched(t), TextOptions{})
	head := `PASSED  search: 1 check held
  capacity      1,130 arrivals/s, confidence 98.7 %
  above it      the thresholds do not hold at 1,190/s, 5.3 % more
  confirmed by  30 s at that rate: 4,000 operations, p99 of the response time 34.00 ms, of the generator's lag 0.250 ms
  confidence    share of the step's resampled runs (block bootstrap over seconds) that keep
                every threshold on response times; at least 95 % was required
`
	if d := cmp.Diff(head, text[:min(len(text), len(head))]); d != "" {
		t.Error(d)
	}
	for _, want := range []string{`
  arrivals/s          response time, ms     service time, ms    lag
    asked achieved    p50    p95    p99    p50    p95    p99    p99  drop fail unkn  answer
      100     99.5  0.600   1.20   3.10  0.300  0.600   1.55  0.250     1    2    3  holds
`, `
    1,600    1,600    350    890   1300    175    445    650  0.250     1    2    3  generator
`, `
    1,130    1,130   1.20   9.40  34.00  0.600   4.70  17.00  0.250     1    2    3  confirmed

    at 1,600/s: its lag was high
    at 1,190/s: response_time: p(99)<50 (81 ms)

  The figures below are those of step 6, at 1,130/s.
`, "\n  plots       search.search.svg, search.time.svg\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no\n%s\nin\n%s", want, text)
		}
	}
}

// TestHeadOfASearch checks the lines below the verdict: the capacity and how far
// it is known.
func TestHeadOfASearch(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Run, *Search)
		want   []string
	}{
		{"the generator is the limit", func(r *Run, s *Search) {
			r.Verdict, s.AtLeast, s.FailedBy, r.Load.Invalid = Invalid, true, StepGeneratorLimited,
				[]string{"at 1,190/s its lag was high"}
		}, []string{"  capacity      at least 1,130 arrivals/s, confidence 98.7 %",
			"  above it      the generator is the limit, at 1,190/s: the server's capability there is unknown",
			"  the generator was the bottleneck: at 1,190/s its lag was high"}},
		{"up to the most", func(_ *Run, s *Search) { s.AtLeast, s.FailedRate, s.FailedBy = true, 0, "" },
			[]string{"  capacity      at least 1,130 arrivals/s, confidence 98.7 %",
				"  above it      no higher rate was tried: `max_rate` is 5,000/s"}},
		{"nothing", func(r *Run, s *Search) { r.Verdict, s.Capacity, s.Confidence = Failed, 0, nil },
			[]string{"  capacity      none: the thresholds do not hold even at 100 arrivals/s, the lowest rate"}},
		{"nothing for sure", func(r *Run, s *Search) {
			r.Verdict, s.Capacity, s.Confidence, s.FailedBy = Failed, 0, nil, StepUncertain
		},
			[]string{"  capacity      none: the thresholds hold at 100 arrivals/s, the lowest rate, but with too " +
				"little confidence"}},
		{"nothing, by the generator", func(r *Run, s *Search) {
			r.Verdict, s.Capacity, s.FailedBy, r.Load.Invalid = Invalid, 0, StepGeneratorLimited,
				[]string{"at 100/s its lag was high"}
		}, []string{"  capacity      not found: the generator is the limit even at 100 arrivals/s, the lowest rate",
			"  the generator was the bottleneck: at 100/s its lag was high"}},
		{"ended early", func(r *Run, s *Search) { r.Verdict, s.Capacity, s.Stopped = Interrupted, 0, "interrupted" },
			[]string{"  capacity      not found", "  ended early   interrupted"}},
		{"ended early, with a capacity", func(r *Run, s *Search) {
			r.Verdict, s.Confidence, s.Stopped = Failed, nil,
				"it died"
		},
			[]string{"  capacity      1,130 arrivals/s", "  ended early   it died"}},
		{"before its first step was over", func(r *Run, s *Search) {
			r.Verdict, s.Capacity, s.Steps, s.Stopped, s.ReportedStep = Interrupted, 0, nil, "interrupted", 0
		},
			[]string{"  capacity      not found", "  ended early   interrupted"}},
	} {
		r := searched(t)
		c.change(r, r.Load.Search)
		lines := strings.Split(textOf(t, r, TextOptions{}), "\n")
		if d := cmp.Diff(c.want, lines[1:1+len(c.want)]); d != "" {
			t.Errorf("%s:\n%s", c.name, d)
		}
	}
}

func TestJSONOfASearch(t *testing.T) {
	var b strings.Builder
	if err := JSON(&b, []*Run{searched(t)}); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Plots []string
		Load  struct {
			Timeline []map[string]any
			Search   struct {
				Capacity, Refused, Confidence float64
				RefusedBy                     string           `json:"refused_by"`
				AtLeast                       bool             `json:"at_least"`
				Steps                         []map[string]any `json:"steps"`
			}
		}
	}
	if err := json.Unmarshal([]byte(b.String()), &got); err != nil {
		t.Fatal(err)
	}
	s := got.Load.Search
	if s.Capacity != 1130 || s.Refused != 1190 || s.Confidence != .987 || s.RefusedBy != "breaks" || s.AtLeast ||
		len(got.Plots) != 2 {
		t.Errorf("%+v", got)
	}
	want := map[string]any{"rate": 1130.0, "achieved": 1129.5, "confirming": true, "seconds": 30.0, "answer": "holds",
		"confidence": .987,
		"operations": 4000.0, "dropped": 1.0, "failed": 2.0, "unknown": 3.0,
		"response_ms": map[string]any{"p50": 1.2, "p95": 9.4, "p99": 34.0}, "service_ms": map[string]any{"p50": .6,
			"p95": 4.7, "p99": 17.0},
		"lag_ms": map[string]any{"p50": .1, "p95": .2, "p99": .25}}
	if d := cmp.Diff(want, s.Steps[5]); d != "" {
		t.Error(d)
	}
	second := map[string]any{"from_seconds": 0.0, "seconds": 1.0, "warm_up": true, "target": 1130.0, "achieved": 1130.0,
		"samples": 4000.0, "p50_ms": 1.2, "p99_ms": 20.0, "service_p50_ms": 0.0, "service_p99_ms": 0.0,
		"lag_p99_ms": 0.0}
	if d := cmp.Diff(second, got.Load.Timeline[0]); d != "" {
		t.Error(d)
	}
}

func TestJUnitOfASearch(t *testing.T) {
	_, got := junitOf(t, searched(t))
	want := []JUnitProperty{{"capacity", "1130"}, {"capacity_at_least", "false"}, {"capacity_confidence", "0.987"}}
	have := got.Suites[0].Properties
	if d := cmp.Diff(want, have[len(have)-3:]); d != "" {
		t.Error(d)
	}
	r := searched(t)
	r.Verdict, r.Load.Invalid, r.Load.Search.AtLeast, r.Load.Search.Confidence = Invalid,
		[]string{"at 1,190/s its lag was high"}, true, nil
	_, got = junitOf(t, r)
	have = got.Suites[0].Properties
	if d := cmp.Diff([]JUnitProperty{{"capacity", "1130"}, {"capacity_at_least", "true"}},
		have[len(have)-2:]); d != "" || got.Errors != 1 {
		t.Errorf("%d errors, %s", got.Errors, d)
	}
}

func TestRateAndPercent(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{FormatRate(0.5), "0.5"}, {FormatRate(2), "2"}, {FormatRate(99.96), "99.96"}, {FormatRate(118.92), "118.9"},
		{FormatRate(100), "100"}, {FormatRate(1234.5), "1,235"}, {FormatRate(1000000), "1,000,000"},
		{FormatPercent(1), "over 99.9 %"}, {FormatPercent(.999), "99.9 %"}, {FormatPercent(.95), "95 %"},
		{FormatPercent(.5006), "50.1 %"}, {FormatPercent(.001), "0.1 %"}, {FormatPercent(0), "under 0.1 %"},
	} {
		if c.got != c.want {
			t.Errorf("%s, want %s", c.got, c.want)
		}
	}
}

// TestSamplesBeyondAQuantile checks the number of samples that support each quantile of 10,000.
func TestSamplesBeyondAQuantile(t *testing.T) {
	h := histogramOf(t)
	for i := range int64(10_000) {
		h.RecordValue(1e6 + i*1e4)
	}
	var got []int64
	for _, q := range QuantilesOf(h) {
		got = append(got, q.Beyond)
	}
	if want := []int64{5000, 1000, 500, 100, 10, 1}; !slices.Equal(got, want) {
		t.Errorf("samples beyond %v, want %v", got, want)
	}
}

// TestTextOfSessions: the summary counts sessions by their end, unless all are ok.
func TestTextOfSessions(t *testing.T) {
	r := searched(t)
	r.Load.Arrivals = Arrivals{Due: 10, Started: 10, OK: 10}
	if text := textOf(t, r, TextOptions{}); strings.Contains(text, "  sessions  ") {
		t.Error(text)
	}
	r.Load.Arrivals = Arrivals{Due: 11, Started: 10, Dropped: 1, OK: 1, Failed: 2, Unknown: 3, Open: 4}
	r.Load.Operations = []LoadOperation{{Name: "login", OK: 9, Failed: 3}, {Name: "logout", OK: 9}}
	r.Load.Generator = &ProcessUse{CPUShare: .5, CPUQuota: .22}
	text := textOf(t, r, TextOptions{})
	if strings.Contains(text, "    logout     0 failed") {
		t.Errorf("an operation that never failed is among those that did:\n%s", text)
	}
	for _, want := range []string{"  sessions    1 ok, 2 failed, 3 without an answer, 4 still open at the end\n",
		"    login      3 failed, 0 without an answer\n",
		"  generator   0.0 s user, 0.0 s system (50 % of the 0.22 processors of its control group), " +
			"0 MiB (at most 0)\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no line %q in\n%s", want, text)
		}
	}
}
