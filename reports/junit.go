package reports

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// JUnitSuites is a JUnit document. Its texts must be escaped by Escape.
type JUnitSuites struct {
	XMLName xml.Name `xml:"testsuites"`
	Name    string   `xml:"name,attr"`
	JUnitCounts
	Time   string       `xml:"time,attr"`
	Suites []JUnitSuite `xml:"testsuite"`
}

// JUnitCounts are the numbers of the cases of a suite or a document.
type JUnitCounts struct {
	Tests    int `xml:"tests,attr"`
	Failures int `xml:"failures,attr"`
	Errors   int `xml:"errors,attr"`
	Skipped  int `xml:"skipped,attr"`
}

// JUnitSuite is a suite of a JUnit document. WriteJUnit counts its cases.
type JUnitSuite struct {
	Name string `xml:"name,attr"`
	File string `xml:"file,attr,omitempty"`
	JUnitCounts
	Time       string          `xml:"time,attr"`
	Properties []JUnitProperty `xml:"properties>property,omitempty"`
	Cases      []JUnitCase     `xml:"testcase"`
}

// JUnitProperty is a named text of a suite.
type JUnitProperty struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

// JUnitCase is a test case. It passed if it has no failure and no error and is not skipped.
type JUnitCase struct {
	Name      string        `xml:"name,attr"`
	ClassName string        `xml:"classname,attr"`
	File      string        `xml:"file,attr,omitempty"`
	Line      string        `xml:"line,attr,omitempty"`
	Time      string        `xml:"time,attr"`
	Failure   *JUnitProblem `xml:"failure"`
	Error     *JUnitProblem `xml:"error"`
	Skipped   *JUnitSkip    `xml:"skipped"`
}

// JUnitProblem is the failure or the error of a case.
type JUnitProblem struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
	Text    string `xml:",cdata"`
}

// JUnitSkip has the reason why a case is skipped.
type JUnitSkip struct {
	Message string `xml:"message,attr"`
}

// JUnit writes one document with a test suite for each run and a test case for
// each of its checks. A failed check is a failure with place, expected and found;
// an undecided check is skipped. A run that could not start is one case with an
// error. The time of a suite is in wall seconds; the time of a check is 0. sets are
// the NAME=VALUE pairs of --set, which the names of suites and classes contain.
func JUnit(w io.Writer, runs []*Run, sets ...string) error {
	var suites []JUnitSuite
	wall, used, variant := 0.0, map[string]bool{}, ""
	if len(sets) > 0 {
		variant = " {" + strings.Join(slices.Sorted(slices.Values(sets)), ", ") + "}"
	}
	for _, r := range runs {
		named := *r
		named.Scenario = suiteName(used, r.Scenario, variant)
		suites = append(suites, suiteOf(&named))
		wall += finite(r.WallSeconds)
	}
	return WriteJUnit(w, suites, wall)
}

// WriteJUnit writes a document of suites that took some seconds. It sets the counts of the suites.
func WriteJUnit(w io.Writer, suites []JUnitSuite, seconds float64) error {
	all := JUnitSuites{Name: "bluetrace", Time: JUnitSeconds(seconds), Suites: suites}
	for i := range suites {
		suites[i].add(suites[i].Cases)
		all.add(suites[i].Cases)
	}
	b := bytes.NewBufferString(xml.Header)
	e := xml.NewEncoder(b)
	e.Indent("", "  ")
	if err := e.Encode(all); err != nil {
		return fmt.Errorf("encoding the JUnit report: %w", err)
	}
	b.WriteByte('\n')
	return WriteDocument(w, b.Bytes(), "the JUnit report")
}

// add adds cases to the counts.
func (s *JUnitCounts) add(cases []JUnitCase) {
	s.Tests += len(cases)
	for _, c := range cases {
		switch {
		case c.Error != nil:
			s.Errors++
		case c.Failure != nil:
			s.Failures++
		case c.Skipped != nil:
			s.Skipped++
		}
	}
}

// suiteName returns a name for a suite that is not in used, also not with other
// upper-case letters: the scenario, a number if necessary, and the variant. Tools that
// merge reports take two cases with one class and name for one case.
func suiteName(used map[string]bool, scenario, variant string) string {
	name := scenario + variant
	for n := 2; used[strings.ToLower(name)]; n++ {
		name = fmt.Sprintf("%s-%d%s", scenario, n, variant)
	}
	used[strings.ToLower(name)] = true
	return name
}

