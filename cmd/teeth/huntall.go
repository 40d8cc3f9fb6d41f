package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// ordinary is the fate of a bug of the second table that belongs in the first.
const ordinary fate = "the library notices it"

// huntResult is the trial of one bug of the second table.
type huntResult struct {
	bug    *bug
	fate   fate
	hunted hunted
	err    error // unless caught: more about it
}

// huntAll has a swarm look for each bug, and prints a table, as Markdown, which
// ends with the count of those that passed (were caught) and failed. The error
// says that some failed.
func (b *bench) huntAll(ctx context.Context, bugs []bug, jobs int, h *hunt, w io.Writer) error {
	if err := b.makeHealthy(ctx, h.library); err != nil {
		return errors.Join(err, closing(w, 0, len(bugs)))
	}
	t := &table{w: w}
	t.print("| planted bug | found in | seed | runs | seconds | phones | steps and faults | what failed |")
	t.print("|---|---|--:|--:|--:|--:|--:|---|")
	var failures []result
	small, shown := 0, 0
	inOrder(len(bugs), jobs,
		func(i int) huntResult { return b.hunt(ctx, &bugs[i], h) },
		func(r huntResult) {
			t.print("%s", r.row())
			if r.fate != caught {
				failures = append(failures, result{bug: r.bug, fate: r.fate, err: r.err})
				return
			}
			shown++
			if n := r.hunted.found.parts; n > 0 && n <= smallEnough {
				small++
			}
		})
	t.print("")
	t.print("%d of %d shrunk scenarios have at most %d steps and faults", small, shown, smallEnough)
	if ctx.Err() == nil {
		t.explain(failures)
	}
	err := errors.Join(t.err, closing(w, shown, len(failures)))
	if err == nil && len(failures) > 0 {
		err = fmt.Errorf("%d of %d bugs were not caught", len(failures), len(bugs))
	}
	return err
}

// smallEnough is how many steps and faults a shrunk scenario should have at most.
const smallEnough = 10

// makeHealthy builds the program without a bug, with which the library must hold
// if it is asked for.
func (b *bench) makeHealthy(ctx context.Context, library bool) error {
	if library {
		return b.tryHealthy(ctx)
	}
	program := filepath.Join(b.temp, "sim")
	err := b.build(ctx, program, nil)
	if err == nil {
		b.healthy, err = contentOf(program)
	}
	return err
}

// hunt plants a bug, which the library must not notice, and has a swarm look for
// it. The seed that shows it must hold without it.
func (b *bench) hunt(ctx context.Context, bug *bug, h *hunt) huntResult {
	if err := ctx.Err(); err != nil {
		return huntResult{bug: bug, fate: untried, err: err}
	}
	folder := filepath.Join(b.temp, bug.folder())
	if !b.keep {
		defer func() { _ = os.RemoveAll(folder) }() // leave tries again, and says why it cannot
	}
	program, fate, err := b.plant(ctx, bug, folder)
	if err != nil {
		return huntResult{bug: bug, fate: fate, err: err}
	}
	if h.library {
		if by, err := b.noticedBy(ctx, program); err != nil {
			return huntResult{bug: bug, fate: untried, err: err}
		} else if len(by) > 0 {
			return huntResult{bug: bug, fate: ordinary, err: errors.New(strings.Join(by, ", "))}
		}
	}
	got, err := b.swarm(ctx, h, program, filepath.Join(folder, "found"))
	r := huntResult{bug: bug, fate: caught, hunted: got, err: err}
	switch {
	case err != nil:
		r.fate = untried
	case got.found == nil:
		r.fate, r.err = survives, fmt.Errorf("%d runs held", got.runs)
	default:
		r.fate, r.err = b.blame(ctx, h, got.found)
	}
	return r
}

// noticedBy are the scenarios of the library that turn red.
func (b *bench) noticedBy(ctx context.Context, program string) ([]string, error) {
	outcomes, err := b.runAll(ctx, program)
	var by []string
	for i, o := range outcomes {
		if o.ending != green {
			by = append(by, scenarioName(b.scenarios[i])+" ("+o.why+")")
		}
	}
	return by, err
}

// blame says whether it was the bug that made the seed fail.
func (b *bench) blame(ctx context.Context, h *hunt, p *prey) (fate, error) {
	held, err := b.again(ctx, h, filepath.Join(b.temp, "sim"), p)
	switch {
	case err != nil:
		return untried, err
	case held.found != nil:
		return untried, fmt.Errorf("without the bug seed %d of %s fails as well: %s", p.seed, p.scenario, held.found.cause)
	}
	return caught, nil
}

// row is a bug's line of the table.
func (r *huntResult) row() string {
	p := r.hunted.found
	if r.fate != caught || p == nil {
		return fmt.Sprintf("| %s | %s | | | | | | |", r.bug.name, strings.ToUpper(string(r.fate)))
	}
	size := fmt.Sprint(p.parts)
	switch {
	case p.parts == 0:
		size = "–"
	case p.needsSeed():
		size += " (and its seed)"
	}
	return fmt.Sprintf("| %s | %s | %d | %d | %.1f | %d | %s | %s |", r.bug.name, scenarioName(p.scenario), p.seed, r.hunted.runs, r.hunted.seconds,
		p.phones, size, strings.ReplaceAll(p.cause, "|", "/"))
}
