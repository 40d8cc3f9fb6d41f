package compare

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

// TestEveryNameIsDocumented compares the JSON names of a comparison with
// docs/RESULTS.md.
func TestEveryNameIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/RESULTS.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(page), "\n## Comparison\n")
	if !ok {
		t.Fatal("docs/RESULTS.md has no section Comparison")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	names := jsonNames(reflect.TypeFor[Comparison]())
	if len(names) < 40 {
		t.Fatalf("only %d names: %v", len(names), names)
	}
	for _, name := range names {
		if !strings.Contains(section, "`"+name+"`") {
			t.Errorf("docs/RESULTS.md does not name `%s`", name)
		}
	}
}

func jsonNames(t reflect.Type) (names []string) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" {
			continue
		}
		names = append(names, name)
		inner := f.Type
		for inner.Kind() == reflect.Pointer || inner.Kind() == reflect.Slice {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct {
			names = append(names, jsonNames(inner)...)
		}
	}
	return names
}
