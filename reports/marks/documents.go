package marks

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"bluetrace/reports"
)

// Document is a form of the marks of one submission (Sheet) or of a class (Class).
type Document[T Sheet | Class] struct {
	Name  string // as --report has it
	File  string // the usual name of its file
	Write func(io.Writer, *T) error
}

// Documents returns all forms of the marks of one submission. hidden has the numbers of the rules that Gradescope does
// not show to students.
func Documents(hidden ...int) []Document[Sheet] {
	return []Document[Sheet]{
		{"text", "marks.txt", func(w io.Writer, s *Sheet) error { return WriteText(w, s, false) }},
		{"json", "marks.json", WriteJSON},
		{"junit", "junit.xml", WriteJUnit},
		{"html", PageName, WriteHTML},
		{"gradescope", "results.json", func(w io.Writer, s *Sheet) error { return WriteGradescope(w, s, hidden...) }},
		{"check50", "check50.json", WriteCheck50},
	}
}

// ClassDocuments returns all forms of the marks of a class.
func ClassDocuments() []Document[Class] {
	return []Document[Class]{
		{"json", "marks.json", WriteClassJSON},
		{"html", "index.html", WriteMatrix},
		{"csv", "marks.csv", WriteCSV},
	}
}

// sheetDocument is the JSON form of a sheet: its fields and the values derived from them.
type sheetDocument struct {
	Verdict Mark         `json:"verdict"`
	Points  float64      `json:"points"`
	Most    float64      `json:"most"`
	Counts  map[Mark]int `json:"counts"`
	*Sheet
}

func documentOf(s *Sheet) sheetDocument {
	c := *s
	c.Results = append([]Result{}, s.Results...) // a list also if it is empty
	d := sheetDocument{Verdict: s.Verdict(), Counts: s.Counts(), Sheet: &c}
	d.Points, d.Most = s.Score()
	return d
}

// WriteJSON writes one object with the sheet, its verdict, its points and its counts. Bytes that are not UTF-8 become
// U+FFFD.
func WriteJSON(w io.Writer, s *Sheet) error {
	return reports.WriteJSON(w, struct {
		Format int `json:"format"`
		sheetDocument
	}{reports.Format, documentOf(s)}, fmt.Sprintf("the JSON marks of %q", s.Submission))
}

// WriteClassJSON writes one object with the sheets of the class, in the order of their names.
func WriteClassJSON(w io.Writer, c *Class) error {
	d := struct {
		Format int             `json:"format"`
		Sheets []sheetDocument `json:"sheets"`
	}{reports.Format, []sheetDocument{}}
	for _, s := range c.Complete().Sheets {
		d.Sheets = append(d.Sheets, documentOf(s))
	}
	return reports.WriteJSON(w, d, "the JSON marks of the class")
}

// WriteJUnit writes one suite with a case for each rule. A failed rule is a failure, an unstable one a failure of the
// type unstable, and one that was not judged is skipped. A submission that was not judged has one more case with an
// error, so that no tool takes it for a success.
func WriteJUnit(w io.Writer, s *Sheet) error {
	name := reports.Escape(s.Submission)
	suite := reports.JUnitSuite{Name: name, Time: reports.JUnitSeconds(s.Seconds)}
	points, most := s.Score()
	suite.Properties = []reports.JUnitProperty{
		{Name: "seed", Value: strconv.FormatUint(s.Seed, 10)},
		{Name: "points", Value: number(points)},
		{Name: "most", Value: number(most)},
	}
	if s.Verdict() == NotJudged {
		reason := notJudgedReason(s)
		suite.Cases = append(suite.Cases, reports.JUnitCase{
			Name: "the submission can be judged", ClassName: name, Time: reports.JUnitSeconds(0),
			Error: &reports.JUnitProblem{Message: reason, Type: string(NotJudged), Text: reason},
		})
	}
	for i := range s.Results {
		r := &s.Results[i]
		c := reports.JUnitCase{
			Name:      fmt.Sprintf("%d %s", r.Number, reports.Escape(r.Title)),
			ClassName: name + "." + reports.Escape(r.Group), Time: reports.JUnitSeconds(r.Seconds),
		}
		switch r.Mark {
		case Failed, Unstable:
			c.Failure = &reports.JUnitProblem{
				Message: r.rationale(), Type: string(r.Mark), Text: "\n" + r.explanation() + "\n",
			}
		case NotJudged:
			c.Skipped = &reports.JUnitSkip{Message: shorten(r.Reason, valueWidth)}
		}
		suite.Cases = append(suite.Cases, c)
	}
	return reports.WriteJUnit(w, []reports.JUnitSuite{suite}, s.Seconds)
}

