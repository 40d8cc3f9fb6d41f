package chart

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
)

func labelsOf(a Axis) string {
	var all []string
	for _, one := range a.ticks() {
		if one.label != "" {
			all = append(all, one.label)
		}
	}
	return strings.Join(all, " ")
}

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		name string
		axis Axis
		want string
	}{
		{"a decade", Axis{Log: true, Min: .5, Max: 10}, "0.5 1 2 5 10"},
		{"many decades", Axis{Log: true, Min: .002, Max: 5000}, "0.01 0.1 1 10 100 1,000"},
		{"less than a decade", Axis{Log: true, Min: 200, Max: 500}, "200 500"},
		{"even", Axis{Max: 34}, "0 10 20 30"},
		{"even, of thousands", Axis{Max: 12000}, "0 5,000 10,000"},
		{"even, of little", Linear("", .7), "0 0.2 0.4 0.6 0.8"},
		{"even, of nothing", Axis{}, "0"},
		{"given", Axis{Max: 3, Step: 1}, "0 1 2 3"},
		{"seconds", Time("", 0, 25), "0s 5s 10s 15s 20s 25s"},
		{"milliseconds", Time("", 0, .3), "0s 100ms 200ms 300ms"},
		{"minutes", Time("", 0, 2700), "0s 10m 20m 30m 40m"},
		{"minutes and seconds", Time("", 0, 150), "0s 30s 1m 1m30s 2m 2m30s"},
		{"hours", Time("", 0, 20000), "0s 1h 2h 3h 4h 5h"},
		{"a year", Time("", 0, 365*24*3600), "0s 1536h 3072h 4608h 6144h 7680h"},
	} {
		if got := labelsOf(c.axis); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestRanges(t *testing.T) {
	for _, c := range []struct{ low, high, from, to float64 }{
		{100, 1600, 50, 2000}, {1, 1, .5, 2}, {.3, 950, .2, 2000}, {4, 8, 2, 10}, {8, 8, 5, 10}, {7, 9, 5, 20},
	} {
		if a := Log("", 1, 10, c.high, 0, c.low, math.NaN(), math.Inf(1)); a.Min != c.from || a.Max != c.to {
			t.Errorf("%g to %g: an axis from %g to %g, want %g to %g", c.low, c.high, a.Min, a.Max, c.from, c.to)
		}
	}
	if a := Log("", 1, 10, 0); a.Min != .5 || a.Max != 20 {
		t.Errorf("without a value the axis is from %g to %g", a.Min, a.Max)
	}
	for most, want := range map[float64]float64{0: 1, 1: 1.5, 137: 150, 950: 1000, 1000: 1500, .3: .4, 40: 60} {
		if a := Linear("", most, math.NaN()); math.Abs(a.Max-want) > 1e-9 {
			t.Errorf("%g: an axis to %g, want %g", most, a.Max, want)
		}
	}
}

// TestAxesOfExtremeValues: a chart of any values has few marks, and no coordinate that is not a number.
func TestAxesOfExtremeValues(t *testing.T) {
	extremes := []float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, -1, 1, 5e-324, 1e-320, 1e-310, 1e307, 1e308,
		math.MaxFloat64}
	for _, a := range extremes {
		for _, b := range extremes {
			for _, axis := range []Axis{Linear("", a, b), Log("", 1, 10, a, b)} {
				if !(axis.Max > axis.Min) || axis.Max > 10*mostValue || axis.Log && axis.Min < leastValue/10 {
					t.Fatalf("%g, %g: the axis is from %g to %g", a, b, axis.Min, axis.Max)
				}
				c := Chart{Height: 10, X: axis, Y: axis, Series: []Series{{Name: "x", Points: []Point{{a, b}, {b, a}}}}}
				if svg := string(c.Inline()); strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") || len(svg) > 50_000 {
					t.Errorf("%g, %g: %d bytes, %.500s", a, b, len(svg), svg)
				}
			}
		}
	}
}

