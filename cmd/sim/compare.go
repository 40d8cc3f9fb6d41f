package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"bluetrace/reports/compare"
)

const compareForm = "sim compare [flags] A B"

const compareAbout = `Puts two sets of results side by side, B against A, and says what moved.

A and B each are a file that sim run --out DIR or --report json wrote, a folder of them, a pattern
in quotes, or several of these with commas. Give three or more runs of a load a side.`

const compareStatuses = `Exit status:
  0    no budget was exceeded
  99   a budget was exceeded, by more than chance explains
  104  a result, a budget or a flag is invalid or missing
  107  it could not be done: a file cannot be read, the output cannot be written
`

// compareFlags are the settings of one `sim compare`.
type compareFlags struct {
	compare.Options
	text, json bool
	noColor    bool
	a, b       string
}

func parseCompareFlags(arguments []string) (f compareFlags, help string, err error) {
	set := newFlagSet("compare")
	budgets := set.StringArray("budget", nil, "how much a figure may grow: `METRIC:FIGURE=LIMIT`, such as response_time:p99=+10% or login.response_time:p95=+2ms; may be repeated")
	confidence := set.String("confidence", "95%", "of each interval; what is left is the `SHARE` of false discoveries")
	set.Uint64Var(&f.Seed, "seed", 1, "draw the bootstrap with the seed `N`")
	forms := set.StringSlice("report", []string{"text"}, "print these `FORMS`, with commas: text, json")
	set.BoolVar(&f.noColor, "no-color", false, "no colours (nor with NO_COLOR set, nor when not on a terminal)")
	help = helpOf(set, compareForm, compareAbout) + "\n" + compareStatuses
	if err := set.Parse(arguments); err != nil {
		return f, help, err
	}
	for _, text := range *budgets {
		b, err := compare.ParseBudget(text)
		if err != nil {
			return f, help, err
		}
		f.Budgets = append(f.Budgets, b)
	}
	if f.Confidence, err = share(*confidence); err != nil {
		return f, help, err
	}
	if err := f.chooseForms(*forms); err != nil {
		return f, help, err
	}
	return f, help, f.sides(set)
}

func (f *compareFlags) chooseForms(forms []string) error {
	for _, form := range forms {
		switch strings.TrimSpace(form) {
		case "text":
			f.text = true
		case "json":
			f.json = true
		default:
			return fmt.Errorf("%q is no report of a comparison: there are text and json", form)
		}
	}
	if len(forms) == 0 {
		return errors.New("the flag --report names no report: there are text and json")
	}
	return nil
}

func (f *compareFlags) sides(set *pflag.FlagSet) error {
	if n := set.NArg(); n != 2 {
		return fmt.Errorf("two sets of results are compared, and %d are named; several files of one side have commas between them", n)
	}
	f.a, f.b = set.Arg(0), set.Arg(1)
	return nil
}

// share reads 95% or 0.95.
func share(text string) (float64, error) {
	number, percent := strings.CutSuffix(strings.TrimSpace(text), "%")
	v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if percent {
		v /= 100
	}
	if err != nil || !(v >= 0.5 && v <= 0.9999) {
		return 0, fmt.Errorf("--confidence %q is not between 50%% and 99.99%%", text)
	}
	return v, nil
}

// compare compares results.
func (p *program) compare(arguments []string) status {
	flags, help, err := parseCompareFlags(arguments)
	if err != nil {
		return p.refuseFlags("compare", help, err)
	}
	c, err := flags.compared()
	if err != nil {
		p.complain(err, "")
		if _, ok := errors.AsType[*compare.Invalid](err); ok {
			return invalid
		}
		return impossible
	}
	if err := flags.print(p.stdout, c, p.colour && !flags.noColor); err != nil {
		p.complain(err, "")
		return impossible
	}
	if c.Verdict == compare.Exceeded {
		return failed
	}
	return held
}

func (f *compareFlags) compared() (*compare.Comparison, error) {
	a, err := compare.Read(f.a)
	if err != nil {
		return nil, err
	}
	b, err := compare.Read(f.b)
	if err != nil {
		return nil, err
	}
	return compare.Compare(a, b, f.Options)
}

func (f *compareFlags) print(w io.Writer, c *compare.Comparison, color bool) error {
	if f.text {
		if err := compare.Text(w, c, color); err != nil {
			return err
		}
	}
	if f.json {
		return compare.JSON(w, c)
	}
	return nil
}
