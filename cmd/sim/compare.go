package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"bluetrace/reports"
	"bluetrace/reports/compare"
)

const compareAbout = `Compares two sets of results, B with A, and prints the differences.

A and B each are a file that sim run --out DIR or --report json wrote, a folder of such files, a quoted
pattern, or several of these separated by commas; one of them may be - for standard input. Give three or
more runs of a load on each side.`

const compareStatuses = `Exit status:
  0    no budget was exceeded
  99   a budget was exceeded by more than chance explains
  104  a result, a budget or a flag is invalid or missing
  105  interrupted
  107  not possible: a file cannot be read, the output cannot be written
`

// comparePage is the page in the folder of --out.
const comparePage = "compare" + pageEnd

// compareFlags are the settings of one call of sim compare.
type compareFlags struct {
	compare.Options
	out        string // folder of --out; empty if no page is written
	budgets    []string
	confidence string
	forms      *formsFlag
	noColor    bool
}

func (f *compareFlags) define(set *pflag.FlagSet) {
	set.StringArrayVar(&f.budgets, "budget", nil, "let a figure grow (+) or fall (-) by at most this: "+
		"`METRIC:FIGURE=LIMIT`,\nsuch as response_time:p99=+10% or beacons.valid:count=-5%; may be repeated")
	set.StringVar(&f.confidence, "confidence", "95%",
		"confidence of each interval; the rest is the `SHARE` of false discoveries")
	set.Uint64Var(&f.Seed, "seed", 1, "draw the bootstrap with the seed `N`")
	set.StringVar(&f.out, "out", "", "write a page, "+comparePage+", to the folder `DIR`")
	f.forms = defineForms(set, "text", "json", "html")
	defineNoColor(set, &f.noColor)
}

// check validates the flags and completes the settings that follow from them.
func (f *compareFlags) check(sides []string) (err error) {
	for _, text := range f.budgets {
		b, err := compare.ParseBudget(text)
		if err != nil {
			return err
		}
		f.Budgets = append(f.Budgets, b)
	}
	if f.Confidence, err = parseShare(f.confidence); err != nil {
		return err
	}
	if n := len(sides); n != 2 {
		return fmt.Errorf("expected two sets of results, found %d; several files of one side are separated by commas",
			n)
	}
	if sides[0] == standardInput && sides[1] == standardInput {
		return errors.New("both sides are standard input: name a file for one of them")
	}
	return nil
}

// parseShare reads 95% or 0.95.
func parseShare(text string) (float64, error) {
	number, percent := strings.CutSuffix(strings.TrimSpace(text), "%")
	v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if percent {
		v /= 100
	}
	if err != nil || !(v >= 0.5 && v <= 0.9999) {
		return 0, fmt.Errorf("invalid --confidence %q: must be 50%% to 99.99%%", text)
	}
	return v, nil
}

// compareCommand is one call of sim compare.
type compareCommand struct {
	*program
	compareFlags
}

// run compares the results b with the results a.
func (c *compareCommand) run(ctx context.Context, a, b string) status {
	path := filepath.Join(c.out, comparePage)
	if c.out != "" {
		if err := errors.Join(makeFolder(c.out), reports.RemoveFile(path)); err != nil {
			return c.fail(err, "name a writable folder with --out", statusError)
		}
	}
	result, err := await(ctx, slices.Concat(compare.Parts(a), compare.Parts(b)),
		func() (*compare.Comparison, error) { return c.compareFiles(a, b) })
	html := func(w io.Writer) error { return compare.HTML(w, result, a, b) }
	if err == nil && c.out != "" {
		err = reports.WriteFile(path, html)
	}
	if err == nil && c.forms.has("text") {
		err = compare.Text(c.stdout, result, c.colour && !c.noColor)
	}
	if err == nil && c.forms.has("json") {
		err = compare.JSON(c.stdout, result)
	}
	if err == nil && c.forms.has("html") {
		err = html(c.stdout)
	}
	if _, invalid := errors.AsType[*compare.Invalid](err); invalid {
		return c.fail(err, "", statusInvalid)
	}
	if err != nil {
		return c.fail(err, "", statusError)
	}
	if result.Verdict == compare.Exceeded {
		return statusFailed
	}
	return statusPassed
}

func (c *compareCommand) compareFiles(a, b string) (*compare.Comparison, error) {
	var results [2][]*compare.Result
	for i, side := range []string{a, b} {
		var err error
		if side == standardInput {
			results[i], err = compare.ReadFrom(side, c.stdin)
		} else {
			results[i], err = compare.Read(side)
		}
		if err != nil {
			return nil, err
		}
	}
	return compare.Compare(results[0], results[1], c.Options)
}
