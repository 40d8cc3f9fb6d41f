package dialect

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"bluetrace/protocol"
)

// Message is one message of a rehearsal.
type Message struct {
	FromPhone bool
	Bytes     []byte
}

// Rehearse has a phone and a server of PROTOCOL.md hold a conversation in the dialect d, over both translators: two
// wrong passwords, the right one, a download, uploads of two entries and of none, and a logout; on other connections
// three wrong passwords, and an attempt during the block. It leaves out what the dialect does not describe.
//
// It returns the messages between the translators, and an error if the phone and the server did not get what they
// would get without them. pieces returns the length, 1 to n, of the next piece of n bytes on the way; nil leaves
// messages whole.
func Rehearse(d *Dialect, pieces func(n int) int) ([]Message, error) {
	r := &rehearsal{d: d, issued: &Issued{}, pieces: pieces}
	r.now.Wall = time.Date(2020, 7, 30, 16, 58, 12, 0, d.Zone)
	r.connect()
	r.say("login", "wrong", protocol.TryAgain)
	r.say("again", "wrong", protocol.TryAgain)
	r.say("again", "right", protocol.Welcome)
	if len(d.Download) > 0 {
		r.say("download", protocol.CommandDownload, rehearsedTempID)
	}
	uploaded := []string{
		protocol.CommandUpload, "6",
		"12345678901234567890", "30/07/2020 16:50:00", "30/07/2020 17:05:00",
		"22345678901234567890", "30/07/2020 16:51:01", "30/07/2020 17:06:01",
	}
	if len(d.Upload) > 0 {
		for _, text := range uploaded {
			r.say("upload of two entries", text, protocol.Ack)
		}
		r.say("upload without entries", protocol.CommandUpload, protocol.Ack)
		r.say("upload without entries", "0", protocol.Ack)
	}
	if len(d.Logout) > 0 {
		r.say("logout", protocol.CommandLogout)
		if !r.loggedOut {
			r.fail("expected that the server gets it, found that %s", r.waits())
		}
	}
	if got := r.uploaded[:min(len(r.uploaded), len(uploaded))]; len(d.Upload) > 0 && !slices.Equal(got, uploaded) {
		r.part = "upload of two entries"
		r.fail("expected that the server gets the messages %q, found %q", uploaded, got)
	}
	if len(d.Outcomes[NowBlocked]) > 0 && len(d.Outcomes[Blocked]) > 0 {
		r.connect()
		r.say("login", "wrong", protocol.TryAgain)
		r.say("again", "wrong", protocol.TryAgain)
		r.say("again", "wrong", protocol.NowBlocked)
		r.connect()
		r.say("login", "right", protocol.IsBlocked)
	}
	return r.wire, r.err
}

// rehearsal is the state of a Rehearse.
type rehearsal struct {
	d      *Dialect
	pieces func(n int) int
	now    Now
	phone  end
	server end
	issued *Issued
	wire   []Message
	part   string // of the dialect, in progress
	err    error

	answers   []string // that the phone got to its last message
	uploaded  []string // the messages of uploads that the server got
	loggedOut bool     // the server got a logout
	named     bool     // the server has a name on this connection
	wrong     int      // wrong passwords in a row
}

// rehearsedTempID is the TempID that the server of the rehearsal issues.
const rehearsedTempID = "00012345678901234567"

// end is one end of the connection.
type end struct {
	name string
	*talk
	own  func(now Now, b []byte, out *Outbox)
	peer *end
	way  [][]byte // what is on the way to it
}

// connect opens a connection of the phone, which gets the name of its user.
func (r *rehearsal) connect() {
	side := NewPhoneSide(r.d)
	r.phone = end{name: "phone", talk: &side.talk, own: side.Own, peer: &r.server}
	r.accept()
	r.deliver()
	r.say("login", "user")
}

// accept begins the server's side of a connection.
func (r *rehearsal) accept() {
	side := NewServerSide(r.d, r.issued)
	r.server = end{name: "server", talk: &side.talk, own: side.Own, peer: &r.phone}
	r.phone.way, r.named = nil, false
	r.call(&r.server, side.Open)
}

// say has the phone write a message of a part of the dialect, and requires that it gets the answers.
func (r *rehearsal) say(part, text string, want ...string) {
	if r.err != nil {
		return
	}
	r.part, r.answers = part, nil
	r.call(&r.phone, func(now Now, out *Outbox) { r.phone.own(now, []byte(text), out) })
	r.deliver()
	switch {
	case r.err != nil || slices.Equal(r.answers, want):
	case len(r.answers) == 0:
		r.fail("expected that the phone gets %s, found that %s", meanings(want), r.waits())
	default:
		r.fail("expected that the phone gets %s, found %s", meanings(want), meanings(r.answers))
	}
}

