//go:build !unix

package main

import (
	"os"
	"os/signal"
)

// stopSignals returns the signals that end the program in order.
func stopSignals() <-chan os.Signal {
	c := make(chan os.Signal, 4)
	signal.Notify(c, os.Interrupt)
	return c
}

// windowSignals returns nil: this system has none.
func windowSignals() (signals chan os.Signal, resized, resumed os.Signal) {
	return nil, nil, nil
}
