// Package livepage writes the page of a run in progress: its progress, figures over its time as small charts, and its
// checks so far. A server writes it again while the run lasts. The script of the page shows each new state, and without
// the script a reader loads the page again.
package livepage

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strconv"
	"sync"
	"time"

	"bluetrace/reports"
	"bluetrace/reports/chart"
	"bluetrace/reports/page"
	"bluetrace/reports/runpage"
)

var (
	//go:embed live.html
	text string
	//go:embed live.css
	style string
	//go:embed live.js
	script string

	livePage = page.NewScripted(text, chart.Style+style, script, template.FuncMap{"badge": badge, "href": page.Href})
)

// State is the state of a run.
type State struct {
	At, Length time.Duration // Length is 0 if it is not known
	Doing      string        // such as a step of the script, or ""
	Facts      []page.Fact
	// Values are those of the charts. Each call of Update has the same charts and lines.
	Values []Value
	Checks []reports.Check // so far; those that are not decided are Unknown
}

// Value is the value of one line of a chart. That of a Total is shown as its growth per second.
type Value struct {
	Chart, Line string
	Number      float64
	Total       bool
}

// Ended is a run that has ended.
type Ended struct {
	Name    string
	Verdict reports.Verdict
	Result  string
	Page    string // the path of its page, or ""
}

// Live collects the figures of a run in progress. It is safe for concurrent use.
type Live struct {
	title, about string

	mu     sync.Mutex
	state  State
	times  []float64 // seconds of the run, of the points of all lines
	lines  []*line
	before float64 // time of the last totals
	ended  *Ended  // nil while the run lasts
}

// line is one line of a chart.
type line struct {
	chart, name string
	total       float64 // at the last point
	points      []float64
}

// maxPoints is the number of points of a line. When there are more, two become one.
const maxPoints = 240

// New returns the page of a run that begins.
func New(title, about string) *Live { return &Live{title: title, about: about} }

// Update sets the state of the run, and adds a point to each chart.
func (l *Live) Update(s *State) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state = *s
	at := s.At.Seconds()
	first := l.lines == nil
	if first {
		for _, v := range s.Values {
			l.lines = append(l.lines, &line{chart: v.Chart, name: v.Line, total: v.Number})
		}
	}
	if first || at <= l.before {
		l.before = at
		return
	}
	for i, v := range s.Values {
		point := v.Number
		if v.Total {
			point = max(0, v.Number-l.lines[i].total) / (at - l.before)
			l.lines[i].total = v.Number
		}
		l.lines[i].points = append(l.lines[i].points, point)
	}
	l.times, l.before = append(l.times, at), at
	if len(l.times) == maxPoints {
		l.times = halved(l.times)
		for _, one := range l.lines {
			one.points = halved(one.points)
		}
	}
}

// halved returns the means of pairs of numbers.
func halved(of []float64) []float64 {
	for i := range len(of) / 2 {
		of[i] = (of[2*i] + of[2*i+1]) / 2
	}
	return of[:len(of)/2]
}

// End sets the verdict of the run, whose checks are those of the run.
func (l *Live) End(e *Ended, checks []reports.Check) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended, l.state.Checks, l.state.Facts = e, checks, nil // those of the last state are not the final ones
}

// view is the data of live.html.
type view struct {
	Percent    string // empty if the length is not known
	Progress   string
	Doing      string
	Facts      []page.Fact
	Charts     []template.HTML
	Empty      []string // titles of charts without a value
	Thresholds []reports.Check
	Failed     []reports.Check
	Before     []Ended
	Running    bool
}

// Write writes the page. The runs of the command that ended before have links.
func (l *Live) Write(w io.Writer, before []Ended) error {
	l.mu.Lock()
	p := l.page()
	l.mu.Unlock()
	v := p.Data.(*view)
	v.Before = before
	return livePage.Write(w, p, "the page of a run in progress")
}

func (l *Live) page() *page.Page {
	s := &l.state
	p := &page.Page{Title: l.title, Lead: l.about, Live: true, Verdict: page.Badge{Tone: page.Noted, Text: "running"}}
	v := &view{Progress: s.At.Round(time.Second).String(), Doing: s.Doing, Facts: s.Facts, Running: l.ended == nil}
	if s.Length > 0 {
		percent := 100 * min(1, max(0, float64(s.At)/float64(s.Length)))
		v.Percent = strconv.FormatFloat(percent, 'f', 1, 64)
		v.Progress = fmt.Sprintf("%.0f %%, %s of %s", percent, v.Progress, s.Length)
	}
	if l.ended != nil {
		v.Percent, v.Progress, v.Doing = "", "The run has ended.", ""
		p.Verdict = badge(l.ended.Verdict)
		p.Verdict.Text += ": " + l.ended.Result
	}
	for i := 0; i < len(l.lines); {
		next := i + 1
		for next < len(l.lines) && l.lines[next].chart == l.lines[i].chart {
			next++
		}
		if len(l.times) > 1 {
			if c, ok := draw(l.times, l.lines[i:next]); ok {
				v.Charts = append(v.Charts, c)
			} else {
				v.Empty = append(v.Empty, l.lines[i].chart)
			}
		}
		i = next
	}
	number := map[reports.Verdict]int{}
	for _, c := range s.Checks {
		number[c.Reported()]++
		switch {
		case c.Kind == reports.ThresholdCheck:
			v.Thresholds = append(v.Thresholds, c)
		case c.Verdict == reports.Failed:
			v.Failed = append(v.Failed, c)
		}
	}
	for _, verdict := range []reports.Verdict{reports.Failed, reports.Skipped, reports.Passed, reports.Unknown,
		reports.NotExercised} {
		if n := number[verdict]; n > 0 {
			b := badge(verdict)
			switch {
			case l.ended != nil:
			case verdict == reports.Unknown:
				b.Text = "open"
			case verdict == reports.Passed:
				b.Text = "held so far"
			}
			p.Counts = append(p.Counts, page.Count{Badge: b, Count: n, Section: "checks"})
		}
	}
	p.Data = v
	return p
}

// badge returns a verdict with its tone. One that is not known yet is no warning.
func badge(v reports.Verdict) page.Badge {
	b := runpage.Badge(v)
	if v == reports.Unknown {
		b.Tone = page.Neutral
	}
	return b
}
