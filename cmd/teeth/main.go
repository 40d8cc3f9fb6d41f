// Command teeth shows that the library of scenarios can fail: it plants bugs
// into protocol and nodes, one at a time, and each must turn a scenario red.
//
// A bug is one entry of a table (bugs_*.go): a piece of source text and what
// stands there instead. sim is built from the changed text with an overlay, so
// that the working tree stays as it is; the built program must differ from the
// one without a bug, and then runs every small scenario. A bug that survives
// asks for a scenario; one that no longer applies, for a new entry.
//
// With --swarm it is a second table (bugs_faults.go), of bugs that the library
// does not notice since only faults show them: sim swarm must find each, and make
// it small.
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
	notCaught = 1 // a bug was not caught, or not tried
	misused   = 2
)

func command(ctx context.Context, arguments []string, stdout, stderr io.Writer) int {
	o, err := parseOptions(arguments)
	if errors.Is(err, pflag.ErrHelp) {
		fmt.Fprint(stdout, o.help)
		return allCaught
	}
	if err != nil {
		fmt.Fprintf(stderr, "teeth: %v\nhint: teeth --help lists the flags\n", err)
		return misused
	}
	b, err := newBench(ctx, o.keep)
	if err != nil {
		fmt.Fprintf(stderr, "teeth: %v\n", err)
		return notCaught
	}
	if o.swarm {
		err = b.huntAll(ctx, o.bugs, o.jobs, &o.hunt, stdout)
	} else {
		err = b.tryAll(ctx, o.bugs, o.jobs, stdout)
	}
	err = errors.Join(err, b.leave(stderr))
	if err != nil {
		fmt.Fprintf(stderr, "teeth: %v\n", err)
		return notCaught
	}
	return allCaught
}
