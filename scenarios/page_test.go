package scenarios

import (
	"os"
	"slices"
	"strings"
	"testing"
)

const page = "../docs/SCENARIOS.md"

// example is one fenced block of the documentation.
type example struct {
	line  int
	whole bool
	text  string
}

// examples finds the fenced YAML blocks: "yaml run" is a whole scenario, "yaml fragment" needs the rest of one.
func examples(t testing.TB) []example {
	t.Helper()
	raw, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var list []example
	var now *example
	for i, line := range strings.Split(string(raw), "\n") {
		switch {
		case now == nil && strings.HasPrefix(line, "```yaml"):
			kind := strings.TrimPrefix(line, "```yaml ")
			if kind != "run" && kind != "fragment" {
				t.Errorf("%s:%d: an example is marked %q; expected run or fragment", page, i+1, kind)
			}
			now = &example{line: i + 2, whole: kind == "run"}
		case now != nil && line == "```":
			list = append(list, *now)
			now = nil
		case now != nil:
			now.text += line + "\n"
		}
	}
	if len(list) < 10 {
		t.Fatalf("%s has %d examples, want at least 10", page, len(list))
	}
	return list
}

// around has the keys that a fragment lacks.
var around = []struct{ key, text string }{
	{"name", "name: fragment\n"},
	{"phones", "phones: [{name: owner}, {name: guesser, account: owner}, {name: teacher}, " +
		"{name: pupil, count: 25}, {name: stranger, account: none}]\n"},
	{"length", "length: 45m\n"},
	{"contacts", "contacts: {everyone: pupil}\n"},
	{"expect", "expect: [beacons.sent >= 0]\n"},
}

// inFile returns the example within a whole scenario.
func (e example) inFile() string {
	text := e.text
	if e.whole {
		return text
	}
	load := strings.HasPrefix(text, "load:")
	for _, a := range around {
		if load && a.key != "name" && a.key != "phones" {
			continue // of another kind of run
		}
		if !strings.Contains("\n"+text, "\n"+a.key+":") {
			text += a.text
		}
	}
	return text
}

func TestExamplesOfThePage(t *testing.T) {
	whole := 0
	for _, e := range examples(t) {
		if e.whole {
			whole++
		}
		if taken(t, page, []byte(e.inFile()), Options{}) == nil {
			t.Errorf("the example at %s:%d is refused", page, e.line)
		}
	}
	if whole == 0 {
		t.Errorf("%s has no example marked `yaml run`", page)
	}
}

// TestThePageNamesEverything checks that the documentation names every key, value and metric.
func TestThePageNamesEverything(t *testing.T) {
	raw, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	var walk func(s *form)
	walk = func(s *form) {
		if s == nil {
			return
		}
		walk(s.list)
		if s.mapping == nil {
			return
		}
		walk(s.mapping.open)
		for _, f := range s.mapping.keys {
			forms := []string{"`" + f.name + "`", " " + f.name + ": ", "{" + f.name + ": "}
			if !slices.ContainsFunc(forms, func(form string) bool { return strings.Contains(text, form) }) {
				t.Errorf("the page does not name the key %q (%s)", f.name, f.doc)
			}
			walk(f.is)
		}
		for _, k := range s.mapping.openKeys {
			if !strings.Contains(text, "`"+k+"`") {
				t.Errorf("the page does not name %q", k)
			}
		}
	}
	walk(language())
	for prefix, list := range map[string][]Name{"": Counters, "STEP.": StepFields, "PHONE.": PhoneFields} {
		for _, n := range list {
			if !strings.Contains(text, "`"+prefix+n.Name+"`") {
				t.Errorf("the page does not name the value %q", prefix+n.Name)
			}
		}
	}
}
