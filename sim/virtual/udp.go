package virtual

import (
	"fmt"
	"maps"
	"slices"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/sim/event"
)

// PhonePort is the UDP port of every phone; each has an IP address of its own.
const PhonePort = 14000

// maxPhones is how many addresses 10.0.0.0/8 has room for, with 10.0.0.0 and
// the server's 10.0.0.1 left out.
const maxPhones = 1<<24 - 3

// Address of a phone: 10.0.0.2 and up, port PhonePort.
func Address(phone uint32) protocol.Address {
	n := phone + 2
	a := protocol.Address{Port: PhonePort}
	a.IP[10], a.IP[11] = 0xff, 0xff
	a.IP[12], a.IP[13], a.IP[14], a.IP[15] = 10, byte(n>>16), byte(n>>8), byte(n)
	return a
}

// phoneAt finds the phone that has the address, whatever the port.
func (w *World) phoneAt(a *protocol.Address) (uint32, bool) {
	if a.IP[12] != 10 || a.IP[10] != 0xff || a.IP[11] != 0xff {
		return 0, false
	}
	n := uint32(a.IP[13])<<16 | uint32(a.IP[14])<<8 | uint32(a.IP[15])
	if n < 2 || int(n-2) >= len(w.phones) {
		return 0, false
	}
	return n - 2, true
}

// roomOfDatagram is the payload that a datagram holds by itself: a beacon, and
// what little more a forger sends.
const roomOfDatagram = 62

// datagram is one that is under way.
type datagram struct {
	sent   int64
	serial uint64 // counts the datagrams of the run, from 1
	sender uint32
	n      uint16
	from   protocol.Address
	data   [roomOfDatagram]byte
}

// sendSerial keeps the order of the datagrams from one phone to another when
// their delays differ: it remembers when the last one on each way arrives. A way
// on which nothing is under way may be forgotten, so that a small table holds
// nearly all, a few in each place; what finds its place full of ways that are in
// use goes to a map.
type sendSerial struct {
	places [placesKept][waysOfPlace]way
	more   map[[2]uint32]int64
	// sweep is the number of entries of more at which those that are over go.
	sweep int
}

type way struct {
	last     int64 // nothing arrives before it
	from, to uint32
}

const (
	placesKept  = 1024
	waysOfPlace = 4 // a cache line
	firstSweep  = 64
)

// arrival moves an arrival behind the one before it on the same way.
func (s *sendSerial) arrival(now int64, from, to uint32, at int64) int64 {
	place := &s.places[(from*2654435761^to*2246822519)>>7%placesKept]
	var free *way
	for i := range place {
		w := &place[i]
		if w.last < now {
			free = w
		} else if w.from == from && w.to == to {
			w.last = max(at, w.last)
			return w.last
		}
	}
	if len(s.more) > 0 {
		if last, ok := s.more[[2]uint32{from, to}]; ok && last >= now {
			at = max(at, last)
			s.more[[2]uint32{from, to}] = at
			return at
		}
	}
	if free == nil {
		s.overflow(now, from, to, at)
		return at
	}
	*free = way{at, from, to}
	return at
}

// overflow remembers a way in the map. Those that are over go when there are
// twice as many as were in use the last time.
func (s *sendSerial) overflow(now int64, from, to uint32, at int64) {
	if s.more == nil {
		s.more = map[[2]uint32]int64{}
	}
	s.more[[2]uint32{from, to}] = at
	if len(s.more) < max(s.sweep, firstSweep) {
		return
	}
	maps.DeleteFunc(s.more, func(_ [2]uint32, last int64) bool { return last < now })
	s.sweep = 2 * len(s.more)
}

// target is the phone that has the address, or nobody; open: it listens at the
// address's port.
func (w *World) target(a *protocol.Address) (who uint32, open bool) {
	who, ok := w.phoneAt(a)
	if !ok {
		return nobody, false
	}
	return who, a.Port == PhonePort
}

// transmit puts one datagram on the way to a target.
func (w *World) transmit(who, dest uint32, open bool, from *protocol.Address, p []byte) {
	w.datagrams++
	ph := &w.phones[who]
	lost := !open || w.udp.Lose > 0 && chance(w.udp.Lose, &ph.net)
	if w.faults != nil {
		w.transmitUnderFaults(who, dest, from, p, lost)
		return
	}
	if lost {
		w.lose(who, dest, len(p))
		return
	}
	at := w.now + int64(w.udp.Delay.Draw(&ph.net))
	if !w.udp.Delay.constant() {
		at = w.serial.arrival(w.now, who, dest, at)
	}
	w.post(who, dest, from, p, at, false)
}

// lose loses the datagram that was counted last.
func (w *World) lose(who, dest uint32, n int) {
	w.emit.datagramLost(who, dest, w.datagrams, n, false)
}

