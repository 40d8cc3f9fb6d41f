package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fakeSim is the variable that makes this test's own program behave as sim
// does, by the name of the scenario.
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
		{"kind": "expectation", "name": "held", "place": "scenarios/red.yaml:1:1", "verdict": "passed", "at_seconds": 0},
		{"kind": "expectation", "name": "first", "place": "scenarios/red.yaml:7:3", "verdict": "failed", "at_seconds": 1.5}]}`
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
