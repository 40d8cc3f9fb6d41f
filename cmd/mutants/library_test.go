package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestSimulateRunsAProgram(t *testing.T) {
	t.Setenv(fakeSim, "1")
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	for _, c := range []struct {
		scenario string
		limit    time.Duration
		want     scenarioRun
		err      string
	}{
		{"green.yaml", time.Minute, scenarioRun{passed, ""}, ""},
		{"red.yaml", time.Minute, scenarioRun{failed, "red:7"}, ""},
		{"panics.yaml", time.Minute, scenarioRun{panicked, "panic: the log has no entry 7"}, ""},
		{"hangs.yaml", 100 * time.Millisecond, scenarioRun{timedOut, "no end within 100ms, twice"}, ""},
		{"where.yaml", time.Minute, scenarioRun{}, "running where.yaml: exit status 107: " + filepath.Base(root)},
		{"silent.yaml", time.Minute, scenarioRun{},
			"running silent.yaml: exit status 0, reading its JSON: unexpected end of JSON input"},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			got, err := runScenario(t.Context(), root, program, c.scenario, c.limit)
			if got != c.want || textOf(err) != c.err {
				t.Errorf("%s: %+v and error %q, want %+v and %q", c.scenario, got, textOf(err), c.want, c.err)
			}
		})
	}
}

func TestSimulateNeedsAProgram(t *testing.T) {
	_, err := runScenario(t.Context(), t.TempDir(), filepath.Join(t.TempDir(), "none"), "a.yaml", time.Minute)
	if !errors.Is(err, os.ErrNotExist) || !strings.HasPrefix(err.Error(), "running a.yaml: ") {
		t.Errorf("error %v, want that of a missing file", err)
	}
}

func TestAnInterruptIsNoHang(t *testing.T) {
	t.Setenv(fakeSim, "1")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	got, err := runScenario(ctx, t.TempDir(), os.Args[0], "hangs.yaml", time.Minute)
	if got != (scenarioRun{}) || !errors.Is(err, context.Canceled) {
		t.Errorf("%+v and %v, want nothing and %v", got, err, context.Canceled)
	}
}

func TestConcludeAcceptsOnlyConsistentResults(t *testing.T) {
	const passedJSON = `{"verdict": "passed", "checks": [{"name": "a", "verdict": "passed"}]}`
	const failedJSON = `{"verdict": "failed", "checks": [{"name": "a", "verdict": "failed"}]}`
	const contradiction = `{"verdict": "passed", "checks": [{"name": "a", "verdict": "failed"}]}`
	const noCheck = `{"verdict": "passed", "checks": []}`
	for _, c := range []struct {
		status         int
		stdout, stderr string
		want           scenarioRun
		err            string
	}{
		{0, passedJSON, "", scenarioRun{passed, ""}, ""},
		{99, failedJSON, "", scenarioRun{failed, "a"}, ""},
		{2, "", "goroutine 1\nfatal error: all goroutines are asleep\n",
			scenarioRun{panicked, "fatal error: all goroutines are asleep"}, ""},
		{0, failedJSON, "", scenarioRun{}, `exit status 0 does not fit the verdict "failed" with 1 checks`},
		{99, passedJSON, "", scenarioRun{}, `exit status 99 does not fit the verdict "passed" with 1 checks`},
		{99, contradiction, "", scenarioRun{}, `exit status 99 does not fit the verdict "passed" with 1 checks`},
		{0, noCheck, "", scenarioRun{}, `exit status 0 does not fit the verdict "passed" with 0 checks`},
		{2, "", "unknown flag\n", scenarioRun{}, "exit status 2: unknown flag"},
		{104, passedJSON, "no such scenario\n", scenarioRun{}, "exit status 104: no such scenario"},
	} {
		got, err := readRun(c.status, []byte(c.stdout), []byte(c.stderr))
		if got != c.want || textOf(err) != c.err {
			t.Errorf("status %d, %q: %+v and error %q, want %+v and %q", c.status, c.stdout, got, textOf(err), c.want,
				c.err)
		}
	}
}

func TestTheTableAndItsCount(t *testing.T) {
	mutants := mutantsOfText("first", "wrong", "panic", "first and second")
	mutants[3].by = "second"
	mutants = append(mutants, mutant{name: "it is left", file: "node.go", old: "left", new: "first"})
	out, err := testAll(t.Context(), fakeTester(t, "this is right"), mutants, 2)
	if textOf(err) != "2 of 5 mutants were not killed" {
		t.Errorf("error %q", textOf(err))
	}
	const want = `x: the scenario failed; !: it panicked or did not end
  1 first
  2 second

planted bug             1  2  first failure
it is first             x  .  scenarios/first.yaml:3
it is wrong             .  .  SURVIVES
it is panic             !  !  panic: 7
it is first and second  x  x  scenarios/second.yaml:3
it is left                    NO LONGER APPLIES

survives: node.go: it is wrong: no scenario failed
no longer applies: node.go: it is left: "left" occurs 0 times in node.go, want once
3 passed, 2 failed
`
	if out != want {
		t.Errorf("printed\n%s\nwant\n%s", out, want)
	}
}

func TestAllCaughtIsNoError(t *testing.T) {
	out, err := testAll(t.Context(), fakeTester(t, "right"), mutantsOfText("first", "second"), 1)
	if err != nil || !strings.HasSuffix(out, "\n\n2 passed, 0 failed\n") {
		t.Errorf("error %v, printed\n%s", err, out)
	}
}

func TestARedProgramWithoutAMutantEndsIt(t *testing.T) {
	out, err := testAll(t.Context(), fakeTester(t, "right, but second fails"), mutantsOfText("first"), 1)
	if textOf(err) != "without a bug scenarios/second.yaml fails: scenarios/second.yaml:3" {
		t.Errorf("error %q", textOf(err))
	}
	if out != "0 passed, 1 failed\n" {
		t.Errorf("printed %q", out)
	}
}

func TestAfterAnInterruptNothingIsTried(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	b := fakeTester(t, "right")
	b.run = func(context.Context, string, string, string, time.Duration) (scenarioRun, error) {
		cancel()
		return scenarioRun{}, nil
	}
	out, err := testAll(ctx, b, mutantsOfText("first", "second"), 1)
	if textOf(err) != "2 of 2 mutants were not killed" {
		t.Errorf("error %q", textOf(err))
	}
	if want := "\nit is second        NOT TRIED\n\n0 passed, 2 failed\n"; !strings.HasSuffix(out, want) {
		t.Errorf("printed\n%s\nwant its end\n%s", out, want)
	}
}

func TestRowsAreNotWiderThanTheTable(t *testing.T) {
	long := strings.Repeat("é", tableWidth+10)
	if got, want := truncate(long, tableWidth), strings.Repeat("é", tableWidth-3)+"..."; got != want {
		t.Errorf("cut to %q, want %q", got, want)
	}
	if got := truncate("short", tableWidth); got != "short" {
		t.Errorf("cut to %q", got)
	}
}
