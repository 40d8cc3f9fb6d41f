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

type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Name     string       `xml:"name,attr"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Errors   int          `xml:"errors,attr"`
	Skipped  int          `xml:"skipped,attr"`
	Time     string       `xml:"time,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name       string          `xml:"name,attr"`
	File       string          `xml:"file,attr,omitempty"`
	Tests      int             `xml:"tests,attr"`
	Failures   int             `xml:"failures,attr"`
	Errors     int             `xml:"errors,attr"`
	Skipped    int             `xml:"skipped,attr"`
	Time       string          `xml:"time,attr"`
	Properties []junitProperty `xml:"properties>property,omitempty"`
	Cases      []junitCase     `xml:"testcase"`
}

type junitProperty struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type junitCase struct {
	Name      string        `xml:"name,attr"`
	ClassName string        `xml:"classname,attr"`
	File      string        `xml:"file,attr,omitempty"`
	Line      string        `xml:"line,attr,omitempty"`
	Time      string        `xml:"time,attr"`
	Failure   *junitProblem `xml:"failure"`
	Error     *junitProblem `xml:"error"`
	Skipped   *junitSkip    `xml:"skipped"`
}

type junitProblem struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
	Text    string `xml:",cdata"`
}

type junitSkip struct {
	Message string `xml:"message,attr"`
}

// JUnit writes one document with a test suite for each run and a test case for
// each of its checks. A failed check is a failure with place, expected and found;
// an undecided check is skipped. A run that could not start is one case with an
// error. The time of a suite is in wall seconds; the time of a check is 0. sets are
// the NAME=VALUE pairs of --set, which the names of suites and classes contain.
func JUnit(w io.Writer, runs []*Run, sets ...string) error {
	all := junitSuites{Name: "bluetrace"}
	wall, used, variant := 0.0, map[string]bool{}, ""
	if len(sets) > 0 {
		variant = " {" + strings.Join(slices.Sorted(slices.Values(sets)), ", ") + "}"
	}
	for _, r := range runs {
		named := *r
		named.Scenario = suiteName(used, r.Scenario, variant)
		s := suiteOf(&named)
		all.Tests += s.Tests
		all.Failures += s.Failures
		all.Errors += s.Errors
		all.Skipped += s.Skipped
		all.Suites = append(all.Suites, s)
		wall += finite(r.WallSeconds)
	}
	all.Time = junitSeconds(wall)

	b := bytes.NewBufferString(xml.Header)
	e := xml.NewEncoder(b)
	e.Indent("", "  ")
	if err := e.Encode(all); err != nil {
		return fmt.Errorf("encoding the JUnit report: %w", err)
	}
	b.WriteByte('\n')
	return WriteDocument(w, b.Bytes(), "the JUnit report")
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

func suiteOf(r *Run) junitSuite {
	s := junitSuite{Name: Escape(r.Scenario), File: Escape(r.File), Time: junitSeconds(finite(r.WallSeconds))}
	if r.Verdict == NotRun {
		s.Tests, s.Errors = 1, 1
		s.Cases = []junitCase{errorCase(r, "the scenario can be run", "not run", strings.Split(r.Error, "\n"))}
		return s
	}
	s.Properties = []junitProperty{
		{"seed", strconv.FormatUint(r.Seed, 10)},
		{"digest", Escape(r.Digest)},
		{"world", Escape(r.World)},
		{"virtual_seconds", junitSeconds(finite(r.VirtualSeconds))},
		{"repeat", Escape(r.Repeat)},
	}
	s.Properties = append(s.Properties, searchProperties(r)...)
	if r.Digest == "" {
		s.Properties = slices.DeleteFunc(s.Properties, func(p junitProperty) bool { return p.Name == "digest" })
	}
	if r.Verdict == Invalid {
		s.Tests, s.Errors = 1, 1
		s.Cases = append(s.Cases, errorCase(r, "the generator is not the bottleneck", "invalid", r.Load.Invalid))
	}
	seen := map[string]int{}
	for _, c := range r.Checks {
		s.Tests++
		switch c.reported() {
		case Failed:
			s.Failures++
		case Passed:
		default:
			s.Skipped++
		}
		s.Cases = append(s.Cases, caseOf(r, c, seen))
	}
	return s
}

// searchProperties returns the result of a search as properties.
func searchProperties(r *Run) []junitProperty {
	if r.Load == nil || r.Load.Search == nil {
		return nil
	}
	s := r.Load.Search
	list := []junitProperty{
		{"capacity", strconv.FormatFloat(finite(s.Capacity), 'f', -1, 64)},
		{"capacity_at_least", strconv.FormatBool(s.AtLeast)},
	}
	if s.Confidence != nil {
		confidence := strconv.FormatFloat(finite(*s.Confidence), 'f', -1, 64)
		list = append(list, junitProperty{"capacity_confidence", confidence})
	}
	return list
}

// errorCase returns a case with an error of a type, such as "not run". The message
// of the error is the first of the lines, and its text is all of them.
func errorCase(r *Run, name, errorType string, lines []string) junitCase {
	return junitCase{
		Name: name, ClassName: Escape(r.Scenario), File: Escape(r.File), Time: junitSeconds(0),
		Error: &junitProblem{Message: Escape(lines[0]), Type: errorType, Text: escapedLines(lines)},
	}
}

// caseOf returns the case of a check. It counts names in seen and numbers those
// that repeat, because tools take two cases with one name and class for one case.
func caseOf(r *Run, c Check, seen map[string]int) junitCase {
	t := junitCase{
		Name: Escape(c.Name), ClassName: Escape(r.Scenario) + "." + string(c.Kind),
		File: Escape(r.File), Time: junitSeconds(0),
	}
	if file, line, ok := splitPlace(c.Place); ok {
		t.File, t.Line = Escape(file), line
	}
	key := t.ClassName + "\n" + t.Name
	seen[key]++
	if n := seen[key]; n > 1 {
		t.Name += fmt.Sprintf(" (%d)", n)
	}
	switch c.reported() {
	case Failed:
		t.Failure = failureOf(r, c)
	case Passed:
	case Skipped:
		t.Skipped = &junitSkip{Message: Escape(c.Found)}
	case NotExercised:
		t.Skipped = &junitSkip{Message: "not exercised: nothing that this check is about happened"}
	default:
		t.Skipped = &junitSkip{Message: "the run ended before this was decided"}
	}
	return t
}

func failureOf(r *Run, c Check) *junitProblem {
	lines := []string{}
	add := func(name, text string) {
		if text != "" {
			lines = append(lines, name+": "+text)
		}
	}
	add("place", c.Place)
	add("expected", c.Expected)
	add("found", c.found())
	if c.AtSeconds != nil {
		name := "virtual time"
		if r.World == Live {
			name = "time"
		}
		add(name, virtualTime(*c.AtSeconds))
	}
	if len(c.LastEvents) > 0 {
		lines = append(append(lines, "last events:"), c.LastEvents...)
	}
	add("repeat", r.Repeat)
	message := c.Name
	if c.Expected != "" || c.Found != "" {
		message = fmt.Sprintf("expected %s, found %s", c.Expected, c.found())
	}
	return &junitProblem{Message: Escape(message), Type: string(c.Kind), Text: escapedLines(lines)}
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

func junitSeconds(s float64) string { return strconv.FormatFloat(s, 'f', 3, 64) }
