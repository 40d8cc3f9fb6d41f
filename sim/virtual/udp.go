package virtual

import (
	"maps"
	"time"

	"github.com/cespare/xxhash/v2"

	"bluetrace/protocol"
	"bluetrace/scenarios/fault"
	"bluetrace/sim/event"
)

// PhonePort is the UDP port of every phone. Each phone has an IP address of its own.
const PhonePort = 14000

// maxPhones is the number of addresses of 10.0.0.0/8 without 10.0.0.0 and the
// server's 10.0.0.1.
const maxPhones = 1<<24 - 3

// maxDatagram is the largest UDP payload over IPv4, in bytes.
const maxDatagram = 65507

// Address returns the address of a phone: 10.0.0.2 and up, port PhonePort. That of
// event.Server is 10.0.0.1.
func Address(phone uint32) protocol.Address {
	n := phone + 2
	a := protocol.Address{Port: PhonePort}
	a.IP[10], a.IP[11] = 0xff, 0xff
	a.IP[12], a.IP[13], a.IP[14], a.IP[15] = 10, byte(n>>16), byte(n>>8), byte(n)
	return a
}

// phoneAt returns the phone that has the address, whatever the port.
func (h *phoneHost) phoneAt(a *protocol.Address) (uint32, bool) {
	if a.IP[12] != 10 || a.IP[10] != 0xff || a.IP[11] != 0xff {
		return 0, false
	}
	n := uint32(a.IP[13])<<16 | uint32(a.IP[14])<<8 | uint32(a.IP[15])
	if n < 2 || int(n-2) >= len(h.phones) {
		return 0, false
	}
	return n - 2, true
}

// UDP holds the properties of the network for datagrams. Datagrams from one phone to
// another keep their order.
type UDP struct {
	Delay Delay
	Lose  float64 // probability, 0 to 1
}

// udp is the network of datagrams between phones.
type udp struct {
	UDP
	parts

	inFlight pool[datagram]
	large    map[uint32][]byte // payloads that do not fit into a datagram, by slot
	order    fifoOrder
	sent     uint64 // number of datagrams sent or lost so far
}

// inlinePayload is the payload in bytes that a datagram holds itself: a beacon and
// the few more bytes that a forger sends.
const inlinePayload = 62

// datagram is a datagram in flight.
type datagram struct {
	sent   int64
	number uint64 // among the datagrams of the run, from 1
	sender uint32
	size   uint16 // bytes
	from   protocol.Address
	data   [inlinePayload]byte
}

// send sends one datagram to an address.
func (u *udp) send(phone uint32, from, to *protocol.Address, p []byte) {
	receiver, listens := u.receiver(to)
	u.transmit(phone, receiver, listens, from, to, p)
}

// receiver returns the phone with the address, or NoPeer, and whether it listens on
// the port.
func (u *udp) receiver(a *protocol.Address) (phone uint32, listens bool) {
	phone, ok := u.phones.phoneAt(a)
	if !ok {
		return event.NoPeer, false
	}
	return phone, a.Port == PhonePort
}

// sendBeacon sends a phone's beacon in its form.
func (u *udp) sendBeacon(phone uint32, to *protocol.Address, form protocol.Form, raw *[protocol.BeaconSize]byte) {
	receiver, listens := u.receiver(to)
	if listens {
		u.phones.prefetchReceiver(receiver)
	}
	u.phones.beaconSent(phone, receiver, raw)
	from := Address(phone)
	if form == protocol.Single {
		u.transmit(phone, receiver, listens, &from, to, raw[:])
		return
	}
	for i := range protocol.Parts {
		u.transmit(phone, receiver, listens, &from, to, protocol.Part(raw, i))
	}
}

// transmit puts a datagram in flight, or loses it.
func (u *udp) transmit(sender, receiver uint32, listens bool, from, to *protocol.Address, p []byte) {
	u.sent++
	src := &u.phones.phones[sender].net
	lost := !listens || u.Lose > 0 && chance(u.Lose, src)
	if u.faults.begun {
		u.transmitUnderFaults(sender, receiver, from, to, p, lost)
		return
	}
	if lost {
		u.emit.DatagramLost(sender, receiver, from.Port, to, u.sent, p)
		return
	}
	at := u.scheduler.now + int64(u.Delay.Draw(src))
	if !u.Delay.constant() {
		at = u.order.arrival(u.scheduler.now, sender, receiver, at)
	}
	u.put(sender, receiver, from, p, at, "")
}

