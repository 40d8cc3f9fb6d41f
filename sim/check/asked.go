package check

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"bluetrace/nodes"
	"bluetrace/protocol"
)

// asked is the model of what the programs of phones send in a session: the
// commands that were typed, each once, and of an upload its count and as many
// lines, each once and in their order (PROTOCOL.md section 4: never retried by
// itself).
type asked struct{ programs []program }

// program is one of a phone.
type program struct {
	conn  nodes.Conn
	lines int32           // of an upload that are still to come
	typed [commands]uint8 // that it has not sent yet
	// upload: its count comes next.
	upload    bool
	connected bool // conn is known
	hasID     bool // it has shown a TempID
}

// The commands that a program sends.
const (
	askDownload = iota
	askUpload
	askLogout
	commands // their number
)

// commandOf is which command a line is; commands: none.
func commandOf(line string) int {
	switch line {
	case protocol.CommandDownload:
		return askDownload
	case protocol.CommandUpload:
		return askUpload
	case protocol.CommandLogout:
		return askLogout
	}
	return commands
}

func (a *asked) of(phone uint32) *program {
	if n := int(phone) + 1 - len(a.programs); n > 0 {
		a.programs = append(a.programs, make([]program, n)...)
	}
	return &a.programs[phone]
}

// PhoneOpened follows the start of a program's session: what was typed before it
// is forgotten, and its TempID is not.
func (v *Invariants) PhoneOpened(_ int64, phone uint32) { v.asked.of(phone).moves(program{}) }

// moves has a program go on with a session; its TempID stays.
func (a *program) moves(session program) {
	session.hasID = a.hasID
	*a = session
}

// PhoneTyped follows what is typed at a program's prompt.
func (v *Invariants) PhoneTyped(_ int64, phone uint32, line string) {
	if line == protocol.CommandLogoutJoined {
		line = protocol.CommandLogout
	}
	p := v.asked.of(phone)
	if c := commandOf(line); c < commands && p.typed[c] < math.MaxUint8 {
		p.typed[c]++
	}
}

// PhoneConnects follows a new connection of a program.
func (v *Invariants) PhoneConnects(_ int64, phone uint32, conn nodes.Conn) {
	p := v.asked.of(phone)
	p.conn, p.connected, p.upload, p.lines = conn, true, false, 0
	v.accounts.drop(conn)
}

// SessionMoved follows a program that goes on with the session of another.
func (v *Invariants) SessionMoved(_ int64, to, from uint32) {
	moved := *v.asked.of(from)
	v.asked.of(from).moves(program{})
	v.asked.of(to).moves(moved)
}

// What a program prints before the digits of a TempID, and when it has none.
const (
	printedTempID = "TempID:\n"
	printedNone   = "you do not have valid tempid"
)

// PhonePrinted follows a program's screen: it has no TempID before the first
// download, and one from then on, expired or not (PROTOCOL.md section 4), for as
// long as it runs.
func (v *Invariants) PhonePrinted(at int64, phone uint32, text string) {
	switch {
	case strings.HasPrefix(text, printedTempID):
		v.asked.of(phone).hasID = true
	case text == printedNone:
		v.times[TempIDStays]++
		if v.asked.of(phone).hasID {
			v.violate(TempIDStays, at, int(phone), "the beacon of its TempID", strconv.Quote(text))
		}
	}
}

// PhoneSent follows what a program sends, as it sends it.
func (v *Invariants) PhoneSent(at int64, phone uint32, p []byte) {
	a := v.asked.of(phone)
	if !a.connected {
		return // it logs in
	}
	s := v.accounts.session(a.conn)
	if s.stage != inSession || s.again && a.atPassword(string(p)) {
		return
	}
	v.times[AskedOnce]++
	if expected := a.sends(string(p)); expected != "" {
		v.violate(AskedOnce, at, int(phone), expected, fmt.Sprintf("%q", p))
	}
}

// atPassword: what is sent may be a password. Of one that came in pieces the last
// may have been the right one, of which the program, told to try again, has not
// heard.
func (a *program) atPassword(text string) bool {
	return commandOf(text) == commands && !a.upload && a.lines == 0
}

// sends says what should have been sent instead.
func (a *program) sends(text string) (expected string) {
	switch c := commandOf(text); {
	case a.upload:
		a.upload = false
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > math.MaxInt32 || n%linesOfEntry != 0 {
			return "a count of lines"
		}
		a.lines = int32(n)
	case a.lines > 0:
		size := protocol.TimeSize
		if a.lines%linesOfEntry == 0 {
			size = protocol.TempIDSize
		}
		a.lines--
		if len(text) != size {
			return fmt.Sprintf("a line of %d bytes, with %d more lines to come", size, a.lines)
		}
	case c == commands || a.typed[c] == 0:
		return "nothing that was not typed, or was sent before"
	default:
		a.typed[c]--
		a.upload = c == askUpload
	}
	return ""
}
