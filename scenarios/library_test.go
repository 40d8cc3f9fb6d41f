package scenarios

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLibrary: every scenario of this folder is one, to parser and schema, and
// tells an editor where the schema is.
func TestLibrary(t *testing.T) {
	files, err := filepath.Glob("*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 2 {
		t.Fatalf("the library has %d scenarios, want at least classroom and blocking", len(files))
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(text), "# yaml-language-server: $schema=schema.json\n") {
			t.Errorf("%s does not begin with the line that names its schema", f)
		}
		s := taken(t, f, text, Options{})
		if s != nil && s.Name+".yaml" != f {
			t.Errorf("%s calls itself %q", f, s.Name)
		}
	}
}
