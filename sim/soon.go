package sim

import (
	"unsafe"

	"bluetrace/sim/virtual"
)

var _ virtual.Foreseer = (*run)(nil)

// Soon is told of phones: the run keeps nothing that their events need.
func (r *run) Soon(uint32) {}

// TickSoon asks for what a routine of a phone needs: its stream and its
// contacts.
func (r *run) TickSoon(who, arg uint32, again bool) {
	if arg&tickKind != tickRoutine || int(who) >= len(r.contacts.of) {
		return
	}
	if of := &r.contacts.of[who]; again {
		virtual.Prefetch(unsafe.Pointer(unsafe.SliceData(*of)))
	} else {
		virtual.Prefetch(unsafe.Pointer(of))
		virtual.Prefetch(unsafe.Pointer(&r.routines[arg&^tickKind].streams[who]))
	}
}
