package marks

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"bluetrace/reports"
	"bluetrace/reports/page"
)

const (
	// tailLines is the number of lines of a run that texts show.
	tailLines = 12
	// tailWidth is the number of columns of the text of such a line.
	tailWidth = 90
	// valueWidth is the number of columns of a value of a failure.
	valueWidth = 400
)

// WriteText writes the marks for the author of the submission: the verdict, each rule that did not pass with the
// reason and the end of its run, the other rules, and the points at the end. Text of programs is escaped.
func WriteText(w io.Writer, s *Sheet, color bool) error {
	p := &textPage{reports.Page{Colored: color}}
	p.head(s)
	for _, part := range s.parts() {
		p.part(&part)
	}
	p.points(s)
	return reports.WriteDocument(w, p.Bytes(), fmt.Sprintf("the marks of %q", s.Submission))
}

// textPage is the text of a sheet.
type textPage struct{ reports.Page }

// look is the form of a mark in documents.
type look struct {
	tone   page.Tone
	color  reports.Color
	column string // the head of the titles in a table
	about  string // a sentence for a reader who does not know the mark
}

func (m Mark) look() look {
	return map[Mark]look{
		Failed: {page.Bad, reports.Red, "Title", "The program does not follow the rule."},
		Unstable: {page.Unsure, reports.Yellow, "Title", "The same rule failed in one run and passed in another. " +
			"It gives no points until it always passes."},
		NotJudged: {page.Neutral, reports.Yellow, "Title and reason", "Something that the rule needs was missing. " +
			"It is no failure, but it gives no points."},
		Allowed: {page.Noted, reports.Green, "Title and difference", "The program does it in its own way, which the " +
			"assignment allows. It gives full points."},
		Passed: {page.Good, reports.Green, "Title", "The program follows the rule."},
	}[m]
}

// part is a section of a document: the results with a mark.
type part struct {
	Mark
	look
	title string
	list  []*Result
}

// parts returns the sections of the sheet that have a result. Advice that is not followed has one of its own.
func (s *Sheet) parts() (all []part) {
	advice := part{Failed, look{page.Noted, reports.Yellow, "Title",
		"Good practice that the program does not follow. It costs no points."}, "advice", nil}
	for _, m := range Marks {
		p := part{m, m.look(), string(m), nil}
		if s.Planned {
			p.title, p.about = "planned", "What the judge would do."
		}
		for _, r := range s.explained(m) {
			if r.Group == "advice" && (m == Failed || m == Unstable) {
				advice.list = append(advice.list, r)
			} else {
				p.list = append(p.list, r)
			}
		}
		if all = append(all, p); m == Unstable {
			all = append(all, advice)
		}
	}
	return slices.DeleteFunc(all, func(p part) bool { return len(p.list) == 0 })
}

// summary returns the sizes of the parts in words.
func summary(s *Sheet) string {
	var words []string
	for _, p := range s.parts() {
		words = append(words, fmt.Sprintf("%d %s", len(p.list), p.title))
	}
	return cmp.Or(strings.Join(words, ", "), "no rule was judged")
}

// judged returns sentences about the subject and the manner of the judgement. It returns none if no rule was run.
func judged(s *Sheet) []string {
	if len(s.Results) == len(s.with(NotJudged)) {
		return nil
	}
	count := map[string]int{}
	for _, r := range s.Results {
		count[r.Of]++
	}
	subject := "Your programs were"
	switch {
	case count["phone"]+count["both"] == 0 && count["server"] > 0:
		subject = "Your server was"
	case count["server"]+count["both"] == 0 && count["phone"] > 0:
		subject = "Your phone program was"
	}
	list := []string{
		fmt.Sprintf("%s started as the assignment describes and tried with %s.", subject,
			reports.Plural(len(s.Results), "rule", "rules")),
		"Each rule ran alone, in a fresh copy of your folder. Where one needs the work of another, it is not judged.",
	}
	unjudged := func(r Result) bool { return r.Mark == NotJudged && r.Group == "course" }
	counts := s.Counts()
	if s.Verdict() == Passed && counts[Failed]+counts[Unstable] > 0 && !slices.ContainsFunc(s.Results, unjudged) {
		list = append(list, "The rules that did not pass are not the words of the assignment: you passed without them.")
	}
	return list
}

