package event

import (
	"encoding/binary"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/cespare/xxhash/v2"

	"bluetrace/protocol"
)

// Recorder records the events of a run: the digest is a hash of all of them, the
// trace shows each in one line, and the last ones explain a failure.
type Recorder struct {
	names  []string // of the phones
	hash   *xxhash.Digest
	buf    *[recordBuffer]byte // records that the hash has not consumed
	used   int                 // bytes of buf
	recent *[recentRecords]record
	texts  []string // of the recent records that have one
	next   uint64   // number of records so far
	trace  io.Writer
	line   []byte
	err    error // the first error of writing the trace
}

// record is the compact form of an event.
type record struct {
	at         int64
	a, b       uint64 // by kind: lengths, counts, digits of a TempID
	node, peer Node
	kind       Kind
	hasText    bool
}

const (
	recentRecords = 1 << 11 // records kept for Recent and Since
	recordBuffer  = 1 << 12 // bytes: a small part of the processor's first cache
	recordBytes   = 33      // of a record in the digest
	lengthBytes   = 4       // of the length of a text that follows it
)

// NewRecorder returns a recorder of phones with these names. trace is nil for no
// trace.
func NewRecorder(names []string, trace io.Writer) *Recorder {
	return &Recorder{
		names:  names,
		hash:   xxhash.New(),
		buf:    new([recordBuffer]byte),
		recent: new([recentRecords]record),
		texts:  make([]string, recentRecords),
		trace:  trace,
	}
}

// digestCodes are the numbers of the kinds in the digest. They never change: a kind
// that is not recorded has none. There is an element for each value of a Kind, so that
// no index is checked.
var digestCodes = [1 << 8]byte{
	BeaconSent: 1, DatagramSent: 2, DatagramLost: 3, DatagramDelivered: 4, EntriesExpired: 8,
	Connecting: 9, Accepted: 10, Connected: 11, ConnectRefused: 12,
	PhoneSent: 13, PhoneRead: 14, PhoneEnded: 15, ServerSent: 16, ServerRead: 17, ServerEnded: 18,
	ServerPrinted: 19, StoreDone: 20, ProgramStatus: 21, PhonePrinted: 22,
	FaultBegins: 23, FaultEnds: 23, FaultApplied: 23,
	BeaconJudged: 5, // 6 for an invalid beacon, 7 for datagrams that are no beacon
}

// Subscribe records the events of the stream from now on.
func (r *Recorder) Subscribe(s *Stream) {
	for k, code := range digestCodes {
		if code != 0 {
			s.On(Kind(k), r.record)
		}
	}
}

// record adds the event to the recent ones, the digest and the trace.
func (r *Recorder) record(e *Event) {
	code := digestCodes[e.Kind]
	var a, b uint64
	text := ""
	switch e.Kind {
	case BeaconSent:
		a, b = tempIDEnds(e.Raw[:])
	case DatagramSent:
		a, b = e.Number<<16|uint64(e.Size), uint64(e.Due)
		if e.Due == DueUnknown {
			b = ^uint64(0)
		}
	case DatagramLost:
		a = e.Number<<16 | uint64(e.Size)
	case DatagramDelivered:
		a, b = e.Number<<16|uint64(e.Size), e.Sum
	case BeaconJudged:
		switch {
		case e.Phone.OutOfTurn:
			code = 7
		case e.Phone.Err != nil:
			code, text = 6, e.Phone.Err.Error()
			a, b = tempIDEnds(e.Phone.Raw[:])
		default:
			a, b = tempIDEnds(e.Phone.Raw[:])
		}
	case EntriesExpired:
		a, b = uint64(e.Count), uint64(e.Left)
	case Connecting, Accepted, Connected, ConnectRefused:
		a = e.Conn
	case PhoneSent, PhoneRead, ServerSent, ServerRead:
		a, b, text = e.Conn, uint64(len(e.Bytes)), string(e.Bytes)
	case PhoneEnded, ServerEnded:
		a, text = e.Conn, e.Text
	case StoreDone:
		if e.Err != nil {
			return
		}
		a, b = e.Number, uint64(len(e.Records))
	case FaultBegins:
		a, text = e.Number, "begins: "+e.Text
	case FaultEnds:
		a, text = e.Number, "ends: "+e.Text
	case FaultApplied:
		a, b, text = e.Number, uint64(e.Amount), e.Text
	default:
		text = e.Text
	}

	i := r.next % recentRecords
	r.next++
	rec := &r.recent[i]
	rec.at, rec.a, rec.b, rec.node, rec.peer = int64(e.At), a, b, e.Node, e.Peer
	rec.kind, rec.hasText = e.Kind, text != ""
	if r.used > recordBuffer-recordBytes {
		r.flush()
	}
	le, put := binary.LittleEndian, (*[recordBytes]byte)(r.buf[r.used:])
	le.PutUint64(put[0:], uint64(e.At))
	le.PutUint64(put[8:], a)
	le.PutUint64(put[16:], b)
	le.PutUint32(put[24:], e.Node)
	le.PutUint32(put[28:], e.Peer)
	put[32] = code
	r.used += recordBytes
	if text != "" {
		r.recordText(i, text)
	}
	if r.trace != nil && r.err == nil {
		r.line = append(r.appendText(r.line[:0], i, text, "c"), '\n')
		_, r.err = r.trace.Write(r.line)
	}
}

