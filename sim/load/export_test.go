package load

import (
	"time"

	"bluetrace/scenarios"
)

// For the tests of package load_test.

// NewFake returns a network with a server that answers each message after answer(message).
func NewFake(answer func(message string) time.Duration) Network {
	f := newFake()
	f.stall = func(message string, at time.Duration) time.Duration { return at + answer(message) }
	return f
}

// Faked is faked for a network of NewFake.
func Faked(n Network, phones int, t scenarios.Traffic) Config { return faked(n.(*fake), phones, t) }

// Steady is steady.
func Steady(rate float64, length time.Duration, session ...scenarios.Verb) scenarios.Traffic {
	return steady(rate, length, session...)
}
