package nodes

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"bluetrace/protocol"
)

// Stage is the state of a phone's program.
type Stage uint8

// The stages.
const (
	StageOffline      Stage = iota // no session with the server
	StageConnecting                // the connection is not established yet
	StageAtUsername                // prompts for the username
	StageAtPassword                // prompts for the password
	StageWaitingLogin              // both are typed; waits for the answer
	StageReady                     // at the command prompt
	StageBusy                      // waits for the answer to a command
	StageLoggedOut                 // receives beacons; ignores typed lines
)

func (s Stage) String() string {
	return protocol.NameOf(s, "offline", "connecting", "at username", "at password", "waiting for login", "ready",
		"busy", "logged out")
}

// program is the client program of a phone: its connection to the server and its
// prompt (PROTOCOL.md sections 2 and 4).
type program struct {
	timerAt time.Duration // elapsed time at which timer is due
	timer   timer
	stage   Stage // StageConnecting stands for all stages of a login
	link    link
	owed    uint8    // digits of an owed answer that have not arrived on this connection
	session *session // nil if nothing is in progress and no line is queued
	phone   *Phone
}

// timer is the event for which a program's timer is set. A program never waits for two
// such events at once.
type timer uint8

const (
	timerNone     timer = iota
	timerPassword       // the end of the pause between username and password
	timerAnswer         // the end of the time for one answer
)

// link is the state of the TCP connection.
type link uint8

const (
	linkNone       link = iota
	linkConnecting      // after PhoneConnect, before its result
	linkOnline
)

// session is the state of a login or a command in progress, and the typed lines
// that wait for it.
type session struct {
	user, password string
	nameSent       bool
	passwordSent   bool
	retried        bool // this is the second connection of the same login
	inputEnded     bool // no further line will be typed
	op             Operation
	afterOwed      bool          // the command was sent while an answer was owed
	nameAt         time.Duration // elapsed time at which the username was sent
	began          time.Duration // elapsed time at which the request was first sent
	replies        protocol.ReplyReader
	queued         []string // lines typed while the program waited for an answer
	upload         *outgoing
}

// queuedLines is the largest number of lines that wait for the next prompt.
const queuedLines = 64

func (g *program) open(out *PhoneOutbox) {
	if g.awaiting() {
		g.report(OutcomeConnectionLost, out)
	}
	g.hangUp(out)
	g.stage, g.timer = StageConnecting, timerNone
	g.session = &session{}
	g.connect(out)
	g.prompt(promptUsername, out)
}

func (g *program) connected(now Now, out *PhoneOutbox) {
	if g.link != linkConnecting {
		return
	}
	g.link = linkOnline
	if g.session.user != "" {
		g.sendUsername(now, out)
	}
}

func (g *program) connectFailed(now Now, reason string, out *PhoneOutbox) {
	if g.link != linkConnecting {
		return
	}
	g.link = linkNone
	g.end(now, OutcomeConnectionLost, textNoConnection+reason, out)
}

func (g *program) closed(now Now, out *PhoneOutbox) {
	if g.link != linkOnline {
		return
	}
	text := textLost
	if g.uploading() {
		text = textLostUpload
	}
	g.end(now, OutcomeConnectionLost, text, out)
}

func (g *program) read(now Now, b []byte, out *PhoneOutbox) {
	if g.link != linkOnline {
		return
	}
	rest, valid := g.dropOwed(b)
	switch {
	case !valid:
		g.endUnexpected(now, b, out)
	case g.stage == StageConnecting:
		g.loginAnswer(now, rest, out)
	case g.uploading():
		g.uploadAnswer(now, rest, out)
	case g.stage == StageBusy:
		g.downloadAnswer(now, rest, out)
	}
}

// dropOwed removes the digits of an owed answer from the beginning of the read b, and returns the rest (PROTOCOL.md
// section 4). valid is false if the owed answer has a byte that is not a digit.
func (g *program) dropOwed(b []byte) (rest []byte, valid bool) {
	for g.owed > 0 && len(b) > 0 {
		if b[0] < '0' || b[0] > '9' {
			return b, false
		}
		b = b[1:]
		g.owed--
	}
	return b, true
}

