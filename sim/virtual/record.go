package virtual

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/cespare/xxhash/v2"

	"bluetrace/protocol"
)

// what a record says happened.
type what uint8

const (
	beaconSent what = iota + 1
	datagramSent
	datagramLost
	datagramArrived
	judgedValid
	judgedInvalid
	judgedBroken
	entriesExpired
	connecting
	accepted
	connected
	connectRefused
	phoneSent
	phoneRead
	phoneEnded
	serverSent
	serverRead
	serverEnded
	serverPrinted
	stored
	restarted
	phonePrinted
	remark
)

// nobody stands in a record for the server, or for no peer.
const nobody = ^uint32(0)

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

// Recent renders the last records, at most n, the oldest first: those that
// concern the phone, or every one when phone is negative or none concerns it.
func (w *World) Recent(phone, n int) []string {
	lines := w.recent(phone, n)
	if len(lines) == 0 && phone >= 0 {
		return w.recent(-1, n)
	}
	return lines
}

// Since renders the records from a virtual time on that concern any of the
// phones: all of them when they are at most n, else the first and the last.
func (w *World) Since(from time.Duration, phones []int, n int) []string {
	l := &w.ledger
	var found []*record
	for i := l.next - min(l.next, recentRecords); i < l.next; i++ {
		r := &l.recent[i%recentRecords]
		if r.at >= int64(from) && slices.ContainsFunc(phones, func(p int) bool { return r.who == uint32(p) || r.peer == uint32(p) }) {
			found = append(found, r)
		}
	}
	var lines []string
	for i, r := range found {
		switch {
		case len(found) <= n, i < n/2, i >= len(found)-n/2:
			lines = append(lines, string(w.appendRecord(nil, r)))
		case i == n/2:
			lines = append(lines, fmt.Sprintf("(%d more)", len(found)-n/2*2))
		}
	}
	return lines
}

func (w *World) recent(phone, n int) []string {
	l := &w.ledger
	var lines []string
	for i := uint64(1); i <= min(l.next, recentRecords) && len(lines) < n; i++ {
		r := &l.recent[(l.next-i)%recentRecords]
		if phone >= 0 && r.who != uint32(phone) && r.peer != uint32(phone) {
			continue
		}
		lines = append(lines, string(w.appendRecord(nil, r)))
	}
	for i, j := 0, len(lines)-1; i < j; i, j = i+1, j-1 {
		lines[i], lines[j] = lines[j], lines[i]
	}
	return lines
}

// Seconds renders a virtual time as seconds with nine decimals.
func Seconds(at int64) string { return string(appendSeconds(nil, at)) }

func appendSeconds(dst []byte, at int64) []byte {
	if at < 0 {
		dst = append(dst, '-')
		at = -at
	}
	dst = strconv.AppendInt(dst, at/int64(time.Second), 10)
	dst = append(dst, '.')
	frac := at % int64(time.Second)
	for unit := int64(time.Second) / 10; unit > 0; unit /= 10 {
		dst = append(dst, byte('0'+frac/unit%10))
	}
	return dst
}

func (w *World) nameOf(who uint32) string {
	if who == nobody {
		return "server"
	}
	return w.names[who]
}

func (w *World) appendRecord(dst []byte, r *record) []byte {
	dst = appendSeconds(dst, r.at)
	dst = append(dst, ' ')
	who, peer := w.nameOf(r.who), ""
	if r.peer != nobody {
		peer = w.names[r.peer]
	}
	switch r.what {
	case beaconSent:
		return fmt.Appendf(dst, "%s: beacon to %s, TempID %s", who, peer, glimpseText(r.a, r.b))
	case datagramSent:
		return fmt.Appendf(dst, "%s -> %s: datagram %d, %d bytes, due %s", who, peer, r.a>>16, r.a&0xffff, Seconds(int64(r.b)))
	case datagramLost:
		return fmt.Appendf(dst, "%s -> %s: datagram %d, %d bytes, lost", who, peer, r.a>>16, r.a&0xffff)
	case datagramArrived:
		return fmt.Appendf(dst, "%s <- %s: datagram %d, %d bytes", who, peer, r.a>>16, r.a&0xffff)
	case judgedValid:
		return fmt.Appendf(dst, "%s: beacon of %s is valid, TempID %s", who, peer, glimpseText(r.a, r.b))
	case judgedInvalid:
		return fmt.Appendf(dst, "%s: beacon of %s is invalid: %s", who, peer, r.text)
	case judgedBroken:
		return fmt.Appendf(dst, "%s: datagrams of %s are no beacon", who, peer)
	case entriesExpired:
		return fmt.Appendf(dst, "%s: log entries that expire: %d, left: %d", who, r.a, r.b)
	case connecting:
		return fmt.Appendf(dst, "%s: connects (c%d)", who, r.a)
	case accepted:
		return fmt.Appendf(dst, "server: accepts c%d of %s", r.a, peer)
	case connected:
		return fmt.Appendf(dst, "%s: is connected (c%d)", who, r.a)
	case connectRefused:
		return fmt.Appendf(dst, "%s: connection refused", who)
	case phoneSent:
		return fmt.Appendf(dst, "%s -> server: c%d %q", who, r.a, r.text)
	case phoneRead:
		return fmt.Appendf(dst, "%s: reads c%d %q", who, r.a, r.text)
	case phoneEnded:
		return fmt.Appendf(dst, "%s: c%d %s", who, r.a, r.text)
	case serverSent:
		return fmt.Appendf(dst, "server -> %s: c%d %q", peer, r.a, r.text)
	case serverRead:
		return fmt.Appendf(dst, "server: reads c%d of %s %q", r.a, peer, r.text)
	case serverEnded:
		return fmt.Appendf(dst, "server: c%d of %s %s", r.a, peer, r.text)
	case serverPrinted:
		return fmt.Appendf(dst, "server: prints %q", r.text)
	case stored:
		return fmt.Appendf(dst, "server: store %d is on disk, records: %d", r.a, r.b)
	case restarted:
		return fmt.Appendf(dst, "server: %s", r.text)
	case phonePrinted:
		return fmt.Appendf(dst, "%s: prints %q", who, r.text)
	default:
		return fmt.Appendf(dst, "%s", r.text)
	}
}

// glimpse keeps the first and the last eight digits of a TempID in two words,
// so that a record of a beacon needs no pointer.
func glimpse(raw []byte) (a, b uint64) {
	return binary.LittleEndian.Uint64(raw), binary.LittleEndian.Uint64(raw[protocol.TempIDSize-8:])
}

func glimpseText(a, b uint64) string {
	var t [16]byte
	binary.LittleEndian.PutUint64(t[:], a)
	binary.LittleEndian.PutUint64(t[8:], b)
	head, tail := strconv.QuoteToASCII(string(t[:8])), strconv.QuoteToASCII(string(t[8:]))
	return head[1:len(head)-1] + ".." + tail[1:len(tail)-1]
}
