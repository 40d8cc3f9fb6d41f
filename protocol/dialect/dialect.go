package dialect

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Dialect describes the wire of one implementation. Steps are written from the phone's side: it sends, and receives
// what the server sends.
type Dialect struct {
	Name   string
	Client Framing // of what the phone sends
	Server Framing // of what the server sends

	Login    []Step // with {user} and {password}; an outcome follows
	Again    []Step // another password after a wrong one; an outcome follows
	Download []Step // has {tempid}
	Upload   []Step
	Logout   []Step
	// Outcomes has the answers to a login, each of one message or several. The first one for an outcome is sent.
	Outcomes [Outcomes][][]Step
	// Beacon has the datagrams of a beacon: what its sender sends, and what the receiver answers before it goes on. If
	// it is empty, a beacon has the form of PROTOCOL.md section 3.
	Beacon []Step
	// BeaconTimes is the layout of the times of a beacon; "" for that of the other messages.
	BeaconTimes Layout
	Typed       Typed
	Files       []string // names of files that must exist, empty, before the server starts

	Entry        Template // one entry of {entries}
	Join         string   // between two entries of {entries}
	Times        Layout
	Zone         *time.Location // of the times; required
	TempIDDigits int            // 0 if the length varies
	SameTempID   bool           // a download returns the same TempID while it is valid
	// Lifetime is the time from the start to the expiry of a TempID that this project's server issues.
	Lifetime time.Duration
}

// Typed has the lines that a user types at the phone. {user}, {password}, {ip} and {port} stand for values. An empty
// list stands for the words of the course specification.
type Typed struct {
	Login, Download, Upload, Beacon, Logout []string
}

// Outcome is the result of an attempt to log in.
type Outcome uint8

// The outcomes.
const (
	Welcome Outcome = iota
	Wrong
	NowBlocked // by this attempt
	Blocked    // before it
	Unknown    // the name has no account
	Already    // the account is logged in
	Outcomes   // their number
)

var outcomeNames = [Outcomes]string{"welcome", "wrong", "now blocked", "blocked", "unknown", "already logged in"}

func (o Outcome) String() string { return outcomeNames[o] }

// Step is one step of a conversation.
type Step struct {
	Kind  StepKind
	Text  Template      // of Send and Receive
	Int   *int          // the number of SendInt and ReceiveInt; nil for the count of entries
	Pause time.Duration // of Pause
	Steps []Step        // of Each
}

// StepKind is the kind of a Step.
type StepKind uint8

// The kinds of steps.
const (
	Send StepKind = iota
	Receive
	SendInt    // 4 bytes, the most significant first, without framing
	ReceiveInt // as SendInt
	Pause      // of the phone
	Each       // Steps, once for each entry
	Reconnect  // a new connection
)

// Framing is the way in which a side marks the ends of its messages.
type Framing struct {
	Kind FramingKind
	Size int    // of Columns: the width of the length; of Fixed: the length of each message
	End  string // of Ends: the text after each message
}

// FramingKind is the kind of a Framing.
type FramingKind uint8

// The kinds of framing.
const (
	Raw       FramingKind = iota // no marks: a message is one send
	Lines                        // a line feed ends a message
	Columns                      // the length in decimal, filled with blanks to Size bytes, and then the message
	UTF                          // the length in 2 bytes, the most significant first, and then the message
	Bar                          // "0|" and the message, or from 1,025 bytes on its length, a bar and the message
	Int4                         // the length in 4 bytes, the most significant first, and then the message
	Netstring                    // the length in decimal, a colon, the message and a comma
	Fixed                        // the message, filled with blanks to Size bytes
	Ends                         // the text End ends a message
)

// IsMarked reports whether marks tell where each message ends.
func (f Framing) IsMarked() bool { return f.Kind != Raw && f.Kind != Bar }

// barLimit is the length of the longest message of Bar without its length.
const barLimit = 1024

