package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// smallModule makes a module whose cmd/sim prints a line.
func smallModule(t *testing.T) (root string) {
	t.Helper()
	root = t.TempDir()
	write(t, filepath.Join(root, "go.mod"), "module small\n\ngo 1.26\n")
	if err := os.MkdirAll(filepath.Join(root, "cmd", "sim"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(root, "cmd", "sim", "main.go"), smallMain)
	return root
}

const smallMain = `package main

func main() {
	println("three wrong passwords")
}
`

func TestABuildWithAnOverlayDiffersOnlyInBehaviour(t *testing.T) {
	root, temp := smallModule(t), t.TempDir()
	program := func(name, old, new string) string {
		changed, program := filepath.Join(temp, name+".go"), filepath.Join(temp, name)
		write(t, changed, strings.Replace(smallMain, old, new, 1))
		if err := build(t.Context(), root, program, map[string]string{"cmd/sim/main.go": changed}); err != nil {
			t.Fatal(err)
		}
		return program
	}
	plain := filepath.Join(temp, "plain")
	if err := build(t.Context(), root, plain, nil); err != nil {
		t.Fatal(err)
	}
	comment := program("comment", "passwords\")", "passwords\") // and no more")
	mutant := program("mutant", "three", "seven")
	if content(t, plain) != content(t, comment) {
		t.Error("a comment makes another program")
	}
	if content(t, plain) == content(t, mutant) {
		t.Error("a mutant makes the same program")
	}
	if said, err := exec.Command(mutant).CombinedOutput(); string(said) != "seven wrong passwords\n" {
		t.Errorf("the program with the mutant says %q and %v", said, err)
	}
}

func content(t *testing.T, program string) string {
	t.Helper()
	c, err := contentOf(program)
	if err != nil {
		t.Fatal(err)
	}
	return string(c[:])
}

func TestABuildErrorNamesItsPlace(t *testing.T) {
	root, temp := smallModule(t), t.TempDir()
	changed := filepath.Join(temp, "main.go")
	write(t, changed, strings.Replace(smallMain, "println", "printline", 1))
	err := build(t.Context(), root, filepath.Join(temp, "sim"), map[string]string{"cmd/sim/main.go": changed})
	if err == nil || !strings.Contains(err.Error(), "undefined: printline") {
		t.Errorf("error %v, want the compiler's", err)
	}
}

func TestTheModuleIsFoundFromBelow(t *testing.T) {
	t.Setenv("GOWORK", "off")
	root := smallModule(t)
	t.Chdir(filepath.Join(root, "cmd", "sim"))
	if got, err := moduleRoot(t.Context()); err != nil || got != root {
		t.Errorf("found %q and %v, want %q", got, err, root)
	}
	t.Chdir(t.TempDir())
	if got, err := moduleRoot(t.Context()); err == nil || !strings.Contains(err.Error(),
		"no go.mod in the working directory") {
		t.Errorf("found %q and %v, want an error", got, err)
	}
}
