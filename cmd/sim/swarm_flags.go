package main

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/spf13/pflag"

	"bluetrace/scenarios"
	"bluetrace/sim/swarm"
)

// swarmFlags are the settings of one `sim swarm`.
type swarmFlags struct {
	options      scenarios.Options
	sets         []string
	seeds        swarm.SeedRange
	lasts        time.Duration // 0: until the seeds end
	jobs         int
	twice        uint64
	out          string // folder; empty: none
	text, json   bool
	merge        bool
	verbose      bool
	shrinks      bool
	shrinkTime   time.Duration // for each cause
	requireMarks bool
	failFast     bool
	noColor      bool
	paths        []string
}

const (
	swarmSeeds      = "1-100" // unless told otherwise
	swarmTwice      = 10
	swarmShrinkTime = 30 * time.Second
	mostJobs        = 1024 // each has a run in memory
)

func parseSwarmFlags(arguments []string) (f swarmFlags, help string, err error) {
	set := newFlagSet("swarm")
	seeds := set.String("seeds", swarmSeeds, "run the seeds `A-B`; A+N: so many from A on; A-: without end, with --for;\nA may be a commit's hash with 0x before it, of which 12 digits count")
	set.DurationVar(&f.lasts, "for", 0, "begin no run after this `DURATION`")
	from := set.String("from", "", "with --for: begin with this `SEED` instead of 1")
	set.IntVar(&f.jobs, "jobs", min(runtime.GOMAXPROCS(0), mostJobs), "run `N` seeds at a time")
	set.StringArrayVar(&f.sets, "set", nil, "fill ${NAME} in the scenarios: `NAME=VALUE`; may be repeated")
	set.StringVar(&f.out, "out", "", "write the summary, and for each cause of failures its scenario, drawn and shrunk, to `DIR`")
	forms := set.StringSlice("report", []string{"text"}, "print these `FORMS`, with commas: text, json")
	set.BoolVar(&f.merge, "merge", false, "run nothing: merge the JSON results of other swarms, which are named instead of scenarios")
	set.BoolVar(&f.verbose, "verbose", false, "print what each seed drew, and the last events before each failure")
	set.Uint64Var(&f.twice, "twice", swarmTwice, "run every seed that `N` divides twice, to be the same run; 0: none")
	set.BoolVar(&f.requireMarks, "require-marks", false, "fail when a situation of the catalogue was never reached")
	set.BoolVar(&f.failFast, "fail-fast", false, "run no more after the first run that fails")
	set.BoolVar(&f.shrinks, "shrink", true, "with --out: make the first failure of each cause small")
	set.DurationVar(&f.shrinkTime, "shrink-time", swarmShrinkTime, "take at most this `DURATION` for one of them")
	set.BoolVar(&f.noColor, "no-color", false, "no colours (nor with NO_COLOR set, nor when not on a terminal)")
	help = helpOf(set, "sim swarm [flags] SCENARIO...", "Runs each scenario with many seeds, of which each draws faults, adversaries, sizes and timings,\nand says what did not hold (docs/SWARM.md).") + "\n" + statuses
	if err := set.Parse(arguments); err != nil {
		return f, help, err
	}
	if f.options.Vars, err = variables(f.sets); err != nil {
		return f, help, err
	}
	if err := f.chooseForms(*forms); err != nil {
		return f, help, err
	}
	if err := f.chooseSeeds(set, *seeds, *from); err != nil {
		return f, help, err
	}
	f.paths = set.Args()
	return f, help, f.check(set)
}

func (f *swarmFlags) chooseForms(forms []string) error {
	for _, form := range forms {
		switch form {
		case "text":
			f.text = true
		case "json":
			f.json = true
		default:
			return fmt.Errorf("%q is no report of a swarm: there are text and json", form)
		}
	}
	if len(forms) == 0 {
		return errors.New("the flag --report names no report: there are text and json")
	}
	return nil
}

// chooseSeeds reads which seeds are run.
func (f *swarmFlags) chooseSeeds(set *pflag.FlagSet, seeds, from string) (err error) {
	switch {
	case set.Changed("from") && set.Changed("seeds"):
		return errors.New("--from and --seeds both say where to begin: name one of them")
	case set.Changed("from") && f.lasts <= 0:
		return errors.New("--from is of use with --for only: --seeds A+N has so many from A on")
	case set.Changed("from"):
		seeds = from + "-"
	case f.lasts > 0 && !set.Changed("seeds"):
		seeds = "1-"
	}
	if f.seeds, err = swarm.ParseRange(seeds); err != nil {
		return fmt.Errorf("reading the seeds: %w", err)
	}
	if f.seeds.Unbounded && f.lasts <= 0 {
		return fmt.Errorf("the seeds %q have no end: write --for, or where they end", seeds)
	}
	return nil
}

func (f *swarmFlags) check(set *pflag.FlagSet) error {
	switch {
	case f.jobs < 1:
		return fmt.Errorf("--jobs %d is not above 0", f.jobs)
	case f.jobs > mostJobs:
		return fmt.Errorf("--jobs %d is above %d", f.jobs, mostJobs)
	case set.Changed("for") && f.lasts <= 0:
		return fmt.Errorf("--for %v is not above 0", f.lasts)
	case f.shrinkTime <= 0:
		return fmt.Errorf("--shrink-time %v is not above 0", f.shrinkTime)
	case set.Changed("out") && f.out == "":
		return errors.New("the flag --out has no value")
	}
	for _, of := range []string{"seeds", "for", "from", "jobs", "twice", "set", "verbose", "fail-fast", "shrink", "shrink-time"} {
		if f.merge && set.Changed(of) {
			return fmt.Errorf("--%s is of a swarm that runs, and --merge runs nothing", of)
		}
	}
	return nil
}
