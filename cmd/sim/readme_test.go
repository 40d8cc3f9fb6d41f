package main

import (
	"bytes"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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
var realTime = regexp.MustCompile(`(?m)[\d,]+ per wall second|in [\d.,]+ m?s wall \([\d.,]+x real time\)|[\d.,]+ MiB at most|go run .*$`)

func TestReadmeShowsTheRealOutput(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := consoleBlock(t, string(readme), "go run ./cmd/sim run scenarios/classroom.yaml")
	cmd := exec.Command("go", "run", "./cmd/sim", "run", "scenarios/classroom.yaml")
	cmd.Dir = "../.."
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	got, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s%s", err, got, stderr.String())
	}
	mask := func(s string) string { return realTime.ReplaceAllString(s, "…") }
	if n := len(realTime.FindAllString(shown, -1)); n != 5 {
		t.Errorf("README.md shows %d figures of real time and memory, want 5: is one written in another way now?", n)
	}
	if diff := cmp.Diff(mask(shown), mask(string(got))); diff != "" {
		t.Errorf("README.md (-) and the program (+) differ:\n%s", diff)
	}
}
