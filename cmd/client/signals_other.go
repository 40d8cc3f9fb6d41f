//go:build !unix

package main

import (
	"os"
	"os/signal"
)

// stopSignals returns a channel of the signals that end the program in an orderly way.
func stopSignals() <-chan os.Signal {
	c := make(chan os.Signal, 4)
	signal.Notify(c, os.Interrupt)
	return c
}

// windowSignals returns a nil channel: this system has no such signals.
func windowSignals() (signals chan os.Signal, resized, resumed os.Signal) {
	return nil, nil, nil
}
