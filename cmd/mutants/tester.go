package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
)

// outcome is the outcome of one mutant's test. All but killed are failures.
type outcome string

const (
	killed     outcome = "killed"
	survives   outcome = "survives"               // every scenario passed
	missed     outcome = "missed"                 // the scenario that tests the rule passed; others failed
	stale      outcome = "no longer applies"      // its old text does not occur once in its file
	unbuilt    outcome = "does not compile"       // the table is wrong
	equivalent outcome = "changes no program"     // the compiler made the same bytes
	ordinary   outcome = "the library notices it" // a mutant of the second table that belongs in the first
	untried    outcome = "not tried"              // the test itself failed
)

// result is the result of one mutant's test.
type result struct {
	mutant  *mutant
	outcome outcome
	runs    []scenarioRun // by scenario; nil if none was run
	search  swarmResult   // with --swarm
	err     error         // unless killed: the reason
}

// tester builds and tests mutants. Its functions are fields so that tests can
// replace them.
type tester struct {
	options   *options
	root      string            // of the module
	temp      string            // absolute; the folder of changed files and programs
	scenarios []string          // files, from root
	original  [sha256.Size]byte // hash of the program without a bug
	judge     *ruleJudge        // with --rules

	build  func(ctx context.Context, root, program string, overlay map[string]string) error
	run    func(ctx context.Context, root, program, scenario string, limit time.Duration) (scenarioRun, error)
	swarm  func(ctx context.Context, root, program string, arguments ...string) (swarmResult, error)
	goTest func(ctx context.Context, root, folder, pkg, by string, overlay map[string]string) (scenarioRun, error)
}

// newTester finds the module and its small scenarios.
func newTester(ctx context.Context, o *options) (*tester, error) {
	root, err := moduleRoot(ctx)
	if err != nil {
		return nil, err
	}
	files, err := smallScenarios(root)
	if err != nil {
		return nil, err
	}
	temp, err := os.MkdirTemp("", "mutants-")
	if err == nil {
		temp, err = filepath.Abs(temp)
	}
	if err != nil {
		return nil, fmt.Errorf("making a folder for the programs: %w", err)
	}
	return &tester{
		options: o, root: root, temp: temp, scenarios: files,
		build: build, run: runScenario, swarm: runSwarm, goTest: runTests,
	}, nil
}

// cleanUp removes the written files, or prints their folder if they are kept.
func (t *tester) cleanUp(stderr io.Writer) error {
	if t.options.keep {
		fmt.Fprintf(stderr, "kept: %s\n", t.temp)
		return nil
	}
	if err := os.RemoveAll(t.temp); err != nil {
		return fmt.Errorf("removing the programs: %w", err)
	}
	return nil
}

// testAll tests every mutant and prints a table, which ends with the number of
// mutants that passed (were killed) and failed. It returns an error if any failed.
func (t *tester) testAll(ctx context.Context, w io.Writer) error {
	mutants := t.options.mutants
	if err := t.testOriginal(ctx); err != nil {
		return errors.Join(err, printCount(w, 0, len(mutants)))
	}
	out := &printer{w: w}
	var table table = newMutantTable(out, mutants, t.scenarios)
	switch {
	case t.options.swarm:
		table = &swarmTable{printer: out}
	case t.options.tests:
		table = newMutantTable(out, mutants, nil)
	case t.options.rules:
		table = &rulesTable{printer: out, options: t.options}
	}
	table.head()
	var failures []result
	inOrder(len(mutants), t.options.jobs,
		func(i int) result { return t.test(ctx, &mutants[i]) },
		func(r result) {
			table.row(&r)
			if r.outcome != killed {
				failures = append(failures, r)
			}
		})
	table.foot()
	if ctx.Err() == nil { // after an interrupt, the failures only repeat that they were not tried
		for _, r := range failures {
			out.print("%s: %s: %s: %v", r.outcome, r.mutant.file, r.mutant.name, r.err)
		}
	}
	err := errors.Join(out.err, printCount(w, len(mutants)-len(failures), len(failures)))
	if err == nil && len(failures) > 0 {
		err = fmt.Errorf("%d of %d mutants were not killed", len(failures), len(mutants))
	}
	return err
}

func printCount(w io.Writer, passed, failed int) error {
	if _, err := fmt.Fprintf(w, "%d passed, %d failed\n", passed, failed); err != nil {
		return fmt.Errorf("printing the count: %w", err)
	}
	return nil
}

// inOrder calls work for 0 to n-1, with at most jobs calls at the same time. It calls
// take with the results in that order, as soon as a result and all before it exist.
func inOrder[T any](n, jobs int, work func(i int) T, take func(T)) {
	results := make([]chan T, n)
	for i := range results {
		results[i] = make(chan T, 1)
	}
	var started atomic.Int64
	for range min(n, jobs) {
		go func() {
			for i := int(started.Add(1)) - 1; i < n; i = int(started.Add(1)) - 1 {
				results[i] <- work(i)
			}
		}()
	}
	for _, r := range results {
		take(<-r)
	}
}