// recordText adds the text of recent record i.
func (r *Recorder) recordText(i uint64, text string) {
	r.texts[i] = text
	if r.used+lengthBytes+len(text) > recordBuffer {
		r.flush()
	}
	binary.LittleEndian.PutUint32(r.buf[r.used:], uint32(len(text)))
	r.used += lengthBytes
	if len(text) > recordBuffer-r.used {
		r.flush()
		_, _ = r.hash.WriteString(text)
		return
	}
	r.used += copy(r.buf[r.used:], text)
}

// flush has the hash consume the buffer.
func (r *Recorder) flush() {
	_, _ = r.hash.Write(r.buf[:r.used]) // a hash never fails
	r.used = 0
}

// Digest returns a hash of all events so far in order, 16 hexadecimal digits.
func (r *Recorder) Digest() string {
	r.flush()
	return fmt.Sprintf("%016x", r.hash.Sum64())
}

// TraceError returns the first error of writing the trace.
func (r *Recorder) TraceError() error { return r.err }

// Recent renders the last events, at most n, the oldest first: those that concern
// the phone, or all if phone is negative or no event concerns it.
func (r *Recorder) Recent(phone, n int) []string {
	var lines []string
	for back := range r.kept() {
		if len(lines) == n {
			break
		}
		if i := (r.next - 1 - back) % recentRecords; phone < 0 || r.recent[i].concerns(phone) {
			lines = append(lines, r.quote(i))
		}
	}
	if len(lines) == 0 && phone >= 0 {
		return r.Recent(-1, n)
	}
	slices.Reverse(lines)
	return lines
}

// Since renders the events from the given time on that concern any of the phones:
// all if they are at most n, else the first and the last n/2.
func (r *Recorder) Since(from time.Duration, phones []int, n int) []string {
	var found []uint64
	for back := range r.kept() {
		i := (r.next - r.kept() + back) % recentRecords
		if rec := &r.recent[i]; rec.at >= int64(from) && slices.ContainsFunc(phones, rec.concerns) {
			found = append(found, i)
		}
	}
	var lines []string
	for k, i := range found {
		switch {
		case len(found) <= n, k < n/2, k >= len(found)-n/2:
			lines = append(lines, r.quote(i))
		case k == n/2:
			lines = append(lines, fmt.Sprintf("(%d more)", len(found)-n/2*2))
		}
	}
	return lines
}

func (r *Recorder) kept() uint64 { return min(r.next, recentRecords) }

func (rec *record) concerns(phone int) bool {
	return rec.node == Node(phone) || rec.peer == Node(phone)
}

// maxQuoted is the number of bytes of a message or of printed text that a line of
// Recent and Since shows. The trace shows all.
const maxQuoted = 128

// connectionName is the name of a connection in the text of a fault.
var connectionName = regexp.MustCompile(`: c([0-9]+)\b`)

// quote renders recent record i with its quoted bytes cut to maxQuoted, and with "connection 3" instead of c3.
func (r *Recorder) quote(i uint64) string {
	text := ""
	if r.recent[i].hasText {
		text = r.texts[i]
	}
	more := 0
	switch r.recent[i].kind {
	case PhoneSent, PhoneRead, ServerSent, ServerRead, ServerPrinted, PhonePrinted:
		if len(text) > maxQuoted {
			end := maxQuoted
			for end > maxQuoted-utf8.UTFMax && !utf8.RuneStart(text[end]) {
				end--
			}
			text, more = text[:end], len(text)-end
		}
	}
	if r.recent[i].kind == FaultApplied {
		text = connectionName.ReplaceAllString(text, ": connection $1")
	}
	line := r.appendText(nil, i, text, "connection ")
	if more > 0 {
		line = fmt.Appendf(line, "… (%d more bytes)", more)
	}
	return string(line)
}

