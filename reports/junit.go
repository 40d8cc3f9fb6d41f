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
	Failure   *junitTrouble `xml:"failure"`
	Error     *junitTrouble `xml:"error"`
	Skipped   *junitSkip    `xml:"skipped"`
}

type junitTrouble struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
	Text    string `xml:",cdata"`
}

type junitSkip struct {
	Message string `xml:"message,attr"`
}

// JUnit writes one document: a test suite for each run, a test case for each
// of its checks. A failed check is a failure with place, expected and found;
// an unknown one is skipped, with the reason; a run that could not be done is
// one case with an error. Times are wall seconds of the run; a check has none
// of its own.
func JUnit(w io.Writer, runs []*Run) error {
	all := junitSuites{Name: "bluetrace"}
	wall := 0.0
	for _, r := range runs {
		s := suiteOf(r)
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
	if _, err := w.Write(b.Bytes()); err != nil {
		return fmt.Errorf("writing the JUnit report: %w", err)
	}
	return nil
}

func suiteOf(r *Run) junitSuite {
	s := junitSuite{Name: Escape(r.Scenario), File: Escape(r.File), Time: junitSeconds(finite(r.WallSeconds))}
	if r.Verdict == NotRun {
		s.Tests, s.Errors = 1, 1
		s.Cases = []junitCase{notRunCase(r)}
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
		s.Cases = append(s.Cases, unfitCase(r))
	}
	seen := map[string]int{}
	for _, c := range r.Checks {
		s.Tests++
		switch c.Verdict {
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

// searchProperties are what a search found.
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
		list = append(list, junitProperty{"capacity_confidence", strconv.FormatFloat(finite(*s.Confidence), 'f', -1, 64)})
	}
	return list
}

func notRunCase(r *Run) junitCase {
	return junitCase{
		Name: "the scenario can be run", ClassName: Escape(r.Scenario), File: Escape(r.File), Time: junitSeconds(0),
		Error: &junitTrouble{Message: Escape(firstLine(r.Error)), Type: "not run", Text: plainLines(strings.Split(r.Error, "\n"))},
	}
}

// unfitCase says that the figures of a load run are not the server's.
func unfitCase(r *Run) junitCase {
	return junitCase{
		Name: "the generator is not the bottleneck", ClassName: Escape(r.Scenario), File: Escape(r.File), Time: junitSeconds(0),
		Error: &junitTrouble{Message: Escape(r.Load.Invalid[0]), Type: "invalid", Text: plainLines(r.Load.Invalid)},
	}
}

// caseOf counts names in seen: tools take two cases of one name and class for
// the same one, so a name that comes again is numbered.
func caseOf(r *Run, c Check, seen map[string]int) junitCase {
	t := junitCase{Name: Escape(c.Name), ClassName: Escape(r.Scenario) + "." + string(c.Kind), File: Escape(r.File), Time: junitSeconds(0)}
	if file, line, ok := splitPlace(c.Place); ok {
		t.File, t.Line = Escape(file), line
	}
	key := t.ClassName + "\n" + t.Name
	seen[key]++
	if n := seen[key]; n > 1 {
		t.Name += fmt.Sprintf(" (%d)", n)
	}
	switch c.Verdict {
	case Failed:
		t.Failure = failureOf(r, c)
	case Passed:
	default:
		t.Skipped = &junitSkip{Message: "the run ended before this was decided"}
	}
	return t
}

func failureOf(r *Run, c Check) *junitTrouble {
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
	return &junitTrouble{Message: Escape(message), Type: string(c.Kind), Text: plainLines(lines)}
}

// splitPlace takes file:line:column or file:line apart; a file may have colons
// in its name.
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

// cutLast takes a number off the end of text, with the colon before it.
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

func plainLines(lines []string) string {
	var b strings.Builder
	b.WriteByte('\n')
	for _, line := range lines {
		b.WriteString(Escape(line))
		b.WriteByte('\n')
	}
	return b.String()
}

func firstLine(text string) string {
	first, _, _ := strings.Cut(text, "\n")
	return first
}

func junitSeconds(s float64) string { return strconv.FormatFloat(s, 'f', 3, 64) }
