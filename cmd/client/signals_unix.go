//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// windowSignals returns a channel of the signals about the terminal. The signal resized
// reports a new size of the window. The signal resumed reports that the program continues
// after it was stopped.
func windowSignals() (signals chan os.Signal, resized, resumed os.Signal) {
	c := make(chan os.Signal, 4)
	signal.Notify(c, syscall.SIGWINCH, syscall.SIGCONT)
	return c, syscall.SIGWINCH, syscall.SIGCONT
}
