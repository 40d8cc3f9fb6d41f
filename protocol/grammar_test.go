package protocol

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// reads feeds each read and returns every message as "kind:bytes".
func reads(r *Reader, feeds ...string) []string {
	var got []string
	for _, p := range feeds {
		r.Feed([]byte(p))
		for m, ok := r.Next(); ok; m, ok = r.Next() {
			got = append(got, m.Kind.String()+":"+string(m.Bytes))
		}
	}
	return got
}

func TestReader(t *testing.T) {
	id, start, expiry, _ := parts(wire)
	entry := id + start + expiry
	lines := []string{"line:" + id, "line:" + start, "line:" + expiry}
	tests := []struct {
		why    string
		expect Expectation
		feeds  []string
		want   []string
		rest   string
	}{
		{"a username is one read", ExpectUsername, []string{"+614", "10888888"}, []string{"username:+614", "username:10888888"}, ""},
		{"a password is one read, also one that looks like a command", ExpectPassword, []string{"log out"}, []string{"password:log out"}, ""},
		{"a count is one read", ExpectCount, []string{"1", "2"}, []string{"count:1", "count:2"}, ""},

		{"a command", ExpectCommand, []string{"Download_tempID"}, []string{"download:Download_tempID"}, ""},
		{"a command in two pieces", ExpectCommand, []string{"Download_", "tempID"}, []string{"download:Download_tempID"}, ""},
		{"a command byte by byte", ExpectCommand, strings.Split("Upload_contact_log", ""), []string{"upload:Upload_contact_log"}, ""},
		{"two joined", ExpectCommand, []string{"Download_tempIDDownload_tempID"},
			[]string{"download:Download_tempID", "download:Download_tempID"}, ""},
		{"log out twice", ExpectCommand, []string{"log outlog out"}, []string{"logout:log out", "logout:log out"}, ""},
		{"logout", ExpectCommand, []string{"logoutlog out"}, []string{"logout:logout", "logout:log out"}, ""},
		{"one and a half", ExpectCommand, []string{"Download_tempIDlog", " out"}, []string{"download:Download_tempID", "logout:log out"}, ""},
		{"a line feed after a command", ExpectCommand, []string{"Download_tempID\nlog out\r\n"},
			[]string{"download:Download_tempID", "skipped:\n", "logout:log out", "skipped:\r\n"}, ""},
		{"no command", ExpectCommand, []string{"whatsthedate"}, []string{"skipped:whatsthedate"}, ""},
		{"no command, but its end begins one", ExpectCommand, []string{"hello", "xDown"}, []string{"skipped:hel", "skipped:lox"}, "Down"},
		{"its end began none after all", ExpectCommand, []string{"xDown", "wind"}, []string{"skipped:x", "skipped:Downwind"}, ""},
		{"a false start before a true one", ExpectCommand, []string{"DowDownload_tempID", "llog out"},
			[]string{"skipped:Dow", "download:Download_tempID", "skipped:l", "logout:log out"}, ""},
		{"case counts", ExpectCommand, []string{"download_tempID"}, []string{"skipped:download_tempI"}, "D"},
		{"a waiting beginning", ExpectCommand, []string{"log"}, nil, "log"},

		{"lines one by one", ExpectLine, []string{id, start, expiry}, lines, ""},
		{"lines joined", ExpectLine, []string{entry + entry}, slices.Concat(lines, lines), ""},
		{"lines split", ExpectLine, strings.Split(entry, ""), lines, ""},
		{"a line of other bytes has its length all the same", ExpectLine, []string{strings.Repeat("x", 41)},
			[]string{"line:" + strings.Repeat("x", 20), "line:" + strings.Repeat("x", 19)}, "xx"},
		{"an upload that ends in the middle", ExpectLine, []string{id + start[:7]}, lines[:1], start[:7]},
	}
	for _, test := range tests {
		t.Run(fmt.Sprintf("%v %.60q", test.expect, test.feeds), func(t *testing.T) {
			var r Reader
			r.Expect(test.expect)
			if got := reads(&r, test.feeds...); !slices.Equal(got, test.want) || string(r.Unread()) != test.rest {
				t.Errorf("%s:\n got %q, rest %q\nwant %q, rest %q", test.why, got, r.Unread(), test.want, test.rest)
			}
		})
	}
}

