package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os/exec"
	"strings"
	"time"

	"bluetrace/reports"
)

// ending is what became of one run of a scenario.
type ending uint8

const (
	green   ending = iota
	red            // a check failed
	crashed        // the program panicked
	hung           // it did not end within the limit
)

// scenarioResult is one run of a scenario.
type scenarioResult struct {
	ending ending
	// why is, of a red one, the check that failed first; else what happened.
	why string
}

// simulationLimit is for one run of one small scenario, which takes a second or
// less.
const simulationLimit = 20 * time.Second

// Exit statuses of sim, and of a Go program that panics.
const (
	statusHeld   = 0
	statusPanic  = 2
	statusFailed = 99
)

// simulate runs one scenario in the folder root. The error says why nothing can
// be concluded.
func simulate(ctx context.Context, root, program, scenario string, limit time.Duration) (scenarioResult, error) {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var stdout, stderr bytes.Buffer
	c := exec.CommandContext(limited, program, "run", scenario, "--report", "json")
	c.Dir, c.Stdout, c.Stderr, c.WaitDelay = root, &stdout, &stderr, afterKill
	err := c.Run()
	switch _, exited := errors.AsType[*exec.ExitError](err); {
	case err != nil && ctx.Err() != nil:
		return scenarioResult{}, fmt.Errorf("running %s: %w", scenario, ctx.Err())
	case err != nil && limited.Err() != nil:
		return scenarioResult{hung, fmt.Sprintf("no end within %v", limit)}, nil
	case err != nil && !exited:
		return scenarioResult{}, fmt.Errorf("running %s: %w", scenario, err)
	}
	o, err := conclude(c.ProcessState.ExitCode(), stdout.Bytes(), stderr.Bytes())
	if err != nil {
		return o, fmt.Errorf("running %s: %w", scenario, err)
	}
	return o, nil
}

// conclude reads what a run left behind.
func conclude(status int, stdout, stderr []byte) (scenarioResult, error) {
	if status == statusPanic {
		if line, ok := panicLine(stderr); ok {
			return scenarioResult{crashed, line}, nil
		}
	}
	if status != statusHeld && status != statusFailed {
		return scenarioResult{}, fmt.Errorf("exit status %d: %s", status, bytes.TrimSpace(stderr))
	}
	var run struct {
		Verdict reports.Verdict `json:"verdict"`
		Checks  []reports.Check `json:"checks"`
	}
	if err := json.Unmarshal(stdout, &run); err != nil {
		return scenarioResult{}, fmt.Errorf("exit status %d, reading its JSON: %w", status, err)
	}
	first, failed := firstFailure(run.Checks)
	switch {
	case status == statusHeld && run.Verdict == reports.Passed && !failed && len(run.Checks) > 0:
		return scenarioResult{ending: green}, nil
	case status == statusFailed && run.Verdict == reports.Failed && failed:
		return scenarioResult{red, nameOf(first)}, nil
	}
	return scenarioResult{}, fmt.Errorf("exit status %d does not fit the verdict %q with %d checks", status, run.Verdict, len(run.Checks))
}

// panicLine is the line with which Go's runtime ends a program.
func panicLine(stderr []byte) (string, bool) {
	for line := range strings.Lines(string(stderr)) {
		if strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") {
			return strings.TrimSpace(line), true
		}
	}
	return "", false
}

// firstFailure is the check that failed earliest in the run's own time.
func firstFailure(checks []reports.Check) (first reports.Check, failed bool) {
	for _, c := range checks {
		if c.Verdict == reports.Failed && (!failed || cmp.Less(momentOf(c), momentOf(first))) {
			first, failed = c, true
		}
	}
	return first, failed
}

// momentOf is when a check failed, in seconds; one without a time comes last.
func momentOf(c reports.Check) float64 {
	if c.AtSeconds == nil {
		return math.Inf(1)
	}
	return *c.AtSeconds
}

// nameOf is where a check stands (scenario and line), or its name.
func nameOf(c reports.Check) string {
	parts := strings.Split(c.Place, ":")
	if len(parts) < 2 {
		return c.Name
	}
	return scenarioName(parts[0]) + ":" + parts[1]
}
