package scenarios

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
)

// The scalars of the language. Each is made anew for every reading: nothing of
// it is shared.

const (
	namePattern  = `^[A-Za-z][A-Za-z0-9_-]*$`
	phonePattern = `^[A-Za-z*?][A-Za-z0-9_*?-]*$`
)

var (
	nameForm  = regexp.MustCompile(namePattern)
	phoneForm = regexp.MustCompile(phonePattern)
)

func formed(def, doc, pattern string, parse func(string) (any, error)) *shape {
	return &shape{def: def, doc: doc, scalar: &scalar{accepts: acceptsForm, pattern: pattern, parse: parse}}
}

func anyText(doc string) *shape {
	return &shape{doc: doc, scalar: &scalar{accepts: acceptsText, parse: func(t string) (any, error) { return t, nil }}}
}

func oneOf(doc string, words ...string) *shape {
	return &shape{doc: doc + backquotedOr(words), scalar: &scalar{accepts: acceptsForm, enum: words, parse: func(t string) (any, error) {
		if slices.Contains(words, t) {
			return t, nil
		}
		if c, ok := nearest(t, words); ok {
			return nil, told{fmt.Errorf("did you mean `%s`?", c)}
		}
		return nil, errExpected
	}}}
}

func backquotedOr(words []string) string {
	s := backquoted(words)
	if i := strings.LastIndex(s, " and "); i >= 0 {
		return s[:i] + " or " + s[i+5:]
	}
	return s
}

func whole(doc string, min, max uint64) *shape {
	return &shape{doc: doc, scalar: &scalar{accepts: acceptsWhole, min: min, max: max, parse: func(t string) (any, error) {
		n, err := strconv.ParseUint(t, 10, 64)
		switch {
		case errors.Is(err, strconv.ErrRange), err == nil && n > max:
			return nil, fmt.Errorf("the most is %d", max)
		case err != nil:
			return nil, errExpected
		case n < min:
			return nil, fmt.Errorf("the least is %d", min)
		}
		return n, nil
	}}}
}

func truth(doc string) *shape {
	return &shape{doc: doc, scalar: &scalar{accepts: acceptsBool, parse: func(t string) (any, error) {
		switch t {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
		return nil, errExpected
	}}}
}

// onlyTrue is for keys whose `false` would say nothing.
func onlyTrue() *shape {
	return &shape{doc: "`true`, or no such key", scalar: &scalar{accepts: acceptsBool, onlyTrue: true, parse: func(t string) (any, error) {
		if t != "true" {
			return nil, errExpected
		}
		return true, nil
	}}}
}

func name(doc string) *shape {
	return formed("name", doc+", of letters, digits, - and _ that begins with a letter", namePattern, func(t string) (any, error) {
		if !nameForm.MatchString(t) || len(t) > 100 {
			return nil, errExpected
		}
		return t, nil
	})
}

func durationWord() *shape {
	return formed("duration", "a duration such as 90s, 1m30s or 59.999999999s", `^`+unsignedPattern+`$`,
		func(t string) (any, error) { return boxed(parseUnsigned(t)) })
}

func positiveWord() *shape {
	return formed("positive", "a duration above zero such as 90s or 1m30s", `^`+unsignedPattern+`$`,
		func(t string) (any, error) { return boxed(parsePositive(t)) })
}

func delayWord() *shape {
	return formed("delay", "a delay such as 5ms, a range such as 10ms..40ms, or `exp 5ms` (exponential, with its mean)", delayPattern,
		func(t string) (any, error) { return boxed(parseDelay(t)) })
}

func stayWord() *shape {
	return formed("stay", "a duration such as 30s or a range such as 30s..2m",
		`^(`+unsignedPattern+`|`+unsignedPattern+` *\.\. *`+unsignedPattern+`)$`, func(t string) (any, error) {
			d, err := parseDelay(t)
			if err == nil && d.Mean > 0 {
				err = errExpected
			}
			if err == nil && d.Min == 0 {
				err = errors.New("a stay is longer than nothing")
			}
			return d, err
		})
}

func percentWord() *shape {
	return formed("percent", "a percentage from 0% to 100%", percent.String(),
		func(t string) (any, error) { return boxed(parsePercent(t)) })
}

func boxed[T any](v T, err error) (any, error) { return v, err }

func wallTimeWord() *shape {
	return formed("walltime", "a time such as 30/07/2020 16:58:12", `^[0-9]{2}/[0-9]{2}/(1[7-9][0-9]{2}|2[01][0-9]{2}|2200) [0-9]{2}:[0-9]{2}:[0-9]{2}$`,
		func(t string) (any, error) { return boxed(parseWallTime(t)) })
}

func zoneWord() *shape {
	return formed("zone", "an IANA time zone such as Europe/London", `^[A-Za-z0-9_+/-]+$`,
		func(t string) (any, error) { return boxed(loadZone(t)) })
}

// phoneWord names phones: their names are resolved when all are known.
func phoneWord() *shape {
	return formed("phone", "a phone, a group or a pattern such as pupil-3, pupil or pupil-*", phonePattern, func(t string) (any, error) {
		if !phoneForm.MatchString(t) || len(t) > 100 {
			return nil, errExpected
		}
		return t, nil
	})
}

// phonesWord is one such name or a list of them.
func phonesWord() *shape {
	s := orList("phones: a name, a group, a pattern such as pupil-*, or a list of these", phoneWord())
	s.def = "phones"
	return s
}

func onePhoneWord() *shape {
	s := phoneWord()
	s.def, s.doc, s.scalar.pattern = "onephone", "the name of one phone such as pupil-3", namePattern
	return s
}

func degreeWord() *shape {
	return &shape{doc: "a number above 0, such as 4 or 2.5", scalar: &scalar{accepts: acceptsReal, parse: func(t string) (any, error) {
		n, err := strconv.ParseFloat(t, 64)
		if err != nil || math.IsNaN(n) || math.IsInf(n, 0) || n <= 0 {
			return nil, errExpected
		}
		return n, nil
	}}}
}

// maxProgram is how large the regular expressions of one key may be together,
// in steps of their programs.
const maxProgram = 1 << 20

// patternWord is an expected line.
func patternWord() *shape {
	s := anyText("a text, or a regular expression between slashes")
	left := maxProgram
	s.scalar.parse = func(t string) (any, error) {
		p := Pattern{Text: t}
		if len(t) < 2 || t[0] != '/' || t[len(t)-1] != '/' {
			return p, nil
		}
		tree, err := syntax.Parse(t[1:len(t)-1], syntax.Perl)
		if err == nil {
			if left -= programSize(tree); left < 0 {
				return nil, errors.New("the regular expressions here are too large together")
			}
			p.Re, err = regexp.Compile(t[1 : len(t)-1])
		}
		if err != nil {
			return nil, fmt.Errorf("the regular expression between the slashes does not compile (%s)", plain(err.Error()))
		}
		return p, nil
	}
	return s
}

// programSize is about how many steps a regular expression has once its
// repetitions are written out.
func programSize(tree *syntax.Regexp) int {
	size := 1 + len(tree.Rune)
	for _, sub := range tree.Sub {
		size += programSize(sub)
	}
	if tree.Op == syntax.OpRepeat {
		size *= max(1, tree.Min, tree.Max)
	}
	return min(size, maxProgram+1)
}

func patternsWord(doc string) *shape { return orList(doc, patternWord()) }

// bytesWord is a text that goes on the wire as it is.
func bytesWord(doc string) *shape {
	s := anyText(doc)
	s.scalar.rawBytes = true
	return orList(doc+", or a list of them", s)
}
