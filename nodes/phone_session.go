package nodes

import (
	"time"

	"bluetrace/protocol"
)

// link is the phone's TCP connection.
type link uint8

const (
	linkNone       link = iota
	linkConnecting      // PhoneConnect is out
	linkOnline
)

// session is what a phone needs while it logs in, waits for an answer, or has
// lines typed ahead.
type session struct {
	user, password string
	nameSent       bool
	passwordSent   bool
	retried        bool // the second connection of one login
	inputEnded     bool
	op             Operation
	nameAt         time.Duration // when the username was sent
	began          time.Duration // when the request was first sent
	replies        protocol.ReplyReader
	ahead          []string // typed while an answer was awaited
	upload         *outgoing
}

// typedAheadLimit is how many lines wait for the next prompt.
const typedAheadLimit = 64

// Open starts the program's session, or starts it again: it connects and asks
// for the username. The log, what is being assembled and the TempID stay.
//
// Connected, ConnectFailed, Read and Closed are about the last PhoneConnect:
// after PhoneCloseTCP the host brings nothing more of that connection.
func (p *Phone) Open(now Now, out *PhoneOutbox) {
	p.due(now, out)
	if p.awaiting() {
		p.report(OutcomeConnectionLost, out)
	}
	p.hangUp(out)
	p.stage, p.timer = StageConnecting, timerNone
	p.session = &session{}
	p.connect(out)
	out.prompt(promptUsername)
}

// Connected says that the connection is there.
func (p *Phone) Connected(now Now, out *PhoneOutbox) {
	p.due(now, out)
	if p.link != linkConnecting {
		return
	}
	p.link = linkOnline
	if p.session.user != "" {
		p.sendUsername(now, out)
	}
}

// ConnectFailed says that there will be none, and why in a few words.
func (p *Phone) ConnectFailed(now Now, reason string, out *PhoneOutbox) {
	p.due(now, out)
	if p.link != linkConnecting {
		return
	}
	p.link = linkNone
	p.end(now, OutcomeConnectionLost, textNoConnection+reason, out)
}

// Closed says that the server ended the connection, or that it broke.
func (p *Phone) Closed(now Now, out *PhoneOutbox) {
	p.due(now, out)
	if p.link != linkOnline {
		return
	}
	text := textLost
	if p.uploading() {
		text = textLostUpload
	}
	p.end(now, OutcomeConnectionLost, text, out)
}

// Read takes bytes from the server; an answer may come in pieces.
func (p *Phone) Read(now Now, b []byte, out *PhoneOutbox) {
	p.due(now, out)
	if p.link != linkOnline {
		return
	}
	switch {
	case p.stage == StageConnecting:
		p.loginAnswer(now, b, out)
	case p.uploading():
		p.uploadAnswer(now, b, out)
	case p.stage == StageBusy:
		p.downloadAnswer(now, b, out)
	}
}

// Stage is where the program stands.
func (p *Phone) Stage() Stage {
	switch s := p.session; {
	case p.stage != StageConnecting:
		return p.stage
	case s.user != "" && s.password != "":
		return StageWaitingLogin
	case p.link != linkOnline:
		return StageConnecting
	case s.user == "":
		return StageAtUsername
	default:
		return StageAtPassword
	}
}

func (p *Phone) uploading() bool {
	return p.stage == StageBusy && p.session.op == OpUpload
}

// awaiting says whether an operation is under way that must end with a
// PhoneDone.
func (p *Phone) awaiting() bool {
	return p.stage == StageBusy || p.stage == StageConnecting
}

func (p *Phone) connect(out *PhoneOutbox) {
	p.link = linkConnecting
	out.add(PhoneConnect)
}

// hangUp closes the connection if there is or may be one.
func (p *Phone) hangUp(out *PhoneOutbox) {
	if p.link != linkNone {
		p.link = linkNone
		out.add(PhoneCloseTCP)
	}
}

func (p *Phone) send(text string, out *PhoneOutbox) {
	out.add(PhoneSendTCP).Bytes = []byte(text)
}

// ask sends a request of the command stage, and waits for its answer.
func (p *Phone) ask(now Now, op Operation, text string, out *PhoneOutbox) {
	s := p.inSession()
	s.op, s.began = op, now.Elapsed
	s.replies.Reset()
	p.stage = StageBusy
	p.send(text, out)
	p.await(now)
}

func (p *Phone) await(now Now) {
	p.timer, p.timerAt = timerAnswer, later(now.Elapsed, p.settings.AnswerLimit)
}

// inSession is the session, begun if there is none.
func (p *Phone) inSession() *session {
	if p.session == nil {
		p.session = &session{}
	}
	return p.session
}

// report says how the operation under way ended.
func (p *Phone) report(outcome Outcome, out *PhoneOutbox) {
	s, entries := p.session, 0
	if s.upload != nil {
		entries = len(s.upload.entries)
	}
	out.done(s.op, outcome, s.began, entries)
}

// ready returns to the command prompt after an operation.
func (p *Phone) ready(now Now, outcome Outcome, out *PhoneOutbox) {
	p.report(outcome, out)
	p.stage, p.timer = StageReady, timerNone
	p.forget()
	out.prompt(promptCommand)
	p.takeTypedAhead(now, out)
}

// end leaves the phone offline, with a sentence and, when an operation was under
// way, its outcome.
func (p *Phone) end(now Now, outcome Outcome, text string, out *PhoneOutbox) {
	out.print(text)
	p.hangUp(out)
	if p.awaiting() {
		if !p.session.passwordSent && p.stage == StageConnecting {
			p.session.began = now.Elapsed
		}
		p.report(outcome, out)
	}
	p.stage, p.timer = StageOffline, timerNone
	p.forget()
	p.takeTypedAhead(now, out)
}

// forget drops what only the last operation needed.
func (p *Phone) forget() {
	s := p.session
	if s == nil {
		return
	}
	if len(s.ahead) == 0 && !s.inputEnded {
		p.session = nil
		return
	}
	p.session = &session{ahead: s.ahead, inputEnded: s.inputEnded}
}

// ring does what the phone's timer was set for.
func (p *Phone) ring(now Now, out *PhoneOutbox) {
	if p.timer == timerNone || now.Elapsed < p.timerAt {
		return
	}
	due := p.timer
	p.timer = timerNone
	switch {
	case due == timerPassword:
		p.sendPassword(now, out)
	case p.stage == StageConnecting:
		p.loginUnanswered(now, out)
	case p.uploading():
		// The server may still be in the middle: the session cannot go on.
		p.end(now, OutcomeNoAnswer, textNoAnswer, out)
	default:
		out.print(textNoAnswer)
		p.ready(now, OutcomeNoAnswer, out)
	}
}

// strange ends a session whose answers are not those of the protocol.
func (p *Phone) strange(now Now, b []byte, out *PhoneOutbox) {
	text := protocol.AppendField([]byte(textStrange), b, false)
	p.end(now, OutcomeUnexpectedAnswer, string(text), out)
}
