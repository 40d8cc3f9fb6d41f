package scenarios

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"iter"
	"regexp"
	"slices"
	"strings"

	yaml "go.yaml.in/yaml/v4"
)

// form describes the YAML that may be written at one place of a scenario. Its fields scalar, mapping and list describe
// the three kinds of YAML nodes; a kind is refused if its field is nil. The parser's checks, its messages and the JSON
// Schema are made from it. A form is shared by all files and does not change.
type form struct {
	def     string // its name under the schema's $defs; "" if the schema writes it in place
	doc     string // completes the sentence "expected …"
	scalar  *scalar
	mapping *mapping
	list    *form // of each element
	names   reference
	least   int // the fewest phones of a selection
}

// reference is the kind of names that a form contains.
type reference int

const (
	namesNothing reference = iota
	namesPhone             // one phone
	namesPhones            // a selection of phones
	namesNodes             // phones and the server
)

// scalar describes one text, number or truth value.
type scalar struct {
	accepts    accepts
	pattern    string   // of a text, as a regular expression that JSON Schema knows
	enum       []string // the only texts
	min, max   uint64   // of a whole number
	bounds     *bounds  // of a number; nil for every number above 0
	parse      func(text string) (any, error)
	onlyTrue   bool // `false` would have no effect and is refused
	rawBytes   bool // may be a YAML !!binary
	numbers    bool // a form that may also be a bare number
	noVariable bool // ${NAME} is not replaced
	percent    bool // a share that is written with a percent sign
	// node encodes a value; nil for the form of its type.
	node func(value any) *yaml.Node
}

// bounds are the least and the greatest value of a number.
type bounds struct{ least, most float64 }

// accepts selects the YAML scalars that are taken.
type accepts int

const (
	acceptsText  accepts = iota // any scalar but null, as it is written
	acceptsForm                 // a text that has a form of its own
	acceptsWhole                // a whole number
	acceptsReal                 // a number
	acceptsBool
)

// mapping has either the keys of a table or any keys (open).
type mapping struct {
	keys    []key
	open    *form          // the value of every key
	openKey *regexp.Regexp // matches the keys of an open mapping; nil if openKeys lists them
	openDoc string         // lists the keys of an open mapping, for messages
	// openKeys are the only keys of an open mapping.
	openKeys []string
	synonyms synonyms // for its keys; nil if none are known
}

// errExpected is the error of a text for which "expected" and the doc of its form are the whole message.
var errExpected = errors.New("")

// finalMessage is an error that already names the alternatives, so that the doc of the form is not added.
type finalMessage struct{ error }

// parseDefault parses the default of k. A default that does not parse is a bug of the language itself.
func (k *key) parseDefault() any {
	v, err := k.is.scalar.parse(k.def)
	if err != nil {
		panic(fmt.Sprintf("scenarios: default %q of key %q does not parse: %v", k.def, k.name, err))
	}
	return v
}

// key returns the row of a key in the table, or nil if the mapping has no such key.
func (m *mapping) key(name string) *key { return keyNamed(m.keys, name) }

// keyNamed returns the row of that name, or nil if the table has none.
func keyNamed(keys []key, name string) *key {
	for i := range keys {
		if keys[i].name == name {
			return &keys[i]
		}
	}
	return nil
}

// names lists the keys that may be written.
func (m *mapping) names() []string {
	if m.open != nil {
		return m.openKeys
	}
	names := make([]string, len(m.keys))
	for i := range m.keys {
		names[i] = m.keys[i].name
	}
	return names
}

// takes reports whether the key may be written in an open mapping.
func (m *mapping) takes(key string) bool {
	if m.openKey == nil {
		return slices.Contains(m.openKeys, key)
	}
	return m.openKey.MatchString(key)
}

// alternatives lists the keys of the mapping for a message.
func (m *mapping) alternatives() string {
	if m.open != nil {
		return m.openDoc
	}
	if names := m.names(); len(names) > 1 {
		return "one of " + backquoted(names)
	}
	return backquoted(m.names())
}

// alternativesIn lists the keys that may be written in n in the place of an unknown one: the kinds if n has no key
// of a kind, else the keys that may stand beside its kind.
func (m *mapping) alternativesIn(n *yaml.Node) string {
	kinds := kindNames(m.keys)
	if kinds == nil {
		return m.alternatives()
	}
	for _, kind := range kinds {
		for k := range pairs(n) {
			if k.Value == kind {
				return "one of " + backquoted(allowedBeside(m.keys, m.key(kind)))
			}
		}
	}
	return "one of " + backquoted(kinds)
}

// orList is the form of one f or a list of them.
func orList(doc string, f *form) *form {
	return &form{doc: doc, scalar: f.scalar, mapping: f.mapping, list: f, names: f.names}
}