func (p *textPage) head(s *Sheet) {
	points, most := s.Score()
	title := p.Paint(s.Verdict().look().color, strings.ToUpper(s.headline())) + "  " + reports.Escape(s.Submission)
	if most > 0 {
		title += ": " + pointsText(points, most)
	}
	p.Line("%s", title)
	if s.Problem != "" {
		p.Gap()
		p.Line("  %s", shorten(s.problem(), valueWidth))
	}
	p.Gap()
	p.Fields("judged", judged(s))
	p.Field("result", summary(s))
	for _, note := range s.Notes {
		p.Field("note", shorten(note, valueWidth))
	}
}

// part writes one part.
func (p *textPage) part(v *part) {
	p.Gap()
	p.Line("%s (%s): %s", p.Paint(v.color, strings.ToUpper(v.title)), reports.Plural(len(v.list), "rule", "rules"), v.about)
	switch v.Mark {
	case Passed:
		p.Row("rules", numbers(v.list))
		return
	case NotJudged, Allowed:
		for _, r := range v.list {
			text := fmt.Sprintf("  %3d  %s: %s", r.Number, reports.Escape(r.Title), shorten(r.Reason, valueWidth))
			p.Line("%s", strings.TrimSuffix(text, ": "))
		}
		return
	}
	for _, r := range v.list {
		p.Gap()
		p.failed(r)
	}
}

// failed writes a result that is failed or unstable.
func (p *textPage) failed(r *Result) {
	p.Line("  rule %d: %s (%s; %s)", r.Number, reports.Escape(r.Title), reports.Escape(r.Of), r.scoreText())
	p.Detail("in short", shorten(r.inShort(), valueWidth))
	for _, f := range r.failures() {
		p.Detail("expected", shorten(f.Expected, valueWidth))
		p.Detail("because", shorten(f.Because, valueWidth))
		p.Detail("came", shorten(f.Came, valueWidth))
	}
	if a := r.failing(); a != nil && len(a.Lines) > 0 {
		lines, before := a.tail(tailLines)
		if before > 0 {
			p.Line("    the last %d of %s of this run:", len(lines), reports.Plural(len(a.Lines), "line", "lines"))
		} else {
			p.Line("    the run:")
		}
		for _, l := range lines {
			p.Line("    %s", l.text(tailWidth))
		}
	}
	p.Detail("repeat", r.Repeat)
}

// text returns the line with its time and direction, escaped, with at most width runes of its text.
func (l *Line) text(width int) string {
	return fmt.Sprintf("%9.3f s  %s -> %s  %s", l.AtSeconds, shorten(l.From, 40), shorten(l.To, 40),
		shorten(l.Text, width))
}

// points writes the points of each group and their sum.
func (p *textPage) points(s *Sheet) {
	if len(s.Results) > 0 {
		p.Gap()
	}
	for _, g := range s.groupScores() {
		text := fmt.Sprintf("%s, %d of %s passed", g.Score(), g.Passed, reports.Plural(g.All, "rule", "rules"))
		p.Field(g.Group, strings.TrimPrefix(text, ", "))
	}
	if points, most := s.Score(); most > 0 {
		p.Field("points", pointsText(points, most))
	}
}

// explanation returns the text of a result without its title: the reason, and the end of the run of a failed rule.
func (r *Result) explanation() string {
	if r.Mark != Failed && r.Mark != Unstable {
		return strings.TrimSuffix(string(r.Mark)+": "+shorten(r.Reason, valueWidth), ": ")
	}
	p := &textPage{}
	p.failed(r)
	_, text, _ := strings.Cut(p.String(), "\n")
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for i := range lines {
		lines[i] = strings.TrimPrefix(lines[i], "    ")
	}
	return string(r.Mark) + "\n" + strings.Join(lines, "\n")
}