func (g *program) takeSession(from *program) {
	g.stage, g.link, g.owed = from.stage, from.link, from.owed
	g.timer, g.timerAt = from.timer, from.timerAt
	g.session = from.session
	from.stage, from.link = StageOffline, linkNone
	from.timer, from.session = timerNone, nil
}

func (g *program) currentStage() Stage {
	switch s := g.session; {
	case g.stage != StageConnecting:
		return g.stage
	case s.user != "" && s.password != "":
		return StageWaitingLogin
	case g.link != linkOnline:
		return StageConnecting
	case s.user == "":
		return StageAtUsername
	default:
		return StageAtPassword
	}
}

func (g *program) uploading() bool {
	return g.stage == StageBusy && g.session.op == OpUpload
}

// awaiting reports whether an operation is in progress that must end with a
// PhoneDone.
func (g *program) awaiting() bool {
	return g.stage == StageBusy || g.stage == StageConnecting
}

// connect opens a connection. No answer is owed on it.
func (g *program) connect(out *PhoneOutbox) {
	g.link, g.owed = linkConnecting, 0
	out.add(PhoneConnect)
}

// hangUp closes the connection, or gives up an attempt to connect.
func (g *program) hangUp(out *PhoneOutbox) {
	if g.link != linkNone {
		g.link = linkNone
		out.add(PhoneCloseTCP)
	}
}

func (g *program) print(text string, out *PhoneOutbox) {
	if !g.phone.settings.Quiet {
		out.add(PhonePrint).Text = text
	}
}

func (g *program) prompt(text string, out *PhoneOutbox) {
	if !g.phone.settings.Quiet {
		out.add(PhonePrompt).Text = text
	}
}

// request sends text, the first message of the command op, and waits for the answer.
func (g *program) request(now Now, op Operation, text string, out *PhoneOutbox) {
	s := g.beginSession()
	s.op, s.began, s.afterOwed = op, now.Elapsed, g.owed > 0
	s.replies.Reset()
	g.stage = StageBusy
	out.send(text)
	g.awaitAnswer(now)
}

// awaitAnswer sets the timer for the limit of one answer.
func (g *program) awaitAnswer(now Now) {
	g.timer, g.timerAt = timerAnswer, later(now.Elapsed, g.phone.settings.AnswerLimit)
}

// beginSession returns the session. It creates one if there is none.
func (g *program) beginSession() *session {
	if g.session == nil {
		g.session = &session{}
	}
	return g.session
}

// report reports the outcome of the operation in progress.
func (g *program) report(outcome Outcome, out *PhoneOutbox) {
	s, entries := g.session, 0
	if s.upload != nil {
		entries = len(s.upload.entries)
	}
	out.done(s.op, outcome, s.began, entries)
}

// finish ends an operation and returns to the command prompt.
func (g *program) finish(now Now, outcome Outcome, out *PhoneOutbox) {
	g.report(outcome, out)
	g.stage, g.timer = StageReady, timerNone
	g.clearOperation()
	g.prompt(promptCommand, out)
	g.runQueued(now, out)
}

// end takes the program offline, prints text, and reports the outcome if an
// operation is in progress.
func (g *program) end(now Now, outcome Outcome, text string, out *PhoneOutbox) {
	g.print(text, out)
	g.hangUp(out)
	if g.awaiting() {
		if !g.session.passwordSent && g.stage == StageConnecting {
			g.session.began = now.Elapsed
		}
		g.report(outcome, out)
	}
	g.stage, g.timer = StageOffline, timerNone
	g.clearOperation()
	g.runQueued(now, out)
}

// endUnexpected ends a session whose server sent an answer that the protocol
// does not have.
func (g *program) endUnexpected(now Now, b []byte, out *PhoneOutbox) {
	text := protocol.AppendField([]byte(textUnexpected), b, false)
	g.end(now, OutcomeUnexpectedAnswer, string(text), out)
}