func TestReaderExpectsAUsernameFirst(t *testing.T) {
	var r Reader
	if _, ok := r.Next(); ok {
		t.Error("a message came from nothing")
	}
	if got := reads(&r, "log out"); !slices.Equal(got, []string{"username:log out"}) {
		t.Errorf("got %q", got)
	}
}

// The rest of a read belongs to the next expectation.
func TestReaderCarriesTheRestOver(t *testing.T) {
	id, start, expiry, _ := parts(wire)
	var r Reader
	r.Expect(ExpectCommand)
	r.Feed([]byte("Upload_contact_log3"))
	take := func(want string) {
		t.Helper()
		if m, ok := r.Next(); !ok || m.Kind.String()+":"+string(m.Bytes) != want {
			t.Fatalf("got %v:%q %v, want %s", m.Kind, m.Bytes, ok, want)
		}
	}
	take("upload:Upload_contact_log")
	r.Expect(ExpectCount)
	take("count:3")
	r.Expect(ExpectLine)
	if _, ok := r.Next(); ok {
		t.Fatal("a line came before its bytes")
	}
	r.Feed([]byte(id + start + expiry + "log out"))
	take("line:" + id)
	take("line:" + start)
	take("line:" + expiry)
	r.Expect(ExpectCommand)
	take("logout:log out")
	r.Expect(ExpectLine)
	r.Feed([]byte(start[:1] + id))
	take("line:" + start[:1] + id[:19])
	r.Expect(ExpectLine)
	r.Feed([]byte(id[:19]))
	take("line:" + id[19:] + id[:19])
}

func TestReaderKeepsNoLargeBuffer(t *testing.T) {
	var r Reader
	r.Expect(ExpectCommand)
	most := 0
	for range 50 {
		reads(&r, strings.Repeat("junk", MaxMessage/4-1)+"Down")
		most = max(most, len(r.buf))
	}
	if most > MaxMessage+len(CommandUpload) {
		t.Errorf("the buffer grew to %d bytes", most)
	}
	reads(&r, "load_tempID")
	if cap(r.buf) > keptBuffer {
		t.Errorf("%d bytes are kept for nothing", cap(r.buf))
	}
}

