package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// testLimit is the time limit of one run of a test, with its build.
const testLimit = 5 * time.Minute

// runTests runs the test by of a package of the module in root (all tests, if by is empty) with changed files. folder
// is for the file that lists them. It tries twice before it reports that the tests do not end. It returns an error if
// the run allows no conclusion.
func runTests(ctx context.Context, root, folder, pkg, by string, overlay map[string]string) (r scenarioRun, err error) {
	arguments := []string{"test", "-trimpath", "-short", "-vet=off", "-count=1", "-failfast", "-timeout", "2m"}
	overlayFlag, err := writeOverlay(filepath.Join(folder, "overlay.json"), root, overlay)
	if err != nil {
		return r, err
	}
	arguments = append(arguments, overlayFlag...)
	if by != "" {
		arguments = append(arguments, "-run", "^"+by+"$")
	}
	arguments = append(arguments, pkg)
	for range 2 {
		status, stdout, stderr, err := runProgram(ctx, testLimit, root, "go", arguments...)
		switch {
		case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
			r = scenarioRun{timedOut, noEnd(testLimit)}
		case err != nil:
			return r, fmt.Errorf("running go test: %w", err)
		default:
			r, err = readTests(status == 0, string(stdout)+string(stderr))
		}
		if r.ending != timedOut {
			return r, err
		}
	}
	return r, nil
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
		test := [2]string{m.tests, m.by}
		if seen[test] {
			continue
		}
		seen[test] = true
		r, err := t.goTest(ctx, t.root, t.temp, m.tests, m.by, nil)
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
	run, err := t.goTest(ctx, t.root, folder, r.mutant.tests, r.mutant.by, overlay)
	if err != nil {
		return untried, err
	}
	r.runs = []scenarioRun{run}
	if run.ending == passed {
		return survives, fmt.Errorf("%s of %s passed", r.mutant.by, r.mutant.tests)
	}
	return killed, nil
}
