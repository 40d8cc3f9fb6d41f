package reports

import "testing"

func TestPlainEscapesWhatATerminalMightObey(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{"plain é 漢 \\ \" '", "plain é 漢 \\ \" '"},
		{"a\nb\tc\r", `a\nb\tc\r`},
		{"\x1b[31mred", `\x1b[31mred`},
		{"\x00\x7f", `\x00\x7f`},
		{"\u009b2J", `\u009b2J`},
		{"\u202egnp", `\u202egnp`},
		{"\xff\xc3", `\xff\xc3`},
		{"\ufffd", "\ufffd"},
		{"\U000e0001", `\U000e0001`},
	} {
		if got := Escape(c.in); got != c.want {
			t.Errorf("Plain(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

func TestFitKeepsWidth(t *testing.T) {
	for _, c := range []struct {
		in    string
		width int
		want  string
	}{{"abc", 3, "abc"}, {"abcd", 3, "ab…"}, {"éèê", 3, "éèê"}, {"éèêë", 3, "éè…"}} {
		if got := truncate(c.in, c.width); got != c.want {
			t.Errorf("truncate(%q, %d) = %q, want %q", c.in, c.width, got, c.want)
		}
	}
}
