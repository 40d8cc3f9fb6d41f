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
	"time"
	"unicode"
)

// maxName is the most bytes of a name.
const maxName = 100

var nameRegexp = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*$`)

// The scalar forms of the language.
var (
	anyTextForm   = textForm("a text")
	trueFalseForm = &form{doc: "`true` or `false`", scalar: &scalar{accepts: acceptsBool, parse: parseTruth}}
	// onlyTrueForm is the form of keys for which `false` would have no effect.
	onlyTrueForm = &form{doc: "`true`, or no such key",
		scalar: &scalar{accepts: acceptsBool, onlyTrue: true, parse: boxed(func(t string) (bool, error) {
			return true, expectedUnless(t == "true")
		})}}

	nameForm     = nameLike("name", "a name, of letters, digits, - and _ that begins with a letter", nameRegexp)
	fileNameForm = nameLike("", "a name of letters, digits, -, _ and . that begins with a letter or a digit "+
		"(reports are named after it)",
		regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`))

	loopbackForm = nameLike("", "an address such as 127.0.0.2",
		regexp.MustCompile(`^127\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}$`))
	durationForm = patternForm("duration", "a duration such as 90s, 1m30s or 59.999999999s", `^`+unsignedPattern+`$`,
		boxed(parseUnsigned))
	positiveForm = patternForm("positive", "a duration above zero such as 90s or 1m30s", `^`+unsignedPattern+`$`,
		boxed(parsePositive))
	signedForm = patternForm("signed", "a duration such as 2m or -1h", `^[+-]?`+unsignedPattern+`$`,
		boxed(parseDuration))
	// clockStepForm is a duration other than zero.
	clockStepForm = patternForm("", signedForm.doc, signedForm.scalar.pattern,
		except(parseDuration, func(d time.Duration) bool { return d == 0 }, "it is zero"))
	// lifetimeForm is a duration of whole seconds.
	lifetimeForm = patternForm("", "a duration of whole seconds such as 15m", `^`+unsignedPattern+`$`,
		except(parsePositive, func(d time.Duration) bool { return d%time.Second != 0 },
			"it has a fraction of a second"))
	delayForm = patternForm("delay", "a delay such as 5ms, a range such as 10ms..40ms, or `exp 5ms` (exponential, "+
		"with its mean)",
		delayPattern, boxed(parseDelay))
	positiveDelayForm = patternForm("", "a delay above zero such as 50ms, a range such as 5ms..50ms, or `exp 5ms`",
		delayPattern, except(parseDelay, func(d Distribution) bool { return d.Longest() == 0 }, "it is zero"))
	stayForm = patternForm("stay", "a duration such as 30s or a range such as 30s..2m",
		`^(`+unsignedPattern+`|`+unsignedPattern+` *\.\. *`+unsignedPattern+`)$`, boxed(parseStay))
	percentForm = shareForm("percent", "a percentage from 0% to 100%", 0, 1)

	wallTimeForm = patternForm("walltime", "a time such as 30/07/2020 16:58:12",
		`^[0-9]{2}/[0-9]{2}/(1[7-9][0-9]{2}|2[01][0-9]{2}|2200) [0-9]{2}:[0-9]{2}:[0-9]{2}$`, boxed(parseWallTime))
	zoneForm = patternForm("zone", "an IANA time zone such as Europe/London", `^[A-Za-z0-9_+/-]+$`, boxed(Zone))
	// timeReferenceForm is the `at` of a step.
	timeReferenceForm = patternForm("moment", "a time such as 5s, -50ms, blocked or blocked + 60s - 1ns",
		referencePattern,
		boxed(parseReference))
	wireTimeForm = &form{doc: "a time from now on such as -20m, or a text that is sent as it is",
		scalar: &scalar{accepts: acceptsText, parse: boxed(parseWireTime)}}
	traceTimeForm = &form{doc: "seconds of the trace's own time such as 31220, or 8h40m", scalar: &scalar{
		accepts: acceptsForm, pattern: `^[0-9]+$|^` + unsignedPattern + `$`, numbers: true,
		parse: boxed(parseTraceTime),
	}}

	numberForm = &form{doc: "a number above 0, such as 4 or 2.5", scalar: &scalar{accepts: acceptsReal,
		parse: boxed(parseReal)}}
	portForm           = wholeForm("a port, 1 to 65535", 1, 65535)
	timesForm          = wholeForm("a whole number from 1 to 1000000", 1, 1_000_000)
	amountForm         = wholeForm("a number of entries", 0, math.MaxInt32)
	bytesPerSecondForm = wholeForm("a number of bytes a second, 1 to 1000000000", 1, 1_000_000_000)

	expectedForm = &form{doc: "a text, or a regular expression between slashes",
		scalar: &scalar{parse: boxed(parsePattern)}}
	patternsForm = orList("a text, a /regular expression/, or a list of these", expectedForm)
	linesForm    = orList("a line, a /regular expression/, or a list of these", expectedForm)
	rawBytesForm = orList("a text that is sent as it is, or a list of them", &form{doc: "a text that is sent as it is",
		scalar: &scalar{rawBytes: true, parse: parseText}})
	pathForm = &form{doc: "the path of a file", scalar: &scalar{parse: except(
		func(t string) (string, error) { return t, nil },
		func(t string) bool { return t == "" || strings.ContainsRune(t, 0) }, "it is no path")}}

	// anyPhoneForm names phones. The names are resolved when every phone is known.
	anyPhoneForm = nameLike("phone", "a phone, a group or a pattern such as pupil-3, pupil or pupil-*",
		regexp.MustCompile(`^[A-Za-z*?][A-Za-z0-9_*?-]*$`))
	phoneForm = &form{def: "onephone", doc: "the name of one phone such as pupil-3", names: namesPhone,
		scalar: &scalar{accepts: acceptsForm, pattern: nameRegexp.String(), parse: anyPhoneForm.scalar.parse}}
	phonesForm = selectionForm("phones", "phones: a name, a group, a pattern such as pupil-*, or a list of these",
		namesPhones, 0)
	// severalPhonesForm is a selection of phones that are in contact with each other.
	severalPhonesForm = selectionForm("phones", phonesForm.doc, namesPhones, 2)
	nodesForm         = selectionForm("nodes", "`server`, phones (a name, a group, a pattern such as pupil-*), or a "+
		"list of these",
		namesNodes, 0)
	targetForm = orList("`contacts`, or phones: a name, a group, a pattern or a list of these", anyPhoneForm)
)

