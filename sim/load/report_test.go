package load

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/HdrHistogram/hdrhistogram-go"

	"bluetrace/reports"
	"bluetrace/reports/stats"
	"bluetrace/scenarios"
)

// measured returns n logins of 1 to n milliseconds, due a tenth of a second apart.
func measured(n int) *Measurement {
	m := &Measurement{warm: newFigures(0), figures: newFigures(0), seed: 1, Length: 10 * time.Second}
	for i := range n {
		due := time.Duration(i) * 100 * time.Millisecond
		m.figures.add(&Row{Operation: Login, Due: due, Ready: due, Sent: due + time.Millisecond,
			Done: due + time.Duration(i+1)*time.Millisecond})
	}
	return m
}

func TestLatenessOfAnAnswerIsNoLag(t *testing.T) {
	r := Row{Due: 1000, Ready: 1500, Sent: 1600, Done: 2000}
	if r.Response() != 1000 || r.Service() != 400 || r.Lag() != 100 {
		t.Errorf("response %d, service %d, lag %d; want 1000, 400, 100", r.Response(), r.Service(), r.Lag())
	}
}

func TestFailuresHaveNoResponseTime(t *testing.T) {
	m := measured(10)
	m.figures.add(&Row{Operation: Login, Outcome: Failed, Done: time.Nanosecond})
	m.figures.add(&Row{Operation: Login, Outcome: Unknown, Done: time.Nanosecond}) // its connection broke
	m.figures.add(&Row{Operation: Login, Outcome: Unknown, NotSent: true, Done: time.Nanosecond})
	m.figures.add(&Row{Operation: Login, Outcome: Unknown, Waited: true, Done: 5 * time.Second})
	l := m.Report(&scenarios.Traffic{})
	o := l.All
	if o.OK != 10 || o.Failed != 1 || o.Unknown != 3 || o.Response.TotalCount() != 11 ||
		o.Response.Min() < int64(time.Millisecond)-1000 {
		t.Errorf("%d ok, %d failed, %d unknown, %d response times from %v",
			o.OK, o.Failed, o.Unknown, o.Response.TotalCount(), time.Duration(o.Response.Min()))
	}
	if o.Lag.TotalCount() != 13 {
		t.Errorf("%d lags, want one for each that was sent, 13", o.Lag.TotalCount())
	}
}

// TestIntervalsHoldTheQuantile: of many runs drawn from one distribution, about 95
// of 100 intervals contain its true median.
func TestIntervalsHoldTheQuantile(t *testing.T) {
	draws := rand.New(rand.NewPCG(3, 4))
	const runs, seconds, each = 100, 40, 50
	held := 0
	for run := range runs {
		list := make([]stats.Second, seconds)
		for i := range list {
			list[i] = stats.Second{}
			for range each {
				list[i][stats.CellOf(int64(1e6+1e6*draws.Float64()))]++
			}
		}
		got := intervals(list, []float64{.5}, rand.NewPCG(uint64(run), 0))
		if got[0].LowMs > got[0].HighMs {
			t.Fatalf("an interval from %v to %v", got[0].LowMs, got[0].HighMs)
		}
		if got[0].LowMs <= 1.508 && got[0].HighMs >= 1.492 {
			held++
		}
	}
	if held < 88 || held > 100 {
		t.Errorf("%d of %d intervals hold the median, want about 95", held, runs)
	}
	if got := intervals(make([]stats.Second, stats.MinSeconds-1), []float64{.5}, rand.NewPCG(1, 1)); got != nil {
		t.Errorf("too few seconds have the intervals %v", got)
	}
}

