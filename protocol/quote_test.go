package protocol

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

func TestAppendField(t *testing.T) {
	tests := []struct {
		field string
		ok    bool
		want  string
	}{
		{"99033999094940624829", true, "> 99033999094940624829"},
		{"9903399909494062482x", false, `> "9903399909494062482x"`},
		{"", false, `> ""`},
		{"The beacon is valid.\n", false, `> "The beacon is valid.\n"`},
		{"\x1b[2J\x00\"\\", false, `> "\x1b[2J\x00\"\\"`},
		{"é\xff\u202e", false, `> "\u00e9\xff\u202e"`},
		{strings.Repeat("a", 64), false, `> "` + strings.Repeat("a", 64) + `"`},
		{strings.Repeat("a", 65), false, `> "` + strings.Repeat("a", 64) + `"... (65 bytes)`},
		{strings.Repeat("a", 63) + "é", false, `> "` + strings.Repeat("a", 63) + `\xc3"... (65 bytes)`},
	}
	for _, test := range tests {
		t.Run(fmt.Sprintf("%.30q", test.field), func(t *testing.T) {
			if got := string(AppendField([]byte("> "), []byte(test.field), test.ok)); got != test.want {
				t.Errorf("AppendField(%q, %v) = %s, want %s", test.field, test.ok, got, test.want)
			}
		})
	}
}

func FuzzAppendField(f *testing.F) {
	f.Add([]byte("NAME logout\n"))
	f.Add([]byte(strings.Repeat("\xff", 70)))
	f.Fuzz(func(t *testing.T, field []byte) {
		got := string(AppendField(nil, field, false))
		for _, c := range []byte(got) {
			if c < ' ' || c > '~' {
				t.Fatalf("%q is printed with %#x in it: %q", field, c, got)
			}
		}
		if len(field) > quotedLimit {
			return
		}
		if back, err := strconv.Unquote(got); err != nil || back != string(field) {
			t.Fatalf("%q is printed %s: %v", field, got, err)
		}
	})
}
