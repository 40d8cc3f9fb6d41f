package main

import (
	"os"
	"strings"
	"testing"
)

func TestDashIsStandardInput(t *testing.T) {
	t.Chdir(t.TempDir())
	p, out, _ := whole()
	writeFile(t, "small.yaml", passing)
	if got := p.command(t.Context(), []string{"run", "--report", "json", "small.yaml"}); got != statusPassed {
		t.Fatalf("status %d", got)
	}
	result := out.String()
	p, out, _ = whole()
	if got := p.command(t.Context(), []string{"swarm", "--seeds", "1-2", "--report", "json",
		"small.yaml"}); got != statusPassed {
		t.Fatalf("status %d", got)
	}
	summary := out.String()
	for _, c := range []struct {
		arguments, input string
		want             status
		says             string
	}{
		{"check -", passing, statusPassed, "ok  -: 2 phones, 1 step, 0 expectations, 0 thresholds\n"},
		{"check - -", passing, statusPassed, "ok  -: "},
		{"check -- -", passing, statusPassed, "ok  -: "},
		{"check -", "", statusInvalid, "-:1:1: the file holds nothing"},
		{"check -", "phnes: 1\n", statusInvalid, "-:1:1: unknown key `phnes`; did you mean `phones`?"},
		{"check -", strings.Repeat("#", 4<<20+1), statusInvalid, "-: the file is larger than 4 MiB"},
		{"run -", passing, statusPassed, "PASSED  small: "},
		{"run - small.yaml", passing, statusPassed, "PASSED  small: "},
		{"run --set A=1 -", passing, statusInvalid, "-: "},
		{"run -", passing, statusPassed, "repeat      sim run --seed 3 -\n"},
		{"swarm --seeds 1-2 -", passing, statusPassed, "PASSED  swarm: 2 runs held"},
		{"compare - small.json", result, statusPassed, "identical"},
		{"compare small.json -", result, statusPassed, "identical"},
		{"compare small.json -", "{", statusInvalid, "-:1:2: incomplete file"},
		{"compare - -", result, statusInvalid, "both sides are standard input: name a file for one of them\n"},
		{"swarm --merge -", summary, statusPassed, "PASSED  swarm: 2 runs held"},
		{"swarm --merge -", "{}", statusInvalid, "not a JSON result of a swarm"},
	} {
		t.Run(c.arguments, func(t *testing.T) {
			writeFile(t, "small.json", result)
			p, out, errs := whole()
			p.stdin = strings.NewReader(c.input)
			if got := p.command(t.Context(), strings.Fields(c.arguments)); got != c.want {
				t.Errorf("status %d, want %d", got, c.want)
			}
			if all := out.String() + errs.String(); !strings.Contains(all, c.says) {
				t.Errorf("no %q in\n%s", c.says, all)
			}
		})
	}
	if _, err := os.Stat("-"); err == nil {
		t.Error("there is a file -")
	}
}
