package virtual

import (
	"fmt"
	"slices"
	"time"

	"bluetrace/scenarios/fault"
	"bluetrace/sim/event"
)

// datagramOutcome is the effect of faults on one datagram.
type datagramOutcome struct {
	lost       bool
	duplicated bool
	reordered  bool // it may arrive before an earlier datagram of its path
	changed    bool
	delay      int64
	copyDelay  int64 // of the duplicate, from the sending
	payload    []byte
	by         fault.Kind // that affected the datagram itself, not only a copy of it
}

// datagramOutcome returns the effect of the rules on a datagram. The first rule that
// acts decides. The other rules still count the datagram and draw for it, so that the
// draws of a rule do not depend on other rules. lost reports that the network itself
// loses the datagram: no rule acts then. left reports that one of the phones has left.
func (f *faults) datagramOutcome(sender, receiver uint32, p []byte, lost, left bool) datagramOutcome {
	nth := f.sends.next(f.scheduler.now, sendPath{from: sender, to: receiver})
	o := datagramOutcome{payload: p}
	decided := lost
	if receiver != event.NoPeer && !lost && left && f.leaveLoses(sender, receiver, nth) {
		o.lost, decided = true, true
	}
	for _, r := range f.rules {
		if r.actsOnDatagrams(sender, receiver) && f.happens(r, sender) && !decided && r.longEnough(len(p)) {
			o, decided = f.applyToDatagram(r, sender, receiver, nth, p), true
		}
	}
	return o
}

// leaveLoses reports whether a datagram is lost because one of the two phones has
// left, and emits the effect of that fault.
func (f *faults) leaveLoses(sender, receiver uint32, nth int) bool {
	for _, r := range f.rules {
		if r.Kind == fault.Leave && (r.Of.Has(sender) || r.Of.Has(receiver)) {
			f.applied(r, sender, receiver, nth, 0, f.path(sender, receiver)+": a datagram is lost")
			return true
		}
	}
	return false
}

// actsOnDatagrams reports whether the rule concerns datagrams of this path.
func (r *rule) actsOnDatagrams(sender, receiver uint32) bool {
	switch r.Kind {
	case fault.Cut:
		return r.cuts(sender, receiver)
	case fault.Lose, fault.Duplicate, fault.Reorder, fault.Corrupt, fault.Truncate:
	case fault.Delay, fault.Slow:
		if r.Stream {
			return false
		}
	default:
		return false
	}
	return includes(&r.From, sender) && includes(&r.To, receiver)
}

// longEnough reports whether the rule can act on a datagram of this size in bytes.
func (r *rule) longEnough(size int) bool {
	switch r.Kind {
	case fault.Corrupt:
		return size >= max(1, r.Bytes)
	case fault.Truncate:
		return size > max(0, r.Bytes)
	}
	return true
}

// applyToDatagram returns the effect of the rule on the datagram.
func (f *faults) applyToDatagram(r *rule, sender, receiver uint32, nth int, p []byte) datagramOutcome {
	now := f.scheduler.now
	o := datagramOutcome{payload: p}
	src := f.stream(r, sender)
	amount, text := int64(0), ""
	switch r.Kind {
	case fault.Lose, fault.Cut:
		o.lost = true
		text = "a datagram is lost"
	case fault.Delay:
		o.delay = f.draw(r, sender)
		amount, text = o.delay, "a datagram is delayed by "+durationText(o.delay)
	case fault.Reorder:
		o.delay, o.reordered = f.draw(r, sender), true
		amount, text = o.delay, "a datagram falls back by "+durationText(o.delay)
	case fault.Duplicate:
		o.duplicated, o.copyDelay = true, int64(f.udpDelay.Draw(src))
		text = "a datagram is doubled"
	case fault.Corrupt:
		position := r.Bytes
		if position == 0 {
			position = 1 + int(src.Uint64()%uint64(len(p)))
		}
		o.changed, o.payload = true, slices.Clone(p)
		o.payload[position-1] ^= corruption(now, position)
		amount, text = int64(position), fmt.Sprintf("byte %d of a datagram is changed", position)
	case fault.Truncate:
		size := r.Bytes
		if size < 0 {
			size = int(src.Uint64() % uint64(len(p)))
		}
		o.changed, o.payload = true, p[:size]
		amount, text = int64(size), fmt.Sprintf("a datagram of %d bytes is cut to %d", len(p), size)
	case fault.Slow:
		o.delay, o.lost = r.reserve(now, sender, len(p), r.Room)
		amount, text = o.delay, "a datagram waits for the way for "+durationText(o.delay)
		if o.lost {
			amount, text = -1, "a datagram is lost, there is no room for it"
		}
	}
	if r.Kind != fault.Duplicate {
		o.by = r.Kind
	}
	f.applied(r, sender, receiver, nth, amount, f.path(sender, receiver)+": "+text)
	return o
}

