package marks

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"bluetrace/reports"
)

// Marks are all marks, in the order in which documents list them.
var Marks = []Mark{Failed, Unstable, NotJudged, Allowed, Passed}

// groups are the groups of rules, in the order in which documents list them.
var groups = []string{"course", "robustness", "advice"}

// Verdict returns the mark of the whole submission: Passed, Failed or NotJudged. It depends on the rules of the group
// course, or on all rules if the sheet has none of that group. It is Failed if one of them is failed or unstable. It is
// NotJudged if the sheet has a problem, or if most of the rules of the server or of the phone were not judged: then
// nothing is known of that program.
func (s *Sheet) Verdict() Mark {
	hasCourse := slices.ContainsFunc(s.Results, func(r Result) bool { return r.Group == "course" })
	judged, all := map[string]int{}, map[string]int{}
	for i := range s.Results {
		r := &s.Results[i]
		if hasCourse && r.Group != "course" {
			continue
		}
		all[r.Of]++
		switch r.Mark {
		case Failed, Unstable:
			return Failed
		case Passed, Allowed:
			judged[r.Of]++
		}
	}
	if len(all) == 0 || s.Problem != "" {
		return NotJudged
	}
	for of, n := range all {
		if 2*judged[of] < n {
			return NotJudged
		}
	}
	return Passed
}

// problem returns the problem of a submission as a sentence.
func (s *Sheet) problem() string {
	if s.Planned {
		return s.Problem
	}
	return "Your submission could not be judged: " + s.Problem
}

// headline returns the verdict in words. A pass names the number of rules of the course that were not judged.
func (s *Sheet) headline() string {
	unjudged := 0
	for _, r := range s.with(NotJudged) {
		if r.Group == "course" {
			unjudged++
		}
	}
	v := s.Verdict()
	switch {
	case s.Planned:
		return "plan"
	case v != Passed || unjudged == 0:
		return string(v)
	}
	return fmt.Sprintf("%s, %s of the course not judged", v, reports.Plural(unjudged, "rule", "rules"))
}

// Counts returns the number of results with each mark. Every mark is a key.
func (s *Sheet) Counts() map[Mark]int {
	counts := map[Mark]int{}
	for _, m := range Marks {
		counts[m] = len(s.with(m))
	}
	return counts
}

// with returns the results with a mark in the order of their numbers. Those that are failed or unstable are in the
// order of their groups first, so that the words of the assignment come before advice.
func (s *Sheet) with(m Mark) (list []*Result) {
	for i := range s.Results {
		if s.Results[i].Mark == m {
			list = append(list, &s.Results[i])
		}
	}
	slices.SortStableFunc(list, func(a, b *Result) int {
		if m == Failed || m == Unstable {
			return cmp.Or(slices.Index(groups, a.Group)-slices.Index(groups, b.Group), byKey(*a, *b))
		}
		return byKey(*a, *b)
	})
	return list
}

// key identifies a rule: server and phone may have one with the same number.
type key struct {
	Number int
	Of     string
}

func (r *Result) key() key { return key{r.Number, r.Of} }

func byKey(a, b Result) int {
	return cmp.Or(cmp.Compare(a.Number, b.Number), strings.Compare(a.Of, b.Of))
}

// result returns the result of a rule, or nil.
func (s *Sheet) result(k key) *Result {
	for i := range s.Results {
		if s.Results[i].key() == k {
			return &s.Results[i]
		}
	}
	return nil
}

// explained returns the results with a mark, without reasons that only repeat the problem of the sheet.
func (s *Sheet) explained(m Mark) []*Result {
	list := s.with(m)
	for i, r := range list {
		if s.Problem != "" && r.Reason == s.Problem {
			c := *r
			c.Reason = ""
			list[i] = &c
		}
	}
	return list
}

// Complete returns the class with its sheets in the order of their names, each with every rule that any sheet of the
// class has. A rule that a sheet did not have is NotJudged there. So all sheets have the same highest score. The
// receiver is unchanged.
func (c *Class) Complete() *Class {
	rules := c.rules()
	done := &Class{Sheets: make([]*Sheet, 0, len(c.Sheets))}
	for _, s := range c.Sheets {
		full := *s
		full.Results = slices.Clone(s.Results)
		for _, rule := range rules {
			if s.result(rule.key()) == nil {
				rule.Mark, rule.Reason = NotJudged, cmp.Or(s.Problem, "this rule was not run for this submission")
				full.Results = append(full.Results, rule)
			}
		}
		slices.SortStableFunc(full.Results, byKey)
		done.Sheets = append(done.Sheets, &full)
	}
	slices.SortStableFunc(done.Sheets, func(a, b *Sheet) int { return strings.Compare(a.Submission, b.Submission) })
	return done
}

// columns returns the names of rules: "rule 4", or "rule 4 server" if another rule has the same number.
func columns(rules []Result) (names []string) {
	count := map[int]int{}
	for _, r := range rules {
		count[r.Number]++
	}
	for _, r := range rules {
		name := fmt.Sprintf("rule %d", r.Number)
		if count[r.Number] > 1 {
			name += " " + reports.Escape(r.Of)
		}
		names = append(names, name)
	}
	return names
}

