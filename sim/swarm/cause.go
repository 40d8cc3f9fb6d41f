package swarm

import (
	"regexp"
	"slices"
	"strings"

	"bluetrace/reports"
	"bluetrace/scenarios"
)

// causeNames knows the phones whose names tell one seed's failure from another's.
type causeNames struct{ phones *regexp.Regexp }

func newCauseNames(base *scenarios.Scenario) *causeNames {
	words := []string{regexp.QuoteMeta(mallory)}
	for _, g := range base.Phones {
		word := regexp.QuoteMeta(g.Name)
		if g.Counted {
			word += "-[0-9]+"
		}
		words = append(words, word)
	}
	slices.SortFunc(words, func(a, b string) int { return len(b) - len(a) })
	return &causeNames{regexp.MustCompile(`(?: to )?\b(?:` + strings.Join(words, "|") + `)\b(?: \(program [0-9]+\))?`)}
}

// normalize is a text without what differs from run to run: whose it is, to whom it
// was said, and what the function of that name takes out.
func (n *causeNames) normalize(text string) string {
	return normalize(n.phones.ReplaceAllStringFunc(text, func(name string) string {
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
func (n *causeNames) causeOf(c *reports.Check) string {
	found := n.normalize(c.Found)
	if found == "" {
		found = "nothing"
	}
	if c.Kind == reports.InvariantCheck {
		return c.Name + ": " + found
	}
	return livenessCause + stepAction(c.Name) + ": " + found
}

// stepAction is what a step of liveness does, without when and by whom, and what
// it expects.
func stepAction(step string) string {
	_, what, ok := strings.Cut(step, "phone: ")
	if ok {
		_, what, ok = strings.Cut(what, ", ")
	}
	if !ok {
		return normalize(step)
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

// normalize takes numbers, times, and quoted texts that are not always the same, out of the first line of a text.
func normalize(text string) string {
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
