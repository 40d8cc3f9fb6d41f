package runpage

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"bluetrace/reports"
	"bluetrace/reports/chart"
	"bluetrace/reports/page"
	"bluetrace/reports/page/pagetest"
	"bluetrace/reports/stats"
)

// histogramOf returns a histogram of times in nanoseconds.
func histogramOf(times ...int64) *hdrhistogram.Histogram {
	h := new(stats.Histogram)
	for _, one := range times {
		h.Record(one)
	}
	return h.HDR()
}

// loaded returns a load of 12 s after a warm-up of 2 s, whose server dies after 8 s. All its texts are hostile.
func loaded(t testing.TB) *reports.Run {
	t.Helper()
	var times []int64
	for i := range int64(1200) {
		times = append(times, 1_000_000+i*10_000)
	}
	h := histogramOf(times...)
	operation := func(name string, ok, failed, unknown uint64) reports.LoadOperation {
		return reports.LoadOperation{Name: name, OK: ok, Failed: failed, Unknown: unknown, Response: h, Service: h,
			Lag:       h,
			Intervals: []reports.Interval{{Quantile: .99, LowMs: 11.25, HighMs: 13.5}}}
	}
	l := &reports.Load{Executor: hostile, Server: hostile, WarmUpSeconds: 2, Seconds: 12, Aborted: hostile,
		Arrivals: reports.Arrivals{Due: 1320, Started: 1200, Dropped: 120, InFlightMax: 9, OK: 700, Failed: 300,
			Unknown: 150, Open: 50},
		Operations: []reports.LoadOperation{operation("login", 900, 1100, 100), operation(hostile, 300, 20, 1)},
		All:        operation("all", 1200, 1120, 101),
		Beacons:    reports.LoadBeacons{Sent: 10_000, Received: 9990, Lost: 10},
		Budgets:    reports.GeneratorBudgets{LagMs: 10, CPUShare: .8},
		Generator:  &reports.ProcessUse{UserSeconds: 1.5, CPUShare: .25, ResidentBytes: 1 << 25},
		Outage:     &reports.Outage{Text: "connection refused since 8.0 s" + hostile, SinceSeconds: 8},
		Limits:     []reports.SearchLimit{{Name: "response_time: p(99)<50" + hostile, Ms: 50}},
		Expected:   []reports.ExpectedTime{{Operation: "connect", Ms: .5, WarmUp: true}},
		Conditions: &reports.Conditions{StartRate: 100, Stages: []reports.Stage{{Seconds: 6, Rate: 100}, {Seconds: 6,
			Rate: 120}},
			Machine: reports.Machine{OS: "linux", Arch: "amd64", CPU: hostile, CPUs: 2},
			Build:   reports.Build{Go: "go1", Revision: "abc" + hostile}},
	}
	for i := range 14 {
		s := reports.LoadSecond{FromSeconds: float64(i), Seconds: 1, WarmUp: i < 2, Target: 110, Achieved: 100.5,
			Samples: 100,
			P50Ms:   1.25, P99Ms: 12.5 + float64(i), ServiceP50Ms: 1.125, ServiceP99Ms: 11.5, LagP99Ms: .25}
		if i >= 8 {
			s = reports.LoadSecond{FromSeconds: float64(i), Seconds: 1, Target: 110, Achieved: 90,
				Failed: 220 + uint64(i), Unknown: 7,
				Dropped: 20, LagP99Ms: 15}
		}
		l.Timeline = append(l.Timeline, s)
		use := reports.UseSample{AtSeconds: float64(i + 1), Generator: &reports.SampledUse{CPUShare: .25,
			ResidentBytes: 1 << 25}}
		if i < 8 {
			use.Server = &reports.SampledUse{CPUShare: .5, ResidentBytes: 3 << 20}
		}
		l.Use = append(l.Use, use)
		if i < 8 {
			l.Timeline[i].Rows = stats.Rows([]stats.Bin{{Cell: stats.CellOf(int64(time.Millisecond)), Count: 99},
				{Cell: stats.CellOf(int64(20 * time.Millisecond)), Count: 1}})
		}
	}
	return &reports.Run{Scenario: "load " + hostile, File: "a:b/" + hostile + ".yaml", About: hostile,
		World: reports.Live, Seed: 42,
		Verdict: reports.Failed, Repeat: "sim run " + hostile, Phones: 400, Notes: []string{hostile}, Load: l,
		Checks: []reports.Check{
			{Kind: reports.ThresholdCheck, Name: "response_time: p(99)<50", Verdict: reports.Passed, Evaluations: 1,
				Found: "13 ms",
				Place: "a:b/x.yaml:20:5"},
			{Kind: reports.ThresholdCheck, Name: "operations_failed: count==0" + hostile, Verdict: reports.Failed,
				Evaluations: 1,
				Expected:    "count==0" + hostile, Found: "1120" + hostile},
		}}
}

