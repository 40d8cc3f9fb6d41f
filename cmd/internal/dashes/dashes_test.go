package dashes

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// No control character of an argument reaches the terminal.
func TestComplain(t *testing.T) {
	var b strings.Builder
	Complain(&b, "server", errors.Join(errors.New("unknown flag: --\x1b[31mé\x07\u202e\xff"), errors.New(`"a" and 'b'`)))
	if want := "server: unknown flag: --\\x1b[31mé\\a\\u202e\\xff\nserver: \"a\" and 'b'\n"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}

func TestSplit(t *testing.T) {
	for _, row := range []struct{ line, flags, words, says string }{
		{line: ""},
		{line: "1 2", words: "1 2"},
		{line: "--dir d 1 --fast 2 --dir=e 3", flags: "--dir d --fast --dir=e", words: "1 2 3"},
		{line: "1 -5", words: "1 -5"},
		{line: "-.5 -", words: "-.5 -"},
		{line: "--dir -5 -6", flags: "--dir -5", words: "-6"},
		{line: "--dir -x", flags: "--dir -x"},
		{line: "--fast -- -x --dir", flags: "--fast", words: "-x --dir"},
		{line: "1 --dir", flags: "--dir", words: "1"},
		{line: "--none 1", flags: "--none", words: "1"},
		{line: "-h", flags: "-h"},
		{line: "1 -dir .", says: `"-dir" has one dash: the flag is --dir`},
		{line: "-dir=x", says: `"-dir=x" has one dash: the flag is --dir`},
		{line: "-host x", says: `unknown flag "-host": --help lists the flags`},
	} {
		set := pflag.NewFlagSet("", pflag.ContinueOnError)
		set.String("dir", "", "")
		set.Bool("fast", false, "")
		flags, words, err := Split(set, strings.Fields(row.line))
		if row.says != "" {
			if err == nil || err.Error() != row.says {
				t.Errorf("%q: error %v, want %s", row.line, err, row.says)
			}
			continue
		}
		if err != nil || !slices.Equal(flags, strings.Fields(row.flags)) || !slices.Equal(words, strings.Fields(row.words)) {
			t.Errorf("%q: flags %q, words %q, error %v, want %q and %q", row.line, flags, words, err, row.flags, row.words)
		}
	}
}

func TestComplaintsDoNotControlTheTerminal(t *testing.T) {
	var b strings.Builder
	Complain(&b, "server", errors.New("the flag \x1b[31m\u009b\u202e \xff\t\"é\" \\ \\x\nand 'more'\r\n"))
	want := "server: the flag \\x1b[31m\\u009b\\u202e \\xff\\t\"é\" \\ \\x\nserver: and 'more'\\r\n"
	if got := b.String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
