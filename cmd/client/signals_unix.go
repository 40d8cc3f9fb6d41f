//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// stopSignals returns a channel of the signals that end the program in an orderly way:
// SIGINT, SIGTERM, and SIGHUP unless it is ignored (nohup). It makes the program ignore
// SIGPIPE, so that a closed output is an error of the next write.
func stopSignals() <-chan os.Signal {
	c := make(chan os.Signal, 4)
	signal.Ignore(syscall.SIGPIPE)
	signal.Notify(c, syscall.SIGINT, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(c, syscall.SIGHUP)
	}
	return c
}

// windowSignals returns a channel of the signals about the terminal. The signal resized
// reports a new size of the window. The signal resumed reports that the program continues
// after it was stopped.
func windowSignals() (signals chan os.Signal, resized, resumed os.Signal) {
	c := make(chan os.Signal, 4)
	signal.Notify(c, syscall.SIGWINCH, syscall.SIGCONT)
	return c, syscall.SIGWINCH, syscall.SIGCONT
}
