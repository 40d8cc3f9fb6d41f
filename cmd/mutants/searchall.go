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

// ordinary is the outcome of a mutant of the second table that belongs in the first.
const ordinary outcome = "the library notices it"

// searchOutcome is the trial of one mutant of the second table.
type searchOutcome struct {
	mutant      *mutant
	outcome     outcome
	swarmResult swarmResult
	err         error // unless caught: more about it
}

// searchAll has a swarm look for each mutant, and prints a table, as Markdown, which
// ends with the count of those that passed (were caught) and failed. The error
// says that some failed.
func (b *bench) searchAll(ctx context.Context, mutants []mutant, jobs int, h *search, w io.Writer) error {
	if err := b.makeHealthy(ctx, h.library); err != nil {
		return errors.Join(err, closing(w, 0, len(mutants)))
	}
	t := &table{w: w}
	t.print("| planted mutant | found in | seed | runs | seconds | phones | steps and faults | what failed |")
	t.print("|---|---|--:|--:|--:|--:|--:|---|")
	var failures []result
	small, shown := 0, 0
	inOrder(len(mutants), jobs,
		func(i int) searchOutcome { return b.search(ctx, &mutants[i], h) },
		func(r searchOutcome) {
			t.print("%s", r.row())
			if r.outcome != caught {
				failures = append(failures, result{mutant: r.mutant, outcome: r.outcome, err: r.err})
				return
			}
			shown++
			if n := r.swarmResult.found.parts; n > 0 && n <= smallEnough {
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
		err = fmt.Errorf("%d of %d mutants were not caught", len(failures), len(mutants))
	}
	return err
}

// smallEnough is how many steps and faults a shrunk scenario should have at most.
const smallEnough = 10

// makeHealthy builds the program without a mutant, with which the library must hold
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

// search plants a mutant, which the library must not notice, and has a swarm look for
// it. The seed that shows it must hold without it.
func (b *bench) search(ctx context.Context, mutant *mutant, h *search) searchOutcome {
	if err := ctx.Err(); err != nil {
		return searchOutcome{mutant: mutant, outcome: untried, err: err}
	}
	folder := filepath.Join(b.temp, mutant.folder())
	if !b.keep {
		defer func() { _ = os.RemoveAll(folder) }() // leave tries again, and says why it cannot
	}
	program, outcome, err := b.plant(ctx, mutant, folder)
	if err != nil {
		return searchOutcome{mutant: mutant, outcome: outcome, err: err}
	}
	if h.library {
		if by, err := b.noticedBy(ctx, program); err != nil {
			return searchOutcome{mutant: mutant, outcome: untried, err: err}
		} else if len(by) > 0 {
			return searchOutcome{mutant: mutant, outcome: ordinary, err: errors.New(strings.Join(by, ", "))}
		}
	}
	got, err := b.swarm(ctx, h, program, filepath.Join(folder, "found"))
	r := searchOutcome{mutant: mutant, outcome: caught, swarmResult: got, err: err}
	switch {
	case err != nil:
		r.outcome = untried
	case got.found == nil:
		r.outcome, r.err = survives, fmt.Errorf("%d runs held", got.runs)
	default:
		r.outcome, r.err = b.blame(ctx, h, got.found)
	}
	return r
}

// noticedBy are the scenarios of the library that turn red.
func (b *bench) noticedBy(ctx context.Context, program string) ([]string, error) {
	results, err := b.runAll(ctx, program)
	var by []string
	for i, o := range results {
		if o.ending != green {
			by = append(by, scenarioName(b.scenarios[i])+" ("+o.why+")")
		}
	}
	return by, err
}

// blame says whether it was the mutant that made the seed fail.
func (b *bench) blame(ctx context.Context, h *search, p *failure) (outcome, error) {
	held, err := b.again(ctx, h, filepath.Join(b.temp, "sim"), p)
	switch {
	case err != nil:
		return untried, err
	case held.found != nil:
		return untried, fmt.Errorf("without the mutant seed %d of %s fails as well: %s", p.seed, p.scenario, held.found.cause)
	}
	return caught, nil
}

// row is a mutant's line of the table.
func (r *searchOutcome) row() string {
	p := r.swarmResult.found
	if r.outcome != caught || p == nil {
		return fmt.Sprintf("| %s | %s | | | | | | |", r.mutant.name, strings.ToUpper(string(r.outcome)))
	}
	size := fmt.Sprint(p.parts)
	switch {
	case p.parts == 0:
		size = "–"
	case p.needsSeed():
		size += " (and its seed)"
	}
	return fmt.Sprintf("| %s | %s | %d | %d | %.1f | %d | %s | %s |", r.mutant.name, scenarioName(p.scenario), p.seed, r.swarmResult.runs, r.swarmResult.seconds,
		p.phones, size, strings.ReplaceAll(p.cause, "|", "/"))
}
