package check

import (
	"fmt"
	"math"
	"slices"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/sim/event"
)

// followedLog is the model of the log of one phone that has a clock of its own, or
// whose program was restarted. It has every entry, in memory and on disk.
type followedLog struct {
	phone      uint32
	clock      event.NodeClock
	retention  time.Duration
	off        bool
	entries    []followedEntry // in memory, in order of reception
	nextExpiry time.Duration   // by its clock; no entry expires before this time
	// all are the valid entries that the disk may still return, in order of reception.
	all     []followedEntry
	durable []nodes.StoredContact // entries on its disk after the last write
}

// followedEntry is an entry with its reception by the clocks of the phone.
type followedEntry struct {
	id       protocol.TempID // zero if it was received before the phone was followed
	received time.Duration
	wall     int64
}

// hasID reports whether the entry can have the TempID. A TempID that the model does not
// know can be any.
func (e *followedEntry) hasID(id protocol.TempID) bool {
	return e.id == id || e.id == protocol.TempID{}
}

// follow returns the followedLog of a phone. The first call for a phone moves its
// entries there from the common queue, without their TempIDs.
func (l *logs) follow(at int64, phone uint32) *followedLog {
	if f := l.followed[phone]; f != nil {
		return f
	}
	l.advance(at)
	p := &l.phones[phone]
	q := l.queues[p.queue]
	f := &followedLog{phone: phone, retention: q.retention, nextExpiry: math.MinInt64}
	f.clock.Wall = l.v.rules.Start * int64(time.Second)
	for x := range q.of(phone) {
		received := x.at - int64(q.retention)
		f.entries = append(f.entries, followedEntry{received: time.Duration(received), wall: f.clock.WallAt(received)})
		x.phone = event.NoPeer
	}
	f.all = slices.Clone(f.entries)
	l.followed[phone] = f
	p.queue |= isFollowed
	return f
}

// received adds an entry that was judged valid.
func (f *followedLog) received(v *Invariants, at int64, e *nodes.PhoneEffect) {
	now := followedEntry{protocol.TempID(e.Raw[:protocol.TempIDSize]), f.clock.ElapsedAt(at), f.clock.WallAt(at)}
	if e.At.Elapsed != now.received || e.At.Wall != now.wall {
		v.violate(NothingLeavesEarly, at, int(f.phone),
			fmt.Sprintf("a reception at %s by its clocks", now.received), e.At.Elapsed.String())
	}
	f.entries = append(f.entries, now)
	f.nextExpiry = min(f.nextExpiry, now.received+f.retention)
	f.all = append(f.all, now)
}

// stepped compares the log with the model: its oldest entry and its length.
func (f *followedLog) stepped(v *Invariants, at int64, log *nodes.ContactLog) {
	if f.off {
		return
	}
	now := f.clock.ElapsedAt(at)
	if now >= f.nextExpiry {
		f.expire(now)
	}
	if received, ok := log.Oldest(); ok && now-received >= f.retention {
		v.logs.violateStays(at, f.phone, f.retention, now-received)
		return
	}
	if log.Len() == len(f.entries) {
		return
	}
	var model []comparedEntry
	for i := range f.entries {
		model = append(model, comparedEntry{received: f.entries[i].received})
	}
	v.logs.violateLength(at, f.phone, model, log)
}

// expire removes the entries that have reached their retention.
func (f *followedLog) expire(now time.Duration) {
	f.nextExpiry = math.MaxInt64
	f.entries = slices.DeleteFunc(f.entries, func(e followedEntry) bool {
		if now-e.received >= f.retention {
			return true
		}
		f.nextExpiry = min(f.nextExpiry, e.received+f.retention)
		return false
	})
}

// compare compares every entry.
func (f *followedLog) compare(v *Invariants, at int64, log *nodes.ContactLog) {
	f.stepped(v, at, log)
	for i := range min(log.Len(), len(f.entries)) {
		if found, expected := log.At(i).Received, f.entries[i].received; found != expected {
			v.violate(NothingLeavesEarly, at, int(f.phone),
				fmt.Sprintf("the entries that were received last, entry %d at %s", i, expected), found.String())
			return
		}
	}
}

