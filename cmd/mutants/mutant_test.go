package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bluetrace/scenarios"
)

func TestAnEditNeedsItsOldTextOnce(t *testing.T) {
	e := edit{file: "a.go", old: "x < 3", new: "x < 2"}
	for _, c := range []struct{ source, want, err string }{
		{"if x < 3 {", "if x < 2 {", ""},
		{"if y < 3 {", "", `"x < 3" occurs 0 times in a.go, want once`},
		{"if x < 3 || x < 3 {", "", `"x < 3" occurs 2 times in a.go, want once`},
	} {
		t.Run(c.source, func(t *testing.T) {
			got, err := e.make(c.source)
			if got != c.want || textOf(err) != c.err {
				t.Errorf("got %q and error %q, want %q and %q", got, textOf(err), c.want, c.err)
			}
		})
	}
}

func TestAMutantMayNeedSeveralEdits(t *testing.T) {
	m := mutant{file: "a.go", old: "one", new: "1", also: []edit{{"a.go", "two", "2"}, {"b.go", "three", "3"}}}
	read := func(file string) (string, error) {
		return map[string]string{"a.go": "one two", "b.go": "three"}[file], nil
	}
	got, err := m.plant(read)
	if want := map[string]string{"a.go": "1 2", "b.go": "3"}; !maps.Equal(got, want) || err != nil {
		t.Errorf("planted %q and %v, want %q", got, err, want)
	}
	m.also[0].old = "four"
	if got, err = m.plant(read); got != nil || textOf(err) != `"four" occurs 0 times in a.go, want once` {
		t.Errorf("planted %q and %v, want an error", got, err)
	}
}

func TestTheTablesOfMutants(t *testing.T) {
	for _, least := range []struct{ mutants, want int }{
		{len(libraryMutants()), 120}, {len(swarmMutants()), 30}, {len(testMutants()), 40}, {len(ruleMutants()), 40},
	} {
		if least.mutants < least.want {
			t.Errorf("%d mutants, want at least %d", least.mutants, least.want)
		}
	}
	names, folders, changes := map[string]bool{}, map[string]bool{}, map[edit]bool{}
	for _, m := range allTables() {
		change := edit{m.file, m.old, m.new}
		switch {
		case m.name == "" || names[m.name]:
			t.Errorf("%q: the name is empty or occurs twice", m.name)
		case folders[m.folder()]:
			t.Errorf("%q: another mutant has its folder %q", m.name, m.folder())
		case m.old == "" || m.old == m.new:
			t.Errorf("%q: changes %q to %q", m.name, m.old, m.new)
		case changes[change]:
			t.Errorf("%q: makes the change of another mutant", m.name)
		case len(m.name) > 55:
			t.Errorf("%q: %d bytes leave no room in the table, want at most 55", m.name, len(m.name))
		}
		names[m.name], folders[m.folder()], changes[change] = true, true, true
	}
}

func allTables() []mutant {
	return slices.Concat(libraryMutants(), swarmMutants(), testMutants(), ruleMutants())
}

// TestPartsOfATable checks that the parts have each mutant once.
func TestPartsOfATable(t *testing.T) {
	all := mutantsOfText("a", "b", "c", "d", "e", "f", "g")
	var got []string
	for k := 1; k <= 3; k++ {
		for _, m := range part(all, k, 3) {
			got = append(got, m.new)
		}
	}
	if want := []string{"a", "d", "g", "b", "e", "c", "f"}; !slices.Equal(got, want) {
		t.Errorf("parts %q, want %q", got, want)
	}
}

// TestEveryRuleHasAMutant checks that a bug is planted for each rule of the course that runs in virtual time.
func TestEveryRuleHasAMutant(t *testing.T) {
	const needsProcess = "it needs a process"
	without := map[int]string{
		1: "a server in virtual time always starts", 12: "each phone in virtual time has an address of its own",
		44: "each login in virtual time is a program of its own",
		45: needsProcess, 47: needsProcess, 50: needsProcess, 59: needsProcess,
	}
	rules, err := scenarios.LoadRules(scenarios.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range rules {
		has := slices.ContainsFunc(ruleMutants(), func(m mutant) bool { return m.rules[0] == s.Rule.Number })
		reason, excused := without[s.Rule.Number]
		switch {
		case has && excused:
			t.Errorf("rule %d has a mutant, although %s", s.Rule.Number, reason)
		case !has && !excused && s.Rule.Group == scenarios.GroupCourse:
			t.Errorf("rule %d has no mutant", s.Rule.Number)
		}
	}
}

// TestEveryTestOfAMutantExists checks that the packages of the third table have the named tests.
func TestEveryTestOfAMutantExists(t *testing.T) {
	for _, m := range testMutants() {
		files, err := filepath.Glob(filepath.Join("..", "..", filepath.FromSlash(m.tests), "*_test.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: no tests in %s: %v", m.name, m.tests, err)
		}
		found := m.by == ""
		for _, file := range files {
			text, err := os.ReadFile(file)
			found = found || err == nil && strings.Contains(string(text), "func "+m.by+"(")
		}
		if !found {
			t.Errorf("%s: %s has no test %q", m.name, m.tests, m.by)
		}
	}
}

func TestEveryMutantIsGuardedByASmallScenario(t *testing.T) {
	files, err := smallScenarios(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	exists := map[string]bool{}
	for _, file := range files {
		exists[scenarioName(file)] = true
	}
	for _, m := range libraryMutants() {
		if m.by != "" && !exists[m.by] {
			t.Errorf("%s: its scenario %q is not one of %v", m.name, m.by, files)
		}
	}
}

// TestEveryMutantApplies compiles nothing. It fails where source text that a
// mutant replaces has changed or moved: mend the entry in mutants_library.go,
// mutants_swarm.go or mutants_tests.go.
func TestEveryMutantApplies(t *testing.T) {
	for _, m := range allTables() {
		t.Run(m.name, func(t *testing.T) {
			planted := map[string]string{}
			for _, e := range m.edits() {
				ofTests := m.tests != "" && path.Dir(e.file) == strings.TrimPrefix(m.tests, "./")
				if !strings.HasPrefix(e.file, "protocol/") && !strings.HasPrefix(e.file, "nodes/") && !ofTests {
					t.Errorf("it changes %s: want a file of protocol or nodes, or of the package that tests it", e.file)
				}
				source, ok := planted[e.file]
				if !ok {
					var err error
					if source, err = readSource(e.file); err != nil {
						t.Errorf("%s does not exist; the text %q is %s", e.file, e.old, placesOf(e.old))
						continue
					}
				}
				text, err := e.make(source)
				if err != nil {
					t.Errorf("%v; it is %s", err, placesOf(e.old))
					continue
				}
				planted[e.file] = text
			}
		})
	}
}

// readSource reads a file that is named from the module's root.
func readSource(file string) (string, error) {
	text, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(file)))
	return string(text), err
}

