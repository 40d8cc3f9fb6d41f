package compare

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bluetrace/reports"
	"bluetrace/reports/counts"
)

// TestMergingIsExact checks that the quantiles of three runs together are those of
// all samples, not an average of the quantiles.
func TestMergingIsExact(t *testing.T) {
	draws := rand.New(rand.NewPCG(1, 2))
	d := drawing{runs: 3, seconds: 9, each: 100, factor: 1, perRun: 0.5}
	var results []*Result
	var all []float64
	for _, seconds := range d.sample(draws) {
		var texts []string
		for _, samples := range seconds {
			texts = append(texts, encodeSecond(t, samples))
			for v, n := range samples {
				for range n {
					all = append(all, float64(v)/1e6)
				}
			}
		}
		results = append(results, result(texts))
	}
	slices.Sort(all)
	for _, r := range compareDrawn(t, results, results).Loads[0].Rows {
		truth := all[int(math.Ceil(r.figure.quantile*float64(len(all))))-1]
		if r.AMs < truth*0.992 || r.AMs > truth*1.008 || r.AMs != r.BMs || r.Change != 0 {
			t.Errorf("%s is %g and %g, want %g within 0.8 %%", r.Figure, r.AMs, r.BMs, truth)
		}
		if r.Test != nil && (r.Verdict != NotShown || r.Test.P != 1) {
			t.Errorf("%s against itself: %s, p %g", r.Figure, r.Verdict, r.Test.P)
		}
	}
}

func TestBudgetsOfALoad(t *testing.T) {
	draws := rand.New(rand.NewPCG(9, 9))
	base := drawing{runs: 5, seconds: 10, each: 100, factor: 1, perRun: 0.005}
	slower := base
	slower.factor = 1.2
	a, b := base.draw(t, draws), slower.draw(t, draws)
	for i := range a {
		a[i].Load.All, b[i].Load.All = reports.LoadOperation{OK: 960, Failed: 30, Unknown: 10},
			reports.LoadOperation{OK: 960, Failed: 30, Unknown: 10}
		a[i].Load.Beacons, b[i].Load.Beacons = reports.LoadBeacons{Sent: 1000, Lost: 60},
			reports.LoadBeacons{Sent: 1000, Lost: 70}
	}
	shift := 100 * compareDrawn(t, a, b).Loads[0].Rows[0].Change
	for _, c := range []struct {
		budget string
		want   Verdict
	}{
		{"response_time:p50=+10%", Exceeded},
		{fmt.Sprintf("response_time:p50=%+.2f%%", shift-0.1), NotShown},
		{"response_time:p50=+40%", Held},
		{"login.response_time:med=+0.1ms", Exceeded},
		{"login.response_time:avg=+500us", Held},
		{"login.response_time: p(95) = +5%", Exceeded},
		{"response_time:p50=-10%", Held},
		{"response_time:p50=-0%", Held},
		{"beacons_lost:rate=+0.005", Exceeded},
		{"beacons_lost:rate=+0.01", Held},
		{"beacons_lost:rate=-0", Held},
		{"beacons_lost:rate=+16%", Exceeded},
		{"operations_unknown:rate=+10%", Held},
	} {
		got := compareDrawn(t, a, b, c.budget)
		if v := got.Loads[0].Budgets[0].Verdict; v != c.want || (got.Verdict == Exceeded) != (c.want == Exceeded) {
			t.Errorf("%s: %s, and in all %s; want %s (%+v)", c.budget, v, got.Verdict, c.want, got.Loads[0].Budgets[0])
		}
	}
	for budget, want := range map[string]Verdict{
		"response_time:p50=-10%": Exceeded, "response_time:p50=-40%": Held, "response_time:p50=+0%": Held,
		fmt.Sprintf("response_time:p50=%+.2f%%", 100*(1/(1+shift/100)-1)+0.1): NotShown,
		"response_time:med=-0ms": Exceeded,
	} {
		if v := compareDrawn(t, b, a, budget).Loads[0].Budgets[0].Verdict; v != want {
			t.Errorf("from the slower to the faster, %s: %s, want %s", budget, v, want)
		}
	}
	got := compareDrawn(t, a, b, "response_time:p50=+10%")
	if r := got.Loads[0].Rows[0]; r.Verdict != Exceeded || r.Figure != "p50" {
		t.Errorf("the row of the budget: %+v", r)
	}
}

