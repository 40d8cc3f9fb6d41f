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
	text string // of rare events
	who  uint32
	peer uint32
	what what
}

// recentRecords is how many of the last records are kept for reports.
const recentRecords = 1 << 11

// ledger collects records.
type ledger struct {
	hash   *xxhash.Digest
	buf    []byte
	recent []record
	next   uint64 // how many records there were
	trace  io.Writer
	line   []byte
	err    error // the first error of the trace
}

const ledgerBuffer = 1 << 15

func (l *ledger) init(trace io.Writer) {
	l.hash = xxhash.New()
	l.buf = make([]byte, 0, ledgerBuffer)
	l.recent = make([]record, recentRecords)
	l.trace = trace
}

func (w *World) note(k what, who, peer uint32, a, b uint64) {
	w.noteText(k, who, peer, a, b, "")
}

func (w *World) noteText(k what, who, peer uint32, a, b uint64, text string) {
	l := &w.ledger
	r := &l.recent[l.next%recentRecords]
	r.at, r.a, r.b, r.who, r.peer, r.what = w.now, a, b, who, peer, k
	if text != "" || r.text != "" {
		r.text = text
	}
	l.next++
	if len(l.buf)+40+len(text) > ledgerBuffer {
		l.flush()
	}
	le := binary.LittleEndian
	b8 := le.AppendUint64(l.buf, uint64(w.now))
	b8 = le.AppendUint64(b8, a)
	b8 = le.AppendUint64(b8, b)
	b8 = le.AppendUint32(b8, who)
	b8 = le.AppendUint32(b8, peer)
	b8 = append(b8, byte(k))
	if text != "" {
		b8 = le.AppendUint32(b8, uint32(len(text)))
		b8 = append(b8, text...)
	}
	l.buf = b8
	if l.trace != nil {
		w.writeTrace(r)
	}
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

func (w *World) writeTrace(r *record) {
	l := &w.ledger
	if l.err != nil {
		return
	}
	l.line = w.appendRecord(l.line[:0], r)
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
		return l.recent[(l.next-kept+uint64(i))%recentRecords].event()
	}}
}

func (r *record) event() world.Event {
	return world.Event{At: r.at, A: r.a, B: r.b, Text: r.text, Who: r.who, Peer: r.peer, What: r.what}
}

func (w *World) appendRecord(dst []byte, r *record) []byte {
	e := r.event()
	return e.AppendText(dst, w.names)
}
