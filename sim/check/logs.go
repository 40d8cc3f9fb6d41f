package check

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"sort"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/sim/event"
)

// logs is the model of the contact logs. It judges every beacon by itself and
// keeps one queue for each retention with the entries of all phones: the retention
// is constant, so the queue is in order of expiry, and a large crowd is followed in
// order of memory. A phone has a count and a checksum of its entries. A phone with
// a clock of its own, or whose program was restarted, is followed entry by entry
// instead (followedLog).
type logs struct {
	v          *Invariants
	wire       beaconReader
	queues     []*expiryQueue
	nextExpiry int64 // no entry of a queue expires before it
	received   bool  // a phone has received a valid beacon
	phones     []phoneLog
	sends      []phoneSends
	// forged are the phones that sent datagrams outside an announced beacon.
	forged map[uint32]bool
	// recent caches hashes of the last beacons sent by any phone: most verdicts hit it
	// and skip the per-sender lookup.
	recent   [recentSends]uint32
	followed map[uint32]*followedLog
	held     map[protocol.TempID]bool // reused by followedLog.written
}

const recentSends = 4096

// phoneLog is the model of one log.
type phoneLog struct {
	count uint32
	sum   uint32 // of the hashes of its entries
	queue uint32 // index into queues; with isFollowed the phone is in followed
}

// isFollowed is the flag of phoneLog.queue of a phone that is followed entry by
// entry.
const isFollowed = 1 << 31

// phoneSends are the hashes of the last beacons of one sender.
type phoneSends struct {
	last  [2]uint32
	older []uint32 // the hashes before those of last, at most olderSends
}

// olderSends is the maximum length of phoneSends.older. A phone sends a different
// beacon only after a download, so that far fewer are in flight.
const olderSends = 1024

// expiring is one entry of the log of a phone. The phone is event.NoPeer once the phone
// is followed entry by entry.
type expiring struct {
	at    int64 // time of the expiry
	phone uint32
	hash  uint32
}

const queueBlock = 4096 // entries

// expiryQueue is a FIFO of entries with one retention, in reused blocks.
type expiryQueue struct {
	retention time.Duration
	blocks    [][]expiring
	head      int        // index in blocks[0]
	spare     []expiring // for the next block
}

// push appends an entry.
func (q *expiryQueue) push(x expiring) {
	n := len(q.blocks)
	if n == 0 || len(q.blocks[n-1]) == queueBlock {
		if q.spare == nil {
			q.spare = make([]expiring, 0, queueBlock)
		}
		q.blocks, q.spare = append(q.blocks, q.spare[:0]), nil
		n++
	}
	q.blocks[n-1] = append(q.blocks[n-1], x)
}

// first returns the oldest entry, or nil if the queue is empty.
func (q *expiryQueue) first() *expiring {
	if len(q.blocks) == 0 || q.head == len(q.blocks[0]) {
		return nil
	}
	return &q.blocks[0][q.head]
}

// drop removes the oldest entry.
func (q *expiryQueue) drop() {
	q.head++
	if q.head == queueBlock {
		q.spare, q.head = q.blocks[0], 0
		q.blocks = slices.Delete(q.blocks, 0, 1)
	}
}

// of yields the entries of a phone, the oldest first.
func (q *expiryQueue) of(phone uint32) func(yield func(*expiring) bool) {
	return func(yield func(*expiring) bool) {
		low := q.head
		for _, b := range q.blocks {
			for i := low; i < len(b); i++ {
				if b[i].phone == phone && !yield(&b[i]) {
					return
				}
			}
			low = 0
		}
	}
}

func (l *logs) init(v *Invariants) {
	l.v = v
	l.nextExpiry = math.MaxInt64
	l.forged = map[uint32]bool{}
	l.followed, l.held = map[uint32]*followedLog{}, map[protocol.TempID]bool{}
	l.wire.location = v.rules.Location
	l.phones = make([]phoneLog, len(v.rules.Retention))
	l.sends = make([]phoneSends, len(v.rules.Retention))
	for who, r := range v.rules.Retention {
		i := slices.IndexFunc(l.queues, func(q *expiryQueue) bool { return q.retention == r })
		if i < 0 {
			i = len(l.queues)
			l.queues = append(l.queues, &expiryQueue{retention: r})
		}
		l.phones[who].queue = uint32(i)
	}
}

// advance removes the entries that have expired at the given time.
func (l *logs) advance(at int64) {
	if at >= l.nextExpiry {
		l.expire(at)
	}
}