// TestUnsuccessfulOperations checks that a rate of unsuccessful operations or arrivals exceeds a budget if it was 0 or
// more than doubled, unless a budget of the user is on it, and that each side has a warning.
func TestUnsuccessfulOperations(t *testing.T) {
	draws := rand.New(rand.NewPCG(9, 9))
	d := drawing{runs: 3, seconds: 9, each: 40, factor: 1}
	a, b := d.draw(t, draws), d.draw(t, draws)
	for i := range a {
		a[i].Load.All, b[i].Load.All = reports.LoadOperation{OK: 1000}, reports.LoadOperation{OK: 1000}
		a[i].Load.Arrivals, b[i].Load.Arrivals = reports.Arrivals{Due: 500}, reports.Arrivals{Due: 500}
	}
	if c := compareDrawn(t, a, b); c.Verdict != Held || len(c.Loads[0].Budgets) > 0 || len(c.Loads[0].Warnings) > 0 {
		t.Errorf("all succeeded: %+v", c.Loads[0])
	}
	for _, c := range []struct {
		change         func(*reports.Load)
		metric, notice string
	}{
		{func(l *reports.Load) { l.All.Unknown = 1 }, "operations_unknown",
			"drawn.json: of 1,001 operations, 0 failed and 1 had no answer"},
		{func(l *reports.Load) { l.All.Failed = 1 }, "operations_failed",
			"drawn.json: of 1,001 operations, 1 failed and 0 had no answer"},
		{func(l *reports.Load) { l.Arrivals.Dropped = 1 }, "arrivals_dropped", ""},
	} {
		changed := *b[1]
		load := *b[1].Load
		changed.Load = &load
		c.change(&load)
		worse := []*Result{b[0], &changed, b[2]}
		got := compareDrawn(t, a, worse)
		want := []string{c.metric + ":rate=+0 (default)"}
		var budgets []string
		for _, r := range got.Loads[0].Budgets {
			budgets = append(budgets, r.Budget)
		}
		if got.Verdict != Exceeded || !slices.Equal(budgets, want) ||
			!strings.HasPrefix(strings.Join(got.Loads[0].Warnings, "\n"), c.notice) {
			t.Errorf("%s: %s, budgets %q, warnings %q", c.metric, got.Verdict, budgets, got.Loads[0].Warnings)
		}
		if got := compareDrawn(t, a, worse, c.metric+":rate=-0.1"); got.Verdict != Exceeded {
			t.Errorf("a limit of the fall of %s, and yet: %+v", c.metric, got.Loads[0].Budgets)
		}
		if got := compareDrawn(t, a, worse, c.metric+":rate=+0.001"); got.Verdict != Held {
			t.Errorf("%s is allowed, and yet: %+v", c.metric, got.Loads[0].Budgets)
		}
		twice := *worse[1]
		load2 := load
		twice.Load = &load2
		load2.All.Failed, load2.All.Unknown, load2.Arrivals.Dropped = 2*load.All.Failed, 2*load.All.Unknown,
			2*load.Arrivals.Dropped
		if got := compareDrawn(t, worse, []*Result{b[0], &twice, b[2]}); got.Verdict != Held {
			t.Errorf("%s doubled, and yet: %+v", c.metric, got.Loads[0].Budgets)
		}
		load2.All.Failed, load2.All.Unknown, load2.Arrivals.Dropped = 3*load.All.Failed, 3*load.All.Unknown,
			3*load.Arrivals.Dropped
		if got := compareDrawn(t, worse, []*Result{b[0], &twice, b[2]}); got.Verdict != Exceeded ||
			got.Loads[0].Budgets[0].Budget != c.metric+":rate=+100% (default)" {
			t.Errorf("%s tripled, and yet: %+v", c.metric, got.Loads[0].Budgets)
		}
		got = compareDrawn(t, worse, b)
		if got.Verdict != Held || !strings.HasPrefix(strings.Join(got.Loads[0].Warnings, "\n"), c.notice) {
			t.Errorf("A has %s: %s, warnings %q", c.metric, got.Verdict, got.Loads[0].Warnings)
		}
	}
}

