package authority

import (
	"fmt"
	"math"
)

const (
	// descriptorReserve is how many file descriptors are kept from sessions.
	descriptorReserve = 64
	// farewellSockets of them may be connections that are closed and wait for
	// their peer's end; the rest is for files and metrics.
	farewellSockets = 32
)

// fitConnections makes the limit of sessions one that the file descriptors of the
// process suffice for.
func (a *arguments) fitConnections(descriptors uint64) {
	asked := a.settings.MaxConnections
	fit := uint64(1)
	if descriptors > descriptorReserve {
		fit = descriptors - descriptorReserve
	}
	if uint64(asked) > fit {
		a.settings.MaxConnections = int(fit)
		a.lowered = fmt.Sprintf("--max-connections %d is lowered to %d: a process may have %d files open here; raise "+
			"that limit (ulimit -n)",
			asked, fit, descriptors)
	}
	a.sockets = int(min(fit+farewellSockets, math.MaxInt32))
}
