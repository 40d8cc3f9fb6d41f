package check

import (
	"fmt"
	"math"
	"slices"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/sim/world"
)

// ownLog is the model of the log of one phone whose clock is its own or whose
// program was started again: its entries are followed one by one.
type ownLog struct {
	phone     uint32
	clock     world.NodeClock
	retention time.Duration
	off       bool
	entries   []ownEntry    // in its memory, in order of arrival
	due       time.Duration // by its clock, no later than the first of them goes
	// ever is every entry that the phone judged valid, for what a disk gives back;
	// before is what it had when it was stopped.
	ever    []ownEntry
	durable []nodes.StoredContact // as its disk was last said to hold them
}

// ownEntry is an entry by the phone's clocks.
type ownEntry struct {
	id       protocol.TempID // zero of one from before it was followed
	received time.Duration
	wall     int64
}

// own begins to follow a phone's log by itself: its entries leave the common
// queue.
func (l *logs) own(at int64, phone uint32) *ownLog {
	if o := l.owned[phone]; o != nil {
		return o
	}
	l.advance(at)
	p := &l.phones[phone]
	q := l.queues[p.queue]
	o := &ownLog{phone: phone, retention: q.retention, due: math.MinInt64}
	o.clock.Wall = l.v.rules.Start * int64(time.Second)
	for b := range q.blocks {
		for i := range q.blocks[b] {
			k := &q.blocks[b][i]
			if k.phone != phone || b == 0 && i < q.head {
				continue
			}
			received := k.due - int64(q.retention)
			o.entries = append(o.entries, ownEntry{received: time.Duration(received), wall: o.clock.WallAt(received)})
			k.phone = world.Nobody
		}
	}
	o.ever = slices.Clone(o.entries)
	if l.owned == nil {
		l.owned, l.had = map[uint32]*ownLog{}, map[protocol.TempID]bool{}
	}
	l.owned[phone] = o
	p.queue |= owned
	return o
}

// owned marks a phoneLog whose phone is followed by itself.
const owned = 1 << 31

// receive adds an entry that was judged valid.
func (o *ownLog) receive(v *Invariants, at int64, e *nodes.PhoneEffect) {
	now := ownEntry{protocol.TempID(e.Raw[:protocol.TempIDSize]), o.clock.ElapsedAt(at), o.clock.WallAt(at)}
	if e.At.Elapsed != now.received || e.At.Wall != now.wall {
		v.violate(NothingLeavesEarly, at, int(o.phone), fmt.Sprintf("a reception at %s by its clocks", now.received), e.At.Elapsed.String())
	}
	o.entries = append(o.entries, now)
	o.due = min(o.due, now.received+o.retention)
	o.ever = append(o.ever, now)
}

// stepped compares the log with the model's.
func (o *ownLog) stepped(v *Invariants, at int64, log *nodes.ContactLog) {
	if o.off {
		return
	}
	now := o.clock.ElapsedAt(at)
	if now >= o.due {
		o.expire(now)
	}
	if received, ok := log.Oldest(); ok && now-received >= o.retention {
		v.violate(NothingStays, at, int(o.phone), fmt.Sprintf("no entry of %s or older", o.retention), fmt.Sprintf("one of %s", now-received))
		return
	}
	if log.Len() == len(o.entries) {
		return
	}
	i := NothingInvalidKept
	if log.Len() < len(o.entries) {
		i = NothingLeavesEarly
		if o.entries[len(o.entries)-1].received == now {
			i = NothingValidMissing
		}
	}
	v.violate(i, at, int(o.phone), o.odd(now, log).text(len(o.entries)), entriesText(log.Len()))
}

// odd finds the entry of a log that the model does not have, or of the model that
// the log does not have, by the phone's clock.
func (o *ownLog) odd(now time.Duration, log *nodes.ContactLog) oddEntry {
	held := map[time.Duration]int{}
	for i := range log.Len() {
		held[log.At(i).Received]++
	}
	e := oddEntry{retention: o.retention, ownClock: true}
	for i := range o.entries {
		k := &o.entries[i]
		if held[k.received]--; held[k.received] < 0 && !e.known {
			e.known, e.missing, e.received, e.age = true, true, int64(k.received), now-k.received
		}
	}
	for i := range log.Len() {
		if c := log.At(i); !e.known && held[c.Received] > 0 {
			e.known, e.id, e.received, e.age = true, c.TempID, int64(c.Received), now-c.Received
		}
	}
	return e
}

// expire takes out what is past its retention.
func (o *ownLog) expire(now time.Duration) {
	o.due = math.MaxInt64
	o.entries = slices.DeleteFunc(o.entries, func(e ownEntry) bool {
		if now-e.received >= o.retention {
			return true
		}
		o.due = min(o.due, e.received+o.retention)
		return false
	})
}

