package learn_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"bluetrace/protocol"
	"bluetrace/protocol/dialect"
	"bluetrace/scenarios"
	"bluetrace/sim/learn"
)

// wire records sessions of this project's phone and server, translated to a dialect.
type wire struct {
	t       *testing.T
	d       *dialect.Dialect
	now     time.Time
	issued  *dialect.Issued
	wrongs  map[string]int
	ids     int
	byBytes bool // the phone sends a byte a segment

	s      *learn.Session
	phone  *dialect.PhoneSide
	server *dialect.ServerSide
	up     [][]byte
	down   [][]byte
	conn   int
	named  string
}

const rightPassword = "r1ghtPass"

var start = time.Date(2020, 7, 30, 16, 58, 12, 0, time.UTC)

func newWire(t *testing.T, d *dialect.Dialect) *wire {
	return &wire{t: t, d: d, now: start, issued: &dialect.Issued{}, wrongs: map[string]int{}}
}

// session begins the record of a session.
func (w *wire) session(user string, passwords []string, expected ...dialect.Outcome) *learn.Session {
	w.s = &learn.Session{User: user, Passwords: passwords, Expected: expected}
	w.conn++
	w.phone = dialect.NewPhoneSide(w.d)
	w.accept()
	w.deliver()
	w.say(user)
	for _, p := range passwords {
		w.begin(learn.Login)
		w.say(p)
	}
	return w.s
}

func (w *wire) accept() {
	w.up, w.down, w.named = nil, nil, ""
	w.server = dialect.NewServerSide(w.d, w.issued)
	w.atServer(w.server.Open)
}

// begin records that a command is typed, a second later.
func (w *wire) begin(c learn.Command) {
	w.now = w.now.Add(time.Second)
	w.s.Events = append(w.s.Events, learn.Event{At: w.now, Kind: learn.Typed, Begin: c})
	w.now = w.now.Add(time.Millisecond)
}

// say has the phone write messages.
func (w *wire) say(texts ...string) {
	for _, text := range texts {
		w.atPhone(func(n dialect.Now, out *dialect.Outbox) { w.phone.Own(n, []byte(text), out) })
		w.deliver()
	}
}

func (w *wire) download() {
	w.begin(learn.Download)
	w.say(protocol.CommandDownload)
}

func (w *wire) upload(entries ...string) {
	w.begin(learn.Upload)
	w.say(protocol.CommandUpload, fmt.Sprint(len(entries)))
	w.say(entries...)
}

func (w *wire) logout() {
	w.begin(learn.Logout)
	w.say(protocol.CommandLogout)
}

func (w *wire) at() dialect.Now { return dialect.Now{Elapsed: w.now.Sub(start), Wall: w.now} }

func (w *wire) deliver() {
	for range 10_000 {
		phoneAt, phoneWaits := w.phone.NextWake()
		serverAt, serverWaits := w.server.NextWake()
		switch {
		case len(w.up) > 0:
			b := w.up[0]
			w.up = w.up[1:]
			w.atServer(func(n dialect.Now, out *dialect.Outbox) { w.server.Peer(n, b, out) })
		case len(w.down) > 0:
			b := w.down[0]
			w.down = w.down[1:]
			w.atPhone(func(n dialect.Now, out *dialect.Outbox) { w.phone.Peer(n, b, out) })
		case phoneWaits && (!serverWaits || phoneAt <= serverAt):
			w.pass(phoneAt)
			w.atPhone(w.phone.Wake)
		case serverWaits:
			w.pass(serverAt)
			w.atServer(w.server.Wake)
		default:
			return
		}
	}
	w.t.Fatal("the conversation does not end")
}

func (w *wire) pass(elapsed time.Duration) {
	if at := start.Add(elapsed); at.After(w.now) {
		w.now = at
	}
}

func (w *wire) record(kind learn.EventKind, b []byte) {
	if kind == learn.ToServer && w.byBytes {
		for _, c := range b {
			w.now = w.now.Add(10 * time.Microsecond)
			w.s.Events = append(w.s.Events, learn.Event{At: w.now, Kind: kind, Conn: w.conn, Bytes: []byte{c}})
		}
		return
	}
	w.now = w.now.Add(100 * time.Microsecond)
	w.s.Events = append(w.s.Events, learn.Event{At: w.now, Kind: kind, Conn: w.conn, Bytes: b})
}

func (w *wire) atPhone(call func(dialect.Now, *dialect.Outbox)) {
	var out dialect.Outbox
	call(w.at(), &out)
	for _, e := range out.Effects {
		switch e.Kind {
		case dialect.ToPeer:
			w.record(learn.ToServer, e.Bytes)
			w.up = append(w.up, e.Bytes)
		case dialect.Redial:
			w.conn++
			w.accept()
		case dialect.Misunderstood:
			w.t.Fatal(e.Text)
		}
	}
}