// notJudgedReason returns the reason why a submission was not judged, escaped.
func notJudgedReason(s *Sheet) string {
	if s.Problem == "" {
		return "no rule was judged"
	}
	return shorten(s.Problem, valueWidth)
}

// rationale returns one escaped line with the reason of the mark.
func (r *Result) rationale() string {
	if r.Mark != Failed && r.Mark != Unstable {
		return shorten(r.Reason, valueWidth)
	}
	f := r.failures()[0]
	text := shorten(f.Came, valueWidth)
	if f.Expected != "" {
		text = fmt.Sprintf("expected %s; came %s", shorten(f.Expected, valueWidth), text)
	}
	if short := r.inShort(); short != "" {
		text = shorten(short, valueWidth) + ": " + text
	}
	return text
}

type gradescopeTest struct {
	Name       string   `json:"name"`
	Number     string   `json:"number"`
	Score      *float64 `json:"score,omitempty"`
	MaxScore   *float64 `json:"max_score,omitempty"`
	Status     string   `json:"status"`
	Output     string   `json:"output"`
	Visibility string   `json:"visibility"`
}

// WriteGradescope writes the results.json of a Gradescope autograder. hidden has the numbers of the rules that
// students do not see. A rule of the group advice has a status and no score. Gradescope knows passed and failed only:
// a rule that was not judged has the status failed, and its name has the mark.
func WriteGradescope(w io.Writer, s *Sheet, hidden ...int) error {
	sentences := judged(s)
	sentences = sentences[:min(2, len(sentences))] // the third is about the marks, also those of hidden rules
	d := struct {
		Score      float64          `json:"score"`
		Time       float64          `json:"execution_time"`
		Output     string           `json:"output"`
		Format     string           `json:"output_format"`
		TestFormat string           `json:"test_output_format"`
		NameFormat string           `json:"test_name_format"`
		Stdout     string           `json:"stdout_visibility"`
		Tests      []gradescopeTest `json:"tests"`
	}{
		Time: s.Seconds, Output: strings.Join(sentences, " "), Format: "text", TestFormat: "text", NameFormat: "text",
		Stdout: "hidden", Tests: []gradescopeTest{},
	}
	if s.Verdict() == NotJudged {
		d.Output = "Your submission could not be judged: " + notJudgedReason(s)
	}
	d.Score, _ = s.Score()
	for i := range s.Results {
		r := &s.Results[i]
		t := gradescopeTest{
			Name: reports.Escape(r.Title), Number: strconv.Itoa(r.Number), Status: "failed", Output: r.explanation(),
			Visibility: "visible",
		}
		if points, most := r.score(); r.Group != "advice" {
			t.Score, t.MaxScore = &points, &most
		} else {
			t.Name += " (advice)"
		}
		switch r.Mark {
		case Passed, Allowed:
			t.Status = "passed"
		case Unstable, NotJudged:
			t.Name += fmt.Sprintf(" (%s)", r.Mark)
		}
		if slices.Contains(hidden, r.Number) {
			t.Visibility = "hidden"
		}
		d.Tests = append(d.Tests, t)
	}
	return reports.WriteJSON(w, d, fmt.Sprintf("the Gradescope results of %q", s.Submission))
}

