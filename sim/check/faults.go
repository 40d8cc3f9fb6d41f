package check

import (
	"time"

	"bluetrace/nodes"
)

// Doubled follows a datagram that the network has made of another.
func (v *Invariants) Doubled(_, _ int64) {}

// DatagramDropped follows one that found nobody.
func (v *Invariants) DatagramDropped(int64) {}

// DatagramChanged follows one that is not as it was sent.
func (v *Invariants) DatagramChanged(int64, uint32) {}

// PhoneStopped follows the end of a phone's program.
func (v *Invariants) PhoneStopped(int64, uint32) {}

// PhoneStarted follows the start of another.
func (v *Invariants) PhoneStarted(int64, uint32, *nodes.ContactLog) {}

// Written follows what a phone's disk holds.
func (v *Invariants) Written(int64, uint32, []nodes.Kept) {}

// ServerStopped follows the end of the server's program.
func (v *Invariants) ServerStopped(int64) {}

// ServerStarted follows the start of another.
func (v *Invariants) ServerStarted(int64) {}

// StoreAsked follows what the server wants on its disk.
func (v *Invariants) StoreAsked(int64, []nodes.Record) {}

// StoreDone follows what came of it.
func (v *Invariants) StoreDone(int64, []nodes.Record, error) {}

// ClockSet follows the clocks of a node.
func (v *Invariants) ClockSet(int64, uint32, time.Duration, int64, float64) {}
