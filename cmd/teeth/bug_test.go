package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestABugNeedsItsOldTextOnce(t *testing.T) {
	b := bug{file: "a.go", old: "x < 3", new: "x < 2"}
	for _, c := range []struct{ source, want, err string }{
		{"if x < 3 {", "if x < 2 {", ""},
		{"if y < 3 {", "", `"x < 3" occurs 0 times in a.go, want once`},
		{"if x < 3 || x < 3 {", "", `"x < 3" occurs 2 times in a.go, want once`},
	} {
		got, err := b.plant(c.source)
		if got != c.want || textOf(err) != c.err {
			t.Errorf("planting in %q: %q and error %q, want %q and %q", c.source, got, textOf(err), c.want, c.err)
		}
	}
}

func TestTheTableOfBugs(t *testing.T) {
	bugs := allBugs()
	if len(bugs) < 35 {
		t.Errorf("%d bugs, want at least 35", len(bugs))
	}
	names, folders, changes := map[string]bool{}, map[string]bool{}, map[bug]bool{}
	for _, b := range bugs {
		change := bug{file: b.file, old: b.old, new: b.new}
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

func TestEveryBugStillApplies(t *testing.T) {
	for _, b := range allBugs() {
		source, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(b.file)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.plant(string(source)); err != nil {
			t.Errorf("%s: %v", b.name, err)
		}
		if !strings.HasPrefix(b.file, "protocol/") && !strings.HasPrefix(b.file, "nodes/") {
			t.Errorf("%s: changes %s; bugs are for protocol and nodes, the scenarios' subject", b.name, b.file)
		}
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
