package main

import (
	"fmt"
	"io"
	"regexp"
	"runtime"
	"strings"

	"github.com/spf13/pflag"
)

// options are what the command line asks for.
type options struct {
	bugs []bug
	jobs int // bugs tried at the same time; >= 1
	keep bool
	help string
}

// parseOptions answers pflag.ErrHelp, with help set, when that is asked for.
func parseOptions(arguments []string) (options, error) {
	var o options
	set := pflag.NewFlagSet("teeth", pflag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.SortFlags = false
	set.Usage = func() {}
	names := set.String("run", "", "try only the bugs whose name matches `REGEXP`")
	set.IntVar(&o.jobs, "jobs", runtime.GOMAXPROCS(0), "try `N` bugs at the same time")
	set.BoolVar(&o.keep, "keep", false, "keep the changed files and the programs built from them")
	const optional = "[=true|false]" // of a flag without a value: true, but of no use here
	o.help = "Teeth plants bugs one at a time; each must turn a scenario red.\n\n  teeth [flags]\n\n" + strings.ReplaceAll(set.FlagUsages(), optional, strings.Repeat(" ", len(optional)))
	if err := set.Parse(arguments); err != nil {
		return o, err
	}
	if set.NArg() > 0 {
		return o, fmt.Errorf("unknown argument %q", set.Arg(0))
	}
	if o.jobs < 1 {
		return o, fmt.Errorf("--jobs %d: want at least 1", o.jobs)
	}
	var err error
	o.bugs, err = choose(allBugs(), *names)
	return o, err
}

// choose leaves the bugs whose name matches; that there are none is an error.
func choose(all []bug, pattern string) ([]bug, error) {
	names, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("--run: %w", err)
	}
	var chosen []bug
	for _, b := range all {
		if names.MatchString(b.name) {
			chosen = append(chosen, b)
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("--run %q matches none of the %d bugs", pattern, len(all))
	}
	return chosen, nil
}
