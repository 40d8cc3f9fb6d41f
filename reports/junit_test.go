package reports

import (
	"encoding/xml"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func junitOf(t *testing.T, runs ...*Run) (string, JUnitSuites) {
	t.Helper()
	var b strings.Builder
	if err := JUnit(&b, runs); err != nil {
		t.Fatal(err)
	}
	var parsed JUnitSuites
	if err := xml.Unmarshal([]byte(b.String()), &parsed); err != nil {
		t.Fatalf("%v in\n%s", err, b.String())
	}
	parsed.XMLName = xml.Name{}
	return b.String(), parsed
}

func TestJUnitHasACaseForEachCheck(t *testing.T) {
	_, got := junitOf(t, failedRun())
	want := JUnitSuites{
		Name: "bluetrace", Time: "0.002", JUnitCounts: JUnitCounts{Tests: 3, Failures: 1, Skipped: 1},
		Suites: []JUnitSuite{{
			Name: "blocking", File: "scenarios/blocking.yaml", Time: "0.002", JUnitCounts: JUnitCounts{Tests: 3,
				Failures: 1, Skipped: 1},
			Properties: []JUnitProperty{{"seed", "1"}, {"digest", "0000000000000001"}, {"world", "virtual"},
				{"virtual_seconds", "62.050"}, {"repeat", "sim run --seed 1 scenarios/blocking.yaml"}},
			Cases: []JUnitCase{
				{Name: "{at: blocked + 59.999999999s, phone: owner, login: right}", ClassName: "blocking.expectation",
					File: "scenarios/blocking.yaml", Line: "18", Time: "0.000",
					Failure: &JUnitProblem{Message: `expected reply "Your account is blocked", found reply "Welcome"`,
						Type: "expectation", Text: `
place: scenarios/blocking.yaml:18:5
expected: reply "Your account is blocked"
found: reply "Welcome"
virtual time: 61.999999999 s (1m1.999999999s)
last events:
1m1.9s owner sends password
1m1.99s server says Welcome
repeat: sim run --seed 1 scenarios/blocking.yaml
`}},
				{Name: "{at: blocked + 60s, phone: owner, login: right}", ClassName: "blocking.expectation",
					File: "scenarios/blocking.yaml", Line: "20", Time: "0.000",
					Skipped: &JUnitSkip{"the run ended before this was decided"}},
				{Name: "a block lasts exactly block_duration", ClassName: "blocking.invariant",
					File: "scenarios/blocking.yaml", Time: "0.000"},
			},
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestJUnitSumsOverSuites(t *testing.T) {
	_, got := junitOf(t, passedRun(t), failedRun(), &Run{Scenario: "broken", File: "broken.yaml", Verdict: NotRun,
		Error: "unknown key \"phnes\"\nand more"})
	if got.Tests != 7 || got.Failures != 1 || got.Errors != 1 || got.Skipped != 1 || got.Time != "0.052" ||
		len(got.Suites) != 3 {
		t.Errorf("got tests %d, failures %d, errors %d, skipped %d, time %s, %d suites",
			got.Tests, got.Failures, got.Errors, got.Skipped, got.Time, len(got.Suites))
	}
	want := []JUnitCase{{Name: "the scenario can be run", ClassName: "broken", File: "broken.yaml", Time: "0.000",
		Error: &JUnitProblem{Message: `unknown key "phnes"`, Type: "not run",
			Text: "\nunknown key \"phnes\"\nand more\n"}}}
	if diff := cmp.Diff(want, got.Suites[2].Cases); diff != "" {
		t.Error(diff)
	}
}

func TestJUnitNumbersChecksOfOneName(t *testing.T) {
	r := &Run{Scenario: "s", Checks: []Check{
		{Kind: ExpectationCheck, Name: "twice", Verdict: Passed},
		{Kind: InvariantCheck, Name: "twice", Verdict: Passed},
		{Kind: ExpectationCheck, Name: "twice", Verdict: Passed},
	}}
	_, got := junitOf(t, r)
	var names []string
	for _, c := range got.Suites[0].Cases {
		names = append(names, c.ClassName+" "+c.Name)
	}
	if diff := cmp.Diff([]string{"s.expectation twice", "s.invariant twice", "s.expectation twice (2)"},
		names); diff != "" {
		t.Error(diff)
	}
}

func TestJUnitIsWellFormedWhateverTheTexts(t *testing.T) {
	r := hostileRun()
	text, got := junitOf(t, r)
	if want := Escape(hostile); got.Suites[0].Cases[0].Name != want || got.Suites[0].Cases[0].File != want {
		t.Errorf("name %q, file %q, want %q", got.Suites[0].Cases[0].Name, got.Suites[0].Cases[0].File, want)
	}
	if !strings.Contains(got.Suites[0].Cases[0].Failure.Text, "found: "+Escape(hostile)+"\n") {
		t.Errorf("failure text %q", got.Suites[0].Cases[0].Failure.Text)
	}
	d := xml.NewDecoder(strings.NewReader(text))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func TestSplitPlace(t *testing.T) {
	for _, c := range []struct {
		place, file, line string
		ok                bool
	}{
		{"a.yaml:3:4", "a.yaml", "3", true},
		{"a.yaml:3", "a.yaml", "3", true},
		{"c:a.yaml:3:4", "c:a.yaml", "3", true},
		{"a.yaml", "", "", false},
		{"", "", "", false},
		{":3", "", "", false},
		{"a:b", "", "", false},
	} {
		file, line, ok := splitPlace(c.place)
		if file != c.file || line != c.line || ok != c.ok {
			t.Errorf("splitPlace(%q) = %q, %q, %v", c.place, file, line, ok)
		}
	}
}

func FuzzReportsOfAnyText(f *testing.F) {
	f.Add(hostile)
	f.Add("]]>")
	f.Fuzz(func(t *testing.T, text string) {
		r := hostileRun()
		r.Scenario, r.Checks[0].Name, r.Checks[0].Found, r.Repeat = text, text, text, text
		junitOf(t, r)
		jsonOf(t, r)
		for _, c := range textOf(t, r, TextOptions{}) {
			if c != '\n' && !strconv.IsPrint(c) && c != '\ufffd' {
				t.Fatalf("%U in the text", c)
			}
		}
	})
}

// TestJUnitKeysAreUnique checks that no two cases have one class and name: of several
// scenarios with one name, of names that differ in case, of names with numbers, and of
// one file under several values of --set.
func TestJUnitKeysAreUnique(t *testing.T) {
	check := []Check{{Kind: ExpectationCheck, Name: "once", Verdict: Passed}}
	runs := []*Run{
		{Scenario: "base", Checks: check}, {Scenario: "base", Checks: check}, {Scenario: "base-2", Checks: check},
		{Scenario: "Base", Checks: check},
		{Scenario: "base", Verdict: NotRun, Error: "x"}, {Scenario: "base", Verdict: NotRun, Error: "x"},
		{Scenario: "base.expectation", Verdict: NotRun, Error: "x"},
	}
	var classes []string
	for _, sets := range [][]string{nil, {"B=1", "A=x"}, {"A=x", "B=2"}} {
		var b strings.Builder
		if err := JUnit(&b, runs, sets...); err != nil {
			t.Fatal(err)
		}
		var got JUnitSuites
		if err := xml.Unmarshal([]byte(b.String()), &got); err != nil {
			t.Fatal(err)
		}
		for _, s := range got.Suites {
			for _, c := range s.Cases {
				classes = append(classes, s.Name+": "+c.ClassName)
			}
		}
	}
	want := []string{
		"base: base.expectation", "base-2: base-2.expectation", "base-2-2: base-2-2.expectation",
		"Base-3: Base-3.expectation",
		"base-4: base-4", "base-5: base-5", "base.expectation: base.expectation",
	}
	for _, sets := range []string{" {A=x, B=1}", " {A=x, B=2}"} {
		for _, name := range []string{"base", "base-2", "base-2-2", "Base-3"} {
			want = append(want, name+sets+": "+name+sets+".expectation")
		}
		for _, name := range []string{"base-4", "base-5", "base.expectation"} {
			want = append(want, name+sets+": "+name+sets)
		}
	}
	if diff := cmp.Diff(want, classes); diff != "" {
		t.Error(diff)
	}
	if runs[1].Scenario != "base" {
		t.Errorf("the run was renamed to %q", runs[1].Scenario)
	}
}
