package main

import (
	"context"
	"os"
)

// untilSignal is a context that ends with the first signal, so that the run
// stops and what it found is written; the second one exits at once.
func untilSignal(stop <-chan os.Signal, exit func(int)) context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-stop
		cancel()
		<-stop
		exit(int(interrupted))
	}()
	return ctx
}
