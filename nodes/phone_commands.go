package nodes

import (
	"net/netip"
	"strconv"
	"strings"

	"bluetrace/protocol"
)

// Typed takes one line, without its line end. While an answer is awaited it is
// kept for the next prompt, up to 64 lines; after log out it is ignored
// (PROTOCOL.md section 4).
func (p *Phone) Typed(now Now, line string, out *PhoneOutbox) {
	p.due(now, out)
	if p.atPrompt() {
		p.take(now, line, out)
		return
	}
	if len(p.session.ahead) == typedAheadLimit {
		out.print(textQueueFull)
		return
	}
	p.session.ahead = append(p.session.ahead, line)
}

// InputEnded says that nothing more will be typed: the program ends, once what
// was typed before is done.
func (p *Phone) InputEnded(now Now, out *PhoneOutbox) {
	p.due(now, out)
	p.inSession().inputEnded = true
	p.takeTypedAhead(now, out)
}

// takeTypedAhead does what was typed before a prompt came.
func (p *Phone) takeTypedAhead(now Now, out *PhoneOutbox) {
	for p.session != nil && p.atPrompt() {
		s := p.session
		if len(s.ahead) == 0 {
			switch {
			case s.inputEnded:
				p.quit(out)
			case p.stage != StageConnecting:
				p.session = nil
			}
			return
		}
		line := s.ahead[0]
		s.ahead = s.ahead[1:]
		p.take(now, line, out)
	}
}

func (p *Phone) quit(out *PhoneOutbox) {
	p.hangUp(out)
	p.stage, p.timer, p.session = StageOffline, timerNone, nil
	out.add(PhoneQuit)
}

// atPrompt says whether a typed line is taken at once.
func (p *Phone) atPrompt() bool {
	if p.stage == StageConnecting {
		return p.session.user == "" || p.session.password == ""
	}
	return p.stage != StageBusy
}

// take does what one typed line asks for.
func (p *Phone) take(now Now, line string, out *PhoneOutbox) {
	switch {
	case p.stage == StageLoggedOut:
	case p.stage == StageConnecting && p.session.user == "":
		p.typedUsername(now, line, out)
	case p.stage == StageConnecting:
		p.typedPassword(now, line, out)
	default:
		p.command(now, line, out)
	}
}

func (p *Phone) command(now Now, line string, out *PhoneOutbox) {
	switch line {
	case protocol.CommandDownload:
		if p.connectedFor(now, OpDownload, out) {
			p.ask(now, OpDownload, line, out)
		}
		return
	case protocol.CommandUpload:
		if p.connectedFor(now, OpUpload, out) {
			p.startUpload(now, out)
		}
		return
	case protocol.CommandLogout, protocol.CommandLogoutJoined:
		if p.connectedFor(now, OpLogout, out) {
			p.logOut(now, out)
		}
		return
	}
	p.localCommand(line, out)
	if p.stage == StageReady {
		out.prompt(promptCommand)
	}
}

// localCommand is what needs no server: a beacon, or a mistake.
func (p *Phone) localCommand(line string, out *PhoneOutbox) {
	if line != "Beacon" && !strings.HasPrefix(line, "Beacon ") {
		out.print(textBadCommand)
		return
	}
	to, ok := parseBeaconCommand(line)
	if !ok {
		out.print(textBadBeacon)
		return
	}
	p.sendBeacon(to, out)
}

// connectedFor says whether the server can be asked; if not the operation ends
// here.
func (p *Phone) connectedFor(now Now, op Operation, out *PhoneOutbox) bool {
	if p.stage == StageReady {
		return true
	}
	out.print(textNotConnected)
	out.done(op, OutcomeConnectionLost, now.Elapsed, 0)
	return false
}

func (p *Phone) logOut(now Now, out *PhoneOutbox) {
	p.send(protocol.CommandLogout, out)
	out.print(textLoggedOut)
	p.hangUp(out)
	p.stage = StageLoggedOut
	p.forget()
	out.done(OpLogout, OutcomeOK, now.Elapsed, 0)
}

// parseBeaconCommand takes exactly "Beacon IP PORT" with single spaces: a
// literal address without a zone, and a port from 1 to 65535.
func parseBeaconCommand(line string) (protocol.Address, bool) {
	words := strings.Split(line, " ")
	if len(words) != 3 {
		return protocol.Address{}, false
	}
	ip, err := netip.ParseAddr(words[1])
	if err != nil || ip.Zone() != "" {
		return protocol.Address{}, false
	}
	port, err := strconv.ParseUint(words[2], 10, 16)
	if err != nil || port == 0 {
		return protocol.Address{}, false
	}
	return protocol.AddressOf(netip.AddrPortFrom(ip, uint16(port))), true
}

// downloadAnswer takes the TempID. The phone cannot know the server's times: it
// counts from the second in which the answer came (PROTOCOL.md section 2).
func (p *Phone) downloadAnswer(now Now, b []byte, out *PhoneOutbox) {
	id, reply := p.session.replies.TempID(b)
	switch reply {
	case protocol.NoReply:
		return
	case protocol.ReplyTempID:
	default:
		p.strange(now, b, out)
		return
	}
	start := now.Unix()
	beacon := protocol.Beacon{
		TempID: id,
		Start:  p.settings.Zone.Local(start),
		Expiry: p.settings.Zone.Local(start + int64(p.settings.TempIDLifetime.Seconds())),
	}
	beacon.Encode(&p.raw)
	p.hasID = true
	out.print("TempID:\n" + id.String())
	p.ready(now, OutcomeOK, out)
}
