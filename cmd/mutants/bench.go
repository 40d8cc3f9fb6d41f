package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"bluetrace/scenarios"
)

// bench is where mutants are planted and tried.
type bench struct {
	root      string            // of the module
	temp      string            // absolute; for changed files and programs
	keep      bool              // what is in temp
	scenarios []string          // files, from root
	healthy   [sha256.Size]byte // the program without a mutant

	build func(ctx context.Context, program string, by map[string]string) error
	run   func(ctx context.Context, program, scenario string) (scenarioResult, error)
	swarm func(ctx context.Context, h *search, program, out string) (swarmResult, error)
	again func(ctx context.Context, h *search, program string, p *failure) (swarmResult, error)
}

// newBench finds the module and its small scenarios.
func newBench(ctx context.Context, keep bool) (*bench, error) {
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
	return &bench{
		root:      root,
		temp:      temp,
		keep:      keep,
		scenarios: files,
		build: func(ctx context.Context, program string, by map[string]string) error {
			return build(ctx, root, program, by)
		},
		run: func(ctx context.Context, program, scenario string) (scenarioResult, error) {
			return simulate(ctx, root, program, scenario, simulationLimit)
		},
		swarm: func(ctx context.Context, h *search, program, out string) (swarmResult, error) {
			return h.swarm(ctx, root, program, out)
		},
		again: func(ctx context.Context, h *search, program string, p *failure) (swarmResult, error) {
			return h.again(ctx, root, program, p)
		},
	}, nil
}

// smallScenarios lists the library without what is manual, from root.
func smallScenarios(root string) ([]string, error) {
	files, _, err := scenarios.Find([]string{filepath.Join(root, "scenarios")})
	if err != nil {
		return nil, err
	}
	for i, file := range files {
		if files[i], err = filepath.Rel(root, file); err != nil {
			return nil, fmt.Errorf("finding scenarios: %w", err)
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("finding scenarios: all of %s are manual", root)
	}
	return files, nil
}

// leave removes what was written, or says where it is kept.
func (b *bench) leave(stderr io.Writer) error {
	if b.keep {
		fmt.Fprintf(stderr, "kept: %s\n", b.temp)
		return nil
	}
	if err := os.RemoveAll(b.temp); err != nil {
		return fmt.Errorf("removing the programs: %w", err)
	}
	return nil
}
