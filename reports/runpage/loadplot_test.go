package runpage

import (
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bluetrace/reports"
	"bluetrace/reports/page/pagetest"
)

// TestSearchPlot checks the place of the capacity, the axes and the legend.
func TestSearchPlot(t *testing.T) {
	r := searched(t)
	r.Load.Search.Limits[0].Name = "response_time: p(99)<50"
	text := written(t, func(w io.Writer) error { return WriteSearchPlot(w, r) })
	c := curve(r.Load.Search)
	if c.X.Min > 100 || c.X.Max < 1600 || c.Y.Min > .6 || c.Y.Max < 1300 {
		t.Errorf("the axes go from %g to %g and %g to %g: some data are outside", c.X.Min, c.X.Max, c.Y.Min, c.Y.Max)
	}
	// 1,130 on an axis from 50 to 2,000 is at 84.52 %.
	if want := `<line class="line rule c-green " x1="84.52%" x2="84.52%" y2="300"/>`; !strings.Contains(text, want) {
		t.Errorf("no %s in\n%s", want, text)
	}
	var names []string
	for i, part := range strings.Split(text, `</svg><text x="`)[1:] {
		_, name, _ := strings.Cut(part, ">")
		name, _, _ = strings.Cut(name, "<")
		if names = append(names, strings.ReplaceAll(name, "&lt;", "<")); i == 0 && name == "" {
			names[0], _, _ = strings.Cut(part, "</text>")
		}
	}
	if label := `text-anchor="end">p(99)&lt;50</text>`; !strings.Contains(text, label) {
		t.Errorf("no label %s at the line of the threshold", label)
	}
	want := []string{"capacity", "does not hold", "p99", "p95", "p50",
		"p99 where the generator is the limit"}
	if d := cmp.Diff(want, names); d != "" {
		t.Error(d)
	}
	if crosses := strings.Count(text, `d="M-4-4L4 4M-4 4L4-4"`); crosses != 2 { // one in the legend
		t.Errorf("%d crosses, want one step that the generator limited", crosses)
	}
	if len(text) > 30_000 {
		t.Errorf("the picture has %d bytes", len(text))
	}
}

func TestTimePlot(t *testing.T) {
	r := searched(t)
	f := timePlot(r)
	if want := "search: response time over step 6 of the search, at 1,130 arrivals/s"; f.Title != want {
		t.Errorf("title %q, want %q", f.Title, want)
	}
	failures, times, rates := f.Charts[0], f.Charts[1], f.Charts[2]
	if times.X.Max != 14 || rates.X.Max != 14 || times.Y.Max < 50 || times.Y.Min > 1.25 || rates.Y.Max < 110 ||
		failures.Y.Max < 260 {
		t.Errorf("axes: %g, %g; %g to %g; %g; %g", times.X.Max, rates.X.Max, times.Y.Min, times.Y.Max, rates.Y.Max,
			failures.Y.Max)
	}
	r.Load.Search = nil
	if f := timePlot(r); f.Title != r.Scenario+": response time over the run" {
		t.Errorf("title %q", f.Title)
	}
}

// TestAMissingSecondEndsALine checks that a curve does not join the points before and after a second without a sample.
func TestAMissingSecondEndsALine(t *testing.T) {
	r := loaded(t)
	r.Load.Timeline[4].Samples = 0
	list := pagetest.Elements(t, string(courseOf(r).responses().Inline()))
	for _, n := range withClass(list, "line c-blue") {
		if d := pagetest.Attribute(n, "d"); strings.Contains(d, "L") && strings.Count(d, "M") != 2 {
			t.Errorf("the line is %s, want two parts", d)
		}
	}
}

// TestPlotsOfLittle draws runs with few measurements.
func TestPlotsOfLittle(t *testing.T) {
	for name, change := range map[string]func(*reports.Run){
		"no second":   func(r *reports.Run) { r.Load.Timeline = nil },
		"one second":  func(r *reports.Run) { r.Load.Timeline = r.Load.Timeline[:1] },
		"no sample":   func(r *reports.Run) { r.Load.Timeline = []reports.LoadSecond{{Seconds: .5, Target: 3}} },
		"no length":   func(r *reports.Run) { r.Load.Timeline = []reports.LoadSecond{{Failed: 1}} },
		"no step":     func(r *reports.Run) { r.Load.Search = &reports.Search{StartRate: 5, MaxRate: 5} },
		"no rate":     func(r *reports.Run) { r.Load.Search = &reports.Search{} },
		"no capacity": func(r *reports.Run) { r.Load.Search.Capacity, r.Load.Search.ReportedStep = 0, 0 },
		"one step": func(r *reports.Run) {
			r.Load.Search.Steps, r.Load.Search.ReportedStep = r.Load.Search.Steps[:1], 0
		},
		"nothing known": func(r *reports.Run) { r.Load.Search.Steps = make([]reports.SearchStep, 6) },
		"a long name": func(r *reports.Run) {
			r.Scenario = strings.Repeat("long", 25)
			r.Load.Search.Limits = append(slices.Clone(r.Load.Search.Limits),
				reports.SearchLimit{Name: strings.Repeat("x", 200), Ms: 1e6},
				reports.SearchLimit{Name: "of nothing"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := searched(t)
			change(r)
			for _, write := range []func(io.Writer, *reports.Run) error{WriteTimePlot, WriteSearchPlot, Write} {
				text := written(t, func(w io.Writer) error { return write(w, r) })
				if strings.Contains(text, "NaN") || strings.Contains(text, "Inf") ||
					strings.ContainsAny(text, "\x1b\u202e") {
					t.Errorf("a number is none, or a character is invisible:\n%s", text)
				}
			}
		})
	}
}
