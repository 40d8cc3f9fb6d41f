// Command mutants shows that the scenarios can fail: a mutation test. It plants
// bugs into protocol and nodes, one at a time, and each such mutant must fail at
// least one scenario.
//
// A mutant is one entry of a table (mutants_library.go): a piece of source text
// and its replacement. sim is built from the changed text with an overlay, so
// that the working tree stays as it is. The built program must differ from the
// one without a bug. It then runs every small scenario. A mutant that survives
// needs a new scenario; one that no longer applies needs a new entry.
//
// With --swarm it uses a second table (mutants_swarm.go), of mutants that the
// library does not notice because only faults show them: sim swarm must find
// each of them and shrink it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

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
	allCaught = 0
	notCaught = 1 // a mutant was not caught, or not tried
	misused   = 2
)

func command(ctx context.Context, arguments []string, stdout, stderr io.Writer) int {
	o, err := parseOptions(arguments)
	if errors.Is(err, pflag.ErrHelp) {
		fmt.Fprint(stdout, o.help)
		return allCaught
	}
	if err != nil {
		fmt.Fprintf(stderr, "mutants: %v\nhint: mutants --help lists the flags\n", err)
		return misused
	}
	b, err := newBench(ctx, o.keep)
	if err != nil {
		fmt.Fprintf(stderr, "mutants: %v\n", err)
		return notCaught
	}
	if o.swarm {
		err = b.searchAll(ctx, o.mutants, o.jobs, &o.search, stdout)
	} else {
		err = b.tryAll(ctx, o.mutants, o.jobs, stdout)
	}
	err = errors.Join(err, b.leave(stderr))
	if err != nil {
		fmt.Fprintf(stderr, "mutants: %v\n", err)
		return notCaught
	}
	return allCaught
}