// Limits of a file.
const (
	maxValues = 500_000 // values, aliases followed
	maxDepth  = 32
	maxTexts  = 4 * maxFile // bytes of scalars, aliases followed
)

// reader checks a YAML document against the forms of the language.
type reader struct {
	*mistakeList
	text        []byte // of withLineFeeds
	vars        *variables
	valuesLeft  int
	bytesLeft   int      // of scalars
	programLeft int      // steps of regular expressions
	lines       []string // of text, split on first use
}

// pairs yields the keys of a mapping with their values, and nothing if n is nil or not a mapping.
func pairs(n *yaml.Node) iter.Seq2[*yaml.Node, *yaml.Node] {
	return func(yield func(key, value *yaml.Node) bool) {
		if n == nil || n.Kind != yaml.MappingNode {
			return
		}
		for pair := range slices.Chunk(n.Content, 2) {
			if !yield(pair[0], pair[1]) {
				return
			}
		}
	}
}

// posOf returns the position of a node in the file.
func posOf(n *yaml.Node) Pos { return Pos{n.Line, n.Column} }

// read checks n against f. It returns nil after a mistake. name is the key, for messages.
func (r *reader) read(n *yaml.Node, f *form, name string, depth int) *value {
	r.valuesLeft--
	if r.valuesLeft == 0 {
		r.add(posOf(n), "the file holds more than %d values, aliases counted as often as they are used", maxValues)
	}
	if r.valuesLeft <= 0 {
		return nil
	}
	if depth > maxDepth {
		r.add(posOf(n), "values are nested more than %d deep here, or an alias is part of itself", maxDepth)
		r.valuesLeft = 0
		return nil
	}
	if n.Kind == yaml.AliasNode {
		return r.read(n.Alias, f, name, depth+1)
	}
	v := &value{pos: posOf(n), form: f, node: n, kind: n.Kind, file: r}
	switch {
	case n.Kind == yaml.ScalarNode && f.scalar != nil:
		if !r.readScalar(v, name) {
			return nil
		}
	case n.Kind == yaml.MappingNode && f.mapping != nil:
		r.readMapping(v, depth)
	case n.Kind == yaml.SequenceNode && f.list != nil:
		for _, item := range n.Content {
			if one := r.read(item, f.list, name, depth+1); one != nil {
				v.list = append(v.list, one)
			}
		}
	default:
		if depth > 0 {
			name = keyQuoted(name)
		}
		hint := ""
		if n.Kind == yaml.MappingNode && f.scalar != nil && n.Style&yaml.FlowStyle != 0 {
			hint = "; a text that begins with { needs quotes"
		}
		r.add(v.pos, "%s is %s; expected %s%s", name, describeNode(n), f.doc, hint)
		return nil
	}
	return v
}

