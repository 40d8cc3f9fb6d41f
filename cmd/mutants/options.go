package main

import (
	"fmt"
	"io"
	"regexp"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// mostJobs are the most mutants that are tried at the same time.
const mostJobs = 1024

// options are what the command line asks for.
type options struct {
	mutants []mutant
	jobs    int // mutants tried at the same time; >= 1
	keep    bool
	// swarm: the second table, of which each mutant is swarmResult.
	swarm  bool
	search search
	help   string
}

// parseOptions answers pflag.ErrHelp, with help set, when that is asked for.
func parseOptions(arguments []string) (options, error) {
	var o options
	set := pflag.NewFlagSet("mutants", pflag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.SortFlags = false
	set.Usage = func() {}
	names := set.String("run", "", "try only the mutants whose name matches `REGEXP`")
	set.IntVar(&o.jobs, "jobs", runtime.GOMAXPROCS(0), "try `N` mutants at the same time")
	set.BoolVar(&o.keep, "keep", false, "keep the changed files and the built programs")
	set.BoolVar(&o.swarm, "swarm", false, "use the second table: bugs that only faults show, found by sim swarm")
	set.StringVar(&o.search.seeds, "seeds", "1-1000", "with --swarm: search the seeds `A-B`")
	set.StringSliceVar(&o.search.scenarios, "in", grounds(), "with --swarm: search these scenarios, `FILES` separated by commas")
	set.BoolVar(&o.search.library, "library", true, "with --swarm: also run the library, which must not find them")
	set.DurationVar(&o.search.shrinkTime, "shrink-time", 30*time.Second, "with --swarm: shrink each failure for at most this `DURATION`")
	const optional = "[=true|false]" // of a flag without a value: true, but of no use here
	o.help = "mutants plants bugs one at a time: each must fail a scenario.\n\n  mutants [flags]\n\n" + strings.ReplaceAll(set.FlagUsages(), optional, strings.Repeat(" ", len(optional)))
	if err := set.Parse(arguments); err != nil {
		return o, err
	}
	if set.NArg() > 0 {
		return o, fmt.Errorf("unknown argument %q", set.Arg(0))
	}
	for _, of := range []string{"seeds", "in", "library", "shrink-time"} {
		if !o.swarm && set.Changed(of) {
			return o, fmt.Errorf("--%s needs --swarm", of)
		}
	}
	if o.jobs < 1 || o.jobs > mostJobs {
		return o, fmt.Errorf("--jobs %d: want at least 1, and at most %d", o.jobs, mostJobs)
	}
	var err error
	table := libraryMutants()
	if o.swarm {
		table = swarmMutants()
	}
	o.mutants, err = choose(table, *names)
	return o, err
}

// choose leaves the mutants whose name matches; that there are none is an error.
func choose(all []mutant, pattern string) ([]mutant, error) {
	names, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("--run: %w", err)
	}
	var chosen []mutant
	for _, b := range all {
		if names.MatchString(b.name) {
			chosen = append(chosen, b)
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("--run %q matches none of the %d mutants", pattern, len(all))
	}
	return chosen, nil
}
