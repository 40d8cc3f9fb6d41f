package virtual

import (
	"time"
	"unsafe"

	"bluetrace/protocol"
	"bluetrace/sim/prefetch"
)

// Each input of a large crowd concerns another phone, and waiting for its memory
// takes longer than the work. The world therefore prefetches the memory of the next
// entries of the queue. prefetchDistance is the number of entries ahead at which a
// phone is prefetched, at the least; its log is prefetched at half that distance.
// Entries are prefetched prefetchBatch at a time: their loads overlap, and an address
// whose page must be looked up stalls the processor even then.
const (
	prefetchDistance = 8
	prefetchBatch    = 4
)

// prefetch prefetches the memory of the entries that come soon.
func (w *World) prefetch() {
	q := &w.scheduler.queue
	for range q.prefetchCount(&q.prefetchedPhone, prefetchDistance) {
		e := q.ahead(q.prefetchedPhone)
		if part := w.udp.partOf(e); part != laterParts && part != lastPart {
			w.phones.prefetchPhone(e, part)
			w.callPrefetchers(e, false)
		}
		q.prefetchedPhone++
	}
	for range q.prefetchCount(&q.prefetchedLog, prefetchDistance/2) {
		e := q.ahead(q.prefetchedLog)
		w.phones.prefetchLog(e, w.udp.partOf(e))
		w.callPrefetchers(e, true)
		q.prefetchedLog++
	}
}

// callPrefetchers calls the prefetchers twice for a tick, and once for another input
// of a phone.
func (w *World) callPrefetchers(e *entry, near bool) {
	kind := e.kind()
	if kind > tickDue || kind == wakeServer || kind != tickDue && near {
		return
	}
	for _, p := range w.prefetchers {
		p.Prefetch(prefetch.Input{Phone: e.who, Arg: e.arg, IsTick: kind == tickDue, Near: near})
	}
}

// beaconPart is the part of a split beacon that an entry brings. The parts of one
// beacon come so soon after each other that the memory that the first one needed is
// still cached.
type beaconPart uint8

const (
	noPart beaconPart = iota
	firstOfParts
	laterParts
	lastPart
)

func (u *udp) partOf(e *entry) beaconPart {
	if e.kind() != datagramArrives {
		return noPart
	}
	switch u.inFlight.items[e.arg].size {
	case protocol.TempIDSize:
		return firstOfParts
	case protocol.TimeSize:
		return laterParts
	case protocol.BeaconSize - protocol.TempIDSize - 2*protocol.TimeSize:
		return lastPart
	}
	return noPart
}

// prefetchPhone prefetches the cache lines of a phone that the entry needs.
func (h *phoneHost) prefetchPhone(e *entry, part beaconPart) {
	if e.kind() > tickDue || int(e.who) >= len(h.phones) {
		return
	}
	p := unsafe.Pointer(&h.phones[e.who])
	prefetch.Line(p)
	prefetch.Line(unsafe.Add(p, 64))
	if e.kind() == tickDue {
		prefetch.Line(unsafe.Add(p, 128))
		prefetch.Line(unsafe.Add(p, 192))
	} else if part == firstOfParts {
		prefetch.Line(unsafe.Add(p, 128))
		prefetch.Line(unsafe.Add(p, 256))
	}
}

// prefetchLog prefetches the end of the phone's log that the entry needs: an expiry
// takes from the front, and a verdict adds at the back. The phone must be cached.
func (h *phoneHost) prefetchLog(e *entry, part beaconPart) {
	if e.kind() > datagramArrives || int(e.who) >= len(h.phones) {
		return
	}
	p := &h.phones[e.who]
	switch {
	case e.kind() != datagramArrives:
		if p.machine.ExpiresBy(time.Duration(e.at)) {
			second, _ := p.machine.Log().PrefetchPointers()
			prefetch.Line(second)
		}
	case part == firstOfParts:
		prefetch.Line(unsafe.Pointer(unsafe.SliceData(p.firsts)))
		if parts := p.machine.AssemblerMemory(); parts != nil {
			prefetch.Line(parts)
			prefetch.Line(unsafe.Add(parts, 64))
		}
	case part == noPart, part == lastPart:
		_, next := p.machine.Log().PrefetchPointers()
		prefetch.Line(next)
	}
}

// prefetchReceiver prefetches a phone to which a datagram is sent. It arrives so soon
// that the phone will still be cached.
func (h *phoneHost) prefetchReceiver(phone uint32) {
	p := unsafe.Pointer(&h.phones[phone])
	prefetch.Line(p)
	prefetch.Line(unsafe.Add(p, 64))
}
