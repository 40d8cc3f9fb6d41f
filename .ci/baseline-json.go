//go:build ignore

// Command baseline-json prints the JSON Schema at its standard input in a
// canonical form: sorted keys, sorted sets, and no titles or descriptions unless
// the flag -texts is given.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
)

var texts = flag.Bool("texts", false, "keep titles and descriptions")

// Keywords whose value is text, a set, or a map from names to schemas.
var (
	texty = []string{"title", "description", "markdownDescription", "$comment", "errorMessage", "examples"}
	sets  = []string{"enum", "required", "type", "anyOf", "oneOf", "allOf"}
	named = []string{"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"}
)

func main() {
	flag.Parse()
	d := json.NewDecoder(os.Stdin)
	d.UseNumber()
	var schema any
	if err := d.Decode(&schema); err != nil {
		fmt.Fprintln(os.Stderr, "baseline-json:", err)
		os.Exit(1)
	}
	fmt.Print(text(canonical(schema), "  "))
}

func canonical(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = canonical(v[i])
		}
	case map[string]any:
		for key, value := range v {
			if slices.Contains(texty, key) && !*texts {
				delete(v, key)
				continue
			}
			if names, ok := value.(map[string]any); ok && slices.Contains(named, key) {
				for name := range names {
					names[name] = canonical(names[name])
				}
				continue
			}
			v[key] = canonical(value)
			if set, ok := v[key].([]any); ok && slices.Contains(sets, key) {
				slices.SortFunc(set, func(a, b any) int { return strings.Compare(text(a, ""), text(b, "")) })
			}
		}
	}
	return v
}

// text is v as JSON, with sorted keys.
func text(v any, indent string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	if err := e.Encode(v); err != nil {
		panic(err) // it was JSON
	}
	return b.String()
}
