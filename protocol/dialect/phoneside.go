package dialect

import (
	"fmt"
	"strconv"

	"bluetrace/protocol"
)

// PhoneSide translates between a phone of this project and a foreign server. The host gives each write of the phone to
// Own, and the server's bytes to Peer.
type PhoneSide struct {
	talk
	at     phoneStage
	wrongs int // wrong passwords on this connection
	lines  []string
	count  int // lines of the upload
}

// phoneStage is the message that a PhoneSide expects from its phone, or the steps that it runs.
type phoneStage uint8

const (
	phoneName phoneStage = iota
	phonePassword
	phoneLogin // runs the steps of a login
	phoneOutcome
	phoneAgain
	phoneCommand
	phoneCount
	phoneLines
	phoneDownload
	phoneUpload
	phoneLogout
	phoneOver
)

// NewPhoneSide returns the translator of a new connection.
func NewPhoneSide(d *Dialect) *PhoneSide { return &PhoneSide{talk: talk{d: d, phone: true}} }

// Own handles one write of the phone.
func (p *PhoneSide) Own(now Now, b []byte, out *Outbox) {
	text := string(b)
	switch p.at {
	case phoneName:
		p.v.user, p.at = text, phonePassword
	case phonePassword:
		p.v.password = text
		p.start(now, p.d.Login, phoneLogin, out)
	case phoneAgain:
		p.v.password = text
		p.dropRest()
		p.start(now, p.d.Again, phoneLogin, out)
	case phoneCommand:
		p.command(now, text, out)
	case phoneCount:
		p.count, _ = strconv.Atoi(text) // the phone's own
		p.at = phoneLines
		p.acknowledge(now, out)
	case phoneLines:
		p.lines = append(p.lines, text)
		p.acknowledge(now, out)
	}
}

// dropRest drops what is left of an answer that was recognized by its beginning.
func (p *PhoneSide) dropRest() {
	if k := p.d.Server.Kind; k == Raw || k == Bar {
		p.in = nil
	}
}

func (p *PhoneSide) command(now Now, text string, out *Outbox) {
	p.dropRest()
	switch text {
	case protocol.CommandDownload:
		p.start(now, p.d.Download, phoneDownload, out)
	case protocol.CommandUpload:
		p.lines, p.at = nil, phoneCount
		out.add(ToOwn, []byte(protocol.Ack))
	case protocol.CommandLogout:
		p.start(now, p.d.Logout, phoneLogout, out)
	}
}

// acknowledge answers the phone's count or line, and begins the upload after the last one.
func (p *PhoneSide) acknowledge(now Now, out *Outbox) {
	if len(p.lines) < p.count {
		out.add(ToOwn, []byte(protocol.Ack))
		return
	}
	p.v.entries = nil
	for i := 0; i+2 < len(p.lines); i += 3 {
		e := Entry{TempID: p.lines[i]}
		e.Start, _ = seedTimes.parse(p.lines[i+1], p.d.Zone) // the phone's own
		e.Expiry, _ = seedTimes.parse(p.lines[i+2], p.d.Zone)
		p.v.entries = append(p.v.entries, e)
	}
	p.v.count = len(p.v.entries)
	p.start(now, p.d.Upload, phoneUpload, out)
}

// seedTimes is the layout of PROTOCOL.md section 1.
const seedTimes Layout = "02/01/2006 15:04:05"

func (p *PhoneSide) start(now Now, steps []Step, at phoneStage, out *Outbox) {
	if len(steps) == 0 {
		p.misunderstood(fmt.Sprintf("the dialect %s does not describe what the phone sends now", p.d.Name), out)
		return
	}
	p.at = at
	p.begin(steps)
	p.goOn(now, out)
}

// Peer handles bytes of the server.
func (p *PhoneSide) Peer(now Now, b []byte, out *Outbox) {
	p.receiveBytes(now, b)
	p.goOn(now, out)
}

