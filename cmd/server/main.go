// Command server is the health authority of BlueTrace: phones log in to it over
// TCP, download TempIDs and upload their contact logs.
package main

import (
	"os"
	"os/signal"
	"syscall"
	"time"

	"bluetrace/cmd/server/authority"
)

func main() {
	stop := make(chan os.Signal, 2)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	// Lines for an output that nobody reads any more are an error of the write,
	// not the end of the process.
	signal.Ignore(syscall.SIGPIPE)
	os.Exit(authority.Run(authority.UntilSignal(stop, os.Exit), os.Args[1:], os.Stdout, os.Stderr, time.Local))
}
