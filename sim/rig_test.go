package sim

import (
	"context"
	"slices"
	"strings"
	"testing"
	_ "time/tzdata"

	"bluetrace/reports"
	"bluetrace/scenarios"
	"bluetrace/sim/check"
)

// head has the phones of most tests: a and thief share an account, and ghost has none.
const head = `name: test
phones: [{name: a}, {name: b}, {name: c, beacon: single}, {name: thief, account: a}, {name: ghost, account: none}]
`

func parse(t *testing.T, text string) *scenarios.Scenario {
	t.Helper()
	s, err := scenarios.Parse("test.yaml", []byte(text), scenarios.Options{})
	if err != nil {
		t.Fatalf("the test's own scenario is refused:\n%v\n%s", err, text)
	}
	return s
}

// play runs a scenario without input errors.
func play(t *testing.T, text string) *reports.Run {
	t.Helper()
	r, err := Run(context.Background(), parse(t, text), Options{})
	if err != nil {
		t.Fatal(err)
	}
	return &r.Run
}

// checksOf lists the checks of a kind.
func checksOf(r *reports.Run, k reports.CheckKind) []reports.Check {
	var list []reports.Check
	for _, c := range r.Checks {
		if c.Kind == k {
			list = append(list, c)
		}
	}
	return list
}

// passes runs a scenario in which everything must hold.
func passes(t *testing.T, text string) *reports.Run {
	t.Helper()
	r := play(t, text)
	if r.Verdict != reports.Passed {
		t.Errorf("verdict %s", r.Verdict)
	}
	for _, c := range r.Checks {
		if c.Verdict != reports.Passed {
			t.Errorf("%s at %s: %s: %s; expected %s, found %s\n%s", c.Kind, c.Place, c.Verdict, c.Name, c.Expected,
				c.Found, strings.Join(c.LastEvents, "\n"))
		}
	}
	always := 0
	for _, c := range checksOf(r, reports.InvariantCheck) {
		if !rare(c.Name) {
			always++
		}
	}
	if always != 10 {
		t.Errorf("%d invariants that are always looked at, want 10", always)
	}
	return r
}

// rare reports whether an invariant is only reported if it was evaluated.
func rare(name string) bool {
	return slices.ContainsFunc(check.All(), func(i check.Invariant) bool { return i.Rare() && i.String() == name })
}
