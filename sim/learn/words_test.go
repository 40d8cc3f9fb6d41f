package learn

import (
	"testing"
	"time"

	"bluetrace/protocol/dialect"
)

var noon = time.Date(2020, 7, 30, 16, 58, 12, 0, time.UTC)

// TestLayouts: the layout of a time is that with which it is nearest to the time of its message.
func TestLayouts(t *testing.T) {
	for _, c := range []struct {
		text string
		at   time.Time
		want dialect.Layout
	}{
		{"a 30/07/2020 16:58:12.", noon, "02/01/2006 15:04:05"},
		{"07/30/2020 16:58:12", noon, "01/02/2006 15:04:05"},
		{"2020-07-30T16:58:12", noon, "2006-01-02T15:04:05"},
		{"2020-07-30 16:58:12.123456", noon, "2006-01-02 15:04:05"},
		{"16:58:12 30-07-2020", noon, "15:04:05 02-01-2006"},
		{"30/07/20 16:58:12", noon, "02/01/06 15:04:05"},
		{"08/07/2020 16:58:12", time.Date(2020, 8, 7, 16, 0, 0, 0, time.UTC), "01/02/2006 15:04:05"},
		{"08/07/2020 16:58:12", time.Date(2020, 7, 8, 16, 0, 0, 0, time.UTC), "02/01/2006 15:04:05"},
		{"x 1596128292 y", noon, dialect.Unix},
		{"30/07/2019 16:58:12 1234567890", noon, ""},
		{"12345678901234567890", noon, ""},
	} {
		if got := layoutOf(c.text, c.at); got != c.want {
			t.Errorf("%q: layout %q, want %q", c.text, got, c.want)
		}
	}
}

// TestFill: values become placeholders, and nothing else does.
func TestFill(t *testing.T) {
	const id = "12345678901234567890"
	w := words{tempIDs: map[string]bool{id: true}, digits: 20, layout: "2006-01-02 15:04:05", block: 37}
	u := w
	u.layout = dialect.Unix
	up := w
	up.count, up.bytes = 2, 120
	for _, c := range []struct {
		w     words
		text  string
		up    bool
		times bool
		want  string
	}{
		{w, "login +614 p4ss", true, false, "login {user} {password}"},
		{w, "22 s, 16:58, 16:58:12.5 on 30.07.2020, 22.5 left", false, false, "22 s, {*}, {*} on {*}, {*} left"},
		{w, "login:2", false, false, "login:2"},
		{w, "wait 37 s", true, false, "wait 37 s"},
		{w, "in since 2020-07-30 16:58:12", false, false, "in since {*}"},
		{w, "it is 2020-07-30 16:58:12", true, false, "it is {now}"},
		{w, id + "2020-07-30 16:58:122020-07-30 17:13:121", true, true, "{tempid}{start}{expiry}1"},
		{w, id + " 2020-07-30 16:58:10 2020-07-30 17:13:10 2020-07-30 16:58:12 1", true, true,
			"{tempid} {start} {expiry} {now} 1"},
		{w, "2020-07-30 16:58:10.123456 " + id, true, true, "{start}.000000 {tempid}"},
		{w, "2020-07-30 16:58:10.123456 " + id, false, true, "{start}.{*} {tempid}"},
		{w, "99999999999999999999|2020-07-30 17:13:12", true, true, "{tempid}|{expiry}"},
		{u, id + ":1596128292:1596129192", false, true, "{tempid}:{start}:{expiry}"},
		{up, "count 2, lines 6, bytes 120, 22", true, true, "count {n}, lines {3n}, bytes {bytes}, 22"},
		{up, "OK 2", false, true, "OK {*}"},
		{up, id + " 2", true, true, "{tempid} 2"},
	} {
		got := c.w.fill(message{at: noon, up: c.up, text: c.text}, "+614", "p4ss", c.times)
		if got != c.want {
			t.Errorf("%q: %q, want %q", c.text, got, c.want)
		}
	}
}

