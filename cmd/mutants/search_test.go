package main

import (
	"os"
	"path/filepath"
	"testing"
)

const (
	heldSwarm   = `{"verdict": "passed", "runs": 500, "wall_seconds": 2.5, "failures": []}`
	failedSwarm = `{"verdict": "failed", "runs": 12, "wall_seconds": 0.5, "failures": [
		{"cause": "liveness: login: nothing", "seed": 7, "file": "scenarios/first.yaml", "shrunk": "one.yaml", "shrunk_note": "(1 phone)"},
		{"cause": "it is lost", "seed": 7, "file": "scenarios/first.yaml", "shrunk_note": "none: time was up"},
		{"cause": "it is gone", "seed": 7, "file": "scenarios/first.yaml", "shrunk": "three.yaml", "shrunk_note": "(2 phones; needs its seed)"}]}`
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

func TestWhatASwarmPrintedIsRead(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "one.yaml"), oneStep)
	write(t, filepath.Join(root, "three.yaml"), threeThings)
	got, err := readSwarm(statusFailed, []byte(failedSwarm), root)
	want := failure{scenario: "scenarios/first.yaml", seed: 7, cause: "it is gone", phones: 2, parts: 3, note: "(2 phones; needs its seed)"}
	if err != nil || got.runs != 12 || got.seconds != 0.5 || got.found == nil || *got.found != want {
		t.Fatalf("%+v, %+v and %v, want %+v", got, got.found, err, want)
	}
	if !got.found.needsSeed() {
		t.Error("it does not need its seed")
	}
	if got, err = readSwarm(statusHeld, []byte(heldSwarm), root); err != nil || got != (swarmResult{runs: 500, seconds: 2.5}) {
		t.Errorf("%+v and %v, want 500 runs that held", got, err)
	}
}

func TestASwarmIsBelievedOnlyWhenItFits(t *testing.T) {
	for _, c := range []struct {
		status    int
		text, err string
	}{
		{statusHeld, failedSwarm, "exit status 0 does not fit 3 failures in 12 runs"},
		{statusFailed, heldSwarm, "exit status 99 does not fit 0 failures in 500 runs"},
		{statusHeld, `{"failures": []}`, "exit status 0 does not fit 0 failures in 0 runs"},
		{105, heldSwarm, "exit status 105"},
		{statusHeld, "", "exit status 0, reading its JSON: unexpected end of JSON input"},
	} {
		if _, err := readSwarm(c.status, []byte(c.text), ""); textOf(err) != c.err {
			t.Errorf("status %d: error %q, want %q", c.status, textOf(err), c.err)
		}
	}
	if _, err := readSwarm(statusFailed, []byte(failedSwarm), t.TempDir()); err == nil {
		t.Error("no error where the shrunk scenario is missing")
	}
}

func TestASearchRunsAProgram(t *testing.T) {
	t.Setenv(fakeSim, "1")
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	h := &search{scenarios: []string{"held.yaml"}, seeds: "1-3"}
	if got, err := h.swarm(t.Context(), t.TempDir(), program, "out"); err != nil || got.runs != 500 || got.found != nil {
		t.Errorf("%+v and %v, want 500 runs that held", got, err)
	}
	p := &failure{scenario: "held.yaml", seed: 7}
	if got, err := h.again(t.Context(), t.TempDir(), program, p); err != nil || got.runs != 500 {
		t.Errorf("%+v and %v, want a run that held", got, err)
	}
	h.scenarios = []string{"refused.yaml"}
	if _, err := h.swarm(t.Context(), t.TempDir(), program, "out"); textOf(err) != "running a swarm: exit status 104: called as a swarm of refused.yaml" {
		t.Errorf("error %q", textOf(err))
	}
}
