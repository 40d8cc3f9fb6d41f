package marks

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"bluetrace/reports"
)

// written returns the output of write, which must be UTF-8 without invisible characters but line feeds.
func written(t *testing.T, write func(io.Writer) error) string {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	if !utf8.ValidString(text) {
		t.Error("the output is not UTF-8")
	}
	if reports.Escape(strings.ReplaceAll(text, "\n", "")) != strings.ReplaceAll(text, "\n", "") {
		t.Error("the output has invisible characters")
	}
	return text
}

// sheets are the samples that every document of a sheet is tried on.
func sheets() []*Sheet {
	return append(sampleClass().Sheets, &Sheet{Submission: "empty"}, sampleClass().Complete().Sheets[1])
}

func schemaOf(t *testing.T, file string) *jsonschema.Schema {
	t.Helper()
	raw, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(file, doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(file)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func validate(s *jsonschema.Schema, text string) error {
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		return err
	}
	return s.Validate(doc)
}

func TestJSONDocumentsHaveTheirForms(t *testing.T) {
	for _, c := range []struct {
		schema string
		write  func(io.Writer, *Sheet) error
	}{
		{"marks.schema.json", WriteJSON},
		{"gradescope.schema.json", func(w io.Writer, s *Sheet) error { return WriteGradescope(w, s, 8) }},
		{"check50.schema.json", WriteCheck50},
	} {
		t.Run(c.schema, func(t *testing.T) {
			schema := schemaOf(t, c.schema)
			for _, s := range sheets() {
				if err := validate(schema, written(t, func(w io.Writer) error { return c.write(w, s) })); err != nil {
					t.Errorf("%s: %v", s.Submission, err)
				}
			}
		})
	}
	class := written(t, func(w io.Writer) error { return WriteClassJSON(w, sampleClass()) })
	if err := validate(schemaOf(t, "marks.schema.json"), class); err != nil {
		t.Error(err)
	}
}

// TestSchemasRefuse proves that the schemas are not empty.
func TestSchemasRefuse(t *testing.T) {
	for _, c := range []struct{ schema, text string }{
		{"gradescope.schema.json", `{"score": 1}`},
		{"gradescope.schema.json", `{"tests": [{"score": "1", "max_score": 1}]}`},
		{"gradescope.schema.json", `{"tests": [{"status": "unstable"}]}`},
		{"gradescope.schema.json", `{"tests": [{"status": "failed", "visibility": "secret"}]}`},
		{"check50.schema.json", `{"slug": "a", "version": "3.0.0"}`},
		{"check50.schema.json", `{"slug": "a", "version": "3.0.0", "results": [{"name": "a", "description": "", ` +
			`"passed": false, "log": [], "cause": null, "data": {}, "dependency": null}]}`},
		{"check50.schema.json", `{"slug": "a", "version": "3.0.0", "results": [{"name": "rule 1", "description": "", ` +
			`"passed": true, "log": [], "cause": null, "data": {}, "dependency": null}]}`},
		{"marks.schema.json", `{"format": 1}`},
	} {
		if validate(schemaOf(t, c.schema), c.text) == nil {
			t.Errorf("%s accepts %s", c.schema, c.text)
		}
	}
}

func TestJSONHasDerivedValuesAndTheEvidence(t *testing.T) {
	var got struct {
		Format  int
		Verdict Mark
		Points  float64
		Most    float64
		Counts  map[Mark]int
		Sheet
	}
	text := written(t, func(w io.Writer) error { return WriteJSON(w, sample()) })
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	if got.Format != 1 || got.Verdict != Failed || got.Points != 8 || got.Most != 14.5 || got.Counts[Failed] != 3 {
		t.Errorf("got %+v", got)
	}
	want := sample().Results[3].Attempts[0].Lines[32]
	if diff := cmp.Diff(want, got.Results[3].Attempts[0].Lines[32]); diff != "" {
		t.Error(diff)
	}
}

func TestGradescopeScoresHidesAndNames(t *testing.T) {
	var got struct {
		Score float64
		Tests []struct {
			Name, Number, Status, Output, Visibility string
			Score                                    *float64
			MaxScore                                 *float64 `json:"max_score"`
		}
	}
	s := sample()
	text := written(t, func(w io.Writer) error { return WriteGradescope(w, s, 8, 29) })
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	var rows []string
	sum := 0.0
	for _, c := range got.Tests {
		score := "none"
		if c.Score != nil {
			score = fmt.Sprintf("%v/%v", *c.Score, *c.MaxScore)
			sum += *c.Score
		}
		rows = append(rows, strings.Join([]string{c.Number, score, c.Status, c.Visibility}, " "))
	}
	want := []string{"1 1/1 passed visible", "4 2/2 passed visible", "5 1/1 passed visible", "8 0/2 failed hidden",
		"13 0/2 failed visible", "24 1/1 passed visible", "29 0/2 failed hidden", "39 0/0.5 failed visible",
		"48 3/3 passed visible", "14 none failed visible"}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Error(diff)
	}
	if got.Score != 8 || sum != 8 {
		t.Errorf("the score is %v and the sum %v, want 8", got.Score, sum)
	}
	if got.Tests[4].Name != "the block ends in time (unstable)" {
		t.Errorf("got %q", got.Tests[4].Name)
	}
	const output = "unstable\nin short  failed in 1 of 2 runs: The block ended in time in one run only.\nexpected  a " +
		"welcome 1.2 s after the end of the block\nbecause   a block lasts"
	if !strings.HasPrefix(got.Tests[4].Output, output) {
		t.Errorf("got %q", got.Tests[4].Output)
	}
	if strings.Count(text, "not blocked after three") != 1 {
		t.Error("the reason of a hidden rule is not in its own test only")
	}
}

