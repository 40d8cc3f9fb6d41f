package nodes

import (
	"fmt"
	"math/bits"

	"bluetrace/protocol"
)

// maxDraws is the number of consecutive draws of existing TempIDs after which draw
// panics. There are 9*10^19 TempIDs, so a uniform source hardly ever draws even two
// existing ones in a row.
const maxDraws = 128

// Resolve returns the owner and the times of an issued TempID, or false if the TempID
// is unknown. A TempID resolves as soon as it is stored.
func (s *Server) Resolve(id protocol.TempID) (Issue, bool) {
	d, ok := s.tempIDs.get(id)
	if !ok || !d.stored {
		return Issue{}, false
	}
	return d.Issue, true
}

// The times of an issue are limited to the years 1 to 9998, which every zone can print.
// The values are Unix seconds.
const (
	earliestIssue = -62_135_596_800
	latestIssue   = 253_370_764_799
)

// restore adds a stored TempID. It returns an error if the times are out of range, or
// if an earlier record has the same TempID and a different content.
func (x *tempIDIndex) restore(i Issue) error {
	if i.Start < earliestIssue || i.Expiry > latestIssue || i.Expiry <= i.Start {
		return fmt.Errorf("restoring TempID %q of %q: valid from %d to %d, in Unix seconds",
			i.TempID, i.User, i.Start, i.Expiry)
	}
	if before, ok := x.get(i.TempID); ok && before.Issue != i {
		return fmt.Errorf("restoring TempID %q of %q: it was issued to %q from %d to %d",
			i.TempID, i.User, before.User, before.Start, before.Expiry)
	}
	x.put(drawn{Issue: i, stored: true})
	return nil
}

// draw draws a TempID that was never issued. It panics if the source of entropy is
// broken.
func (s *Server) draw() protocol.TempID {
	for range maxDraws {
		id := protocol.DrawTempID(s.settings.Entropy)
		if _, taken := s.tempIDs.get(id); !taken {
			return id
		}
	}
	panic(fmt.Sprintf("drawing a TempID: the source gave %d in a row of the %d that exist",
		maxDraws, s.tempIDs.len()))
}

// download draws a TempID for the session of c and asks the host to store it. It is
// sent once it is stored.
func (s *Server) download(now Now, c Conn, out *ServerOutbox) {
	start := now.Unix()
	i := Issue{
		User:   s.connection(c).name.user,
		TempID: s.draw(),
		Start:  start,
		Expiry: start + int64(s.settings.TempIDLifetime.Seconds()),
	}
	s.tempIDs.put(drawn{Issue: i})
	s.store(c, []Record{{Kind: RecordIssue, Issue: i}}, pending{user: i.User, issue: i, isIssue: true}, out)
}

// finishDownload sends the TempID of p after it was stored, or reports that the store
// failed with err. waits is false if the session has ended: then the TempID is not
// sent.
func (s *Server) finishDownload(p pending, err error, waits bool, out *ServerOutbox) {
	i := p.issue
	if err != nil {
		out.print(fmt.Sprintf("%s: a TempID could not be saved: %v", i.User, err))
		out.event(p.conn, ServerEvent{Kind: EventNotIssued, User: i.User, TempID: i.TempID})
		return
	}
	s.tempIDs.put(drawn{Issue: i, stored: true})
	if waits {
		s.send(p.conn, i.TempID.String(), out)
		out.print("user: " + i.User + "\nTempID:\n" + i.TempID.String())
	}
	out.event(p.conn, ServerEvent{Kind: EventIssued, User: i.User, TempID: i.TempID})
}

// tempIDIndex holds every TempID that was drawn or restored, so that none is issued
// twice. The zero value is empty.
//
// The index only grows. An entry takes 20 bytes. A table grows when 7/8 of its slots
// are in use, and 7/10 are in use afterwards. From some tens of thousands of TempIDs
// on, the index takes at most 29 bytes for each. The name of each user is held once.
// The tables grow one at a time, so no single download waits for a copy of the whole
// index.
type tempIDIndex struct {
	tables [indexTables]indexTable
	users  []string
	number map[string]uint32 // index in users
	// unpacked holds TempIDs whose times an entry cannot hold. They come from a
	// file that another program wrote.
	unpacked map[protocol.TempID]drawn
}

const indexTables = 1 << 10

// drawn is a TempID with its owner and times. It resolves once it is stored. A TempID
// whose store failed stays in the index, because it may be on disk nevertheless.
type drawn struct {
	Issue
	stored bool // its store has succeeded
}

