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

const (
	heldSwarm   = `{"verdict": "passed", "runs": 500, "wall_seconds": 2.5, "failures": []}`
	failedSwarm = `{"verdict": "failed", "runs": 12, "wall_seconds": 0.5, "failures": [
		{"cause": "liveness: login: nothing", "seed": 7, "file": "scenarios/first.yaml", "shrunk": "one.yaml",
		"shrunk_note": "(1 phone)"},
		{"cause": "it is lost", "seed": 7, "file": "scenarios/first.yaml", "shrunk_note": "none: time was up"},
		{"cause": "it is gone", "seed": 7, "file": "scenarios/first.yaml", "shrunk": "three.yaml",
		"shrunk_note": "(2 phones; needs its seed)"}]}`
)

const oneStep = `name: one
phones: [{name: a}]
script: [{at: 1s, phone: a, login: right}]
invariants: true
`

const threeThings = `name: three
phones: [{name: a, count: 2}]
faults: [{crash: server, at: 1s, for: 1s}, {lose: 10%}]
invariants: true
script: [{at: 1s, phone: a-1, login: right}]
`

func TestReadSwarmOutput(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "one.yaml"), oneStep)
	write(t, filepath.Join(root, "three.yaml"), threeThings)
	got, err := readSwarm(simFailed, []byte(failedSwarm), root)
	want := failure{scenario: "scenarios/first.yaml", seed: 7, cause: "it is gone", phones: 2, parts: 3,
		note: "(2 phones; needs its seed)"}
	if err != nil || got.runs != 12 || got.seconds != 0.5 || got.found == nil || *got.found != want {
		t.Fatalf("%+v, %+v and %v, want %+v", got, got.found, err, want)
	}
	if got, err = readSwarm(simPassed, []byte(heldSwarm), root); err != nil ||
		got != (swarmResult{runs: 500, seconds: 2.5}) {
		t.Errorf("%+v and %v, want 500 runs that held", got, err)
	}
}

func TestASwarmIsBelievedOnlyWhenItFits(t *testing.T) {
	for _, c := range []struct {
		status    int
		text, err string
	}{
		{simPassed, failedSwarm, "exit status 0 does not fit 3 failures in 12 runs"},
		{simFailed, heldSwarm, "exit status 99 does not fit 0 failures in 500 runs"},
		{simPassed, `{"failures": []}`, "exit status 0 does not fit 0 failures in 0 runs"},
		{105, heldSwarm, "exit status 105"},
		{simPassed, "", "exit status 0, reading its JSON: unexpected end of JSON input"},
	} {
		if _, err := readSwarm(c.status, []byte(c.text), ""); textOf(err) != c.err {
			t.Errorf("status %d: error %q, want %q", c.status, textOf(err), c.err)
		}
	}
	if _, err := readSwarm(simFailed, []byte(failedSwarm), t.TempDir()); err == nil {
		t.Error("no error where the shrunk scenario is missing")
	}
}

func TestRunSwarmRunsAProgram(t *testing.T) {
	t.Setenv(fakeSim, "1")
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := runSwarm(t.Context(), t.TempDir(), program, "--seeds", "1-3", "held.yaml"); err != nil ||
		got.runs != 500 || got.found != nil {
		t.Errorf("%+v and %v, want 500 runs that passed", got, err)
	}
	_, err = runSwarm(t.Context(), t.TempDir(), program, "refused.yaml")
	if textOf(err) != "running a swarm: exit status 104: called as a swarm of refused.yaml" {
		t.Errorf("error %q", textOf(err))
	}
}

// swarmTester returns a tester whose swarms find the mutants "odd" and "both".
// Seed 3, which finds "both", fails without a bug as well. It fails the test if
// the searches do not have the settings of the options.
func swarmTester(t *testing.T) *tester {
	t.Helper()
	b := fakeTester(t, "this is right")
	b.options.swarm, b.options.seeds, b.options.in = true, "1-9", []string{"a.yaml", "b.yaml"}
	b.swarm = func(_ context.Context, _, program string, arguments ...string) (swarmResult, error) {
		found := &failure{scenario: "scenarios/first.yaml", seed: 2, cause: "a | b", phones: 1, parts: 4}
		folder := filepath.Dir(program)
		if folder == b.temp {
			if arguments[2] != "scenarios/first.yaml" || len(arguments) != 3 {
				t.Errorf("the original was run with %q", arguments)
			}
			if arguments[1] == "3-3" {
				return swarmResult{runs: 1, found: found}, nil
			}
			return swarmResult{runs: 1}, nil
		}
		if got, want := strings.Join(arguments, " "),
			"--seeds 1-9 --out "+folder+"/found --shrink-time 0s a.yaml b.yaml"; got != want {
			t.Errorf("a swarm was run with %q, want %q", got, want)
		}
		switch filepath.Base(folder) {
		case "it-is-odd":
			return swarmResult{runs: 6, seconds: 0.25, found: found}, nil
		case "it-is-both":
			found.seed = 3
			return swarmResult{runs: 6, found: found}, nil
		case "it-is-broken":
			return swarmResult{}, errors.New("running a swarm: exit status 107")
		}
		return swarmResult{runs: 100}, nil
	}
	return b
}

func TestTheTableOfSearches(t *testing.T) {
	mutants := mutantsOfText("odd", "rare", "both", "broken", "first")
	out, err := testAll(t.Context(), swarmTester(t), mutants, 2)
	if textOf(err) != "4 of 5 mutants were not killed" {
		t.Errorf("error %q", textOf(err))
	}
	const want = `| planted bug | found in | seed | runs | seconds | phones | steps and faults | what failed |
|---|---|--:|--:|--:|--:|--:|---|
| it is odd | first | 2 | 6 | 0.2 | 1 | 4 | a / b |
| it is rare | SURVIVES | | | | | | |
| it is both | NOT TRIED | | | | | | |
| it is broken | NOT TRIED | | | | | | |
| it is first | THE LIBRARY NOTICES IT | | | | | | |

1 of 1 shrunk scenarios have at most 10 steps and faults
survives: node.go: it is rare: 100 runs passed
not tried: node.go: it is both: without the bug seed 3 of scenarios/first.yaml fails as well: a | b
not tried: node.go: it is broken: running a swarm: exit status 107
the library notices it: node.go: it is first: first (scenarios/first.yaml:3)
1 passed, 4 failed
`
	if out != want {
		t.Errorf("printed\n%s\nwant\n%s", out, want)
	}
}

func TestWithoutTheLibraryOnlySwarmsLook(t *testing.T) {
	b := swarmTester(t)
	b.run = func(context.Context, string, string, string, time.Duration) (scenarioRun, error) {
		t.Error("a scenario of the library was run")
		return scenarioRun{}, nil
	}
	b.options.library = false
	if _, err := testAll(t.Context(), b, mutantsOfText("odd"), 1); err != nil {
		t.Error(err)
	}
}
