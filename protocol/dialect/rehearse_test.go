package dialect_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"bluetrace/protocol"
	"bluetrace/protocol/dialect"
	"bluetrace/scenarios"
)

// TestRehearseEachDialect: in each dialect that is part of the program, a phone and a server get what they would get
// without translators, whole or in pieces of any length.
func TestRehearseEachDialect(t *testing.T) {
	for _, name := range scenarios.DialectNames() {
		t.Run(name, func(t *testing.T) {
			d, err := scenarios.LoadDialect(name)
			if err != nil {
				t.Fatal(err)
			}
			for seed := range uint64(100) {
				pieces := func(int) int { return 1 } // as Java's writeBytes
				switch random := rand.New(rand.NewPCG(seed, 1)); seed {
				case 0:
					pieces = nil
				case 1:
				default:
					pieces = func(n int) int { return 1 + random.IntN(n) }
				}
				wire, err := dialect.Rehearse(&d.Dialect, pieces)
				if err != nil {
					for _, m := range wire {
						t.Logf("from the phone: %v %q", m.FromPhone, m.Bytes)
					}
					t.Fatalf("seed %d: %v", seed, err)
				}
			}
		})
	}
}

// TestRehearseEachFraming: messages with any mark of their end may arrive in pieces of any length.
func TestRehearseEachFraming(t *testing.T) {
	d, err := scenarios.LoadDialect("lines")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		f    dialect.Framing
		want string // the first message
	}{
		{dialect.Framing{Kind: dialect.Int4}, "\x00\x00\x00\x10login user wrong"},
		{dialect.Framing{Kind: dialect.Netstring}, "16:login user wrong,"},
		{dialect.Framing{Kind: dialect.Fixed, Size: 80}, "login user wrong" + strings.Repeat(" ", 64)},
		{dialect.Framing{Kind: dialect.Ends, End: ";\x00"}, "login user wrong;\x00"},
		{dialect.Framing{Kind: dialect.UTF}, "\x00\x10login user wrong"},
	} {
		for seed := range uint64(20) {
			random := rand.New(rand.NewPCG(seed, 2))
			d.Client, d.Server = c.f, c.f
			wire, err := dialect.Rehearse(&d.Dialect, func(n int) int { return 1 + random.IntN(n) })
			if err != nil || string(wire[0].Bytes) != c.want {
				t.Fatalf("%+v, seed %d: %v: %q", c.f, seed, err, wire[0].Bytes)
			}
		}
	}
}

// TestNext: a length that is none, and a message without its end, are no message.
func TestNext(t *testing.T) {
	netstring, long := dialect.Framing{Kind: dialect.Netstring}, strings.Repeat("x", 10_000_000)
	for _, c := range []struct {
		f    dialect.Framing
		in   string
		text string
		n    int
		ok   bool
	}{
		{netstring, "3:abc,x", "abc", 6, true},
		{netstring, "3:abc", "", 0, false},
		{netstring, "3:abcd", "", 0, false},
		{netstring, "3", "", 0, false},
		{netstring, ":abc,", "", 0, false},
		{netstring, "9223372036854775807:abc,", "", 0, false},
		{dialect.Framing{Kind: dialect.Int4}, "\x00\x00\x00\x01ab", "a", 5, true},
		{dialect.Framing{Kind: dialect.Int4}, "\xff\xff\xff\xffab", "", 0, false},
		{dialect.Framing{Kind: dialect.Fixed, Size: 4}, "a b ", "a b", 4, true},
		{dialect.Framing{Kind: dialect.Fixed, Size: 4}, "a b", "", 0, false},
		{dialect.Framing{Kind: dialect.Ends, End: "--"}, "a-b--c", "a-b", 5, true},
		{dialect.Framing{}, "abc", "abc", -1, false},
		{dialect.Framing{Kind: dialect.Lines}, "abc\r\nd", "abc", 5, true},
		{dialect.Framing{Kind: dialect.Lines}, "abc", "", 0, false},
		{dialect.Framing{Kind: dialect.Ends, End: "\n"}, "abc\r\nd", "abc\r", 5, true},
		{dialect.Framing{Kind: dialect.Columns, Size: 3}, "2  abc", "ab", 5, true},
		{dialect.Framing{Kind: dialect.Columns, Size: 3}, "2  a", "", 0, false},
		{dialect.Framing{Kind: dialect.Columns, Size: 3}, "2", "", 0, false},
		{dialect.Framing{Kind: dialect.Columns, Size: 3}, "-2 abc", "", 0, false},
		{dialect.Framing{Kind: dialect.UTF}, "\x00\x02abc", "ab", 4, true},
		{dialect.Framing{Kind: dialect.UTF}, "\x00\x02a", "", 0, false},
		{dialect.Framing{Kind: dialect.UTF}, "\x00", "", 0, false},
		{dialect.Framing{Kind: dialect.Int4}, "\x00\x00\x00", "", 0, false},
		{dialect.Framing{Kind: dialect.Bar}, "3|abcd", "abc", 5, true},
		{dialect.Framing{Kind: dialect.Bar}, "3|ab", "", 0, false},
		{dialect.Framing{Kind: dialect.Bar}, "3", "", 0, false},
		{dialect.Framing{Kind: dialect.Bar}, "3:abcd", "", 0, false},
		{dialect.Framing{Kind: dialect.Bar}, "0|abc", "abc", -1, false},
		{dialect.Framing{Kind: dialect.Int4}, "\x00\x98\x96\x80" + long, long, len(long) + 4, true}, // 10,000,000
		{dialect.Framing{Kind: dialect.Int4}, "\x00\x98\x96\x81" + long + "x", "", 0, false},
	} {
		text, n, ok := c.f.Next([]byte(c.in))
		if string(text) != c.text || n != c.n || ok != c.ok {
			t.Errorf("%+v of %.20q: %.20q, %d, %v", c.f, c.in, text, n, ok)
		}
	}
}