// searched returns a search that found a capacity.
func searched(t testing.TB) *reports.Run {
	r := loaded(t)
	sure := 0.987
	s := &reports.Search{StartRate: 100, MaxRate: 5000, Resolution: .06, Capacity: 1130, FailedRate: 1190,
		FailedBy: reports.StepFailed, Confidence: &sure, MinConfidence: .95, Limits: r.Load.Limits, ReportedStep: 5}
	for _, one := range []struct {
		rate, p50, p95, p99 float64
		answer              reports.StepOutcome
	}{
		{100, .6, 1.2, 3.1, reports.StepPassed}, {800, .8, 3.2, 14, reports.StepPassed},
		{1600, 350, 890, 1300, reports.StepGeneratorLimited}, {1130, 1.2, 9, 31, reports.StepPassed},
		{1190, 8.25, 44, 81, reports.StepFailed}, {1130, 1.2, 9.4, 34, reports.StepPassed},
	} {
		s.Steps = append(s.Steps, reports.SearchStep{Rate: one.rate, Achieved: one.rate - .5, Outcome: one.answer,
			Operations: 4000,
			Seconds:    30, Dropped: 1, Failed: 2, Unknown: 3, Response: reports.StepTimes{P50: one.p50, P95: one.p95,
				P99: one.p99},
			Service: reports.StepTimes{P99: one.p99 / 2}, Lag: reports.StepTimes{P99: .25}, Reasons: []string{hostile}})
	}
	s.Steps[5].Confirming, s.Steps[5].Confidence = true, &sure
	r.Scenario, r.Load.Search, r.Load.Outage, r.Verdict = "search", s, nil, reports.Passed
	return r
}

func byID(t *testing.T, list []*html.Node, id string) *html.Node {
	t.Helper()
	i := slices.IndexFunc(list, func(n *html.Node) bool { return pagetest.Attribute(n, "id") == id })
	if i < 0 {
		t.Fatalf("no element %s", id)
	}
	return list[i]
}

// rowsOf returns the texts of the rows of the body of a table.
func rowsOf(table *html.Node) (rows []string) {
	for n := range table.Descendants() {
		if n.Data == "tr" && n.Parent.Data == "tbody" && pagetest.Attribute(n, "class") != "why" {
			rows = append(rows, pagetest.Content(n))
		}
	}
	return rows
}

// jsonOf returns the JSON form of a load.
func jsonOf(t *testing.T, r *reports.Run) (l map[string]any) {
	t.Helper()
	var document map[string]any
	text := written(t, func(w io.Writer) error { return reports.JSON(w, []*reports.Run{r}) })
	if err := json.Unmarshal([]byte(text), &document); err != nil {
		t.Fatal(err)
	}
	return document["load"].(map[string]any)
}

func count(v any) string {
	n, _ := v.(float64) // 0 is omitted
	return reports.FormatCount(uint64(n))
}

