// Package dashes tells the flags of a command line from its words, so that a
// negative number and a flag with one dash get an answer that fits.
package dashes

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"
)

// Split takes the words out of a command line, in their order. A negative number
// is a word, or the value of the flag before it; behind "--" all are words. The
// error is about a flag with one dash: but for -h there is none.
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

func isFlag(arg string) bool {
	return len(arg) > 1 && arg[0] == '-' && !strings.ContainsRune("0123456789.", rune(arg[1]))
}

func oneDash(set *pflag.FlagSet, arg string) error {
	name, _, _ := strings.Cut(arg[1:], "=")
	if set.Lookup(name) != nil {
		return fmt.Errorf("%q has one dash: the flag is --%s", arg, name)
	}
	return fmt.Errorf("there is no flag %q: --help shows those that there are", arg)
}
