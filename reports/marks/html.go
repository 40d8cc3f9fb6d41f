package marks

import (
	_ "embed"
	"fmt"
	"io"
	"strconv"
	"strings"

	"bluetrace/reports"
	"bluetrace/reports/page"
)

var (
	//go:embed sheet.html
	sheetText string
	//go:embed class.html
	classText string

	sheetPage = page.New(sheetText)
	classPage = page.New(classText)
)

const (
	// pageLines is the number of lines of a run that a page shows.
	pageLines = 300
	// pageWidth is the number of runes of a text that a page shows.
	pageWidth = 2000
)

func (m Mark) badge() page.Badge { return page.Badge{Tone: m.look().tone, Text: string(m)} }

// id returns the id of the section of a part.
func (p *part) id() string { return strings.ReplaceAll(p.title, " ", "-") }

// sheetView is the data of sheet.html.
type sheetView struct {
	Sections []sectionView
	Groups   []groupScore
	Points   string
	Facts    []page.Fact
}

type sectionView struct {
	ID, Title, About, Column string
	Tone                     page.Tone
	Cards                    bool // each rule has a card with its failures and runs
	Rules                    []ruleView
}

type ruleView struct {
	*Result
	ID, Score, Short string
	Differences      [][]page.Fact
	Repeat           []page.Fact
	Runs             []runView
}

type runView struct {
	Summary string
	Rows    []rowView
	Files   []fileView
}

type rowView struct{ At, From, To, Text string }

type fileView struct {
	Name  string
	Facts []page.Fact
}

// WriteHTML writes one page for the author of the submission: the rules that did not pass first, with the runs that
// explain the marks. The page needs no network and no JavaScript.
func WriteHTML(w io.Writer, s *Sheet) error {
	p := &page.Page{Title: s.Submission, Verdict: page.Badge{Tone: s.Verdict().look().tone, Text: s.headline()}}
	points, most := s.Score()
	if most > 0 {
		p.Verdict.Text += ", " + pointsText(points, most)
	}
	if s.Problem != "" {
		p.Problem = shorten(s.problem(), pageWidth)
	}
	p.Lead = strings.Join(judged(s), " ")
	for _, note := range s.Notes {
		p.Notes = append(p.Notes, shorten(note, pageWidth))
	}
	v := sheetView{Groups: s.groupScores(), Points: pointsText(points, most)}
	for _, part := range s.parts() {
		p.Counts = append(p.Counts, page.Count{
			Badge: page.Badge{Tone: part.tone, Text: part.title}, Count: len(part.list), Section: part.id(),
		})
		v.Sections = append(v.Sections, sectionOf(&part))
	}
	v.Facts = []page.Fact{
		{Name: "dialect", Text: s.Dialect},
		{Name: "seed", Text: strconv.FormatUint(s.Seed, 10)},
		{Name: "duration", Text: number(s.Seconds) + " s"},
	}
	p.Data = v
	return sheetPage.Write(w, p, fmt.Sprintf("the page of %q", s.Submission))
}

func sectionOf(p *part) sectionView {
	v := sectionView{
		ID: p.id(), Title: strings.ToUpper(p.title[:1]) + p.title[1:], About: p.about, Tone: p.tone,
		Cards: p.Mark == Failed || p.Mark == Unstable, Column: p.column,
	}
	for _, r := range p.list {
		rule := ruleView{Result: r, ID: ruleID(r), Score: r.scoreText(), Short: shorten(r.Reason, pageWidth)}
		if v.Cards {
			rule.explain()
		}
		v.Rules = append(v.Rules, rule)
	}
	return v
}

// ruleID returns the id of a rule on a page.
func ruleID(r *Result) string { return fmt.Sprintf("rule-%d-%s", r.Number, r.Of) }

// explain adds the differences and the runs of a rule that did not pass.
func (v *ruleView) explain() {
	v.Short = shorten(v.inShort(), pageWidth)
	for _, f := range v.failures() {
		v.Differences = append(v.Differences, []page.Fact{
			{Name: "expected", Text: shorten(f.Expected, pageWidth)},
			{Name: "because", Text: shorten(f.Because, pageWidth)},
			{Name: "came", Text: shorten(f.Came, pageWidth), Code: f.Expected != ""},
		})
	}
	v.Repeat = []page.Fact{{Name: "repeat", Text: v.Result.Repeat, Code: true}}
	for i := range v.Attempts {
		if a := &v.Attempts[i]; len(a.Lines)+len(a.Files) > 0 {
			v.Runs = append(v.Runs, runOf(i+1, a))
		}
	}
}

