package reports

import (
	"fmt"
	"testing"
)

func TestSumOfSeveralRuns(t *testing.T) {
	run := func(v Verdict, name string) *Run { return &Run{Scenario: name, Verdict: v} }
	many := []*Run{run(NotRun, "x\x1b")}
	for i := range 7 {
		many = append(many, run(Failed, fmt.Sprint("f", i)))
	}
	for _, c := range []struct {
		runs     []*Run
		notBegun int
		want     string
	}{
		{[]*Run{run(Passed, "a"), run(Failed, "b"), run(Passed, "c")}, 0, "3 scenarios: 2 passed, 1 failed (b)"},
		{[]*Run{run(Passed, "a"), run(Passed, "c")}, 0, "2 scenarios: 2 passed"},
		{many, 0, `8 scenarios: 7 failed (f0, f1, f2, f3, f4 and 2 more), 1 not run (x\x1b)`},
		{[]*Run{run(Interrupted, "a")}, 3, "4 scenarios: 1 interrupted (a), 3 not begun"},
	} {
		if got := Sum(c.runs, c.notBegun); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