func (w *wire) atServer(call func(dialect.Now, *dialect.Outbox)) {
	var out dialect.Outbox
	call(w.at(), &out)
	for _, e := range out.Effects {
		switch e.Kind {
		case dialect.ToPeer:
			w.record(learn.ToPhone, e.Bytes)
			w.down = append(w.down, e.Bytes)
		case dialect.ToOwn:
			if answer := w.answer(string(e.Bytes)); answer != "" {
				w.atServer(func(n dialect.Now, out *dialect.Outbox) { w.server.Own(n, []byte(answer), out) })
			}
		case dialect.Misunderstood:
			w.t.Fatal(e.Text)
		}
	}
}

// answer is the server.
func (w *wire) answer(request string) string {
	switch {
	case w.named == "":
		w.named = request
		return ""
	case strings.HasPrefix(request, "wr0ng"):
		if w.wrongs[w.named]++; w.wrongs[w.named] == 3 {
			return protocol.NowBlocked
		}
		return protocol.TryAgain
	case request == rightPassword && w.wrongs[w.named] >= 3:
		return protocol.IsBlocked
	case request == rightPassword:
		return protocol.Welcome
	case request == protocol.CommandDownload:
		w.ids++
		return fmt.Sprintf("12345678901234567%03d", w.ids)
	case request == protocol.CommandLogout:
		return ""
	}
	return protocol.Ack
}

// observe records the sessions of a learner.
func observe(t *testing.T, d *dialect.Dialect, byBytes bool) *learn.Observed {
	w := newWire(t, d)
	w.byBytes = byBytes
	o := &learn.Observed{Block: 37}
	a := w.session("+61410000001", []string{"wr0ngA", rightPassword}, dialect.Wrong, dialect.Welcome)
	w.download()
	w.download()
	w.logout()
	b := w.session("+61410000002", []string{rightPassword}, dialect.Welcome)
	w.download()
	w.now = w.now.Add(2 * time.Second)
	w.upload("12345678901234567002", "30/07/2020 16:58:16", "30/07/2020 17:13:16",
		"12345678901234567003", "30/07/2020 16:58:20", "30/07/2020 17:13:20")
	w.logout()
	o.Sessions = []*learn.Session{a, b}
	o.Sessions = append(o.Sessions,
		w.session("+61410000003", []string{"wr0ngB", "wr0ngC", "wr0ngD"}, dialect.Wrong, dialect.Wrong,
			dialect.NowBlocked),
		w.session("+61410000003", []string{rightPassword}, dialect.Blocked))
	return o
}

// TestDialectsAreLearned: from sessions in each dialect of the program a dialect is learned in which a phone and a
// server exchange the same bytes.
func TestDialectsAreLearned(t *testing.T) {
	for _, name := range scenarios.DialectNames() {
		t.Run(name, func(t *testing.T) {
			known, err := scenarios.LoadDialect(name)
			if err != nil {
				t.Fatal(err)
			}
			checkLearned(t, known)
		})
	}
}

// TestUploadsWithoutCommandAreLearned: an upload may begin with its entries.
func TestUploadsWithoutCommandAreLearned(t *testing.T) {
	for _, rest := range []string{
		"]", ", recv: ok]", "], recv: fin", "], send: done, recv: fin", ", recv: ok], send: done",
	} {
		known, err := scenarios.ParseDialect("d.yaml", []byte("name: d\nclient: lines\nserver: lines\n"+
			"login: [send: '{user} {password}']\nagain: [send: '{password}']\n"+
			"outcomes: {welcome: hello, wrong: no, now_blocked: stop, blocked: stopped}\n"+
			"download: [send: get, recv: '{tempid}']\nlogout: [send: bye]\n"+
			"upload: [each: [send: '{tempid} {start} {expiry}'"+rest+"]\n"))
		if err != nil {
			t.Fatal(err)
		}
		known.Zone, known.TempIDDigits = time.UTC, 20
		checkLearned(t, known)
	}
}

// TestFramingsAreLearned: each way to mark the ends of messages is recognized.
func TestFramingsAreLearned(t *testing.T) {
	for _, f := range []dialect.Framing{
		{Kind: dialect.UTF}, {Kind: dialect.Int4}, {Kind: dialect.Netstring}, {Kind: dialect.Columns, Size: 10},
		{Kind: dialect.Fixed, Size: 128}, {Kind: dialect.Ends, End: ";"}, {Kind: dialect.Ends, End: "\x00"},
	} {
		for _, name := range []string{"lines", "columns"} {
			known, err := scenarios.LoadDialect(name)
			if err != nil {
				t.Fatal(err)
			}
			known.Client, known.Server = f, f
			checkLearned(t, known)
			if d := learn.Infer(observe(t, &known.Dialect, false)).Dialect; d.Client != f || d.Server != f {
				t.Errorf("%+v: client %+v, server %+v", f, d.Client, d.Server)
			}
		}
	}
}

