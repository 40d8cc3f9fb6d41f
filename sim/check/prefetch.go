package check

import (
	"unsafe"

	"bluetrace/sim/prefetch"
)

var _ prefetch.Prefetcher = (*Invariants)(nil)

// Prefetch prefetches the model of a phone's log, and of its sends before a tick.
func (v *Invariants) Prefetch(in prefetch.Input) {
	l := &v.logs
	if in.Near || int(in.Phone) >= len(l.phones) {
		return
	}
	if in.IsTick && int(in.Phone) < len(l.sends) {
		prefetch.Line(unsafe.Pointer(&l.sends[in.Phone]))
	}
	prefetch.Line(unsafe.Pointer(&l.phones[in.Phone]))
}
