package check

import (
	"unsafe"

	"bluetrace/sim/virtual"
)

var _ virtual.Foreseer = (*Invariants)(nil)

// Soon asks for what the model knows of a phone's log.
func (v *Invariants) Soon(phone uint32) {
	if l := &v.logs; int(phone) < len(l.phones) {
		virtual.Prefetch(unsafe.Pointer(&l.phones[phone]))
	}
}

// TickSoon asks for what the model knows of a phone that sends.
func (v *Invariants) TickSoon(phone, _ uint32, again bool) {
	if l := &v.logs; !again && int(phone) < len(l.sends) {
		virtual.Prefetch(unsafe.Pointer(&l.sends[phone]))
		virtual.Prefetch(unsafe.Pointer(&l.phones[phone]))
	}
}
