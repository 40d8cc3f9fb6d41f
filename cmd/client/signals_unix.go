//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// stopSignals are those that end the program in order: a person's Ctrl-C where
// the terminal makes a signal of it, and the end of the terminal unless somebody
// asked to outlive it (nohup). That nobody reads the output any more is an error
// of the next write.
func stopSignals() <-chan os.Signal {
	c := make(chan os.Signal, 4)
	signal.Ignore(syscall.SIGPIPE)
	signal.Notify(c, syscall.SIGINT, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(c, syscall.SIGHUP)
	}
	return c
}

// windowSignals come when the terminal has another size, and when the program
// goes on after it was stopped.
func windowSignals() (signals chan os.Signal, resized, resumed os.Signal) {
	c := make(chan os.Signal, 4)
	signal.Notify(c, syscall.SIGWINCH, syscall.SIGCONT)
	return c, syscall.SIGWINCH, syscall.SIGCONT
}
