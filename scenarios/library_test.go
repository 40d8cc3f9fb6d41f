package scenarios

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// library is every scenario of this folder, and of those in it.
func library(t testing.TB) (files []string) {
	t.Helper()
	for _, pattern := range []string{"*.yaml", "*/*.yaml"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	if len(files) < 10 {
		t.Fatalf("the library has %d scenarios, want at least 10", len(files))
	}
	return files
}

// TestLibrary: every scenario of the library is one, to parser and schema, and
// tells an editor where the schema is.
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
