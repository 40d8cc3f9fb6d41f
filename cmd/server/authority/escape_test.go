package authority

import (
	"strings"
	"testing"
)

// TestMessagesDoNotControlTheTerminal checks that no byte of an argument reaches standard
// error as a control character.
func TestMessagesDoNotControlTheTerminal(t *testing.T) {
	const raw = "\x1b[31m\u009b2J\u202e\r"
	for _, line := range [][]string{
		{"--" + raw}, {"-" + raw}, {raw, "60"}, {"0", raw}, {"0", "60", "--dir", raw}, {"0", "60", "--host", raw}, {"0", "60", "--metrics", raw},
		{"0", "60", "--metrics", raw + ":1"}, {"0", "60", "--idle-timeout", raw}, {"0", "60", "--max-upload", raw}, {"0", "60", raw},
	} {
		got, text := failing(t, line...)
		if got == ended || strings.Count(text, "\n") != 1 || strings.ContainsAny(text, "\x1b\u009b\u202e\r") {
			t.Errorf("%q: status %d, %q", line, got, text)
		}
	}
}
