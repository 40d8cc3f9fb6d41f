package scenarios

import (
	"encoding/base64"
	"errors"
	"strings"

	yaml "go.yaml.in/yaml/v4"
)

// What a file may hold at most: values, aliases followed; and how deep.
const (
	maxValues = 500_000
	maxDepth  = 32
	maxTexts  = 4 * maxFile // bytes
)

// reader checks a YAML document against the language.
type reader struct {
	*complaints
	text []byte
	vars *variables
	left int // values that may still be read
	// bytes of scalars that may still be read, aliases counted
	leftBytes int
	// lines of text, cut on first use
	lines []string
}

func place(n *yaml.Node) Pos { return Pos{n.Line, n.Column} }

// read checks n against s. It answers nil when n is not what s says, and has
// then complained. what names the place in messages: the key.
func (r *reader) read(n *yaml.Node, s *shape, what string, depth int) *value {
	r.left--
	if r.left == 0 {
		r.at(place(n), "the file holds more than %d values, aliases counted as often as they are used", maxValues)
	}
	if r.left <= 0 {
		return nil
	}
	if depth > maxDepth {
		r.at(place(n), "values are nested more than %d deep here, or an alias is part of itself", maxDepth)
		r.left = 0
		return nil
	}
	if n.Kind == yaml.AliasNode {
		return r.read(n.Alias, s, what, depth+1)
	}
	v := &value{pos: place(n), shape: s, node: n, kind: n.Kind, file: r}
	var ok bool
	switch {
	case n.Kind == yaml.ScalarNode && s.scalar != nil:
		ok = r.readScalar(v, what)
	case n.Kind == yaml.MappingNode && s.mapping != nil:
		ok = r.readMapping(v, depth)
	case n.Kind == yaml.SequenceNode && s.list != nil:
		for _, item := range n.Content {
			if one := r.read(item, s.list, what, depth+1); one != nil {
				v.items = append(v.items, one)
			}
		}
		ok = true
	default:
		if depth > 0 {
			what = keyQuoted(what)
		}
		r.at(v.pos, "%s is %s; expected %s%s", what, kindOf(n), s.doc, bracesHint(n, s))
	}
	if !ok {
		return nil
	}
	return v
}

func kindOf(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Tag == "!!null":
		return "empty"
	}
	return quoted(n.Value)
}

// bracesHint: {user} alone is a mapping to YAML.
func bracesHint(n *yaml.Node, s *shape) string {
	if n.Kind == yaml.MappingNode && s.scalar != nil && n.Style&yaml.FlowStyle != 0 {
		return "; a text that begins with { needs quotes"
	}
	return ""
}

func (r *reader) readScalar(v *value, what string) bool {
	n, s := v.node, v.shape
	if n.Tag == "!!null" {
		r.at(v.pos, "%s is empty; expected %s", keyQuoted(what), s.doc)
		return false
	}
	if r.leftBytes -= len(n.Value); r.leftBytes < 0 {
		if r.left > 0 {
			r.at(v.pos, "the texts of the file come to more than %d MiB, aliases counted as often as they are used", maxTexts>>20)
		}
		r.left = 0
		return false
	}
	text, filled := n.Value, false
	if n.Tag == "!!binary" {
		raw, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
		if err != nil || !s.scalar.rawBytes {
			r.at(v.pos, "%s is marked !!binary; expected %s", keyQuoted(what), s.doc)
			return false
		}
		text = string(raw)
	} else if !s.scalar.noVariable {
		var ok bool
		if text, filled, ok = r.vars.fill(r.complaints, v.pos, text); !ok {
			return false
		}
	}
	if !filled && !s.scalar.takesTag(n) {
		r.at(v.pos, "%s is %s; expected %s, without quotes", keyQuoted(what), quoted(n.Value), s.doc)
		return false
	}
	got, err := s.scalar.parse(text)
	if err != nil {
		r.at(v.pos, "%s is %s%s", keyQuoted(what), quoted(text), because(err, s.doc))
		return false
	}
	v.text, v.got = text, got
	return true
}

// because is what is wrong and what could stand there.
func because(err error, doc string) string {
	if errors.Is(err, errExpected) {
		return "; expected " + doc
	}
	if t := (told{}); errors.As(err, &t) {
		return ": " + t.Error()
	}
	return ": " + err.Error() + "; expected " + doc
}

// takesTag says whether the scalar is written as its kind is: numbers and truth
// values stand without quotes.
func (s *scalar) takesTag(n *yaml.Node) bool {
	const asText = yaml.SingleQuotedStyle | yaml.DoubleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle
	return s.accepts == acceptsText || s.accepts == acceptsForm || n.Style&asText == 0
}

// stands says whether text stands in the file at p, so that columns within it
// can be told.
func (r *reader) stands(p Pos, text string) bool {
	if r.lines == nil {
		r.lines = strings.Split(strings.TrimPrefix(string(r.text), "\ufeff"), "\n")
	}
	if p.Line < 1 || p.Line > len(r.lines) {
		return false
	}
	line := r.lines[p.Line-1]
	for i := range line {
		if p.Col--; p.Col == 0 {
			return strings.HasPrefix(line[i:], text)
		}
	}
	return false
}

func (r *reader) readMapping(v *value, depth int) bool {
	m := v.shape.mapping
	first := map[string]int{}
	for i := 0; i+1 < len(v.node.Content); i += 2 {
		k, n := v.node.Content[i], v.node.Content[i+1]
		if k.Kind == yaml.AliasNode {
			k = k.Alias
		}
		if k.Kind != yaml.ScalarNode {
			r.at(place(k), "a key is %s; expected %s", kindOf(k), m.couldBe())
			continue
		}
		if line, twice := first[k.Value]; twice {
			r.at(place(k), "key %s is written twice, first in line %d", keyQuoted(k.Value), line)
			continue
		}
		first[k.Value] = k.Line
		if s := r.valueShape(v.node, m, k, n); s != nil {
			v.keys = append(v.keys, entry{k.Value, place(k), r.read(n, s, k.Value, depth+1)})
		}
	}
	for _, f := range m.fields {
		if _, ok := first[f.name]; f.required && !ok {
			r.at(v.pos, "key `%s` is missing: %s", f.name, f.is.doc)
		}
	}
	return true
}

// valueShape is what may stand under key k of in; nil after a complaint that k
// cannot stand here.
func (r *reader) valueShape(in *yaml.Node, m *mapping, k, n *yaml.Node) *shape {
	if m.open != nil && m.keyFits(k.Value) {
		return m.open
	}
	if f := m.field(k.Value); f != nil {
		return f.is
	}
	comma := ""
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		comma = "; a text with a comma needs quotes between { and }"
	}
	if k.Value == "<<" {
		r.at(place(k), "merge keys are not part of the language; expected %s", m.couldStand(in))
		return nil
	}
	if meant := m.other.meant(k.Value); meant != "" {
		r.at(place(k), "unknown key %s; %s", keyQuoted(k.Value), meant)
		return nil
	}
	if c, ok := r.nearest(k.Value, m.keys()); ok {
		r.at(place(k), "unknown key %s; did you mean `%s`?", keyQuoted(k.Value), c)
		return nil
	}
	r.at(place(k), "unknown key %s; expected %s%s", keyQuoted(k.Value), m.couldStand(in), comma)
	return nil
}

func (m *mapping) couldBe() string {
	if m.open != nil {
		return m.keyDoc
	}
	if keys := m.keys(); len(keys) > 1 {
		return "one of " + backquoted(keys)
	}
	return backquoted(m.keys())
}
