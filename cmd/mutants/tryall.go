package main

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// tryAll tries mutants and prints the table, which ends with the count of those
// that passed (were caught) and failed. The error says that some failed.
func (b *bench) tryAll(ctx context.Context, mutants []mutant, jobs int, w io.Writer) error {
	if err := b.tryHealthy(ctx); err != nil {
		return errors.Join(err, closing(w, 0, len(mutants)))
	}
	t := newTable(w, mutants, b.scenarios)
	t.head()
	var failures []result
	inOrder(len(mutants), jobs,
		func(i int) result { return b.try(ctx, &mutants[i]) },
		func(r result) {
			t.row(&r)
			if r.outcome != caught {
				failures = append(failures, r)
			}
		})
	t.print("")
	if ctx.Err() == nil { // else the failures only say that they were not tried
		t.explain(failures)
	}
	err := errors.Join(t.err, closing(w, len(mutants)-len(failures), len(failures)))
	if err == nil && len(failures) > 0 {
		err = fmt.Errorf("%d of %d mutants were not caught", len(failures), len(mutants))
	}
	return err
}

func closing(w io.Writer, passed, failed int) error {
	if _, err := fmt.Fprintf(w, "%d passed, %d failed\n", passed, failed); err != nil {
		return fmt.Errorf("printing the count: %w", err)
	}
	return nil
}