// indexTable is a hash table with open addressing and linear probing.
type indexTable struct {
	entries []indexEntry
	n       int
}

// indexEntry packs 160 bits: the TempID as a number (67), stored (1), the user's
// number (24), the start in seconds since earliestIssue (39) and the lifetime in
// seconds (29). A lifetime of 0 marks a free slot.
type indexEntry [5]uint32

const (
	userBits     = 24
	startBelow   = 64 - 4 - userBits // bits of the start beside the user
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

// hash mixes the bits of a key. The low ten bits of the result choose the table, and
// its high bits choose the slot in the table.
func (k key) hash() uint64 {
	h := (k.lo ^ uint64(k.hi)<<61) * 0x9e3779b97f4a7c15
	return (h ^ h>>32) * 0xd6e8feb86659fd93
}

// pack returns the entry for a TempID whose user has the given number. fits is false if
// a field is too large for an entry.
func pack(k key, d *drawn, user uint32) (e indexEntry, fits bool) {
	start, lifetime := uint64(d.Start-earliestIssue), uint64(d.Expiry-d.Start)
	if user >= 1<<userBits || start >= 1<<startBits || lifetime > lifetimeMask {
		return e, false
	}
	first := uint64(k.hi) | uint64(user)<<4 | start<<(4+userBits) // 36 bits of start
	if d.stored {
		first |= 1 << 3
	}
	return indexEntry{
		uint32(k.lo), uint32(k.lo >> 32), uint32(first), uint32(first >> 32),
		uint32(start>>startBelow)<<lifetimeBits | uint32(lifetime),
	}, true
}

func (e *indexEntry) isFree() bool { return e[4]&lifetimeMask == 0 }

func (e *indexEntry) hasKey(k key) bool {
	return e[0] == uint32(k.lo) && e[1] == uint32(k.lo>>32) && e[2]&7 == k.hi && !e.isFree()
}

func (x *tempIDIndex) unpack(id protocol.TempID, e *indexEntry) drawn {
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

// get returns a TempID with its owner and times, or false if the index does not hold
// it.
func (x *tempIDIndex) get(id protocol.TempID) (drawn, bool) {
	if d, ok := x.unpacked[id]; ok {
		return d, true
	}
	k := keyOf(&id)
	h := k.hash()
	if e := x.tables[h%indexTables].find(k, h); e != nil && !e.isFree() {
		return x.unpack(id, e), true
	}
	return drawn{}, false
}

// put adds or replaces a TempID.
func (x *tempIDIndex) put(d drawn) {
	k := keyOf(&d.TempID)
	e, fits := pack(k, &d, x.numberOf(d.User))
	if _, found := x.unpacked[d.TempID]; found || !fits {
		if x.unpacked == nil {
			x.unpacked = map[protocol.TempID]drawn{}
		}
		x.unpacked[d.TempID] = d
		return
	}
	h := k.hash()
	x.tables[h%indexTables].put(k, h, e)
}

// numberOf returns the index of a user in users, and adds it if it is new.
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

// len returns the number of TempIDs.
func (x *tempIDIndex) len() int {
	n := len(x.unpacked)
	for i := range x.tables {
		n += x.tables[i].n
	}
	return n
}

// find returns the slot with the key k, whose hash is h. If the table does not hold the
// key, find returns the free slot for it, or nil if the table has no slots at all.
func (t *indexTable) find(k key, h uint64) *indexEntry {
	size := uint64(len(t.entries))
	if size == 0 {
		return nil
	}
	at, _ := bits.Mul64(h, size) // the high bits of h, since the low ones chose the table
	for {
		if e := &t.entries[at]; e.isFree() || e.hasKey(k) {
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
	slot := t.find(k, h)
	if slot.isFree() {
		t.n++
	}
	*slot = e
}

// grow makes a table a quarter larger. It also uses the memory that the allocator adds
// by rounding up.
func (t *indexTable) grow() {
	old := t.entries
	t.entries = append([]indexEntry(nil), make([]indexEntry, len(old)+max(8, len(old)/4))...)
	t.entries = t.entries[:cap(t.entries)]
	clear(t.entries)
	for i := range old {
		if e := &old[i]; !e.isFree() {
			k := key{uint64(e[0]) | uint64(e[1])<<32, e[2] & 7}
			*t.find(k, k.hash()) = *e
		}
	}
}