// post puts the datagram that was counted last on its way, to arrive at the given
// time. The network made a copy.
func (w *World) post(who, dest uint32, from *protocol.Address, p []byte, at int64, isCopy bool) {
	var slot uint32
	if n := len(w.free); n > 0 {
		slot = w.free[n-1]
		w.free = w.free[:n-1]
	} else {
		slot = uint32(len(w.mail))
		w.mail = append(w.mail, datagram{})
	}
	d := &w.mail[slot]
	d.sent, d.sender, d.from, d.n = w.now, who, *from, uint16(len(p))
	if copy(d.data[:], p) < len(p) {
		w.large[slot] = append([]byte(nil), p...)
	}
	d.serial = w.datagrams
	w.emit.datagramSent(who, dest, d.serial, len(p), at, isCopy)
	w.queue.push(at, inputClass, kindDatagram, dest, slot)
}

// handing is the datagram that is being handed to a phone, while is.
type handing struct {
	sent  int64
	is    bool
	whole bool // it is a whole beacon
}

// arrive hands a datagram to its phone.
func (w *World) arrive(who, slot uint32) {
	if w.faults != nil && w.dropped(who, slot) {
		return
	}
	d := &w.mail[slot]
	p := d.data[:min(int(d.n), roomOfDatagram)]
	if int(d.n) > roomOfDatagram {
		p = w.large[slot]
		delete(w.large, slot)
	}
	w.emit.datagramDelivered(who, d.sender, d.serial, p)
	if w.faults != nil && w.waitsInSocket(who, d, p) {
		w.free = append(w.free, slot)
		return
	}
	ph := &w.phones[who]
	w.handing = handing{d.sent, true, len(p) == protocol.BeaconSize}
	if len(p) == protocol.TempIDSize {
		ph.began(int64(w.elapsed(who)), d.from, d.sent)
	}
	ph.machine.Datagram(w.time(who), d.from, p, &w.phoneOut)
	w.free = append(w.free, slot)
	w.phoneActs(who)
	w.handing.is = false
}

// first is when the first part of a split beacon was sent.
type first struct {
	sent, arrived int64
	from          protocol.Address
}

const firstsKept = 2 * protocol.ForgetAfter

func (p *phone) began(now int64, from protocol.Address, sent int64) {
	for i := 0; i < len(p.firsts); i++ {
		if f := &p.firsts[i]; f.from == from || now-f.arrived > int64(firstsKept) {
			p.firsts[i] = p.firsts[len(p.firsts)-1]
			p.firsts = p.firsts[:len(p.firsts)-1]
			i--
		}
	}
	p.firsts = append(p.firsts, first{sent, now, from})
}

// sentAt is when the first datagram of what is now judged was sent; of what is
// no beacon, when the datagram was that showed it.
func (w *World) sentAt(p *phone, e *nodes.PhoneEffect) (int64, bool) {
	h := &w.handing
	if h.is && (e.OutOfTurn || h.whole && e.FirstPart == e.At.Elapsed) {
		return h.sent, true
	}
	for i := range p.firsts {
		if f := &p.firsts[i]; f.from == e.From && f.arrived == int64(e.FirstPart) {
			sent := f.sent
			p.firsts[i] = p.firsts[len(p.firsts)-1]
			p.firsts = p.firsts[:len(p.firsts)-1]
			return sent, true
		}
	}
	return 0, false
}

// SendBeacons has the phone's program send its beacon to other phones, one
// after the other in one instant.
func (w *World) SendBeacons(who uint32, to []uint32) {
	if w.faults != nil {
		to := slices.Clone(to)
		if w.holds(who, func() { w.SendBeacons(who, to) }) {
			return
		}
	}
	m := &w.phones[who].machine
	for _, t := range to {
		m.Beacon(w.time(who), Address(t), &w.phoneOut)
	}
	w.phoneActs(who)
}

// putBeacon carries out a phone's SendBeacon.
func (w *World) putBeacon(who uint32, e *nodes.PhoneEffect) {
	dest, open := w.target(&e.To)
	if open {
		w.askForReceiver(dest)
	}
	w.announce(who, dest, &e.Raw)
	from := Address(who)
	if e.Form == protocol.Single {
		w.transmit(who, dest, open, &from, e.Raw[:])
		return
	}
	for i := range protocol.Parts {
		w.transmit(who, dest, open, &from, protocol.Part(&e.Raw, i))
	}
}

func (w *World) announce(who, dest uint32, raw *[protocol.BeaconSize]byte) {
	w.phones[who].sent++
	w.emit.beaconSent(who, dest, raw)
}

// AnnounceForged counts a beacon that a script puts together from datagrams of
// its own.
func (w *World) AnnounceForged(who, to uint32, raw *[protocol.BeaconSize]byte) {
	w.announce(who, to, raw)
}

// SendDatagram sends bytes from the phone's address, without its program. Port
// 0 is the phone's own.
func (w *World) SendDatagram(who, to uint32, port uint16, p []byte) {
	if len(p) > maxDatagram {
		panic(fmt.Sprintf("virtual: a datagram of %d bytes, at most %d", len(p), maxDatagram))
	}
	from, dest := Address(who), Address(to)
	if port != 0 {
		from.Port = port
	}
	w.emit.plain(event.DatagramsForged, who, event.NoPeer)
	target, open := w.target(&dest)
	w.transmit(who, target, open, &from, p)
}

// maxDatagram is the largest UDP payload over IPv4.
const maxDatagram = 65507
