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
	"bluetrace/sim/world"
)

// logs is the model of the contact logs. It judges every beacon for itself and
// keeps, for each retention, one queue of what was kept and when it must go:
// the delay is constant, so that the queue is in order of time, and walking it
// touches memory in order. Of each phone it keeps only a count and a sum.
type logs struct {
	v      *Invariants
	wire   beaconReader
	queues []*goneQueue
	due    int64 // nothing must go before it
	phones []phoneLog
	sends  []phoneSends
	// wild are the phones that also sent datagrams which were never announced as a
	// beacon.
	wild map[uint32]bool
	// lately holds the marks of what was sent last, by anybody: most verdicts
	// find theirs here and need not look at the sender.
	lately [latelyKept]uint32
	owned  map[uint32]*ownLog       // phones that are followed by themselves
	had    map[protocol.TempID]bool // room for their wrote
}

const latelyKept = 4096

// phoneLog is what the model knows of one phone.
type phoneLog struct {
	count uint32
	sum   uint32 // of the marks of its entries
	queue uint32 // index into queues, by its retention; with owned it has a log of its own
}

// phoneSends are the marks of the last two beacons that a phone put on the wire.
type phoneSends struct {
	last [2]uint32
	more []uint32 // those before, as many as may still be under way
}

// marksKept is how many beacons of one phone are remembered beside the last
// two: it sends another one only after a download.
const marksKept = 1024

// kept is one entry and the moment at which it must go.
type kept struct {
	due   int64
	phone uint32
	mark  uint32
}

const blockOfKept = 4096

// goneQueue is a FIFO of entries with one retention, in blocks that are used
// again.
type goneQueue struct {
	retention time.Duration
	blocks    [][]kept
	head      int // in blocks[0]
	spare     [][]kept
}

func (q *goneQueue) push(k kept) {
	n := len(q.blocks)
	if n == 0 || len(q.blocks[n-1]) == blockOfKept {
		var b []kept
		if m := len(q.spare); m > 0 {
			b, q.spare = q.spare[m-1][:0], q.spare[:m-1]
		} else {
			b = make([]kept, 0, blockOfKept)
		}
		q.blocks = append(q.blocks, b)
		n++
	}
	q.blocks[n-1] = append(q.blocks[n-1], k)
}

func (q *goneQueue) first() *kept {
	if len(q.blocks) == 0 || q.head == len(q.blocks[0]) {
		return nil
	}
	return &q.blocks[0][q.head]
}

func (q *goneQueue) drop() {
	q.head++
	if q.head == blockOfKept {
		q.spare = append(q.spare, q.blocks[0])
		copy(q.blocks, q.blocks[1:])
		q.blocks = q.blocks[:len(q.blocks)-1]
		q.head = 0
	}
}

func (l *logs) init(v *Invariants) {
	l.v = v
	l.due = math.MaxInt64
	l.wild = map[uint32]bool{}
	l.wire.location = v.rules.Location
	l.phones = make([]phoneLog, len(v.rules.Retention))
	l.sends = make([]phoneSends, len(v.rules.Retention))
	for who, r := range v.rules.Retention {
		l.phones[who].queue = l.queueOf(r)
	}
}

func (l *logs) queueOf(r time.Duration) uint32 {
	for i, q := range l.queues {
		if q.retention == r {
			return uint32(i)
		}
	}
	l.queues = append(l.queues, &goneQueue{retention: r})
	return uint32(len(l.queues) - 1)
}

// advance takes what must be gone at the given time out of the model.
func (l *logs) advance(at int64) {
	if at >= l.due {
		l.takeDue(at)
	}
}

func (l *logs) takeDue(at int64) {
	l.due = math.MaxInt64
	for _, q := range l.queues {
		k := q.first()
		for ; k != nil && k.due <= at; k = q.first() {
			if k.phone != world.Nobody {
				p := &l.phones[k.phone]
				p.count--
				p.sum -= k.mark
			}
			q.drop()
		}
		if k != nil {
			l.due = min(l.due, k.due)
		}
	}
}

