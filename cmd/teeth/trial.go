package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// fate is what became of a bug. All but caught are failures.
type fate string

const (
	caught   fate = "caught"
	survives fate = "survives"           // every scenario stayed green
	missed   fate = "missed"             // by the scenario that guards the rule; others turned red
	stale    fate = "no longer applies"  // its old text does not stand once in its file
	unbuilt  fate = "does not compile"   // the table is wrong
	same     fate = "changes no program" // the compiler made the same bytes
	untried  fate = "not tried"          // something went wrong on the way
)

// result is one bug's trial.
type result struct {
	bug      *bug
	fate     fate
	outcomes []outcome // by scenario; nil when none was run
	err      error     // unless caught: more about it
}

// tryHealthy builds the program without a bug; all scenarios must hold, or
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
	outcomes, err := b.runAll(ctx, program)
	if err != nil {
		return err
	}
	for i, o := range outcomes {
		if o.ending != green {
			return fmt.Errorf("without a bug %s fails: %s", b.scenarios[i], o.why)
		}
	}
	return nil
}

// try plants a bug and runs every scenario.
func (b *bench) try(ctx context.Context, bug *bug) result {
	if err := ctx.Err(); err != nil {
		return result{bug: bug, fate: untried, err: err}
	}
	folder := filepath.Join(b.temp, bug.folder())
	if !b.keep {
		defer func() { _ = os.RemoveAll(folder) }() // leave tries again, and says why it cannot
	}
	program, fate, err := b.plant(ctx, bug, folder)
	if err != nil {
		return result{bug: bug, fate: fate, err: err}
	}
	outcomes, err := b.runAll(ctx, program)
	if err != nil {
		return result{bug: bug, fate: untried, err: err}
	}
	r := result{bug: bug, outcomes: outcomes}
	r.fate, r.err = b.judge(bug, outcomes)
	return r
}

// plant builds the program with the bug in it, in a new folder; with an error
// comes the fate of the bug.
func (b *bench) plant(ctx context.Context, bug *bug, folder string) (program string, f fate, err error) {
	if err := os.Mkdir(folder, 0o755); err != nil {
		return "", untried, fmt.Errorf("making a folder for the program: %w", err)
	}
	changed, err := bug.plant(func(file string) (string, error) {
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
			return "", untried, fmt.Errorf("writing the bug: %w", err)
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
		return "", same, fmt.Errorf("%q means the same as %q", bug.new, bug.old)
	}
	return program, caught, nil
}

// runAll runs every scenario.
func (b *bench) runAll(ctx context.Context, program string) ([]outcome, error) {
	outcomes := make([]outcome, len(b.scenarios))
	for i, scenario := range b.scenarios {
		var err error
		if outcomes[i], err = b.run(ctx, program, scenario); err != nil {
			return nil, err
		}
	}
	return outcomes, nil
}

// judge says whether the scenarios noticed the bug.
func (b *bench) judge(bug *bug, outcomes []outcome) (fate, error) {
	noticed, guarded := false, bug.by == ""
	for i, o := range outcomes {
		if o.ending != green {
			noticed = true
			guarded = guarded || scenarioName(b.scenarios[i]) == bug.by
		}
	}
	switch {
	case !noticed:
		return survives, errors.New("no scenario turned red")
	case !guarded:
		return missed, fmt.Errorf("%s stayed green", bug.by)
	}
	return caught, nil
}

// scenarioName is a scenario's file without folder and ending.
func scenarioName(file string) string {
	return strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
}

// folder is the bug's name as the name of a folder.
func (b *bug) folder() string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, b.name)
}