func (l *logs) expire(at int64) {
	l.nextExpiry = math.MaxInt64
	for _, q := range l.queues {
		x := q.first()
		for ; x != nil && x.at <= at; x = q.first() {
			if x.phone != event.NoPeer {
				p := &l.phones[x.phone]
				p.count--
				p.sum -= x.hash
			}
			q.drop()
		}
		if x != nil {
			l.nextExpiry = min(l.nextExpiry, x.at)
		}
	}
}

// beaconHash hashes a sender and the fields of its beacon.
func beaconHash(phone uint32, fields []byte) uint32 {
	le := binary.LittleEndian
	h := uint64(phone) ^ le.Uint64(fields)
	h = h*0x9e3779b97f4a7c15 ^ le.Uint64(fields[8:])
	h = h*0x9e3779b97f4a7c15 ^ le.Uint64(fields[16:])
	h = h*0x9e3779b97f4a7c15 ^ le.Uint64(fields[31:])
	h = h*0x9e3779b97f4a7c15 ^ le.Uint64(fields[50:])
	h *= 0x9e3779b97f4a7c15
	return uint32(h >> 32)
}

// entryHash hashes the identity of a log entry.
func entryHash(id []byte, received int64) uint32 {
	le := binary.LittleEndian
	h := le.Uint64(id)*0x9e3779b97f4a7c15 ^ le.Uint64(id[8:])
	h = h*0x9e3779b97f4a7c15 ^ uint64(le.Uint32(id[16:])) ^ uint64(received)
	h *= 0x9e3779b97f4a7c15
	return uint32(h >> 32)
}

// sent records a beacon that a phone puts on the wire.
func (l *logs) sent(sent *event.Event) {
	hash := beaconHash(sent.Node, sent.Raw[:])
	if recent := &l.recent[hash%recentSends]; *recent != hash {
		*recent = hash
		p := &l.sends[sent.Node]
		if p.last[0] == hash {
			return
		}
		if old := p.last[1]; old != 0 && old != hash {
			if len(p.older) == olderSends {
				p.older = append(p.older[:0], p.older[olderSends/2:]...)
			}
			p.older = append(p.older, old)
		}
		p.last[0], p.last[1] = hash, p.last[0]
	}
}

// distrust records that the phone may put beacons on the wire that its program did not
// send.
func (l *logs) distrust(e *event.Event) { l.forged[e.Node] = true }

// wasSent reports whether the phone put this beacon on the wire. If parts were lost or
// duplicated, a receiver may take a start for an expiry. Such a beacon can be valid in an
// hour that clocks show twice, and counts as sent.
func (l *logs) wasSent(phone uint32, fields []byte) bool {
	hash := beaconHash(phone, fields)
	if l.recent[hash%recentSends] == hash {
		return true
	}
	p := &l.sends[phone]
	return l.forged[phone] || hash == p.last[0] || hash == p.last[1] || slices.Contains(p.older, hash) ||
		l.v.datagrams.mixed && !l.wire.plain(fields)
}

// judged compares the verdict of a phone with that of the model.
func (l *logs) judged(verdict *event.Event) {
	at, phone, sender, e := int64(verdict.At), verdict.Node, verdict.Peer, verdict.Phone
	l.advance(at)
	v := l.v
	wall := v.rules.Start*int64(time.Second) + at
	var followed *followedLog
	if l.phones[phone].queue&isFollowed != 0 {
		followed = l.followed[phone]
		wall = followed.clock.WallAt(at)
	}
	why := "its datagrams are no beacon"
	if !e.OutOfTurn {
		why = l.wire.refusal(&e.Raw, e.HasVersion, wall)
	}
	if why == "" && int(sender) < len(l.phones) && !l.wasSent(sender, e.Raw[:]) {
		why = "its sender never sent it"
	}
	if why != "" {
		v.evaluated[NothingInvalidKept]++
	} else {
		v.evaluated[NothingValidMissing]++
		l.received = true
	}
	valid := !e.OutOfTurn && e.Err == nil
	switch {
	case valid && why != "":
		v.violate(NothingInvalidKept, at, int(phone),
			"invalid: "+why, fmt.Sprintf("valid: %q", e.Raw[:protocol.BeaconSize-1]))
	case !valid && why == "":
		found := "no beacon"
		if e.Err != nil {
			found = e.Err.Error()
		}
		v.violate(NothingValidMissing, at, int(phone),
			fmt.Sprintf("valid: %q", e.Raw[:protocol.BeaconSize-1]), "invalid: "+found)
	}
	switch {
	case why != "":
	case followed != nil:
		followed.received(v, at, e)
	default:
		q, p := l.queues[l.phones[phone].queue], &l.phones[phone]
		x := expiring{at + int64(q.retention), phone, entryHash(e.Raw[:protocol.TempIDSize], at)}
		q.push(x)
		l.nextExpiry = min(l.nextExpiry, x.at)
		p.count++
		p.sum += x.hash
	}
}