// sample returns a chart with every part. Its area is 100 high.
func sample() *Chart {
	return &Chart{
		Title: `a "title" <x>`, Height: 100, X: Axis{Name: "x <x>", Max: 10}, Y: Axis{Name: "y <y>", Log: true, Min: 1,
			Max: 100},
		Bands: []Band{{Name: "band", Color: Grey, From: 0, To: 2}},
		Blocks: []Blocks{{Name: "empty", Color: Blue, Level: 1}, {Name: "block", Color: Blue, Level: 9,
			List: []Block{{0, 5, 1, 10}}}},
		Series: []Series{
			{Name: "line", Color: Red, Points: []Point{{0, 1}, {5, 10}, {6, math.NaN()}, {7, 100}, {8, math.NaN()},
				{9, 1}, {10, 1000}}},
			{Name: "crosses", Color: Grey, Shape: Cross, NoLine: true, Points: []Point{{5, 10}}},
			{Name: "nothing", Color: Blue, Points: []Point{{1, math.NaN()}}},
		},
		Rules: []Rule{{Name: "threshold \x1b\u202e", Color: Purple, Dash: Dashed, At: 10}, {Color: Green,
			Vertical: true, At: 5}},
		Hints: []Hint{{From: 0, To: 1, Text: "one\ntwo \x1b</title><script>"}},
	}
}

// TestPartsAreInTheirPlaces checks positions: 0 to 10 is 0 to 100 %, and 1 to 100 is from the bottom to the top.
func TestPartsAreInTheirPlaces(t *testing.T) {
	got := string(sample().Inline())
	for _, want := range []string{
		`<path class="line c-red " d="M0.0 100.0L500.0 50.0M900.0 100.0L1000.0 0.0"/>`,
		// 1000 is at the end of the axis
		`<path class="line dot c-red" d="M700.0 0.0h0"/>`,
		`<path class="block c-blue l9" d="M0.0 50.0H500.0V100.0H0.0z"/>`,
		`<rect class="band c-grey" x="0.00%" width="20.00%" height="100"/>`,
		`<line class="line rule c-purple dashed" x2="100%" y1="50.0" y2="50.0"/>`,
		`<line class="line rule c-green " x1="50.00%" x2="50.00%" y2="100"/>`,
		`<svg x="50.00%" y="50.0"><path class="line c-grey" d="M-4-4L4 4M-4 4L4-4"/></svg>`,
		"<title>one\ntwo \\x1b&lt;/title&gt;&lt;script&gt;</title>",
		`</svg> threshold \x1b\u202e</li>`, "<figcaption>a &#34;title&#34; &lt;x&gt;</figcaption>",
		`aria-label="a &#34;title&#34; &lt;x&gt;"`, ">x &lt;x&gt;</text>", ">y &lt;y&gt;</text>",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
	if strings.Contains(got, "empty") || strings.Contains(got, "nothing") {
		t.Error("the legend has a part without data")
	}
}

// textsOf checks that a file is well-formed, and returns its texts.
func textsOf(t *testing.T, file []byte) (texts []string) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(file))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return texts
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, file)
		}
		if text, ok := token.(xml.CharData); ok {
			texts = append(texts, string(text))
		}
	}
}

func TestFileIsWellFormedAndTheSameTwice(t *testing.T) {
	f := File{Title: "t\x00\u202e]]>&", Subtitle: "s", Charts: []*Chart{sample(), {Title: strings.Repeat("x", 500),
		Height: 9}}}
	var files [2]bytes.Buffer
	for i := range files {
		if err := f.Write(&files[i]); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(files[0].Bytes(), files[1].Bytes()) {
		t.Error("two drawings of one chart differ")
	}
	text := strings.Join(textsOf(t, files[0].Bytes()), "\n")
	for _, want := range []string{`t\x00\u202e]]>&`, "prefers-color-scheme: dark", "crosses"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in the texts", want)
		}
	}
}

// TestLabelsOfRulesDoNotCover: labels of rules 4 px apart, or at the same place, are at different ends, and below
// a line that has another one above it.
func TestLabelsOfRulesDoNotCover(t *testing.T) {
	c := &Chart{Height: 100, X: Axis{Max: 10}, Y: Axis{Max: 100}, Rules: []Rule{
		{Label: "a", At: 50}, {Label: "b", At: 46},
		{Label: "far", At: 10}, {Label: "same", At: 50}, {Label: "upright", Vertical: true, At: 5}, {At: 90},
		{Label: "under", At: 86}}}
	got := string(c.Inline())
	for _, want := range []string{
		`<text class="label" x="100%" y="46.0" text-anchor="end">a</text>`,
		`<text class="label" x="100%" y="67.0" text-anchor="end">b</text>`,
		`<text class="label" x="100%" y="86.0" text-anchor="end">far</text>`,
		`<text class="label" x="0" y="46.0" text-anchor="start">same</text>`,
		`<text class="label" x="100%" y="27.0" text-anchor="end">under</text>`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
	if strings.Contains(got, "upright") {
		t.Error("a vertical rule has a label")
	}
}
