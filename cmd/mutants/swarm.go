package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"bluetrace/scenarios"
)

// swarmResult is the result of one run of sim swarm.
type swarmResult struct {
	runs    uint64
	seconds float64  // real time until the first failure, without shrinking
	found   *failure // nil if nothing failed
}

// failure is the failure that the first failing run showed. If it showed
// several, failures of invariants come before those of liveness, which are often
// only a consequence, and of those the one with the smallest scenario.
type failure struct {
	scenario string // file; empty if the program panicked or did not end
	seed     uint64
	cause    string
	phones   int
	parts    int // steps, faults and adversaries of the shrunk scenario; 0 if it was not shrunk
	note     string
}

// swarmLimit is the time limit for one mutant's seeds and for shrinking.
const swarmLimit = 15 * time.Minute

// runSwarm runs sim swarm until the first failure. A panic and a swarm that does not end, twice, are
// failures. runSwarm returns an error if the run allows no conclusion.
func runSwarm(ctx context.Context, root, program string, arguments ...string) (swarmResult, error) {
	all := append([]string{"swarm", "--fail-fast", "--jobs", "1", "--report", "json"}, arguments...)
	status, stdout, stderr, err := runTwice(ctx, swarmLimit, root, program, all...)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return swarmResult{found: &failure{cause: noEnd(swarmLimit)}}, nil
	}
	if text := panicOf(status, stderr); text != "" && err == nil {
		return swarmResult{found: &failure{cause: text}}, nil
	}
	if err != nil {
		return swarmResult{}, fmt.Errorf("running a swarm: %w", err)
	}
	r, err := readSwarm(status, stdout, root)
	if err != nil {
		return r, fmt.Errorf("running a swarm: %w: %s", err, bytes.TrimSpace(stderr))
	}
	return r, nil
}

// readSwarm reads the exit status and the JSON form of sim swarm. The names of
// shrunk files are relative to root.
func readSwarm(status int, stdout []byte, root string) (swarmResult, error) {
	if status != simPassed && status != simFailed {
		return swarmResult{}, fmt.Errorf("exit status %d", status)
	}
	var s struct {
		Runs        uint64  `json:"runs"`
		WallSeconds float64 `json:"wall_seconds"`
		Failures    []struct {
			Cause      string `json:"cause"`
			Seed       uint64 `json:"seed"`
			File       string `json:"file"`
			Shrunk     string `json:"shrunk"`
			ShrunkNote string `json:"shrunk_note"`
		} `json:"failures"`
	}
	if err := json.Unmarshal(stdout, &s); err != nil {
		return swarmResult{}, fmt.Errorf("exit status %d, reading its JSON: %w", status, err)
	}
	r := swarmResult{runs: s.Runs, seconds: s.WallSeconds}
	if (status == simFailed) != (len(s.Failures) > 0) || s.Runs == 0 {
		return r, fmt.Errorf("exit status %d does not fit %d failures in %d runs", status, len(s.Failures), s.Runs)
	}
	for _, f := range s.Failures {
		found := &failure{scenario: f.File, seed: f.Seed, cause: f.Cause, note: f.ShrunkNote}
		if f.Shrunk != "" {
			file := f.Shrunk
			if !filepath.IsAbs(file) {
				file = filepath.Join(root, file)
			}
			if err := found.measure(file); err != nil {
				return r, err
			}
		}
		if r.found == nil || found.clearerThan(r.found) {
			r.found = found
		}
	}
	return r, nil
}

// measure counts the phones and parts of a shrunk scenario.
func (f *failure) measure(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("reading the shrunk scenario: %w", err)
	}
	s, err := scenarios.Parse(file, text, scenarios.Options{})
	if err != nil {
		return fmt.Errorf("reading the shrunk scenario: %w", err)
	}
	f.phones = len(s.PhoneNames())
	f.parts = len(s.Script) + len(s.Faults) + len(s.Adversaries)
	return nil
}

// clearerThan reports whether f shows a bug better than g.
func (f *failure) clearerThan(g *failure) bool {
	const liveness = "liveness: "
	if a, b := strings.HasPrefix(f.cause, liveness), strings.HasPrefix(g.cause, liveness); a != b {
		return b
	}
	return f.parts > 0 && (g.parts == 0 || f.parts < g.parts)
}

// judgeSwarm searches the seeds for the mutant and sets the outcome. The library
// must not have noticed it, and the seed that finds it must pass without it.
func (t *tester) judgeSwarm(ctx context.Context, r *result, program string) {
	var noticed []string
	for i, run := range r.runs {
		if run.ending != passed {
			noticed = append(noticed, scenarioName(t.scenarios[i])+" ("+run.reason+")")
		}
	}
	if len(noticed) > 0 {
		r.outcome, r.err = ordinary, errors.New(strings.Join(noticed, ", "))
		return
	}
	o, out := t.options, filepath.Join(filepath.Dir(program), "found")
	arguments := append([]string{"--seeds", o.seeds, "--out", out, "--shrink-time", o.shrink.String()}, o.in...)
	if r.search, r.err = t.swarm(ctx, t.root, program, arguments...); r.err != nil {
		r.outcome = untried
		return
	}
	found := r.search.found
	if found == nil {
		r.outcome, r.err = survives, fmt.Errorf("%d runs passed", r.search.runs)
		return
	}
	if found.scenario == "" {
		return // it panicked or did not end
	}
	seed := strconv.FormatUint(found.seed, 10)
	original, err := t.swarm(ctx, t.root, t.originalProgram(), "--seeds", seed+"-"+seed, found.scenario)
	if err == nil && original.found != nil {
		err = fmt.Errorf("without the bug seed %d of %s fails as well: %s", found.seed, found.scenario,
			original.found.cause)
	}
	if err != nil {
		r.outcome, r.err = untried, err
	}
}

// smallScenario is the number of steps and faults that a shrunk scenario should
// have at most.
const smallScenario = 10

// swarmTable prints, as Markdown, how each mutant was found.
type swarmTable struct {
	*printer
	found, small int // mutants found; those whose shrunk scenario is small
}

func (t *swarmTable) head() {
	t.print("| planted bug | found in | seed | runs | seconds | phones | steps and faults | what failed |")
	t.print("|---|---|--:|--:|--:|--:|--:|---|")
}

func (t *swarmTable) row(r *result) {
	if r.outcome != killed {
		t.print("| %s | %s | | | | | | |", r.mutant.name, strings.ToUpper(string(r.outcome)))
		return
	}
	f := r.search.found
	t.found++
	if f.parts > 0 && f.parts <= smallScenario {
		t.small++
	}
	size := strconv.Itoa(f.parts)
	switch {
	case f.parts == 0:
		size = "–"
	case strings.Contains(f.note, "needs its seed"):
		size += " (and its seed)"
	}
	if f.scenario == "" {
		t.print("| %s | – | | | | | – | %s |", r.mutant.name, strings.ReplaceAll(f.cause, "|", "/"))
		return
	}
	t.print("| %s | %s | %d | %d | %.1f | %d | %s | %s |", r.mutant.name, scenarioName(f.scenario), f.seed,
		r.search.runs, r.search.seconds, f.phones, size, strings.ReplaceAll(f.cause, "|", "/"))
}

func (t *swarmTable) foot() {
	t.print("")
	t.print("%d of %d shrunk scenarios have at most %d steps and faults", t.small, t.found, smallScenario)
}
