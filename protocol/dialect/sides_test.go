package dialect_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"bluetrace/protocol"
	"bluetrace/protocol/dialect"
	"bluetrace/scenarios"
)

// side is a translator of either side.
type side interface {
	Own(now dialect.Now, b []byte, out *dialect.Outbox)
	Peer(now dialect.Now, b []byte, out *dialect.Outbox)
	Wake(now dialect.Now, out *dialect.Outbox)
	End(now dialect.Now, out *dialect.Outbox)
	NextWake() (time.Duration, bool)
}

// input is one input of a translator.
type input struct {
	at   time.Duration // elapsed time; the wall time is that of sentAt at one second
	call string        // "wake", "end", or "own" or "peer" with bytes
	want string        // the effects, with bars between them
	next time.Duration // NextWake afterwards; 0 for none
	held bool          // Owes of a server's side, Reconnects of a phone's
}

// effectsOf formats effects.
func effectsOf(out *dialect.Outbox) string {
	var texts []string
	for _, e := range out.Effects {
		switch e.Kind {
		case dialect.ToPeer:
			texts = append(texts, "peer "+string(e.Bytes))
		case dialect.ToOwn:
			texts = append(texts, "own "+string(e.Bytes))
		case dialect.Redial:
			texts = append(texts, "redial")
		case dialect.EndPeer:
			texts = append(texts, "end peer")
		case dialect.EndOwn:
			texts = append(texts, "end own")
		case dialect.Attempted:
			texts = append(texts, "attempted "+e.Outcome.String())
		case dialect.Misunderstood:
			texts = append(texts, "misunderstood "+e.Text)
		}
	}
	return strings.Join(texts, "|")
}

// converse gives a translator its inputs, and compares all effects.
func converse(t *testing.T, s side, inputs []input) {
	t.Helper()
	for i, in := range inputs {
		var out dialect.Outbox
		now := dialect.Now{Elapsed: in.at, Wall: sentAt.Wall.Add(in.at - sentAt.Elapsed)}
		switch call, text, _ := strings.Cut(in.call, " "); call {
		case "own":
			s.Own(now, []byte(text), &out)
		case "peer":
			s.Peer(now, []byte(text), &out)
		case "end":
			s.End(now, &out)
		default:
			s.Wake(now, &out)
		}
		if got := effectsOf(&out); got != in.want {
			t.Fatalf("input %d, %q at %v:\n got %q\nwant %q", i, in.call, in.at, got, in.want)
		}
		if next, ok := s.NextWake(); next != in.next || ok != (in.next > 0) {
			t.Fatalf("input %d, %q at %v: NextWake %v, %v, want %v", i, in.call, in.at, next, ok, in.next)
		}
		var held bool
		switch s := s.(type) {
		case *dialect.ServerSide:
			held = s.Owes()
		case *dialect.PhoneSide:
			held = s.Reconnects()
		}
		if held != in.held {
			t.Fatalf("input %d, %q at %v: Owes or Reconnects %v", i, in.call, in.at, held)
		}
	}
}

// parsed returns the dialect of a text.
func parsed(t *testing.T, text string) *dialect.Dialect {
	t.Helper()
	d, err := scenarios.ParseDialect("d.yaml", []byte("name: d\n"+text))
	if err != nil {
		t.Fatal(err)
	}
	return &d.Dialect
}

const (
	ms          = time.Millisecond
	entryText   = "12345678901234567890 30/07/2020 16:50:00 30/07/2020 17:05:00"
	someTempID  = "82071592779455047519"
	otherTempID = "10000000000000000001"
	unmarked    = `
login: [send: '{user} {password}']
again: [send: '{password}']
outcomes: {welcome: hi, wrong: 'no', now_blocked: out, blocked: later}
download: [send: get, recv: '{tempid} {start} {expiry}']
upload: [send: up, recv: ok, each: [send: '{tempid} {start} {expiry};', recv: more], send: end, recv: fin]
logout: [send: bye]
same_tempid: true
`
)

