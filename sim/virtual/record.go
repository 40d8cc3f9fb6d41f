package virtual

import (
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"github.com/cespare/xxhash/v2"

	"bluetrace/sim/world"
)

// what a record says happened.
type what = world.What

const (
	beaconSent      = world.BeaconSent
	datagramSent    = world.DatagramSent
	datagramLost    = world.DatagramLost
	datagramArrived = world.DatagramArrived
	judgedValid     = world.JudgedValid
	judgedInvalid   = world.JudgedInvalid
	judgedBroken    = world.JudgedBroken
	entriesExpired  = world.EntriesExpired
	connecting      = world.Connecting
	accepted        = world.Accepted
	connected       = world.Connected
	connectRefused  = world.ConnectRefused
	phoneSent       = world.PhoneSent
	phoneRead       = world.PhoneRead
	phoneEnded      = world.PhoneEnded
	serverSent      = world.ServerSent
	serverRead      = world.ServerRead
	serverEnded     = world.ServerEnded
	serverPrinted   = world.ServerPrinted
	stored          = world.Stored
	restarted       = world.Restarted
	phonePrinted    = world.PhonePrinted
	faulted         = world.Faulted
)

// nobody stands in a record for the server, or for no peer.
const nobody = world.Nobody

// A record is one observable event of the run: the digest is made of all of
// them, the trace shows them all, and the last of them explain a failure.
type record struct {
	at   int64
	a, b uint64 // by kind: lengths, counts, a glimpse of the bytes
	who  uint32
	peer uint32
	what what
	said bool // it has a text, which only rare events have
}

// recentRecords is how many of the last records are kept for reports.
const recentRecords = 1 << 11

// ledger collects records.
type ledger struct {
	hash   *xxhash.Digest
	buf    []byte
	recent []record
	texts  []string // of those that said something
	next   uint64   // how many records there were
	trace  io.Writer
	line   []byte
	err    error // the first error of the trace
}

const ledgerBuffer = 1 << 15

func (l *ledger) init(trace io.Writer) {
	l.hash = xxhash.New()
	l.buf = make([]byte, 0, ledgerBuffer)
	l.recent = make([]record, recentRecords)
	l.texts = make([]string, recentRecords)
	l.trace = trace
}

func (w *World) note(k what, who, peer uint32, a, b uint64) {
	w.noteText(k, who, peer, a, b, "")
}

func (w *World) noteText(k what, who, peer uint32, a, b uint64, text string) {
	l := &w.ledger
	i := l.next % recentRecords
	r := &l.recent[i]
	*r = record{at: w.now, a: a, b: b, who: who, peer: peer, what: k, said: text != ""}
	l.next++
	if len(l.buf)+recordBytes+lengthBytes+len(text) > ledgerBuffer {
		l.flush()
	}
	n := len(l.buf)
	l.buf = l.buf[:n+recordBytes]
	r.put((*[recordBytes]byte)(l.buf[n:]))
	if text != "" {
		l.texts[i] = text
		l.buf = binary.LittleEndian.AppendUint32(l.buf, uint32(len(text)))
		l.buf = append(l.buf, text...)
	}
	if l.trace != nil {
		w.writeTrace(i)
	}
}

// What the digest takes of every record, and of the length of a text that follows.
const (
	recordBytes = 33
	lengthBytes = 4
)

func (r *record) put(b *[recordBytes]byte) {
	le := binary.LittleEndian
	le.PutUint64(b[0:], uint64(r.at))
	le.PutUint64(b[8:], r.a)
	le.PutUint64(b[16:], r.b)
	le.PutUint32(b[24:], r.who)
	le.PutUint32(b[28:], r.peer)
	b[32] = byte(r.what)
}

func (l *ledger) flush() {
	_, _ = l.hash.Write(l.buf) // a hash never fails
	l.buf = l.buf[:0]
}

// Digest is a hash of every event so far, in order: 16 hexadecimal digits.
func (w *World) Digest() string {
	w.ledger.flush()
	return fmt.Sprintf("%016x", w.ledger.hash.Sum64())
}

// writeTrace writes record i of recent.
func (w *World) writeTrace(i uint64) {
	l := &w.ledger
	if l.err != nil {
		return
	}
	e := l.event(i)
	l.line = e.AppendText(l.line[:0], w.names)
	l.line = append(l.line, '\n')
	_, l.err = l.trace.Write(l.line)
}

// TraceError is the first error of writing the trace.
func (w *World) TraceError() error { return w.ledger.err }

// Recent renders the last records that concern a phone.
func (w *World) Recent(phone, n int) []string { return w.history().Recent(phone, n) }

// Since renders the records from a virtual time on that concern any of the
// phones.
func (w *World) Since(from time.Duration, phones []int, n int) []string {
	return w.history().Since(from, phones, n)
}

func (w *World) history() *world.History {
	l := &w.ledger
	kept := min(l.next, recentRecords)
	return &world.History{Names: w.names, Len: int(kept), At: func(i int) world.Event {
		return l.event((l.next - kept + uint64(i)) % recentRecords)
	}}
}

// event is record i of recent.
func (l *ledger) event(i uint64) world.Event {
	r := &l.recent[i]
	e := world.Event{At: r.at, A: r.a, B: r.b, Who: r.who, Peer: r.peer, What: r.what}
	if r.said {
		e.Text = l.texts[i]
	}
	return e
}
