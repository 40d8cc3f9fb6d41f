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
	var documents []string
	for _, pattern := range []string{"../../*.md", "../../docs/*.md", "../../scenarios/*.md"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		documents = append(documents, files...)
	}
	found := 0
	for _, path := range documents {
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

func TestLibraryPageListsEveryScenario(t *testing.T) {
	const library = "../../scenarios/"
	page, err := os.ReadFile(library + "README.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(library + "*.yaml")
	below, err2 := filepath.Glob(library + "f*/*.yaml") // faults and found
	if err != nil || err2 != nil || len(files) == 0 || len(below) == 0 {
		t.Fatalf("%d scenarios, %v; %d in faults and found, %v", len(files), err, len(below), err2)
	}
	for _, f := range append(files, below...) {
		name := "`" + strings.TrimSuffix(strings.TrimPrefix(filepath.ToSlash(f), library), ".yaml") + "`"
		if !strings.Contains(string(page), name) {
			t.Errorf("scenarios/README.md does not name the scenario %s", name)
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