func TestGradescopeOutputHasNoMarks(t *testing.T) {
	s := &Sheet{Results: []Result{{Number: 1, Group: "course", Mark: Passed}, {Number: 2, Group: "advice",
		Mark: Failed}}}
	text := written(t, func(w io.Writer) error { return WriteGradescope(w, s, 2) })
	if !strings.Contains(text, "Each rule ran alone") || strings.Contains(text, "did not pass") {
		t.Errorf("got %s", text)
	}
}

func TestCheck50HasThreeResults(t *testing.T) {
	var got struct {
		Results []check50Result
		Error   *check50Error
	}
	text := written(t, func(w io.Writer) error { return WriteCheck50(w, sample()) })
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	passed := map[string]string{}
	for _, r := range got.Results {
		passed[r.Name] = "null"
		if r.Passed != nil {
			passed[r.Name] = fmt.Sprint(*r.Passed)
		}
	}
	want := map[string]string{"rule_1_server": "true", "rule_4_server": "true", "rule_5_server": "true",
		"rule_8_server": "false", "rule_13_server": "false", "rule_14_server": "false", "rule_24_server": "true",
		"rule_29_server": "null", "rule_39_server": "false", "rule_48_phone": "true"}
	if diff := cmp.Diff(want, passed); diff != "" {
		t.Error(diff)
	}
	blocks := got.Results[3]
	if len(blocks.Log) != tailLines || blocks.Log[0] != `3.000 s  the server -> anna  "answer 20"` {
		t.Errorf("the log is %q", blocks.Log)
	}
	if want := "The account was not blocked after three wrong passwords.: expected the right password from a new " +
		`connection is refused; came "Welcome`; !strings.HasPrefix(blocks.Cause.Rationale, want) {
		t.Errorf("got %q", blocks.Cause.Rationale)
	}
	problem := written(t, func(w io.Writer) error { return WriteCheck50(w, sampleClass().Sheets[2]) })
	got.Results = nil
	if err := json.Unmarshal([]byte(problem), &got); err != nil {
		t.Fatal(err)
	}
	if got.Results != nil || got.Error == nil || !strings.HasPrefix(got.Error.Value, "The server has ended") {
		t.Errorf("got %s", problem)
	}
}