func TestChecksOfALoad(t *testing.T) {
	m := measured(100)
	m.Arrivals = Arrivals{Due: 200, Started: 100, Dropped: 100}
	threshold := func(metric, method, op string, quantile, value float64) scenarios.Threshold {
		return scenarios.Threshold{Metric: metric, Text: method + op, Method: method, Op: op, Quantile: quantile,
			Value: value}
	}
	s := &scenarios.Scenario{Load: &scenarios.Traffic{}, Thresholds: []scenarios.Threshold{
		threshold("response_time", "p", "<", 50, 51),
		threshold("login.response_time", "max", "<", 0, 100),
		threshold("login.service_time", "max", "<", 0, 99.5),
		threshold("service_time", "max", "<", 0, 99.5),
		threshold("schedule_lag", "max", "<", 0, 1.5),
		threshold("tempid.response_time", "max", "<", 0, 100),
		threshold("arrivals_dropped", "rate", "<=", 0, 0.5),
		threshold("operations_unknown", "count", "==", 0, 0),
		threshold("beacons_lost", "rate", "<", 0, 0.1),
	}}
	var got []string
	for _, c := range Checks(s, m.Report(s.Load), false) {
		got = append(got, fmt.Sprintf("%s %s %s", c.Verdict, c.Name, c.Found))
	}
	want := []string{
		"passed response_time: p< 50.004 ms", "failed login.response_time: max< 100.008 ms",
		"passed login.service_time: max< 99.025 ms",
		"passed service_time: max< 99.025 ms",
		"passed schedule_lag: max< 1 ms",
		"failed tempid.response_time: max< no sample: nothing of this kind happened",
		"passed arrivals_dropped: rate<= 0.5",
		"passed operations_unknown: count== 0",
		"failed beacons_lost: rate< no sample: nothing of this kind happened", "passed operations_failed: count==0 0",
		"passed every operation of the load succeeds at least once ",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	s.Thresholds = nil
	if c := Checks(s, m.Report(s.Load), false)[0]; c.Verdict != reports.Failed || c.Found != "100" {
		t.Errorf("dropped arrivals without a threshold: %+v", c)
	}
	if c := Checks(s, m.Report(s.Load), true)[0]; c.Verdict != reports.Unknown {
		t.Errorf("interrupted: %+v", c)
	}
}

func TestUnfit(t *testing.T) {
	traffic := &scenarios.Traffic{LagBudget: 2 * time.Millisecond, CPUBudget: 0.8}
	m := measured(100)
	m.HasOwn, m.Own = true, Usage{User: time.Second}
	if why := GeneratorOverloaded(traffic, m.Report(traffic), 0); len(why) > 0 {
		t.Errorf("a generator that kept its pace: %q", why)
	}
	m.Own.User = 1000 * time.Second
	m.figures.add(&Row{Operation: Beacon, Sent: 20 * time.Millisecond, Done: 20 * time.Millisecond})
	m.figures.add(&Row{Operation: Beacon, Sent: 20 * time.Millisecond, Done: 20 * time.Millisecond})
	why := strings.Join(GeneratorOverloaded(traffic, m.Report(traffic), 3), "\n")
	for _, want := range []string{"p99 of 20.005 ms, above its budget of 2 ms",
		"of all processors, above its budget of 80 %", "for 3 connections"} {
		if !strings.Contains(why, want) {
			t.Errorf("why not: %s\nwant %q", why, want)
		}
	}
}

// TestOverloadedByOneOperation: in a session a late connection delays all later
// operations, whose own lag is then 0. A mix has no later operations.
func TestOverloadedByOneOperation(t *testing.T) {
	traffic := &scenarios.Traffic{LagBudget: 10 * time.Millisecond, CPUBudget: 0.8,
		Session: []scenarios.Verb{scenarios.VerbLogin}}
	m := &Measurement{warm: newFigures(0), figures: newFigures(0), seed: 1, Length: 10 * time.Second}
	add := func(o Operation, count int, lag time.Duration) {
		for range count {
			m.figures.add(&Row{Operation: o, Sent: lag, Done: lag + time.Millisecond})
		}
	}
	add(Connect, 95, 0)
	add(Connect, 5, 204*time.Millisecond)
	add(Beacon, 900, 0)
	want := []string{"its schedule lag of connect has a p99 of 204.079 ms, above its budget of 10 ms; ask for a " +
		"lower rate, or give it more processors"}
	if d := cmp.Diff(want, GeneratorOverloaded(traffic, m.Report(traffic), 0)); d != "" {
		t.Error(d)
	}
	mix := *traffic
	mix.Session = nil
	if why := GeneratorOverloaded(&mix, m.Report(&mix), 0); len(why) > 0 {
		t.Errorf("a mix: %q", why)
	}
	add(Login, 99, 300*time.Millisecond)
	add(Beacon, 20000, 0)
	if why := GeneratorOverloaded(traffic, m.Report(traffic), 0); len(why) != 1 ||
		!strings.Contains(why[0], "of connect") {
		t.Errorf("a p99 of 99 samples says nothing, and yet: %q", why)
	}
}

// TestNothingWasFrozen: a run that ended in its warm-up reports no expected times.
func TestNothingWasFrozen(t *testing.T) {
	traffic := &scenarios.Traffic{Session: []scenarios.Verb{scenarios.VerbLogin, scenarios.VerbDownload,
		scenarios.VerbLogout},
		Expected: map[string]time.Duration{"login": 2 * time.Millisecond}}
	m := measured(1)
	m.Expected[Login] = 2 * time.Millisecond
	got := m.Report(traffic).Expected
	if d := cmp.Diff([]reports.ExpectedTime{{Operation: "login", Ms: 2}}, got); d != "" {
		t.Error(d)
	}
}

// TestNoMedianErrorNamesTheOutcomes: the error about a server that is not there describes
// the outcomes.
func TestNoMedianErrorNamesTheOutcomes(t *testing.T) {
	m := measured(0)
	for range 3 {
		m.figures.add(&Row{Operation: Connect, Outcome: Failed})
	}
	for _, c := range []struct {
		o            Operation
		outage, want string
	}{
		{Connect, "connection refused since 0.5 s", "no connect succeeded in the warm-up of 5s (3 failed, 0 " +
			"without an " +
			"answer; connection refused since 0.5 s): check that the server runs and speaks the protocol, or write a " +
			"longer `warm_up` or `expected: {connect: …}`"},
		{Login, "", "no login succeeded in the warm-up of 5s (none was tried): check that the server runs and speaks " +
			"the protocol, or write a longer `warm_up` or `expected: {login: …}`"},
	} {
		e := NoMedianError{WarmUp: 5 * time.Second, Operation: scenarios.LoadOperations[c.o],
			Failed: m.figures.kinds[c.o].outcomes[Failed], Outage: c.outage}
		if e.Error() != c.want {
			t.Errorf("it says %q\nwant     %q", e.Error(), c.want)
		}
	}
}

// TestSummaryNamesFailedOperations: the summary names the operations that failed.
func TestSummaryNamesFailedOperations(t *testing.T) {
	m := measured(100)
	m.figures.add(&Row{Operation: Login, Outcome: Unknown, Done: 5 * time.Second})
	for range 80 {
		m.figures.add(&Row{Operation: Connect, Outcome: Failed})
	}
	var b bytes.Buffer
	l := m.Report(&scenarios.Traffic{Executor: scenarios.ConstantArrivalRate})
	if err := reports.Text(&b, &reports.Run{Scenario: "x", Verdict: reports.Failed, World: reports.Live, Load: l},
		reports.TextOptions{}); err != nil {
		t.Fatal(err)
	}
	want := "  operations  181 (18.1/s): 100 ok, 80 failed, 1 without an answer\n" +
		"    connect    80 failed, 0 without an answer\n    login      0 failed, 1 without an answer\n"
	if !strings.Contains(b.String(), want) {
		t.Errorf("no lines\n%s\nin\n%s", want, b.String())
	}
}

// TestSummaryOfAnInvalidRun: the summary of an invalid run begins with that.
func TestSummaryOfAnInvalidRun(t *testing.T) {
	l := measured(100).Report(&scenarios.Traffic{Executor: scenarios.ConstantArrivalRate})
	l.Invalid = []string{"it was slow"}
	var b bytes.Buffer
	if err := reports.Text(&b, &reports.Run{Scenario: "x", Verdict: reports.Invalid, World: reports.Live, Load: l},
		reports.TextOptions{}); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(b.String(), "\n")
	if !strings.HasPrefix(lines[0], "INVALID  x") || lines[1] != "  the generator was the bottleneck: it was slow" {
		t.Errorf("it begins with\n%s\n%s", lines[0], lines[1])
	}
	if want := "    login                                    100    50.00    95.03    99.02        -        -      " +
		"100"; !strings.Contains(b.String(), want) {
		t.Errorf("no line\n%s\nin\n%s", want, b.String())
	}
}

func TestWithin(t *testing.T) {
	h := hdrhistogram.New(1, int64(time.Hour), 3)
	if err := h.RecordValue(int64(2 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	l := &reports.Load{All: reports.LoadOperation{Lag: h}, Budgets: reports.GeneratorBudgets{LagMs: 10}}
	traffic := &scenarios.Traffic{LagBudget: 10 * time.Millisecond, CPUBudget: 0.8}
	if got, want := BudgetNote(traffic, l),
		"load: the generator kept its budgets: the p99 of its lag is 2.001 of 10 ms"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	late := &scenarios.Traffic{LagBudget: time.Millisecond}
	if got, want := BudgetNote(late, l), "load: the generator was late, too: the p99 of its lag is 2.001 of 1 ms"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	l.Generator = &reports.ProcessUse{CPUShare: 0.14}
	if got, want := BudgetNote(traffic, l), "load: the generator kept its budgets: the p99 of its lag is 2.001 of 10 "+
		"ms, and it used 14 of 80 % of all processors"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
