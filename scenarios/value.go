package scenarios

import (
	"fmt"

	yaml "go.yaml.in/yaml/v4"
)

// value is one place of a scenario after its form was checked against the
// language: names in it are not resolved yet. A nil value is one that was not
// written (or was refused, with a complaint).
type value struct {
	pos   Pos
	shape *shape
	node  *yaml.Node
	text  string // of a scalar, variables filled in
	got   any    // what the scalar's parser made of it
	file  *reader
	keys  []entry
	items []*value
	kind  yaml.Kind
}

// entry is one key of a mapping with its value, in the order of the file.
type entry struct {
	key string
	pos Pos
	val *value
}

// has says whether the key was written, right or wrong.
func (v *value) has(key string) bool {
	_, ok := v.entry(key)
	return ok
}

// at is the value of a key; nil when it was not written.
func (v *value) at(key string) *value {
	e, _ := v.entry(key)
	return e.val
}

func (v *value) entry(key string) (entry, bool) {
	if v == nil || v.shape.mapping == nil {
		return entry{}, false
	}
	if v.shape.mapping.open == nil && v.shape.mapping.field(key) == nil {
		panic(fmt.Sprintf("scenarios: the language has no key %q in %s", key, v.shape.doc))
	}
	for _, e := range v.keys {
		if e.key == key {
			return e, true
		}
	}
	return entry{}, false
}

// keyPos is where the key stands; where the mapping does when it was not
// written.
func (v *value) keyPos(key string) Pos {
	if e, ok := v.entry(key); ok {
		return e.pos
	}
	return v.pos
}

// each is the elements of a list; v itself when it stands there alone.
func (v *value) each() []*value {
	switch {
	case v == nil:
		return nil
	case v.kind == yaml.SequenceNode:
		return v.items
	}
	return []*value{v}
}

// empty says that nothing was written under a key that is there.
func (v *value) empty() bool {
	return v != nil && v.kind != yaml.ScalarNode && len(v.node.Content) == 0
}

// whole says that no key of the mapping was refused.
func (v *value) whole() bool { return len(v.node.Content) == 2*len(v.keys) }

// get is what the parser of a key's scalar made of it: of the default when the
// key was not written, and the zero value when there is none.
func get[T any](v *value, key string) T {
	var zero T
	e := v.at(key)
	if e != nil && e.got != nil {
		return e.got.(T)
	}
	return def[T](v, key, zero)
}

func def[T any](v *value, key string, zero T) T {
	if v == nil {
		return zero
	}
	if f := v.shape.mapping.field(key); f != nil && f.def != "" {
		return f.parseDefault().(T)
	}
	return zero
}