type check50Result struct {
	Name        string         `json:"name"`
	Description string         `json:"description"`
	Passed      *bool          `json:"passed"`
	Log         []string       `json:"log"`
	Cause       *check50Cause  `json:"cause"`
	Data        map[string]any `json:"data"`
	Dependency  *string        `json:"dependency"`
}

type check50Cause struct {
	Rationale string `json:"rationale"`
	Help      string `json:"help"`
}

type check50Error struct {
	Type      string         `json:"type"`
	Value     string         `json:"value"`
	Traceback []string       `json:"traceback"`
	Data      map[string]any `json:"data"`
}

// check50Version is the version of check50 whose JSON form WriteCheck50 writes.
const check50Version = "3.0.0"

// WriteCheck50 writes the JSON output of check50, with a check for each rule. passed is null for a rule that was not
// judged. A submission with a problem and without results has an error instead of results.
func WriteCheck50(w io.Writer, s *Sheet) error {
	d := struct {
		Slug    string           `json:"slug"`
		Results *[]check50Result `json:"results,omitempty"`
		Error   *check50Error    `json:"error,omitempty"`
		Version string           `json:"version"`
	}{Slug: "bluetrace/judge", Version: check50Version}
	if len(s.Results) == 0 {
		d.Error = &check50Error{Type: "NotJudged", Value: notJudgedReason(s), Traceback: []string{},
			Data: map[string]any{}}
	} else {
		list := []check50Result{}
		for i := range s.Results {
			list = append(list, check50Of(&s.Results[i]))
		}
		d.Results = &list
	}
	return reports.WriteJSON(w, d, fmt.Sprintf("the check50 results of %q", s.Submission))
}

func check50Of(r *Result) check50Result {
	c := check50Result{
		Name: fmt.Sprintf("rule_%d_%s", r.Number, reports.Escape(r.Of)), Description: reports.Escape(r.Title),
		Log: []string{}, Data: map[string]any{"mark": r.Mark, "group": r.Group, "points": r.Points},
	}
	passed := r.Mark == Passed || r.Mark == Allowed
	if r.Mark != NotJudged {
		c.Passed = &passed
	}
	if r.Mark == Allowed {
		c.Data["reason"] = shorten(r.Reason, valueWidth)
	}
	if passed {
		return c
	}
	c.Cause = &check50Cause{Rationale: r.rationale(), Help: "repeat this check: " + reports.Escape(r.Repeat)}
	if a := r.failing(); a != nil {
		lines, _ := a.tail(tailLines)
		for _, l := range lines {
			c.Log = append(c.Log, strings.TrimSpace(l.text(tailWidth)))
		}
	}
	return c
}

// WriteCSV writes a header and a row for each submission: its name, its points, the most that there are, the mark of
// each rule, and the problem of a submission that could not be judged. A cell that a spreadsheet would take for a
// formula begins with an apostrophe.
func WriteCSV(w io.Writer, c *Class) error {
	c = c.Complete()
	rules := c.rules()
	header := append([]string{"submission", "points", "most"}, columns(rules)...)
	rows := [][]string{append(header, "problem")}
	for _, s := range c.Sheets {
		points, most := s.Score()
		row := []string{cell(s.Submission), number(points), number(most)}
		for _, r := range rules {
			row = append(row, string(s.result(r.key()).Mark))
		}
		rows = append(rows, append(row, cell(s.Problem)))
	}
	if err := csv.NewWriter(w).WriteAll(rows); err != nil {
		return fmt.Errorf("writing the CSV marks of the class: %w", err)
	}
	return nil
}

// cell returns text for a cell of a spreadsheet: escaped, and not a formula.
func cell(text string) string {
	text = reports.Escape(text)
	if strings.IndexAny(strings.TrimLeft(text, " "), "=+-@＝＋－＠") == 0 {
		return "'" + text
	}
	return text
}
