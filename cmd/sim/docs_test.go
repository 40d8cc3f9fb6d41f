package main

import (
	"io/fs"
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

var (
	// namedFile matches `path.go`, and `path.go` `Function`.
	namedFile = regexp.MustCompile("`([a-z/]*[a-z0-9_]+\\.go)`(?: `([A-Za-z]+)`)?")
	tableRow  = regexp.MustCompile("(?m)^\\| (`[^|]+) \\|")
)

// TestArchitectureNamesRealCode checks the files and functions that ARCHITECTURE.md
// names, and that its table of folders has every package outside cmd.
func TestArchitectureNamesRealCode(t *testing.T) {
	page := contentOf(t, "../../ARCHITECTURE.md")
	packages, source := map[string]bool{}, map[string]string{}
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		name := strings.TrimPrefix(filepath.ToSlash(path), "../../")
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != "../.." && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "testdata"):
			return filepath.SkipDir
		case strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go"):
			text := contentOf(t, path)
			source[name], source[entry.Name()] = text, text
			packages[filepath.ToSlash(filepath.Dir(name))] = true
		}
		return nil
	})
	if err != nil || len(packages) < 10 {
		t.Fatalf("%d packages: %v", len(packages), err)
	}
	files := namedFile.FindAllStringSubmatch(page, -1)
	if len(files) < 20 {
		t.Errorf("only %d files found: is the expression wrong?", len(files))
	}
	for _, m := range files {
		text, ok := source[m[1]]
		if !ok {
			t.Errorf("ARCHITECTURE.md names %s, which does not exist", m[1])
		} else if m[2] != "" && !strings.Contains(text, m[2]+"(") {
			t.Errorf("ARCHITECTURE.md names the function %s of %s, which does not exist", m[2], m[1])
		}
	}
	rows := ""
	for _, m := range tableRow.FindAllStringSubmatch(page, -1) {
		rows += m[1] + "\n"
	}
	for name := range packages {
		if !strings.HasPrefix(name, "cmd/") && !strings.Contains(rows, "`"+name+"`") {
			t.Errorf("the table of ARCHITECTURE.md does not have %s", name)
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
