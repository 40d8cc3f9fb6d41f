package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// outcome is what became of a mutant. All but caught are failures.
type outcome string

const (
	caught   outcome = "caught"
	survives outcome = "survives"           // every scenario stayed green
	missed   outcome = "missed"             // by the scenario that guards the rule; others turned red
	stale    outcome = "no longer applies"  // its old text does not stand once in its file
	unbuilt  outcome = "does not compile"   // the table is wrong
	same     outcome = "changes no program" // the compiler made the same bytes
	untried  outcome = "not tried"          // something went wrong on the way
)

// result is one mutant's trial.
type result struct {
	mutant  *mutant
	outcome outcome
	results []scenarioResult // by scenario; nil when none was run
	err     error            // unless caught: more about it
}

// tryHealthy builds the program without a mutant; all scenarios must hold, or
// nothing that turns red later would mean anything.
func (b *bench) tryHealthy(ctx context.Context) error {
	program := filepath.Join(b.temp, "sim")
	if err := b.build(ctx, program, nil); err != nil {
		return err
	}
	var err error
	if b.healthy, err = contentOf(program); err != nil {
		return err
	}
	results, err := b.runAll(ctx, program)
	if err != nil {
		return err
	}
	for i, o := range results {
		if o.ending != green {
			return fmt.Errorf("without a mutant %s fails: %s", b.scenarios[i], o.why)
		}
	}
	return nil
}

// try plants a mutant and runs every scenario.
func (b *bench) try(ctx context.Context, mutant *mutant) result {
	if err := ctx.Err(); err != nil {
		return result{mutant: mutant, outcome: untried, err: err}
	}
	folder := filepath.Join(b.temp, mutant.folder())
	if !b.keep {
		defer func() { _ = os.RemoveAll(folder) }() // leave tries again, and says why it cannot
	}
	program, outcome, err := b.plant(ctx, mutant, folder)
	if err != nil {
		return result{mutant: mutant, outcome: outcome, err: err}
	}
	results, err := b.runAll(ctx, program)
	if err != nil {
		return result{mutant: mutant, outcome: untried, err: err}
	}
	r := result{mutant: mutant, results: results}
	r.outcome, r.err = b.judge(mutant, results)
	return r
}

// plant builds the program with the mutant in it, in a new folder; with an error
// comes the outcome of the mutant.
func (b *bench) plant(ctx context.Context, mutant *mutant, folder string) (program string, f outcome, err error) {
	if err := os.Mkdir(folder, 0o755); err != nil {
		return "", untried, fmt.Errorf("making a folder for the program: %w", err)
	}
	changed, err := mutant.plant(func(file string) (string, error) {
		text, err := os.ReadFile(filepath.Join(b.root, filepath.FromSlash(file)))
		return string(text), err
	})
	if err != nil {
		return "", stale, err
	}
	by := make(map[string]string, len(changed))
	for of, text := range changed {
		by[of] = filepath.Join(folder, strings.ReplaceAll(of, "/", "-"))
		if err := os.WriteFile(by[of], []byte(text), 0o644); err != nil {
			return "", untried, fmt.Errorf("writing the mutant: %w", err)
		}
	}
	program = filepath.Join(folder, "sim")
	if err := b.build(ctx, program, by); err != nil {
		return "", unbuilt, err
	}
	content, err := contentOf(program)
	if err != nil {
		return "", untried, err
	}
	if content == b.healthy {
		return "", same, fmt.Errorf("%q means the same as %q", mutant.new, mutant.old)
	}
	return program, caught, nil
}

// runAll runs every scenario.
func (b *bench) runAll(ctx context.Context, program string) ([]scenarioResult, error) {
	results := make([]scenarioResult, len(b.scenarios))
	for i, scenario := range b.scenarios {
		var err error
		if results[i], err = b.run(ctx, program, scenario); err != nil {
			return nil, err
		}
	}
	return results, nil
}

// judge says whether the scenarios noticed the mutant.
func (b *bench) judge(mutant *mutant, results []scenarioResult) (outcome, error) {
	noticed, guarded := false, mutant.by == ""
	for i, o := range results {
		if o.ending != green {
			noticed = true
			guarded = guarded || scenarioName(b.scenarios[i]) == mutant.by
		}
	}
	switch {
	case !noticed:
		return survives, errors.New("no scenario turned red")
	case !guarded:
		return missed, fmt.Errorf("%s stayed green", mutant.by)
	}
	return caught, nil
}

// scenarioName is a scenario's file without folder and ending.
func scenarioName(file string) string {
	return strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
}

// folder is the mutant's name as the name of a folder.
func (b *mutant) folder() string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, b.name)
}