// TestFiguresOfALoadEqualTheJSON compares the tables and the figures at the head of the page with the JSON form.
func TestFiguresOfALoadEqualTheJSON(t *testing.T) {
	r := loaded(t)
	_, list := pageOf(t, r)
	l := jsonOf(t, r)
	var want []string
	for _, s := range l["timeline"].([]any) {
		s := s.(map[string]any)
		ms := func(name string) string { return reports.FormatMs(s[name].(float64)) }
		row := []string{chart.Number(s["from_seconds"].(float64)), chart.Number(s["seconds"].(float64)),
			reports.FormatRate(s["target"].(float64)), reports.FormatRate(s["achieved"].(float64)), count(s["failed"]),
			count(s["unknown"]), count(s["dropped"]), count(s["samples"]), ms("p50_ms"), ms("p99_ms"),
			ms("service_p50_ms"),
			ms("service_p99_ms"), ms("lag_p99_ms")}
		if s["warm_up"] == true {
			row[0] += " (warm-up)"
		}
		if s["samples"].(float64) == 0 {
			row[8], row[9], row[10], row[11] = "-", "-", "-", "-"
		}
		want = append(want, strings.Join(row, " "))
	}
	if d := cmp.Diff(want, rowsOf(byID(t, list, "seconds"))); d != "" {
		t.Error(d)
	}
	var outcomes, times []string
	for _, o := range append(slices.Clone(l["operations"].([]any)), l["all"]) {
		o := o.(map[string]any)
		ok, failed, unknown := o["ok"].(float64), o["failed"].(float64), o["unknown"].(float64)
		name := o["name"].(string)
		if name != "login" && name != "all" { // JSON has no invalid UTF-8
			name = strings.Join(strings.Fields(reports.Escape(hostile)), " ")
		}
		outcomes = append(outcomes, fmt.Sprintf("%s %s %s %s %s", name, count(ok+failed+unknown), count(ok),
			count(failed),
			count(unknown)))
		response := o["response"].(map[string]any)
		row := count(response["count"])
		for _, q := range response["quantiles"].([]any) {
			q := q.(map[string]any)
			if q["samples_beyond"].(float64) < 1 {
				row += " -"
			} else {
				row += " " + reports.FormatMs(q["ms"].(float64))
			}
		}
		i := response["intervals"].([]any)[0].(map[string]any)
		times = append(times, fmt.Sprintf("%s p99: %s to %s %s %s", name, reports.FormatMs(i["low_ms"].(float64)),
			reports.FormatMs(i["high_ms"].(float64)), row, reports.FormatMs(response["max_ms"].(float64))))
	}
	if d := cmp.Diff(outcomes, rowsOf(byID(t, list, "outcomes"))); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(times, rowsOf(withClass(list, "times")[0])); d != "" {
		t.Error(d)
	}
	tiles := pagetest.Content(withClass(list, "tiles")[0])
	all, arrivals := l["all"].(map[string]any), l["arrivals"].(map[string]any)
	p99 := all["response"].(map[string]any)["quantiles"].([]any)[3].(map[string]any)["ms"].(float64)
	for _, want := range []string{"arrivals 100/s asked for 110/s", "response p99 " + reports.FormatMs(p99) + " ms",
		"failed " + count(all["failed"]) + " of 2,421 operations", "no answer " + count(all["unknown"]),
		"dropped " + count(arrivals["dropped"]) + " of " + count(arrivals["due"]) + " arrivals"} {
		if !strings.Contains(tiles, want) {
			t.Errorf("no %q in %s", want, tiles)
		}
	}
}

// TestStepsEqualTheJSON compares the table of a search with the JSON form.
func TestStepsEqualTheJSON(t *testing.T) {
	r := searched(t)
	_, list := pageOf(t, r)
	steps := jsonOf(t, r)["search"].(map[string]any)["steps"].([]any)
	rows := rowsOf(withClass(list, "steps")[0])
	for i, s := range steps {
		s := s.(map[string]any)
		ms := func(name, quantile string) string {
			return reports.FormatMs(s[name].(map[string]any)[quantile].(float64))
		}
		want := strings.Join([]string{fmt.Sprint(i + 1), reports.FormatRate(s["rate"].(float64)),
			reports.FormatRate(s["achieved"].(float64)), ms("response_ms", "p50"), ms("response_ms", "p95"),
			ms("response_ms", "p99"), ms("service_ms", "p99"), ms("lag_ms", "p99"), count(s["dropped"]),
			count(s["failed"]),
			count(s["unknown"])}, " ")
		if !strings.HasPrefix(rows[i], want+" ") || !strings.Contains(rows[i], s["answer"].(string)) {
			t.Errorf("step %d is %q, want %q", i+1, rows[i], want)
		}
	}
	if tiles := pagetest.Content(withClass(list, "tiles")[0]); !strings.HasPrefix(tiles,
		"capacity 1,130/s confidence 98.7 %") {
		t.Errorf("the page begins %q", tiles)
	}
}

