package check

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/sim/event"
)

// programs is the model of the programs of the phones (PROTOCOL.md section 4). In a
// session, a program sends each typed command once. For an upload it sends a count and
// as many lines. A program that has downloaded a TempID always has one. An answer that comes after the program
// has given
// it up answers no later command. After each request a program reads an answer, or tells its user within the
// limit of one
// answer that there is none. Half of an answer is none.
type programs struct {
	v       *Invariants
	byPhone []program
}

// program is the model of one program.
type program struct {
	conn        nodes.Conn
	linesToCome int32                // of an upload: lines that it has not sent
	typed       [len(commands)]uint8 // the number of each command that was typed and not sent
	downloads   int32                // commands to download that it has sent on this connection
	answered    int32                // of them, those up to the last whose answer it has printed
	uploadSends int32                // messages of uploads that it has sent on this connection
	countToCome bool                 // it has sent the command of an upload, and not the count
	hasConn     bool                 // conn is known
	hasTempID   bool                 // it printed a TempID
	named       bool                 // it has sent a name on its connection
	awaits      bool                 // its last text has no answer yet
	since       time.Duration        // elapsed time of the clock of the phone at which it sent that text
}

// answerLimit is the time within which an answer must come (PROTOCOL.md sections 2 and 4).
const answerLimit = 10 * time.Second

// commands are the commands that a program sends.
var commands = [...]string{protocol.CommandDownload, protocol.CommandUpload, protocol.CommandLogout}

// commandOf returns the index of a command in commands, or -1 if the text is not a command.
func commandOf(text string) int { return slices.Index(commands[:], text) }

// of returns the program of a phone.
func (ps *programs) of(phone uint32) *program {
	if n := int(phone) + 1 - len(ps.byPhone); n > 0 {
		ps.byPhone = append(ps.byPhone, make([]program, n)...)
	}
	return &ps.byPhone[phone]
}

// continueWith replaces the session of a program. Its TempID stays.
func (p *program) continueWith(session program) {
	session.hasTempID = p.hasTempID
	*p = session
}

// typeLine records a line that is typed at the prompt.
func (p *program) typeLine(line string) {
	if line == protocol.CommandLogoutJoined {
		line = protocol.CommandLogout
	}
	if c := commandOf(line); c >= 0 && p.typed[c] < math.MaxUint8 {
		p.typed[c]++
	}
}

// connects handles a new connection of the program.
func (p *program) connects(conn nodes.Conn) {
	*p = program{conn: conn, hasConn: true, typed: p.typed, hasTempID: p.hasTempID}
}

// told handles an event by which the user learns the result of the last request, or by which the program goes on.
func (ps *programs) told(e *event.Event) {
	ps.checkWait(int64(e.At), e.Node)
	ps.of(e.Node).awaits = false
}

// checkWait checks that a program does not wait for longer than the limit. A phone that was paused answers late.
func (ps *programs) checkWait(at int64, phone event.Node) {
	p := ps.of(phone)
	if !p.awaits || ps.v.paused[phone] {
		return
	}
	ps.v.evaluated[AnswersCome]++
	if waited := ps.v.elapsed(at, phone) - p.since; waited > answerLimit+ps.v.rounding(phone) {
		ps.v.violate(AnswersCome, at, int(phone),
			fmt.Sprintf("an answer to the request of %s of its clock, or a message to its user, within %s", p.since,
				answerLimit),
			fmt.Sprintf("none for %s", waited))
	}
}

// Texts of a program: the line before the digits of a TempID, and the answer to a
// beacon command without a TempID.
const (
	printedTempID = "TempID:\n"
	printedNone   = "you do not have valid tempid"
)