func suiteOf(r *Run) JUnitSuite {
	s := JUnitSuite{Name: Escape(r.Scenario), File: Escape(r.File), Time: JUnitSeconds(finite(r.WallSeconds))}
	if r.Verdict == NotRun {
		s.Cases = []JUnitCase{errorCase(r, "the scenario can be run", "not run", strings.Split(r.Error, "\n"))}
		return s
	}
	s.Properties = append(s.Properties, JUnitProperty{"seed", strconv.FormatUint(r.Seed, 10)})
	if r.Digest != "" {
		s.Properties = append(s.Properties, JUnitProperty{"digest", Escape(r.Digest)})
	}
	s.Properties = append(s.Properties, JUnitProperty{"world", Escape(r.World)},
		JUnitProperty{"virtual_seconds", JUnitSeconds(finite(r.VirtualSeconds))},
		JUnitProperty{"repeat", Escape(r.Repeat)})
	s.Properties = append(s.Properties, searchProperties(r)...)
	if r.Verdict == Invalid {
		s.Cases = append(s.Cases, errorCase(r, "the generator is not the bottleneck", "invalid", r.Load.Invalid))
	}
	seen := map[string]int{}
	for _, c := range r.Checks {
		s.Cases = append(s.Cases, caseOf(r, c, seen))
	}
	return s
}

// searchProperties returns the result of a search as properties.
func searchProperties(r *Run) []JUnitProperty {
	if r.Load == nil || r.Load.Search == nil {
		return nil
	}
	s := r.Load.Search
	list := []JUnitProperty{
		{"capacity", strconv.FormatFloat(finite(s.Capacity), 'f', -1, 64)},
		{"capacity_at_least", strconv.FormatBool(s.AtLeast)},
	}
	if s.Confidence != nil {
		confidence := strconv.FormatFloat(finite(*s.Confidence), 'f', -1, 64)
		list = append(list, JUnitProperty{"capacity_confidence", confidence})
	}
	return list
}

// errorCase returns a case with an error of a type, such as "not run". The message
// of the error is the first of the lines, and its text is all of them.
func errorCase(r *Run, name, errorType string, lines []string) JUnitCase {
	return JUnitCase{
		Name: name, ClassName: Escape(r.Scenario), File: Escape(r.File), Time: JUnitSeconds(0),
		Error: &JUnitProblem{Message: Escape(lines[0]), Type: errorType, Text: escapedLines(lines)},
	}
}

// caseOf returns the case of a check. It counts names in seen and numbers those
// that repeat, because tools take two cases with one name and class for one case.
func caseOf(r *Run, c Check, seen map[string]int) JUnitCase {
	t := JUnitCase{
		Name: Escape(c.Name), ClassName: Escape(r.Scenario) + "." + string(c.Kind),
		File: Escape(r.File), Time: JUnitSeconds(0),
	}
	if file, line, ok := splitPlace(c.Place); ok {
		t.File, t.Line = Escape(file), line
	}
	key := t.ClassName + "\n" + t.Name
	seen[key]++
	if n := seen[key]; n > 1 {
		t.Name += fmt.Sprintf(" (%d)", n)
	}
	switch c.Reported() {
	case Failed:
		t.Failure = failureOf(r, c)
	case Passed:
	case Skipped:
		t.Skipped = &JUnitSkip{Message: Escape(c.Found)}
	case NotExercised:
		t.Skipped = &JUnitSkip{Message: "not exercised: nothing that this check is about happened"}
	default:
		t.Skipped = &JUnitSkip{Message: "the run ended before this was decided"}
	}
	return t
}

func failureOf(r *Run, c Check) *JUnitProblem {
	lines := []string{}
	add := func(name, text string) {
		if text != "" {
			lines = append(lines, name+": "+text)
		}
	}
	add("place", c.Place)
	add("expected", c.Expected)
	add("found", c.FoundText())
	if c.AtSeconds != nil {
		name := "virtual time"
		if r.World == Live {
			name = "time"
		}
		add(name, FormatTime(*c.AtSeconds))
	}
	if len(c.LastEvents) > 0 {
		lines = append(append(lines, "last events:"), c.LastEvents...)
	}
	add("repeat", r.Repeat)
	message := c.Name
	if c.Expected != "" || c.Found != "" {
		message = fmt.Sprintf("expected %s, found %s", c.Expected, c.FoundText())
	}
	return &JUnitProblem{Message: Escape(message), Type: string(c.Kind), Text: escapedLines(lines)}
}

// splitPlace splits file:line:column or file:line. The name of the file may contain
// colons.
func splitPlace(place string) (file, line string, ok bool) {
	rest, last, ok := cutLast(place)
	if !ok {
		return "", "", false
	}
	if file, line, ok := cutLast(rest); ok {
		return file, line, true
	}
	return rest, last, true
}

// cutLast cuts a number and the colon before it off the end of text.
func cutLast(text string) (rest, number string, ok bool) {
	i := strings.LastIndexByte(text, ':')
	if i < 1 {
		return "", "", false
	}
	if _, err := strconv.ParseUint(text[i+1:], 10, 32); err != nil {
		return "", "", false
	}
	return text[:i], text[i+1:], true
}

// escapedLines returns the lines, escaped, each ending with a line feed, after an
// empty line.
func escapedLines(lines []string) string {
	var b strings.Builder
	b.WriteByte('\n')
	for _, line := range lines {
		b.WriteString(Escape(line))
		b.WriteByte('\n')
	}
	return b.String()
}

// JUnitSeconds formats seconds for the time of a suite or a case.
func JUnitSeconds(s float64) string { return strconv.FormatFloat(s, 'f', 3, 64) }
