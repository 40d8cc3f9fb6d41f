package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"bluetrace/scenarios"
	"bluetrace/sim"
)

// runFlags are the settings of one `sim run`.
type runFlags struct {
	options   scenarios.Options
	sets      []string // NAME=VALUE, as given
	out       string   // folder; empty: none
	text      bool
	json      bool
	junit     bool
	trace     string // file; empty: none
	onSockets bool   // --live
	server    string // host:port of a server elsewhere; empty: none
	// accounts is the file with the credentials of that server.
	accounts string
	loading  sim.Load
	metrics  metricsFlags
	quiet    bool
	noColor  bool
	paths    []string
}

// parseRunFlags reads the arguments of run. The error pflag.ErrHelp asks for
// the help text, which is the second answer.
func parseRunFlags(arguments []string) (f runFlags, help string, err error) {
	set := newFlagSet("run")
	seed := set.Uint64("seed", 0, "use the seed `N` instead of the scenario's own")
	set.StringArrayVar(&f.sets, "set", nil, "fill ${NAME} in the scenario: `NAME=VALUE`; may be repeated")
	set.StringVar(&f.out, "out", "", "write every report of each scenario to the folder `DIR`")
	forms := set.StringSlice("report", []string{"text"}, "print these `FORMS`, with commas: text, json, junit")
	set.StringVar(&f.trace, "trace", "", "write one line an event to `FILE`; only with one scenario")
	set.BoolVar(&f.onSockets, "live", false, "run on real sockets and the real clock instead of in virtual time")
	set.StringVar(&f.server, "server", "", "with --live: use the server at `HOST:PORT`, not the project's own")
	set.StringVar(&f.accounts, "credentials", "", "with --server: its accounts are those of `FILE`, one a line")
	set.DurationVar(&f.loading.Duration, "duration", 0, "of a load at a constant rate: go on for this `DURATION`")
	set.Float64Var(&f.loading.Rate, "rate", 0, "of a load at a constant rate: `N` arrivals per second")
	f.metrics.define(set)
	set.BoolVar(&f.quiet, "quiet", false, "print only the verdict and what failed; no progress")
	set.BoolVar(&f.noColor, "no-color", false, "no colours (nor with NO_COLOR set, nor when not on a terminal)")
	help = helpOf(set, "sim run [flags] SCENARIO...", "Runs scenarios and checks what they expect.") + "\n" + statuses
	if err := set.Parse(arguments); err != nil {
		return f, help, err
	}
	if set.Changed("seed") {
		f.options.Seed = seed
	}
	if f.options.Vars, err = variables(f.sets); err != nil {
		return f, help, err
	}
	if err := f.chooseForms(*forms); err != nil {
		return f, help, err
	}
	if err := f.checkLive(set); err != nil {
		return f, help, err
	}
	for _, name := range []string{"out", "trace", "server", "credentials", "metrics"} {
		if set.Changed(name) && set.Lookup(name).Value.String() == "" {
			return f, help, fmt.Errorf("the flag --%s has no value", name)
		}
	}
	if err := f.checkLoad(set); err != nil {
		return f, help, err
	}
	if err := f.metrics.check(set); err != nil {
		return f, help, err
	}
	f.paths = set.Args()
	return f, help, nil
}

// newFlagSet is one that prints nothing by itself.
func newFlagSet(name string) *pflag.FlagSet {
	set := pflag.NewFlagSet(name, pflag.ContinueOnError)
	set.SortFlags = false
	set.SetOutput(io.Discard)
	set.Usage = func() {}
	return set
}

func helpOf(set *pflag.FlagSet, form, about string) string {
	const optional = "[=true|false]" // true, but of no use here
	flags := strings.ReplaceAll(set.FlagUsages(), optional, strings.Repeat(" ", len(optional)))
	return about + "\n\n  " + form + "\n\n" + flags
}

// checkLive refuses flags that mean nothing without each other.
func (f *runFlags) checkLive(set *pflag.FlagSet) error {
	switch server, accounts := set.Changed("server"), set.Changed("credentials"); {
	case server && !f.onSockets:
		return errors.New("--server is of use with --live only, also of a load: other runs have a server of their own")
	case accounts && !server:
		return errors.New("--credentials is of use with --server only: the project's own server takes the accounts of the scenario")
	case server && !accounts:
		return errors.New("--server needs --credentials FILE, the accounts of that server")
	}
	return checkServer(f.server)
}

func checkServer(address string) error {
	if address == "" {
		return nil
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("--server %q is not of the form HOST:PORT", address)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("--server %q: the port %q is no number from 1 to 65535", address, port)
	}
	return nil
}

// checkLoad refuses what no load can have.
func (f *runFlags) checkLoad(set *pflag.FlagSet) error {
	const rateMax = 1_000_000
	switch d, r := f.loading.Duration, f.loading.Rate; {
	case set.Changed("duration") && d <= 0:
		return fmt.Errorf("--duration %v is not above 0", d)
	case set.Changed("rate") && !(r > 0 && r <= rateMax):
		return fmt.Errorf("--rate %v is not above 0 and at most %d", r, rateMax)
	}
	return nil
}

func (f *runFlags) chooseForms(forms []string) error {
	for _, form := range forms {
		switch strings.TrimSpace(form) {
		case "text":
			f.text = true
		case "json":
			f.json = true
		case "junit":
			f.junit = true
		default:
			return fmt.Errorf("%q is no report: there are text, json and junit", form)
		}
	}
	if len(forms) == 0 {
		return errors.New("the flag --report names no report: there are text, json and junit")
	}
	return nil
}

// variables reads NAME=VALUE pairs.
func variables(sets []string) (map[string]string, error) {
	vars := map[string]string{}
	for _, pair := range sets {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("--set %q is not of the form NAME=VALUE", pair)
		}
		if _, twice := vars[name]; twice {
			return nil, fmt.Errorf("--set gives %q twice", name)
		}
		vars[name] = value
	}
	return vars, nil
}

// refuseFlags answers for arguments that could not be parsed, or prints help.
func (p *program) refuseFlags(command, help string, err error) status {
	if errors.Is(err, pflag.ErrHelp) {
		return p.print(help)
	}
	p.complain(fmt.Errorf("%s: %w", command, err), fmt.Sprintf("sim %s --help lists the flags", command))
	return invalid
}
