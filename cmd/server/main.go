// Command server is the health authority of BlueTrace: phones log in to it over
// TCP, download TempIDs and upload their contact logs.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/benbjohnson/clock"

	"bluetrace/cmd/internal/localzone"
	"bluetrace/cmd/server/authority"
)

func main() {
	stop := make(chan os.Signal, 2)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // nohup
		signal.Notify(stop, syscall.SIGHUP)
	}
	// A closed output is an error of the next write, not the end of the process.
	signal.Ignore(syscall.SIGPIPE)
	if err := localzone.Check(os.Getenv("TZ"), time.Local); err != nil {
		fmt.Fprintln(os.Stderr, "server: "+err.Error())
		os.Exit(1)
	}
	ctx := authority.UntilSignal(stop, time.Now, func() { os.Exit(1) })
	os.Exit(authority.Run(ctx, os.Args[1:], os.Stdout, os.Stderr, time.Local, clock.New()))
}
