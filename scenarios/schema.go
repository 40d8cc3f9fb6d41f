package scenarios

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// Schema returns the JSON Schema (draft 2020-12) of the language, with which an editor completes and checks a
// scenario. It refuses wrong forms; the parser also refuses unknown names and contradictions.
func Schema() []byte {
	w := &schemaWriter{defs: object{}, seen: map[string]bool{}}
	root := object{
		{"$schema", "https://json-schema.org/draft/2020-12/schema"},
		{"title", "BlueTrace scenario"},
	}
	root = append(root, w.mapping(language().mapping)...)
	root = append(root, member{"$defs", w.defs})
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(root); err != nil {
		panic(fmt.Sprintf("scenarios: the schema cannot be written: %v", err))
	}
	return b.Bytes()
}

// object is a JSON object whose members keep their order.
type object []member

// member is one member of an object.
type member struct {
	key string
	val any
}

func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := e.Encode(m.key); err != nil {
			return nil, err
		}
		b.WriteByte(':')
		if err := e.Encode(m.val); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// variable matches a text with a ${NAME}, which the parser replaces.
const variable = `\$\{[A-Za-z_][A-Za-z0-9_]*\}`

// schemaWriter makes the schema. defs collects the forms with a name of their own, each once.
type schemaWriter struct {
	defs object
	seen map[string]bool
}

// form returns the schema of s; a reference if s has a name of its own.
func (w *schemaWriter) form(s *form) object {
	if s.def == "" {
		return w.inline(s)
	}
	if !w.seen[s.def] {
		w.seen[s.def] = true
		i := len(w.defs)
		w.defs = append(w.defs, member{s.def, nil})
		w.defs[i].val = append(object{{"description", capital(s.doc) + "."}}, w.inline(s)...)
	}
	return object{{"$ref", "#/$defs/" + s.def}}
}

// inline returns the schema of a form in place, with one alternative for each YAML kind that the form accepts.
func (w *schemaWriter) inline(s *form) object {
	var forms []object
	if s.scalar != nil && s.list != nil && s.list.def != "" && s.list.scalar == s.scalar &&
		s.list.mapping == s.mapping {
		forms = append(forms, w.form(s.list)) // one of the list's elements alone
	} else {
		if s.scalar != nil {
			forms = append(forms, s.scalar.schemas()...)
		}
		if s.mapping != nil {
			forms = append(forms, w.mapping(s.mapping))
		}
	}
	if s.list != nil {
		forms = append(forms, object{{"type", "array"}, {"items", w.form(s.list)}})
	}
	if len(forms) == 1 {
		return forms[0]
	}
	return object{{"anyOf", forms}}
}

// schemas returns the JSON forms of a scalar: its own form, and a text with a variable.
func (s *scalar) schemas() []object {
	filled := object{{"type", "string"}, {"pattern", variable}}
	switch {
	case s.enum != nil:
		return []object{{{"enum", s.enum}}, filled}
	case s.accepts == acceptsText:
		return []object{{{"type", []string{"string", "number", "boolean"}}}}
	case s.accepts == acceptsWhole:
		return []object{{{"type", "integer"}, {"minimum", s.min}, {"maximum", s.max}}, filled}
	case s.bounds != nil:
		return []object{{{"type", "number"}, {"minimum", s.bounds.least}, {"maximum", s.bounds.most}}, filled}
	case s.accepts == acceptsReal:
		return []object{{{"type", "number"}, {"exclusiveMinimum", 0}}, filled}
	case s.onlyTrue:
		return []object{{{"const", true}}, filled}
	case s.accepts == acceptsBool:
		return []object{{{"type", "boolean"}}, filled}
	}
	forms := []object{{{"type", "string"}, {"pattern", strings.Join([]string{s.pattern, variable}, "|")}}}
	if s.numbers {
		forms = append(forms, object{{"type", "integer"}, {"minimum", 0}})
	}
	return forms
}

// mapping returns the schema of a mapping. Unknown keys are refused.
func (w *schemaWriter) mapping(m *mapping) object {
	o := object{{"type", "object"}}
	if m.open != nil {
		return append(o, w.open(m)...)
	}
	var properties object
	var required []string
	for i := range m.keys {
		f := &m.keys[i]
		p := object{{"description", f.doc}}
		if f.def != "" {
			p[0].val = f.doc + " Default: " + f.def + "."
		}
		properties = append(properties, member{f.name, append(p, w.form(f.is)...)})
		if f.required {
			required = append(required, f.name)
		}
	}
	o = append(o, member{"properties", properties}, member{"additionalProperties", false})
	if required != nil {
		o = append(o, member{"required", required})
	}
	return o
}

// open returns the schema of a mapping whose keys are not those of a table.
func (w *schemaWriter) open(m *mapping) object {
	if m.openKey != nil {
		return object{{"patternProperties", object{{m.openKey.String(), w.form(m.open)}}}, {"additionalProperties",
			false}}
	}
	var properties object
	for _, k := range m.openKeys {
		properties = append(properties, member{k, w.form(m.open)})
	}
	return object{{"properties", properties}, {"additionalProperties", false}}
}

// capital returns the text with an upper-case first letter.
func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
