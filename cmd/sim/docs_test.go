package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"bluetrace/sim/situations"
)

var link = regexp.MustCompile(`\]\(([^)#]+)[^)]*\)`)

func TestLinksOfTheDocumentsLead(t *testing.T) {
	documents, err := filepath.Glob("../../*.md")
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, path := range append(documents, more...) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			found++
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), m[1])); err != nil {
				t.Errorf("%s links to %s: %v", path, m[1], err)
			}
		}
	}
	if found < 5 {
		t.Errorf("only %d links found: is the expression wrong?", found)
	}
}

func TestReadmeListsTheWholeLibrary(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	const library = "../../scenarios/"
	files, err := filepath.Glob(library + "*.yaml")
	withFaults, err2 := filepath.Glob(library + "faults/*.yaml")
	if err != nil || err2 != nil || len(files) == 0 || len(withFaults) == 0 {
		t.Fatalf("%d scenarios, %v; %d with faults, %v", len(files), err, len(withFaults), err2)
	}
	for _, f := range append(files, withFaults...) {
		name := "`" + strings.TrimSuffix(strings.TrimPrefix(filepath.ToSlash(f), library), ".yaml") + "`"
		if !strings.Contains(string(readme), name) {
			t.Errorf("README.md does not name the scenario %s", name)
		}
	}
}

// TestThePageHasEverySituation checks names, sentences and order of the catalogue.
func TestThePageHasEverySituation(t *testing.T) {
	page, err := os.ReadFile("../../docs/SWARM.md")
	if err != nil {
		t.Fatal(err)
	}
	want := "| situation | what it is |\n| --- | --- |\n"
	for _, m := range situations.All() {
		want += "| `" + m.Name() + "` | " + m.About() + " |\n"
	}
	if !strings.Contains(string(page), "\n"+want+"\n") {
		t.Errorf("docs/SWARM.md does not have this table:\n%s", want)
	}
}
