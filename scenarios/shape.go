package scenarios

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// shape says what may stand at one place of a scenario: a scalar, a mapping, a
// list, or any of these that is not nil. The parser's checks, its messages and
// the JSON Schema are all made from it.
type shape struct {
	def     string // its name under the schema's $defs; "": written in place
	doc     string // ends the sentence "expected …"
	scalar  *scalar
	mapping *mapping
	list    *shape // of each element
}

// scalar is one text, number or truth value.
type scalar struct {
	accepts    accepts
	pattern    string   // of a text, as a regular expression that JSON Schema knows
	enum       []string // the only texts
	min, max   uint64   // of a whole number
	bounds     *bounds  // of a number; nil: above 0
	parse      func(text string) (any, error)
	onlyTrue   bool // `false` would say nothing
	rawBytes   bool // may be a YAML !!binary
	numbers    bool // a form that may also be a bare number
	noVariable bool // ${NAME} is not filled in
}

// bounds are the least and the most that a number may be.
type bounds struct{ least, most float64 }

// accepts says which YAML scalars are taken.
type accepts int

const (
	acceptsText  accepts = iota // anything but null, as it is written
	acceptsForm                 // a text that has a form of its own
	acceptsWhole                // a whole number
	acceptsReal                 // a number
	acceptsBool
)

// mapping has either named fields or any keys (open).
type mapping struct {
	fields []field
	open   *shape         // the value of every key
	key    *regexp.Regexp // of an open mapping's keys; nil: keyOf
	keyDoc string
	keyOf  []string // the only keys of an open mapping

	other     otherWords // for its keys; nil: none are known
	kinds     []kindKey  // of which it has one; nil: it has no kinds
	besideAll []string   // the keys that stand beside every kind
}

// field is one key of a mapping.
type field struct {
	name     string
	doc      string // one sentence, for the schema
	is       *shape
	required bool
	def      string // as it would be written; "": there is none
}

// errExpected says nothing beyond what the shape's doc says.
var errExpected = errors.New("")

// told is an error that already says what could stand there.
type told struct{ error }

// parseDefault reads the default of f with its own parser. A default that does
// not parse is a mistake of the language itself.
func (f *field) parseDefault() any {
	v, err := f.is.scalar.parse(f.def)
	if err != nil {
		panic(fmt.Sprintf("scenarios: default %q of key %q does not parse: %v", f.def, f.name, err))
	}
	return v
}

func (m *mapping) field(name string) *field {
	for i := range m.fields {
		if m.fields[i].name == name {
			return &m.fields[i]
		}
	}
	return nil
}

// keys lists what could stand as a key.
func (m *mapping) keys() []string {
	if m.open != nil {
		return m.keyOf
	}
	names := make([]string, len(m.fields))
	for i, f := range m.fields {
		names[i] = f.name
	}
	return names
}

// keyFits says whether key may stand in an open mapping.
func (m *mapping) keyFits(key string) bool {
	if m.key == nil {
		return slices.Contains(m.keyOf, key)
	}
	return m.key.MatchString(key)
}

// orList is s, or a list of s.
func orList(doc string, s *shape) *shape {
	return &shape{doc: doc, scalar: s.scalar, mapping: s.mapping, list: s}
}

// backquoted joins names as `a`, `b` and `c`.
func backquoted(names []string) string {
	var b strings.Builder
	for i, n := range names {
		switch {
		case i > 0 && i == len(names)-1:
			b.WriteString(" and ")
		case i > 0:
			b.WriteString(", ")
		}
		b.WriteString("`" + n + "`")
	}
	return b.String()
}
