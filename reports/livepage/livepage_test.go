package livepage

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"bluetrace/reports"
	"bluetrace/reports/page/pagetest"
)

func written(t *testing.T, l *Live, before ...Ended) string {
	t.Helper()
	var b bytes.Buffer
	if err := l.Write(&b, before); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// contentOf returns the text of the element with an id, or "" if there is none.
func contentOf(t *testing.T, page, id string) string {
	t.Helper()
	for _, e := range pagetest.Elements(t, page) {
		if pagetest.Attribute(e, "id") == id {
			return pagetest.Content(e)
		}
	}
	return ""
}

// loadOf returns a load with so many operations of each response time in milliseconds.
func loadOf(t *testing.T, unknown uint64, times map[int64]int64) *reports.Load {
	t.Helper()
	h := hdrhistogram.New(1, int64(time.Hour), 3)
	l := &reports.Load{All: reports.LoadOperation{Unknown: unknown, Response: h}}
	for ms, n := range times {
		if err := h.RecordValues(ms*int64(time.Millisecond), n); err != nil {
			t.Fatal(err)
		}
		l.All.OK += uint64(n)
	}
	return l
}

// TestPageOfALoad: the page of a load has its progress, its figures, the response times of each second and its
// thresholds.
func TestPageOfALoad(t *testing.T) {
	l := New("steady", "Sessions at a steady rate.")
	var before *reports.Load
	for i, soFar := range []*reports.Load{nil, loadOf(t, 0, map[int64]int64{10: 1000}),
		loadOf(t, 20, map[int64]int64{10: 1000, 500: 100})} {
		now := &reports.LoadNow{WarmUp: i == 0, Target: 100, Achieved: 99, InFlight: i, SoFar: soFar}
		s := State{At: time.Duration(i+1) * 2 * time.Second, Length: 10 * time.Second}
		s.Values, s.Facts = OfLoad(now, before)
		s.Checks = []reports.Check{{Kind: reports.ThresholdCheck, Name: "response_time: p(99)<100", Verdict: reports.Failed,
			Found: "500 ms"}, {Kind: reports.ThresholdCheck, Name: "operations_ok: count>0", Verdict: reports.Unknown}}
		l.Update(&s)
		before = soFar
	}
	page := written(t, l)
	if got := contentOf(t, page, "progress"); !strings.Contains(got, "60 %, 6s of 10s") ||
		!strings.Contains(got, "now 99 of 100/s; 2 in flight since the warm-up p50 10.00, p99 500 ms;") {
		t.Errorf("progress: %q", got)
	}
	if !strings.Contains(page, `<progress max="100" value="60.0"`) {
		t.Error("the bar is not at 60 %")
	}
	course := contentOf(t, page, "course")
	for _, want := range []string{"asked 100", "achieved 99", "p50 500", "p99 500", "without an answer 10", "sessions 2"} {
		if !strings.Contains(course, want) {
			t.Errorf("no %q in %q", want, course)
		}
	}
	if got := contentOf(t, page, "checks"); !strings.Contains(got, "failed response_time: p(99)<100 500 ms") ||
		!strings.Contains(got, "unknown operations_ok") {
		t.Errorf("thresholds: %q", got)
	}
	if !strings.Contains(page, "connect-src &#39;self&#39;") || !strings.Contains(page, "<title>running: steady</title>") {
		t.Error(page[:1000])
	}
}

// TestValuesOfALoad: each line of a chart has its own number.
func TestValuesOfALoad(t *testing.T) {
	now := &reports.LoadNow{Target: 101, Achieved: 102, InFlight: 103, SoFar: loadOf(t, 5, map[int64]int64{1: 96, 400: 4})}
	now.SoFar.All.Failed, now.SoFar.Arrivals.Dropped = 7, 9
	before := loadOf(t, 0, map[int64]int64{})
	before.All.Lag = loadOf(t, 0, map[int64]int64{900: 5}).All.Response
	now.SoFar.All.Lag = loadOf(t, 0, map[int64]int64{900: 5, 3: 100}).All.Response
	values, facts := OfLoad(now, before)
	if got := facts[len(facts)-1]; got.Name != "generator" || got.Text != "lag p99 900 ms" {
		t.Errorf("the last fact is %+v", got)
	}
	want := map[string]float64{"asked": 101, "achieved": 102, "p50": 1, "p99": 400, "without an answer": 5,
		"arrivals dropped": 9, "failed": 7, "sessions": 103, "lag p99": 3}
	for _, v := range values {
		if strings.HasPrefix(v.Chart, "Lag of the generator") {
			v.Line = "lag " + v.Line
		}
		if w, ok := want[v.Line]; !ok || math.Abs(v.Number-w) > w/500 {
			t.Errorf("%s is %g, want %g", v.Line, v.Number, w)
		}
	}
	if len(values) != len(want) {
		t.Errorf("%d values, want %d", len(values), len(want))
	}
}

// TestAPageWithoutThresholds has no table of them: a swarm has none, and of a run they may not have been judged.
func TestAPageWithoutThresholds(t *testing.T) {
	l := New("swarm", "")
	l.Update(&State{At: time.Second})
	if page := written(t, l); strings.Contains(page, "Thresholds") {
		t.Error(page)
	}
}

// TestPageOfARun: totals become rates over the time of the run, failures are in the foreground, and the end replaces
// the verdict.
func TestPageOfARun(t *testing.T) {
	l := New("lesson", "")
	for i := range 3 {
		r := &reports.Run{World: reports.Live, Phones: 27}
		r.Beacons.Sent, r.Beacons.Kept, r.Beacons.Expired = uint64(100*i), uint64(20*i), uint64(5*i)
		s := State{At: time.Duration(i) * 10 * time.Second, Doing: "step 2 of 9, line 7: {at: 5s}"}
		s.Values, s.Facts = OfRun(r)
		s.Checks = []reports.Check{
			{Kind: reports.ExpectationCheck, Name: "first", Verdict: reports.Failed, Expected: "a welcome"},
			{Kind: reports.ExpectationCheck, Name: "second", Verdict: reports.Failed},
			{Kind: reports.ExpectationCheck, Name: "third", Verdict: reports.Unknown},
		}
		l.Update(&s)
	}
	page := written(t, l, Ended{Name: "other", Verdict: reports.Passed, Result: "3 checks held", Page: "other.html"})
	for _, want := range []string{"sent 10", "entries 30", "Nothing yet: Sessions at the server; Logins per second."} {
		if got := contentOf(t, page, "course"); !strings.Contains(got, want) {
			t.Errorf("no %q in %q", want, got)
		}
	}
	failures := contentOf(t, page, "failures")
	if !strings.HasPrefix(failures, "Failures first expected a welcome") || !strings.Contains(failures, "second") {
		t.Errorf("failures: %q", failures)
	}
	if got := contentOf(t, page, "progress"); !strings.Contains(got, "20s; step 2 of 9, line 7") {
		t.Errorf("progress: %q", got)
	}
	if got := contentOf(t, page, "before"); !strings.Contains(got, "other : 3 checks held") ||
		!strings.Contains(page, `href="./other.html"`) {
		t.Errorf("earlier runs: %q", got)
	}
	if !strings.Contains(page, "<noscript>") {
		t.Error("without a script the page is not loaded again")
	}
	l.End(&Ended{Verdict: reports.Failed, Result: "1 of 2 checks failed"}, nil)
	page = written(t, l)
	if !strings.Contains(page, "<title>failed: 1 of 2 checks failed: lesson</title>") || strings.Contains(page, "<noscript>") {
		t.Errorf("the page does not end: %s", page[:1000])
	}
}

// TestPointsAreBounded: a long run keeps a bounded number of points, whose means stay.
func TestPointsAreBounded(t *testing.T) {
	l := New("long", "")
	for i := range 100_000 {
		l.Update(&State{At: time.Duration(i) * time.Second, Values: []Value{{"c", "total", float64(3 * i), true},
			{"c", "number", 7, false}, {"c", "none", math.NaN(), false}}})
	}
	for i, want := range []float64{3, 7, math.NaN()} {
		points := l.lines[i].points
		if n := len(points); n >= maxPoints || n < maxPoints/2 || n != len(l.times) {
			t.Errorf("%d points at %d times", n, len(l.times))
		}
		for _, p := range points {
			if p != want && !(math.IsNaN(p) && math.IsNaN(want)) {
				t.Fatalf("line %d has %v", i, p)
			}
		}
	}
	if !slices.IsSorted(l.times) {
		t.Error(l.times)
	}
	if n := len(written(t, l)); n > 60_000 {
		t.Errorf("the page has %d bytes", n)
	}
}

// TestHostileTextsOfALivePage: no text becomes a part of the page.
func TestHostileTextsOfALivePage(t *testing.T) {
	const hostile = "</script><img src=x>\x1b\u202e"
	l := New(hostile, hostile)
	for i := range 3 {
		l.Update(&State{At: time.Duration(i) * time.Second, Doing: hostile, Values: []Value{{hostile, hostile, 1, false}},
			Checks: []reports.Check{{Kind: reports.ThresholdCheck, Name: hostile, Found: hostile},
				{Kind: reports.ExpectationCheck, Name: hostile, Verdict: reports.Failed, Place: hostile, Expected: hostile}}})
	}
	page := written(t, l, Ended{Name: hostile, Result: hostile, Page: hostile})
	if strings.ContainsAny(page, "\x1b\u202e") {
		t.Error("an invisible character is on the page")
	}
	scripts := 0
	for _, e := range pagetest.Elements(t, page) {
		if e.Data == "img" {
			t.Error("an image is on the page")
		}
		if e.Data == "script" {
			scripts++
		}
	}
	if scripts != 1 {
		t.Errorf("%d scripts", scripts)
	}
}