// TestRunsThatAreLeftOut compares sides with an invalid run and with copies of a run.
func TestRunsThatAreLeftOut(t *testing.T) {
	d := drawing{runs: 5, seconds: 9, each: 40, factor: 1}
	a := d.draw(t, rand.New(rand.NewPCG(1, 1)))
	b := d.draw(t, rand.New(rand.NewPCG(1, 2)))
	for i := range a {
		a[i].path, b[i].path = fmt.Sprintf("a%d.json", i), fmt.Sprintf("b%d.json", i)
	}
	a[1].Verdict, a[2].Verdict, a[2].Load.Invalid = reports.Invalid, reports.Invalid, []string{"its lag was 9 s", "x"}
	copied := *b[0]
	copied.path = "copy.json"
	b[3] = &copied
	want := []string{
		"a1.json is left out: invalid run: the generator was the bottleneck",
		"a2.json is left out: invalid run: its lag was 9 s; x",
		"copy.json is left out: a copy of b0.json",
	}
	l := compareDrawn(t, a, b).Loads[0]
	if diff := cmp.Diff(want, l.Warnings); diff != "" {
		t.Error(diff)
	}
	sides := []Side{{[]string{"a0.json", "a3.json", "a4.json"}, 3, 27},
		{[]string{"b0.json", "b1.json", "b2.json", "b4.json"}, 4, 36}}
	if diff := cmp.Diff(sides, []Side{l.A, l.B}); diff != "" {
		t.Error(diff)
	}
	l = compareDrawn(t, []*Result{b[0], b[3], b[0]}, a).Loads[0]
	if w := strings.Join(l.Warnings, "\n"); l.A.Runs != 1 || !strings.Contains(w, "a side has 1 run: ") {
		t.Errorf("three copies are %d runs, with the warnings %s", l.A.Runs, w)
	}
}

func TestBudgetsThatAreNone(t *testing.T) {
	for text, want := range map[string]string{
		"response_p99=+10%":                                   "expected METRIC:FIGURE=LIMIT",
		"response_time:p99=+10":                               "missing unit",
		"response_time:p100=+1%":                              "the percentile must be above 0 and below 100",
		"response_time:p1.2.3=+1%":                            "the percentile must be above 0 and below 100",
		"response_time:rate=+1%":                              "`response_time` has no `rate`",
		"response_time:max=+1%":                               "is a single sample",
		"schedule_lag:p99=+1%":                                "a property of the generator",
		"operations_failed:p99=+1":                            "`operations_failed` has no `p99`",
		"operations_failed:rate=1ms":                          "a count has no unit of time",
		"operations_failed:rate=+5":                           "a rate is a share, 0 to 1, which changes by less than 5",
		"operations_failed:rate=-1":                           "a rate is a share, 0 to 1, which changes by less than 1",
		"response_time:p99=-100%":                             "no figure falls by more than 100 %",
		"beacons.valid:count=-200%":                           "no figure falls by more than 100 %",
		"response_time:p99=" + strings.Repeat("9", 400) + "%": "too large",
	} {
		if _, err := ParseBudget(text); err == nil || !strings.Contains(err.Error(), want) ||
			strings.ContainsAny(err.Error(), "\n") {
			t.Errorf("%.60q: %v, want %q", text, err, want)
		}
	}
}