// clearOperation drops the state of the last operation but not the queued lines.
func (g *program) clearOperation() {
	s := g.session
	if s == nil {
		return
	}
	if len(s.queued) == 0 && !s.inputEnded {
		g.session = nil
		return
	}
	g.session = &session{queued: s.queued, inputEnded: s.inputEnded}
}

// runTimer handles the event of the timer if it is due. It is small enough for the
// compiler to inline it in the hot path.
func (g *program) runTimer(now Now, out *PhoneOutbox) {
	if g.timer != timerNone && now.Elapsed >= g.timerAt {
		g.timerDue(now, out)
	}
}

func (g *program) timerDue(now Now, out *PhoneOutbox) {
	due := g.timer
	g.timer = timerNone
	switch {
	case due == timerPassword:
		g.sendLogin(now, g.session.password, out)
	case g.stage == StageConnecting:
		g.loginUnanswered(now, out)
	case g.uploading() || g.session.afterOwed:
		// The server may be in the middle of the upload, or has answered neither this download nor
		// the one before: the session cannot go on.
		g.end(now, OutcomeNoAnswer, textNoAnswer, out)
	default:
		g.owed = uint8(g.session.replies.MissingDigits())
		g.print(textNoAnswer, out)
		g.finish(now, OutcomeNoAnswer, out)
	}
}

// The login.

// typedLogin handles a typed username or password. Each must be one message: 1 to
// 1024 bytes. The username is sent as soon as there is a connection.
func (g *program) typedLogin(now Now, line string, out *PhoneOutbox) {
	s := g.session
	text := promptPassword
	if s.user == "" {
		text = promptUsername
	}
	switch {
	case len(line) > protocol.MaxMessage:
		g.print(textTooLong, out)
		fallthrough
	case line == "":
		g.prompt(text, out)
	case s.user == "":
		s.user = line
		if g.link == linkOnline {
			g.sendUsername(now, out)
		}
		g.prompt(promptPassword, out)
	default:
		s.password = line
		if g.phone.settings.JoinLogin && g.link == linkOnline && !s.nameSent {
			g.sendUsername(now, out)
			return
		}
		g.schedulePassword(now, out)
	}
}

// sendUsername sends the username of a new connection. With JoinLogin it waits
// for the password and sends both at once.
func (g *program) sendUsername(now Now, out *PhoneOutbox) {
	s := g.session
	if !g.phone.settings.JoinLogin {
		out.send(s.user)
		s.nameSent, s.nameAt = true, now.Elapsed
		g.schedulePassword(now, out)
	} else if s.password != "" {
		s.nameSent = true
		g.sendLogin(now, s.user+s.password, out)
	}
}

// schedulePassword sends the password after a pause in which the server can read the
// username by itself (PROTOCOL.md section 2). If the pause is over it sends the
// password at once. It does nothing before the username is sent and the password typed.
func (g *program) schedulePassword(now Now, out *PhoneOutbox) {
	s := g.session
	if s.password == "" || !s.nameSent {
		return
	}
	pause := g.phone.settings.PasswordPause
	if s.retried {
		pause = g.phone.settings.RetryPause
	}
	g.timer, g.timerAt = timerPassword, later(s.nameAt, pause)
	g.runTimer(now, out)
}

// sendLogin sends text and waits for the answer to the login. text is the password, or
// the username and the password joined.
func (g *program) sendLogin(now Now, text string, out *PhoneOutbox) {
	s := g.session
	if !s.passwordSent {
		s.passwordSent, s.began = true, now.Elapsed
	}
	out.send(text)
	g.awaitAnswer(now)
}

