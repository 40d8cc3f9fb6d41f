package protocol

import (
	"errors"
	"fmt"
)

// Expectation is the message that a session of a server waits for.
type Expectation uint8

// The expectations of a Reader.
const (
	ExpectUsername Expectation = iota
	ExpectPassword
	ExpectCommand
	ExpectCount
	ExpectLine
)

func (e Expectation) String() string {
	names := [...]string{"username", "password", "command", "count", "line"}
	if int(e) < len(names) {
		return names[e]
	}
	return "unknown expectation"
}

// MessageKind is the kind of a Message.
type MessageKind uint8

// The kinds of messages.
const (
	Username MessageKind = iota
	Password
	Download
	Upload
	Logout
	Count
	Line
	Skipped // bytes that are no command
)

func (k MessageKind) String() string {
	names := [...]string{
		"username", "password", "download", "upload", "logout", "count", "line", "skipped",
	}
	if int(k) < len(names) {
		return names[k]
	}
	return "unknown message"
}

// Message is one message of a phone. Bytes is not empty, and valid until the next
// Feed.
type Message struct {
	Kind  MessageKind
	Bytes []byte
}

// commands lists all commands. None is a prefix of another.
var commands = [...]struct {
	text string
	kind MessageKind
}{
	{CommandDownload, Download},
	{CommandUpload, Upload},
	{CommandLogout, Logout},
	{CommandLogoutJoined, Logout},
}

// keptBuffer is the largest empty buffer, in bytes, that a Reader keeps.
const keptBuffer = 64

// Reader finds the messages of a phone in the bytes of TCP reads (PROTOCOL.md
// section 2, "When TCP joins or splits messages"). The expectation decides where a
// message ends. The zero value expects a username.
//
// A server calls Feed with each read, then Next until it returns false. Where a
// message changes the expectation, the server calls Expect before the next Next:
// the rest of the read then belongs to the new expectation.
type Reader struct {
	buf    []byte
	at     int // buf[:at] has been returned
	expect Expectation
	line   uint8 // kind of the next line: 0 a TempID, 1 a start, 2 an expiry
}

// Expect sets the expectation of the following bytes. The first line is a TempID.
func (r *Reader) Expect(e Expectation) { r.expect, r.line = e, 0 }

// Feed adds a copy of one read, usually 1 to MaxMessage bytes.
func (r *Reader) Feed(p []byte) {
	if r.at > 0 {
		n := copy(r.buf, r.buf[r.at:])
		r.buf, r.at = r.buf[:n], 0
	}
	r.buf = append(r.buf, p...)
}

// Next returns the next message, or false if it needs more bytes.
//
// A username, a password and a count are all bytes that have arrived, "one read
// each". Lines have fixed lengths: 20, 19, 19, 20, … bytes. Where a command is
// expected but does not follow, Next returns as Skipped the shortest run of bytes
// after which a command follows, or at the end the prefix of one, or nothing.
func (r *Reader) Next() (Message, bool) {
	b := r.Unread()
	if len(b) == 0 {
		return Message{}, false
	}
	switch r.expect {
	case ExpectUsername:
		return r.message(Username, len(b)), true
	case ExpectPassword:
		return r.message(Password, len(b)), true
	case ExpectCount:
		return r.message(Count, len(b)), true
	case ExpectLine:
		return r.nextLine(b)
	default:
		return r.nextCommand(b)
	}
}

// Unread returns the bytes that Next has not returned. They are valid until the
// next Feed.
func (r *Reader) Unread() []byte { return r.buf[r.at:] }

func (r *Reader) nextLine(b []byte) (Message, bool) {
	n := TimeSize
	if r.line == 0 {
		n = TempIDSize
	}
	if len(b) < n {
		return Message{}, false
	}
	r.line = (r.line + 1) % 3
	return r.message(Line, n), true
}

func (r *Reader) nextCommand(b []byte) (Message, bool) {
	for skip := range b {
		kind, length, begun := commandAt(b[skip:])
		if !begun {
			continue
		}
		if skip > 0 {
			return r.message(Skipped, skip), true
		}
		if length == 0 {
			return Message{}, false
		}
		return r.message(kind, length), true
	}
	return r.message(Skipped, len(b)), true
}

// commandAt reports whether b begins with a command, or is a prefix of one. In the
// second case length is 0.
func commandAt(b []byte) (kind MessageKind, length int, begun bool) {
	for i := range commands {
		text := commands[i].text
		n := min(len(b), len(text))
		if string(b[:n]) != text[:n] {
			continue
		}
		if n == len(text) {
			return commands[i].kind, n, true
		}
		return 0, 0, true
	}
	return 0, 0, false
}

// message returns the next n bytes as a message of the given kind.
func (r *Reader) message(kind MessageKind, n int) Message {
	m := Message{Kind: kind, Bytes: r.buf[r.at : r.at+n : r.at+n]}
	r.at += n
	if r.at == len(r.buf) && cap(r.buf) > keptBuffer {
		r.buf, r.at = nil, 0 // m keeps the array alive
	}
	return m
}

// SplitLogin splits one read into a username and a password. It returns false if
// the whole read is a known name, or if it begins with no known name. If it begins
// with several, the longest counts. rest is not empty.
func SplitLogin(read []byte, known func(name []byte) bool) (name, rest []byte, ok bool) {
	if known(read) {
		return nil, nil, false
	}
	for n := len(read) - 1; n > 0; n-- {
		if known(read[:n]) {
			return read[:n], read[n:], true
		}
	}
	return nil, nil, false
}

// ParseCount parses the number of lines of an upload: 1 to 7 digits, a multiple of
// 3. The error is ErrCountDigits or ErrCountThree. It does not check a limit.
func ParseCount(b []byte) (lines int, err error) {
	if len(b) < 1 || len(b) > 7 {
		return 0, ErrCountDigits
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, ErrCountDigits
		}
		lines = lines*10 + int(c-'0')
	}
	if lines%3 != 0 {
		return 0, ErrCountThree
	}
	return lines, nil
}

// Errors about the count of an upload (PROTOCOL.md section 2). The others wrap
// ErrCount.
var (
	ErrCount       = errors.New("no count of lines")
	ErrCountDigits = fmt.Errorf("%w: it is not 1 to 7 digits", ErrCount)
	ErrCountThree  = fmt.Errorf("%w: it is not a multiple of 3", ErrCount)
	ErrCountLimit  = fmt.Errorf("%w: it is above the limit", ErrCount)
)
