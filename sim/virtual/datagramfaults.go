package virtual

import (
	"fmt"
	"slices"
	"time"

	"bluetrace/protocol"
	"bluetrace/sim/event"
	"bluetrace/sim/world"
)

// fate is what faults make of one datagram.
type fate struct {
	lost    bool
	doubled bool
	loose   bool // it need not keep its place on the way
	changed bool
	later   int64
	copyAt  int64 // from its sending
	payload []byte
}

// transmitUnderFaults puts a datagram on its way that the network by itself
// loses, or not. The network's own draws are those of a world without faults.
func (w *World) transmitUnderFaults(who, dest uint32, from *protocol.Address, p []byte, lost bool) {
	t := w.fateOf(who, dest, p, lost)
	if lost {
		w.lose(who, dest, len(p))
		return
	}
	at := w.now + int64(w.udp.Delay.Draw(&w.phones[who].net))
	if t.lost {
		w.lose(who, dest, len(p))
		return
	}
	at += t.later
	if !t.loose {
		at = w.serial.arrival(w.now, who, dest, at)
	}
	if t.changed || t.loose {
		w.emit.plain(event.DatagramChanged, who, event.NoPeer)
	}
	w.post(who, dest, from, t.payload, at, false)
	if t.doubled {
		w.datagrams++
		at = w.serial.arrival(w.now, who, dest, w.now+t.copyAt)
		w.post(who, dest, from, t.payload, at, true)
	}
}

// fateOf asks the rules: the first that answers wins. All of them see it, also a
// datagram that is lost anyway, so that what one of them draws and skips does not
// depend on the others.
func (w *World) fateOf(who, dest uint32, p []byte, lost bool) fate {
	nth := w.faults.sends.next(w.now, sendWay{from: who, to: dest})
	t := fate{payload: p}
	if dest != nobody && !lost && w.awayLoses(who, dest, nth) {
		t.lost, lost = true, true
	}
	for _, r := range w.faults.rules {
		if concerns(r, who, dest) && w.happens(r, who) && !lost && fits(r, len(p)) {
			t, lost = w.struck(r, who, dest, nth, p), true
		}
	}
	return t
}

// awayLoses loses what a phone that has left sends, or is sent.
func (w *World) awayLoses(who, dest uint32, nth int) bool {
	f := w.faults
	if f.node(who).left == 0 && f.node(dest).left == 0 {
		return false
	}
	for _, r := range f.rules {
		if r.Kind == world.Leave && (r.Of.Has(who) || r.Of.Has(dest)) {
			w.did(r, who, dest, nth, 0, w.between(who, dest)+": a datagram is lost")
			return true
		}
	}
	return false
}

// concerns says whether a rule may answer for a datagram.
func concerns(r *rule, who, dest uint32) bool {
	switch r.Kind {
	case world.Cut:
		return cuts(r, who, dest)
	case world.Lose, world.Duplicate, world.Reorder, world.Corrupt, world.Truncate:
	case world.Delay, world.Slow:
		if r.Stream {
			return false
		}
	default:
		return false
	}
	return has(&r.From, who) && has(&r.To, dest)
}

// fits says whether a datagram of n bytes is long enough for what the rule does.
func fits(r *rule, n int) bool {
	switch r.Kind {
	case world.Corrupt:
		return n >= max(1, r.Bytes)
	case world.Truncate:
		return n > max(0, r.Bytes)
	}
	return true
}

// cuts says whether a cut lies on the way from one node to another.
func cuts(r *rule, from, to uint32) bool {
	out := r.Of.Has(from) && has(&r.From, to)
	in := r.Of.Has(to) && has(&r.From, from)
	switch r.OneWay {
	case "out":
		return out
	case "in":
		return in
	}
	return out || in
}

