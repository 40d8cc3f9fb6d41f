// Command server is the health authority of BlueTrace: phones log in to it over
// TCP, download TempIDs and upload their contact logs.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	stop := make(chan os.Signal, 2)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	// Lines for an output that nobody reads any more are an error of the write,
	// not the end of the process.
	signal.Ignore(syscall.SIGPIPE)
	p := program{stdout: os.Stdout, stderr: os.Stderr, zone: time.Local}
	os.Exit(int(p.command(untilSignal(stop, os.Exit), os.Args[1:])))
}

// untilSignal is a context that ends with the first signal, so that everything
// is saved; the second one exits at once.
func untilSignal(stop <-chan os.Signal, exit func(int)) context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-stop
		cancel()
		<-stop
		exit(int(failed))
	}()
	return ctx
}
