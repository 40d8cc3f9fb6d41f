package dialect

import (
	"fmt"
	"slices"
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
	uploaded := []string{
		"12345678901234567890", "30/07/2020 16:50:00", "30/07/2020 17:05:00",
		"22345678901234567890", "30/07/2020 16:51:01", "30/07/2020 17:06:01",
	}
	r.connect()
	r.say("user", "wrong", "wrong", "right")
	want := []string{protocol.TryAgain, protocol.TryAgain, protocol.Welcome}
	if len(d.Download) > 0 && r.err == nil {
		r.say(protocol.CommandDownload)
		want = append(want, r.tempIDs...)
	}
	if len(d.Upload) > 0 {
		r.say(protocol.CommandUpload, "6")
		r.say(uploaded...)
		r.say(protocol.CommandUpload, "0")
		want = append(want, strings.Split(strings.Repeat(protocol.Ack, 2+len(uploaded)+2), "")...)
	}
	if len(d.Logout) > 0 {
		r.say(protocol.CommandLogout)
	}
	if len(d.Outcomes[NowBlocked]) > 0 && len(d.Outcomes[Blocked]) > 0 {
		r.connect()
		r.say("user", "wrong", "wrong", "wrong")
		r.connect()
		r.say("user", "right")
		want = append(want, protocol.TryAgain, protocol.TryAgain, protocol.NowBlocked, protocol.IsBlocked)
	}
	requests := strings.Join(r.requests, "|")
	switch {
	case r.err != nil:
		return r.wire, r.err
	case !slices.Equal(r.answers, want):
		return r.wire, fmt.Errorf("the phone got the answers %q, not %q", r.answers, want)
	case len(d.Upload) > 0 && !strings.Contains(requests, "Upload_contact_log|6|"+strings.Join(uploaded, "|")):
		return r.wire, fmt.Errorf("the server got %q, without the upload of %q", r.requests, uploaded)
	case len(d.Logout) > 0 && !slices.Contains(r.requests, protocol.CommandLogout):
		return r.wire, fmt.Errorf("the server got %q, without the logout", r.requests)
	}
	return r.wire, nil
}

// rehearsal is the state of a Rehearse.
type rehearsal struct {
	d      *Dialect
	pieces func(n int) int
	now    Now
	phone  *PhoneSide
	server *ServerSide
	issued *Issued
	up     [][]byte // on the way to the server
	down   [][]byte // on the way to the phone
	wire   []Message
	err    error

	answers  []string // that the phone got
	requests []string // that the server got
	named    bool     // the server has a name on this connection
	wrong    int      // wrong passwords in a row
	tempIDs  []string // that the server has issued
}

// connect opens a connection of the phone.
func (r *rehearsal) connect() {
	r.phone = NewPhoneSide(r.d)
	r.accept()
	r.deliver()
}

// accept begins the server's side of a connection.
func (r *rehearsal) accept() {
	r.up, r.down, r.named = nil, nil, false
	r.server = NewServerSide(r.d, r.issued)
	r.atServer(r.server.Open)
}

// say has the phone write messages, each when nothing is on the way any more.
func (r *rehearsal) say(texts ...string) {
	for _, text := range texts {
		if r.err != nil {
			return
		}
		r.atPhone(func(now Now, out *Outbox) { r.phone.Own(now, []byte(text), out) })
		r.deliver()
	}
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
			r.err = fmt.Errorf("the conversation does not end")
		case len(r.up) > 0:
			b := r.take(&r.up, r.d.Client)
			r.atServer(func(now Now, out *Outbox) { r.server.Peer(now, b, out) })
		case len(r.down) > 0:
			b := r.take(&r.down, r.d.Server)
			r.atPhone(func(now Now, out *Outbox) { r.phone.Peer(now, b, out) })
		case phoneWaits && (!serverWaits || phoneAt <= serverAt):
			r.pass(phoneAt)
			r.atPhone(r.phone.Wake)
		case serverWaits:
			r.pass(serverAt)
			r.atServer(r.server.Wake)
		default:
			return
		}
	}
}

// take returns the next piece. Messages without marks are not cut: nothing tells where a name ends.
func (r *rehearsal) take(way *[][]byte, f Framing) []byte {
	b := (*way)[0]
	n := len(b)
	if r.pieces != nil && f.Kind != Raw && f.Kind != Bar {
		n = r.pieces(n)
	}
	if (*way)[0] = b[n:]; n == len(b) {
		*way = (*way)[1:]
	}
	return b[:n]
}

// pass moves the time forward to at.
func (r *rehearsal) pass(at time.Duration) {
	d := max(0, at-r.now.Elapsed)
	r.now = Now{r.now.Elapsed + d, r.now.Wall.Add(d)}
}

// atPhone calls the phone's translator, and carries out its effects.
func (r *rehearsal) atPhone(call func(Now, *Outbox)) {
	var out Outbox
	call(r.now, &out)
	for _, e := range out.Effects {
		switch e.Kind {
		case ToPeer:
			r.wire = append(r.wire, Message{true, e.Bytes})
			r.up = append(r.up, e.Bytes)
		case ToOwn:
			r.answers = append(r.answers, string(e.Bytes))
		case Redial:
			r.accept()
		case Misunderstood:
			r.err = fmt.Errorf("the phone does not understand the server: %s", e.Text)
		}
	}
}

// atServer calls the server's translator, and carries out its effects.
func (r *rehearsal) atServer(call func(Now, *Outbox)) {
	var out Outbox
	call(r.now, &out)
	for _, e := range out.Effects {
		switch e.Kind {
		case ToPeer:
			r.wire = append(r.wire, Message{false, e.Bytes})
			r.down = append(r.down, e.Bytes)
		case ToOwn:
			if answer := r.answer(string(e.Bytes)); answer != "" {
				r.atServer(func(now Now, out *Outbox) { r.server.Own(now, []byte(answer), out) })
			}
		case Misunderstood:
			r.err = fmt.Errorf("the server does not understand the phone: %s", e.Text)
		}
	}
}

// answer is the server of the rehearsal. It has one account, whose password is "right".
func (r *rehearsal) answer(request string) string {
	r.requests = append(r.requests, request)
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
		r.tempIDs = append(r.tempIDs, fmt.Sprintf("%020d", 12345678901234567+len(r.tempIDs)))
		return r.tempIDs[len(r.tempIDs)-1]
	case request == protocol.CommandLogout:
		return ""
	}
	return protocol.Ack
}