// stopped handles the end of the program. An entry that only the disk still holds
// has expired, and may leave the disk at that moment.
func (f *followedLog) stopped(at int64) {
	if f.off {
		return
	}
	now := f.clock.ElapsedAt(at)
	held := map[protocol.TempID]int{}
	for i := range f.entries {
		if e := &f.entries[i]; now-e.received < f.retention {
			held[e.id]++
		}
	}
	for i := len(f.durable) - 1; i >= 0; i-- {
		id := f.durable[i].TempID
		if held[id] == 0 {
			id = protocol.TempID{}
		}
		if held[id]--; held[id] < 0 {
			f.durable = slices.Delete(f.durable, i, i+1)
		}
	}
	f.off, f.entries = true, nil
}

// written handles a write of the disk. It removes the entries that neither disk nor
// memory holds: they cannot return. held is a map to be overwritten, so that no call
// allocates one.
func (f *followedLog) written(stored []nodes.StoredContact, held map[protocol.TempID]bool) {
	f.durable = append(f.durable[:0], stored...)
	clear(held)
	for i := range stored {
		held[stored[i].TempID] = true
	}
	for i := range f.entries {
		held[f.entries[i].id] = true
	}
	gone := false
	for i := range f.all {
		switch e := &f.all[i]; {
		case held[e.id]:
		case slices.ContainsFunc(stored, func(k nodes.StoredContact) bool { return k.Received == e.wall }):
			held[e.id] = true
		default:
			gone = true
		}
	}
	if gone {
		f.all = slices.DeleteFunc(f.all, func(e followedEntry) bool { return !held[e.id] })
	}
}

// age returns the age of an entry for a program that has just been started: by wall
// time, from 0 to the retention (PROTOCOL.md section 1, Two clocks).
func (f *followedLog) age(received, wall int64) time.Duration {
	return min(max(time.Duration(wall-received), 0), f.retention)
}

// started checks the log that a program has read from its disk. Each entry must stand
// for one reception, in the same order, and must be at least as old as this reception.
// No durable entry within its retention may be missing.
func (f *followedLog) started(v *Invariants, at int64, log *nodes.ContactLog) {
	f.off = false
	f.entries, f.nextExpiry = f.entries[:0], math.MinInt64
	now, wall := f.clock.ElapsedAt(at), f.clock.WallAt(at)
	v.evaluated[LogsOutlive]++
	returned, next := make(map[protocol.TempID]int, log.Len()), 0
	for i := range log.Len() {
		c := log.At(i)
		age := now - c.Received
		returned[c.TempID]++
		f.entries = append(f.entries, followedEntry{c.TempID, c.Received, wall - int64(age)})
		found := slices.IndexFunc(f.all[next:], func(e followedEntry) bool {
			return e.hasID(c.TempID) && f.age(e.wall, wall) <= age
		})
		if found < 0 {
			v.violate(LogsOutlive, at, int(f.phone), "entries that were received, each once, no younger than they are",
				fmt.Sprintf("%s, %s old", c.TempID, age))
			continue
		}
		next += found + 1
	}
	f.checkDurable(v, at, wall, returned)
}

// checkDurable checks that no durable entry within its retention is missing. returned
// counts the entries of the log by TempID. An entry is at least as old as the entries
// that were received after it, even if the clock was stepped in between.
func (f *followedLog) checkDurable(v *Invariants, at, wall int64, returned map[protocol.TempID]int) {
	if len(f.durable) == 0 {
		return
	}
	minAge, last := time.Duration(0), &f.durable[len(f.durable)-1]
	for i := len(f.all) - 1; i >= 0; i-- {
		e := &f.all[i]
		if e.wall == last.Received && e.hasID(last.TempID) {
			break
		}
		minAge = max(minAge, f.age(e.wall, wall)) // the disk may hold it as well
	}
	for i := len(f.durable) - 1; i >= 0; i-- {
		k := &f.durable[i]
		minAge = max(minAge, f.age(k.Received, wall))
		if minAge >= f.retention {
			return // this entry and all earlier ones have expired
		}
		if returned[k.TempID]--; returned[k.TempID] < 0 {
			v.violate(LogsOutlive, at, int(f.phone),
				fmt.Sprintf("%s, which was on its disk, %s old", k.TempID, f.age(k.Received, wall)),
				"it is not in the log")
			return
		}
	}
}