// compare looks at every entry.
func (o *ownLog) compare(v *Invariants, at int64, log *nodes.ContactLog) {
	o.stepped(v, at, log)
	for i := range min(log.Len(), len(o.entries)) {
		if log.At(i).Received != o.entries[i].received {
			v.violate(NothingLeavesEarly, at, int(o.phone), "the entries that were received last, entry "+fmt.Sprint(i)+" at "+o.entries[i].received.String(),
				log.At(i).Received.String())
			return
		}
	}
}

// stop: what the disk holds beyond the memory of the program is over, and may
// leave the disk in the very moment of the stop.
func (o *ownLog) stop(at int64) {
	if o.off {
		return
	}
	now := o.clock.ElapsedAt(at)
	held := map[protocol.TempID]int{}
	for i := range o.entries {
		if e := &o.entries[i]; now-e.received < o.retention {
			held[e.id]++
		}
	}
	for i := len(o.durable) - 1; i >= 0; i-- {
		id := o.durable[i].TempID
		if held[id] == 0 {
			id = protocol.TempID{}
		}
		if held[id]--; held[id] < 0 {
			o.durable = slices.Delete(o.durable, i, i+1)
		}
	}
	o.off, o.entries = true, nil
}

// wrote takes what the disk was said to hold. What neither it nor the memory has
// will not come back. had is room.
func (o *ownLog) wrote(kept []nodes.StoredContact, had map[protocol.TempID]bool) {
	o.durable = append(o.durable[:0], kept...)
	clear(had)
	for i := range kept {
		had[kept[i].TempID] = true
	}
	for i := range o.entries {
		had[o.entries[i].id] = true
	}
	over := false
	for i := range o.ever {
		switch e := &o.ever[i]; {
		case had[e.id]:
		case slices.ContainsFunc(kept, func(k nodes.StoredContact) bool { return k.Received == e.wall }):
			had[e.id] = true
		default:
			over = true
		}
	}
	if over {
		o.ever = slices.DeleteFunc(o.ever, func(e ownEntry) bool { return !had[e.id] })
	}
}

// age is how old an entry is for a program that has just been started: by the
// wall, never less than nothing nor more than the retention (PROTOCOL.md section
// 1, Two clocks).
func (o *ownLog) age(received, wall int64) time.Duration {
	return min(max(time.Duration(wall-received), 0), o.retention)
}

// start judges what a phone's disk gave back: all that it was said to hold, unless
// it is past its retention, nothing that was never received, and nothing younger
// than it is.
func (o *ownLog) start(v *Invariants, at int64, log *nodes.ContactLog) {
	o.off = false
	o.entries, o.due = o.entries[:0], math.MinInt64
	now, wall := o.clock.ElapsedAt(at), o.clock.WallAt(at)
	v.times[LogsOutlive]++
	given, next := make(map[protocol.TempID]int, log.Len()), 0
	for i := range log.Len() {
		c := log.At(i)
		age := now - c.Received
		given[c.TempID]++
		o.entries = append(o.entries, ownEntry{c.TempID, c.Received, wall - int64(age)})
		came := slices.IndexFunc(o.ever[next:], func(e ownEntry) bool {
			return (e.id == c.TempID || e.id == protocol.TempID{}) && o.age(e.wall, wall) <= age
		})
		if came < 0 {
			v.violate(LogsOutlive, at, int(o.phone), "entries that were received, each once, no younger than they are",
				fmt.Sprintf("%s, %s old", c.TempID, age))
			continue
		}
		next += came + 1
	}
	o.missing(v, at, wall, given)
}

// missing looks for entries that the disk was said to hold. What came before an
// entry is no younger than it, whatever the clock did in between.
func (o *ownLog) missing(v *Invariants, at, wall int64, given map[protocol.TempID]int) {
	if len(o.durable) == 0 {
		return
	}
	least, last := time.Duration(0), &o.durable[len(o.durable)-1]
	for i := len(o.ever) - 1; i >= 0; i-- {
		e := &o.ever[i]
		if e.wall == last.Received && (e.id == last.TempID || e.id == protocol.TempID{}) {
			break
		}
		least = max(least, o.age(e.wall, wall)) // the disk may have it as well
	}
	for i := len(o.durable) - 1; i >= 0; i-- {
		k := &o.durable[i]
		least = max(least, o.age(k.Received, wall))
		if least >= o.retention {
			return // it and all before it are over
		}
		if given[k.TempID]--; given[k.TempID] < 0 {
			v.violate(LogsOutlive, at, int(o.phone), fmt.Sprintf("%s, which was on its disk, %s old", k.TempID, o.age(k.Received, wall)), "it is not in the log")
			return
		}
	}
}
