package scenarios

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	yaml "go.yaml.in/yaml/v4"
)

func TestSchemaFileIsTheLanguage(t *testing.T) {
	if *update {
		if err := os.WriteFile("schema.json", Schema(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.ReadFile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(file), string(Schema())); diff != "" {
		t.Errorf("schema.json is not Schema(); go test ./scenarios -update writes it:\n%s", diff)
	}
}

// asJSON converts a document as an editor does before it applies the schema.
func asJSON(text []byte) (any, error) {
	var doc any
	if err := yaml.Load(text, &doc); err != nil {
		return nil, err
	}
	raw, err := json.Marshal(stringKeys(doc))
	if err != nil {
		return nil, err
	}
	return jsonschema.UnmarshalJSON(bytes.NewReader(raw))
}

func stringKeys(v any) any {
	switch v := v.(type) {
	case map[any]any:
		out := map[string]any{}
		for k, e := range v {
			out[fmt.Sprint(k)] = stringKeys(e)
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for k, e := range v {
			out[k] = stringKeys(e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = stringKeys(e)
		}
		return out
	}
	return v
}

// compileOnce compiles the schema once, since compiling takes longer than validating.
var compileOnce = sync.OnceValues(func() (*jsonschema.Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", doc); err != nil {
		return nil, err
	}
	return c.Compile("schema.json")
})

func compiled(t testing.TB) *jsonschema.Schema {
	t.Helper()
	s, err := compileOnce()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func schemaRefuses(t testing.TB, text []byte) bool {
	t.Helper()
	doc, err := asJSON(text)
	return err != nil || compiled(t).Validate(doc) != nil
}

// taken checks text with the parser and the schema, and returns the scenario.
func taken(t *testing.T, file string, text []byte, o Options) *Scenario {
	t.Helper()
	s, err := Parse(file, text, o)
	if err != nil {
		t.Errorf("the parser refuses:\n%v\n%s", err, text)
		return nil
	}
	doc, err := asJSON(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := compiled(t).Validate(doc); err != nil {
		t.Errorf("the schema refuses %s: %v\n%s", file, err, text)
	}
	return s
}

// TestSchemaKnowsEveryKey checks that the schema describes every key of the parser.
func TestSchemaKnowsEveryKey(t *testing.T) {
	schema := string(Schema())
	var walk func(s *form)
	n := 0
	walk = func(s *form) {
		if s == nil {
			return
		}
		walk(s.list)
		if s.mapping == nil {
			return
		}
		walk(s.mapping.open)
		for _, f := range s.mapping.keys {
			n++
			doc, _ := json.Marshal(f.doc)
			if !strings.Contains(schema, strings.Trim(string(doc), `"`)) && !strings.Contains(schema, f.doc) {
				t.Errorf("key %q: the schema lacks its description %q", f.name, f.doc)
			}
			if f.def != "" {
				f.parseDefault() // panics when it does not parse
			}
			walk(f.is)
		}
	}
	walk(language())
	if n < 100 {
		t.Errorf("walked over %d keys, want at least 100", n)
	}
}

// TestMutationsAreRefusedByBoth breaks the form of a valid document; parser and schema must refuse each mutation.
func TestMutationsAreRefusedByBoth(t *testing.T) {
	text, err := os.ReadFile("classroom.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range [][2]string{
		{"phones:", "phnes:"},
		{"name: classroom", "name: class/room"},
		{"seed: 7", "seed: seven"},
		{"start: 30/07/2020 09:00:00", "start: 2020-07-30 09:00:00"},
		{"length: 45m", "length: 45"},
		{"count: 25", "count: 25000000"},
		{"delay: 10ms..40ms", "delay: 10..40"},
		{"lose: 1%", "lose: 1"},
		{"columns: 5", "colums: 5"},
		{"reach: 1", "reach: 0"},
		{"stay: 30s..2m", "stay: long"},
		{"do: [login, Download_tempID]", "do: [login, Download_tempid]"},
		{"jitter: 10%", "jitter: ten"},
		{"forge: {to: pupil-3,", "forge: {"},
		{"at: 10m", "at: 10"},
		{"prints: The", "print: The"},
		{"as: upload", "as: 5upload"},
		{"beacons.valid > 1000", "beacons.valid"},
		{`["p(95)<6"]`, `["p95<6"]`},
		{"beacon_delay", "beacon_dely"},
	} {
		if !bytes.Contains(text, []byte(m[0])) {
			t.Errorf("classroom.yaml has no %q any more", m[0])
			continue
		}
		broken := bytes.Replace(text, []byte(m[0]), []byte(m[1]), 1)
		if _, err := Parse("classroom.yaml", broken, Options{}); err == nil {
			t.Errorf("the parser takes %q for %q", m[1], m[0])
		}
		if !schemaRefuses(t, broken) {
			t.Errorf("the schema takes %q for %q", m[1], m[0])
		}
	}
}
