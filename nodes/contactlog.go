package nodes

import (
	"encoding/binary"
	"fmt"
	"time"
	"unsafe"

	"bluetrace/protocol"
)

// Contact is one entry of a contact log.
type Contact struct {
	protocol.Beacon
	Received time.Duration // elapsed time at which the beacon was judged valid
}

// StoredContact is an entry of a contact log as a disk stores it.
type StoredContact struct {
	protocol.Beacon
	Received int64 // wall time at which the beacon was judged valid, Unix nanoseconds
}

// ContactLog holds the valid beacons that a phone has received, oldest first, until
// each reaches its retention. It is a ring: since the retention is constant, entries
// leave in order of arrival. The zero value is an empty log.
type ContactLog struct {
	ring []logEntry
	head uint32 // index of the oldest entry
	n    uint32 // number of entries
	// oldest is the reception time of the entry at head, if there is one. Most
	// inputs read only it, not the ring.
	oldest int64
}

// logEntry is a Contact in 32 bytes, half a cache line: a phone has many of them.
type logEntry struct {
	received      int64
	id            [protocol.TempIDSize / 2]byte // two digits each
	start, expiry [5]byte                       // seconds since year 0, big endian
}

// packID packs the digits of a TempID, two in each byte. It handles eight digits at a
// time. The last two loads overlap.
func packID(id *protocol.TempID) (b [protocol.TempIDSize / 2]byte) {
	le := binary.LittleEndian
	le.PutUint32(b[0:], packDigits(le.Uint64(id[0:])))
	le.PutUint32(b[4:], packDigits(le.Uint64(id[8:])))
	le.PutUint32(b[6:], packDigits(le.Uint64(id[12:])))
	return b
}

// packDigits packs eight ASCII digits, the first in the lowest byte of w, in four bytes
// of the same order.
func packDigits(w uint64) uint32 {
	w &= 0x0f0f0f0f0f0f0f0f
	w = (w<<4 | w>>8) & 0x00ff00ff00ff00ff
	w = (w | w>>8) & 0x0000ffff0000ffff
	return uint32(w | w>>16)
}

func unpackID(b *[protocol.TempIDSize / 2]byte) (id protocol.TempID) {
	for i, pair := range b {
		id[2*i], id[2*i+1] = '0'+pair>>4, '0'+pair&0x0f
	}
	return id
}

// yearZero is 01/01/0000 00:00:00. The year 9999 ends below yearZero + 2^40.
const yearZero protocol.LocalTime = -62_167_219_200

func packTime(t protocol.LocalTime) [5]byte {
	s := uint64(t - yearZero)
	return [5]byte{byte(s >> 32), byte(s >> 24), byte(s >> 16), byte(s >> 8), byte(s)}
}

func unpackTime(b [5]byte) protocol.LocalTime {
	s := uint64(b[0])<<32 | uint64(b[1])<<24 | uint64(b[2])<<16 | uint64(b[3])<<8 | uint64(b[4])
	return protocol.LocalTime(s) + yearZero
}

// Len returns the number of entries.
func (l *ContactLog) Len() int { return int(l.n) }

// At returns entry i, where 0 is the oldest. It panics if i is out of range.
func (l *ContactLog) At(i int) Contact {
	if i < 0 || i >= int(l.n) {
		panic(fmt.Sprintf("contact log: entry %d of %d", i, l.n))
	}
	e := &l.ring[l.index(uint32(i))]
	return Contact{
		Beacon:   protocol.Beacon{TempID: unpackID(&e.id), Start: unpackTime(e.start), Expiry: unpackTime(e.expiry)},
		Received: time.Duration(e.received),
	}
}

// Oldest returns the elapsed time at which the oldest entry was received, or false if
// the log is empty. The oldest entry is the next one to expire.
func (l *ContactLog) Oldest() (received time.Duration, ok bool) {
	if l.n == 0 {
		return 0, false
	}
	return time.Duration(l.oldest), true
}

// AppendText appends the text of the log's file to dst: three lines for each entry,
// with the TempID, the start and the expiry (PROTOCOL.md section 3).
func (l *ContactLog) AppendText(dst []byte) []byte {
	var raw [protocol.BeaconSize]byte
	for i := range l.Len() {
		c := l.At(i)
		c.Encode(&raw)
		for field := range protocol.Parts - 1 {
			dst = append(append(dst, protocol.Part(&raw, field)...), '\n')
		}
	}
	return dst
}

// CopyFrom makes l a copy of from, so that a host can save the copy while the phone
// changes the original. It reuses the memory of l if that is large enough.
func (l *ContactLog) CopyFrom(from *ContactLog) {
	ring := append(l.ring[:0], from.ring...)
	*l = *from
	l.ring = ring
}

// entries returns a copy of all entries.
func (l *ContactLog) entries() []Contact {
	entries := make([]Contact, l.Len())
	for i := range entries {
		entries[i] = l.At(i)
	}
	return entries
}

// index returns the index in ring of entry i, where entry 0 is the oldest.
func (l *ContactLog) index(i uint32) uint32 {
	at := l.head + i
	if size := uint32(len(l.ring)); at >= size {
		at -= size
	}
	return at
}

// push appends the beacon b with the elapsed time at which it was received. That time
// must not be earlier than that of any other entry.
func (l *ContactLog) push(b *protocol.Beacon, received time.Duration) {
	if int(l.n) == len(l.ring) {
		l.resize()
	}
	l.ring[l.index(l.n)] = logEntry{
		received: int64(received),
		id:       packID(&b.TempID),
		start:    packTime(b.Start),
		expiry:   packTime(b.Expiry),
	}
	if l.n == 0 {
		l.oldest = int64(received)
	}
	l.n++
}

// expire removes the entries that were received at least the retention before the
// elapsed time now, and returns their number. If none is left it frees a large ring.
func (l *ContactLog) expire(now, retention time.Duration) int {
	expired := 0
	for l.n > 0 && now-time.Duration(l.oldest) >= retention {
		l.dropOldest()
		expired++
	}
	if expired > 0 && l.n == 0 && len(l.ring) > smallRing {
		*l = ContactLog{}
	}
	return expired
}

// dropOldest removes the oldest entry. The log must not be empty.
func (l *ContactLog) dropOldest() {
	l.head = l.index(1)
	l.n--
	l.oldest = l.ring[l.head].received
}

// smallRing is the largest ring, in entries, that an empty log keeps.
const smallRing = 64

// resize grows a full ring by a sixteenth, but by at least 12 entries. It also uses the
// memory that the allocator adds by rounding up. Growth is slow because there are many
// logs and each keeps its size.
func (l *ContactLog) resize() {
	grown := append([]logEntry(nil), make([]logEntry, len(l.ring)+max(12, len(l.ring)/16))...)
	grown = grown[:cap(grown)]
	n := copy(grown, l.ring[l.head:])
	copy(grown[n:], l.ring[:l.head])
	l.ring, l.head = grown, 0
}

// PrefetchPointers returns two addresses that the log accesses next, so that a host can
// prefetch them into the CPU cache. second is the entry after the oldest, which is read
// when the oldest expires. next is the slot of the next entry to be received. Both are
// nil if the ring has fewer than two slots.
func (l *ContactLog) PrefetchPointers() (second, next unsafe.Pointer) {
	if len(l.ring) < 2 {
		return nil, nil
	}
	return unsafe.Pointer(&l.ring[l.index(1)]), unsafe.Pointer(&l.ring[l.index(min(l.n, uint32(len(l.ring)-1)))])
}