// TestServerSide: a session of a foreign phone without marks of messages, to the nanosecond.
func TestServerSide(t *testing.T) {
	const get = protocol.CommandDownload
	issued := &dialect.Issued{}
	first := someTempID + " 30/07/2020 16:58:14 30/07/2020 17:13:14"
	expiry := 15*time.Minute + 3*time.Second // of the first TempID
	last := expiry + time.Minute
	converse(t, dialect.NewServerSide(parsed(t, unmarked), issued), []input{
		{1 * time.Second, "peer alice wrong", "own alice", 1100 * ms, true},
		{1100*ms - 1, "wake", "", 1100 * ms, true},
		{1100 * ms, "wake", "own wrong", 1250 * ms, false},
		{1200 * ms, "own " + protocol.TryAgain, "attempted wrong|peer no", 1250 * ms, false},
		{1250 * ms, "wake", "", 0, false},
		{2 * time.Second, "peer right", "own right", 2250 * ms, false}, // the name is known
		{2100 * ms, "own " + protocol.Welcome, "attempted welcome|peer hi", 2250 * ms, false},
		{2250*ms - 1, "wake", "", 2250 * ms, false},
		{2250 * ms, "wake", "", 0, false},
		{3 * time.Second, "peer getget", "own " + get, 3250 * ms, true},
		{3250 * ms, "wake", "", 0, true},
		{3999 * ms, "own " + someTempID, "peer " + first + "|peer " + first, 0, false},
		{expiry - 1, "peer get", "peer " + first, expiry - 1 + 250*ms, false},
		{expiry, "peer get", "own " + get, expiry + 250*ms, false},
		{expiry, "own " + otherTempID, "peer " + otherTempID + " 30/07/2020 17:13:14 30/07/2020 17:28:14",
			expiry + 250*ms, false},
		{last, "peer up", "peer ok", last + 250*ms, true},
		{last + 250*ms, "wake", "", 0, false},
		{last + 300*ms, "peer " + entryText[:30], "", last + 550*ms, true},
		{last + 400*ms, "peer " + entryText[30:] + ";", "peer more", last + 650*ms, true},
		{last + 500*ms, "peer end", "peer fin|own " + protocol.CommandUpload, last + 750*ms, true},
		{last + 500*ms, "own 1", "own 3", last + 750*ms, true},
		{last + 500*ms, "peer bye", "", last + 750*ms, true}, // after the lines
		{last + 500*ms, "own 1", "own " + entryText[:20], last + 750*ms, true},
		{last + 500*ms, "own 1", "own " + entryText[21:40], last + 750*ms, true},
		{last + 500*ms, "own 1", "own " + entryText[41:], last + 750*ms, true},
		{last + 500*ms, "own 1", "own log out", last + 750*ms, false},
		{last + 600*ms, "peer get", "", last + 850*ms, false},
	})
	converse(t, dialect.NewServerSide(parsed(t, unmarked), issued), []input{
		{last, "peer alice right", "own alice", last + 100*ms, true},
		{last + 100*ms, "wake", "own right", last + 250*ms, false},
		{last + 250*ms, "own " + protocol.Welcome, "attempted welcome|peer hi", last + 250*ms, false},
		{last + 250*ms, "peer get", "peer " + otherTempID + " 30/07/2020 17:13:14 30/07/2020 17:28:14", // of the account
			last + 500*ms, false},
	})
	converse(t, dialect.NewServerSide(parsed(t, unmarked), issued), []input{
		{last, "peer bob right", "own bob", last + 100*ms, true},
		{last + 100*ms, "wake", "own right", last + 250*ms, false},
		{last + 250*ms, "own " + protocol.Welcome, "attempted welcome|peer hi", last + 250*ms, false},
		{last + 250*ms, "peer get", "own " + get, last + 500*ms, false}, // none of another account
	})
}

// TestServerSideIssuesAnew: without same_tempid, each download has a TempID of its own.
func TestServerSideIssuesAnew(t *testing.T) {
	d := parsed(t, strings.Replace(unmarked, "same_tempid: true", "", 1))
	converse(t, dialect.NewServerSide(d, &dialect.Issued{}), []input{
		{0, "peer alice right", "own alice", 100 * ms, true},
		{100 * ms, "wake", "own right", 250 * ms, false},
		{250 * ms, "own " + protocol.Welcome, "attempted welcome|peer hi", 250 * ms, false},
		{250 * ms, "peer get", "own " + protocol.CommandDownload, 500 * ms, false},
		{300 * ms, "own " + someTempID, "peer " + someTempID + " 30/07/2020 16:58:11 30/07/2020 17:13:11", 500 * ms, false},
		{300 * ms, "peer get", "own " + protocol.CommandDownload, 550 * ms, false},
	})
}