// junitForm has the attributes and the children of each element of a JUnit document, as documented by
// https://github.com/testmoapp/junitxml and by the junit-10.xsd of the xUnit plug-in of Jenkins. An exclamation mark
// is behind each attribute that must be present.
var junitForm = map[string]struct{ attributes, children string }{
	"testsuites": {"name! tests! failures! errors! skipped! time!", "testsuite"},
	"testsuite":  {"name! file tests! failures! errors! skipped! time!", "properties testcase"},
	"properties": {"", "property"},
	"property":   {"name! value!", ""},
	"testcase":   {"name! classname! file line time!", "failure error skipped"},
	"failure":    {"message! type!", ""},
	"error":      {"message! type!", ""},
	"skipped":    {"message!", ""},
}

// checkJUnit returns the differences of a document from junitForm.
func checkJUnit(text string) (mistakes []string) {
	d := xml.NewDecoder(strings.NewReader(text))
	path := []string{}
	for {
		token, err := d.Token()
		if err == io.EOF {
			return mistakes
		} else if err != nil {
			return append(mistakes, err.Error())
		}
		switch e := token.(type) {
		case xml.StartElement:
			name := e.Name.Local
			form, known := junitForm[name]
			parent := "testsuites"
			if len(path) > 0 {
				parent = junitForm[path[len(path)-1]].children
			}
			if !known || !slices.Contains(strings.Fields(parent), name) {
				mistakes = append(mistakes, fmt.Sprintf("%s in %v", name, path))
			}
			has := map[string]bool{}
			for _, a := range e.Attr {
				has[a.Name.Local] = true
				if !slices.Contains(strings.Fields(strings.ReplaceAll(form.attributes, "!", "")), a.Name.Local) {
					mistakes = append(mistakes, name+" has "+a.Name.Local)
				}
			}
			for _, a := range strings.Fields(form.attributes) {
				if must, ok := strings.CutSuffix(a, "!"); ok && !has[must] {
					mistakes = append(mistakes, name+" lacks "+must)
				}
			}
			path = append(path, name)
		case xml.EndElement:
			path = path[:len(path)-1]
		}
	}
}

func TestJUnitHasItsForm(t *testing.T) {
	for _, s := range sheets() {
		text := written(t, func(w io.Writer) error { return WriteJUnit(w, s) })
		if mistakes := checkJUnit(text); mistakes != nil {
			t.Errorf("%s: %q", s.Submission, mistakes)
		}
	}
	for _, text := range []string{`<testsuite/>`, `<testsuites><a/></testsuites>`,
		`<testsuites name="" tests="" failures="" errors="" skipped=""/>`, `<testsuites`} {
		if checkJUnit(text) == nil {
			t.Errorf("checkJUnit accepts %s", text)
		}
	}
}

func TestJUnitMarks(t *testing.T) {
	var got reports.JUnitSuites
	text := written(t, func(w io.Writer) error { return WriteJUnit(w, sample()) })
	if err := xml.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	if got.Tests != 10 || got.Failures != 4 || got.Errors != 0 || got.Skipped != 1 || got.Time != "32.250" {
		t.Errorf("got %d tests, %d failures, %d errors, %d skipped, %s s", got.Tests, got.Failures, got.Errors,
			got.Skipped, got.Time)
	}
	cases := got.Suites[0].Cases
	blocks, ends, late := cases[3], cases[4], cases[6]
	if blocks.Name != "8 the third wrong password in a row blocks the account" ||
		blocks.ClassName != "team-07.course" || blocks.Failure == nil || blocks.Failure.Type != "failed" ||
		!strings.Contains(blocks.Failure.Text, "]]>") {
		t.Errorf("got %+v, %+v", blocks, blocks.Failure)
	}
	if ends.Failure == nil || ends.Failure.Type != "unstable" {
		t.Errorf("got %+v", ends)
	}
	if late.Skipped == nil || !strings.HasPrefix(late.Skipped.Message, "The clock of this program could not") {
		t.Errorf("got %+v", late)
	}
	if cases[5].Failure != nil || cases[5].Skipped != nil {
		t.Error("an allowed difference is no pass")
	}

	for _, c := range []struct {
		sheet *Sheet
		want  string
	}{
		{&Sheet{Submission: "a"}, "no rule was judged"},
		{&Sheet{Submission: "a", Results: []Result{{Mark: NotJudged}}}, "no rule was judged"},
		{&Sheet{Submission: "a", Problem: "it does not start", Results: []Result{{Mark: Passed}}}, "it does not start"},
	} {
		got = reports.JUnitSuites{}
		text = written(t, func(w io.Writer) error { return WriteJUnit(w, c.sheet) })
		if err := xml.Unmarshal([]byte(text), &got); err != nil {
			t.Fatal(err)
		}
		if got.Errors != 1 || got.Suites[0].Cases[0].Error.Message != c.want {
			t.Errorf("%+v gives %s", c.sheet, text)
		}
	}
}

