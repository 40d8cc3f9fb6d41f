package swarm

import (
	"regexp"
	"slices"
	"strings"

	"bluetrace/reports"
	"bluetrace/scenarios"
)

// naming knows the phones whose names tell one seed's failure from another's.
type naming struct{ phones *regexp.Regexp }

func newNaming(base *scenarios.Scenario) *naming {
	words := []string{regexp.QuoteMeta(mallory)}
	for _, g := range base.Phones {
		word := regexp.QuoteMeta(g.Name)
		if g.Counted {
			word += "-[0-9]+"
		}
		words = append(words, word)
	}
	slices.SortFunc(words, func(a, b string) int { return len(b) - len(a) })
	return &naming{regexp.MustCompile(`(?: to )?\b(?:` + strings.Join(words, "|") + `)\b(?: \(program [0-9]+\))?`)}
}

// plain is a text without what differs from run to run: whose it is, to whom it
// was said, and what the function of that name takes out.
func (n *naming) plain(text string) string {
	return plain(n.phones.ReplaceAllStringFunc(text, func(name string) string {
		if strings.HasPrefix(name, " to ") {
			return ""
		}
		return "…"
	}))
}

// livenessCause begins the cause of something that was not possible after the heal.
const livenessCause = "liveness: "

// causeOf names a failure so that the same failure of another seed has the same
// name: the check, and what was found without what differs from run to run.
func (n *naming) causeOf(c *reports.Check) string {
	found := n.plain(c.Found)
	if found == "" {
		found = "nothing"
	}
	if c.Kind == reports.InvariantCheck {
		return c.Name + ": " + found
	}
	return livenessCause + afterPhone(c.Name) + ": " + found
}

// afterPhone is what a step of liveness does, without when and by whom, and what
// it expects.
func afterPhone(step string) string {
	_, what, ok := strings.Cut(step, "phone: ")
	if ok {
		_, what, ok = strings.Cut(what, ", ")
	}
	if !ok {
		return plain(step)
	}
	what, _, _ = strings.Cut(what, ", ")
	return what
}

var (
	durations = regexp.MustCompile(`\b([0-9.]+(ns|µs|ms|h|m|s))+\b`)
	numbers   = regexp.MustCompile(`-?[0-9]+([.:/]+[0-9]+)*`)
	fixed     = regexp.MustCompile(`^"[A-Za-z ,.!'-]{8,}"$`) // of a text that is always the same
	texts     = regexp.MustCompile(`"(\\.|[^"\\])*"`)
	repeated  = regexp.MustCompile(`([#…])(?:(?:, | and | )[#…])+`)
	entries   = regexp.MustCompile(`# entry\b`)
)

// longestCause is how much of what was found is part of a cause, in bytes.
const longestCause = 160

// plain takes numbers, times, and quoted texts that are not always the same, out of the first line of a text.
func plain(text string) string {
	text = texts.ReplaceAllStringFunc(firstLine(text), func(quoted string) string {
		if fixed.MatchString(quoted) {
			return quoted
		}
		return "…"
	})
	text = durations.ReplaceAllString(text, "#")
	text = numbers.ReplaceAllString(text, "#")
	text = strings.ReplaceAll(text, "+#", "…")
	text = entries.ReplaceAllString(text, "# entries")
	text = repeated.ReplaceAllString(text, "$1")
	if len(text) > longestCause {
		text = strings.ToValidUTF8(text[:longestCause], "") + "…"
	}
	return text
}

// FileName is a cause as a name of a file, without its end.
func FileName(cause string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(cause) {
		switch {
		case 'a' <= r && r <= 'z' || '0' <= r && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
		if b.Len() == longestFileName {
			break
		}
	}
	return strings.Trim(b.String(), "-")
}

const longestFileName = 60
