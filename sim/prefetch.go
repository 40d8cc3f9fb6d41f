package sim

import (
	"unsafe"

	"bluetrace/sim/prefetch"
)

var _ prefetch.Prefetcher = (*run)(nil)

// Prefetch prefetches the random stream and the contacts of a phone whose routine
// runs soon.
func (r *run) Prefetch(in prefetch.Input) {
	if !in.IsTick || in.Arg&tickKind != tickRoutine || int(in.Phone) >= len(r.contacts.of) {
		return
	}
	if of := &r.contacts.of[in.Phone]; in.Near {
		prefetch.Line(unsafe.Pointer(unsafe.SliceData(*of)))
	} else {
		prefetch.Line(unsafe.Pointer(of))
		prefetch.Line(unsafe.Pointer(&r.routines.list[in.Arg&^tickKind].streams[in.Phone]))
	}
}