// TestADeadServerIsSeen checks the sentence, the columns and the band of an outage.
func TestADeadServerIsSeen(t *testing.T) {
	r := loaded(t)
	_, list := pageOf(t, r)
	problem := pagetest.Content(withClass(list, "problem")[0])
	if !strings.HasPrefix(problem,
		"The server accepted no more connections, to the end of the load: connection refused since 8.0 s") {
		t.Errorf("the page begins %q", problem)
	}
	r.Checks = append(r.Checks, reports.Check{Name: reports.ServerLasts, Verdict: reports.Failed,
		Found: "the server ended badly: signal: killed"})
	if _, list := pageOf(t, r); !strings.HasSuffix(pagetest.Content(withClass(list, "problem")[0]),
		"; the server ended badly: signal: killed.") {
		t.Errorf("the page begins %q", pagetest.Content(withClass(list, "problem")[0]))
	}
	if got := pagetest.Content(byID(t, list, "course")); !strings.Contains(got,
		"in 6 of 14 seconds, the first time from 8 s on") {
		t.Errorf("the course is %q", got)
	}
	c := courseOf(r)
	failures := c.failures()
	if n := len(failures.Blocks[0].List); n != 6 || failures.Blocks[0].List[0] != (chart.Block{From: 8, To: 9,
		High: 228}) {
		t.Errorf("%d columns of failures, %+v", n, failures.Blocks[0].List)
	}
	if b := failures.Blocks[2].List[0]; b != (chart.Block{From: 8, To: 9, Low: 235, High: 255}) {
		t.Errorf("dropped arrivals are %+v, want them above the other columns", b)
	}
	if b := failures.Bands[1]; b.From != 8 || b.To != 14 {
		t.Errorf("the outage is a band from %g to %g", b.From, b.To)
	}
	if s := c.uses()[1].Series[0]; len(s.Points) != 14 || s.Points[7].Y != 3 || s.Points[8].Y == s.Points[8].Y {
		t.Errorf("the memory of the server is %v, want 3 MiB and then a gap", s.Points)
	}
	r.Load.Timeline = r.Load.Timeline[:8]
	if courseOf(r).failures() != nil {
		t.Error("a load without failures shows them")
	}
}

// TestMarksOfALoadAreAtTheirValues checks the thresholds, the budgets, the stages and the hints of the charts.
func TestMarksOfALoadAreAtTheirValues(t *testing.T) {
	c := courseOf(loaded(t))
	rules := func(one *chart.Chart) string {
		var all []string
		for _, r := range one.Rules {
			name, _, _ := strings.Cut(r.Name+r.Label, "<50")
			all = append(all, fmt.Sprintf("%s at %g", name, r.At))
		}
		return strings.Join(all, ", ")
	}
	for _, one := range []struct{ what, got, want string }{
		{"response times", rules(c.responses()), "next stage at 8, p(99) at 50"},
		{"service times", rules(c.services()), "next stage at 8, budget of the lag at 10"},
		{"processor time", rules(c.uses()[0]), "next stage at 8, budget of the generator at 80"},
	} {
		if one.got != one.want {
			t.Errorf("the chart of the %s has %s, want %s", one.what, one.got, one.want)
		}
	}
	want := chart.Hint{From: 8, To: 9, Text: "8 to 9 s\nfailed 228\nwithout an answer 7\ndropped 20"}
	if got := c.failures().Hints[8]; got != want {
		t.Errorf("the hint is %+v, want %+v", got, want)
	}
}

// TestFailedChecksOfALoadAreFirst checks the order of the table.
func TestFailedChecksOfALoadAreFirst(t *testing.T) {
	_, list := pageOf(t, loaded(t))
	if rows := pagetest.Content(byID(t, list, "checks")); strings.Index(rows, "operations_failed") >
		strings.Index(rows, "response_time") {
		t.Errorf("a check that held is before the failed one: %s", rows)
	}
}