// printed checks that a program is not refused for lacking a TempID after
// its first download, whether the TempID has expired or not, and that a TempID
// that it prints is the answer to its last download.
func (ps *programs) printed(e *event.Event) {
	switch {
	case strings.HasPrefix(e.Text, printedTempID):
		ps.printedTempID(e)
	case e.Text == printedNone:
		ps.v.evaluated[TempIDStays]++
		if ps.of(e.Node).hasTempID {
			ps.v.violate(TempIDStays, int64(e.At), int(e.Node), "the beacon of its TempID", strconv.Quote(e.Text))
		}
	}
}

// sent checks that a program sends in its session the command that was
// typed, or the next part of its upload.
func (ps *programs) sent(e *event.Event) {
	if e.Scripted {
		return
	}
	ps.told(e)
	at := int64(e.At)
	p, text := ps.of(e.Node), string(e.Bytes)
	p.awaits, p.named, p.since = ps.v.follows && p.named, true, ps.v.elapsed(at, e.Node)
	if !p.hasConn {
		return // it has no session yet
	}
	s := ps.v.accounts.session(p.conn)
	if s.stage != inSession || s.retried && p.mayBePassword(text) {
		return
	}
	if p.owes(0) && (p.countToCome || p.linesToCome > 0) {
		ps.checkAnswer(at, e.Node, s.sentAcks >= p.uploadSends, "nothing before the last message is acknowledged", text)
	}
	ps.v.evaluated[CommandsSentOnce]++
	if expected := p.send(text); expected != "" {
		ps.v.violate(CommandsSentOnce, at, int(e.Node), expected, strconv.Quote(text))
	}
}

// printedTempID checks that a TempID answers the last download of the program if
// earlier ones were unanswered.
func (ps *programs) printedTempID(e *event.Event) {
	p := ps.of(e.Node)
	p.hasTempID = true
	if s := ps.v.accounts.session(p.conn); p.owes(1) && p.hasConn && s.stage == inSession {
		own := s.sentTempIDs == p.downloads && e.Text == printedTempID+s.lastTempID.String()
		expected := fmt.Sprintf("the answer to download %d of its connection", p.downloads)
		ps.checkAnswer(int64(e.At), e.Node, own, expected, e.Text)
	}
	p.answered = p.downloads
}

// owes reports whether more than n downloads of the connection are unanswered.
func (p *program) owes(n int32) bool { return p.downloads-p.answered > n }

// checkAnswer evaluates OwedAnswers for a text that a phone's program sends or prints
// after an answer. own reports whether the answer was that of its command.
func (ps *programs) checkAnswer(at int64, phone event.Node, own bool, expected, text string) {
	ps.v.evaluated[OwedAnswers]++
	if !own {
		ps.v.violate(OwedAnswers, at, int(phone), expected, strconv.Quote(text))
	}
}

// mayBePassword reports whether a text can be a password. If a password arrives in
// pieces, the server can welcome a program that still answers an earlier "try
// again".
func (p *program) mayBePassword(text string) bool {
	return commandOf(text) < 0 && !p.countToCome && p.linesToCome == 0
}

// send follows a text that the program sends. It returns the expected text if this
// is not it.
func (p *program) send(text string) (expected string) {
	switch c := commandOf(text); {
	case p.countToCome:
		p.countToCome = false
		p.uploadSends++
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > math.MaxInt32 || n%linesPerEntry != 0 {
			return "a count of lines"
		}
		p.linesToCome = int32(n)
	case p.linesToCome > 0:
		size := protocol.TimeSize
		if p.linesToCome%linesPerEntry == 0 {
			size = protocol.TempIDSize
		}
		p.linesToCome--
		p.uploadSends++
		if len(text) != size {
			return fmt.Sprintf("a line of %d bytes, with %d more lines to come", size, p.linesToCome)
		}
	case c < 0 || p.typed[c] == 0:
		return "no command that was not typed, or was sent before"
	default:
		p.typed[c]--
		switch text {
		case protocol.CommandDownload:
			p.downloads++
		case protocol.CommandUpload:
			p.countToCome = true
			p.uploadSends++
		}
	}
	return ""
}