// TestServerSideEnds: a session is over after a block, after an answer that the dialect lacks, and after bytes that are
// no part of it.
func TestServerSideEnds(t *testing.T) {
	for _, end := range []input{
		{0, "own " + protocol.NowBlocked, "attempted now blocked|peer out", 250 * ms, false},
		{0, "own " + protocol.IsBlocked, "attempted blocked|peer later", 250 * ms, false},
		{0, "own hm", `misunderstood d has no answer for "hm"`, 250 * ms, false},
	} {
		converse(t, dialect.NewServerSide(parsed(t, unmarked), &dialect.Issued{}), []input{
			{0, "peer alice pw", "own alice", 100 * ms, true},
			{100 * ms, "wake", "own pw", 250 * ms, false},
			{100 * ms, end.call, end.want, end.next, end.held},
			{100 * ms, "peer get", "", 350 * ms, false},
			{100 * ms, "own " + protocol.Welcome, "", 350 * ms, false},
		})
	}
	converse(t, dialect.NewServerSide(parsed(t, unmarked), &dialect.Issued{}), []input{
		{0, "peer alice pw", "own alice", 100 * ms, true},
		{100 * ms, "wake", "own pw", 250 * ms, false},
		{100 * ms, "own " + protocol.Welcome, "attempted welcome|peer hi", 250 * ms, false},
		{200 * ms, "peer upx", `peer ok|misunderstood expected "{tempid} {start} {expiry};", found "x"|end peer`, 450 * ms, false},
		{200 * ms, "peer get", "", 450 * ms, false},
	})
}

const paused = `
login: [send: '{user}', pause: 1s, send: '{password}']
again: [reconnect: true, send: '{user}', pause: 1s, send: '{password}']
outcomes: {welcome: hi, wrong: 'no', now_blocked: out, blocked: out, already: twice}
upload: [send: 'up {n} {3n} {bytes}', recv: ok, send: '{entries}', recv: fin]
entry: '{tempid} {start} {expiry}'
join: ' / '
`

// TestPhoneSide: a session with a foreign server without marks of messages, to the nanosecond.
func TestPhoneSide(t *testing.T) {
	converse(t, dialect.NewPhoneSide(parsed(t, paused)), []input{
		{0, "own alice", "", 0, false},
		{1 * time.Second, "own bad", "peer alice", 2 * time.Second, false},
		{2*time.Second - 1, "wake", "", 2 * time.Second, false},
		{2 * time.Second, "wake", "peer bad", 0, false},
		{2500 * ms, "peer n", "", 2750 * ms, false},
		{2600 * ms, "peer o way", "attempted wrong|own " + protocol.TryAgain, 2850 * ms, true},
		{2850 * ms, "wake", "", 0, true},
		{3 * time.Second, "own good", "redial|peer alice", 4 * time.Second, false},
		{4 * time.Second, "wake", "peer good", 0, false},
		{5 * time.Second, "peer hi", "attempted welcome|own " + protocol.Welcome, 5250 * ms, false},
		{6 * time.Second, "own " + protocol.CommandUpload, "own 1", 5250 * ms, false},
		{6 * time.Second, "own 6", "own 1", 5250 * ms, false},
		{6 * time.Second, "own " + entryText[:20], "own 1", 5250 * ms, false},
		{6 * time.Second, "own " + entryText[21:40], "own 1", 5250 * ms, false},
		{6 * time.Second, "own " + entryText[41:], "own 1", 5250 * ms, false},
		{6 * time.Second, "own " + otherTempID, "own 1", 5250 * ms, false},
		{6 * time.Second, "own " + entryText[21:40], "own 1", 5250 * ms, false},
		{6 * time.Second, "own " + entryText[41:], "peer up 2 6 123", 5250 * ms, false},
		{7 * time.Second, "peer ok", "peer " + entryText + " / " + otherTempID + entryText[20:], 7250 * ms, false},
		{8 * time.Second, "peer fin", "own 1", 8250 * ms, false},
		{9 * time.Second, "own " + protocol.CommandUpload, "own 1", 8250 * ms, false},
		{9 * time.Second, "own 0", "peer up 0 0 0", 8250 * ms, false}, // nothing of the upload before
		{10 * time.Second, "peer okx", `peer |misunderstood expected "fin", found "x"|end own`, 10250 * ms, false},
		{11 * time.Second, "own " + protocol.CommandUpload, "", 10250 * ms, false},
	})
}

