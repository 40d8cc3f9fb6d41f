package main

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestABugNeedsItsOldTextOnce(t *testing.T) {
	b := edit{file: "a.go", old: "x < 3", new: "x < 2"}
	for _, c := range []struct{ source, want, err string }{
		{"if x < 3 {", "if x < 2 {", ""},
		{"if y < 3 {", "", `"x < 3" occurs 0 times in a.go, want once`},
		{"if x < 3 || x < 3 {", "", `"x < 3" occurs 2 times in a.go, want once`},
	} {
		got, err := b.make(c.source)
		if got != c.want || textOf(err) != c.err {
			t.Errorf("planting in %q: %q and error %q, want %q and %q", c.source, got, textOf(err), c.want, c.err)
		}
	}
}

func TestTheTableOfBugs(t *testing.T) {
	for _, least := range []struct{ bugs, want int }{{len(allBugs()), 35}, {len(faultBugs()), 15}} {
		if least.bugs < least.want {
			t.Errorf("%d bugs, want at least %d", least.bugs, least.want)
		}
	}
	names, folders, changes := map[string]bool{}, map[string]bool{}, map[edit]bool{}
	for _, b := range bothTables() {
		change := edit{b.file, b.old, b.new}
		switch {
		case b.name == "" || names[b.name]:
			t.Errorf("%q: the name is empty or there twice", b.name)
		case folders[b.folder()]:
			t.Errorf("%q: another bug has its folder %q", b.name, b.folder())
		case b.old == "" || b.old == b.new:
			t.Errorf("%q: changes %q to %q", b.name, b.old, b.new)
		case changes[change]:
			t.Errorf("%q: makes the change of another bug", b.name)
		case len(b.name) > 55:
			t.Errorf("%q: %d bytes leave no room in the table, want at most 55", b.name, len(b.name))
		}
		names[b.name], folders[b.folder()], changes[change] = true, true, true
	}
}

func bothTables() []bug { return append(allBugs(), faultBugs()...) }

func TestEveryBugStillApplies(t *testing.T) {
	for _, b := range bothTables() {
		_, err := b.plant(func(file string) (string, error) {
			if !strings.HasPrefix(file, "protocol/") && !strings.HasPrefix(file, "nodes/") {
				t.Errorf("%s: changes %s; bugs are for protocol and nodes, the scenarios' subject", b.name, file)
			}
			text, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(file)))
			return string(text), err
		})
		if err != nil {
			t.Errorf("%s: %v", b.name, err)
		}
	}
}

func TestABugMayNeedSeveralEdits(t *testing.T) {
	b := bug{file: "a.go", old: "one", new: "1", also: []edit{{"a.go", "two", "2"}, {"b.go", "three", "3"}}}
	read := func(file string) (string, error) {
		return map[string]string{"a.go": "one two", "b.go": "three"}[file], nil
	}
	got, err := b.plant(read)
	if want := map[string]string{"a.go": "1 2", "b.go": "3"}; !maps.Equal(got, want) || err != nil {
		t.Errorf("planted %q and %v, want %q", got, err, want)
	}
	b.also[0].old = "four"
	if got, err = b.plant(read); got != nil || textOf(err) != `"four" occurs 0 times in a.go, want once` {
		t.Errorf("planted %q and %v, want an error", got, err)
	}
}

func TestEveryGuardIsASmallScenario(t *testing.T) {
	files, err := smallScenarios(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, file := range files {
		there[scenarioName(file)] = true
	}
	for _, b := range allBugs() {
		if b.by != "" && !there[b.by] {
			t.Errorf("%s: guarded by %q, which is not among %v", b.name, b.by, files)
		}
	}
}
