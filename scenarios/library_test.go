package scenarios

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// library returns every scenario of this folder and of the folders in it, without the starter and the dialects.
func library(t testing.TB) (files []string) {
	t.Helper()
	for _, pattern := range []string{"*.yaml", "*/*.yaml", "rules/*/*.yaml"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, slices.DeleteFunc(found, func(f string) bool {
			return f == "starter/starter.yaml" || filepath.Dir(f) == "dialects"
		})...)
	}
	if len(files) < 10 {
		t.Fatalf("the library has %d scenarios, want at least 10", len(files))
	}
	return files
}

// TestLibrary checks every scenario of the library with the parser and the schema. Its first line names the schema for
// an editor.
func TestLibrary(t *testing.T) {
	for _, f := range library(t) {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		schema := strings.Repeat("../", strings.Count(f, "/")) + "schema.json"
		if !strings.HasPrefix(string(text), "# yaml-language-server: $schema="+schema+"\n") {
			t.Errorf("%s does not begin with the line that names its schema", f)
		}
		s := taken(t, f, text, Options{})
		folder := strings.ReplaceAll(strings.TrimSuffix(f, filepath.Base(f)), "/", "-")
		if s != nil && s.Name+".yaml" != filepath.Base(f) && s.Name+".yaml" != folder+filepath.Base(f) {
			t.Errorf("%s calls itself %q", f, s.Name)
		}
	}
}

// TestStarterIsAScenario parses the file that sim init writes, and checks it against the schema.
func TestStarterIsAScenario(t *testing.T) {
	s := taken(t, "starter.yaml", []byte(Starter()), Options{})
	if s == nil {
		t.FailNow()
	}
	if len(s.Faults) == 0 || len(s.Expect) == 0 || len(s.Script) < 8 || s.Length == 0 {
		t.Errorf("the starter has %d faults, %d expectations and %d steps", len(s.Faults), len(s.Expect), len(s.Script))
	}
	comesBack(t, s)
}
