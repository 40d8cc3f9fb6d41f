package main

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the outputs in docs/TUTORIAL.md")

// tutorialBlock matches a block of the tutorial: lines of the scenario, or commands
// with their outputs.
var tutorialBlock = regexp.MustCompile("(?s)```(yaml|console)\n(.*?)```")

// TestTutorial builds the scenario of docs/TUTORIAL.md up from its yaml blocks, runs
// the commands of its console blocks, and compares their outputs. Figures of real
// time and memory may differ.
func TestTutorial(t *testing.T) {
	page, err := filepath.Abs("../../docs/TUTORIAL.md")
	if err != nil {
		t.Fatal(err)
	}
	old := contentOf(t, page)
	t.Chdir(t.TempDir())
	var scenario []string
	blocks := map[string]int{}
	fresh := tutorialBlock.ReplaceAllStringFunc(old, func(block string) string {
		m := tutorialBlock.FindStringSubmatch(block)
		blocks[m[1]]++
		if m[1] == "yaml" {
			scenario = addLines(scenario, m[2])
			writeFile(t, "lesson.yaml", strings.Join(scenario, "\n")+"\n")
			return block
		}
		text := ""
		for line := range strings.Lines(m[2]) {
			if command, ok := strings.CutPrefix(line, "$ "); ok {
				text += line + tutorialOutput(t, strings.TrimSuffix(command, "\n"))
			}
		}
		if withoutRealTime(text) == withoutRealTime(m[2]) {
			return block
		}
		return "```console\n" + text + "```"
	})
	if blocks["yaml"] < 7 || blocks["console"] < 8 {
		t.Errorf("found %v blocks: is the expression wrong?", blocks)
	}
	if *update {
		if err := os.WriteFile(page, []byte(fresh), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(old, fresh); diff != "" {
		t.Errorf("docs/TUTORIAL.md (-) and the program (+) differ (-update rewrites the page):\n%s", diff)
	}
}

// addLines adds the lines of a block to a scenario. Lines of a section that the
// scenario has already come at its end.
func addLines(scenario []string, block string) []string {
	at := len(scenario)
	for _, line := range strings.Split(strings.TrimRight(block, "\n"), "\n") {
		if i := slices.Index(scenario, line); i >= 0 && strings.HasSuffix(line, ":") {
			at = i + 1
			for at < len(scenario) && strings.HasPrefix(scenario[at], " ") {
				at++
			}
			continue
		}
		if !strings.HasPrefix(line, " ") {
			at = len(scenario)
		}
		scenario = slices.Insert(scenario, at, line)
		at++
	}
	return scenario
}

var tutorialGrep = regexp.MustCompile(`^grep "?([^"]+)"? (\S+)$`)

// tutorialOutput runs a command of the tutorial, which is sim or grep.
func tutorialOutput(t *testing.T, line string) string {
	t.Helper()
	if m := tutorialGrep.FindStringSubmatch(line); m != nil {
		found := ""
		for line := range strings.Lines(contentOf(t, m[2])) {
			if strings.Contains(line, m[1]) {
				found += line
			}
		}
		if found == "" {
			t.Errorf("%s finds nothing in\n%s", line, contentOf(t, m[2]))
		}
		return found
	}
	command := strings.Fields(line)
	if command[0] != "sim" {
		t.Fatalf("unknown command %q", line)
	}
	p, out, errs := whole()
	want := statusPassed
	if slices.Contains(command, "ENTRIES=2") {
		want = statusFailed
	}
	if got := p.command(context.Background(), command[1:]); got != want {
		t.Errorf("%s: status %d, want %d\n%s%s", line, got, want, out, errs)
	}
	return out.String()
}
