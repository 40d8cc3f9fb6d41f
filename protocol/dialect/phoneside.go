package dialect

import (
	"fmt"
	"slices"
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
func NewPhoneSide(d *Dialect) *PhoneSide {
	p := &PhoneSide{talk: talk{d: d, phone: true}}
	p.goOn = p.runSteps
	return p
}

// NewBeaconSide returns the translator of the beacons of a UDP socket. The dialect has a Beacon.
func NewBeaconSide(d *Dialect) *BeaconSide {
	own := *d
	if d.BeaconTimes != "" {
		own.Times = d.BeaconTimes
	}
	return &BeaconSide{d: &own, sending: map[protocol.Address]*exchange{}, receiving: map[protocol.Address]*exchange{}}
}

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
	if !p.d.Server.IsMarked() {
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
		e.Start, _ = seedTimes.Parse(p.lines[i+1], p.d.Zone) // the phone's own
		e.Expiry, _ = seedTimes.Parse(p.lines[i+2], p.d.Zone)
		p.v.entries = append(p.v.entries, e)
	}
	p.v.count = len(p.v.entries)
	if p.v.count == 0 && len(p.d.Upload) > 0 && !p.sendsEmptyUpload() {
		p.at = phoneCommand
		out.add(ToOwn, []byte(protocol.Ack))
		return
	}
	p.start(now, p.d.Upload, phoneUpload, out)
}

// sendsEmptyUpload reports whether an upload without entries begins with bytes of the phone. Otherwise the server does
// not know of it, and does not answer.
func (p *PhoneSide) sendsEmptyUpload() bool {
	first := firstSent(p.d.Upload, false)
	return first != nil &&
		(first.Kind == SendInt || len(p.d.Client.append(nil, first.Text.appendTo(nil, &p.v, p.d))) > 0)
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

// Reconnects reports whether the phone's next message goes over a connection of its own, so that the server may end
// this one.
func (p *PhoneSide) Reconnects() bool {
	return p.at == phoneAgain && p.d.Again[0].Kind == Reconnect
}

// runSteps runs the steps in progress as far as possible.
func (p *PhoneSide) runSteps(now Now, out *Outbox) {
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
	answer := protocol.Ack
	switch s, reason := p.run(now, out); {
	case s == waiting:
		return
	case p.at == phoneLogin:
		p.at = phoneOutcome
		p.outcome(now, reason, out)
		return
	case s == stuck:
		p.misunderstood(reason, out)
		return
	case p.at == phoneLogout:
		p.at = phoneOver
		return
	case p.at == phoneDownload:
		answer = p.v.TempID
	}
	p.at = phoneCommand
	out.add(ToOwn, []byte(answer))
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
	return Outcome(slices.Index(found[:], true))
}

// tell reports an outcome, and answers the phone with the text that PROTOCOL.md has for it.
func (p *PhoneSide) tell(o Outcome, out *Outbox) {
	out.attempted(o)
	switch o {
	case Welcome:
		p.at = phoneCommand
	case Wrong, Unknown:
		p.at = phoneAgain
		p.wrongs++
	default:
		p.at = phoneOver // the phone hangs up; the server need not
	}
	if o == Already {
		out.add(EndOwn, nil)
		return
	}
	out.add(ToOwn, []byte(seedAnswers[o]))
}