// placesOf names the places of text in the packages with mutants, as file:line. If
// there are none, it names those of the text's first line.
func placesOf(text string) string {
	var places []string
	for _, pattern := range []string{"protocol/*.go", "nodes/*.go", "nodes/*/*.go", "sim/check/*.go", "sim/load/*.go",
		"reports/*.go", "reports/compare/*.go", "reports/chart/*.go", "reports/runpage/*.go"} {
		files, _ := filepath.Glob(filepath.Join("..", "..", filepath.FromSlash(pattern)))
		for _, file := range files {
			source, err := os.ReadFile(file)
			if err != nil || strings.HasSuffix(file, "_test.go") {
				continue
			}
			for at := range source {
				if bytes.HasPrefix(source[at:], []byte(text)) {
					name, _ := filepath.Rel(filepath.Join("..", ".."), file)
					places = append(places, fmt.Sprintf("%s:%d", name, 1+bytes.Count(source[:at], []byte("\n"))))
				}
			}
		}
	}
	if len(places) > 0 {
		return "at " + strings.Join(places, ", ")
	}
	if line, _, several := strings.Cut(strings.TrimSpace(text), "\n"); several {
		return fmt.Sprintf("nowhere, but its first line %q is %s", line, placesOf(line))
	}
	return "nowhere in these packages"
}

// TestEveryMutantCompiles checks the types of each changed package, which is far
// faster than building it.
func TestEveryMutantCompiles(t *testing.T) {
	packages := sourcePackages(t)
	for _, m := range allTables() {
		t.Run(m.name, func(t *testing.T) {
			changed, err := m.plant(readSource)
			if err != nil {
				t.Fatal(err)
			}
			for folder := range foldersOf(changed) {
				if err := packages.check(folder, changed); err != nil {
					t.Errorf("with %q instead of %q: %v", m.new, m.old, err)
				}
			}
		})
	}
}

func foldersOf(changed map[string]string) map[string]bool {
	folders := map[string]bool{}
	for file := range changed {
		folders[path.Dir(file)] = true
	}
	return folders
}

// packageSet holds the packages that mutants may change, and the compiled
// interfaces of what they import.
type packageSet struct {
	files    map[string][]string // by folder from the module's root: the folder's Go files
	exports  map[string]string   // by import path: the file of the compiler's export data
	importer types.Importer
	set      *token.FileSet
	parsed   map[string]*ast.File // by text: a file that no mutant of a package changes is parsed once
}

func sourcePackages(t *testing.T) *packageSet {
	t.Helper()
	list := exec.Command("go", "list", "-export", "-deps", "-f",
		`{{.ImportPath}}|{{.Export}}|{{if .Module}}{{range .GoFiles}}{{.}} {{end}}{{end}}`, "./protocol", "./nodes/...",
		"./sim/check", "./sim/load", "./reports", "./reports/compare", "./reports/chart", "./reports/runpage")
	list.Dir = filepath.Join("..", "..")
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	p := &packageSet{files: map[string][]string{}, exports: map[string]string{}, set: token.NewFileSet(),
		parsed: map[string]*ast.File{}}
	for line := range strings.Lines(string(out)) {
		parts := strings.Split(strings.TrimSpace(line), "|")
		p.exports[parts[0]] = parts[1]
		if folder, ours := strings.CutPrefix(parts[0], "bluetrace/"); ours {
			p.files[folder] = strings.Fields(parts[2])
		}
	}
	p.importer = importer.ForCompiler(token.NewFileSet(), "gc", func(of string) (io.ReadCloser, error) {
		return os.Open(p.exports[of])
	})
	return p
}

// check reports the first type error of the package in folder, with changed
// files in place of those on disk.
func (p *packageSet) check(folder string, changed map[string]string) error {
	if len(p.files[folder]) == 0 {
		return fmt.Errorf("no package in %s", folder)
	}
	var files []*ast.File
	for _, name := range slices.Sorted(slices.Values(p.files[folder])) {
		text, ok := changed[path.Join(folder, name)]
		if !ok {
			var err error
			if text, err = readSource(path.Join(folder, name)); err != nil {
				return err
			}
		}
		if p.parsed[text] == nil {
			parsed, err := parser.ParseFile(p.set, path.Join(folder, name), text, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			p.parsed[text] = parsed
		}
		files = append(files, p.parsed[text])
	}
	_, err := (&types.Config{Importer: p.importer}).Check("bluetrace/"+folder, p.set, files, nil)
	return err
}
