package findings

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bluetrace/reports"
	"bluetrace/sim/swarm"
)

// night returns the result of a run of x.yaml with some causes.
func night(causes ...string) *swarm.Summary {
	s := swarm.NewSummary()
	s.Build.Revision = "abc"
	s.Files = []swarm.FileRuns{{File: "x.yaml"}}
	for i, cause := range causes {
		s.Failures = append(s.Failures, swarm.Group{Cause: cause, Runs: 2, Seed: uint64(i + 3), File: "x.yaml",
			Repeat: "sim swarm --seeds 3-3 x.yaml", Check: reports.Check{Expected: "a block", Found: "none\x1b[0m"}})
	}
	return s
}

func statesOf(l *List) (all []string) {
	for i := range l.Findings {
		all = append(all, l.Findings[i].Cause+" "+string(l.Findings[i].State))
	}
	return all
}

// TestStatesAcrossNights runs several nights, each of which reads the file of the night before.
func TestStatesAcrossNights(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "findings")
	other := night("b")
	other.Files[0].File, other.Failures[0].File = "y.yaml", "y.yaml"
	for i, n := range []struct {
		result   *swarm.Summary
		complete bool
		want     []string
		bodies   []string
	}{
		{night("a", "b"), true, []string{"a new", "b new"}, []string{"new-a.md", "new-b.md"}},
		{night("a"), true, []string{"a ongoing", "b gone"}, nil},
		{night(), false, []string{"a ongoing", "b gone"}, nil}, // it was ended early
		{night("b"), true, []string{"b back", "a gone"}, []string{"new-b.md"}},
		{night("b", "c"), true, []string{"c new", "b ongoing", "a gone"}, []string{"new-c.md"}},
		{other, true, []string{"b ongoing", "c ongoing", "a gone"}, nil}, // it has another scenario
		{night(), true, []string{"b ongoing", "a gone", "c gone"}, nil},
		{night("a"), false, []string{"a back", "b ongoing", "c gone"}, []string{"new-a.md"}},
	} {
		l, err := Read(folder)
		if err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprint("run-", i)
		if l.Has(name) {
			t.Errorf("night %d: the list has it before", i+1)
		}
		l.Update(n.result, name, time.Date(2026, 12, i+1, 2, 0, 0, 0, time.UTC), n.complete)
		if err := l.Write(folder, n.result); err != nil {
			t.Fatal(err)
		}
		if !l.Has(name) {
			t.Errorf("night %d: the list lacks it", i+1)
		}
		if diff := cmp.Diff(n.want, statesOf(l)); diff != "" {
			t.Errorf("night %d: want (-), got (+):\n%s", i+1, diff)
		}
		bodies, _ := filepath.Glob(filepath.Join(folder, "*.md"))
		for i := range bodies {
			bodies[i] = filepath.Base(bodies[i])
		}
		if !slices.Equal(bodies, n.bodies) {
			t.Errorf("night %d: bodies %q, want %q", i+1, bodies, n.bodies)
		}
	}
	l, err := Read(folder)
	if err != nil {
		t.Fatal(err)
	}
	f := l.Findings[0]
	if f.Count != 3 || f.First.At.Day() != 1 || f.Last.At.Day() != 8 || f.Gone != nil || l.Count != 8 ||
		l.Findings[2].Gone == nil || l.Findings[2].Gone.Day() != 7 {
		t.Errorf("%+v, gone %v", f, l.Findings[2].Gone)
	}
}

// TestBodyCannotBeEscaped has a cause and a scenario that would end their blocks, and a diagram.
func TestBodyCannotBeEscaped(t *testing.T) {
	folder := t.TempDir()
	shrunk := filepath.Join(folder, "found-c.yaml")
	for path, text := range map[string]string{shrunk: "name: c\n# ```\n# @all\n",
		filepath.Join(folder, "found-c.md"): "```mermaid\nsequenceDiagram\n```\n", filepath.Join(folder, "new-mine.md"): "mine"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := night("c\n```\n<script>")
	s.Failures[0].Shrunk = shrunk
	l := &List{Kind: kind}
	l.Update(s, "run-1", time.Unix(0, 0), true)
	if err := l.Write(folder, s); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(folder, "new-c-script.md"))
	if err != nil {
		t.Fatal(err)
	}
	want := bodyMark + `A swarm found a failure that is new: 2 runs, the first with seed 3, in the run run-1.

` + "````" + `
cause     c
` + "```" + `
<script>
scenario  x.yaml
expected  a block
found     none\x1b[0m
build     abc
` + "````" + `

To repeat it:

` + "```sh" + `
sim swarm --seeds 3-3 x.yaml
` + "```" + `

` + "```mermaid" + `
sequenceDiagram
` + "```" + `

The smallest scenario that shows it:

` + "````yaml" + `
name: c
# ` + "```" + `
# @all
` + "````" + `
`
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
	if text, err := os.ReadFile(filepath.Join(folder, "new-mine.md")); err != nil || string(text) != "mine" {
		t.Errorf("a file of the user is now %q, %v", text, err)
	}
}

// TestOtherFilesAreRefused has files that are no list of findings.
func TestOtherFilesAreRefused(t *testing.T) {
	for text, says := range map[string]string{
		`{"kind":"swarm"}`:                    `is no list of findings: kind is "swarm"`,
		`{"kind":"findings","format":99}`:     "`format` is 99",
		`{"kind":"findings","findings":[{}]}`: `unknown state ""`,
		`{"kind":"findings","findings":[{}`:   "unexpected EOF",
	} {
		folder := t.TempDir()
		if err := os.WriteFile(filepath.Join(folder, fileName), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(folder); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