// rules returns the rules of all sheets, without marks, in the order of their numbers.
func (c *Class) rules() (list []Result) {
	seen := map[key]bool{}
	for _, s := range c.Sheets {
		for _, r := range s.Results {
			if !seen[r.key()] {
				seen[r.key()] = true
				list = append(list, Result{Number: r.Number, Title: r.Title, Source: r.Source, Group: r.Group, Of: r.Of,
					Points: r.Points})
			}
		}
	}
	slices.SortStableFunc(list, byKey)
	return list
}

// groupScore is the score of the rules of one group.
type groupScore struct {
	Group        string
	Points, Most float64
	Passed, All  int
}

// groupScores returns the scores of the groups that the sheet has. Rules of the group advice give no points.
func (s *Sheet) groupScores() (list []groupScore) {
	for _, name := range groups {
		part := &Sheet{}
		for _, r := range s.Results {
			if r.Group == name {
				part.Results = append(part.Results, r)
			}
		}
		if g := (groupScore{Group: name, All: len(part.Results)}); g.All > 0 {
			g.Points, g.Most = part.Score()
			g.Passed = len(part.with(Passed)) + len(part.with(Allowed))
			list = append(list, g)
		}
	}
	return list
}

// About returns a few words about the group.
func (g groupScore) About() string {
	return map[string]string{
		"course":     "the words of the assignment",
		"robustness": "a program that other people use should do this too",
		"advice":     "worth knowing; gives no points",
	}[g.Group]
}

// Score returns the points of the group as a text. It is empty for advice.
func (g groupScore) Score() string {
	if g.Group == "advice" {
		return ""
	}
	return pointsText(g.Points, g.Most)
}

// score returns the points of the result and the most that there are, which are 0 for advice.
func (r *Result) score() (points, most float64) {
	return (&Sheet{Results: []Result{*r}}).Score()
}

// scoreText returns the points of the result as a text, such as "0 of 2 points".
func (r *Result) scoreText() string {
	if r.Group == "advice" {
		return "advice, no points"
	}
	points, most := r.score()
	return pointsText(points, most)
}

func pointsText(points, most float64) string {
	noun := "points"
	if most == 1 {
		noun = "point"
	}
	return fmt.Sprintf("%s of %s %s", number(points), number(most), noun)
}

// number formats points with at most two decimals.
func number(points float64) string {
	text := strconv.FormatFloat(points, 'f', 2, 64)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
}

// failure is one difference between a program and a rule.
type failure struct{ Expected, Because, Came string }

// failureOf splits "expected …, because …; came …". A text of another form becomes Came. The source of the rule is the
// reason of a text without one.
func failureOf(text, source string) failure {
	rest, ok := strings.CutPrefix(text, "expected ")
	expected, came, hasCame := strings.Cut(rest, "; came ")
	if !ok || !hasCame {
		return failure{Came: text, Because: source}
	}
	// The program's own text is behind "came", so that the first separators are those of the judge.
	expected, because, _ := strings.Cut(expected, ", because ")
	return failure{Expected: expected, Because: cmp.Or(because, source), Came: came}
}

// failing returns the first run that failed, or nil.
func (r *Result) failing() *Attempt {
	for i := range r.Attempts {
		if !r.Attempts[i].Passed {
			return &r.Attempts[i]
		}
	}
	return nil
}

// failures returns the differences of the first run that failed. Without one, the reason is the difference.
func (r *Result) failures() (list []failure) {
	if a := r.failing(); a != nil {
		for _, text := range a.Failures {
			list = append(list, failureOf(text, r.Source))
		}
	}
	if len(list) == 0 {
		list = append(list, failureOf(cmp.Or(r.Reason, "the rule failed"), r.Source))
	}
	return list
}

// inShort returns the reason, unless the failures have it already. For an unstable result it has the number of runs
// that failed.
func (r *Result) inShort() string {
	failed, known := 0, r.failing() == nil
	for _, a := range r.Attempts {
		if !a.Passed {
			failed++
		}
		known = known || slices.Contains(a.Failures, r.Reason)
	}
	text := r.Reason
	if known {
		text = ""
	}
	if r.Mark == Unstable && len(r.Attempts) > 0 {
		count := fmt.Sprintf("failed in %d of %d runs", failed, len(r.Attempts))
		return strings.TrimSuffix(count+": "+text, ": ")
	}
	return text
}

// tail returns at most n lines from the end of the run, and the number of lines before them.
func (a *Attempt) tail(n int) (lines []Line, before int) {
	before = max(0, len(a.Lines)-n)
	return a.Lines[before:], before
}

// shorten escapes text and cuts it to at most n runes. The end then has the number of bytes that are missing.
func shorten(text string, n int) string {
	cut := text
	if len(text) > 4*n { // so that a text of megabytes is not escaped as a whole
		cut = text[:4*n]
	}
	escaped := reports.Escape(cut)
	if len(cut) == len(text) && utf8.RuneCountInString(escaped) <= n {
		return escaped
	}
	kept := []rune(escaped)
	kept = kept[:min(n, len(kept))]
	return fmt.Sprintf("%s… (%s in all)", string(kept), reports.Plural(len(text), "byte", "bytes"))
}

// numbers returns the numbers of the results as ranges, such as "1" and "3-5".
func numbers(list []*Result) (ranges []string) {
	for i := 0; i < len(list); {
		j := i
		for j+1 < len(list) && list[j+1].Number == list[j].Number+1 {
			j++
		}
		text := strconv.Itoa(list[i].Number)
		if j > i {
			text += "-" + strconv.Itoa(list[j].Number)
		}
		ranges = append(ranges, text)
		i = j + 1
	}
	return ranges
}