// markOf is a small hash of a sender and the fields of its beacon.
func markOf(phone uint32, fields []byte) uint32 {
	le := binary.LittleEndian
	h := uint64(phone) ^ le.Uint64(fields)
	h = h*0x9e3779b97f4a7c15 ^ le.Uint64(fields[8:])
	h = h*0x9e3779b97f4a7c15 ^ le.Uint64(fields[16:])
	h = h*0x9e3779b97f4a7c15 ^ le.Uint64(fields[31:])
	h = h*0x9e3779b97f4a7c15 ^ le.Uint64(fields[50:])
	h *= 0x9e3779b97f4a7c15
	return uint32(h >> 32)
}

// entryMark is a small hash of what a log entry is known by.
func entryMark(id []byte, received int64) uint32 {
	le := binary.LittleEndian
	h := le.Uint64(id)*0x9e3779b97f4a7c15 ^ le.Uint64(id[8:])
	h = h*0x9e3779b97f4a7c15 ^ uint64(le.Uint32(id[16:])) ^ uint64(received)
	h *= 0x9e3779b97f4a7c15
	return uint32(h >> 32)
}

func (l *logs) sent(phone uint32, raw *[protocol.BeaconSize]byte) {
	mark := markOf(phone, raw[:])
	if seen := &l.lately[mark%latelyKept]; *seen != mark {
		*seen = mark
		p := &l.sends[phone]
		if p.last[0] == mark {
			return
		}
		if old := p.last[1]; old != 0 && old != mark {
			if len(p.more) == marksKept {
				p.more = append(p.more[:0], p.more[marksKept/2:]...)
			}
			p.more = append(p.more, old)
		}
		p.last[0], p.last[1] = mark, p.last[0]
	}
}

func (l *logs) forged(phone uint32) { l.wild[phone] = true }

// wasSent says whether the phone put this beacon on the wire. When parts are
// lost or doubled, a receiver may put a start in the place of an expiry; in an hour that
// clocks show twice, that can even be valid.
func (l *logs) wasSent(phone uint32, fields []byte) bool {
	mark := markOf(phone, fields)
	if l.lately[mark%latelyKept] == mark {
		return true
	}
	p := &l.sends[phone]
	return l.wild[phone] || mark == p.last[0] || mark == p.last[1] || slices.Contains(p.more, mark) ||
		l.v.flights.mixed && !l.wire.plain(fields)
}

func (l *logs) judged(at int64, phone, sender uint32, e *nodes.PhoneEffect) {
	l.advance(at)
	v := l.v
	v.times[NothingInvalidKept]++
	v.times[NothingValidMissing]++
	wall := v.rules.Start*int64(time.Second) + at
	var o *ownLog
	if l.phones[phone].queue&owned != 0 {
		o = l.owned[phone]
		wall = o.clock.WallAt(at)
	}
	why := "its datagrams are no beacon"
	if !e.OutOfTurn {
		why = l.wire.refusal(&e.Raw, e.HasVersion, wall)
	}
	if why == "" && int(sender) < len(l.phones) && !l.wasSent(sender, e.Raw[:]) {
		why = "its sender never sent it"
	}
	valid := !e.OutOfTurn && e.Err == nil
	switch {
	case valid && why != "":
		v.violate(NothingInvalidKept, at, int(phone), "invalid: "+why, fmt.Sprintf("valid: %q", e.Raw[:protocol.BeaconSize-1]))
	case !valid && why == "":
		v.violate(NothingValidMissing, at, int(phone), fmt.Sprintf("valid: %q", e.Raw[:protocol.BeaconSize-1]), "invalid: "+errorText(e.Err))
	}
	if why != "" {
		return
	}
	if o != nil {
		o.receive(v, at, e)
		return
	}
	q := l.queues[l.phones[phone].queue]
	k := kept{at + int64(q.retention), phone, entryMark(e.Raw[:protocol.TempIDSize], at)}
	q.push(k)
	l.due = min(l.due, k.due)
	p := &l.phones[phone]
	p.count++
	p.sum += k.mark
}

func errorText(err error) string {
	if err == nil {
		return "no beacon"
	}
	return err.Error()
}

