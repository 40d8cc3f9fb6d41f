package load

import (
	"os"
	"strings"
	"testing"
	"testing/synctest"

	"bluetrace/reports"
	"bluetrace/scenarios"
)

// reduce takes a quarter of the phones and of the rates, unless BLUETRACE_FULL is set.
func reduce(l *scenarios.Traffic) {
	const part = 4
	if os.Getenv("BLUETRACE_FULL") != "" || len(l.Phones) < part {
		return
	}
	l.Phones = l.Phones[:len(l.Phones)/part]
	l.StartRate, l.MaxInFlight = l.StartRate/part, l.MaxInFlight/part
	for i := range l.Stages {
		l.Stages[i].Rate /= part
	}
}

// TestExamplesOfThePage: the complete examples of a load pass, on a server that
// answers within a millisecond.
func TestExamplesOfThePage(t *testing.T) {
	raw, err := os.ReadFile("../../docs/SCENARIOS.md")
	if err != nil {
		t.Fatal(err)
	}
	texts := []string{}
	for _, block := range strings.Split(string(raw), "```yaml run\n")[1:] {
		if text, _, _ := strings.Cut(block, "\n```"); strings.Contains(text, "\nload:\n") {
			texts = append(texts, text)
		}
	}
	if len(texts) == 0 {
		t.Fatal("the page has no whole example with a load")
	}
	for _, path := range []string{"../../scenarios/load/steady.yaml", "../../scenarios/load/ramp.yaml",
		"../../scenarios/load/search.yaml"} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(text))
	}
	for _, text := range texts {
		s, err := scenarios.Parse("f", []byte(text), scenarios.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if !s.Manual {
			t.Errorf("%s is not manual: a run over its folder would take its time", s.Name)
		}
		reduce(s.Load)
		synctest.Test(t, func(t *testing.T) {
			c := faked(newFake(), len(s.Load.Phones), *s.Load)
			l := ran(t, c).Report(c.Traffic)
			for _, check := range Checks(s, l, false) {
				if check.Verdict != reports.Passed {
					t.Errorf("%s: %s: %s", s.Name, check.Name, check.Found)
				}
			}
		})
	}
}