// corruption returns the bits to flip in a corrupted byte, at least one. It depends
// on the time and the position only, so that a replay of the
// fault flips the same bits.
func corruption(at int64, position int) byte {
	x := uint64(at) + uint64(position)*0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return byte(1 + (x^x>>31)%255)
}

// segmentDelay returns the delay in nanoseconds that rules add to size bytes of a
// stream.
func (f *faults) segmentDelay(d direction, size int) int64 {
	nth := f.sends.next(f.scheduler.now, sendPath{d.from, d.to, true})
	delay, decided := int64(0), false
	for _, r := range f.rules {
		if !r.Stream || !includes(&r.From, d.from) || !includes(&r.To, d.to) || !f.happens(r, d.from) || decided {
			continue
		}
		switch r.Kind {
		case fault.Delay:
			delay = f.draw(r, d.from)
		case fault.Slow:
			delay, _ = r.reserve(f.scheduler.now, d.from, size, 0)
		default:
			continue
		}
		decided = true
		f.appliedToConn(r, d, nth, delay, ": %d bytes are delayed by %s", size, durationText(delay))
	}
	return delay
}

// pieceSize returns the size of the pieces into which a send of size bytes is split,
// or 0 for no split. split is the network's own piece size.
func (f *faults) pieceSize(d direction, size, split int) int {
	for _, r := range f.rules {
		if r.Kind != fault.Pieces || !includes(&r.Of, d.from) || size <= r.Bytes || split > 0 && split <= r.Bytes {
			continue
		}
		if !f.happens(r, d.from) {
			continue
		}
		f.appliedToConn(r, d, 0, int64(r.Bytes), ": %d bytes go in pieces of %d", size, r.Bytes)
		return r.Bytes
	}
	return split
}

// readDelay returns the delay of a read, which then also takes the bytes that arrive
// meanwhile. join is the network's own delay.
func (f *faults) readDelay(d direction, join time.Duration) time.Duration {
	for _, r := range f.rules {
		if r.Kind != fault.Join || !includes(&r.Of, d.to) || !f.happens(r, d.to) {
			continue
		}
		delay := f.draw(r, d.to)
		f.appliedToConn(r, d, 0, delay, " is read %s later", durationText(delay))
		return max(join, time.Duration(delay))
	}
	return join
}

// resets returns the rule that resets a connection at the bytes that are sent now, or
// nil.
func (f *faults) resets(d direction) *rule {
	for _, r := range f.rules {
		if r.Kind == fault.Reset && (r.Of.Has(d.from) || r.Of.Has(d.to)) && f.happens(r, d.from) {
			return r
		}
	}
	return nil
}

// refuses reports whether a fault refuses a connection of the phone.
func (f *faults) refuses(phone uint32, conn uint64) bool {
	for _, r := range f.rules {
		if r.Kind == fault.Refuse && r.ofConnects(phone) && f.happens(r, phone) {
			f.appliedToConn(r, direction{phone, event.Server, conn}, 0, 0, " is refused")
			return true
		}
	}
	return false
}

// ofConnects reports whether the rule, which refuses connects or leaves them without an
// answer, applies to the connects of the phone: it names the phone or the server.
func (r *rule) ofConnects(phone uint32) bool { return r.Of.Has(phone) || r.Of.Has(event.Server) }

// timesOut reports whether a fault leaves the connects of the phone unanswered.
func (f *faults) timesOut(phone uint32) bool {
	return slices.ContainsFunc(f.rules, func(r *rule) bool { return r.Kind == fault.TimeOut && r.ofConnects(phone) })
}

// blocks returns the rule that blocks a direction, or nil. newConnect reports that a
// connect is sent now. A time_out blocks these only.
func (f *faults) blocks(d direction, newConnect bool) *rule {
	for _, r := range f.rules {
		switch r.Kind {
		case fault.Leave:
			if r.Of.Has(d.from) || r.Of.Has(d.to) {
				return r
			}
		case fault.Cut:
			if r.cuts(d.from, d.to) {
				return r
			}
		case fault.TimeOut:
			if newConnect && r.ofConnects(d.from) && f.happens(r, d.from) {
				return r
			}
		}
	}
	return nil
}