// checkLearned learns a dialect from sessions in it, and requires the bytes of a rehearsal to be the same.
func checkLearned(t *testing.T, known *scenarios.Dialect) {
	t.Helper()
	for _, byBytes := range []bool{false, known.Client.Kind != dialect.Bar} {
		result := learn.Infer(observe(t, &known.Dialect, byBytes))
		if !result.HasLogin {
			t.Fatal(result.Notes)
		}
		if got := result.Dialect.SameTempID; got != known.SameTempID {
			t.Errorf("the same TempID while it is valid: %v, want %v", got, known.SameTempID)
		}
		text, err := scenarios.DialectYAML(result.Dialect, "")
		if err != nil {
			t.Fatal(err)
		}
		read, err := scenarios.ParseDialect("learned", text)
		if err != nil {
			t.Fatal(err)
		}
		want, err := dialect.Rehearse(&known.Dialect, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := dialect.Rehearse(&read.Dialect, nil)
		if err != nil || !slices.EqualFunc(got, want, func(a, b dialect.Message) bool {
			return a.FromPhone == b.FromPhone && bytes.Equal(a.Bytes, b.Bytes)
		}) {
			t.Errorf("%v\n%s\n%q\n%s\n%s", err, text, result.Notes, messages(got), messages(want))
		}
	}
}

func messages(list []dialect.Message) string {
	var b strings.Builder
	for _, m := range list {
		fmt.Fprintf(&b, "%v %q\n", m.FromPhone, m.Bytes)
	}
	return b.String()
}

// datagrams returns a beacon as it was observed. Those that begin with < are answers.
func datagrams(texts ...string) (list []learn.Datagram) {
	for _, text := range texts {
		answer, isAnswer := strings.CutPrefix(text, "<")
		list = append(list, learn.Datagram{At: start, FromSender: !isAnswer, Bytes: []byte(answer)})
	}
	return list
}

// TestBeaconsAreLearned: also without any byte between phone and server.
func TestBeaconsAreLearned(t *testing.T) {
	const id, from, to = "12345678901234567890", "30/07/2020 16:58:10", "30/07/2020 17:13:10"
	for _, c := range []struct {
		name string
		in   []learn.Datagram
		want []string // the texts, answers with <
		zone dialect.Layout
	}{
		{"four datagrams", datagrams(id, from, to, "1"), []string{"{tempid}", "{start}", "{expiry}", "1"},
			"02/01/2006 15:04:05"},
		{"one datagram", datagrams(id + from + to + "1"), []string{"{tempid}{start}{expiry}1"}, "02/01/2006 15:04:05"},
		{"handshake", datagrams("HI", "<HO", id+" "+from+" "+to, "<thanks"),
			[]string{"HI", "<HO", "{tempid} {start} {expiry}"}, "02/01/2006 15:04:05"},
		{"unix", datagrams("beacon:" + id + " 1596128290 1596129190 1.0"),
			[]string{"beacon:{tempid} {start} {expiry} 1.0"}, dialect.Unix},
		{"now", datagrams(id + " 2020-07-30 16:58:10 2020-07-30 17:13:10 2020-07-30 16:58:12 1"),
			[]string{"{tempid} {start} {expiry} {now} 1"}, "2006-01-02 15:04:05"},
		{"no TempID", datagrams("hello"), nil, ""},
		{"nothing", nil, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			result := learn.Infer(&learn.Observed{Beacon: c.in})
			var got []string
			d := result.Dialect
			for _, s := range d.Beacon {
				text := s.Text.Text
				if s.Kind == dialect.Receive {
					text = "<" + text
				}
				got = append(got, text)
			}
			if result.HasLogin || !slices.Equal(got, c.want) || d.Times != c.zone || d.BeaconTimes != c.zone {
				t.Errorf("%q, layout %q, %q", got, d.Times, result.Notes)
			}
		})
	}
}

// TestNoLogin: without a usable login the first note has the bytes.
func TestNoLogin(t *testing.T) {
	event := func(ms int, k learn.EventKind, text string) learn.Event {
		return learn.Event{At: start.Add(time.Duration(ms) * time.Millisecond), Kind: k, Conn: 1, Bytes: []byte(text)}
	}
	for _, c := range []struct {
		events []learn.Event
		want   string
	}{
		{nil, "the phone and the server exchanged no byte"},
		{[]learn.Event{event(1, learn.ToServer, "aGFzaA==")},
			`the password was not found in the bytes of the phone: the phone sent "aGFzaA=="`},
		{[]learn.Event{event(1, learn.ToPhone, "HI"), event(2, learn.ToServer, "ann wr0ng"),
			event(3, learn.ToPhone, "NO"), event(4, learn.ToServer, "ann right"), event(5, learn.ToPhone, "NO")},
			`the answers to the right and to a wrong password are the same: the server spoke first: "HI", ` +
				`the phone sent "ann wr0ng", the server sent "NO", the phone sent "ann right"`},
	} {
		result := learn.Infer(&learn.Observed{Sessions: []*learn.Session{{
			User: "ann", Passwords: []string{"wr0ng", "right"}, Events: c.events,
			Expected: []dialect.Outcome{dialect.Wrong, dialect.Welcome},
		}}})
		if result.HasLogin || result.Notes[0] != c.want {
			t.Errorf("%q, want %q", result.Notes, c.want)
		}
	}
}
