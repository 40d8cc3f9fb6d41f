package shrink

import (
	"fmt"
	"strings"

	"bluetrace/reports"
	"bluetrace/scenarios"
)

// Description is what a shrunk scenario shows.
type Description struct {
	Name     string // of the scenario, and of its file without .yaml
	From     string // the file and seed in which it was found
	Expected string
	Found    string
	Mark     string // begins the file's comment, by which it is known
}

const longestAbout = 500 // bytes

// File is a shrunk scenario as a file, with a comment that says what it shows.
func File(s *scenarios.Scenario, what Description, r Report) []byte {
	t := *s
	t.Name = what.Name
	t.About = fmt.Sprintf("Found by a swarm in %s: expected %s, found %s.", what.From, what.Expected, what.Found)
	t.About = reports.Escape(strings.Join(strings.Fields(t.About), " "))
	if len(t.About) > longestAbout {
		t.About = strings.ToValidUTF8(t.About[:longestAbout], "") + "…"
	}
	t.Manual = false
	var b []byte
	b = fmt.Appendf(b, "# %s\n", reports.Escape(what.Mark+fmt.Sprintf("shrunk by %d runs to %s and %s.", r.Runs,
		reports.Plural(r.Steps, "step, fault or actor", "steps, faults and actors"), reports.Plural(r.Phones, "phone", "phones"))))
	switch {
	case r.SeedIndependent:
		b = append(b, "# Nothing is left to chance: it fails under any seed.\n"...)
	case len(r.Seeds) > 0:
		b = fmt.Appendf(b, "# Chance plays a part; it fails under the seeds %d and %s.\n", s.Seed, seedsText(r.Seeds))
	default:
		b = append(b, "# Chance plays a part: it needs its seed.\n"...)
	}
	return t.AppendYAML(b)
}

func seedsText(seeds []uint64) string {
	return strings.Trim(strings.Join(strings.Fields(fmt.Sprint(seeds)), ", "), "[]")
}