// TestNotComparable checks the error of each.
func TestNotComparable(t *testing.T) {
	draw := func(change func(*Result)) []*Result {
		r := drawing{runs: 1, seconds: 9, each: 20, factor: 1}.draw(t, rand.New(rand.NewPCG(1, 1)))
		change(r[0])
		return r
	}
	same := draw(func(*Result) {})
	for _, c := range []struct {
		name   string
		b      []*Result
		budget string
		want   string
	}{
		{"another scenario", draw(func(r *Result) { r.Scenario = "other" }), "",
			"no scenario is in both A and B: A has drawn, B has other"},
		{"no load", draw(func(r *Result) { r.Load = nil }), "",
			"drawn.json: drawn is a load in one result and not in another (drawn.json)"},
		{"an invalid run", draw(func(r *Result) { r.Verdict = reports.Invalid }), "",
			"drawn.json: invalid run: the generator was the bottleneck, so its figures do not describe the server; " +
				"repeat the run, or leave it out"},
		{"an old result", draw(func(r *Result) { r.Load.Histograms = nil }), "",
			"drawn.json: missing `load.histograms`: an older sim wrote this file; repeat the run"},
		{"a newer result", draw(func(r *Result) { r.Load.Histograms.Schema = 2 }), "",
			"drawn.json: `load.histograms.schema` is 2: this sim reads 1"},
		{"an invalid run with its reason", draw(func(r *Result) {
			r.Verdict, r.Load.Invalid = reports.Invalid, []string{"its lag was 9 s"}
		}), "",
			"drawn.json: invalid run: its lag was 9 s, so its figures do not describe the server; repeat the run, or " +
				"leave it out"},
		{"nothing succeeded", draw(func(r *Result) { r.Load.All = reports.LoadOperation{Failed: 3, Unknown: 4} }), "",
			"drawn.json: no operation succeeded, of 7, so there is no time to compare"},
		{"one of two runs measured nothing", append(draw(func(*Result) {}), draw(func(r *Result) {
			r.path, r.Load.Seconds, r.Load.Histograms.Operations = "empty.json", 1, nil
		})...), "", "empty.json: no operation succeeded, of 0, so there is no time to compare"},
		{"no time", draw(func(r *Result) { r.Load.Histograms.Operations[0].Response = make([]string, 9) }), "",
			"drawn cannot be compared: no time of an operation in B"},
		{"nothing counted", same, "operations_failed:rate=+1%",
			`budget "operations_failed:rate=+1%" cannot be judged: of drawn nothing was counted in A and B`},
		{"an unknown metric", same, "logout.response_time:p50=+1%",
			`budget "logout.response_time:p50=+1%": no scenario has this figure on both sides; use a metric of the ` +
				`table, such as response_time:p99`},
		{"too few samples", same, "response_time:p99=+1%",
			`budget "response_time:p99=+1%" cannot be judged: in drawn only 1 samples lie beyond the figure, but 10 ` +
				`are needed; use longer runs`},
		{"no sample", same, "login.service_time:p50=+1%",
			`budget "login.service_time:p50=+1%" cannot be judged: drawn has no sample in A and B`},
		{"too short", draw(func(r *Result) {
			r.Load.Histograms.Operations[0].Response = r.Load.Histograms.Operations[0].Response[:7]
		}),
			"response_time:p50=+1%", `budget "response_time:p50=+1%" cannot be judged: in drawn a run is shorter ` +
				`than 8 s; use longer runs`},
		{"a broken second", draw(func(r *Result) { r.Load.Histograms.Operations[0].Response[3] = "AAAA" }), "",
			"drawn.json: reading `load.histograms.operations[0].response[3]`: too short for an HDR histogram"},
	} {
		o := Options{Confidence: .95}
		if c.budget != "" {
			b, err := ParseBudget(c.budget)
			if err != nil {
				t.Fatal(err)
			}
			o.Budgets = []Budget{b}
		}
		if _, err := Compare(same, c.b, o); err == nil || err.Error() != c.want {
			t.Errorf("%s: %v\nwant %s", c.name, err, c.want)
		}
	}
}

