package live

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"

	"bluetrace/nodes"
	"bluetrace/nodes/socket"
	"bluetrace/protocol"
	"bluetrace/sim/event"
)

// source is another port of a phone, by the number that a script gives it.
type source struct {
	phone uint32
	port  uint16
}

// way is where datagrams go from one socket to a phone. The kernel keeps their
// order on it.
type way struct {
	from protocol.Address
	to   uint32
}

// flight is a datagram that has been sent and not been seen to arrive.
type flight struct {
	sent   int64
	serial uint64
	n      int
	sum    uint64 // a hash of what a receiver may see of it
}

func sumOf(p []byte) uint64 { return xxhash.Sum64(p[:min(len(p), socket.MaxDatagram)]) }

// sent counts a datagram before it leaves.
func (w *World) sent(at int64, who uint32, from *protocol.Address, to *protocol.Address, p []byte) {
	w.datagrams++
	dest, ok := w.byUDP[*to]
	if !ok {
		w.emitDatagram(event.DatagramLost, who, event.NoPeer, w.datagrams, len(p), 0)
		return
	}
	k := way{*from, dest}
	w.air[k] = append(w.air[k], flight{at, w.datagrams, len(p), sumOf(p)})
	w.emitDatagram(event.DatagramSent, who, dest, w.datagrams, len(p), 0)
}

// arrived finds the datagram among those that were sent; those before it on its
// way are lost. False: it is none of this world's.
func (w *World) arrived(at int64, k way, p []byte) (flight, bool) {
	under, sum := w.air[k], sumOf(p)
	i := slices.IndexFunc(under, func(f flight) bool {
		return min(f.n, socket.MaxDatagram) == len(p) && f.sum == sum
	})
	if i < 0 {
		return flight{}, false
	}
	sender := w.byUDP[k.from]
	for _, f := range under[:i] {
		w.emitLost(sender, k.to, f)
	}
	f := under[i]
	if i++; i == len(under) {
		delete(w.air, k)
	} else {
		w.air[k] = under[i:]
	}
	w.emitDatagram(event.DatagramDelivered, k.to, sender, f.serial, f.n, sum)
	return f, true
}

// DatagramsInFlight counts the datagrams that were sent and neither arrived nor were
// lost.
func (w *World) DatagramsInFlight() int {
	n := 0
	for _, under := range w.air {
		n += len(under)
	}
	return n
}

// handing is the datagram that is being handed to a phone, while is.
type handing struct {
	sent  int64
	is    bool
	whole bool // it is a whole beacon
}

// first is when the first part of a split beacon was sent, and when it came.
type first struct{ sent, arrived int64 }

// Datagram is what the phone receives, before its machine takes it.
func (p *phone) Datagram(now nodes.Now, from netip.AddrPort, b []byte) {
	w := p.world
	if w.closing {
		return
	}
	at := w.at(now)
	sender := protocol.AddressOf(from)
	f, ok := w.arrived(at, way{sender, p.who}, b)
	p.handing = handing{f.sent, ok, len(b) == protocol.BeaconSize}
	if ok && len(b) == protocol.TempIDSize {
		if p.firsts == nil {
			p.firsts = map[protocol.Address]first{}
		}
		p.firsts[sender] = first{f.sent, at}
	}
}

// sentAt is when the first datagram of what is now judged was sent; of what is
// no beacon, when the datagram was that showed it.
func (p *phone) sentAt(e *nodes.PhoneEffect) (int64, bool) {
	if h := &p.handing; h.is && (e.OutOfTurn || h.whole && e.FirstPart == e.At.Elapsed) {
		return h.sent, true
	}
	f, ok := p.firsts[e.From]
	if !ok || f.arrived != int64(e.FirstPart) {
		return 0, false
	}
	delete(p.firsts, e.From)
	return f.sent, true
}

func (p *phone) judged(at int64, e *nodes.PhoneEffect) {
	w := p.world
	sender, ok := w.byUDP[e.From]
	if !ok {
		sender = event.NoPeer
	}
	if e.OutOfTurn || e.Err != nil {
		p.counts.Invalid++
	} else {
		p.counts.Valid++
	}
	o := w.event(event.BeaconJudged, p.who, sender)
	sent, ok := p.sentAt(e)
	o.Phone, o.Sent, o.SentKnown = e, time.Duration(sent), ok
	w.stream.Emit(o)
	p.show(e)
}

// sendsBeacon counts the datagrams of a beacon of the phone's program.
func (p *phone) sendsBeacon(at int64, e *nodes.PhoneEffect) {
	w := p.world
	w.announce(at, p.who, &e.To, &e.Raw)
	if e.Form == protocol.Single {
		w.sent(at, p.who, &p.address, &e.To, e.Raw[:])
		return
	}
	for i := range protocol.Parts {
		w.sent(at, p.who, &p.address, &e.To, protocol.Part(&e.Raw, i))
	}
}

func (w *World) announce(at int64, who uint32, to *protocol.Address, raw *[protocol.BeaconSize]byte) {
	w.phones[who].counts.Sent++
	dest, ok := w.byUDP[*to]
	if !ok {
		dest = event.NoPeer
	}
	o := w.event(event.BeaconSent, who, dest)
	o.Raw = raw
	w.stream.Emit(o)
}

// AnnounceForged counts a beacon that a script puts together from datagrams of
// its own.
func (w *World) AnnounceForged(who, to uint32, raw *[protocol.BeaconSize]byte) {
	w.announce(int64(w.now), who, &w.phones[to].address, raw)
}

// SendDatagram sends bytes from the phone's own socket, or, for another port
// than 0, from a socket that stands for it.
func (w *World) SendDatagram(who, to uint32, port uint16, b []byte) {
	dest := w.phones[to].address
	at := int64(w.now)
	w.stream.Emit(w.event(event.DatagramsForged, who, event.NoPeer))
	if port == 0 {
		w.sent(at, who, &w.phones[who].address, &dest, b)
		w.sentOr(w.phones[who].host.SendDatagram(dest.AddrPort(), b))
		return
	}
	u, err := w.sourceSocket(source{who, port})
	if err != nil {
		w.fail(fmt.Errorf("binding another UDP socket for %s: %w", w.names[who], err))
		return
	}
	from := protocol.AddressOf(addressOf(u.LocalAddr()))
	w.sent(at, who, &from, &dest, b)
	_, err = u.WriteToUDPAddrPort(b, dest.AddrPort())
	w.sentOr(err)
}

// sentOr ends a run in which a script could not send.
func (w *World) sentOr(err error) {
	if err != nil {
		w.fail(fmt.Errorf("sending a datagram of the script: %w", err))
	}
}

func (w *World) sourceSocket(s source) (*net.UDPConn, error) {
	if u := w.extra[s]; u != nil {
		return u, nil
	}
	u, err := bindUDP()
	if err != nil {
		return nil, err
	}
	w.extra[s] = u
	w.byUDP[protocol.AddressOf(addressOf(u.LocalAddr()))] = s.phone
	return u, nil
}