// append appends a message with its marks.
func (f Framing) append(dst, message []byte) []byte {
	n := len(message)
	switch f.Kind {
	case Columns:
		dst = fmt.Appendf(dst, "%-*d", f.Size, n)
	case UTF:
		dst = binary.BigEndian.AppendUint16(dst, uint16(n))
	case Bar:
		if n <= barLimit {
			n = 0
		}
		dst = append(strconv.AppendInt(dst, int64(n), 10), '|')
	case Int4:
		dst = binary.BigEndian.AppendUint32(dst, uint32(n))
	case Netstring:
		dst = fmt.Appendf(dst, "%d:", n)
	}
	return append(append(dst, message...), f.end(n)...)
}

// end returns the mark after a message of n bytes.
func (f Framing) end(n int) string {
	switch f.Kind {
	case Lines:
		return "\n"
	case Netstring:
		return ","
	case Fixed:
		return strings.Repeat(" ", max(0, f.Size-n))
	}
	return f.End
}

// message is the first message of the bytes that have arrived.
type message struct {
	text []byte
	end  int // index after the message and its marks; -1 if only a template tells where it ends
	skip int // of a message without an end: the length of its marks
}

// next returns the first message of b. ok is false if its marks are incomplete. err is set if b does not begin with
// the marks of a message.
func (f Framing) next(b []byte) (m message, ok bool, err error) {
	head, size, tail := 0, 0, 0
	switch f.Kind {
	case Raw:
		return message{text: b, end: -1}, true, nil
	case Lines, Ends:
		text, _, ok := bytes.Cut(b, []byte(f.end(0)))
		if !ok {
			return m, false, nil
		}
		m.end = len(text) + len(f.end(0))
		if f.Kind == Lines {
			text = bytes.TrimSuffix(text, []byte{'\r'})
		}
		m.text = text
		return m, true, nil
	case Columns:
		if head = f.Size; len(b) >= head {
			size, err = strconv.Atoi(strings.TrimRight(string(b[:head]), " "))
		}
	case UTF:
		if head = 2; len(b) >= head {
			size = int(binary.BigEndian.Uint16(b))
		}
	case Int4:
		if head = 4; len(b) >= head {
			size = int(binary.BigEndian.Uint32(b))
		}
	case Netstring:
		n := digits(b)
		if head, tail = n+1, 1; len(b) >= head {
			size, err = strconv.Atoi(string(b[:n]))
			if end := head + size; b[n] != ':' || err == nil && size < len(b) && len(b) > end && b[end] != ',' {
				err = strconv.ErrSyntax
			}
		}
	case Fixed:
		if len(b) < f.Size {
			return m, false, nil
		}
		return message{text: bytes.TrimRight(b[:f.Size], " "), end: f.Size}, true, nil
	case Bar:
		n := digits(b)
		if head = n + 1; len(b) >= head {
			size, err = strconv.Atoi(string(b[:n]))
			if b[n] != '|' {
				err = strconv.ErrSyntax
			}
			if err == nil && size == 0 {
				return message{text: b[head:], end: -1, skip: head}, true, nil
			}
		}
	}
	if err != nil || size < 0 || size > maxNumber {
		return m, false, fmt.Errorf("expected the length of a message, found %q", b[:min(len(b), 20)])
	}
	if len(b) < head+size+tail {
		return m, false, nil
	}
	return message{text: b[head : head+size], end: head + size + tail}, true, nil
}

// Next returns the first message of b, and its length with its marks. ok is false if b does not begin with a whole
// message, or if nothing marks its end.
func (f Framing) Next(b []byte) (text []byte, length int, ok bool) {
	m, ok, err := f.next(b)
	return m.text, m.end, ok && err == nil && m.end >= 0
}

// Layout is the form of a time: a layout of Go's package time, or "unix" for seconds since 1970.
type Layout string

// Unix is the layout of times as seconds since 1970.
const Unix Layout = "unix"

func (l Layout) append(dst []byte, t time.Time) []byte {
	if l == Unix {
		return strconv.AppendInt(dst, t.Unix(), 10)
	}
	return t.AppendFormat(dst, string(l))
}

// Parse reads a time. zone is that of a local time.
func (l Layout) Parse(text string, zone *time.Location) (time.Time, bool) {
	if l == Unix {
		n, err := strconv.ParseInt(text, 10, 64)
		return time.Unix(n, 0).In(zone), err == nil
	}
	t, err := time.ParseInLocation(string(l), text, zone)
	return t, err == nil
}