// TestWarnings checks that each differing condition is a warning.
func TestWarnings(t *testing.T) {
	draw := func(rate float64, host string) []*Result {
		r := drawing{runs: 3, seconds: 9, each: 20, factor: 1}.draw(t, rand.New(rand.NewPCG(1, 1)))
		for _, one := range r {
			one.Load.Conditions = &reports.Conditions{ScenarioSum: "0123456789abcdef", StartRate: rate,
				Stages:  []reports.Stage{{Seconds: 9, Rate: rate}},
				Machine: reports.Machine{OS: "linux", Arch: "amd64", CPU: "some", CPUs: 2, Host: host},
				Build:   reports.Build{Go: "go1.26"}}
		}
		return r
	}
	if got := compareDrawn(t, draw(5, "x"), draw(5, "x")).Loads[0].Warnings; len(got) > 0 {
		t.Errorf("alike, and yet: %q", got)
	}
	b := draw(6, "y")
	b[0].Seed, b[1].Verdict, b[0].Load.Server = 2, reports.Interrupted, "h:1"
	want := []string{
		"seed: A has 1, B has 1 and 2", "rate: A has 5/s for 9 s, B has 6/s for 9 s",
		"server: A has unknown, B has h:1 and unknown", "machine: A has x, B has y", "drawn.json was interrupted",
	}
	if d := cmp.Diff(want, compareDrawn(t, draw(5, "x"), b).Loads[0].Warnings); d != "" {
		t.Error(d)
	}
	want = []string{"a side has 1 run: the variation between runs of one server is not in the intervals; give at " +
		"least 3 runs on each side"}
	if d := cmp.Diff(want, compareDrawn(t, draw(5, "x")[:1], draw(5, "x")[:1]).Loads[0].Warnings); d != "" {
		t.Error(d)
	}
}

func virtualResult(change func(*Result)) []*Result {
	r := &Result{path: "v.json", Run: reports.Run{
		Scenario: "classroom", World: reports.Virtual, Seed: 7, Digest: "aa", Verdict: reports.Passed,
		Counts: counts.Counts{Beacons: counts.Beacons{Sent: 10, Valid: 9}},
		Checks: []reports.Check{
			{Kind: reports.ExpectationCheck, Name: "x", Verdict: reports.Passed, Found: "3"},
			{Kind: reports.ExpectationCheck, Name: "x", Verdict: reports.Passed},
		},
	}}
	r.Operations = []reports.OperationDocument{{Name: "beacon", Count: 10, DelayMs: reports.Delays{P95: 5, Max: 9}}}
	change(r)
	return []*Result{r}
}

func TestVirtualRunsAreComparedExactly(t *testing.T) {
	same := virtualResult(func(*Result) {})
	c := compareDrawn(t, same, virtualResult(func(*Result) {}))
	if e := c.Exact[0]; !e.Identical || len(e.Differences) > 0 || len(c.Loads) > 0 {
		t.Errorf("%+v", c)
	}
	b := virtualResult(func(r *Result) {
		r.Digest, r.Verdict, r.Beacons.Valid, r.Operations[0].DelayMs.P95 = "bb", reports.Failed, 8, 6.5
		r.Checks[1].Verdict, r.Checks[0].Name = reports.Failed, "y"
	})
	c = compareDrawn(t, same, b, "beacon_delay:p95=+1ms", "beacons.valid:count=-20%", "beacon_delay:max=+0%",
		"beacons.valid:count=-10%", "beacons.valid:count=-1", "beacons.valid:count=-0", "beacons.valid:count=+0",
		"beacons.sent:count=-0%")
	want := []Difference{
		{"expectation y", "", "passed: 3"}, {"expectation x", "passed: 3", "failed"},
		{"expectation x (2)", "passed", ""},
		{"verdict", "passed", "failed"}, {"digest", "aa", "bb"}, {"beacons.valid", "9", "8"},
		{"beacon_delay:p95", "5 ms", "6.5 ms"},
	}
	if d := cmp.Diff(want, c.Exact[0].Differences); d != "" {
		t.Error(d)
	}
	var verdicts []string
	for _, r := range c.Exact[0].Budgets {
		verdicts = append(verdicts, fmt.Sprintf("%s %s %.2f", r.Budget, r.Verdict, r.Change))
	}
	wantVerdicts := []string{
		"beacon_delay:p95=+1ms budget exceeded 1.50", "beacons.valid:count=-20% held -11.11",
		"beacon_delay:max=+0% held 0.00",
		"beacons.valid:count=-10% budget exceeded -11.11", "beacons.valid:count=-1 held -1.00",
		"beacons.valid:count=-0 budget exceeded -1.00", "beacons.valid:count=+0 held -1.00",
		"beacons.sent:count=-0% held 0.00",
	}
	if d := cmp.Diff(wantVerdicts, verdicts); d != "" {
		t.Error(d)
	}
}