// loginUnanswered connects a second time and repeats the login with a longer pause,
// because the server may have read username and password as one message. It does so
// once in a session. With NoRetry it ends the login instead.
func (g *program) loginUnanswered(now Now, out *PhoneOutbox) {
	s := g.session
	if s.retried || g.phone.settings.NoRetry {
		g.end(now, OutcomeNoAnswer, textNoAnswer, out)
		return
	}
	g.hangUp(out)
	s.retried, s.nameSent = true, false
	s.replies.Reset()
	g.connect(out)
}

func (g *program) loginAnswer(now Now, b []byte, out *PhoneOutbox) {
	reply := g.session.replies.Login(b)
	switch {
	case reply == protocol.NoReply:
	case reply == protocol.ReplyNowBlocked:
		g.end(now, OutcomeBlocked, protocol.NowBlocked, out)
	case reply == protocol.ReplyIsBlocked:
		g.end(now, OutcomeBlocked, protocol.IsBlocked, out)
	case g.timer != timerAnswer: // no password has been sent
		g.endUnexpected(now, b, out)
	case reply == protocol.ReplyWelcome:
		g.print(protocol.Welcome, out)
		g.finish(now, OutcomeOK, out)
	case reply == protocol.ReplyTryAgain:
		g.print(protocol.TryAgain, out)
		g.report(OutcomeWrongPassword, out)
		g.timer = timerNone
		g.session.password, g.session.passwordSent = "", false
		g.prompt(promptPassword, out)
		g.runQueued(now, out)
	default:
		g.endUnexpected(now, b, out)
	}
}

// The prompt.

func (g *program) typed(now Now, line string, out *PhoneOutbox) {
	if g.atPrompt() {
		g.runLine(now, line, out)
		return
	}
	if len(g.session.queued) == queuedLines {
		g.print(textQueueFull, out)
		return
	}
	g.session.queued = append(g.session.queued, line)
}

func (g *program) endInput(now Now, out *PhoneOutbox) {
	g.beginSession().inputEnded = true
	g.runQueued(now, out)
}

// runQueued runs the queued lines, as long as the program is at a prompt. Once the
// input has ended and no line is left, it ends the program.
func (g *program) runQueued(now Now, out *PhoneOutbox) {
	for g.session != nil && g.atPrompt() {
		s := g.session
		if len(s.queued) == 0 {
			switch {
			case s.inputEnded:
				g.hangUp(out)
				g.stage, g.timer, g.session = StageOffline, timerNone, nil
				out.add(PhoneQuit)
			case g.stage != StageConnecting:
				g.session = nil
			}
			return
		}
		line := s.queued[0]
		s.queued = s.queued[1:]
		g.runLine(now, line, out)
	}
}

// atPrompt reports whether the program handles a typed line at once, instead of queuing
// it.
func (g *program) atPrompt() bool {
	if g.stage == StageConnecting {
		return g.session.user == "" || g.session.password == ""
	}
	return g.stage != StageBusy
}

// runLine handles one typed line according to the stage.
func (g *program) runLine(now Now, line string, out *PhoneOutbox) {
	switch {
	case g.stage == StageLoggedOut:
	case g.stage == StageConnecting:
		g.typedLogin(now, line, out)
	case line == protocol.CommandDownload:
		if g.isReady(now, OpDownload, out) {
			g.request(now, OpDownload, line, out)
		}
	case line == protocol.CommandUpload:
		if g.isReady(now, OpUpload, out) {
			g.startUpload(now, g.phone.log.entries(), out)
		}
	case line == protocol.CommandLogout || line == protocol.CommandLogoutJoined:
		if g.isReady(now, OpLogout, out) {
			out.send(protocol.CommandLogout)
			g.print(textLoggedOut, out)
			g.hangUp(out)
			g.stage = StageLoggedOut
			g.clearOperation()
			out.done(OpLogout, OutcomeOK, now.Elapsed, 0)
		}
	default:
		g.runLocalCommand(line, out)
		if g.stage == StageReady {
			g.prompt(promptCommand, out)
		}
	}
}