func (l *logs) stepped(at int64, phone uint32, log *nodes.ContactLog) {
	l.advance(at)
	v, p := l.v, &l.phones[phone]
	v.times[NothingStays]++
	v.times[NothingLeavesEarly]++
	if p.queue&owned != 0 {
		l.owned[phone].stepped(v, at, log)
		return
	}
	retention := l.queues[p.queue].retention
	if received, ok := log.Oldest(); ok && time.Duration(at)-received >= retention {
		v.violate(NothingStays, at, int(phone), fmt.Sprintf("no entry of %s or older", retention),
			fmt.Sprintf("one of %s", time.Duration(at)-received))
		return
	}
	if n := uint32(log.Len()); n != p.count {
		l.differs(at, phone, log)
	}
}

// differs says how a log and the model came apart.
func (l *logs) differs(at int64, phone uint32, log *nodes.ContactLog) {
	p := &l.phones[phone]
	i := NothingInvalidKept
	if uint32(log.Len()) < p.count {
		i = NothingLeavesEarly
		if newest := l.newest(phone); newest != nil && newest.due-int64(l.queues[l.phones[phone].queue].retention) == at {
			i = NothingValidMissing
		}
	}
	l.v.violate(i, at, int(phone), l.odd(at, phone, log).text(int(p.count)), entriesText(log.Len()))
}

// odd finds the entry of a log that the model does not have, or of the model that
// the log does not have.
func (l *logs) odd(at int64, phone uint32, log *nodes.ContactLog) oddEntry {
	q := l.queues[l.phones[phone].queue]
	held := map[uint32]int{}
	for i := range log.Len() {
		c := log.At(i)
		held[entryMark(c.TempID[:], int64(c.Received))]++
	}
	e := oddEntry{retention: q.retention}
	for b := range q.blocks {
		for i := range q.blocks[b] {
			k := &q.blocks[b][i]
			if k.phone != phone || b == 0 && i < q.head {
				continue
			}
			if held[k.mark]--; held[k.mark] < 0 && !e.known {
				received := k.due - int64(q.retention)
				e.known, e.missing, e.received, e.age = true, true, received, time.Duration(at-received)
			}
		}
	}
	for i := range log.Len() {
		c := log.At(i)
		if !e.known && held[entryMark(c.TempID[:], int64(c.Received))] > 0 {
			e.known, e.id, e.received, e.age = true, c.TempID, int64(c.Received), time.Duration(at)-c.Received
		}
	}
	return e
}

// newest is the last entry that the model holds of a phone.
func (l *logs) newest(phone uint32) *kept {
	q := l.queues[l.phones[phone].queue]
	for b := len(q.blocks) - 1; b >= 0; b-- {
		low := 0
		if b == 0 {
			low = q.head
		}
		for i := len(q.blocks[b]) - 1; i >= low; i-- {
			if q.blocks[b][i].phone == phone {
				return &q.blocks[b][i]
			}
		}
	}
	return nil
}

// Compare looks at the whole content of a phone's log, not only at its length.
func (v *Invariants) Compare(at int64, phone uint32, log *nodes.ContactLog) {
	l := &v.logs
	l.advance(at)
	if o := l.owned[phone]; o != nil {
		v.times[NothingLeavesEarly]++
		o.compare(v, at, log)
		return
	}
	var sum uint32
	ordered := true
	for i := range log.Len() {
		c := log.At(i)
		sum += entryMark(c.TempID[:], int64(c.Received))
		ordered = ordered && (i == 0 || log.At(i-1).Received <= c.Received)
	}
	v.times[NothingLeavesEarly]++
	if sum != l.phones[phone].sum || !ordered {
		v.violate(NothingLeavesEarly, at, int(phone), "the entries that were received last", l.describe(log))
	}
}

func (l *logs) describe(log *nodes.ContactLog) string {
	var received []string
	for i := range log.Len() {
		received = append(received, world.Seconds(int64(log.At(i).Received)))
	}
	const shown = 8
	if len(received) > shown {
		received = received[:shown]
	}
	sort.Strings(received)
	return fmt.Sprintf("%s, received at %v", entriesText(log.Len()), received)
}