// TestBlockSeconds: the seconds of a block are replaced in a sentence about them, and other numbers are not.
func TestBlockSeconds(t *testing.T) {
	w := words{block: 37}
	for _, c := range []struct{ text, want string }{
		{"wait 37 s, not 370", "wait {*} s, not 370"},
		{"23 seconds left, error 403", "{*} seconds left, error 403"},
		{"22 seconds left", "22 seconds left"},
		{"38 seconds left", "38 seconds left"},
		{"status:31", "status:31"},
	} {
		if got := w.blockSeconds(c.text); got != c.want {
			t.Errorf("%q: %q, want %q", c.text, got, c.want)
		}
	}
}

// TestSpecific: a text with {*} that matches the answer for another outcome is not used, also one of binary bytes.
func TestSpecific(t *testing.T) {
	var texts [dialect.Outcomes][]string
	texts[dialect.Welcome] = []string{"\x80\x04 welcome u."}
	for pattern, want := range map[string]bool{
		"\x80\x04{*}u.": false, "\x80\x04 wrong {*}u.": true, "{*}welcome": false, "\x80{*}l{*}u{*}": false, "{*}x": true,
	} {
		if got := isSpecific(pattern, dialect.Wrong, texts); got != want {
			t.Errorf("%q: %v", pattern, got)
		}
	}
	w := words{}
	if got := w.numbers("BT/1.0 200 at 12.03.2026 09:15 up 3.25", false, false); got != "BT/1.0 200 at {*} {*} up {*}" {
		t.Errorf("%q", got)
	}
}

// TestMerge: the places where two observations differ become {*}.
func TestMerge(t *testing.T) {
	for _, c := range []struct{ a, b, want string }{
		{"same", "same", "same"},
		{"2 attempts left", "1 attempts left", "{*} attempts left"},
		{"2 attempts, 10 s", "1 attempts, 20 s", "{*} attempts, {*} s"},
		{"wrong", "wrong, 1 left", "wrong{*}"},
		{"hello {user}", "hello anna", "hello {*}"},
		{"a {user} b", "a {user} c d", "a {user} {*}"},
	} {
		if got := merge(c.a, c.b); got != c.want {
			t.Errorf("%q and %q: %q, want %q", c.a, c.b, got, c.want)
		}
	}
}

// TestUnit: the form of an entry is found between the texts around all entries.
func TestUnit(t *testing.T) {
	for _, c := range []struct{ text, before, entry, join, after string }{
		{"{tempid} {start}\n{tempid} {start}\n", "", "{tempid} {start}\n", "", ""},
		{"{tempid} {start}\n{tempid} {start}", "", "{tempid} {start}", "\n", ""},
		{`{"L": [{"t": "{tempid}"}, {"t": "{tempid}"}]}`, `{"L": [`, `{"t": "{tempid}"}`, ", ", `]}`},
		{"up;{tempid},{expiry};{tempid},{expiry};", "up;", "{tempid},{expiry};", "", ""},
		{"u:{user}:{tempid}!{start}u:{user}:{tempid}!{start}", "", "u:{user}:{tempid}!{start}", "", ""},
		{"x:{tempid}x:{tempid}END", "", "x:{tempid}", "", "END"},
	} {
		before, entry, join, after := unit(c.text)
		if before != c.before || entry != c.entry || join != c.join || after != c.after {
			t.Errorf("%q: %q %q %q %q", c.text, before, entry, join, after)
		}
	}
}

// TestQuestion: the last question on the screen decides, not a sentence about a refusal.
func TestQuestion(t *testing.T) {
	for _, c := range []struct {
		text string
		want asking
	}{
		{"> Username: ", asksName},
		{"> Password: ", asksPassword},
		{"Invalid Username or Password. Please try again\nUsername: ", asksName},
		{"Invalid username. Password: ", asksPassword},
		{"Invalid Password. Please try again\n", asksNothing},
		{"Welcome\nRegister or Login?\n", asksChoice},
		{"Enter your phone number\n", asksName},
		{"", asksNothing},
	} {
		if got := question(c.text); got != c.want {
			t.Errorf("%q: %d, want %d", c.text, got, c.want)
		}
	}
	const menu = "1) Download tempID\n[2] Upload log\n3. logout\n"
	for _, c := range []struct{ command, want string }{
		{"download", "1"}, {"upload", "2"}, {"log ?out", "3"}, {"beacon", "-"},
	} {
		if got := choice(menu, c.command, "-"); got != c.want {
			t.Errorf("%q: %q, want %q", c.command, got, c.want)
		}
	}
}
