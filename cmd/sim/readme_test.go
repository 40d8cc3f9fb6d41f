package main

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// consoleBlock returns the output of a command as README.md shows it.
func consoleBlock(t *testing.T, readme, command string) string {
	t.Helper()
	_, rest, ok := strings.Cut(readme, "```console\n$ "+command+"\n")
	if !ok {
		t.Fatalf("README.md has no console block that begins with %q", command)
	}
	block, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatalf("the console block of %q has no end", command)
	}
	return block
}

// realTime matches the figures that differ between runs and machines.
var realTime = regexp.MustCompile(
	`[\d.,]+ per wall second|in [\d.,]+ m?s wall \([\d.,]+x real time\)|[\d.,]+ MiB at most`)

// withoutRealTime returns a text with every figure of real time or memory
// replaced.
func withoutRealTime(text string) string { return realTime.ReplaceAllString(text, "…") }

// compareExcerpt checks an excerpt against the whole output. The lines of the
// excerpt must follow each other in the output, except where a line "…" stands for
// left-out lines.
func compareExcerpt(t *testing.T, excerpt, output string) {
	t.Helper()
	lines := strings.Split(strings.TrimRight(withoutRealTime(output), "\n"), "\n")
	next, gap := 0, false
	for _, line := range strings.Split(strings.TrimRight(withoutRealTime(excerpt), "\n"), "\n") {
		if line == "…" {
			gap = true
			continue
		}
		at := next
		for gap && at < len(lines) && lines[at] != line {
			at++
		}
		if at == len(lines) || lines[at] != line {
			t.Fatalf("the output does not have this line of README.md in its place:\n%s\noutput:\n%s", line, output)
		}
		next, gap = at+1, false
	}
}

func TestReadmeShowsTheRealOutput(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, file string
		old, new   string // replaced in the file
		status     status
	}{
		{name: "a run that passes", file: "scenarios/classroom.yaml", status: statusPassed},
		{name: "a changed rule fails", file: "scenarios/blocking.yaml", status: statusFailed,
			old: "at: blocked + 60s", new: "at: blocked + 59s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			shown := consoleBlock(t, string(readme), "go run ./cmd/sim run "+c.file)
			text, err := os.ReadFile("../../" + c.file)
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(text), c.old); c.old != "" && n != 1 {
				t.Fatalf("%s has %q %d times, want once", c.file, c.old, n)
			}
			t.Chdir(t.TempDir())
			if err := os.Mkdir(filepath.Dir(c.file), 0o755); err != nil {
				t.Fatal(err)
			}
			writeFile(t, c.file, strings.Replace(string(text), c.old, c.new, 1))
			p, out, errs := whole()
			p.name = "go run ./cmd/sim"
			if got := p.command(context.Background(), []string{"run", c.file}); got != c.status {
				t.Fatalf("status %d, want %d\n%s%s", got, c.status, out, errs)
			}
			compareExcerpt(t, shown, out.String())
		})
	}
}