// TestBudgetsAreExact checks that a change of exactly the limit holds: 5 of 100 are 5 %, although 95/100 - 1 is less
// than -0.05 in floating point.
func TestBudgetsAreExact(t *testing.T) {
	count := func(n uint64) []*Result { return virtualResult(func(r *Result) { r.Beacons.Valid = n }) }
	for _, c := range []struct {
		a, b   uint64
		budget string
		want   Verdict
	}{
		{100, 95, "=-5%", Held}, {100, 94, "=-5%", Exceeded}, {100, 110, "=+10%", Held}, {100, 111, "=+10%", Exceeded},
		{100, 110, "=10%", Held}, {100, 200, "=-5%", Held}, {100, 5, "=+5%", Held},
		{3_000_000, 2_850_000, "=-5%", Held},
		{3_000_000, 2_849_999, "=-5%", Exceeded}, {0, 0, "=-5%", Held}, {0, 7, "=-5", Held},
	} {
		got := compareDrawn(t, count(c.a), count(c.b), "beacons.valid:count"+c.budget)
		if v := got.Exact[0].Budgets[0].Verdict; v != c.want || got.Verdict != c.want {
			t.Errorf("from %d to %d with %s: %s, want %s", c.a, c.b, c.budget, v, c.want)
		}
	}
}