// TestEntriesOfAnyText: an upload whose entries may be any text, and whose end is not marked, does not hang.
func TestEntriesOfAnyText(t *testing.T) {
	d, err := scenarios.ParseDialect("d.yaml", []byte("name: x\n"+
		"login: [send: '{user}', pause: 1s, send: '{password}']\nagain: [send: '{password}']\n"+
		"outcomes: {welcome: y, wrong: n}\nupload: [send: up, each: [send: '{*}']]\n"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = dialect.Rehearse(&d.Dialect, nil)
	const want = "upload of two entries: expected that the server gets the messages ["
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Error(err)
	}
}

// TestRehearseUploads: an upload may have no command before its entries. Without entries, the server then gets the
// message of their end or, if there is none, nothing.
func TestRehearseUploads(t *testing.T) {
	const each, both = "each: [send: '{tempid} {start} {expiry};'", "client: lines\nserver: lines\n"
	for _, upload := range []string{
		each + "]", each + ", recv: ok]", each + "], recv: fin", each + ", recv: ok], recv: fin",
		each + "], send: done", each + ", recv: ok], send: done", each + "], pause: 1s, send: done, recv: fin",
		"send: '{entries}', recv: fin", "send: '{entries}'", "send: up, " + each + "], recv: fin",
	} {
		for _, framing := range []string{"", both, "client: bar\nserver: bar\n"} {
			for _, logout := range []string{"", "logout: [send: bye]\n"} {
				text := "name: d\nlogin: [send: '{user} {password}']\nagain: [send: '{password}']\n" +
					"outcomes: {welcome: a, wrong: b}\ndownload: [send: get, recv: '{tempid}']\n" +
					"entry: '{tempid} {start} {expiry};'\nupload: [" + upload + "]\n" + framing + logout
				d, err := scenarios.ParseDialect("d.yaml", []byte(text))
				if err != nil {
					t.Fatal(err)
				}
				if _, err := dialect.Rehearse(&d.Dialect, nil); err != nil {
					t.Errorf("%s: %v", text, err)
				}
			}
		}
	}
}

// TestRehearseLogins: a dialect need not describe more than logins.
func TestRehearseLogins(t *testing.T) {
	for _, outcomes := range []string{"", ", now_blocked: c", ", blocked: c", ", now_blocked: c, blocked: c"} {
		wire, err := dialect.Rehearse(parsed(t, "login: [send: '{user} {password}']\nagain: [send: '{password}']\n"+
			"outcomes: {welcome: a, wrong: b"+outcomes+"}\n"), nil)
		want := []string{"user wrong", "b", "wrong", "b", "right", "a"}
		if strings.Contains(outcomes, "now_blocked: c, ") {
			want = append(want, "user wrong", "b", "wrong", "b", "wrong", "c", "user right", "c")
		}
		var got []string
		for i, m := range wire {
			if got = append(got, string(m.Bytes)); m.FromPhone != (i%2 == 0) {
				t.Errorf("%s: message %d is from the phone: %v", outcomes, i, m.FromPhone)
			}
		}
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %q, %v, want %q", outcomes, got, err, want)
		}
	}
}