// struck lets the rule happen to the datagram.
func (w *World) struck(r *rule, who, dest uint32, nth int, p []byte) fate {
	t := fate{payload: p}
	src := w.streamOf(r, who)
	amount, text := int64(0), ""
	switch r.Kind {
	case world.Lose, world.Cut:
		t.lost = true
		text = "a datagram is lost"
	case world.Delay:
		t.later = r.drawn(src)
		amount, text = t.later, "a datagram is delayed by "+seconds(t.later)
	case world.Reorder:
		t.later, t.loose = r.drawn(src), true
		amount, text = t.later, "a datagram falls back by "+seconds(t.later)
	case world.Duplicate:
		t.doubled, t.copyAt = true, int64(w.udp.Delay.Draw(src))
		text = "a datagram is doubled"
	case world.Corrupt:
		place := r.Bytes
		if place == 0 {
			place = 1 + int(src.Uint64()%uint64(len(p)))
		}
		t.changed, t.payload = true, slices.Clone(p)
		t.payload[place-1] ^= flip(w.now, place)
		amount, text = int64(place), fmt.Sprintf("byte %d of a datagram is changed", place)
	case world.Truncate:
		left := r.Bytes
		if left < 0 {
			left = int(src.Uint64() % uint64(len(p)))
		}
		t.changed, t.payload = true, p[:left]
		amount, text = int64(left), fmt.Sprintf("a datagram of %d bytes is cut to %d", len(p), left)
	case world.Slow:
		t.later, t.lost = r.queue(w.now, who, len(p), r.Room)
		amount, text = t.later, "a datagram waits for the way for "+seconds(t.later)
		if t.lost {
			amount, text = -1, "a datagram is lost, there is no room for it"
		}
	}
	w.did(r, who, dest, nth, amount, w.between(who, dest)+": "+text)
	return t
}

// flip is what a corrupted byte is changed by: never nothing, and the same when
// it happens again to the same byte at the same time.
func flip(at int64, place int) byte {
	x := uint64(at) + uint64(place)*0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return byte(1 + (x^x>>31)%255)
}

// queue is how long n bytes of a node take on a slow way, with what waits before
// them; full: there is no room for them. Room 0: no limit.
func (r *rule) queue(now int64, who uint32, n, room int) (later int64, full bool) {
	if r.busy == nil {
		r.busy = map[uint32]int64{}
	}
	free := max(now, r.busy[who])
	waiting := float64(free-now) / float64(time.Second) * float64(r.Bytes)
	if room > 0 && waiting+float64(n) > float64(room) {
		return 0, true
	}
	free += int64(n) * int64(time.Second) / int64(r.Bytes)
	r.busy[who] = free
	return free - now, false
}

// dropped drops a datagram that arrives where nobody is.
func (w *World) dropped(who, slot uint32) bool {
	n := w.faults.node(who)
	d := &w.mail[slot]
	if n.left == 0 && !n.off {
		return false
	}
	if n.left > 0 {
		w.awayLoses(d.sender, who, 0)
	}
	delete(w.large, slot)
	w.free = append(w.free, slot)
	w.emit.datagramLost(d.sender, who, d.serial, int(d.n), true)
	return true
}

// waitsInSocket keeps a datagram that has arrived for a phone that is paused.
func (w *World) waitsInSocket(who uint32, d *datagram, p []byte) bool {
	n := w.faults.node(who)
	if n.paused == 0 {
		return false
	}
	from, sent, p := d.from, d.sent, slices.Clone(p)
	w.wait(who, func() { w.hand(who, from, sent, p) })
	return true
}

// hand gives a phone a datagram that waited.
func (w *World) hand(who uint32, from protocol.Address, sent int64, p []byte) {
	ph := &w.phones[who]
	w.handing = handing{sent, true, len(p) == protocol.BeaconSize}
	if len(p) == protocol.TempIDSize {
		ph.began(int64(w.elapsed(who)), from, sent)
	}
	ph.machine.Datagram(w.time(who), from, p, &w.phoneOut)
	w.phoneActs(who)
	w.handing.is = false
}
