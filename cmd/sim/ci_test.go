package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	yaml "go.yaml.in/yaml/v4"

	"bluetrace/scenarios"
	"bluetrace/sim"
)

// workflow is the part of a GitHub workflow that the page's examples use.
type workflow struct {
	Name string
	On   any
	Jobs map[string]struct {
		RunsOn any `yaml:"runs-on"`
		Steps  []struct {
			Uses, Run, Name, If string
			With                map[string]string
		}
	}
}

var (
	yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")
	simLine   = regexp.MustCompile(`\./sim (run|compare|swarm) ([^\n` + "`" + `]*)`)
	shellWord = regexp.MustCompile(`'[^']*'|"[^"]*"|\S+`)
)

// TestWorkflowsOfThePage checks that the workflows are YAML of GitHub's form, and
// that sim has every flag, file and budget in them.
func TestWorkflowsOfThePage(t *testing.T) {
	page, err := os.ReadFile("../../docs/CI.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := yamlBlock.FindAllStringSubmatch(string(page), -1)
	if len(blocks) != 3 {
		t.Fatalf("%d workflows, want 3", len(blocks))
	}
	for _, block := range blocks {
		var w workflow
		if err := yaml.Unmarshal([]byte(block[1]), &w); err != nil {
			t.Fatal(err)
		}
		if w.Name == "" || w.On == nil || len(w.Jobs) == 0 {
			t.Errorf("no name, no trigger or no job in\n%s", block[1])
		}
		for name, job := range w.Jobs {
			if job.RunsOn == nil || len(job.Steps) == 0 {
				t.Errorf("the job %s names no runner or no steps", name)
			}
			for _, s := range job.Steps {
				if (s.Run == "") == (s.Uses == "") {
					t.Errorf("a step of %s has both or neither of run and uses: %+v", name, s)
				}
			}
		}
	}
	commands := simLine.FindAllStringSubmatch(string(page), -1)
	if len(commands) != 7 {
		t.Errorf("%d commands of sim, want 7: %q", len(commands), commands)
	}
	for _, c := range commands {
		takesCommand(t, c[1], words(c[2]))
	}
}

func words(line string) (all []string) {
	for _, w := range shellWord.FindAllString(line, -1) {
		all = append(all, strings.Trim(w, `'"`))
	}
	return all
}

// takesCommand checks that sim takes the flags and that the files exist.
func takesCommand(t *testing.T, command string, arguments []string) {
	t.Helper()
	switch command {
	case "compare":
		var f compareFlags
		sides, err := parse(&f, arguments)
		if err == nil {
			err = f.check(sides)
		}
		if err != nil {
			t.Errorf("compare %q: %v", arguments, err)
		}
		return
	case "swarm":
		takesSwarm(t, arguments)
		return
	}
	paths, err := parseAndCheck(&runFlags{}, arguments)
	if err != nil || len(paths) != 1 {
		t.Errorf("run %q: %q, %v", arguments, paths, err)
		return
	}
	path, ok := strings.CutPrefix(paths[0], "bluetrace/")
	if _, err := os.Stat(filepath.Join("../..", path)); !ok || err != nil {
		t.Errorf("%s: %v", paths[0], err)
	}
}

// takesSwarm checks that sim swarm takes the flags and that the folders of its
// scenarios exist.
func takesSwarm(t *testing.T, arguments []string) {
	t.Helper()
	for i := range arguments { // expand the variables as the shell does
		arguments[i] = strings.NewReplacer("$GITHUB_SHA", strings.Repeat("630fbe9c0f", 4), "$first", "3500", "$PART",
			"3").Replace(arguments[i])
	}
	var f swarmFlags
	paths, err := parseAndCheck(&f, arguments)
	if err != nil || len(paths) == 0 || f.out == "" || strings.Contains(strings.Join(arguments, " "), "$") {
		t.Errorf("swarm %q: %q, %v", arguments, paths, err)
	}
	for _, path := range paths {
		if _, err := os.Stat(filepath.Join("../..", path)); !f.merge && err != nil {
			t.Error(err)
		}
	}
}

// TestScenariosForAServerElsewhere checks that they pass in virtual time.
func TestScenariosForAServerElsewhere(t *testing.T) {
	files, _, err := scenarios.Find([]string{"../../scenarios/elsewhere"})
	if err != nil || len(files) != 3 {
		t.Fatalf("%q, %v", files, err)
	}
	for _, file := range files {
		s, err := scenarios.Load(file, scenarios.Options{})
		if err != nil {
			t.Fatal(err)
		}
		r, err := sim.Run(t.Context(), s, sim.Options{})
		if err != nil || r.Run.Verdict != "passed" {
			t.Errorf("%s in virtual time: %v, %+v", file, err, r)
		}
	}
}
