package virtual

import (
	"unsafe"
)

// lookAhead asks for the memory of the events that come soon. In a large crowd
// every event is about another phone, and waiting for its memory takes longer
// than the work.
func (w *World) lookAhead() {
	if e := w.queue.soon(askAhead); e != nil {
		w.askForPhone(e)
	}
	if e := w.queue.soon(askAhead / 2); e != nil {
		w.askForLog(e)
	}
}

// askAhead is how many events ahead a phone's memory is asked for, and at half
// the way that of its log.
const askAhead = 8

// askForLog asks for the end of a phone's log that the event is about: a wake-up
// takes from the one, a reception adds to the other. The phone itself must be
// near.
func (w *World) askForLog(e *event) {
	if e.kind() > kindDatagram || int(e.who) >= len(w.phones) {
		return
	}
	oldest, next := w.phones[e.who].machine.Log().Ends()
	if e.kind() == kindDatagram {
		prefetch(next)
	} else {
		prefetch(oldest)
	}
}

// askForPhone asks for the lines of a phone that an event of this kind uses.
func (w *World) askForPhone(e *event) {
	if e.kind() > kindTick || int(e.who) >= len(w.phones) {
		return
	}
	p := unsafe.Pointer(&w.phones[e.who])
	prefetch(p)
	prefetch(unsafe.Add(p, 64))
	if e.kind() == kindTick {
		prefetch(unsafe.Add(p, 128))
		prefetch(unsafe.Add(p, 192))
		prefetch(unsafe.Add(p, 256))
	}
}

// askForReceiver asks for the lines of a phone that a datagram is on its way to:
// it arrives so soon that they will still be near.
func (w *World) askForReceiver(who uint32) {
	p := unsafe.Pointer(&w.phones[who])
	prefetch(p)
	prefetch(unsafe.Add(p, 64))
}
