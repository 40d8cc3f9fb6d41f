//go:build !unix

package main

import (
	"os"
	"os/signal"
)

// stopSignals are those that end the program in order.
func stopSignals() <-chan os.Signal {
	c := make(chan os.Signal, 4)
	signal.Notify(c, os.Interrupt)
	return c
}

// windowSignals never come: there are none.
func windowSignals() (signals chan os.Signal, resized, resumed os.Signal) {
	return nil, nil, nil
}