func TestCSVHasARowForEachSubmission(t *testing.T) {
	text := written(t, func(w io.Writer) error { return WriteCSV(w, sampleClass()) })
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	want := [][]string{
		{"submission", "points", "most", "rule 1", "rule 4", "rule 5", "rule 8", "rule 13", "rule 14", "rule 24",
			"rule 29", "rule 39", "rule 48", "problem"},
		{"'=good team #1?", "12.5", "14.5", "passed", "passed", "passed", "failed", "passed", "passed", "passed",
			"passed", "passed", "passed", ""},
	}
	if diff := cmp.Diff(want, rows[:2]); diff != "" {
		t.Error(diff)
	}
	if len(rows) != 5 || rows[2][0] != "Broken <b>" || rows[2][1] != "0" || rows[2][2] != "14.5" ||
		rows[2][3] != "not judged" || !strings.HasPrefix(rows[2][13], "The server has ended") {
		t.Errorf("got %q", rows[2])
	}
}

func TestCellsAreNoFormulas(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"team-07", "team-07"}, {"", ""}, {"a=b", "a=b"}, {"=1", "'=1"}, {"+1", "'+1"}, {"-1", "'-1"}, {"@a", "'@a"},
		{" =1", "' =1"}, {"＝1", "'＝1"}, {"\t=1", `\t=1`}, {"\r=1", `\r=1`},
	} {
		if got := cell(c.in); got != c.want {
			t.Errorf("cell(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

func TestDocumentsHaveTheirNames(t *testing.T) {
	var names []string
	for _, d := range Documents(8) {
		names = append(names, d.Name+" "+d.File)
		if text := written(t, func(w io.Writer) error { return d.Write(w, sample()) }); len(text) < 1000 {
			t.Errorf("%s has %d bytes", d.Name, len(text))
		}
		if d.Name == "gradescope" {
			text := written(t, func(w io.Writer) error { return d.Write(w, sample()) })
			if n := strings.Count(text, `"visibility": "hidden"`); n != 1 {
				t.Errorf("%d rules are hidden, want 1", n)
			}
		}
	}
	for _, d := range ClassDocuments() {
		names = append(names, "class "+d.Name+" "+d.File)
		if text := written(t, func(w io.Writer) error { return d.Write(w, sampleClass()) }); len(text) < 500 {
			t.Errorf("%s has %d bytes", d.Name, len(text))
		}
	}
	want := []string{"text marks.txt", "json marks.json", "junit junit.xml", "html marks.html",
		"gradescope results.json", "check50 check50.json", "class json marks.json", "class html index.html",
		"class csv marks.csv"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func TestErrorsOfTheWriterAreReturned(t *testing.T) {
	check := func(name string, err error) {
		if err == nil || !strings.Contains(err.Error(), "writing ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, d := range Documents() {
		check(d.Name, d.Write(full{}, sample()))
	}
	for _, d := range ClassDocuments() {
		check("class "+d.Name, d.Write(full{}, sampleClass()))
	}
}
