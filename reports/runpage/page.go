// Package runpage writes the page of a run: one HTML file with the verdict, each failure with the events around it as a
// spacetime diagram, the text of the scenario, the course of the run, delays and counts. Everything is readable without
// the script, which only filters and enlarges the diagrams. The figures are those of reports.Run.
package runpage

import (
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"bluetrace/reports"
	"bluetrace/reports/chart"
	"bluetrace/reports/counts"
	"bluetrace/reports/page"
)

var (
	//go:embed parts.html
	parts string
	//go:embed run.html
	runText string
	//go:embed index.html
	indexText string
	//go:embed run.css
	style string
	//go:embed run.js
	script string

	runPage = New(runText, template.FuncMap{
		"digits": reports.FormatDigits, "line": lineOf,
		"samples": func(n int64) string { return reports.FormatCount(uint64(n)) },
		"short":   func(text string) string { return cut(text, maxText) },
	})
	indexPage = page.NewScripted(indexText, "", "", template.FuncMap{"badge": Badge, "href": page.Href,
		"length":  reports.FormatLength,
		"lines":   func(r *reports.Run) []string { return strings.Split(cmp.Or(r.Error, Result(r)), "\n") },
		"problem": func(r *reports.Run) string { return cut(problem(r), maxProblem) }})
)

// New returns the form of pages that have parts of the page of a run: the templates "scene" of a Picture, "contacts" of
// a Graph and "source" of a Source, with their style sheet and script, and the functions badge, count and seconds.
func New(main string, own template.FuncMap) page.Template {
	functions := template.FuncMap{"badge": Badge, "count": reports.FormatCount, "seconds": seconds}
	maps.Copy(functions, own)
	return page.NewScripted(parts+main, chart.Style+style, script, functions)
}

// maxText is the number of runes of a text that a page shows.
const maxText = 2000

// maxProblem is the number of runes of the first failure of a run on the page over all runs.
const maxProblem = 250

// view is the data of run.html.
type view struct {
	*reports.Run
	Failures []failure
	Named    []named
	Charts   []*chart.Chart
	Empty    []string // titles of charts without a value
	Delays   []*chart.Chart
	Contacts *Graph
	Source   Source
	Groups   []group
	Rows     []countGroup
	Facts    []page.Fact
	LeftOut  []string
}

// failure is a failed check.
type failure struct {
	Title string
	Line  int    // in the file of the scenario; 0 if the check has none
	Step  string // the whole step, also if it has several lines
	Facts []page.Fact
	Scene *Picture // nil if no events were kept
	Last  []string // the last events, if there is no scene

	Contacts *Graph
}

type named struct {
	Label, At string
	Scene     *Picture
	Contacts  *Graph
}

// Source is the text of a scenario. A line has the worst verdict of its checks. The elements of its lines are named
// line-N, behind ID.
type Source struct {
	ID    string
	Lines []SourceLine
}

// SourceLine is a line of a Source.
type SourceLine struct {
	Number int
	Text   string
	Tone   page.Tone // empty if the line has no check
	Word   string
}

// group holds the checks of one kind.
type group struct {
	Title  string
	Placed bool // the checks have values and places in the file
	List   []*reports.Check
}

type countGroup struct {
	Name string
	List []reports.KindCount
}

// Write writes the page of a run, which must have a Scene or be a load.
func Write(w io.Writer, r *reports.Run) error {
	if r.Load != nil {
		return writeLoad(w, r)
	}
	p := &page.Page{
		Title: r.Scenario, Lead: r.About, Verdict: Badge(r.Verdict), Problem: problem(r), Notes: r.Notes,
	}
	v := view{Run: r, Facts: facts(r), LeftOut: leftOut(r.Scene)}
	v.failures(r)
	number := map[reports.Verdict]int{}
	for i := range r.Checks {
		number[r.Checks[i].Reported()]++
	}
	p.Counts = countsOf(number, "checks")
	p.Verdict.Text += ": " + Result(r)
	for i := range r.Scene.Moments {
		if m := &r.Scene.Moments[i]; !m.Failed {
			v.Named = append(v.Named, named{m.Of, seconds(m.At), Draw(m, r.Scene.Bands), DrawContacts(m.Contacts)})
		}
	}
	v.Charts, v.Empty = charts(r.Scene)
	v.Delays = distributions(r.Operations)
	if v.Contacts = DrawContacts(r.Scene.Contacts); v.Contacts != nil {
		v.Contacts.Open = true
	}
	v.Source = SourceOf(r, "")
	v.checks(r)
	v.counts(r)
	p.Data = v
	return runPage.Write(w, p, fmt.Sprintf("the page of %q", r.Scenario))
}

