package nodes

import (
	"time"

	"bluetrace/protocol"
)

// typedUsername takes the answer to the first prompt; it leaves as soon as there
// is a connection.
func (p *Phone) typedUsername(now Now, line string, out *PhoneOutbox) {
	if !sendable(line, out) {
		out.prompt(promptUsername)
		return
	}
	p.session.user = line
	if p.link == linkOnline {
		p.sendUsername(now, out)
	}
	out.prompt(promptPassword)
}

func (p *Phone) typedPassword(now Now, line string, out *PhoneOutbox) {
	if !sendable(line, out) {
		out.prompt(promptPassword)
		return
	}
	p.session.password = line
	p.passwordWhenDue(now, out)
}

// sendable says whether a typed line can be one message.
func sendable(line string, out *PhoneOutbox) bool {
	if len(line) > protocol.MaxMessage {
		out.print(textTooLong)
	}
	return line != "" && len(line) <= protocol.MaxMessage
}

func (p *Phone) sendUsername(now Now, out *PhoneOutbox) {
	s := p.session
	p.send(s.user, out)
	s.nameSent, s.nameAt = true, now.Elapsed
	p.passwordWhenDue(now, out)
}

// passwordWhenDue sends the password once the peer has had its pause to take the
// username (PROTOCOL.md section 2), now or later.
func (p *Phone) passwordWhenDue(now Now, out *PhoneOutbox) {
	s := p.session
	if s.password == "" || !s.nameSent {
		return
	}
	p.timer, p.timerAt = timerPassword, later(s.nameAt, p.pause())
	p.ring(now, out)
}

func (p *Phone) pause() time.Duration {
	if p.session.retried {
		return p.settings.RetryPause
	}
	return p.settings.PasswordPause
}

func (p *Phone) sendPassword(now Now, out *PhoneOutbox) {
	s := p.session
	if !s.passwordSent {
		s.passwordSent, s.began = true, now.Elapsed
	}
	p.send(s.password, out)
	p.await(now)
}

// loginUnanswered connects a second time, with a longer pause: the peer may have
// read username and password as one message. It does so once in a session.
func (p *Phone) loginUnanswered(now Now, out *PhoneOutbox) {
	s := p.session
	if s.retried {
		p.end(now, OutcomeNoAnswer, textNoAnswer, out)
		return
	}
	p.hangUp(out)
	s.retried, s.nameSent = true, false
	s.replies.Reset()
	p.connect(out)
}

func (p *Phone) loginAnswer(now Now, b []byte, out *PhoneOutbox) {
	s := p.session
	reply := s.replies.Login(b)
	switch {
	case reply == protocol.NoReply:
	case reply == protocol.ReplyNowBlocked:
		p.end(now, OutcomeBlocked, protocol.NowBlocked, out)
	case reply == protocol.ReplyIsBlocked:
		p.end(now, OutcomeBlocked, protocol.IsBlocked, out)
	case p.timer != timerAnswer: // no password is out
		p.strange(now, b, out)
	case reply == protocol.ReplyWelcome:
		out.print(protocol.Welcome)
		p.ready(now, OutcomeOK, out)
	case reply == protocol.ReplyTryAgain:
		p.tryAgain(now, out)
	default:
		p.strange(now, b, out)
	}
}

func (p *Phone) tryAgain(now Now, out *PhoneOutbox) {
	out.print(protocol.TryAgain)
	p.report(OutcomeWrongPassword, out)
	p.timer = timerNone
	p.session.password, p.session.passwordSent = "", false
	out.prompt(promptPassword)
	p.takeTypedAhead(now, out)
}