// Wake handles the end of a pause or of an answer. The host calls it at or after NextWake.
func (p *PhoneSide) Wake(now Now, out *Outbox) {
	p.goOn(now, out)
	if now.Elapsed >= p.quiet {
		p.quiet = 0
	}
}

// goOn runs the steps in progress as far as possible.
func (p *PhoneSide) goOn(now Now, out *Outbox) {
	if p.flooded && p.at != phoneOver {
		p.misunderstood(floodText, out)
	}
	switch p.at {
	case phoneLogin, phoneDownload, phoneUpload, phoneLogout:
	case phoneOutcome:
		p.outcome(now, "", out)
		return
	default:
		return
	}
	s, reason := p.run(now, out)
	switch {
	case s == waiting:
	case p.at == phoneLogin:
		p.at = phoneOutcome
		p.outcome(now, reason, out)
	case s == stuck:
		p.misunderstood(reason, out)
	default:
		p.finish(out)
	}
}

// finish answers the phone after the steps of a command.
func (p *PhoneSide) finish(out *Outbox) {
	was := p.at
	p.at = phoneCommand
	switch was {
	case phoneDownload:
		out.add(ToOwn, []byte(p.v.TempID))
	case phoneUpload:
		out.add(ToOwn, []byte(protocol.Ack))
	case phoneLogout:
		p.at = phoneOver
	}
}

func (p *PhoneSide) misunderstood(reason string, out *Outbox) {
	p.at = phoneOver
	out.misunderstood(reason)
	out.add(EndOwn, nil)
}

// outcome looks for an outcome in the bytes that have arrived. reason is that for which the steps of the login stopped,
// or "".
func (p *PhoneSide) outcome(now Now, reason string, out *Outbox) {
	var found [Outcomes]bool
	var rest []byte
	some, more := false, false
	for o, replies := range p.d.Outcomes {
		for _, reply := range replies {
			t := talk{d: p.d, phone: true, in: p.in, v: p.v}
			t.begin(reply)
			switch s, why := t.run(now, &Outbox{}); {
			case s == waiting:
				more = true
			case s == stuck && reason == "":
				reason = why
			case s == done && (!some || len(t.in) < len(rest)):
				found, some, rest = [Outcomes]bool{}, true, t.in
				found[o] = true
			case s == done && len(t.in) == len(rest):
				found[o] = true
			}
		}
	}
	switch {
	case some && (!more || now.Elapsed >= p.quiet):
		p.in = rest
		p.tell(p.decide(&found), out)
	case !some && (!more || len(p.in) > 0 && now.Elapsed >= p.quiet) && len(p.in) > 0:
		got := p.in[:min(len(p.in), quotedLimit)]
		p.misunderstood(fmt.Sprintf("no known answer to a login: %q (%s)", got, reason), out)
	}
}

// decide returns one of several outcomes that have the same text. The attempts on this connection decide.
func (p *PhoneSide) decide(found *[Outcomes]bool) Outcome {
	if found[NowBlocked] && found[Blocked] && p.wrongs == 0 {
		return Blocked
	}
	for o := range Outcomes {
		if found[o] {
			return o
		}
	}
	return Wrong
}

// tell reports an outcome, and answers the phone with the text that PROTOCOL.md has for it.
func (p *PhoneSide) tell(o Outcome, out *Outbox) {
	out.attempted(o)
	switch o {
	case Welcome:
		p.at = phoneCommand
		out.add(ToOwn, []byte(protocol.Welcome))
	case Wrong, Unknown:
		p.at = phoneAgain
		p.wrongs++
		out.add(ToOwn, []byte(protocol.TryAgain))
	case NowBlocked, Blocked:
		text := protocol.IsBlocked
		if o == NowBlocked {
			text = protocol.NowBlocked
		}
		p.at = phoneOver // the phone hangs up; the server need not
		out.add(ToOwn, []byte(text))
	default:
		p.at = phoneOver
		out.add(EndOwn, nil)
	}
}
