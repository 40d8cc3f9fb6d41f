package virtual

import (
	"time"
	"unsafe"

	"bluetrace/protocol"
)

// Foreseer is told of what comes soon, and may ask for the memory that it will
// need then (Prefetch).
type Foreseer interface {
	// Soon: something happens to the phone a few events from now.
	Soon(phone uint32)
	// TickSoon: a tick comes in a few events; it is told twice, the second time
	// when what was asked for the first time is near.
	TickSoon(who, arg uint32, again bool)
}

// lookAhead asks for the memory of the events that come soon. In a large crowd
// every event is about another phone, and waiting for its memory takes longer
// than the work.
func (w *World) lookAhead() {
	q := &w.queue
	for range q.ask(&q.askedPhone, askAhead) {
		if e := q.soon(q.askedPhone); w.partOf(e) != laterPart && w.partOf(e) != lastPart {
			w.askForPhone(e)
			w.foretell(e, false)
		}
		q.askedPhone++
	}
	for range q.ask(&q.askedLog, askAhead/2) {
		e := q.soon(q.askedLog)
		w.askForLog(e)
		w.foretell(e, true)
		q.askedLog++
	}
}

// foretell tells those who want to know of an event that comes soon.
func (w *World) foretell(e *entry, again bool) {
	switch k := e.kind(); {
	case k == kindTick:
		for _, f := range w.foreseers {
			f.TickSoon(e.who, e.arg, again)
		}
	case k < kindTick && k != kindWakeServer && !again:
		for _, f := range w.foreseers {
			f.Soon(e.who)
		}
	}
}

// askAhead is how many events ahead a phone's memory is asked for, at the least,
// and at half the way that of its log. So many events are asked for at once:
// what is asked for together is waited for together, and an address that has to
// be looked up in memory holds the processor up even then.
const (
	askAhead  = 8
	askAtOnce = 4
)

// Prefetch asks for the memory at p, without waiting for it.
func Prefetch(p unsafe.Pointer) { prefetch(p) }

// askForLog asks for the end of a phone's log that the event is about: an expiry
// takes from the one, a verdict adds to the other. The phone itself must be near.
func (w *World) askForLog(e *entry) {
	if e.kind() > kindDatagram || int(e.who) >= len(w.phones) {
		return
	}
	ph := &w.phones[e.who]
	if e.kind() != kindDatagram {
		if ph.machine.ExpiresBy(time.Duration(e.at)) {
			second, _ := ph.machine.Log().PrefetchPointers()
			prefetch(second)
		}
		return
	}
	switch w.partOf(e) {
	case firstPart:
		prefetch(unsafe.Pointer(unsafe.SliceData(ph.firsts)))
		if parts := ph.machine.AssemblerMemory(); parts != nil {
			prefetch(parts)
			prefetch(unsafe.Add(parts, 64))
		}
	case noPart, lastPart:
		_, next := ph.machine.Log().PrefetchPointers()
		prefetch(next)
	}
}

// askForPhone asks for the lines of a phone that an event of this kind uses.
func (w *World) askForPhone(e *entry) {
	if e.kind() > kindTick || int(e.who) >= len(w.phones) {
		return
	}
	p := unsafe.Pointer(&w.phones[e.who])
	prefetch(p)
	prefetch(unsafe.Add(p, 64))
	if e.kind() == kindTick {
		prefetch(unsafe.Add(p, 128))
		prefetch(unsafe.Add(p, 192))
	} else if w.partOf(e) == firstPart {
		prefetch(unsafe.Add(p, 128))
		prefetch(unsafe.Add(p, 256))
	}
}

// part is what an event brings of a split beacon. The parts of one come so soon
// after each other that what the first one needed is still near.
type part uint8

const (
	noPart part = iota
	firstPart
	laterPart
	lastPart
)

func (w *World) partOf(e *entry) part {
	if e.kind() != kindDatagram {
		return noPart
	}
	switch w.mail[e.arg].n {
	case protocol.TempIDSize:
		return firstPart
	case protocol.TimeSize:
		return laterPart
	case protocol.BeaconSize - protocol.TempIDSize - 2*protocol.TimeSize:
		return lastPart
	}
	return noPart
}

// askForReceiver asks for the lines of a phone that a datagram is on its way to:
// it arrives so soon that they will still be near.
func (w *World) askForReceiver(who uint32) {
	p := unsafe.Pointer(&w.phones[who])
	prefetch(p)
	prefetch(unsafe.Add(p, 64))
}