func TestReaderAllocatesNothingForShortReads(t *testing.T) {
	var r Reader
	r.Expect(ExpectCommand)
	read := []byte(CommandDownload)
	n := testing.AllocsPerRun(100, func() {
		r.Feed(read)
		if m, ok := r.Next(); !ok || m.Kind != Download {
			t.Fatalf("got %v, %v", m, ok)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations a read", n)
	}
}

func TestSplitLogin(t *testing.T) {
	names := []string{"+61410888888", "+614108", "log out"}
	known := func(name []byte) bool { return slices.Contains(names, string(name)) }
	tests := []struct {
		read, name, rest string
		ok               bool
	}{
		{"+61410888888comp3331", "+61410888888", "comp3331", true},
		{"+61410888888", "", "", false},
		{"+614108", "", "", false},
		{"+61410899999", "+614108", "99999", true},
		{"+614108888889", "+61410888888", "9", true},
		{"+61410", "", "", false},
		{"x+61410888888comp3331", "", "", false},
		{"", "", "", false},
	}
	for _, test := range tests {
		t.Run(fmt.Sprintf("%q", test.read), func(t *testing.T) {
			name, rest, ok := SplitLogin([]byte(test.read), known)
			if string(name) != test.name || string(rest) != test.rest || ok != test.ok {
				t.Errorf("SplitLogin(%q) = %q, %q, %v", test.read, name, rest, ok)
			}
		})
	}
}

func TestParseCount(t *testing.T) {
	tests := []struct {
		text  string
		lines int
		err   error
	}{
		{"0", 0, nil}, {"3", 3, nil}, {"0000003", 3, nil}, {"300000", 300000, nil}, {"9999999", 9999999, nil},
		{"", 0, ErrCountDigits}, {"00000003", 0, ErrCountDigits}, {"10000002", 0, ErrCountDigits},
		{"-3", 0, ErrCountDigits}, {"+3", 0, ErrCountDigits}, {"3\n", 0, ErrCountDigits}, {" 3", 0, ErrCountDigits},
		{"3.0", 0, ErrCountDigits}, {"0x3", 0, ErrCountDigits}, {"٣", 0, ErrCountDigits},
		{"1", 0, ErrCountThree}, {"2", 0, ErrCountThree}, {"4", 0, ErrCountThree}, {"9999998", 0, ErrCountThree},
	}
	for _, test := range tests {
		t.Run(fmt.Sprintf("%q", test.text), func(t *testing.T) {
			lines, err := ParseCount([]byte(test.text))
			if lines != test.lines || err != test.err {
				t.Errorf("ParseCount(%q) = %d, %v, want %d, %v", test.text, lines, err, test.lines, test.err)
			}
			if err != nil && !errors.Is(err, ErrCount) {
				t.Errorf("ParseCount(%q): %v is no ErrCount", test.text, err)
			}
		})
	}
	if got := ErrCountThree.Error(); got != "no count of lines: it is not a multiple of 3" {
		t.Errorf("the error reads %q", got)
	}
}

// The Reader finds the messages of the recorded exchanges, and a phone knows each
// answer.
func TestRecordedExchanges(t *testing.T) {
	text, err := os.ReadFile("testdata/tcp.txt")
	if err != nil {
		t.Fatal(err)
	}
	var server Reader
	var phone ReplyReader
	var got []string
	lines := 0
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "=="), strings.HasPrefix(line, "-- new connection"):
			server, phone = Reader{}, ReplyReader{}
			got = append(got, "")
		case strings.HasPrefix(line, "P> "):
			server.Feed([]byte(line[3:]))
			for m, ok := server.Next(); ok; m, ok = server.Next() {
				got[len(got)-1] += " " + m.Kind.String()
				lines = turn(t, &server, m, lines)
			}
		case strings.HasPrefix(line, "S> ") && line != "S> FIN":
			got[len(got)-1] += fmt.Sprintf(" <%v>", answer(&server, &phone, line[3:]))
		}
	}
	want := []string{
		" username password <welcome> download <TempID> logout",
		" username password <welcome> upload <ack> count <ack> logout",
		" username password <welcome> upload <ack> count <ack> line <ack> line <ack> line <ack> logout",
		" username password <try again> password <try again> password <is blocked>",
		" username password <is blocked>",
		" username password <welcome>",
		" username password <welcome>",
		" username password <welcome> logout logout",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

// turn returns the expectation of a server after m.
func turn(t *testing.T, r *Reader, m Message, lines int) int {
	t.Helper()
	switch m.Kind {
	case Username:
		r.Expect(ExpectPassword)
	case Upload:
		r.Expect(ExpectCount)
	case Count:
		n, err := ParseCount(m.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		lines = n
		if n > 0 {
			r.Expect(ExpectLine)
		} else {
			r.Expect(ExpectCommand)
		}
	case Line:
		if lines--; lines == 0 {
			r.Expect(ExpectCommand)
		}
	}
	return lines
}

// answer parses a send of the server as the phone that waits for it does.
func answer(server *Reader, phone *ReplyReader, text string) Reply {
	switch {
	case server.expect == ExpectPassword:
		reply := phone.Login([]byte(text))
		if reply == ReplyWelcome {
			server.Expect(ExpectCommand)
		}
		return reply
	case len(text) == TempIDSize:
		_, reply := phone.TempID([]byte(text))
		return reply
	default:
		return phone.Ack([]byte(text))
	}
}

// cut splits text into reads. Each byte of sizes is the length of one.
func cut(text []byte, sizes []byte) [][]byte {
	var reads [][]byte
	for len(text) > 0 {
		n := len(text)
		if len(sizes) > 0 {
			n, sizes = min(n, int(sizes[0])+1), sizes[1:]
		}
		reads = append(reads, text[:n])
		text = text[n:]
	}
	return reads
}

// grammarOf returns the messages of a stream, with adjacent skipped bytes as one.
func grammarOf(expect Expectation, feeds [][]byte) (messages []string, taken []byte) {
	var r Reader
	r.Expect(expect)
	skipped := false
	for _, p := range feeds {
		r.Feed(p)
		for m, ok := r.Next(); ok; m, ok = r.Next() {
			taken = append(taken, m.Bytes...)
			if m.Kind == Skipped && skipped {
				messages[len(messages)-1] += string(m.Bytes)
				continue
			}
			skipped = m.Kind == Skipped
			messages = append(messages, m.Kind.String()+":"+string(m.Bytes))
		}
	}
	messages = append(messages, "rest:"+string(r.Unread()))
	return messages, append(taken, r.Unread()...)
}

// A stream of commands or lines gives the same messages for any split into reads.
// With every expectation, each byte is returned once, in order.
func FuzzReader(f *testing.F) {
	f.Add(uint8(2), []byte("Download_tempIDlog outlogoutUpload_contact_log\nDowDownload_tempID"), []byte{3, 0, 20, 7, 1})
	f.Add(uint8(4), []byte(wire+wire), []byte{0, 0, 30})
	f.Add(uint8(0), []byte("+61410888888comp3331"), []byte{11})
	f.Fuzz(func(t *testing.T, expect uint8, text, sizes []byte) {
		e := Expectation(expect % 5)
		got, taken := grammarOf(e, cut(text, sizes))
		if string(taken) != string(text) {
			t.Fatalf("%v: %q comes out as %q", e, text, taken)
		}
		if e != ExpectCommand && e != ExpectLine {
			return
		}
		if want, _ := grammarOf(e, [][]byte{text}); !slices.Equal(got, want) {
			t.Fatalf("%v: cut into reads %q, in one read %q", e, got, want)
		}
	})
}

// With any sequence of Feed, Next and Expect, each byte is returned once, in order.
func FuzzReaderExpect(f *testing.F) {
	f.Add([]byte("Upload_contact_log3"+wire), []byte{18, 2, 255, 1, 3, 20, 4})
	f.Fuzz(func(t *testing.T, text, turns []byte) {
		var r Reader
		var out []byte
		for i, p := range cut(text, turns) {
			if i < len(turns) {
				r.Expect(Expectation(turns[i] % 5))
			}
			r.Feed(p)
			for n := range 3 {
				m, ok := r.Next()
				out = append(out, m.Bytes...)
				if ok && len(m.Bytes) == 0 || !ok && n == 0 && r.expect < ExpectCommand {
					t.Fatalf("expecting a %v: %v %q, %v", r.expect, m.Kind, m.Bytes, ok)
				}
			}
		}
		if out = append(out, r.Unread()...); string(out) != string(text) {
			t.Fatalf("%q comes out as %q", text, out)
		}
	})
}

func FuzzSplitLogin(f *testing.F) {
	f.Add([]byte("+61410888888comp3331"), uint64(1<<11))
	f.Fuzz(func(t *testing.T, read []byte, lengths uint64) {
		known := func(name []byte) bool { return len(name) < 64 && lengths>>len(name)&1 == 1 }
		name, rest, ok := SplitLogin(read, known)
		if !ok {
			return
		}
		if known(read) || !known(name) || len(name) == 0 || len(rest) == 0 || string(name)+string(rest) != string(read) {
			t.Fatalf("%q is split into %q and %q", read, name, rest)
		}
		for n := len(name) + 1; n <= len(read); n++ {
			if known(read[:n]) {
				t.Fatalf("%q: %q is longer than %q", read, read[:n], name)
			}
		}
	})
}

func FuzzParseCount(f *testing.F) {
	for _, text := range []string{"3", "0000009", "9999999", "12345678", "4", "-3"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		lines, err := ParseCount(b)
		if err != nil {
			return
		}
		if lines%3 != 0 || fmt.Sprintf("%0*d", len(b), lines) != string(b) {
			t.Fatalf("ParseCount(%q) = %d", b, lines)
		}
	})
}