// describeNode describes a node for a message: its kind, or its quoted text if it is a scalar.
func describeNode(n *yaml.Node) string {
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

// readScalar checks and parses a scalar. It returns false after a mistake.
func (r *reader) readScalar(v *value, name string) bool {
	n, f := v.node, v.form
	if n.Tag == "!!null" {
		r.add(v.pos, "%s is empty; expected %s", keyQuoted(name), f.doc)
		return false
	}
	if r.bytesLeft -= len(n.Value); r.bytesLeft < 0 {
		if r.valuesLeft > 0 {
			r.add(v.pos, "the texts of the file come to more than %d MiB, aliases counted as often as they are used",
				maxTexts>>20)
		}
		r.valuesLeft = 0
		return false
	}
	text, replaced := n.Value, false
	if n.Tag == "!!binary" {
		raw, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
		if err != nil || !f.scalar.rawBytes {
			r.add(v.pos, "%s is marked !!binary; expected %s", keyQuoted(name), f.doc)
			return false
		}
		text = string(raw)
	} else if !f.scalar.noVariable {
		var ok bool
		if text, replaced, ok = r.vars.replace(r.mistakeList, v.pos, text); !ok {
			return false
		}
	}
	if !replaced && !f.scalar.takesStyle(n) {
		r.add(v.pos, "%s is %s; expected %s, without quotes", keyQuoted(name), quoted(n.Value), f.doc)
		return false
	}
	got, err := f.scalar.parse(text)
	if p, ok := got.(Pattern); ok && err == nil {
		got, err = p.compile(&r.programLeft)
	}
	if err != nil {
		r.add(v.pos, "%s is %s%s", keyQuoted(name), quoted(text), explain(err, f.doc))
		return false
	}
	v.text, v.got = text, got
	return true
}

// explain returns the reason of a refusal and the alternatives.
func explain(err error, doc string) string {
	if errors.Is(err, errExpected) {
		return "; expected " + doc
	}
	if m := (finalMessage{}); errors.As(err, &m) {
		return ": " + m.Error()
	}
	return ": " + err.Error() + "; expected " + doc
}

// takesStyle reports whether the scalar has the style of its kind: numbers and truth values have no quotes.
func (s *scalar) takesStyle(n *yaml.Node) bool {
	const text = yaml.SingleQuotedStyle | yaml.DoubleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle
	return s.accepts == acceptsText || s.accepts == acceptsForm || n.Style&text == 0
}

// isAt reports whether the file contains text at p, so that columns within it can be named.
func (r *reader) isAt(p Pos, text string) bool {
	if r.lines == nil {
		r.lines = strings.Split(string(r.text), "\n")
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

// readMapping checks the keys of a mapping and reads their values. It reports unknown, repeated and missing keys.
func (r *reader) readMapping(v *value, depth int) {
	m := v.form.mapping
	first := map[string]int{}
	for k, n := range pairs(v.node) {
		if k.Kind == yaml.AliasNode {
			k = k.Alias
		}
		if k.Kind != yaml.ScalarNode {
			r.add(posOf(k), "a key is %s; expected %s", describeNode(k), m.alternatives())
			continue
		}
		if line, twice := first[k.Value]; twice {
			r.add(posOf(k), "key %s is written twice, first in line %d", keyQuoted(k.Value), line)
			continue
		}
		first[k.Value] = k.Line
		if f := r.formOfKey(v.node, m, k, n); f != nil {
			v.keys = append(v.keys, entry{k.Value, posOf(k), r.read(n, f, k.Value, depth+1)})
		}
	}
	for i := range m.keys {
		if k := &m.keys[i]; k.required && first[k.name] == 0 {
			r.add(v.pos, "key `%s` is missing: %s", k.name, k.is.doc)
		}
	}
}

// formOfKey returns the form of the value of key k in a mapping, or nil after a mistake.
func (r *reader) formOfKey(in *yaml.Node, m *mapping, k, n *yaml.Node) *form {
	if m.open != nil && m.takes(k.Value) {
		return m.open
	}
	if known := m.key(k.Value); known != nil {
		return known.is
	}
	if k.Value == "<<" {
		r.add(posOf(k), "merge keys are not part of the language; expected %s", m.alternativesIn(in))
		return nil
	}
	hint := cmp.Or(m.synonyms.hint(k.Value), strings.TrimPrefix(r.didYouMean(k.Value, m.names()), "; "))
	if hint == "" {
		hint = "expected " + m.alternativesIn(in)
		if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
			hint += "; a text with a comma needs quotes between { and }"
		}
	}
	r.add(posOf(k), "unknown key %s; %s", keyQuoted(k.Value), hint)
	return nil
}

// value is one place of a file after its form was checked. Names in it are not resolved. A nil value was not
// written, or was refused with a mistake.
type value struct {
	pos  Pos
	form *form
	node *yaml.Node
	text string // of a scalar, variables replaced
	got  any    // the result of the scalar's parser
	file *reader
	keys []entry
	list []*value
	kind yaml.Kind
}

// entry is one key of a mapping with its value, in the order of the file.
type entry struct {
	key string
	pos Pos
	val *value
}

// has reports whether the key was written, even if its value was refused.
func (v *value) has(key string) bool {
	_, ok := v.entry(key)
	return ok
}

// child returns the value of a key, or nil.
func (v *value) child(key string) *value {
	e, _ := v.entry(key)
	return e.val
}

// entry returns the entry of a key, or false if the key was not written.
func (v *value) entry(key string) (entry, bool) {
	if v == nil || v.form.mapping == nil {
		return entry{}, false
	}
	if v.form.mapping.open == nil && v.form.mapping.key(key) == nil {
		panic(fmt.Sprintf("scenarios: the language has no key %q in %s", key, v.form.doc))
	}
	for _, e := range v.keys {
		if e.key == key {
			return e, true
		}
	}
	return entry{}, false
}

// keyPos returns the position of the key, or that of the mapping if the key was not written.
func (v *value) keyPos(key string) Pos {
	if e, ok := v.entry(key); ok {
		return e.pos
	}
	return v.pos
}

// elements returns the elements of a list, or v itself if it is no list.
func (v *value) elements() []*value {
	switch {
	case v == nil:
		return nil
	case v.kind == yaml.SequenceNode:
		return v.list
	}
	return []*value{v}
}

// isEmpty reports whether v is a list or a mapping without content.
func (v *value) isEmpty() bool {
	return v != nil && v.kind != yaml.ScalarNode && len(v.node.Content) == 0
}

// complete reports whether no key of the mapping was refused.
func (v *value) complete() bool { return len(v.node.Content) == 2*len(v.keys) }

// got returns the result of the parser of a key's scalar, or the zero value if the key was not written.
func got[T any](v *value, key string) T {
	var zero T
	if e := v.child(key); e != nil && e.got != nil {
		return e.got.(T)
	}
	return zero
}