// stepped compares a log with the model: its oldest entry and its length.
func (l *logs) stepped(e *event.Event) {
	at, phone, log := int64(e.At), e.Node, e.Log
	l.advance(at)
	v, p := l.v, &l.phones[phone]
	if l.received {
		v.evaluated[NothingStays]++
		v.evaluated[NothingLeavesEarly]++
	}
	if p.queue&isFollowed != 0 {
		l.followed[phone].stepped(v, at, log)
		return
	}
	retention := l.queues[p.queue].retention
	if received, ok := log.Oldest(); ok && time.Duration(at)-received >= retention {
		l.violateStays(at, phone, retention, time.Duration(at)-received)
		return
	}
	if uint32(log.Len()) == p.count {
		return
	}
	var entries []comparedEntry
	for x := range l.queues[p.queue].of(phone) {
		entries = append(entries, comparedEntry{hash: x.hash, received: time.Duration(x.at) - retention})
	}
	l.violateLength(at, phone, entries, log)
}

func (l *logs) violateStays(at int64, phone uint32, retention, age time.Duration) {
	l.v.violate(NothingStays, at, int(phone),
		fmt.Sprintf("no entry of %s or older", retention), fmt.Sprintf("one of %s", age))
}

// comparedEntry identifies an entry in a comparison of the model with a log.
type comparedEntry struct {
	hash     uint32 // 0 if entries are compared by their receptions alone
	received time.Duration
}

// violateLength reports a log whose number of entries differs from that of the model.
// It names the first entry that only the model or only the log has.
func (l *logs) violateLength(at int64, phone uint32, model []comparedEntry, log *nodes.ContactLog) {
	now, retention, clock, f := time.Duration(at), l.v.rules.Retention[phone], "", l.followed[phone]
	if f != nil {
		now, clock = f.clock.ElapsedAt(at), " of its clock"
	}
	i := NothingInvalidKept
	if log.Len() < len(model) {
		i = NothingLeavesEarly
		if model[len(model)-1].received == now {
			i = NothingValidMissing
		}
	}
	key := func(n nodes.Contact) comparedEntry {
		if f != nil {
			return comparedEntry{received: n.Received}
		}
		return comparedEntry{entryHash(n.TempID[:], int64(n.Received)), n.Received}
	}
	inLog := map[comparedEntry]int{}
	for k := range log.Len() {
		inLog[key(log.At(k))]++
	}
	which, received := "", time.Duration(0)
	for _, m := range model {
		if inLog[m]--; inLog[m] < 0 && which == "" {
			which, received = "one of them", m.received
			if len(model) == 1 {
				which = "which was"
			}
		}
	}
	for k := range log.Len() {
		if n := log.At(k); which == "" && inLog[key(n)] > 0 {
			which, received = "and not "+n.TempID.String()+",", n.Received
		}
	}
	expected := entriesText(len(model))
	if which != "" {
		expected = fmt.Sprintf("%s, %s received at %s s%s, %s ago, with a retention of %s",
			expected, which, event.Seconds(int64(received)), clock, now-received, retention)
	}
	l.v.violate(i, at, int(phone), expected, entriesText(log.Len()))
}

// compare compares the whole content of a phone's log with the model.
func (l *logs) compare(at int64, phone uint32, log *nodes.ContactLog) {
	v := l.v
	l.advance(at)
	if l.received {
		v.evaluated[NothingLeavesEarly]++
	}
	if f := l.followed[phone]; f != nil {
		f.compare(v, at, log)
		return
	}
	var sum uint32
	ordered := true
	for i := range log.Len() {
		c := log.At(i)
		sum += entryHash(c.TempID[:], int64(c.Received))
		ordered = ordered && (i == 0 || log.At(i-1).Received <= c.Received)
	}
	if sum == l.phones[phone].sum && ordered {
		return
	}
	var received []string
	for i := range min(log.Len(), 8) {
		received = append(received, event.Seconds(int64(log.At(i).Received)))
	}
	sort.Strings(received)
	v.violate(NothingLeavesEarly, at, int(phone), "the entries that were received last",
		fmt.Sprintf("%s, received at %v", entriesText(log.Len()), received))
}

// length returns the number of entries of a phone's log by the model.
func (l *logs) length(at int64, phone uint32) int {
	l.advance(at)
	if f := l.followed[phone]; f != nil {
		return len(f.entries)
	}
	return int(l.phones[phone].count)
}
