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
	Outcomes [Outcomes][]Reply // the answers to a login; the first of a kind is the one that is sent

	Entry        Template // one entry of {entries}
	Join         string   // between two entries of {entries}
	Times        Layout
	Zone         *time.Location // of the times; required
	TempIDDigits int            // 0 if the length varies
	SameTempID   bool           // a download returns the same TempID while it is valid
	// Lifetime is the time from the start to the expiry of a TempID that this project's server issues.
	Lifetime time.Duration
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

// Reply is an answer to a login: one message or several.
type Reply []Step

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
	Size int // of Columns: the width of the length
}

// FramingKind is the kind of a Framing.
type FramingKind uint8

// The kinds of framing.
const (
	Raw     FramingKind = iota // no marks: a message is one send
	Lines                      // a line feed ends a message
	Columns                    // the length in decimal, filled with blanks to Size bytes, and then the message
	UTF                        // the length in 2 bytes, the most significant first, and then the message
	Bar                        // "0|" and the message, or from 1,025 bytes on its length, a bar and the message
)

// barLimit is the length of the longest message of Bar without its length.
const barLimit = 1024

// append appends a message with its marks.
func (f Framing) append(dst, message []byte) []byte {
	switch f.Kind {
	case Lines:
		return append(append(dst, message...), '\n')
	case Columns:
		dst = fmt.Appendf(dst, "%-*d", f.Size, len(message))
	case UTF:
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(message)))
	case Bar:
		n := len(message)
		if n <= barLimit {
			n = 0
		}
		dst = append(strconv.AppendInt(dst, int64(n), 10), '|')
	}
	return append(dst, message...)
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
	head, size := 0, 0
	switch f.Kind {
	case Raw:
		return message{text: b, end: -1}, true, nil
	case Lines:
		at := bytes.IndexByte(b, '\n')
		if at < 0 {
			return m, false, nil
		}
		return message{text: bytes.TrimSuffix(b[:at], []byte{'\r'}), end: at + 1}, true, nil
	case Columns:
		if head = f.Size; len(b) >= head {
			size, err = strconv.Atoi(strings.TrimRight(string(b[:head]), " "))
		}
	case UTF:
		if head = 2; len(b) >= head {
			size = int(binary.BigEndian.Uint16(b))
		}
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
	if len(b) < head+size || len(b) < head {
		return m, false, nil
	}
	return message{text: b[head : head+size], end: head + size}, true, nil
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

// parse reads a time. zone is that of a local time.
func (l Layout) parse(text string, zone *time.Location) (time.Time, bool) {
	if l == Unix {
		n, err := strconv.ParseInt(text, 10, 64)
		return time.Unix(n, 0).In(zone), err == nil
	}
	t, err := time.ParseInLocation(string(l), text, zone)
	return t, err == nil
}

// width returns the length of a time, or 0 if it varies.
func (l Layout) width() int {
	if l == Unix {
		return 0
	}
	return len(l)
}