// runOf returns the view of the run with a number from 1.
func runOf(n int, a *Attempt) runView {
	lines, before := a.tail(pageLines)
	result := "failed"
	if a.Passed {
		result = "passed"
	}
	v := runView{Summary: fmt.Sprintf("Run %d %s: messages and output (%s)", n, result,
		reports.Plural(len(a.Lines), "line", "lines"))}
	if before > 0 {
		v.Summary += fmt.Sprintf(", the last %d", len(lines))
	}
	if len(a.Files) > 0 {
		v.Summary += ", " + reports.Plural(len(a.Files), "file", "files")
	}
	for _, l := range lines {
		v.Rows = append(v.Rows, rowView{fmt.Sprintf("%.3f", l.AtSeconds), shorten(l.From, 60), shorten(l.To, 60),
			shorten(l.Text, pageWidth)})
	}
	for _, f := range a.Files {
		v.Files = append(v.Files, fileView{f.Name, []page.Fact{
			{Name: "before", Text: shorten(f.Before, pageWidth), Code: true},
			{Name: "after", Text: shorten(f.After, pageWidth), Code: true},
		}})
	}
	return v
}

// classView is the data of class.html.
type classView struct {
	Unpassed      []*ruleTotals
	Legend        []page.Badge
	Rules         []*ruleTotals
	Rows          []submissionView
	UnpassedBadge page.Badge
}

// ruleTotals has the number of submissions with each mark of a rule.
type ruleTotals struct {
	Result
	ID, Name, Label string
	Count           map[string]int // by mark; Passed includes Allowed
}

// Unpassed reports whether no submission passes the rule.
func (t *ruleTotals) Unpassed() bool { return t.Count[string(Passed)] == 0 }

type submissionView struct {
	Name, Link, Points, Problem string
	Verdict                     page.Badge
	Cells                       []cellView
}

type cellView struct {
	page.Badge
	Title string
}

// PageName is the name of the page of a submission, in the folder with the name of the submission beside the page of
// the class.
const PageName = "marks.html"

// WriteMatrix writes the page of the class: a table of submissions by rules with totals, the rules that no submission
// passes, and links to SUBMISSION/PageName.
func WriteMatrix(w io.Writer, c *Class) error {
	c = c.Complete()
	v := classView{UnpassedBadge: page.Badge{Tone: page.Unsure, Text: "no submission passes"}}
	for _, m := range Marks {
		v.Legend = append(v.Legend, m.badge())
	}
	rules := c.rules()
	for i, name := range columns(rules) {
		v.Rules = append(v.Rules, &ruleTotals{Result: rules[i], ID: ruleID(&rules[i]), Name: name,
			Label: strings.TrimPrefix(name, "rule "), Count: map[string]int{}})
	}
	counts := map[Mark]int{}
	for _, s := range c.Sheets {
		counts[s.Verdict()]++
		points, most := s.Score()
		row := submissionView{
			Name: s.Submission, Link: page.Href(s.Submission, PageName), Points: number(points) + " of " + number(most),
			Problem: shorten(s.Problem, 100), Verdict: s.Verdict().badge(),
		}
		for _, t := range v.Rules {
			m := s.result(t.key()).Mark
			title := fmt.Sprintf("%s, %s: %s", s.Submission, t.Name, m)
			row.Cells = append(row.Cells, cellView{m.badge(), title})
			if m == Allowed {
				m = Passed
			}
			t.Count[string(m)]++
		}
		v.Rows = append(v.Rows, row)
	}
	for _, t := range v.Rules {
		if t.Unpassed() {
			v.Unpassed = append(v.Unpassed, t)
		}
	}
	p := &page.Page{Wide: true, Data: v}
	p.Title = "Marks of " + reports.Plural(len(c.Sheets), "submission", "submissions")
	for _, m := range []Mark{Passed, Failed, NotJudged} {
		p.Counts = append(p.Counts, page.Count{Badge: m.badge(), Count: counts[m], Section: "matrix"})
	}
	if n := len(v.Unpassed); n > 0 {
		p.Counts = append(p.Counts, page.Count{Badge: v.UnpassedBadge, Count: n, Section: "unpassed"})
	}
	return classPage.Write(w, p, "the page of the class")
}