// appendText appends recent record i with the given text as one line without its
// end. conn stands before the number of a connection.
func (r *Recorder) appendText(dst []byte, i uint64, text, conn string) []byte {
	rec := &r.recent[i]
	dst = append(appendSeconds(dst, rec.at), ' ')
	node, peer := "server", ""
	if rec.node != Server {
		node = r.names[rec.node]
	}
	if rec.peer != NoPeer {
		peer = r.names[rec.peer]
	}
	a, b := rec.a, rec.b
	switch rec.kind {
	case BeaconSent:
		return fmt.Appendf(dst, "%s: beacon to %s, TempID %s", node, peer, tempIDText(a, b))
	case DatagramSent:
		if b == ^uint64(0) {
			return fmt.Appendf(dst, "%s -> %s: datagram %d, %d bytes", node, peer, a>>16, a&0xffff)
		}
		return fmt.Appendf(dst, "%s -> %s: datagram %d, %d bytes, due %s",
			node, peer, a>>16, a&0xffff, Seconds(int64(b)))
	case DatagramLost:
		return fmt.Appendf(dst, "%s -> %s: datagram %d, %d bytes, lost", node, peer, a>>16, a&0xffff)
	case DatagramDelivered:
		return fmt.Appendf(dst, "%s <- %s: datagram %d, %d bytes", node, peer, a>>16, a&0xffff)
	case BeaconJudged:
		switch {
		case text != "":
			return fmt.Appendf(dst, "%s: beacon of %s is invalid: %s", node, peer, text)
		case a == 0 && b == 0:
			return fmt.Appendf(dst, "%s: datagrams of %s are no beacon", node, peer)
		}
		return fmt.Appendf(dst, "%s: beacon of %s is valid, TempID %s", node, peer, tempIDText(a, b))
	case EntriesExpired:
		return fmt.Appendf(dst, "%s: log entries that expire: %d, left: %d", node, a, b)
	case Connecting:
		return fmt.Appendf(dst, "%s: connects (%s%d)", node, conn, a)
	case Accepted:
		return fmt.Appendf(dst, "server: accepts %s%d of %s", conn, a, peer)
	case Connected:
		return fmt.Appendf(dst, "%s: is connected (%s%d)", node, conn, a)
	case ConnectRefused:
		return fmt.Appendf(dst, "%s: connection refused", node)
	case PhoneSent:
		return fmt.Appendf(dst, "%s -> server: %s%d %q", node, conn, a, text)
	case PhoneRead:
		return fmt.Appendf(dst, "%s: reads %s%d %q", node, conn, a, text)
	case PhoneEnded:
		return fmt.Appendf(dst, "%s: %s%d %s", node, conn, a, text)
	case ServerSent:
		return fmt.Appendf(dst, "server -> %s: %s%d %q", peer, conn, a, text)
	case ServerRead:
		return fmt.Appendf(dst, "server: reads %s%d of %s %q", conn, a, peer, text)
	case ServerEnded:
		return fmt.Appendf(dst, "server: %s%d of %s %s", conn, a, peer, text)
	case StoreDone:
		return fmt.Appendf(dst, "server: store %d is on disk, records: %d", a, b)
	case ProgramStatus:
		return fmt.Appendf(dst, "%s: %s", node, text)
	case ServerPrinted, PhonePrinted:
		return fmt.Appendf(dst, "%s: prints %q", node, text)
	}
	return fmt.Appendf(dst, "fault %d: %s", a, text)
}

// tempIDEnds returns the first and the last eight digits of a TempID in two words,
// so that the record of a beacon needs no pointer.
func tempIDEnds(raw []byte) (a, b uint64) {
	return binary.LittleEndian.Uint64(raw), binary.LittleEndian.Uint64(raw[protocol.TempIDSize-8:])
}

func tempIDText(a, b uint64) string {
	var t [16]byte
	binary.LittleEndian.PutUint64(t[:], a)
	binary.LittleEndian.PutUint64(t[8:], b)
	head, tail := strconv.QuoteToASCII(string(t[:8])), strconv.QuoteToASCII(string(t[8:]))
	return head[1:len(head)-1] + ".." + tail[1:len(tail)-1]
}