// boxed converts a parser of one type to the parser of a scalar.
func boxed[T any](parse func(string) (T, error)) func(string) (any, error) {
	return func(t string) (any, error) {
		v, err := parse(t)
		return v, err
	}
}

// parseText accepts every text.
func parseText(t string) (any, error) { return t, nil }

// parseTruth parses true and false.
func parseTruth(t string) (any, error) {
	return t == "true", expectedUnless(t == "true" || t == "false")
}

// expectedUnless returns errExpected unless a text is right.
func expectedUnless(right bool) error {
	if right {
		return nil
	}
	return errExpected
}

// nameLike is the form of a text of at most maxName bytes that matches the regular expression.
func nameLike(def, doc string, re *regexp.Regexp) *form {
	return patternForm(def, doc, re.String(), func(t string) (any, error) {
		if len(t) > maxName && re.MatchString(t) {
			return t, fmt.Errorf("it has %d characters, and a name has at most %d", len(t), maxName)
		}
		return t, expectedUnless(re.MatchString(t))
	})
}

// textForm is the form of any text.
func textForm(doc string) *form { return &form{doc: doc, scalar: &scalar{parse: parseText}} }

// patternForm is the form of a text with a pattern for the schema and a parser. def is its name in the schema, or "".
func patternForm(def, doc, pattern string, parse func(string) (any, error)) *form {
	return &form{def: def, doc: doc, scalar: &scalar{accepts: acceptsForm, pattern: pattern, parse: parse}}
}

// selectionForm is the form of a selection of at least so many phones.
func selectionForm(def, doc string, names reference, least int) *form {
	f := orList(doc, anyPhoneForm)
	f.def, f.names, f.least = def, names, least
	return f
}

// oneOf is the form of a text out of a list. Words that people write instead are suggested.
func oneOf(doc string, other synonyms, words ...string) *form {
	return &form{doc: doc + joined(words, "or"), scalar: &scalar{accepts: acceptsForm, enum: words,
		parse: func(t string) (any, error) {
			if slices.Contains(words, t) {
				return t, nil
			}
			if hint := other.hint(t); hint != "" {
				return nil, finalMessage{errors.New(hint)}
			}
			if c, ok := nearest(t, words); ok {
				return nil, finalMessage{fmt.Errorf("did you mean `%s`?", c)}
			}
			return nil, errExpected
		}}}
}

// eitherOf is the form of one of two words, which stand for false and true.
func eitherOf(no, yes string) *form {
	f := oneOf("", nil, no, yes)
	word := f.scalar.parse
	f.scalar.parse = func(t string) (any, error) {
		got, err := word(t)
		return got == yes, err
	}
	return f
}

// wholeForm is the form of a whole number from min to max.
func wholeForm(doc string, min, max uint64) *form {
	parse := func(t string) (any, error) {
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
	}
	return &form{doc: doc, scalar: &scalar{accepts: acceptsWhole, min: min, max: max, parse: parse}}
}

// shareForm is the form of a share from least to most, 0 to 1.
func shareForm(def, doc string, least, most float64) *form {
	f := patternForm(def, doc, percentRegexp.String(), boxed(func(t string) (float64, error) {
		p, err := parsePercent(t)
		if err == nil && (p < least-1e-12 || p > most+1e-12) { // 99.9/100 is a little more than 0.999
			return 0, errExpected
		}
		return p, err
	}))
	f.scalar.percent = true
	return f
}

