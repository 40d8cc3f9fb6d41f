package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"bluetrace/reports"
)

// ending is how one run of a scenario ended.
type ending uint8

const (
	passed   ending = iota
	failed          // a check failed
	panicked        // the program panicked
	timedOut        // it did not end within the limit
)

// scenarioRun is the result of one run of a scenario.
type scenarioRun struct {
	ending ending
	reason string // if failed: the check that failed first; if passed: empty
}

// scenarioLimit is the time limit of one run of one small scenario, which takes
// a second or less.
const scenarioLimit = 20 * time.Second

// Exit statuses of sim, and of a Go program that panics.
const (
	simPassed  = 0
	goPanicked = 2
	simFailed  = 99
)

// runScenario runs one scenario in the folder root. It returns an error if the
// run allows no conclusion.
func runScenario(ctx context.Context, root, program, scenario string, limit time.Duration) (scenarioRun, error) {
	status, stdout, stderr, err := runTwice(ctx, limit, root, program, "run", scenario, "--report", "json")
	if errors.Is(err, context.DeadlineExceeded) {
		return scenarioRun{timedOut, noEnd(limit)}, nil
	}
	var r scenarioRun
	if err == nil {
		r, err = readRun(status, stdout, stderr)
	}
	if err != nil {
		return r, fmt.Errorf("running %s: %w", scenario, err)
	}
	return r, nil
}

// panicOf returns the line of a panic in the output of a program that ended with this status, or "" if it did not
// panic.
func panicOf(status int, output []byte) string {
	if status != goPanicked {
		return ""
	}
	for line := range strings.Lines(string(output)) {
		if strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

func noEnd(limit time.Duration) string { return fmt.Sprintf("no end within %v, twice", limit) }

// readRun reads the exit status and the output of sim run.
func readRun(status int, stdout, stderr []byte) (scenarioRun, error) {
	if text := panicOf(status, stderr); text != "" {
		return scenarioRun{panicked, text}, nil
	}
	if status != simPassed && status != simFailed {
		return scenarioRun{}, fmt.Errorf("exit status %d: %s", status, bytes.TrimSpace(stderr))
	}
	var run struct {
		Verdict reports.Verdict `json:"verdict"`
		Checks  []reports.Check `json:"checks"`
	}
	if err := json.Unmarshal(stdout, &run); err != nil {
		return scenarioRun{}, fmt.Errorf("exit status %d, reading its JSON: %w", status, err)
	}
	first := firstFailure(run.Checks)
	switch {
	case status == simPassed && run.Verdict == reports.Passed && first == nil && len(run.Checks) > 0:
		return scenarioRun{ending: passed}, nil
	case status == simFailed && run.Verdict == reports.Failed && first != nil:
		return scenarioRun{failed, checkName(first)}, nil
	}
	return scenarioRun{},
		fmt.Errorf("exit status %d does not fit the verdict %q with %d checks", status, run.Verdict, len(run.Checks))
}

// firstFailure returns the check that failed earliest in the run's own time, or
// nil. A check without a time counts as the latest.
func firstFailure(checks []reports.Check) *reports.Check {
	time := func(c *reports.Check) float64 {
		if c.AtSeconds == nil {
			return math.Inf(1)
		}
		return *c.AtSeconds
	}
	var first *reports.Check
	for i := range checks {
		c := &checks[i]
		if c.Verdict == reports.Failed && (first == nil || cmp.Less(time(c), time(first))) {
			first = c
		}
	}
	return first
}

// checkName returns the place of a check (scenario and line), or else its name.
func checkName(c *reports.Check) string {
	parts := strings.Split(c.Place, ":")
	if len(parts) < 2 {
		return c.Name
	}
	return scenarioName(parts[0]) + ":" + parts[1]
}

// judgeLibrary returns killed if the scenario m.by failed (any scenario, if m.by is
// empty) and its check m.first failed first. It returns missed if only other scenarios
// failed, or another check failed first, and survives if none did. A run that panics or
// never ends has failed. The error is the reason, unless the mutant was killed.
func (t *tester) judgeLibrary(m *mutant, runs []scenarioRun) (outcome, error) {
	noticed, guarded, other := false, m.by == "", ""
	for i, r := range runs {
		if r.ending == passed {
			continue
		}
		noticed = true
		if scenarioName(t.scenarios[i]) == m.by {
			guarded = true
			if r.ending == failed && !strings.HasPrefix(r.reason, m.first) {
				other = r.reason
			}
		}
	}
	switch {
	case !noticed:
		return survives, errors.New("no scenario failed")
	case !guarded:
		return missed, fmt.Errorf("%s passed", m.by)
	case other != "":
		return missed, fmt.Errorf("%s failed first, want %s", other, m.first)
	}
	return killed, nil
}

// tableWidth is the largest width of the table in columns.
const tableWidth = 140

// mutantTable prints a row for each mutant. Of the library it has a column for each scenario; of tests, their package.
type mutantTable struct {
	*printer
	scenarios []string // nil: of tests
	nameWidth int
}

func newMutantTable(p *printer, mutants []mutant, scenarios []string) *mutantTable {
	t := &mutantTable{printer: p, scenarios: scenarios, nameWidth: len("planted bug")}
	for i := range mutants {
		t.nameWidth = max(t.nameWidth, utf8.RuneCountInString(mutants[i].name))
	}
	return t
}

func (t *mutantTable) head() {
	columns := "  package          "
	if t.scenarios != nil {
		columns = ""
		t.print("x: the scenario failed; !: it panicked or did not end")
	}
	for i, file := range t.scenarios {
		t.print("%3d %s", i+1, scenarioName(file))
		columns += fmt.Sprintf("%3d", i+1)
	}
	if t.scenarios != nil {
		t.print("")
	}
	t.print("%-*s%s  first failure", t.nameWidth, "planted bug", columns)
}

// row prints one mutant, and beside it the first failure of the scenario or test that
// tests its rule, or else of any scenario.
func (t *mutantTable) row(r *result) {
	columns, note := "", ""
	if t.scenarios == nil {
		columns = fmt.Sprintf("  %-17s", r.mutant.tests)
	}
	for i := range t.scenarios {
		columns += markOf(r.runs, i)
	}
	for i, run := range r.runs {
		guards := t.scenarios == nil || scenarioName(t.scenarios[i]) == r.mutant.by
		if run.ending != passed && (note == "" || guards) {
			note = run.reason
		}
	}
	if r.outcome != killed {
		note = strings.ToUpper(string(r.outcome))
	}
	t.print("%s", truncate(fmt.Sprintf("%-*s%s  %s", t.nameWidth, r.mutant.name, columns, note), tableWidth))
}

// markOf returns the column of a scenario.
func markOf(runs []scenarioRun, i int) string {
	switch {
	case i >= len(runs):
		return "   "
	case runs[i].ending == passed:
		return "  ."
	case runs[i].ending == failed:
		return "  x"
	}
	return "  !"
}

func (t *mutantTable) foot() { t.print("") }

// truncate shortens a line to width characters.
func truncate(line string, width int) string {
	if utf8.RuneCountInString(line) <= width {
		return line
	}
	return string([]rune(line)[:width-3]) + "..."
}
