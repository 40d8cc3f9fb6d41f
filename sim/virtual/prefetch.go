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

// prefetch prefetches the memory of the entries that come soon. A prefetcher is called
// twice for a tick, and once for another input of a phone.
func (w *World) prefetch() {
	q := &w.scheduler.queue
	for range q.prefetchCount(&q.prefetchedPhone, prefetchDistance) {
		e := q.ahead(q.prefetchedPhone)
		q.prefetchedPhone++
		kind, part := e.kind(), partOf(e)
		if kind == datagramArrives {
			w.udp.prefetchDatagram(e.arg >> beaconPartBits)
		}
		if kind > tickDue || kind == wakeServer || part == laterParts || part == lastPart {
			continue
		}
		w.phones.prefetchPhone(e, part)
		in := prefetch.Input{Phone: e.who, Arg: e.arg, IsTick: kind == tickDue}
		for _, p := range w.prefetchers {
			p.Prefetch(in)
		}
	}
	for range q.prefetchCount(&q.prefetchedLog, prefetchDistance/2) {
		e := q.ahead(q.prefetchedLog)
		q.prefetchedLog++
		switch kind := e.kind(); kind {
		case wakePhone, datagramArrives:
			w.phones.prefetchLog(e, partOf(e))
		case tickDue:
			for _, p := range w.prefetchers {
				p.Prefetch(prefetch.Input{Phone: e.who, Arg: e.arg, IsTick: true, Near: true})
			}
		}
	}
}

// beaconPart is the part of a split beacon that a datagram brings. The parts of one
// beacon come so soon after each other that the memory that the first one needed is
// still cached.
type beaconPart uint8

const (
	noPart beaconPart = iota
	firstOfParts
	laterParts
	lastPart
)

const beaconPartBits = 2

// partOfSize returns the part that a datagram of this size in bytes brings.
func partOfSize(n int) beaconPart {
	switch n {
	case protocol.TempIDSize:
		return firstOfParts
	case protocol.TimeSize:
		return laterParts
	case protocol.BeaconSize - protocol.TempIDSize - 2*protocol.TimeSize:
		return lastPart
	}
	return noPart
}

// partOf returns the part that the entry brings. An entry holds it beside the slot of
// its datagram, because the datagram itself is not cached.
func partOf(e *entry) beaconPart {
	if e.kind() != datagramArrives {
		return noPart
	}
	return beaconPart(e.arg & (1<<beaconPartBits - 1))
}

// prefetchDatagram prefetches a datagram in flight.
func (u *udp) prefetchDatagram(slot uint32) {
	d := unsafe.Pointer(&u.inFlight.items[slot])
	prefetch.Line(d)
	prefetch.Line(unsafe.Add(d, 64))
}

// prefetchPhone prefetches the cache lines of a phone that the entry needs.
func (h *phoneHost) prefetchPhone(e *entry, part beaconPart) {
	if int(e.who) >= len(h.phones) {
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
