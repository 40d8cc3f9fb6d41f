package check

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/sim/event"
)

// prints is the model of the output of the server (PROTOCOL.md section 2): the lines that each start, login, download
// and logout prints, in the order of the answers. The block of an upload belongs to uploads and tempIDs. Other lines
// are messages, which must contain nothing secret.
type prints struct {
	v         *Invariants
	listening bool                  // the server has printed that it is listening
	owed      string                // the line that the last answer calls for; empty if none
	leaving   string                // the user whose logout was printed before the close of a session; empty if none
	sessions  map[uint64]nodes.Conn // by the number of the connection
	secrets   []string              // passwords and unknown names that were sent
}

// maxSecrets is the number of secrets that are searched in each message: the last ones.
const maxSecrets = 64

// minSecret is the least length in bytes of a secret: a shorter text may be in a message by chance.
const minSecret = 6

func (p *prints) subscribe(s *event.Stream) {
	p.sessions = map[uint64]nodes.Conn{}
	s.On(event.Accepted, p.accepted)
	s.On(event.ServerRead, p.read)
	s.On(event.ServerSent, p.sent)
	s.On(event.ServerEnded, p.ended)
	s.On(event.ServerPrinted, p.printed)
	s.On(event.StoreAsked, p.stored)
	s.On(event.ServerStopped, func(*event.Event) { p.listening, p.owed, p.leaving = false, "", "" })
}

// checkOwed checks that the server has printed the line of its last answer, and has closed the session whose logout it
// has printed.
func (p *prints) checkOwed(at time.Duration) {
	if p.owed != "" {
		p.violate(at, "the server prints "+strconv.Quote(p.owed), "nothing")
	}
	if p.leaving != "" {
		p.violate(at, "a session of "+p.leaving+" ends, whose logout was printed", "it goes on")
	}
	p.owed, p.leaving = "", ""
}

func (p *prints) violate(at time.Duration, expected, found string) {
	p.v.violate(LinesPrinted, int64(at), -1, expected, found)
}

func (p *prints) accepted(e *event.Event) {
	p.checkOwed(e.At)
	p.sessions[e.Conn] = e.Slot
	if !p.listening {
		p.violate(e.At, "the server prints \"I am listening\" before it accepts a connection", "nothing")
	}
}

// read remembers what must not be printed: passwords, and names without an account.
func (p *prints) read(e *event.Event) {
	p.checkOwed(e.At)
	a := &p.v.accounts
	text := string(e.Bytes)
	if a.session(e.Slot).stage == inSession || a.exists(text) || !p.tells(text) {
		return
	}
	if !slices.Contains(p.secrets, text) {
		p.secrets = append(p.secrets[max(0, len(p.secrets)-maxSecrets+1):], text)
	}
}

// tells reports whether a text that was sent before a login would reveal a secret: it is long, it has a letter and a
// digit, and it is not a part of the name of an account.
func (p *prints) tells(text string) bool {
	if len(text) < minSecret || !strings.ContainsFunc(text, unicode.IsLetter) ||
		!strings.ContainsFunc(text, unicode.IsDigit) {
		return false
	}
	for name, acc := range p.v.accounts.names {
		if acc.exists && strings.Contains(name, text) {
			return false
		}
	}
	return true
}

// sent works out the line that follows an answer. The models of logins and TempIDs have handled the answer already.
func (p *prints) sent(e *event.Event) {
	p.checkOwed(e.At)
	s := p.v.accounts.session(e.Slot)
	switch text := string(e.Bytes); {
	case s.stage != inSession:
	case text == protocol.Welcome:
		p.owed = "users: " + s.name
	case len(text) == protocol.TempIDSize:
		p.owed = "user: " + s.name + "\nTempID:\n" + text
	}
}

// ended compares the end of a session with the logout that was printed.
func (p *prints) ended(e *event.Event) {
	if !e.Closed {
		return
	}
	leaving := p.leaving
	p.leaving = ""
	p.checkOwed(e.At)
	expected := ""
	if slot, ok := p.sessions[e.Conn]; ok && p.v.accounts.session(slot).stage == inSession {
		expected = p.v.accounts.session(slot).name
	}
	delete(p.sessions, e.Conn)
	if leaving != expected {
		p.violate(e.At, logoutText(expected), logoutText(leaving))
	}
}

func logoutText(user string) string {
	if user == "" {
		return "no logout is printed before the session ends"
	}
	return strconv.Quote(user+" logout") + " is printed before the session ends"
}

// printed compares a text with the line that is owed, and searches it for secrets.
func (p *prints) printed(e *event.Event) {
	p.checkText(e)
	lines := strings.Split(e.Text, "\n")
	user, leaves := strings.CutSuffix(e.Text, " logout")
	switch {
	case e.Text == p.owed:
		p.v.evaluated[LinesPrinted]++
		p.owed = ""
		return
	case e.Text == "I am listening":
		p.v.evaluated[LinesPrinted]++
		if p.listening {
			p.violate(e.At, "the server prints once that it listens", strconv.Quote(e.Text))
		}
		p.listening = true
		return
	case leaves && p.isEvent(e.Text):
		p.v.evaluated[LinesPrinted]++
		p.checkOwed(e.At)
		p.leaving = user
		return
	case strings.HasPrefix(e.Text, uploadHead):
		lines = lines[1:]
	default:
		p.checkMessage(e)
	}
	if i := slices.IndexFunc(lines, p.isEvent); i >= 0 {
		p.violate(e.At, "no line of a login, a download or a logout without its event", strconv.Quote(lines[i]))
	}
}

// isEvent reports whether a line is that of a login, a download or a logout.
func (p *prints) isEvent(line string) bool {
	return strings.HasPrefix(line, "users: ") || strings.HasPrefix(line, "user: ") || line == "TempID:" ||
		strings.HasSuffix(line, " logout") && !strings.Contains(line, ": ")
}

// checkText checks that a text has no byte that a terminal would execute.
func (p *prints) checkText(e *event.Event) {
	p.v.evaluated[NothingSecret]++
	raw := func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }
	if strings.ContainsFunc(e.Text, raw) || !utf8.ValidString(e.Text) {
		p.v.violate(NothingSecret, int64(e.At), -1, "printable text and line feeds only", strconv.Quote(e.Text))
	}
}

// checkMessage searches a message for secrets. A message that quotes bytes of a session is left out: the user of that
// session has sent them as a command.
func (p *prints) checkMessage(e *event.Event) {
	if strings.Contains(e.Text, `"`) {
		return
	}
	for _, secret := range p.secrets {
		if strings.Contains(e.Text, secret) {
			p.v.violate(NothingSecret, int64(e.At), -1, "no password and no unknown name in "+strconv.Quote(e.Text),
				strconv.Quote(secret))
		}
	}
}

// stored checks that a record names an account only: an unknown name is stored as a hash.
func (p *prints) stored(e *event.Event) {
	for i := range e.Records {
		user := e.Records[i].Attempts.User
		if e.Records[i].Kind == nodes.RecordIssue {
			user = e.Records[i].Issue.User
		}
		p.v.evaluated[NothingSecret]++
		if user != "" && !p.v.accounts.exists(user) {
			p.v.violate(NothingSecret, int64(e.At), -1, "no name without an account is stored in clear",
				strconv.Quote(user))
		}
	}
}