// TestPhoneSideOutcomes: the answer to a first password. A text of two outcomes means the block before it, and after a
// wrong password the block by it.
func TestPhoneSideOutcomes(t *testing.T) {
	const second = time.Second
	for _, c := range []struct {
		outcomes string // in place of those of paused
		inputs   []input
	}{
		{"", []input{{second, "peer out", "attempted blocked|own " + protocol.IsBlocked, 1250 * ms, false}}},
		{"", []input{{second, "peer twice", "attempted already logged in|end own", 1250 * ms, false}}},
		{"", []input{
			{second, "peer no", "attempted wrong|own " + protocol.TryAgain, 1250 * ms, true},
			{second, "own pw", "redial|peer alice", 2 * second, false},
			{2 * second, "wake", "peer pw", 0, false},
			{2 * second, "peer out", "attempted now blocked|own " + protocol.NowBlocked, 2250 * ms, false},
			{3 * second, "own pw", "", 2250 * ms, false},
		}},
		{"", []input{
			{second, "peer h", "", 1250 * ms, false},
			{1250*ms - 1, "wake", "", 1250 * ms, false},
			{1250 * ms, "wake", `misunderstood no known answer to a login: "h" (expected "no", found "h")|end own`, 0,
				false},
		}},
		{"", []input{{second, "peer x", // no outcome begins like this
			`misunderstood no known answer to a login: "x" (expected "hi", found "x")|end own`, 1250 * ms, false}}},
		{"{welcome: ok, wrong: ok no}", []input{
			{second, "peer ok", "", 1250 * ms, false},
			{1250*ms - 1, "wake", "", 1250 * ms, false},
			{1250 * ms, "wake", "attempted welcome|own " + protocol.Welcome, 0, false},
			{2 * second, "own " + protocol.CommandDownload,
				"misunderstood the dialect d does not describe what the phone sends now|end own", 0, false},
		}},
		{"{welcome: ok, wrong: ok no}", []input{
			{second, "peer ok no", "attempted wrong|own " + protocol.TryAgain, 1250 * ms, true},
		}},
		{"{welcome: ok, wrong: 'no', unknown: who}", []input{
			{second, "peer who", "attempted unknown|own " + protocol.TryAgain, 1250 * ms, true},
		}},
	} {
		text := paused
		if c.outcomes != "" {
			before, rest, _ := strings.Cut(paused, "outcomes: ")
			_, after, _ := strings.Cut(rest, "\n")
			text = before + "outcomes: " + c.outcomes + "\n" + after
		}
		t.Run(fmt.Sprint(c.outcomes, c.inputs[0].call), func(t *testing.T) {
			converse(t, dialect.NewPhoneSide(parsed(t, text)), append([]input{
				{0, "own alice", "", 0, false},
				{0, "own pw", "peer alice", second, false},
				{second, "wake", "peer pw", 0, false},
			}, c.inputs...))
		})
	}
}

// TestBarFrames: a message of Bar has its length from 1,025 bytes on.
func TestBarFrames(t *testing.T) {
	d := parsed(t, "client: bar\nlogin: [send: '{user} {password}']\nagain: [send: '{password}']\n"+
		"outcomes: {welcome: hi, wrong: 'no'}\n")
	for n, want := range map[int]string{1024: "0|", 1025: "1025|"} {
		user := strings.Repeat("u", n-2)
		converse(t, dialect.NewPhoneSide(d), []input{
			{0, "own " + user, "", 0, false},
			{0, "own p", "peer " + want + user + " p", 0, false},
		})
	}
}