// Badge returns a verdict with its tone.
func Badge(v reports.Verdict) page.Badge {
	tone := page.Unsure
	switch v {
	case reports.Passed:
		tone = page.Good
	case reports.Failed, reports.Invalid, reports.NotRun:
		tone = page.Bad
	case reports.NotExercised, reports.Skipped:
		tone = page.Neutral
	}
	return page.Badge{Tone: tone, Text: string(v)}
}

// Result returns the result of a run in a few words. That of an invalid load begins with the reason: its failed checks
// do not make it invalid.
func Result(r *reports.Run) string {
	if r.Verdict == reports.Invalid {
		return "the generator was the bottleneck; " + r.Result()
	}
	return r.Result()
}

// worstFirst has the verdicts, the worst first.
var worstFirst = []reports.Verdict{reports.Failed, reports.Invalid, reports.NotRun, reports.Skipped,
	reports.Interrupted, reports.Unknown, reports.Passed, reports.NotExercised}

// countsOf returns the numbers of the verdicts, the worst first, with a link to a section.
func countsOf(number map[reports.Verdict]int, section string) (list []page.Count) {
	for _, v := range worstFirst {
		if n := number[v]; n > 0 {
			list = append(list, page.Count{Badge: Badge(v), Count: n, Section: section})
		}
	}
	return list
}

// failed returns the failed checks by the time of their failure. Those of the whole run, which have no time, are last.
func failed(r *reports.Run) (list []*reports.Check) {
	for i := range r.Checks {
		if r.Checks[i].Verdict == reports.Failed {
			list = append(list, &r.Checks[i])
		}
	}
	slices.SortStableFunc(list, func(a, b *reports.Check) int { return cmp.Compare(timeOf(a), timeOf(b)) })
	return list
}

// titleOf returns the title of a check: its kind and line, or its name if it has no line.
func titleOf(c *reports.Check) string {
	if n := lineOf(c); n > 0 {
		return fmt.Sprintf("%s at line %d", c.Kind, n)
	}
	return c.Name
}

// problem returns the sentence about a run that failed, or "".
func problem(r *reports.Run) string {
	if r.Load != nil {
		return loadProblem(r)
	}
	list := failed(r)
	if len(list) == 0 {
		return ""
	}
	return firstFailure(titleOf(list[0]), list[0].Expected, list[0].FoundText())
}

func firstFailure(title, expected, found string) string {
	const most = 300
	text := "First failure: " + cut(title, most)
	if expected == "" || !strings.HasSuffix(title, expected) { // that of a threshold is in its title
		text += "; expected " + cut(cmp.Or(expected, "nothing"), most)
	}
	return text + "; found " + cut(found, most)
}

// failures adds the failed checks.
func (v *view) failures(r *reports.Run) {
	for _, c := range failed(r) {
		f := failure{Title: titleOf(c), Line: lineOf(c), Last: c.LastEvents}
		if f.Line > 0 {
			f.Step = cut(c.Name, maxText)
		}
		f.Facts = []page.Fact{{Name: "expected", Text: cut(cmp.Or(c.Expected, "nothing"), maxText)},
			{Name: "found", Text: cut(c.FoundText(), maxText)}}
		if c.AtSeconds != nil {
			f.Facts = append(f.Facts, page.Fact{Name: "at", Text: reports.FormatTime(*c.AtSeconds)})
		}
		if m := MomentOf(r, c); m != nil {
			f.Scene, f.Contacts = Draw(m, r.Scene.Bands), DrawContacts(m.Contacts)
		}
		v.Failures = append(v.Failures, f)
	}
}

// MomentOf returns the moment of a failed check of a run, or nil if no events around it were kept.
func MomentOf(r *reports.Run, c *reports.Check) *reports.Moment {
	for i := range r.Scene.Moments {
		if m := &r.Scene.Moments[i]; m.Failed && m.Of == cmp.Or(c.Place, c.Name) {
			return m
		}
	}
	return nil
}

// timeOf returns the time of a failure, which is infinite if the check has none.
func timeOf(c *reports.Check) float64 {
	if c.AtSeconds == nil {
		return math.Inf(1)
	}
	return *c.AtSeconds
}

// lineOf returns the line of a check in the file of the scenario, or 0 if it has none.
func lineOf(c *reports.Check) int {
	parts := strings.Split(c.Place, ":")
	if len(parts) < 3 { // the name of a file may have colons
		return 0
	}
	n, _ := strconv.Atoi(parts[len(parts)-2])
	return n
}

func lineText(source []string, line int) string {
	if line <= len(source) {
		return cut(source[line-1], maxText)
	}
	return ""
}

