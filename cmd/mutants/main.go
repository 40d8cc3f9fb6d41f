// Command mutants shows that the scenarios can fail: a mutation test. It plants
// bugs into protocol and nodes, one at a time, and each such mutant must fail at
// least one scenario.
//
// A mutant is one entry of a table (mutants_library.go): a piece of source text
// and its replacement. sim is built from the changed text with an overlay, so
// that the working tree stays as it is. The built program must differ from the
// original. It then runs every small scenario. A mutant that survives
// needs a new scenario; one that no longer applies needs a new entry.
//
// With --swarm it uses a second table (mutants_swarm.go), of mutants that the
// library does not notice because only faults show them: sim swarm must find
// each of them and shrink it.
//
// With --tests it uses a third table (mutants_tests.go), of bugs in sockets, loads and reports, and
// of checks that are weakened: the named test of a package must fail.
//
// With --rules it uses a fourth table (mutants_rules.go), of bugs that break a duty of the course: the rule of the judge
// about that duty must fail and no other, in virtual time and in the dialects.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := command(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// Exit statuses.
const (
	statusKilled   = 0 // every mutant was killed
	statusSurvived = 1 // a mutant was not killed, or not tried
	statusUsage    = 2
)

func command(ctx context.Context, arguments []string, stdout, stderr io.Writer) int {
	o, err := parseOptions(arguments)
	if errors.Is(err, pflag.ErrHelp) {
		fmt.Fprint(stdout, o.help)
		return statusKilled
	}
	if err != nil {
		fmt.Fprintf(stderr, "mutants: %v\nhint: mutants --help lists the flags\n", err)
		return statusUsage
	}
	t, err := newTester(ctx, &o)
	if err == nil {
		err = errors.Join(t.testAll(ctx, stdout), t.cleanUp(stderr))
	}
	if errors.Is(err, context.Canceled) {
		err = errors.New("interrupted")
	}
	if err != nil {
		fmt.Fprintf(stderr, "mutants: %v\n", err)
		return statusSurvived
	}
	return statusKilled
}

// maxJobs is the largest number of mutants that are tried at the same time.
const maxJobs = 1024

// options are the settings of the command line.
type options struct {
	mutants []mutant
	jobs    int           // mutants tried at the same time; 1 to maxJobs
	keep    bool          // keep the changed files and the built programs
	swarm   bool          // the second table, whose mutants sim swarm must find
	tests   bool          // the third table, whose mutants tests must find
	rules   bool          // the fourth table, whose mutants rules of the judge must find
	wires   []string      // with rules: the names of the dialects
	library bool          // run the library; always without swarm
	seeds   string        // with swarm: a range, as sim swarm takes it
	in      []string      // with swarm: scenario files, from the module's root
	shrink  time.Duration // with swarm: limit for shrinking one failure
	help    string
}

// swarmScenarios are the scenarios that a swarm searches by default: those that
// it runs fastest.
func swarmScenarios() []string {
	return []string{"scenarios/blocking.yaml", "scenarios/tempids.yaml", "scenarios/expiry.yaml",
		"scenarios/uploads.yaml", "scenarios/classroom.yaml"}
}

// parseOptions returns pflag.ErrHelp, with help set, if the user asks for help.
func parseOptions(arguments []string) (options, error) {
	var o options
	set := pflag.NewFlagSet("mutants", pflag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.SortFlags = false
	set.Usage = func() {}
	names := set.String("run", "", "try only the mutants whose name matches `REGEXP`")
	set.IntVar(&o.jobs, "jobs", runtime.GOMAXPROCS(0), "try `N` mutants at the same time")
	parts := set.String("part", "", "try only part `K/N` of the mutants: every N-th, from the K-th on")
	set.BoolVar(&o.keep, "keep", false, "keep the changed files and the built programs")
	set.BoolVar(&o.swarm, "swarm", false, "use the second table: bugs that only faults show, found by sim swarm")
	set.BoolVar(&o.tests, "tests", false, "use the third table: bugs in sockets, loads and reports, weakened checks, "+
		"found by tests")
	set.BoolVar(&o.rules, "rules", false, "use the fourth table: bugs that one rule of the judge must find, and no other")
	dialects := set.String("dialects", allDialects,
		"with --rules: all dialects, or the one with the number `N`, modulo theirs")
	set.StringVar(&o.seeds, "seeds", "1-1000", "with --swarm: search the seeds `A-B`")
	set.StringSliceVar(&o.in, "in", swarmScenarios(),
		"with --swarm: search these scenarios, `FILES` separated by commas")
	set.BoolVar(&o.library, "library", true, "with --swarm: also run the library, which must not find them")
	set.DurationVar(&o.shrink, "shrink-time", 30*time.Second,
		"with --swarm: shrink each failure for at most this `DURATION`")
	const optional = "[=true|false]" // which pflag adds to a Boolean flag that is true by default
	usages := strings.ReplaceAll(set.FlagUsages(), optional, strings.Repeat(" ", len(optional)))
	o.help = "mutants plants bugs one at a time: each must fail a scenario.\n\n  mutants [flags]\n\n" + usages
	if err := set.Parse(arguments); err != nil {
		return o, err
	}
	if set.NArg() > 0 {
		return o, fmt.Errorf("unknown argument %q", set.Arg(0))
	}
	for _, flag := range []string{"seeds", "in", "library", "shrink-time"} {
		if !o.swarm && set.Changed(flag) {
			return o, fmt.Errorf("--%s needs --swarm", flag)
		}
	}
	if !o.rules && set.Changed("dialects") {
		return o, errors.New("--dialects needs --rules")
	}
	if o.jobs < 1 || o.jobs > maxJobs {
		return o, fmt.Errorf("invalid --jobs %d: must be 1 to %d", o.jobs, maxJobs)
	}
	table := libraryMutants()
	switch {
	case o.swarm && o.tests, o.swarm && o.rules, o.tests && o.rules:
		return o, errors.New("--swarm, --tests and --rules are tables: give one of them")
	case o.swarm:
		table = swarmMutants()
	case o.tests:
		table, o.library = testMutants(), false
	case o.rules:
		table, o.library = ruleMutants(), false
	}
	var err error
	if o.wires, err = chooseDialects(*dialects); err != nil {
		return o, err
	}
	if o.mutants, err = choose(table, *names); err != nil || *parts == "" {
		return o, err
	}
	o.mutants, err = choosePart(o.mutants, *parts)
	return o, err
}

// choosePart returns the part K/N of the mutants.
func choosePart(all []mutant, text string) ([]mutant, error) {
	first, of, found := strings.Cut(text, "/")
	k, err := strconv.Atoi(first)
	n, err2 := strconv.Atoi(of)
	if !found || err != nil || err2 != nil || k < 1 || k > n {
		return nil, fmt.Errorf("invalid --part %q: must be K/N, with K from 1 to N", text)
	}
	chosen := part(all, k, n)
	if len(chosen) == 0 {
		return nil, fmt.Errorf("--part %s has none of the %d mutants", text, len(all))
	}
	return chosen, nil
}

// choose returns the mutants whose name matches pattern, and an error if there
// are none.
func choose(all []mutant, pattern string) ([]mutant, error) {
	names, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("--run: %w", err)
	}
	var chosen []mutant
	for _, m := range all {
		if names.MatchString(m.name) {
			chosen = append(chosen, m)
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("--run %q matches none of the %d mutants", pattern, len(all))
	}
	return chosen, nil
}
