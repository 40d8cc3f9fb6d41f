package virtual

import (
	"time"

	"bluetrace/sim/world"
)

var _ world.World = (*World)(nil)

// Wall is the world's wall time in the scenario's zone.
func (w *World) Wall() time.Time { return w.clock.Now() }

// Phone answers with the counts of one phone.
func (w *World) Phone(who uint32) world.PhoneCounts {
	ph := &w.phones[who]
	return world.PhoneCounts{Sent: uint64(ph.sent), Valid: uint64(ph.valid), Invalid: uint64(ph.invalid), AgeMax: ph.ageMax}
}
