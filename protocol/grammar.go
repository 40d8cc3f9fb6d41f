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
	return NameOf(e, "username", "password", "command", "count", "line")
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
	Skipped // bytes that are not part of a command
)

func (k MessageKind) String() string {
	return NameOf(k, "username", "password", "download", "upload", "logout", "count", "line", "skipped")
}

// Message is one message from a phone. Bytes is its text, which is never empty. It is
// valid until the next call of Feed.
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

// keptBuffer is the largest capacity, in bytes, of a buffer that a Reader keeps for
// reuse once all of its bytes have been returned.
const keptBuffer = 64

// Reader splits the bytes of TCP reads into the messages of a phone (PROTOCOL.md
// section 2, "When TCP joins or splits messages"). The expectation decides where a
// message ends. The zero value expects a username.
//
// A server calls Feed with each read, and then Next until it returns false. If a
// message changes the expectation, the server calls Expect before it calls Next again.
// The rest of the read is then split by the new expectation.
type Reader struct {
	buf    []byte
	at     int // buf[:at] has been returned
	expect Expectation
	line   uint8 // kind of the next line: 0 a TempID, 1 a start, 2 an expiry
}

// Expect sets the expectation for the bytes that Next has not returned yet. After
// ExpectLine the first line is a TempID.
func (r *Reader) Expect(e Expectation) { r.expect, r.line = e, 0 }

// Feed adds a copy of one read, usually 1 to MaxMessage bytes.
func (r *Reader) Feed(p []byte) {
	if r.at > 0 {
		n := copy(r.buf, r.buf[r.at:])
		r.buf, r.at = r.buf[:n], 0
	}
	r.buf = append(r.buf, p...)
}

// Next returns the next message, or false if more bytes are needed.
//
// Where a username, a password or a count is expected, Next returns all bytes that have
// arrived as one message. Lines have fixed lengths of 20, 19, 19, 20, … bytes.
//
// Where a command is expected, Next returns the command at the beginning of the bytes.
// It returns false if the bytes are only the beginning of a command. Any other bytes
// are returned as Skipped, up to the next position at which a command or, at the end of
// the bytes, the beginning of a command is found.
func (r *Reader) Next() (Message, bool) {
	b := r.Unread()
	if len(b) == 0 {
		return Message{}, false
	}
	switch r.expect {
	case ExpectLine:
		return r.nextLine(b)
	case ExpectCommand:
		return r.nextCommand(b)
	}
	kinds := [...]MessageKind{ExpectUsername: Username, ExpectPassword: Password, ExpectCount: Count}
	return r.message(kinds[r.expect], len(b)), true
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

// commandAt looks for a command at the beginning of b, which is not empty. begun
// reports whether b begins with a command or is itself the beginning of one. length is
// the length of the command in bytes, or 0 if b ends before the command does.
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

// SplitLogin splits a read in which TCP has joined a username and a password. known
// reports whether a name has an account. name is the longest known name with which the
// read begins. rest is the remainder of the read and is not empty. ok is false if the
// whole read is a known name, or if it begins with no known name.
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

// ParseCount parses the number of lines of an upload: 1 to 7 digits, and a multiple of
// 3. The error is ErrCountDigits or ErrCountThree. The caller checks its own limit and
// reports ErrCountLimit.
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

// Errors about the count of an upload (PROTOCOL.md section 2). All of them match
// ErrCount in errors.Is.
var (
	ErrCount       = errors.New("no count of lines")
	ErrCountDigits = fmt.Errorf("%w: it is not 1 to 7 digits", ErrCount)
	ErrCountThree  = fmt.Errorf("%w: it is not a multiple of 3", ErrCount)
	ErrCountLimit  = fmt.Errorf("%w: it is above the limit", ErrCount)
)