// TestRestsOfAnswers: the rest of an answer without marks is no part of the next answer.
func TestRestsOfAnswers(t *testing.T) {
	converse(t, dialect.NewPhoneSide(parsed(t, unmarked)), []input{
		{0, "own alice", "", 0, false},
		{0, "own bad", "peer alice bad", 0, false},
		{0, "peer no way", "attempted wrong|own " + protocol.TryAgain, 250 * ms, false},
		{0, "own good", "peer good", 250 * ms, false},
		{0, "peer hi there", "attempted welcome|own " + protocol.Welcome, 250 * ms, false},
		{0, "own " + protocol.CommandDownload, "peer get", 250 * ms, false},
		{0, "peer " + someTempID + entryText[20:], "own " + someTempID, 250 * ms, false},
	})
}

// TestNumbersOnTheWire: a number is four bytes, the most significant first.
func TestNumbersOnTheWire(t *testing.T) {
	const each = "each: [send: '{tempid} {start} {expiry};']"
	text := "login: [send: '{user} {password}']\nagain: [send: '{password}']\noutcomes: {welcome: hi, wrong: 'no'}\n" +
		"upload: [send: up, send_int: '{n}', " + each + ", recv_int: 258]\n"
	converse(t, dialect.NewPhoneSide(parsed(t, text)), []input{
		{0, "own alice", "", 0, false},
		{0, "own pw", "peer alice pw", 0, false},
		{0, "peer hi", "attempted welcome|own " + protocol.Welcome, 250 * ms, false},
		{0, "own " + protocol.CommandUpload, "own 1", 250 * ms, false},
		{0, "own 3", "own 1", 250 * ms, false},
		{0, "own " + entryText[:20], "own 1", 250 * ms, false},
		{0, "own " + entryText[21:40], "own 1", 250 * ms, false},
		{0, "own " + entryText[41:], "peer up|peer \x00\x00\x00\x01|peer " + entryText + ";", 250 * ms, false},
		{0, "peer \x00\x00\x01", "", 250 * ms, false},
		{0, "peer \x02", "own 1", 250 * ms, false},
	})
	converse(t, dialect.NewServerSide(parsed(t, text), &dialect.Issued{}), []input{
		{0, "peer alice pw", "own alice", 100 * ms, true},
		{100 * ms, "wake", "own pw", 250 * ms, false},
		{250 * ms, "own " + protocol.Welcome, "attempted welcome|peer hi", 250 * ms, false},
		{time.Second, "peer up\x00\x00\x00", "", 1250 * ms, true},
		{time.Second, "peer \x02" + entryText + ";", "", 1250 * ms, true},
		{time.Second, "peer " + entryText + ";", "peer \x00\x00\x01\x02|own " + protocol.CommandUpload, 1250 * ms, true},
		{time.Second, "own 1", "own 6", 1250 * ms, true},
	})
}

// TestCountsOfUploads: a count above 10,000,000, or that no number can hold, is none.
func TestCountsOfUploads(t *testing.T) {
	for count, want := range map[string]string{
		"10000000": "peer ok", "10000001": "", "99999999999999999999": "", "30000000": "", "x": "",
	} {
		converse(t, dialect.NewServerSide(parsed(t, "login: [send: '{user} {password}']\nagain: [send: '{password}']\n"+
			"outcomes: {welcome: hi, wrong: 'no'}\n"+
			"upload: [send: 'up {n};', recv: ok, each: [send: '{tempid} {start} {expiry};'], recv: fin]\n"),
			&dialect.Issued{}), []input{
			{0, "peer alice pw", "own alice", 100 * ms, true},
			{100 * ms, "wake", "own pw", 250 * ms, false},
			{250 * ms, "own " + protocol.Welcome, "attempted welcome|peer hi", 250 * ms, false},
			{time.Second, "peer up " + count + ";", want, 1250 * ms, want != ""},
		})
	}
}

// TestParseTemplate: a template has a text, and a value whose length is known only by what follows it has a text there.
func TestParseTemplate(t *testing.T) {
	const two = "{password} follows a value of unknown length: write a text between them"
	for text, want := range map[string]string{
		"": "the text is empty", "{user}{password}": two, "{*}{password}": two, "{entries}{password}": two,
		"{user} {password}": "", "{tempid}{user}": "", "{n}{start}": "", "{nobody}{user}": "", "{": "", "}{user": "",
	} {
		parsed, err := dialect.ParseTemplate(text)
		if parsed.Text != text || (err == nil) != (want == "") || err != nil && err.Error() != want {
			t.Errorf("%q: %q, %v, want %q", text, parsed.Text, err, want)
		}
	}
}
