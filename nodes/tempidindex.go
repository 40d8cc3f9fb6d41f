package nodes

import (
	"math/bits"

	"bluetrace/protocol"
)

// tempIDIndex is every TempID that was drawn or restored; none is issued twice.
// It grows for ever, so that an entry is 20 bytes, in tables of which each is
// filled between 7/10 and 7/8: at most 29 bytes for each TempID once there are
// some tens of thousands, and each user's name once. Tables grow one by one, so that no single download waits for the
// whole index to be copied. The zero value is empty.
type tempIDIndex struct {
	tables [indexTables]indexTable
	users  []string
	number map[string]uint32 // of users
	// odd holds what an entry has no room for: it was read from a file that
	// something else wrote.
	odd map[protocol.TempID]drawn
}

const indexTables = 1 << 10

// drawn is a TempID's owner and times; it resolves once it is stored. One whose
// store failed stays here: it may be on disk all the same.
type drawn struct {
	Issue
	stored bool
}

// indexTable is an open-addressed table; a key stands at its place or behind it.
type indexTable struct {
	entries []indexEntry
	n       int
}

// indexEntry packs 160 bits: the TempID as a number (67), stored (1), the user's
// number (24), the start from earliestIssue on (39) and the lifetime (29) in
// seconds. A lifetime of 0 marks a free place.
type indexEntry [5]uint32

const (
	userBits     = 24
	startBits    = 39
	lifetimeBits = 29
	lifetimeMask = 1<<lifetimeBits - 1
)

// key is a TempID as a number below 10^20.
type key struct {
	lo uint64
	hi uint32 // 0 to 5
}

func keyOf(id *protocol.TempID) key {
	const half = 10_000_000_000 // ten digits
	hi, lo := bits.Mul64(number(id[:10]), half)
	lo, carry := bits.Add64(lo, number(id[10:]), 0)
	return key{lo, uint32(hi + carry)}
}

func number(digits []byte) uint64 {
	n := uint64(0)
	for _, d := range digits {
		n = n*10 + uint64(d-'0')
	}
	return n
}

// spread mixes the bits of a key: ten of the result choose the table, others the
// place in it.
func (k key) spread() uint64 {
	h := (k.lo ^ uint64(k.hi)<<61) * 0x9e3779b97f4a7c15
	return (h ^ h>>32) * 0xd6e8feb86659fd93
}

func pack(k key, d *drawn, user uint32) (e indexEntry, fits bool) {
	start, lifetime := uint64(d.Start-earliestIssue), uint64(d.Expiry-d.Start)
	if user >= 1<<userBits || start >= 1<<startBits || lifetime > lifetimeMask {
		return e, false
	}
	first := uint64(k.hi) | uint64(user)<<4 | start<<(4+userBits) // 36 bits of start
	if d.stored {
		first |= 1 << 3
	}
	const startBelow = 64 - 4 - userBits
	return indexEntry{
		uint32(k.lo), uint32(k.lo >> 32), uint32(first), uint32(first >> 32),
		uint32(start>>startBelow)<<lifetimeBits | uint32(lifetime),
	}, true
}

func (e *indexEntry) free() bool { return e[4]&lifetimeMask == 0 }

func (e *indexEntry) is(k key) bool {
	return e[0] == uint32(k.lo) && e[1] == uint32(k.lo>>32) && e[2]&7 == k.hi && !e.free()
}

func (x *tempIDIndex) unpack(id protocol.TempID, e *indexEntry) drawn {
	const startBelow = 64 - 4 - userBits
	first := uint64(e[2]) | uint64(e[3])<<32
	start := int64(first>>(4+userBits)|uint64(e[4]>>lifetimeBits)<<startBelow) + earliestIssue
	return drawn{
		Issue: Issue{
			User:   x.users[first>>4&(1<<userBits-1)],
			TempID: id,
			Start:  start,
			Expiry: start + int64(e[4]&lifetimeMask),
		},
		stored: first&(1<<3) != 0,
	}
}

// get finds what is known of a TempID.
func (x *tempIDIndex) get(id protocol.TempID) (drawn, bool) {
	if d, ok := x.odd[id]; ok {
		return d, true
	}
	k := keyOf(&id)
	h := k.spread()
	if e := x.tables[h%indexTables].find(k, h); e != nil && !e.free() {
		return x.unpack(id, e), true
	}
	return drawn{}, false
}

// put adds a TempID, or replaces what is known of it.
func (x *tempIDIndex) put(d drawn) {
	k := keyOf(&d.TempID)
	e, fits := pack(k, &d, x.numberOf(d.User))
	if _, odd := x.odd[d.TempID]; odd || !fits {
		if x.odd == nil {
			x.odd = map[protocol.TempID]drawn{}
		}
		x.odd[d.TempID] = d
		return
	}
	h := k.spread()
	x.tables[h%indexTables].put(k, h, e)
}

func (x *tempIDIndex) numberOf(user string) uint32 {
	if n, ok := x.number[user]; ok {
		return n
	}
	if x.number == nil {
		x.number = map[string]uint32{}
	}
	n := uint32(len(x.users))
	x.users = append(x.users, user)
	x.number[user] = n
	return n
}

// size is how many TempIDs there are.
func (x *tempIDIndex) size() int {
	n := len(x.odd)
	for i := range x.tables {
		n += x.tables[i].n
	}
	return n
}

// find is the entry of the key, or the free place where it would stand; nil when
// the table has no places at all.
func (t *indexTable) find(k key, h uint64) *indexEntry {
	size := uint64(len(t.entries))
	if size == 0 {
		return nil
	}
	at, _ := bits.Mul64(h, size) // the upper bits of h: the lower chose the table
	for {
		if e := &t.entries[at]; e.free() || e.is(k) {
			return e
		}
		if at++; at == size {
			at = 0
		}
	}
}

func (t *indexTable) put(k key, h uint64, e indexEntry) {
	if (t.n+1)*8 > len(t.entries)*7 {
		t.grow()
	}
	place := t.find(k, h)
	if place.free() {
		t.n++
	}
	*place = e
}

// grow makes a table a quarter larger, and takes what the allocator rounds up to.
func (t *indexTable) grow() {
	old := t.entries
	t.entries = append([]indexEntry(nil), make([]indexEntry, len(old)+max(8, len(old)/4))...)
	t.entries = t.entries[:cap(t.entries)]
	clear(t.entries)
	for i := range old {
		if e := &old[i]; !e.free() {
			k := key{uint64(e[0]) | uint64(e[1])<<32, e[2] & 7}
			*t.find(k, k.spread()) = *e
		}
	}
}
