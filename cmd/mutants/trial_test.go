package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fakeBench has one source file, whose text is also the program that is built
// from it. A scenario turns red when its own name stands in the program.
func fakeBench(t *testing.T, source string) *bench {
	t.Helper()
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "node.go"), []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	b := &bench{root: root, temp: t.TempDir(), scenarios: []string{"scenarios/first.yaml", "scenarios/second.yaml"}}
	b.build = func(_ context.Context, program string, by map[string]string) error {
		file := by["node.go"]
		if file == "" {
			file = filepath.Join(root, "node.go")
		}
		text, err := os.ReadFile(file)
		if strings.Contains(string(text), "syntax") {
			return errors.New("building sim: syntax error")
		}
		return errors.Join(err, os.WriteFile(program, []byte(strings.TrimSuffix(string(text), " // comment")), 0o755))
	}
	b.run = func(_ context.Context, program, scenario string) (scenarioResult, error) {
		text, err := os.ReadFile(program)
		switch {
		case strings.Contains(string(text), "refused"):
			return scenarioResult{}, errors.New("running it: exit status 107")
		case strings.Contains(string(text), scenarioName(scenario)):
			return scenarioResult{red, scenario + ":3"}, err
		case strings.Contains(string(text), "panic"):
			return scenarioResult{crashed, "panic: 7"}, err
		}
		return scenarioResult{}, err
	}
	b.healthy = sha256.Sum256([]byte(source))
	return b
}

func TestWhatBecomesOfAMutant(t *testing.T) {
	for _, c := range []struct {
		name, old, new, by string
		outcome            outcome
		err                string
	}{
		{"caught by the first", "right", "first", "", caught, ""},
		{"caught by its guard", "right", "second", "second", caught, ""},
		{"caught by a panic", "right", "panic", "second", caught, ""},
		{"survives", "right", "wrong", "", survives, "no scenario turned red"},
		{"survives its guard, too", "right", "wrong", "second", survives, "no scenario turned red"},
		{"missed by its guard", "right", "first", "second", missed, "second stayed green"},
		{"old text is gone", "left", "first", "", stale, `"left" occurs 0 times in node.go, want once`},
		{"old text is there twice", "is", "first", "", stale, `"is" occurs 2 times in node.go, want once`},
		{"does not compile", "right", "syntax", "", unbuilt, "building sim: syntax error"},
		{"a comment", "right", "right // comment", "", same, `"right // comment" means the same as "right"`},
		{"cannot run", "right", "refused", "", untried, "running it: exit status 107"},
	} {
		b := fakeBench(t, "this is right")
		r := b.try(t.Context(), &mutant{name: c.name, file: "node.go", old: c.old, new: c.new, by: c.by})
		if r.outcome != c.outcome || textOf(r.err) != c.err {
			t.Errorf("%s: %s, %q; want %s, %q", c.name, r.outcome, textOf(r.err), c.outcome, c.err)
		}
		if left, err := os.ReadDir(b.temp); err != nil || len(left) != 0 {
			t.Errorf("%s: left %v and %v in the folder for programs", c.name, left, err)
		}
	}
}

func TestAMutantWhoseFileIsGoneNoLongerApplies(t *testing.T) {
	r := fakeBench(t, "right").try(t.Context(), &mutant{name: "gone", file: "gone.go", old: "a", new: "b"})
	if r.outcome != stale || !errors.Is(r.err, os.ErrNotExist) {
		t.Errorf("%s, %v; want %s and a missing file", r.outcome, r.err, stale)
	}
}

func TestKeepLeavesTheProgram(t *testing.T) {
	b := fakeBench(t, "right")
	b.keep = true
	b.try(t.Context(), &mutant{name: "2 or 4", file: "node.go", old: "right", new: "first"})
	for _, file := range []string{"node.go", "sim"} {
		if text, err := os.ReadFile(filepath.Join(b.temp, "2-or-4", file)); string(text) != "first" {
			t.Errorf("%s: %q and %v, want it kept with the mutant in it", file, text, err)
		}
	}
}