// TestTheFirstProblemOfALoad: an outage, else a bottleneck, else the threshold that ended the load, else a failed check.
func TestTheFirstProblemOfALoad(t *testing.T) {
	r := loaded(t)
	late := reports.Check{Kind: reports.ThresholdCheck, Name: "late: count==0", Verdict: reports.Failed, Found: "1"}
	r.Checks[1].Name, r.Checks[1].Expected, r.Checks[1].Found = "early: count==0", "", "2"
	r.Checks, r.Load.Aborted, r.Load.Invalid = append(r.Checks, late), late.Name, []string{"it was late"}
	for _, c := range []struct {
		want string
		next func()
	}{
		{"The server accepted no more connections", func() { r.Load.Outage = nil }},
		{"The generator was the bottleneck: it was late.", func() { r.Load.Invalid = nil }},
		{"First failure: late: count==0; found 1", func() { r.Load.Aborted = "" }},
		{"First failure: early: count==0; found 2", func() { r.Checks = r.Checks[:1] }},
		{"", func() {}},
	} {
		if got := problem(r); !strings.HasPrefix(got, c.want) || c.want == "" && got != "" {
			t.Errorf("the problem is %q, want %q", got, c.want)
		}
		c.next()
	}
}

// TestALoadInProgressHasAPage writes the pages of loads whose end is not known.
func TestALoadInProgressHasAPage(t *testing.T) {
	r := loaded(t)
	r.Verdict, r.Checks, r.Load.Outage = "", nil, nil
	r.Load.All, r.Load.Operations, r.Load.Use = reports.LoadOperation{Name: "all", OK: 5}, nil, r.Load.Use[:1]
	r.Load.Timeline = r.Load.Timeline[:1]
	_, list := pageOf(t, r)
	if got := pagetest.Content(withClass(list, "heading")[0]); !strings.HasSuffix(got, "~ running") {
		t.Errorf("the heading is %q", got)
	}
	if len(withClass(list, "problem")) > 0 {
		t.Error("a load in progress has failed")
	}
	search := &reports.Run{Load: &reports.Load{Search: &reports.Search{}}}
	pageOf(t, search)
}

// TestPagesOfLongLoadsAreSmall checks that a load of a day has a page of bounded size, and that a part has the highest
// quantile and all counts of its seconds.
func TestPagesOfLongLoadsAreSmall(t *testing.T) {
	r := loaded(t)
	r.Load.Timeline, r.Load.Use = nil, nil
	for i := range 86_400 {
		s := reports.LoadSecond{FromSeconds: float64(i), Seconds: 1, WarmUp: i < 2, Target: 10, Achieved: 10,
			Samples: 9, P50Ms: 1,
			P99Ms: 2, Failed: 1}
		if i == 50_000 {
			s.P99Ms = 900
		}
		r.Load.Timeline = append(r.Load.Timeline, s)
		r.Load.Use = append(r.Load.Use, reports.UseSample{AtSeconds: float64(i),
			Generator: &reports.SampledUse{CPUShare: .5}})
	}
	text, list := pageOf(t, r)
	if len(text) > 400_000 {
		t.Errorf("the page has %d bytes", len(text))
	}
	rows := rowsOf(byID(t, list, "seconds"))
	if len(rows) > maxParts+1 || !slices.ContainsFunc(rows, func(row string) bool {
		return strings.Contains(row, " 360 10 10 360 0 0 3,240 1.00 900 ")
	}) {
		t.Errorf("%d rows: %q", len(rows), rows[:3])
	}
}

