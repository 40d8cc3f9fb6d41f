package main

import (
	"strings"
	"testing"
)

// TestMessagesDoNotControlTheTerminal checks that no byte of an argument reaches standard
// error as a control character.
func TestMessagesDoNotControlTheTerminal(t *testing.T) {
	const raw = "\x1b[31m\u009b2J\u202e\r"
	for _, arguments := range [][]string{
		{"--" + raw}, {"-" + raw}, {raw, "13000", "14000"}, {"::1", raw, "14000"}, {"::1", "13000", raw},
		{"::1", "13000", "14000", "--beacon", raw},
		{"::1", "13000", "14000", "--host", raw}, {"::1", "13000", "14000", "--retention", raw},
		{"::1", "13000", "14000", "--" + raw + "=1"},
	} {
		var out, errors lockedBuffer
		p := program{stdout: &out, stderr: &errors}
		got := p.command(arguments)
		if text := errors.String(); got != wrong || strings.Count(text, "\n") != 1 ||
			strings.ContainsAny(text, "\x1b\u009b\u202e\r") {
			t.Errorf("%q: status %d, %q", arguments, got, text)
		}
	}
}
