package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"bluetrace/scenarios"
)

// search is how a swarm looks for mutants.
type search struct {
	scenarios  []string // files, from the module's root; all of them for each seed
	seeds      string   // as sim swarm takes them
	shrinkTime time.Duration
	library    bool // the library must not notice the mutant
}

// grounds are the scenarios in which a swarm looks for mutants unless told
// otherwise: those that it runs fastest.
func grounds() []string {
	return []string{"scenarios/blocking.yaml", "scenarios/tempids.yaml", "scenarios/expiry.yaml", "scenarios/uploads.yaml", "scenarios/classroom.yaml"}
}

// swarmResult is what became of one search.
type swarmResult struct {
	runs    uint64
	seconds float64  // real ones, until the first failure; without making it small
	found   *failure // nil: nothing failed
}

// failure is the failure that the first failing run showed; of several, an invariant
// rather than liveness, which often only shows what follows, and of those that of
// the smallest scenario.
type failure struct {
	scenario string // file
	seed     uint64
	cause    string
	phones   int
	parts    int // steps, faults and adversaries of the shrunk scenario; 0: there is none
	note     string
}

// searchLimit is for the seeds of one mutant and for making what is found small.
const searchLimit = 15 * time.Minute

// swarm runs sim swarm until something fails; what it writes goes to the folder
// out. The error says why nothing can be concluded.
func (h *search) swarm(ctx context.Context, root, program, out string) (swarmResult, error) {
	return h.call(ctx, root, program, append([]string{"--seeds", h.seeds, "--out", out, "--shrink-time", h.shrinkTime.String()}, h.scenarios...)...)
}

// again runs the one seed that showed something, without making it small.
func (h *search) again(ctx context.Context, root, program string, p *failure) (swarmResult, error) {
	seed := strconv.FormatUint(p.seed, 10)
	return h.call(ctx, root, program, "--seeds", seed+"-"+seed, p.scenario)
}

func (h *search) call(ctx context.Context, root, program string, arguments ...string) (swarmResult, error) {
	limited, cancel := context.WithTimeout(ctx, searchLimit)
	defer cancel()
	var stdout, stderr bytes.Buffer
	all := append([]string{"swarm", "--fail-fast", "--jobs", "1", "--report", "json"}, arguments...)
	c := exec.CommandContext(limited, program, all...)
	c.Dir, c.Stdout, c.Stderr, c.WaitDelay = root, &stdout, &stderr, afterKill
	err := c.Run()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && (!exited || limited.Err() != nil) {
		return swarmResult{}, fmt.Errorf("running a swarm: %w", errors.Join(limited.Err(), err))
	}
	got, err := readSwarm(c.ProcessState.ExitCode(), stdout.Bytes(), root)
	if err != nil {
		return got, fmt.Errorf("running a swarm: %w: %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	return got, nil
}

// readSwarm reads what a swarm printed. Shrunk files are looked for from root.
func readSwarm(status int, stdout []byte, root string) (swarmResult, error) {
	if status != statusHeld && status != statusFailed {
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
	got := swarmResult{runs: s.Runs, seconds: s.WallSeconds}
	if (status == statusFailed) != (len(s.Failures) > 0) || s.Runs == 0 {
		return got, fmt.Errorf("exit status %d does not fit %d failures in %d runs", status, len(s.Failures), s.Runs)
	}
	for _, f := range s.Failures {
		p := &failure{scenario: f.File, seed: f.Seed, cause: f.Cause, note: f.ShrunkNote}
		if f.Shrunk != "" {
			if err := p.measure(filepath.Join(root, f.Shrunk), f.Shrunk); err != nil {
				return got, err
			}
		}
		if got.found == nil || p.better(got.found) {
			got.found = p
		}
	}
	return got, nil
}

// measure counts what is in a shrunk scenario.
func (p *failure) measure(fromRoot, file string) error {
	if filepath.IsAbs(file) {
		fromRoot = file
	}
	text, err := os.ReadFile(fromRoot)
	if err != nil {
		return fmt.Errorf("reading the shrunk scenario: %w", err)
	}
	s, err := scenarios.Parse(fromRoot, text, scenarios.Options{})
	if err != nil {
		return fmt.Errorf("reading the shrunk scenario: %w", err)
	}
	p.phones = len(s.PhoneNames())
	p.parts = len(s.Script) + len(s.Faults) + len(s.Adversaries)
	return nil
}

// better says whether p shows a mutant better than another.
func (p *failure) better(than *failure) bool {
	if a, b := p.liveness(), than.liveness(); a != b {
		return b
	}
	return p.parts > 0 && (than.parts == 0 || p.parts < than.parts)
}

// liveness says whether it is only that something was not possible after the heal.
func (p *failure) liveness() bool { return strings.HasPrefix(p.cause, "liveness: ") }

// needsSeed says whether the shrunk scenario fails with its own seed only.
func (p *failure) needsSeed() bool { return strings.Contains(p.note, "needs its seed") }
