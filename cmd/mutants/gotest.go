package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"
)

// testLimit is the time limit of one run of a test, with its build.
const testLimit = 5 * time.Minute

// runTests runs the test by of a package of the module in root (all tests, if by is empty) with changed files. folder is
// for the file that lists them. It tries twice before it reports that the tests do not end. It returns an error if the
// run allows no conclusion.
func runTests(ctx context.Context, root, folder, pkg, by string, overlay map[string]string) (scenarioRun, error) {
	arguments := []string{"test", "-trimpath", "-short", "-vet=off", "-count=1", "-failfast", "-timeout", "2m"}
	if len(overlay) > 0 {
		file := filepath.Join(folder, "overlay.json")
		if err := writeOverlay(file, root, overlay); err != nil {
			return scenarioRun{}, err
		}
		arguments = append(arguments, "-overlay", file)
	}
	if by != "" {
		arguments = append(arguments, "-run", "^"+by+"$")
	}
	r, err := goTest(ctx, root, append(arguments, pkg))
	if err == nil && r.ending == timedOut {
		return goTest(ctx, root, append(arguments, pkg))
	}
	return r, err
}

// goTest runs go test once.
func goTest(ctx context.Context, root string, arguments []string) (scenarioRun, error) {
	limited, cancel := context.WithTimeout(ctx, testLimit)
	defer cancel()
	var out bytes.Buffer
	c := exec.CommandContext(limited, "go", arguments...)
	c.Dir, c.Stdout, c.Stderr, c.WaitDelay = root, &out, &out, waitDelay
	err := c.Run()
	switch _, exited := errors.AsType[*exec.ExitError](err); {
	case ctx.Err() != nil:
		return scenarioRun{}, ctx.Err()
	case err != nil && limited.Err() != nil:
		return scenarioRun{timedOut, noEnd(testLimit)}, nil
	case err != nil && !exited:
		return scenarioRun{}, fmt.Errorf("running go test: %w", err)
	}
	return readTests(err == nil, out.String())
}

var failedTest = regexp.MustCompile(`(?m)^ *--- FAIL: (\S+)`)

// readTests reads the output of go test. passedAll reports that its exit status was 0.
func readTests(passedAll bool, out string) (scenarioRun, error) {
	if passedAll {
		if strings.Contains(out, "[no test") {
			return scenarioRun{}, fmt.Errorf("running go test: no test has run: %s", strings.TrimSpace(out))
		}
		return scenarioRun{ending: passed}, nil
	}
	if strings.Contains(out, "panic: test timed out") {
		return scenarioRun{timedOut, "the test did not end, twice"}, nil
	}
	if m := failedTest.FindStringSubmatch(out); m != nil {
		return scenarioRun{failed, m[1]}, nil
	}
	if text := panicOf(goPanicked, []byte(out)); text != "" {
		return scenarioRun{panicked, text}, nil
	}
	return scenarioRun{}, fmt.Errorf("running go test: %s", strings.TrimSpace(out))
}

// testOriginalTests checks that each test passes without a bug.
func (t *tester) testOriginalTests(ctx context.Context) error {
	seen := map[[2]string]bool{}
	for i := range t.options.mutants {
		m := &t.options.mutants[i]
		if seen[[2]string{m.tests, m.by}] {
			continue
		}
		seen[[2]string{m.tests, m.by}] = true
		r, err := t.goTest(ctx, t.temp, m.tests, m.by, nil)
		if err == nil && r.ending != passed {
			err = fmt.Errorf("without a bug %s of %s fails: %s", m.by, m.tests, r.reason)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// judgeTests runs the test that must find a mutant.
func (t *tester) judgeTests(ctx context.Context, r *result, folder string) (outcome, error) {
	overlay, o, err := t.plant(r.mutant, folder)
	if err != nil {
		return o, err
	}
	run, err := t.goTest(ctx, folder, r.mutant.tests, r.mutant.by, overlay)
	if err != nil {
		return untried, err
	}
	r.runs = []scenarioRun{run}
	if run.ending == passed {
		return survives, fmt.Errorf("%s of %s passed", r.mutant.by, r.mutant.tests)
	}
	return killed, nil
}

// testTable prints a row for each mutant with the test that found it.
type testTable struct {
	*printer
	nameWidth int
}

func newTestTable(p *printer, mutants []mutant) *testTable {
	t := &testTable{printer: p, nameWidth: len("planted bug")}
	for i := range mutants {
		t.nameWidth = max(t.nameWidth, utf8.RuneCountInString(mutants[i].name))
	}
	return t
}

func (t *testTable) head() {
	t.print("%-*s  %-18s first failure", t.nameWidth, "planted bug", "package")
}

func (t *testTable) row(r *result) {
	note := strings.ToUpper(string(r.outcome))
	if r.outcome == killed {
		note = r.runs[0].reason
	}
	line := fmt.Sprintf("%-*s  %-18s %s", t.nameWidth, r.mutant.name, r.mutant.tests, note)
	t.print("%s", truncate(line, tableWidth))
}

func (t *testTable) foot() { t.print("") }
