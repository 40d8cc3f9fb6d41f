package main

import (
	"os"
	"runtime/debug"

	"bluetrace/sim/swarm"
)

// rareGarbageMemory in bytes is where garbage is collected as often as needed
// all the same: a scenario may be large.
const rareGarbageMemory = 1 << 30

// collectRarely has garbage collected as suits a swarm, until the answer is
// called, unless the user says when it is (GOGC, GOMEMLIMIT).
func collectRarely() (asBefore func()) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return func() {}
	}
	percent := debug.SetGCPercent(swarm.GCPercent)
	limit := debug.SetMemoryLimit(rareGarbageMemory)
	return func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	}
}