// transmitUnderFaults is transmit for a world in which a fault has begun. lost reports
// that the network itself loses the datagram. The network draws the same numbers as
// in a world without faults.
func (u *udp) transmitUnderFaults(sender, receiver uint32, from, to *protocol.Address, p []byte, lost bool) {
	now := u.scheduler.now
	o := u.faults.datagramOutcome(sender, receiver, p, lost, u.states.left(sender, receiver))
	if lost {
		u.emit.DatagramLost(sender, receiver, from.Port, to, u.sent, p)
		return
	}
	at := now + int64(u.Delay.Draw(&u.phones.phones[sender].net))
	if o.lost {
		u.emit.DatagramLost(sender, receiver, from.Port, to, u.sent, p)
		return
	}
	at += o.delay
	if !o.reordered {
		at = u.order.arrival(now, sender, receiver, at)
	}
	if o.changed || o.reordered {
		u.emit.Plain(event.DatagramChanged, sender, event.NoPeer)
	}
	u.put(sender, receiver, from, o.payload, at, o.by)
	if o.duplicated {
		u.sent++
		at = u.order.arrival(now, sender, receiver, now+o.copyDelay)
		u.put(sender, receiver, from, o.payload, at, fault.Duplicate)
	}
}

// put puts a datagram in flight that arrives at the given time. by is the kind of the
// fault that affected it, or empty.
func (u *udp) put(sender, receiver uint32, from *protocol.Address, p []byte, at int64, by fault.Kind) {
	slot := u.inFlight.take()
	d := u.inFlight.at(slot)
	d.sent, d.number, d.sender, d.from, d.size = u.scheduler.now, u.sent, sender, *from, uint16(len(p))
	if copy(d.data[:], p) < len(p) {
		u.large[slot] = append([]byte(nil), p...)
	}
	u.emit.DatagramSent(sender, receiver, from.Port, d.number, p, time.Duration(at), by)
	u.scheduler.input(at, datagramArrives, receiver, slot<<beaconPartBits|uint32(partOfSize(len(p))))
}

// arrive delivers a datagram to its receiver.
func (u *udp) arrive(receiver, slot uint32) {
	if u.faults.begun && u.lostOnArrival(receiver, slot) {
		return
	}
	d := u.inFlight.at(slot)
	p := d.data[:min(int(d.size), inlinePayload)]
	if int(d.size) > inlinePayload {
		p = u.large[slot]
		delete(u.large, slot)
	}
	u.emit.DatagramDelivered(receiver, d.sender, d.from.Port, d.number, len(p), xxhash.Sum64(p))
	if !u.faults.begun || !u.states.keepDatagram(receiver, d, p) {
		u.phones.receive(receiver, d.from, d.sent, p)
	}
	u.inFlight.put(slot)
}

// lostOnArrival loses a datagram whose receiver has left or is off. It returns false for
// other receivers.
func (u *udp) lostOnArrival(receiver, slot uint32) bool {
	n := u.states.of(receiver)
	d := u.inFlight.at(slot)
	if n.left == 0 && !n.off {
		return false
	}
	if n.left > 0 {
		u.faults.leaveLoses(d.sender, receiver, 0)
	}
	delete(u.large, slot)
	u.inFlight.put(slot)
	u.emit.DatagramLostInFlight(d.sender, receiver, d.number, int(d.size))
	return true
}

// fifoOrder keeps the order of the datagrams from one phone to another when their
// delays differ: it holds the last arrival on each path. It may forget a path on
// which nothing is in flight, so that a small table holds nearly all paths, a few in
// each bucket. A path whose bucket is full of paths in use goes to a map.
type fifoOrder struct {
	buckets  [orderBuckets][pathsPerBucket]path
	overflow map[[2]uint32]int64
	// sweepAt is the size of overflow at which unused paths are deleted.
	sweepAt int
}

// path is the path from one phone to another.
type path struct {
	last     int64 // arrival of the last datagram
	from, to uint32
}

const (
	orderBuckets   = 1024
	pathsPerBucket = 4 // fill a cache line
	minSweep       = 64
)

// arrival returns the given arrival, or that of the datagram before it on the same
// path if that is later.
func (f *fifoOrder) arrival(now int64, from, to uint32, at int64) int64 {
	bucket := &f.buckets[(from*2654435761^to*2246822519)>>7%orderBuckets]
	var free *path
	for i := range bucket {
		w := &bucket[i]
		if w.last < now {
			free = w
		} else if w.from == from && w.to == to {
			w.last = max(at, w.last)
			return w.last
		}
	}
	if len(f.overflow) > 0 {
		if last, ok := f.overflow[[2]uint32{from, to}]; ok && last >= now {
			at = max(at, last)
			f.overflow[[2]uint32{from, to}] = at
			return at
		}
	}
	if free == nil {
		f.addOverflow(now, from, to, at)
		return at
	}
	*free = path{at, from, to}
	return at
}

// addOverflow adds a path to the map. It deletes the unused paths when there are
// twice as many as were in use after the last time.
func (f *fifoOrder) addOverflow(now int64, from, to uint32, at int64) {
	if f.overflow == nil {
		f.overflow = map[[2]uint32]int64{}
	}
	f.overflow[[2]uint32{from, to}] = at
	if len(f.overflow) < max(f.sweepAt, minSweep) {
		return
	}
	maps.DeleteFunc(f.overflow, func(_ [2]uint32, last int64) bool { return last < now })
	f.sweepAt = 2 * len(f.overflow)
}