// runLocalCommand handles a line that does not concern the server: the command Beacon,
// or an invalid command.
func (g *program) runLocalCommand(line string, out *PhoneOutbox) {
	if line != "Beacon" && !strings.HasPrefix(line, "Beacon ") {
		g.print(textBadCommand, out)
	} else if to, ok := parseBeaconCommand(line); !ok {
		g.print(textBadBeacon, out)
	} else {
		g.sendBeacon(to, out)
	}
}

// parseBeaconCommand parses "Beacon IP PORT" with single spaces. IP is a literal
// address without a zone, and PORT is 1 to 65535. It returns false for any other line.
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

func (g *program) sendBeacon(to protocol.Address, out *PhoneOutbox) {
	if !g.phone.hasTempID {
		g.print(textNoTempID, out)
		return
	}
	e := out.addUncleared(PhoneSendBeacon)
	e.To, e.Form, e.Raw = to, g.phone.settings.Form, g.phone.beacon
}

// isReady reports whether the program can send the command op. If it cannot, isReady
// prints an error and reports that the operation failed.
func (g *program) isReady(now Now, op Operation, out *PhoneOutbox) bool {
	if g.stage == StageReady {
		return true
	}
	g.print(textNotConnected, out)
	out.done(op, OutcomeConnectionLost, now.Elapsed, 0)
	return false
}

// The answers to a download and to an upload.

// downloadAnswer handles a read of the answer to a download. The phone does not learn
// the start and the expiry that the server has recorded. For the phone, the lifetime
// begins in the second in which the answer arrives (PROTOCOL.md section 2).
func (g *program) downloadAnswer(now Now, b []byte, out *PhoneOutbox) {
	id, reply := g.session.replies.TempID(b)
	if reply == protocol.ReplyUnexpected {
		g.endUnexpected(now, b, out)
	}
	if reply != protocol.ReplyTempID {
		return
	}
	start := now.Unix()
	beacon := protocol.Beacon{
		TempID: id,
		Start:  g.phone.settings.Zone.Local(start),
		Expiry: g.phone.settings.Zone.Local(start + int64(g.phone.settings.TempIDLifetime.Seconds())),
	}
	beacon.Encode(&g.phone.beacon)
	g.phone.hasTempID = true
	if !g.phone.settings.Quiet {
		g.print("TempID:\n"+id.String(), out)
	}
	g.finish(now, OutcomeOK, out)
}

// outgoing is an upload in progress.
type outgoing struct {
	entries []Contact // the entries at the time of the command
	sent    int       // messages sent after the command: the count, then the lines
}

// startUpload sends the command of an upload. The upload has exactly these entries,
// including any that expire while it is in progress (PROTOCOL.md section 4).
func (g *program) startUpload(now Now, entries []Contact, out *PhoneOutbox) {
	g.beginSession().upload = &outgoing{entries: entries}
	g.request(now, OpUpload, protocol.CommandUpload, out)
}

func (g *program) uploadAnswer(now Now, b []byte, out *PhoneOutbox) {
	switch g.session.replies.Ack(b) {
	case protocol.NoReply:
	case protocol.ReplyAck:
		g.uploadNext(now, out)
	default:
		g.endUnexpected(now, b, out)
	}
}

// uploadNext sends the next message of the upload, or ends the upload after the
// last.
func (g *program) uploadNext(now Now, out *PhoneOutbox) {
	u := g.session.upload
	lines := 3 * len(u.entries)
	switch {
	case u.sent == 0:
		out.send(strconv.Itoa(lines))
	case u.sent <= lines:
		line := u.line(u.sent - 1)
		out.send(line)
		g.print(line, out)
	default:
		g.finish(now, OutcomeOK, out)
		return
	}
	u.sent++
	g.awaitAnswer(now)
}

// line returns line i of the upload: TempID, start, expiry, TempID, and so on.
func (u *outgoing) line(i int) string {
	c := &u.entries[i/3]
	switch i % 3 {
	case 0:
		return c.TempID.String()
	case 1:
		return c.Start.String()
	default:
		return c.Expiry.String()
	}
}