// TestRehearseFails: the error names the part of the dialect, and what is expected and found there.
func TestRehearseFails(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{"wrong: b", "wrong: a",
			`login: expected that the phone gets the outcome "wrong", found the outcome "welcome"`},
		{"send: bye", "send: up", `logout: expected that the server gets it, found that the phone waits for the ` +
			`next message (unread: "fin\n"), and the server for the next message`},
		{"send: get", `send: "g\net"`, `download: expected that the phone gets the TempID "00012345678901234567", found ` +
			`that the phone waits for "{tempid}", and the server for the next message (unread: "g\net\n")`},
		{"send: up", `send: "up\nx"`, `upload of two entries: expected that the phone gets the end of the upload, ` +
			`found that the phone waits for "fin", and the server for the next message (unread: "up\nx\n` +
			`12345678901234567890 30/07/2020 16:50:00 30/07/2020 17:05:00\n` +
			`22345678901234567890 30/07/2020 16:51:01 30/07/2020 17:06:01\n")`},
		{"recv: fin", `recv: "f\nin"`, `upload of two entries: the phone does not understand the server: ` +
			`expected "f\nin", found "f"`},
	} {
		text := "name: d\nclient: lines\nserver: lines\n" +
			"login: [send: '{user} {password}']\nagain: [send: '{password}']\noutcomes: {welcome: a, wrong: b}\n" +
			"download: [send: get, recv: '{tempid}']\nlogout: [send: bye]\n" +
			"upload: [send: up, each: [send: '{tempid} {start} {expiry}'], recv: fin]\n"
		d, err := scenarios.ParseDialect("d.yaml", []byte(strings.Replace(text, c.old, c.new, 1)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := dialect.Rehearse(&d.Dialect, nil); err == nil || err.Error() != c.want {
			t.Errorf("%v\nwant %s", err, c.want)
		}
	}
}

// loggingIn returns the side of a phone that has sent a name and a password at time zero, with its effects.
func loggingIn(d *scenarios.Dialect) (*dialect.PhoneSide, *dialect.Outbox) {
	p, out := dialect.NewPhoneSide(&d.Dialect), &dialect.Outbox{}
	p.Own(dialect.Now{}, []byte("user"), out)
	p.Own(dialect.Now{}, []byte("password"), out)
	return p, out
}

// TestFlood: a server that sends without end, and no message, is not understood. Its bytes are not kept.
func TestFlood(t *testing.T) {
	d, err := scenarios.LoadDialect("lines")
	if err != nil {
		t.Fatal(err)
	}
	p, out := loggingIn(d)
	for range 5 {
		p.Peer(dialect.Now{}, make([]byte, 1<<20), out)
	}
	if n := len(out.Effects); n != 3 || out.Effects[1].Text != "more than 4 MiB without the end of a message" ||
		out.Effects[2].Kind != dialect.EndOwn {
		t.Errorf("%+v", out.Effects)
	}
}

// TestTempIDOfAnyLength: the phone reads a TempID of a wrong length, too, so that a rule can judge it. Without marks, a
// TempID that is too short ends with the silence after it.
func TestTempIDOfAnyLength(t *testing.T) {
	const after = " 2026-01-02T03:04:05 2026-01-02T03:19:05\n"
	for _, c := range []struct{ name, welcome, digits, rest string }{
		{"seed", "Welcome to the BlueTrace Simulator!", "7529065863000000000", ""},
		{"seed", "Welcome to the BlueTrace Simulator!", "752906586300000000012", ""},
		{"lines", "Welcome to the BlueTrace Simulator!\n", "7529065863000000000", after},
		{"lines", "Welcome to the BlueTrace Simulator!\n", "752906586300000000012", after},
	} {
		t.Run(fmt.Sprint(c.name, len(c.digits)), func(t *testing.T) {
			d, err := scenarios.LoadDialect(c.name)
			if err != nil {
				t.Fatal(err)
			}
			d.Zone = time.UTC
			p, out := loggingIn(d)
			p.Wake(dialect.Now{Elapsed: time.Second}, out)
			p.Peer(dialect.Now{Elapsed: time.Second}, []byte(c.welcome), out)
			p.Own(dialect.Now{Elapsed: 2 * time.Second}, []byte(protocol.CommandDownload), out)
			p.Peer(dialect.Now{Elapsed: 2 * time.Second}, []byte(c.digits+c.rest), out)
			if at, ok := p.NextWake(); ok {
				p.Wake(dialect.Now{Elapsed: at}, out)
			}
			last := out.Effects[len(out.Effects)-1]
			if last.Kind != dialect.ToOwn || string(last.Bytes) != c.digits {
				t.Errorf("%v %q", last.Kind, last.Bytes)
			}
		})
	}
}

// TestEndOfStream: an answer that another one could continue is complete at the end of the stream.
func TestEndOfStream(t *testing.T) {
	d, err := scenarios.ParseDialect("d.yaml", []byte("name: x\nlogin: [send: '{user}:{password}']\n"+
		"again: [send: '{user}:{password}']\noutcomes: {welcome: 'BT/1.0 200 welcome', wrong: 'BT/{*} 401 wrong'}\n"))
	if err != nil {
		t.Fatal(err)
	}
	p, out := loggingIn(d)
	p.Peer(dialect.Now{Elapsed: 1}, []byte("BT/1.0 200 welcome"), out)
	before := len(out.Effects)
	p.End(dialect.Now{Elapsed: 2}, out)
	last := out.Effects[len(out.Effects)-1]
	if before != 1 || last.Kind != dialect.ToOwn || string(last.Bytes) != protocol.Welcome {
		t.Errorf("%d effects before the end, then %+v", before, last)
	}
}
