package reports

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gonum.org/v1/plot"
)

// drawn returns the plot of a run, and checks the sizes of the image and of the
// file.
func drawn(t *testing.T, r *Run, draw func(io.Writer, *Run) error) image.Image {
	t.Helper()
	var b bytes.Buffer
	if err := draw(&b, r); err != nil {
		t.Fatal(err)
	}
	if b.Len() > 60_000 {
		t.Errorf("the picture has %d bytes, want at most 60,000", b.Len())
	}
	i, err := png.Decode(&b)
	if err != nil {
		t.Fatal(err)
	}
	if i.Bounds().Dx() != 860 {
		t.Errorf("it is %d wide, want 860", i.Bounds().Dx())
	}
	return i
}

// longest returns the length of the longest vertical or horizontal run of pixels of
// a colour, and its position on the other axis.
func longest(i image.Image, c color.Color, down bool) (length, at int) {
	r, g, b, _ := c.RGBA()
	is := func(x, y int) bool {
		if !down {
			x, y = y, x
		}
		pr, pg, pb, _ := i.At(x, y).RGBA()
		near := func(a, b uint32) bool { return max(a, b)-min(a, b) < 0x0a00 }
		return near(pr, r) && near(pg, g) && near(pb, b)
	}
	across, along := i.Bounds().Dx(), i.Bounds().Dy()
	if !down {
		across, along = along, across
	}
	for x := range across {
		run := 0
		for y := range along {
			if run++; !is(x, y) {
				run = 0
			}
			if run > length {
				length, at = run, x
			}
		}
	}
	return length, at
}

// TestSearchPlot checks that the line of the capacity has the right place on the
// logarithmic axis and the full height.
func TestSearchPlot(t *testing.T) {
	r := searched(t)
	i := drawn(t, r, SearchPlot)
	height, x := longest(i, green(), true)
	if height < 60 { // curves cross it
		t.Errorf("the longest green line down has %d pixels", height)
	}
	p := searchPicture(r).charts[0]
	share := p.X.Norm(r.Load.Search.Capacity)
	left, right := 82.0, 828.0 // where the axis begins and ends
	if want := left + share*(right-left); float64(x) < want-4 || float64(x) > want+4 {
		t.Errorf("the capacity stands at %d of %d, want about %.0f", x, i.Bounds().Dx(), want)
	}
	if p.X.Min > 100 || p.X.Max < 1600 || p.Y.Min > .6 || p.Y.Max < 1300 {
		t.Errorf("the axes go from %g to %g and %g to %g: some data are outside", p.X.Min, p.X.Max, p.Y.Min, p.Y.Max)
	}
	var names []string
	for _, e := range p.entries {
		names = append(names, e.name)
	}
	want := []string{"threshold response_time: p(99)<50", "capacity", "does not hold", "p99", "p95", "p50", "p99 where the generator is the limit"}
	if d := cmp.Diff(want, names); d != "" {
		t.Error(d)
	}
}

func TestLoadPlot(t *testing.T) {
	r := searched(t)
	drawn(t, r, LoadPlot)
	p := loadPicture(r)
	if want := "search: response time over step 6 of the search, at 1,130 arrivals/s"; p.title != want {
		t.Errorf("title %q, want %q", p.title, want)
	}
	times, rates := p.charts[0], p.charts[1]
	if times.X.Max != 34 || rates.X.Max != 34 || times.Y.Max < 900 || times.Y.Min > 1.2 || rates.Y.Min != 0 || rates.Y.Max < 1130 {
		t.Errorf("axes: %g, %g; %g to %g; %g to %g", times.X.Max, rates.X.Max, times.Y.Min, times.Y.Max, rates.Y.Min, rates.Y.Max)
	}
	r.Load.Search = nil
	if want := "search: response time over the run"; loadPicture(r).title != want {
		t.Errorf("title %q, want %q", loadPicture(r).title, want)
	}
}

// TestPlotsOfLittle draws runs with few measurements.
func TestPlotsOfLittle(t *testing.T) {
	for name, change := range map[string]func(*Run){
		"no second":     func(r *Run) { r.Load.Timeline = nil },
		"one second":    func(r *Run) { r.Load.Timeline = r.Load.Timeline[:1] },
		"no sample":     func(r *Run) { r.Load.Timeline = []LoadSecond{{Seconds: .5, Target: 3}} },
		"no step":       func(r *Run) { r.Load.Search = &Search{StartRate: 5, MaxRate: 5} },
		"no capacity":   func(r *Run) { r.Load.Search.Capacity, r.Load.Search.ReportedStep = 0, 0 },
		"one step":      func(r *Run) { r.Load.Search.Steps, r.Load.Search.ReportedStep = r.Load.Search.Steps[:1], 0 },
		"nothing known": func(r *Run) { r.Load.Search.Steps, r.Load.Search.ReportedStep = make([]SearchStep, 2), 0 },
		"a long name": func(r *Run) {
			r.Scenario = strings.Repeat("long", 25)
			r.Load.Search.Limits = append(r.Load.Search.Limits, SearchLimit{strings.Repeat("x", 200), 1e6}, SearchLimit{"of nothing", 0})
		},
	} {
		if testing.Short() && name != "no step" && name != "no sample" {
			continue
		}
		r := searched(t)
		change(r)
		t.Log(name)
		drawn(t, r, LoadPlot)
		drawn(t, r, SearchPlot)
	}
}

// TestSamePicture checks that drawing a run twice gives equal files.
func TestSamePicture(t *testing.T) {
	var a, b bytes.Buffer
	for _, w := range []io.Writer{&a, &b} {
		if err := SearchPlot(w, searched(t)); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Error("two drawings of one run differ")
	}
}

func TestTicks(t *testing.T) {
	labels := func(ticks []plot.Tick) string {
		var all []string
		for _, one := range ticks {
			if one.Label != "" {
				all = append(all, one.Label)
			}
		}
		return strings.Join(all, " ")
	}
	for _, c := range []struct {
		name, got, want string
	}{
		{"a decade", labels(decades{}.Ticks(.5, 10)), "0.5 1 2 5 10"},
		{"many decades", labels(decades{}.Ticks(.002, 5000)), "0.01 0.1 1 10 100 1,000"},
		{"less than a decade", labels(decades{}.Ticks(200, 500)), "200 500"},
		{"even", labels(linear{}.Ticks(0, 34)), "0 10 20 30"},
		{"even, of thousands", labels(linear{}.Ticks(0, 12000)), "0 5,000 10,000"},
		{"even, of little", labels(linear{}.Ticks(0, 1)), "0 0.2 0.4 0.6 0.8 1"},
		{"even, of nothing", labels(linear{}.Ticks(0, 0)), "0"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %s, want %s", c.name, c.got, c.want)
		}
	}
	for _, c := range []struct{ low, high, from, to float64 }{
		{100, 1600, 50, 2000}, {1, 1, .5, 2}, {.3, 950, .2, 2000}, {4, 8, 2, 10}, {8, 8, 5, 10}, {7, 9, 5, 20},
	} {
		if from, to := logRange(c.low, c.high); from != c.from || to != c.to {
			t.Errorf("%g to %g: an axis from %g to %g, want %g to %g", c.low, c.high, from, to, c.from, c.to)
		}
	}
}
