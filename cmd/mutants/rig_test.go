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
	"testing"
	"time"
)

// fakeSim is the environment variable that makes the test's program behave like sim.
// The name of the scenario decides the result.
const fakeSim = "MUTANTS_FAKE_SIM"

func TestMain(m *testing.M) {
	if os.Getenv(fakeSim) != "" {
		playSim(os.Args[1:])
	}
	os.Exit(m.Run())
}

const (
	greenJSON = `{"verdict": "passed", "checks": [{"kind": "invariant", "name": "all is well", "verdict": "passed"}]}`
	redJSON   = `{"verdict": "failed", "checks": [
		{"kind": "invariant", "name": "all is well", "verdict": "failed", "at_seconds": 2},
		{"kind": "expectation", "name": "late", "place": "scenarios/red.yaml:9:1", "verdict": "failed"},
		{"kind": "expectation", "name": "held", "place": "scenarios/red.yaml:1:1", "verdict": "passed",
		"at_seconds": 0},
		{"kind": "expectation", "name": "first", "place": "scenarios/red.yaml:7:3", "verdict": "failed",
		"at_seconds": 1.5}]}`
)

func playSim(arguments []string) {
	if len(arguments) > 5 && strings.Join(arguments[:6], " ") == "swarm --fail-fast --jobs 1 --report json" {
		playSwarm(arguments[len(arguments)-1])
	}
	if len(arguments) != 4 || arguments[0] != "run" || arguments[2] != "--report" || arguments[3] != "json" {
		fmt.Fprintf(os.Stderr, "called as %q", arguments)
		os.Exit(104)
	}
	switch scenarioName(arguments[1]) {
	case "green":
		fmt.Println(greenJSON)
	case "red":
		fmt.Println(redJSON)
		os.Exit(99)
	case "panics":
		panic("the log has no entry 7")
	case "hangs":
		r, w, _ := os.Pipe()
		defer w.Close()
		io.Copy(io.Discard, r)
	case "where":
		folder, _ := os.Getwd()
		fmt.Fprint(os.Stderr, filepath.Base(folder))
		os.Exit(107)
	}
	os.Exit(0)
}

func playSwarm(scenario string) {
	if scenario != "held.yaml" {
		fmt.Fprintf(os.Stderr, "called as a swarm of %s", scenario)
		os.Exit(104)
	}
	fmt.Println(heldSwarm)
	os.Exit(0)
}

// fakeTester has one source file, whose text is also the program that is built from
// it. A scenario fails if the program contains the scenario's name.
func fakeTester(t *testing.T, source string) *tester {
	t.Helper()
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "node.go"), []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	b := &tester{options: &options{jobs: 1, library: true}, root: root, temp: t.TempDir(),
		scenarios: []string{"scenarios/first.yaml", "scenarios/second.yaml"}}
	b.build = func(_ context.Context, _, program string, overlay map[string]string) error {
		file := overlay["node.go"]
		if file == "" {
			file = filepath.Join(root, "node.go")
		}
		text, err := os.ReadFile(file)
		if strings.Contains(string(text), "syntax") {
			return errors.New("building sim: syntax error")
		}
		return errors.Join(err, os.WriteFile(program, []byte(strings.TrimSuffix(string(text), " // comment")), 0o755))
	}
	b.run = func(_ context.Context, _, program, scenario string, _ time.Duration) (scenarioRun, error) {
		text, err := os.ReadFile(program)
		switch {
		case strings.Contains(string(text), "refused"):
			return scenarioRun{}, errors.New("running it: exit status 107")
		case strings.Contains(string(text), scenarioName(scenario)):
			return scenarioRun{failed, scenario + ":3"}, err
		case strings.Contains(string(text), "panic"):
			return scenarioRun{panicked, "panic: 7"}, err
		}
		return scenarioRun{}, err
	}
	b.original = sha256.Sum256([]byte(source))
	return b
}

func textOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func mutantsOfText(name ...string) []mutant {
	var mutants []mutant
	for _, n := range name {
		mutants = append(mutants, mutant{name: "it is " + n, file: "node.go", old: "right", new: n})
	}
	return mutants
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// testAll tests mutants with this number of jobs and returns the output.
func testAll(ctx context.Context, b *tester, mutants []mutant, jobs int) (string, error) {
	var out strings.Builder
	b.options.mutants, b.options.jobs = mutants, jobs
	err := b.testAll(ctx, &out)
	return out.String(), err
}

func readFile(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