func TestHeatmapHasAllSamples(t *testing.T) {
	l := loaded(t).Load
	heat, most := courseOf(&reports.Run{Load: l}).heat()
	if most != 99 || len(heat) != 14 || len(heat[2]) != 2 || len(heat[8]) != 0 {
		t.Fatalf("most %d, %v", most, heat)
	}
	for row, want := range map[int]uint64{48: 99, 58: 1} { // 1 ms, and 20 ms
		if heat[2][row] != want {
			t.Errorf("row %d from %g ms has %d samples, want %d", row, rowMs(row), heat[2][row], want)
		}
	}
	for len(l.Timeline) < 2*maxParts {
		l.Timeline = append(l.Timeline, l.Timeline[2])
	}
	heat, most = courseOf(&reports.Run{Load: l}).heat()
	if most != 198 || heat[100][48] != 198 {
		t.Errorf("two seconds together have %d of %d samples in a row, want 198", heat[100][48], most)
	}
}

// TestALoadWithoutSecondsHasNoGoodSecond: that no second was bad is told only if there was one.
func TestALoadWithoutSecondsHasNoGoodSecond(t *testing.T) {
	l := &reports.Load{}
	if got, want := failing(l), "No second of the load was recorded."; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	l.Timeline = []reports.LoadSecond{{Seconds: 1}}
	if got := failing(l); !strings.HasPrefix(got, "In no second did an operation fail") {
		t.Errorf("%q", got)
	}
}

// TestTheTileOfTheLagIsTheOneThatDecides: where the lag of all operations is within the budget, that of the worst one.
func TestTheTileOfTheLagIsTheOneThatDecides(t *testing.T) {
	lags := func(late, of int) *hdrhistogram.Histogram {
		times := make([]int64, of)
		for i := range times {
			if times[i] = 1_000_000; i < late {
				times[i] = 66_500_000
			}
		}
		return histogramOf(times...)
	}
	for _, c := range []struct {
		name        string
		all, one    *hdrhistogram.Histogram
		value, note string
		tone        page.Tone
		mix         bool
	}{
		{"one is late", lags(2, 1000), lags(2, 100), "66.52 ms", "p99 of connect, budget 10 ms", page.Bad, false},
		{"all are late", lags(20, 1000), histogramOf(slices.Repeat([]int64{90_000_000}, 100)...),
			"66.52 ms", "p99, budget 10 ms", page.Bad, false},
		{"too few to count", lags(2, 1000), lags(2, 99), "1.00 ms", "p99, budget 10 ms", "", false},
		{"none is late", lags(0, 1000), lags(0, 100), "1.00 ms", "p99, budget 10 ms", "", false},
		{"no sessions", lags(2, 1000), lags(2, 100), "1.00 ms", "p99, budget 10 ms", "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := &reports.Load{All: reports.LoadOperation{Lag: c.all}, Budgets: reports.GeneratorBudgets{LagMs: 10},
				Operations: []reports.LoadOperation{{Name: "login"}, {Name: "connect", Lag: c.one}}, Sessions: !c.mix}
			list := tiles(l)
			if got, want := list[len(list)-1], (tile{"generator lag", c.value, c.note, c.tone}); got != want {
				t.Errorf("%+v, want %+v", got, want)
			}
		})
	}
}

// TestAnInvalidLoadNamesItsReason: its failed checks do not make it invalid.
func TestAnInvalidLoadNamesItsReason(t *testing.T) {
	r := loaded(t)
	r.Verdict, r.Load.Invalid = reports.Invalid, []string{"it was late"}
	text, _ := pageOf(t, r)
	if want := "invalid: the generator was the bottleneck; 1 of 2 checks failed"; !strings.Contains(text, want) {
		t.Errorf("the page lacks %q", want)
	}
}

// TestAFailedThresholdStandsOut: its label and its line in the chart of the response times.
func TestAFailedThresholdStandsOut(t *testing.T) {
	r := loaded(t)
	r.Load.Limits = []reports.SearchLimit{{Name: "response_time: p(99)<50", Ms: 50},
		{Name: "login.response_time: p(95)<9", Ms: 9}}
	r.Checks[0].Name, r.Checks[0].Verdict = r.Load.Limits[1].Name, reports.Failed
	var got []string
	for _, rule := range courseOf(r).responses().Rules[1:] {
		got = append(got, fmt.Sprint(rule.Label, ", ", rule.Color, " ", rule.Dash))
	}
	if want := []string{"p(99)<50, purple dashed", "✗ login p(95)<9 failed, red "}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
