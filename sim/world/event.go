package world

import (
	"encoding/binary"
	"fmt"
	"strconv"

	"bluetrace/protocol"
)

// What an event is.
type What uint8

// The kinds of events, with what A, B and Text mean. A connection is known by
// its number among those of the run, from 1.
const (
	BeaconSent      What = iota + 1 // A, B: Glimpse of its TempID
	DatagramSent                    // A: number<<16 | length, B: when it is due, or NotKnown
	DatagramLost                    // A: number<<16 | length
	DatagramArrived                 // A: number<<16 | length, B: a hash of it
	JudgedValid                     // A, B: Glimpse
	JudgedInvalid                   // A, B: Glimpse, Text: why
	JudgedBroken
	EntriesExpired // A: how many, B: how many are left
	Connecting     // A: connection
	Accepted       // A: connection
	Connected      // A: connection
	ConnectRefused
	PhoneSent     // A: connection, B: length, Text: the bytes
	PhoneRead     // A: connection, B: length, Text: the bytes
	PhoneEnded    // A: connection, Text: how
	ServerSent    // A: connection, B: length, Text: the bytes
	ServerRead    // A: connection, B: length, Text: the bytes
	ServerEnded   // A: connection, Text: how
	ServerPrinted // Text
	Stored        // A: store, B: records
	Restarted     // Text: which half of it; of the server, or of a phone
	PhonePrinted  // Text
	Faulted       // A: number of the fault, Text: what it did or that it begins or ends
)

// Nobody stands in an event for the server, or for no peer.
const Nobody = ^uint32(0)

// NotKnown is the time at which a datagram arrives that nobody simulates.
const NotKnown = ^uint64(0)

// Event is one observable event of a run: the trace shows all of them, and the
// last of them explain a failure.
type Event struct {
	At   int64 // nanoseconds
	A, B uint64
	Text string
	Who  uint32
	Peer uint32
	What What
}

// Concerns says whether the event is about the phone.
func (e *Event) Concerns(phone int) bool {
	return e.Who == uint32(phone) || e.Peer == uint32(phone)
}

// AppendText appends the event as one line without its end; names are those of
// the phones.
func (e *Event) AppendText(dst []byte, names []string) []byte {
	dst = append(dst, Seconds(e.At)...)
	dst = append(dst, ' ')
	who, peer := "server", ""
	if e.Who != Nobody {
		who = names[e.Who]
	}
	if e.Peer != Nobody {
		peer = names[e.Peer]
	}
	switch e.What {
	case BeaconSent:
		return fmt.Appendf(dst, "%s: beacon to %s, TempID %s", who, peer, glimpseText(e.A, e.B))
	case DatagramSent:
		if e.B == NotKnown {
			return fmt.Appendf(dst, "%s -> %s: datagram %d, %d bytes", who, peer, e.A>>16, e.A&0xffff)
		}
		return fmt.Appendf(dst, "%s -> %s: datagram %d, %d bytes, due %s", who, peer, e.A>>16, e.A&0xffff, Seconds(int64(e.B)))
	case DatagramLost:
		return fmt.Appendf(dst, "%s -> %s: datagram %d, %d bytes, lost", who, peer, e.A>>16, e.A&0xffff)
	case DatagramArrived:
		return fmt.Appendf(dst, "%s <- %s: datagram %d, %d bytes", who, peer, e.A>>16, e.A&0xffff)
	case JudgedValid:
		return fmt.Appendf(dst, "%s: beacon of %s is valid, TempID %s", who, peer, glimpseText(e.A, e.B))
	case JudgedInvalid:
		return fmt.Appendf(dst, "%s: beacon of %s is invalid: %s", who, peer, e.Text)
	case JudgedBroken:
		return fmt.Appendf(dst, "%s: datagrams of %s are no beacon", who, peer)
	case EntriesExpired:
		return fmt.Appendf(dst, "%s: log entries that expire: %d, left: %d", who, e.A, e.B)
	case Connecting:
		return fmt.Appendf(dst, "%s: connects (c%d)", who, e.A)
	case Accepted:
		return fmt.Appendf(dst, "server: accepts c%d of %s", e.A, peer)
	case Connected:
		return fmt.Appendf(dst, "%s: is connected (c%d)", who, e.A)
	case ConnectRefused:
		return fmt.Appendf(dst, "%s: connection refused", who)
	case PhoneSent:
		return fmt.Appendf(dst, "%s -> server: c%d %q", who, e.A, e.Text)
	case PhoneRead:
		return fmt.Appendf(dst, "%s: reads c%d %q", who, e.A, e.Text)
	case PhoneEnded:
		return fmt.Appendf(dst, "%s: c%d %s", who, e.A, e.Text)
	case ServerSent:
		return fmt.Appendf(dst, "server -> %s: c%d %q", peer, e.A, e.Text)
	case ServerRead:
		return fmt.Appendf(dst, "server: reads c%d of %s %q", e.A, peer, e.Text)
	case ServerEnded:
		return fmt.Appendf(dst, "server: c%d of %s %s", e.A, peer, e.Text)
	case ServerPrinted:
		return fmt.Appendf(dst, "server: prints %q", e.Text)
	case Stored:
		return fmt.Appendf(dst, "server: store %d is on disk, records: %d", e.A, e.B)
	case Restarted:
		return fmt.Appendf(dst, "%s: %s", who, e.Text)
	case PhonePrinted:
		return fmt.Appendf(dst, "%s: prints %q", who, e.Text)
	case Faulted:
		return fmt.Appendf(dst, "fault %d: %s", e.A, e.Text)
	default:
		return fmt.Appendf(dst, "%s", e.Text)
	}
}

// Glimpse keeps the first and the last eight digits of a TempID in two words,
// so that an event of a beacon needs no pointer.
func Glimpse(raw []byte) (a, b uint64) {
	return binary.LittleEndian.Uint64(raw), binary.LittleEndian.Uint64(raw[protocol.TempIDSize-8:])
}

func glimpseText(a, b uint64) string {
	var t [16]byte
	binary.LittleEndian.PutUint64(t[:], a)
	binary.LittleEndian.PutUint64(t[8:], b)
	head, tail := strconv.QuoteToASCII(string(t[:8])), strconv.QuoteToASCII(string(t[8:]))
	return head[1:len(head)-1] + ".." + tail[1:len(tail)-1]
}
