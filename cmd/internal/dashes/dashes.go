// Package dashes parses a command line. It separates the flags from the other arguments,
// so that negative numbers are arguments and a flag with one dash gets a clear error.
package dashes

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
)

// NewSet returns an empty set of flags for a program. It prints nothing, and lists the
// flags in the order in which they are defined.
func NewSet(program string) *pflag.FlagSet {
	set := pflag.NewFlagSet(program, pflag.ContinueOnError)
	set.SortFlags = false
	set.SetOutput(io.Discard)
	set.Usage = func() {}
	return set
}

// Parse sets the flags of a command line, and returns its other arguments. There must be
// one for each of names, which are the names of the arguments in errors. The error is
// pflag.ErrHelp if the user asks for help.
func Parse(set *pflag.FlagSet, line []string, names ...string) (words []string, err error) {
	if len(line) == 1 && line[0] == "help" {
		return nil, pflag.ErrHelp
	}
	flags, words, err := Split(set, line)
	if err == nil {
		err = set.Parse(flags)
	}
	switch n := len(words); {
	case err != nil:
		return nil, err
	case n > len(names):
		return nil, fmt.Errorf("expected %s, found %d arguments", listed(names), n)
	case n == len(names)-1:
		return nil, fmt.Errorf("%s is missing", names[n])
	case n < len(names):
		return nil, fmt.Errorf("%s are missing", listed(names[n:]))
	}
	return words, nil
}

// listed returns two or more names in the form "a, b and c".
func listed(names []string) string {
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}

// Complain writes an error to a program's standard error, each line behind the name of
// the program. It escapes what is not printable: it may come from an argument.
func Complain(stderr io.Writer, program string, err error) {
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintln(stderr, program+": "+escape(strings.TrimSuffix(line, "\n")))
	}
}

// escape returns text with each character that is not printable in the form of a Go string.
func escape(text string) string {
	var b strings.Builder
	for _, r := range text {
		quoted := strconv.QuoteRune(r)
		if strconv.IsPrint(r) {
			b.WriteRune(r)
		} else {
			b.WriteString(quoted[1 : len(quoted)-1])
		}
	}
	return b.String()
}

// Split separates the flags of a command line from its other arguments, the words,
// and keeps the order of both. A negative number is a word, or the value of the flag
// before it. All arguments behind "--" are words. It returns an error for a flag with
// one dash, except -h.
func Split(set *pflag.FlagSet, line []string) (flags, words []string, err error) {
	for i := 0; i < len(line); i++ {
		switch arg := line[i]; {
		case arg == "--":
			return flags, append(words, line[i+1:]...), nil
		case strings.HasPrefix(arg, "--"):
			flags = append(flags, arg)
			if f := set.Lookup(arg[2:]); f != nil && f.NoOptDefVal == "" && i+1 < len(line) {
				i++
				flags = append(flags, line[i])
			}
		case arg == "-h":
			flags = append(flags, arg)
		case isFlag(arg):
			return nil, nil, oneDash(set, arg)
		default:
			words = append(words, arg)
		}
	}
	return flags, words, nil
}

// isFlag reports whether an argument with one dash is a flag: neither "-" nor a
// negative number.
func isFlag(arg string) bool {
	return len(arg) > 1 && arg[0] == '-' && !strings.ContainsRune("0123456789.", rune(arg[1]))
}

// oneDash returns the error for a flag with one dash.
func oneDash(set *pflag.FlagSet, arg string) error {
	name, _, _ := strings.Cut(arg[1:], "=")
	if set.Lookup(name) != nil {
		return fmt.Errorf("%q has one dash: the flag is --%s", arg, name)
	}
	return fmt.Errorf("unknown flag %q: --help lists the flags", arg)
}