// fail ends the rehearsal with an error about the part in progress. The first error is kept.
func (r *rehearsal) fail(format string, values ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%s: %s", r.part, fmt.Sprintf(format, values...))
	}
}

// meanings describes answers of PROTOCOL.md in the terms of a dialect.
func meanings(answers []string) string {
	var texts []string
	for _, answer := range answers {
		text := fmt.Sprintf("the TempID %q", answer)
		if o := slices.Index(seedAnswers[:Already], answer); o >= 0 {
			text = fmt.Sprintf("the outcome %q", Outcome(o))
		} else if answer == protocol.Ack {
			text = "the end of the upload"
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, " and ")
}

// waits describes the messages for which the phone and the server wait.
func (r *rehearsal) waits() string {
	return fmt.Sprintf("the phone waits for %s, and the server for %s", r.phone.awaited(), r.server.awaited())
}

// awaited describes the message for which an end waits, and the bytes that it has not taken.
func (e *end) awaited() string {
	text := "the next message"
	if len(e.list) > 0 {
		l := e.list[len(e.list)-1]
		if text = "a number"; l.steps[l.next].Text.Text != "" {
			text = strconv.Quote(l.steps[l.next].Text.Text)
		}
	}
	if len(e.in) > 0 {
		text += fmt.Sprintf(" (unread: %q)", e.in[:min(len(e.in), quotedLimit)])
	}
	return text
}

// maxDeliveries limits the steps of one deliver, of which a conversation needs far fewer.
const maxDeliveries = 100_000

// deliver delivers what is on the way, and lets time pass while a side waits.
func (r *rehearsal) deliver() {
	for n := 0; r.err == nil; n++ {
		phoneAt, phoneWaits := r.phone.NextWake()
		serverAt, serverWaits := r.server.NextWake()
		switch {
		case n == maxDeliveries:
			r.fail("expected an end of the messages, found that they go on")
		case len(r.server.way) > 0:
			r.receive(&r.server)
		case len(r.phone.way) > 0:
			r.receive(&r.phone)
		case phoneWaits && (!serverWaits || phoneAt <= serverAt):
			r.wake(&r.phone, phoneAt)
		case serverWaits:
			r.wake(&r.server, serverAt)
		default:
			return
		}
	}
}

// receive gives an end the next piece. Messages without marks are not cut: nothing tells where a name ends.
func (r *rehearsal) receive(e *end) {
	b := e.way[0]
	n := len(b)
	if r.pieces != nil && e.peerFraming().IsMarked() {
		n = r.pieces(n)
	}
	if e.way[0] = b[n:]; n == len(b) {
		e.way = e.way[1:]
	}
	r.call(e, func(now Now, out *Outbox) { e.Peer(now, b[:n], out) })
}

// wake moves the time forward to at, for which an end waits.
func (r *rehearsal) wake(e *end, at time.Duration) {
	d := max(0, at-r.now.Elapsed)
	r.now = Now{r.now.Elapsed + d, r.now.Wall.Add(d)}
	r.call(e, e.Wake)
}

// call calls the translator of an end, and carries out its effects.
func (r *rehearsal) call(e *end, f func(Now, *Outbox)) {
	var out Outbox
	f(r.now, &out)
	for _, effect := range out.Effects {
		switch effect.Kind {
		case ToPeer:
			r.wire = append(r.wire, Message{e == &r.phone, effect.Bytes})
			e.peer.way = append(e.peer.way, effect.Bytes)
		case ToOwn:
			if e == &r.phone {
				r.answers = append(r.answers, string(effect.Bytes))
			} else if answer := r.answer(string(effect.Bytes)); answer != "" {
				r.call(e, func(now Now, out *Outbox) { e.own(now, []byte(answer), out) })
			}
		case Redial:
			r.accept()
		case Misunderstood:
			r.fail("the %s does not understand the %s: %s", e.name, e.peer.name, effect.Text)
		}
	}
}

// answer is the server of the rehearsal. It has one account, whose password is "right".
func (r *rehearsal) answer(request string) string {
	switch {
	case !r.named:
		r.named = true
		return ""
	case r.wrong == 3:
		return protocol.IsBlocked
	case request == "wrong":
		if r.wrong++; r.wrong == 3 {
			return protocol.NowBlocked
		}
		return protocol.TryAgain
	case request == "right":
		r.wrong = 0
		return protocol.Welcome
	case request == protocol.CommandDownload:
		return rehearsedTempID
	case request == protocol.CommandLogout:
		r.loggedOut = true
		return ""
	}
	r.uploaded = append(r.uploaded, request)
	return protocol.Ack
}
