package protocol

// Expecting is what a server's session waits for.
type Expectation uint8

// What a Reader may expect.
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

// MessageKind is what one Message is.
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

// Message is one message of a phone. Bytes is never empty, and valid until the
// next Feed.
type Message struct {
	Kind  MessageKind
	Bytes []byte
}

// commands is every command; none is the beginning of another.
var commands = [...]struct {
	text string
	kind MessageKind
}{
	{CommandDownload, Download},
	{CommandUpload, Upload},
	{CommandLogout, Logout},
	{CommandLogoutJoined, Logout},
}

// keptBuffer is the largest buffer, in bytes, that a Reader keeps while it is empty.
const keptBuffer = 64

// Reader is the server's side of "When TCP joins or splits messages"
// (PROTOCOL.md section 2): what it expects says where a message ends. The zero
// value expects a username. It is used in turns: Feed with one read, then Next
// until it answers false, with an Expect wherever a message changes what comes
// next; what is left of a read then belongs to the new expectation.
type Reader struct {
	buf    []byte
	at     int // buf[:at] has been taken
	expect Expectation
	line   uint8 // of the next line: 0 a TempID, 1 a start, 2 an expiry
}

// Expect changes what the following bytes are. Lines begin at a TempID.
func (r *Reader) Expect(e Expectation) { r.expect, r.line = e, 0 }

// Feed takes one read, usually 1 to MaxMessage bytes. p is copied.
func (r *Reader) Feed(p []byte) {
	if r.at > 0 {
		n := copy(r.buf, r.buf[r.at:])
		r.buf, r.at = r.buf[:n], 0
	}
	r.buf = append(r.buf, p...)
}

// Next returns the next message, or false when it needs more bytes.
//
// A username, a password and a count are whatever there is, "one read each".
// A line has the length of its turn: 20, 19, 19, 20, … bytes. Where a command is
// expected, the shortest run of bytes comes as Skipped after which a command, or
// at the end the beginning of one (or nothing), stands.
func (r *Reader) Next() (Message, bool) {
	b := r.Unread()
	if len(b) == 0 {
		return Message{}, false
	}
	switch r.expect {
	case ExpectUsername:
		return r.take(Username, len(b)), true
	case ExpectPassword:
		return r.take(Password, len(b)), true
	case ExpectCount:
		return r.take(Count, len(b)), true
	case ExpectLine:
		return r.nextLine(b)
	default:
		return r.nextCommand(b)
	}
}

// Rest is what has come and not been returned by Next; valid until the next
// Feed.
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
	return r.take(Line, n), true
}

func (r *Reader) nextCommand(b []byte) (Message, bool) {
	for skip := range b {
		kind, length, begun := commandAt(b[skip:])
		if !begun {
			continue
		}
		if skip > 0 {
			return r.take(Skipped, skip), true
		}
		if length == 0 {
			return Message{}, false
		}
		return r.take(kind, length), true
	}
	return r.take(Skipped, len(b)), true
}

// commandAt says whether b begins with a command or is the beginning of one;
// length is 0 in the second case.
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

func (r *Reader) take(kind MessageKind, n int) Message {
	m := Message{Kind: kind, Bytes: r.buf[r.at : r.at+n : r.at+n]}
	r.at += n
	if r.at == len(r.buf) && cap(r.buf) > keptBuffer {
		r.buf, r.at = nil, 0 // m keeps the array for as long as it is needed
	}
	return m
}

// SplitLogin finds a username and a password in one read. It answers false when
// the read is a known name itself or begins with none; of several names at its
// beginning the longest counts. rest is never empty.
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

// ParseCount reads how many lines an upload has: 1 to 7 digits, a multiple of 3.
// The error is ErrCountDigits or ErrCountThree. The limit is the server's.
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
