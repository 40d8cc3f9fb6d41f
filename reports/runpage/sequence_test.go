package runpage

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"bluetrace/reports"
)

const ms = time.Millisecond

func TestSequence(t *testing.T) {
	m := &sample().Scene.Moments[1]
	m.At = 12_103 * ms
	m.Events = append([]reports.SceneEvent{
		{At: 11_000 * ms, Kind: reports.DatagramSent, Node: "anna", Peer: "ben", Number: 9, Altered: reports.Duplicated},
		{At: 11_002 * ms, Kind: reports.DatagramCame, Node: "ben", Peer: "anna", Number: 9},
		{At: 11_003 * ms, Kind: reports.FaultMark, Text: "fault 1: duplicate begins"},
	}, m.Events...)
	m.Events = append(m.Events, reports.SceneEvent{At: 13_000 * ms, Kind: reports.BytesSent, Node: "server",
		Peer: "anna", Number: 7, Bytes: "x;\n#1"})
	want := "```mermaid" + `
%%{init: {"sequence": {"wrap": true}}}%%
sequenceDiagram
    participant p0 as anna
    participant p1 as ben
    participant p2 as server
    p0-->>p1: 11.002000000 s datagram 9 duplicate
    Note over p0,p2: 11.003000000 s fault 1: duplicate begins
    p0->>p2: 12.010000000 s "name1"
    p0->>p2: 12.011000000 s "name1"
    p0-xp1: 12.100000001 s datagram 2 lost
    p0->>p1: 12.103000000 s datagram 1
    Note over p0,p2: failure
    Note over p1: 12.104000000 s beacon of anna is invalid
    Note over p1: 12.600000000 s is killed
    p2-)p0: 13.000000000 s "x,\nNo.1" (receipt not shown)
` + "```\n"
	if got := string(Sequence(m, "failure")); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestHostileTextsAreInertInSequences: every line of a diagram has the form of a statement, and its texts have no
// character with a meaning.
func TestHostileTextsAreInertInSequences(t *testing.T) {
	texts := []string{hostile, "end", "End;#", "a\nend\nb", "`" + "``", "%%{init: {}}%%", "<br/>&lt;#59;", "$$x$$",
		"p0->>p1: x", "wrap: x", "", " ", "participant p9 as x", strings.Repeat("long ", 99), "::", "a,b", "+", "\\"}
	m := &reports.Moment{At: 5}
	for i, text := range texts {
		for k, kind := range []reports.EventKind{reports.BytesSent, reports.FaultMark, reports.StatusMark,
			reports.InvalidMark} {
			m.Events = append(m.Events, reports.SceneEvent{At: time.Duration(10*i + k), Kind: kind,
				Node: "n" + text, Peer: texts[(i+1)%9], Number: 1, Bytes: text, Text: text})
		}
	}
	got := string(Sequence(m, hostile+" end"))
	lines := strings.Split(strings.TrimSuffix(got, "\n"), "\n")
	statement := regexp.MustCompile(`^    (participant p[0-9] as|Note over p[0-9](,p[0-9])?:|` +
		`p[0-9](->>|-->>|-x|-\))p[0-9]:) [^;#<>&%{}` + "`" + `$\x00-\x1f]{1,90}$`)
	for _, line := range lines[3 : len(lines)-1] {
		if !statement.MatchString(line) || regexp.MustCompile(`(?i)\bend\b`).MatchString(line) {
			t.Errorf("not inert: %q", line)
		}
	}
	if lines[0] != "```mermaid" || lines[2] != "sequenceDiagram" || lines[len(lines)-1] != "```" || len(lines) < 30 {
		t.Errorf("%d lines, from %q to %q", len(lines), lines[:3], lines[len(lines)-1])
	}
}

func TestSequenceWithoutNodes(t *testing.T) {
	m := &reports.Moment{Events: []reports.SceneEvent{{Kind: reports.FaultMark, Text: "fault 1: crash"}}}
	if got := string(Sequence(m, "failure")); got != sequenceHead+"```\n" {
		t.Errorf("got %s", got)
	}
}
