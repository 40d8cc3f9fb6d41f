//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// stopSignals returns the signals that end the program in order: Ctrl-C where the
// terminal turns it into a signal, and the end of the terminal, unless it is ignored
// (nohup). A closed output is an error of the next write instead.
func stopSignals() <-chan os.Signal {
	c := make(chan os.Signal, 4)
	signal.Ignore(syscall.SIGPIPE)
	signal.Notify(c, syscall.SIGINT, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(c, syscall.SIGHUP)
	}
	return c
}

// windowSignals returns the channel of the signals about the terminal's window:
// resized reports a new size, and resumed reports that the program continues after
// it was stopped.
func windowSignals() (signals chan os.Signal, resized, resumed os.Signal) {
	c := make(chan os.Signal, 4)
	signal.Notify(c, syscall.SIGWINCH, syscall.SIGCONT)
	return c, syscall.SIGWINCH, syscall.SIGCONT
}
