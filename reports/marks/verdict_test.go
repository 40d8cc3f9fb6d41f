package marks

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestVerdictDependsOnCourseRules(t *testing.T) {
	of := func(group string, marks ...Mark) (list []Result) {
		for i, m := range marks {
			list = append(list, Result{Number: i + 1, Group: group, Mark: m})
		}
		return list
	}
	join := slices.Concat[[]Result]
	for _, c := range []struct {
		name  string
		sheet Sheet
		want  Mark
	}{
		{"no results", Sheet{}, NotJudged},
		{"all passed", Sheet{Results: of("course", Passed, Allowed)}, Passed},
		{"only an allowed difference", Sheet{Results: of("course", Allowed)}, Passed},
		{"one failed", Sheet{Results: of("course", Passed, Failed)}, Failed},
		{"one unstable", Sheet{Results: of("course", Passed, Unstable)}, Failed},
		{"one not judged", Sheet{Results: of("course", Passed, NotJudged)}, Passed},
		{"none judged", Sheet{Results: of("course", NotJudged, NotJudged)}, NotJudged},
		{"most of one program not judged", Sheet{Results: join(of("course", Passed, Passed, Passed),
			[]Result{{Of: "phone", Group: "course", Mark: Passed}, {Of: "phone", Group: "course", Mark: NotJudged},
				{Of: "phone", Group: "course", Mark: NotJudged}})}, NotJudged},
		{"robustness and advice failed", Sheet{Results: join(of("course", Passed), of("robustness", Failed),
			of("advice", Failed, Unstable))}, Passed},
		{"only robustness judged", Sheet{Results: join(of("course", NotJudged), of("robustness", Passed))}, NotJudged},
		{"no course rules, passed", Sheet{Results: of("robustness", Passed)}, Passed},
		{"no course rules, failed", Sheet{Results: of("robustness", Passed, Failed)}, Failed},
		{"a problem", Sheet{Problem: "no server", Results: of("course", Passed)}, NotJudged},
		{"a problem after a failure", Sheet{Problem: "no server", Results: of("course", Failed)}, Failed},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.sheet.Verdict(); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestCountsAndScore(t *testing.T) {
	s := sample()
	want := map[Mark]int{Passed: 4, Failed: 3, Unstable: 1, NotJudged: 1, Allowed: 1}
	if got := s.Counts(); !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if points, most := s.Score(); points != 8 || most != 14.5 {
		t.Errorf("got %v of %v, want 8 of 14.5", points, most)
	}
	wantGroups := []groupScore{{"course", 8, 14, 5, 8}, {"robustness", 0, 0.5, 0, 1}, {"advice", 0, 0, 0, 1}}
	if diff := cmp.Diff(wantGroups, s.groupScores()); diff != "" {
		t.Error(diff)
	}
	if got := len((&Sheet{}).Counts()); got != len(Marks) {
		t.Errorf("an empty sheet has %d counts, want one of each of %d marks", got, len(Marks))
	}
}

func TestCompleteGivesEachSheetEveryRule(t *testing.T) {
	c := sampleClass()
	c.Sheets[0].Results = append(c.Sheets[0].Results, Result{Number: 1, Of: "phone", Group: "course", Points: 1,
		Mark: Passed})
	done := c.Complete()
	var names []string
	for _, s := range done.Sheets {
		names = append(names, s.Submission)
		if _, most := s.Score(); len(s.Results) != 11 || most != 15.5 {
			t.Errorf("%s has %d rules and %v points, want 11 and 15.5", s.Submission, len(s.Results), most)
		}
		if !slices.IsSortedFunc(s.Results, byKey) {
			t.Errorf("%s is not sorted", s.Submission)
		}
	}
	if diff := cmp.Diff([]string{"=good team #1?", "Broken <b>", "javascript:alert(1)", "team-07"}, names); diff != "" {
		t.Error(diff)
	}
	broken := done.Sheets[1].Results[0]
	if broken.Mark != NotJudged || broken.Reason != c.Sheets[2].Problem {
		t.Errorf("a rule of a submission with a problem is %q, %q", broken.Mark, broken.Reason)
	}
	if c.Sheets[0].Submission != "team-07" || len(c.Sheets[2].Results) != 0 {
		t.Error("Complete changed the class")
	}
	if got := columns(done.rules())[:3]; !slices.Equal(got, []string{"rule 1 phone", "rule 1 server", "rule 4"}) {
		t.Errorf("columns are %q", got)
	}
}

func TestFailureIsSplitAtTheJudgesOwnWords(t *testing.T) {
	for _, c := range []struct {
		text string
		want failure
	}{
		{`expected a welcome, because it is right (3.2); came "x; came y, because z"`,
			failure{"a welcome", "it is right (3.2)", `"x; came y, because z"`}},
		{`expected a welcome; came "x, because y"`, failure{"a welcome", "section 3", `"x, because y"`}},
		{`expected a welcome`, failure{"", "section 3", "expected a welcome"}},
		{`the server has ended; came later`, failure{"", "section 3", "the server has ended; came later"}},
	} {
		if got := failureOf(c.text, "section 3"); got != c.want {
			t.Errorf("failureOf(%q) = %q, want %q", c.text, got, c.want)
		}
	}
}

func TestShortenEscapesAndCuts(t *testing.T) {
	for _, c := range []struct {
		text string
		n    int
		want string
	}{
		{"abc", 3, "abc"},
		{"abcd", 3, "abc… (4 bytes in all)"},
		{"é\x1b", 5, `é\x1b`},
		{"é\x1b!", 5, `é\x1b… (4 bytes in all)`},
		{strings.Repeat("é", 1000), 2, "éé… (2,000 bytes in all)"},
		{"a\xffb", 6, `a\xffb`},
	} {
		got := shorten(c.text, c.n)
		if got != c.want || !utf8.ValidString(got) {
			t.Errorf("shorten(%q, %d) = %q, want %q", c.text, c.n, got, c.want)
		}
	}
}

func TestNumbersAreRanges(t *testing.T) {
	var list []*Result
	for _, n := range []int{1, 3, 4, 5, 9, 10} {
		list = append(list, &Result{Number: n})
	}
	if got := strings.Join(numbers(list), " "); got != "1 3-5 9-10" {
		t.Errorf("got %q", got)
	}
}