// testOriginal builds the program without a bug. All scenarios must pass with it:
// otherwise a later failure would not show a mutant.
func (t *tester) testOriginal(ctx context.Context) error {
	if t.options.tests {
		return t.testOriginalTests(ctx)
	}
	program := t.originalProgram()
	if err := t.build(ctx, t.root, program, nil); err != nil {
		return err
	}
	var err error
	if t.original, err = contentOf(program); err == nil && t.options.rules {
		t.judge, err = newRuleJudge(ctx, t.root, t.options, program)
		return err
	}
	if err != nil || !t.options.library {
		return err
	}
	runs, err := t.runLibrary(ctx, program)
	if err != nil {
		return err
	}
	for i, r := range runs {
		if r.ending != passed {
			return fmt.Errorf("without a bug %s fails: %s", t.scenarios[i], r.reason)
		}
	}
	return nil
}

func (t *tester) originalProgram() string { return filepath.Join(t.temp, "sim") }

// test builds one mutant and runs the library or a swarm with it.
func (t *tester) test(ctx context.Context, m *mutant) result {
	r := result{mutant: m, outcome: untried}
	if r.err = ctx.Err(); r.err != nil {
		return r
	}
	folder := filepath.Join(t.temp, m.folder())
	if !t.options.keep {
		defer func() { _ = os.RemoveAll(folder) }() // cleanUp tries again and reports the error
	}
	if t.options.tests {
		r.outcome, r.err = t.judgeTests(ctx, &r, folder)
		return r
	}
	program := filepath.Join(folder, "sim")
	if r.outcome, r.err = t.buildMutant(ctx, m, program); r.err != nil {
		return r
	}
	if t.options.library {
		if r.runs, r.err = t.runLibrary(ctx, program); r.err != nil {
			r.outcome = untried
			return r
		}
	}
	switch {
	case t.options.swarm:
		t.judgeSwarm(ctx, &r, program)
	case t.options.rules:
		r.outcome, r.err = t.judge.judge(ctx, m, program)
	default:
		r.outcome, r.err = t.judgeLibrary(m, r.runs)
	}
	return r
}

// buildMutant builds the program with the bug in it, in a new folder. The outcome is
// killed without an error; with an error it is the step that failed.
func (t *tester) buildMutant(ctx context.Context, m *mutant, program string) (outcome, error) {
	overlay, o, err := t.plant(m, filepath.Dir(program))
	if err != nil {
		return o, err
	}
	if err := t.build(ctx, t.root, program, overlay); err != nil {
		return unbuilt, err
	}
	content, err := contentOf(program)
	if err != nil {
		return untried, err
	}
	if content == t.original {
		return equivalent, fmt.Errorf("%q means the same as %q", m.new, m.old)
	}
	return killed, nil
}

// plant writes the changed files of a mutant to a new folder. It returns them by the files that they replace. With an
// error, the outcome is the step that failed.
func (t *tester) plant(m *mutant, folder string) (overlay map[string]string, o outcome, err error) {
	if err := os.Mkdir(folder, 0o755); err != nil {
		return nil, untried, fmt.Errorf("making a folder for the program: %w", err)
	}
	changed, err := m.plant(func(file string) (string, error) {
		text, err := os.ReadFile(filepath.Join(t.root, filepath.FromSlash(file)))
		return string(text), err
	})
	if err != nil {
		return nil, stale, err
	}
	overlay = make(map[string]string, len(changed))
	for file, text := range changed {
		overlay[file] = filepath.Join(folder, strings.ReplaceAll(file, "/", "-"))
		if err := os.WriteFile(overlay[file], []byte(text), 0o644); err != nil {
			return nil, untried, fmt.Errorf("writing the changed source: %w", err)
		}
	}
	return overlay, killed, nil
}

// runLibrary runs every scenario.
func (t *tester) runLibrary(ctx context.Context, program string) ([]scenarioRun, error) {
	runs := make([]scenarioRun, len(t.scenarios))
	for i, scenario := range t.scenarios {
		var err error
		if runs[i], err = t.run(ctx, t.root, program, scenario, scenarioLimit); err != nil {
			return nil, err
		}
	}
	return runs, nil
}

// table prints one row for each mutant.
type table interface {
	head()
	row(r *result)
	foot()
}

// printer prints lines and keeps the first error.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) print(format string, arguments ...any) {
	line := fmt.Sprintf(format, arguments...)
	if _, err := fmt.Fprintln(p.w, strings.TrimRight(line, " ")); err != nil && p.err == nil {
		p.err = fmt.Errorf("printing the table: %w", err)
	}
}