// TestAnOperationThatDidNotHappen has no delays, so that a budget for one is an error, also if another pair of runs has
// them.
func TestAnOperationThatDidNotHappen(t *testing.T) {
	b := virtualResult(func(r *Result) { r.Operations = []reports.OperationDocument{{Name: "beacon"}} })
	budget, err := ParseBudget("beacon_delay:p95=+1ms")
	if err != nil {
		t.Fatal(err)
	}
	other := virtualResult(func(r *Result) { r.Seed = 9 })
	for _, c := range []struct {
		a, b []*Result
		want string
	}{
		{b, b, "no scenario has this figure on both sides"},
		{virtualResult(func(*Result) {}), b, "has no sample in B"},
		{b, virtualResult(func(*Result) {}), "has no sample in A"},
		{append(virtualResult(func(*Result) {}), other...), append(b, other...), "has no sample in B"},
	} {
		_, err = Compare(c.a, c.b, Options{Confidence: .95, Budgets: []Budget{budget}})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}

// TestRunsThatDidNotPassAreNamed checks the warnings and the seeds of a pair of runs without a load.
func TestRunsThatDidNotPassAreNamed(t *testing.T) {
	a := virtualResult(func(r *Result) { r.Verdict = reports.Interrupted })
	b := virtualResult(func(r *Result) { r.Verdict, r.Seed = reports.Failed, 9 })
	c := compareDrawn(t, a, b)
	want := []string{fmt.Sprintf("seed: A has %d, B has 9", a[0].Seed), a[0].place() + " was interrupted",
		b[0].place() + " failed its own checks"}
	if diff := cmp.Diff(want, c.Exact[0].Warnings); diff != "" {
		t.Error(diff)
	}
	if got, want := c.Exact[0].result(), fmt.Sprintf(", seeds %d and 9", a[0].Seed); !strings.HasSuffix(got, want) {
		t.Errorf("%q does not end with %q", got, want)
	}
}

// TestFewDifferencesAreListed checks that the text has the checks first, and the JSON every difference.
func TestFewDifferencesAreListed(t *testing.T) {
	b := virtualResult(func(r *Result) {
		r.Digest, r.Verdict, r.Events, r.Phones, r.VirtualSeconds = "bb", reports.Failed, 5, 6, 7
		r.Checks[0].Verdict = reports.Failed
		r.Operations = []reports.OperationDocument{{Name: "beacon", Count: 9,
			DelayMs: reports.Delays{Min: 1, Mean: 2, P50: 3, P90: 4, P95: 6, P99: 7, Max: 8}}}
		r.Beacons = counts.Beacons{Sent: 11, Delivered: 1, Valid: 10, Invalid: 2}
	})
	c := compareDrawn(t, virtualResult(func(*Result) {}), b)
	n := len(c.Exact[0].Differences)
	var text bytes.Buffer
	if err := Text(&text, c, false); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(text.String()), "\n")
	more := fmt.Sprintf("  and %d more (--report json lists them)", n-maxDifferences)
	if last := lines[len(lines)-1]; n <= maxDifferences || last != more || len(lines) > maxDifferences+7 ||
		!strings.Contains(text.String(), "A                    B\n  expectation x ") && !strings.Contains(lines[4],
			"expectation x ") {
		t.Errorf("%d differences, and the text\n%s", n, text.String())
	}
}

func TestTextAndJSON(t *testing.T) {
	draws := rand.New(rand.NewPCG(5, 6))
	d := drawing{runs: 3, seconds: 10, each: 40, factor: 1, perRun: 0.005}
	slower := d
	slower.factor = 2
	a, b := d.draw(t, draws), slower.draw(t, draws)
	for _, r := range append(a, b...) {
		r.Scenario = "evil\x1b[2J"
	}
	c := compareDrawn(t, a, b, "response_time:p50=+10%")
	var text, doc bytes.Buffer
	if err := Text(&text, c, false); err != nil {
		t.Fatal(err)
	}
	if err := JSON(&doc, c); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`BUDGET EXCEEDED  evil\x1b[2J: response_time:p50=+10%; 3 of 3 times moved; 3 runs ` +
		`of A (30 s) and 3 of B (30 s)` + "\n", "p99.9 ", "too few samples\n", "adjusted for the 3 tested rows"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
	for line := range strings.SplitSeq(text.String(), "\n") {
		if len([]rune(line)) > 116 {
			t.Errorf("%d columns: %s", len([]rune(line)), line)
		}
	}
	var back Comparison
	if err := json.Unmarshal(doc.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	if back.Schema != Schema || back.Verdict != Exceeded || back.Loads[0].Scenario != "evil\x1b[2J" ||
		back.Loads[0].Rows[0].Test.Low < 0.1 ||
		back.Loads[0].Budgets[0].Limit != 10 || back.Loads[0].A.Runs != 3 || bytes.ContainsAny(doc.Bytes(), "\x1b") {
		t.Errorf("%s", doc.String())
	}
}

// TestSeedOfTheBootstrap checks that one seed gives one result, however many
// goroutines run at a time.
func TestSeedOfTheBootstrap(t *testing.T) {
	draws := rand.New(rand.NewPCG(5, 6))
	d := drawing{runs: 2, seconds: 9, each: 40, factor: 1}
	a, b := d.draw(t, draws), d.draw(t, draws)
	first := compareDrawn(t, a, b)
	if d := cmp.Diff(first, compareDrawn(t, a, b), cmp.AllowUnexported(Row{}, figure{})); d != "" {
		t.Error(d)
	}
}
