package event

import (
	"encoding/binary"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cespare/xxhash/v2"

	"bluetrace/protocol"
	"bluetrace/scenarios/fault"
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
	fault      uint8 // of a datagram: one plus the index of its Fault in fault.Kinds(), or 0
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
	rec.kind, rec.hasText, rec.fault = e.Kind, text != "", 0
	if e.Kind == DatagramSent && e.Fault != "" {
		rec.fault = uint8(1 + slices.Index(fault.Kinds(), e.Fault))
	}
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

// Recorded is a recorded event.
type Recorded struct {
	At         time.Duration
	Kind       Kind
	Node, Peer Node
	Number     uint64     // of a datagram or a connection; 0 for another kind
	Text       string     // such as the bytes that were sent
	Line       string     // as in Recent, without the time
	Invalid    bool       // BeaconJudged: the beacon is not valid, or there is none
	Fault      fault.Kind // DatagramSent: as in Event
}

// Number returns the number of events that were recorded so far.
func (r *Recorder) Number() uint64 { return r.next }

// Last returns the last events, at most n, the oldest first: those that concern any of the phones, or no node in
// particular; all if there are no phones.
func (r *Recorder) Last(n int, phones []int) (list []Recorded) {
	for back := range r.kept() {
		if i := (r.next - 1 - back) % recentRecords; len(list) < n && r.recent[i].concernsAny(phones) {
			list = append(list, r.recorded(i))
		}
	}
	slices.Reverse(list)
	return list
}

// First returns the first events, at most n, from that with a number on, which counts from 0. See Last.
func (r *Recorder) First(number uint64, n int, phones []int) (list []Recorded) {
	for k := max(number, r.next-r.kept()); k < r.next && len(list) < n; k++ {
		if i := k % recentRecords; r.recent[i].concernsAny(phones) {
			list = append(list, r.recorded(i))
		}
	}
	return list
}

func (rec *record) concernsAny(phones []int) bool {
	return len(phones) == 0 || rec.node == Server && rec.peer == NoPeer || slices.ContainsFunc(phones, rec.concerns)
}

func (r *Recorder) recorded(i uint64) Recorded {
	rec := &r.recent[i]
	e := Recorded{At: time.Duration(rec.at), Kind: rec.kind, Node: rec.node, Peer: rec.peer}
	_, e.Line, _ = strings.Cut(r.quote(i), " ")
	if rec.hasText {
		e.Text = r.texts[i]
	}
	switch rec.kind {
	case DatagramSent, DatagramLost, DatagramDelivered:
		e.Number = rec.a >> 16
		if rec.fault > 0 {
			e.Fault = fault.Kinds()[rec.fault-1]
		}
	case Connecting, Accepted, Connected, ConnectRefused, PhoneSent, PhoneRead, PhoneEnded, ServerSent, ServerRead,
		ServerEnded:
		e.Number = rec.a
	case BeaconJudged:
		e.Invalid = rec.hasText || rec.a == 0 && rec.b == 0
	}
	return e
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
	format := traceFormats[rec.kind]
	switch {
	case rec.kind == BeaconJudged && text != "":
		format = "%[1]s: beacon of %[2]s is invalid: %[6]s"
	case rec.kind == BeaconJudged && a == 0 && b == 0:
		format = "%[1]s: datagrams of %[2]s are no beacon"
	}
	dst = fmt.Appendf(dst, format, node, peer, conn, a, b, text, tempIDText{a, b}, a>>16, a&0xffff)
	if rec.kind == DatagramSent && b != ^uint64(0) {
		dst = appendSeconds(append(dst, ", due "...), int64(b))
	}
	return dst
}

// traceFormats are the lines of the kinds. Their arguments are 1 the node, 2 the peer, 3 the word before the number of
// a connection, 4 and 5 the words a and b of the record, 6 its text, 7 its TempID, and 8 and 9 the number and the size
// of a datagram.
var traceFormats = [Kinds]string{
	BeaconSent:        "%[1]s: beacon to %[2]s, TempID %[7]s",
	DatagramSent:      "%[1]s -> %[2]s: datagram %[8]d, %[9]d bytes",
	DatagramLost:      "%[1]s -> %[2]s: datagram %[8]d, %[9]d bytes, lost",
	DatagramDelivered: "%[1]s <- %[2]s: datagram %[8]d, %[9]d bytes",
	BeaconJudged:      "%[1]s: beacon of %[2]s is valid, TempID %[7]s",
	EntriesExpired:    "%[1]s: log entries that expire: %[4]d, left: %[5]d",
	Connecting:        "%[1]s: connects (%[3]s%[4]d)",
	Accepted:          "server: accepts %[3]s%[4]d of %[2]s",
	Connected:         "%[1]s: is connected (%[3]s%[4]d)",
	ConnectRefused:    "%[1]s: connection refused",
	PhoneSent:         "%[1]s -> server: %[3]s%[4]d %[6]q",
	PhoneRead:         "%[1]s: reads %[3]s%[4]d %[6]q",
	PhoneEnded:        "%[1]s: %[3]s%[4]d %[6]s",
	ServerSent:        "server -> %[2]s: %[3]s%[4]d %[6]q",
	ServerRead:        "server: reads %[3]s%[4]d of %[2]s %[6]q",
	ServerEnded:       "server: %[3]s%[4]d of %[2]s %[6]s",
	StoreDone:         "server: store %[4]d is on disk, records: %[5]d",
	ProgramStatus:     "%[1]s: %[6]s",
	ServerPrinted:     "%[1]s: prints %[6]q",
	PhonePrinted:      "%[1]s: prints %[6]q",
	FaultBegins:       "fault %[4]d: %[6]s",
	FaultEnds:         "fault %[4]d: %[6]s",
	FaultApplied:      "fault %[4]d: %[6]s",
}

// tempIDEnds returns the first and the last eight digits of a TempID in two words,
// so that the record of a beacon needs no pointer.
func tempIDEnds(raw []byte) (a, b uint64) {
	return binary.LittleEndian.Uint64(raw), binary.LittleEndian.Uint64(raw[protocol.TempIDSize-8:])
}

// tempIDText has the two words of tempIDEnds.
type tempIDText [2]uint64

func (w tempIDText) String() string {
	var t [16]byte
	binary.LittleEndian.PutUint64(t[:], w[0])
	binary.LittleEndian.PutUint64(t[8:], w[1])
	head, tail := strconv.QuoteToASCII(string(t[:8])), strconv.QuoteToASCII(string(t[8:]))
	return head[1:len(head)-1] + ".." + tail[1:len(tail)-1]
}

// Seconds renders nanoseconds of a world's time as seconds with nine decimals.
func Seconds(at int64) string { return string(appendSeconds(nil, at)) }

func appendSeconds(dst []byte, at int64) []byte {
	if at < 0 {
		dst, at = append(dst, '-'), -at
	}
	return fmt.Appendf(dst, "%d.%09d", at/int64(time.Second), at%int64(time.Second))
}
