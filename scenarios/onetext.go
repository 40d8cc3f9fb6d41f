package scenarios

import (
	"strings"
	"time"
)

// FaultText is f as one entry of `faults` on one line, with the phones of s: what
// Fault.Text is of one that is read.
func (s *Scenario) FaultText(f *Fault) string {
	t := *s
	t.Faults = []Fault{*f}
	return t.entryText((*writer).faults)
}

// AdversaryText is a as one entry of `adversaries` on one line.
func (s *Scenario) AdversaryText(a *Adversary) string {
	t := *s
	t.Adversaries = []Adversary{*a}
	return t.entryText((*writer).adversaries)
}

// entryText is the one entry that write writes, as it stands behind its dash.
func (s *Scenario) entryText(write func(*writer)) string {
	w := &writer{s: s, roster: newRoster()}
	for _, g := range s.Phones {
		w.roster.add(g)
	}
	write(w)
	_, text, _ := strings.Cut(string(w.out), "\n  - ")
	text = strings.Join(strings.Fields(text), " ")
	return atMostStepText(strings.TrimSuffix(strings.TrimPrefix(text, "{"), "}"))
}

// Zone is the IANA zone of that name as this program knows it, whatever the
// machine does.
func Zone(name string) (*time.Location, error) { return loadZone(name) }

func atMostStepText(s string) string {
	if len(s) > maxStepText {
		s = strings.ToValidUTF8(s[:maxStepText], "") + "..."
	}
	return s
}
