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

// mostJobs are the most bugs that are tried at the same time.
const mostJobs = 1024

// options are what the command line asks for.
type options struct {
	bugs []bug
	jobs int // bugs tried at the same time; >= 1
	keep bool
	// swarm: the second table, of which each bug is hunted.
	swarm bool
	hunt  hunt
	help  string
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
	set.BoolVar(&o.swarm, "swarm", false, "plant the bugs that only faults show, which sim swarm must find")
	set.StringVar(&o.hunt.seeds, "seeds", "1-1000", "with --swarm: look in the seeds `A-B`")
	set.StringSliceVar(&o.hunt.scenarios, "in", grounds(), "with --swarm: of these scenarios, `FILES` with commas")
	set.BoolVar(&o.hunt.library, "library", true, "with --swarm: run the library, too, which must not notice them")
	set.DurationVar(&o.hunt.shrinkTime, "shrink-time", 30*time.Second, "with --swarm: make what is found small for at most this `DURATION`")
	const optional = "[=true|false]" // of a flag without a value: true, but of no use here
	o.help = "Teeth plants bugs one at a time; each must turn a scenario red.\n\n  teeth [flags]\n\n" + strings.ReplaceAll(set.FlagUsages(), optional, strings.Repeat(" ", len(optional)))
	if err := set.Parse(arguments); err != nil {
		return o, err
	}
	if set.NArg() > 0 {
		return o, fmt.Errorf("unknown argument %q", set.Arg(0))
	}
	for _, of := range []string{"seeds", "in", "library", "shrink-time"} {
		if !o.swarm && set.Changed(of) {
			return o, fmt.Errorf("--%s is of use with --swarm only", of)
		}
	}
	if o.jobs < 1 || o.jobs > mostJobs {
		return o, fmt.Errorf("--jobs %d: want at least 1, and at most %d", o.jobs, mostJobs)
	}
	var err error
	table := allBugs()
	if o.swarm {
		table = faultBugs()
	}
	o.bugs, err = choose(table, *names)
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
