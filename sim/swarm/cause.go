package swarm

import (
	"regexp"
	"strings"

	"bluetrace/reports"
)

// causeOf names a failure so that the same failure of another seed has the same
// name: the check, and what was found without what differs from run to run.
func causeOf(c *reports.Check) string {
	if c.Kind == reports.InvariantCheck {
		return c.Name + ": " + plain(c.Found)
	}
	return "liveness: " + plain(afterPhone(c.Name)) + ": " + plain(c.Found)
}

// afterPhone is what a step of liveness does, without when and by whom.
func afterPhone(step string) string {
	if _, what, ok := strings.Cut(step, "phone: "); ok {
		if _, what, ok = strings.Cut(what, ", "); ok {
			return what
		}
	}
	return step
}

var (
	numbers = regexp.MustCompile(`[0-9]+([.:/][0-9]+)*`)
	names   = regexp.MustCompile(`\b[a-z]+-#|\+#|"[^"]*"`)
)

const longestCause = 120

// plain takes numbers, names and quoted texts out of a sentence.
func plain(text string) string {
	text, _, _ = strings.Cut(text, "\n")
	text = names.ReplaceAllString(numbers.ReplaceAllString(text, "#"), "…")
	if len(text) > longestCause {
		text = strings.ToValidUTF8(text[:longestCause], "") + "…"
	}
	return text
}
