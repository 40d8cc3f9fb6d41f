package world

import "bluetrace/sim/event"

// NodeClock is event.NodeClock.
type NodeClock = event.NodeClock

// Seconds is event.Seconds.
func Seconds(at int64) string { return event.Seconds(at) }
