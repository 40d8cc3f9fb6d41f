// Package dashes separates the flags of a command line from its other arguments,
// so that negative numbers are arguments and a flag with one dash gets a clear error.
package dashes

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"
)

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