// except returns the parser of a scalar that refuses the values of parse for which is returns true. message is the
// reason.
func except[T any](parse func(string) (T, error), is func(T) bool, message string) func(string) (any, error) {
	return func(t string) (any, error) {
		v, err := parse(t)
		if err == nil && is(v) {
			err = errors.New(message)
		}
		return v, err
	}
}

// parseStay parses a duration or a range, above 0.
func parseStay(t string) (Distribution, error) {
	d, err := parseDelay(t)
	if err == nil && d.Mean > 0 {
		err = errExpected
	}
	if err == nil && d.Min == 0 {
		err = errors.New("a stay is longer than nothing")
	}
	return d, err
}

// parseReal parses a finite number above 0.
func parseReal(t string) (float64, error) {
	n, err := strconv.ParseFloat(t, 64)
	if err != nil || math.IsNaN(n) || math.IsInf(n, 0) || n <= 0 {
		return 0, errExpected
	}
	return n, nil
}

// phoneCountForm is the form of a number of phones.
var phoneCountForm = newPhoneCountForm()

// newPhoneCountForm returns the form of a whole number that explains why there cannot be more phones.
func newPhoneCountForm() *form {
	f := wholeForm("a whole number from 1 to 2000000", 1, maxPhones)
	parse := f.scalar.parse
	f.scalar.parse = func(t string) (any, error) {
		if n, _ := strconv.ParseUint(t, 10, 64); n > maxPhones { // the largest number if t is out of range
			return nil, errors.New(tooManyPhones(n))
		}
		return parse(t)
	}
	return f
}

// credential is the form of a field of credentials.txt.
func credential(doc string) *form {
	f := textForm(doc)
	f.scalar.parse = func(t string) (any, error) {
		switch {
		case t == "" || strings.ContainsAny(t, " \t\r\n"):
			return nil, errors.New("one blank stands between the two in credentials.txt")
		case len(t) > 256:
			return nil, errors.New("it is longer than 256 bytes")
		case strings.ContainsFunc(t, func(r rune) bool { return !unicode.IsPrint(r) }):
			return nil, errors.New("it has an unprintable character, and servers print usernames")
		}
		return t, nil
	}
	return f
}

// maxProgram is the limit of the sizes of all regular expressions of a file, in steps of their programs.
const maxProgram = 1 << 20

// parsePattern takes every text. The reader compiles a regular expression afterwards.
func parsePattern(t string) (Pattern, error) { return Pattern{Text: t}, nil }

// compile compiles a text between slashes. left is the size that the regular expressions of the file may still have.
func (p Pattern) compile(left *int) (Pattern, error) {
	t := p.Text
	if len(t) < 2 || t[0] != '/' || t[len(t)-1] != '/' {
		return p, nil
	}
	tree, err := syntax.Parse(t[1:len(t)-1], syntax.Perl)
	if err == nil {
		if *left -= programSize(tree); *left < 0 {
			return p, errors.New("the regular expressions here are too large together")
		}
		p.Re, err = regexp.Compile(t[1 : len(t)-1])
	}
	if err != nil {
		return p, fmt.Errorf("the regular expression between the slashes does not compile (%s)", plain(err.Error()))
	}
	return p, nil
}

// programSize estimates the steps of a regular expression once its repetitions are written out.
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

// synonyms are words that people write, each with the word of the language.
type synonyms map[string]string

// hint returns "did you mean …?", or "" if the word is unknown.
func (s synonyms) hint(word string) string {
	if meant, ok := s[strings.ToLower(word)]; ok {
		return "did you mean " + meant + "?"
	}
	return ""
}

// faultSynonyms are written as keys of a fault.
func faultSynonyms() synonyms {
	const (
		lasts   = "`for`, the time for which it is in force; afterwards the nodes go on"
		restart = "`crash` with `for`, after which the node starts again from its disk"
		torn    = "`crash` with `unsynced: torn`"
		failing = "`disk` with `is: failing`"
	)
	return synonyms{
		"heal": lasts, "resume": lasts, "repair": lasts, "recover": lasts, "duration": lasts, "length": lasts,
		"restart": restart, "kill": restart, "stop": restart,
		"partition": "`cut`", "isolate": "`cut`", "disconnect": "`cut`",
		"drop": "`lose`", "loss": "`lose`", "latency": "`delay`", "lag": "`delay`",
		"freeze": "`pause`", "suspend": "`pause`", "skew": "`clock` with `offset`", "bandwidth": "`slow`",
		"torn": torn, "error": failing,
	}
}

// diskSynonyms are written as the state of a disk.
var diskSynonyms = synonyms{"torn": "`crash` with `unsynced: torn`", "error": "`failing`", "broken": "`failing`",
	"eio": "`failing`", "enospc": "`full`"}
