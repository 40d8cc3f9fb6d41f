//go:build !unix

package main

import "os"

// windowSignals returns a nil channel: this system has no such signals.
func windowSignals() (signals chan os.Signal, resized, resumed os.Signal) {
	return nil, nil, nil
}