// SourceOf returns the text of the scenario of a run, with an id that begins the names of its lines.
func SourceOf(r *reports.Run, id string) Source {
	worst := map[int]reports.Verdict{}
	order := []reports.Verdict{"", reports.Passed, reports.Unknown, reports.Skipped, reports.Failed}
	for i := range r.Checks {
		c := &r.Checks[i]
		if n := lineOf(c); slices.Index(order, c.Verdict) > slices.Index(order, worst[n]) {
			worst[n] = c.Verdict
		}
	}
	words := map[reports.Verdict]string{reports.Passed: "held", reports.Failed: "failed",
		reports.Unknown: "not reached", reports.Skipped: "not reached"}
	s, lines := Source{ID: id}, strings.Split(strings.TrimRight(r.Scene.Source, "\n"), "\n")
	for i := range lines {
		l := SourceLine{Number: i + 1, Text: lineText(lines, i+1), Word: words[worst[i+1]]}
		if l.Word != "" {
			l.Tone = Badge(worst[i+1]).Tone
		}
		s.Lines = append(s.Lines, l)
	}
	return s
}

// checks adds all checks by their kind.
func (v *view) checks(r *reports.Run) {
	for _, kind := range []reports.CheckKind{reports.InvariantCheck, reports.ThresholdCheck, reports.ExpectationCheck} {
		g := group{Title: string(kind) + "s", Placed: kind != reports.InvariantCheck}
		for i := range r.Checks {
			if c := &r.Checks[i]; c.Kind == kind {
				g.List = append(g.List, c)
			}
		}
		if len(g.List) > 0 {
			v.Groups = append(v.Groups, g)
		}
	}
}

// counts adds the counts of the run in the groups of the summary.
func (v *view) counts(r *reports.Run) {
	add := func(name string, c reports.KindCount) {
		if last := len(v.Rows) - 1; last < 0 || v.Rows[last].Name != name {
			v.Rows = append(v.Rows, countGroup{Name: name})
		}
		g := &v.Rows[len(v.Rows)-1]
		g.List = append(g.List, c)
	}
	for _, row := range counts.Rows() {
		if row.IsKnown(&r.Counts) {
			add(row.Group(), reports.KindCount{Kind: row.Column(), Count: row.Of(&r.Counts)})
		}
	}
	for _, c := range r.Faults {
		add("faults", c)
	}
	for _, c := range r.Adversaries {
		add("adversaries", c)
	}
}

func facts(r *reports.Run) []page.Fact {
	build := r.Scene.Build
	return []page.Fact{
		{Name: "repeat", Text: r.Repeat, Code: true},
		{Name: "seed", Text: strconv.FormatUint(r.Seed, 10)},
		{Name: "digest", Text: r.Digest, Code: true},
		{Name: "build", Text: cmp.Or(build.Revision, "unknown revision") + ", " + build.Go},
		{Name: "file", Text: r.File},
		{Name: "world", Text: r.World},
		{Name: "begins", Text: r.Scene.Start.Format("2006-01-02 15:04:05 MST")},
		{Name: "time", Text: fmt.Sprintf("%s, in %.3f s of real time", reports.FormatTime(r.VirtualSeconds),
			r.WallSeconds)},
		{Name: "events", Text: reports.FormatCount(r.Events)},
		{Name: "phones", Text: reports.FormatCount(uint64(r.Phones))},
	}
}

// leftOut returns sentences about the parts of the run that the page does not show.
func leftOut(s *reports.Scene) []string {
	shown := 0
	for i := range s.Moments {
		shown += len(s.Moments[i].Events)
	}
	width := time.Duration(0)
	if len(s.Samples) > 1 {
		width = s.Samples[1].At - s.Samples[0].At
	}
	list := []string{fmt.Sprintf("Events: %s of %s are shown, those around failures and named moments. "+
		"All others are only in the charts, in steps of %v, and in the counts. --trace and --events write all.",
		reports.FormatCount(uint64(shown)), reports.FormatCount(s.Recorded), width)}
	if s.MoreMoments > 0 {
		list = append(list, fmt.Sprintf("Failures and named moments without their events: %s.",
			reports.FormatCount(uint64(s.MoreMoments))))
	}
	if s.MoreBands > 0 {
		list = append(list, fmt.Sprintf("Faults, blocks and stopped programs that no diagram shows: %s.",
			reports.FormatCount(uint64(s.MoreBands))))
	}
	return list
}

// WriteIndex writes the page over all runs of a command, with facts about the command.
func WriteIndex(w io.Writer, runs []*reports.Run, facts []page.Fact) error {
	p := &page.Page{Title: "Scenarios", Data: map[string]any{"Runs": runs, "Facts": facts}}
	number := map[reports.Verdict]int{}
	for _, r := range runs {
		number[r.Verdict]++
	}
	if p.Counts = countsOf(number, "runs"); len(p.Counts) > 0 {
		p.Verdict = p.Counts[0].Badge
	}
	return indexPage.Write(w, p, "the page of all scenarios")
}
