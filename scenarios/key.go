package scenarios

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	yaml "go.yaml.in/yaml/v4"
)

// key is one row of the table of a section: the name of a key, its documentation, the form of its value, and the
// field that holds the value. A section of the language is a type with a method keys that binds the table to an
// instance. The JSON Schema, the parser, the writer and the renumbering of phones are made from these tables, so a
// key is described in one place.
//
// A new key is a field of a section's struct and a row of its table, with a check if it excludes other keys. A new kind
// of fault is a kind in package fault and a row in the table of Fault. A new action of a step is a struct with a table
// and a row in the table of Step. The world or the script runner also needs code that
// acts on it.
type key struct {
	name, doc string
	is        *form
	def       string // the value if the key is not written, as a file would write it; "" if there is none
	required  bool
	// into points to the field. nil if the key has functions of its own, or none.
	into any

	// beside lists the keys that may stand beside this one. It is not nil if the key names the kind of the section,
	// of which a section has one.
	beside []string
	always bool // may stand beside every kind

	section func() *form // the form, if it is made from another table
	keys    []key        // of a section within the same struct

	// decode sets the field from the section that contains the key.
	decode func(b *builder, section *value)
	// encode returns the value as YAML, nil if it is not written.
	encode func(w *writer) *yaml.Node
	// when reports whether encode writes the key; nil if it writes values other than the default.
	when func(w *writer) bool
	// renumber replaces the numbers of phones; it returns false if a phone that the section needs is gone.
	renumber func(n *renumbering) bool
}

// to returns a key whose value goes to a field.
func to(name string, into any, is *form, doc string) key {
	return key{name: name, doc: doc, is: is, into: into}
}

// need makes the key required.
func (k key) need() key { k.required = true; return k }

// or sets the default of the key, as a file would write it.
func (k key) or(def string) key { k.def = def; return k }

// alwaysTaken lets the key stand beside every kind.
func (k key) alwaysTaken() key { k.always = true; return k }

// kind makes the key name a kind of the section. beside lists the other keys of this kind.
func (k key) kind(beside ...string) key { k.beside = append([]string{}, beside...); return k }

// kindKey returns a key that names a kind and is always written.
func kindKey[K ~string](kind K, into any, is *form, doc string, beside ...string) key {
	return to(string(kind), into, is, doc).kind(beside...).writtenIf(always)
}

// always is the condition of a key that is always written.
func always(*writer) bool { return true }

// writtenIf replaces the condition under which the encoder writes the key.
func (k key) writtenIf(when func(w *writer) bool) key { k.when = when; return k }

// decodedBy replaces the decoder of the key.
func (k key) decodedBy(decode func(b *builder, section *value)) key { k.decode = decode; return k }

// encodedBy replaces the encoder of the key.
func (k key) encodedBy(encode func(w *writer) *yaml.Node) key { k.encode = encode; return k }

// table is a section of the language that is bound to an instance.
type table[T any] interface {
	*T
	keys() []key
}

// checked is a section with rules about several keys. check reports the mistakes after the keys are decoded.
type checked interface{ check(b *builder, v *value) }

// sectionForm is the form of a mapping with the keys of T.
func sectionForm[T any, P table[T]](def, doc string) *form {
	return &form{def: def, doc: doc, mapping: &mapping{keys: resolved(P(new(T)).keys())}}
}

// sectionOf is sectionForm as a function for the field section of a key.
func sectionOf[T any, P table[T]](def, doc string) func() *form {
	return func() *form { return sectionForm[T, P](def, doc) }
}

// resolved fills in the forms that are made from other tables.
func resolved(keys []key) []key {
	for i := range keys {
		k := &keys[i]
		if k.section != nil {
			k.is = k.section()
		}
		if k.keys != nil {
			k.is = &form{doc: k.is.doc, mapping: &mapping{keys: resolved(k.keys)}}
		}
	}
	return keys
}

// inner returns a key with a section whose fields are in the same struct.
func inner(name, doc, formDoc string, keys ...key) key {
	return key{name: name, doc: doc, is: &form{doc: formDoc}, keys: keys}
}

// one returns a key whose value is a section of its own.
func one[T any, P table[T]](name string, into **T, is func() *form, doc string) key {
	return key{
		name: name, doc: doc, section: is,
		decode: func(b *builder, section *value) {
			if v := section.child(name); v != nil {
				*into = new(T)
				decodeSection[T, P](b, v, *into)
			}
		},
		encode: func(w *writer) *yaml.Node {
			if *into == nil {
				return nil
			}
			return w.mapping(keysOf[T, P](*into), "")
		},
		renumber: func(n *renumbering) bool {
			if *into == nil {
				return true
			}
			t := **into
			*into = &t
			return n.renumber(keysOf[T, P](&t))
		},
	}
}

// many returns a key with a list of sections, or with one section alone.
func many[T any, P table[T]](name string, into *[]T, is func() *form, doc string) key {
	return key{
		name: name, doc: doc, section: is,
		decode: func(b *builder, section *value) {
			v := section.child(name)
			*into = append(*into, decodeAll[T, P](b, v)...)
			if v != nil && v.kind == yaml.SequenceNode {
				b.refuseEmpty(section, name)
			}
		},
		encode: func(w *writer) *yaml.Node { return sections(sectionNodes[T, P](w, *into)) },
		renumber: func(n *renumbering) bool {
			*into = renumberAll[T, P](n, *into)
			return true
		},
	}
}

// sectionNodes encodes each section of a list.
func sectionNodes[T any, P table[T]](w *writer, list []T) []*yaml.Node {
	return mapNodes(list, func(t T) *yaml.Node { return w.mapping(keysOf[T, P](&t), "") })
}

// decodeSection sets the fields of t from v. It returns false after a mistake that leaves t without a kind.
func decodeSection[T any, P table[T]](b *builder, v *value, t P) bool {
	fields := reflect.ValueOf(t).Elem()
	if f := fields.FieldByName("Pos"); f.IsValid() {
		f.Set(reflect.ValueOf(v.pos))
	}
	if f := fields.FieldByName("Text"); f.IsValid() {
		f.SetString(oneLine(v.node))
	}
	if keys := t.keys(); kindNames(keys) != nil {
		kind := b.kindOf(v, keys)
		if kind == "" {
			return false
		}
		fields.FieldByName("Kind").SetString(kind)
	}
	b.decode(v, keysOf(t))
	if c, ok := any(t).(checked); ok {
		c.check(b, v)
	}
	return true
}

// kindNames lists the keys that name a kind; a section that has any is one of these kinds, which its field Kind names.
func kindNames(keys []key) (names []string) {
	for i := range keys {
		if keys[i].beside != nil {
			names = append(names, keys[i].name)
		}
	}
	return names
}

// keysOf returns the keys that t may have, in the order in which they are written: all keys of its table or, if the
// table has kinds, those of the kind of t.
func keysOf[T any, P table[T]](t P) []key {
	keys := t.keys()
	if kindNames(keys) == nil {
		return keys
	}
	kind := keyNamed(keys, reflect.ValueOf(t).Elem().FieldByName("Kind").String())
	if kind == nil {
		return nil
	}
	left := []key{*kind}
	for _, name := range allowedBeside(keys, kind) {
		left = append(left, *keyNamed(keys, name))
	}
	return left
}

// allowedBeside lists the keys that may stand beside the kind.
func allowedBeside(keys []key, kind *key) []string {
	all := slices.Clone(kind.beside)
	for i := range keys {
		if keys[i].always {
			all = append(all, keys[i].name)
		}
	}
	return all
}

// kindOf finds the one key that names the kind of v, and refuses the keys that do not belong to the kind. A key of a
// kind that may stand beside another kind of v, as `delay` beside `disk`, names no kind.
func (b *builder) kindOf(v *value, keys []key) string {
	var found []*key
	all := kindNames(keys)
	for _, name := range all {
		if v.has(name) {
			found = append(found, keyNamed(keys, name))
		}
	}
	found = slices.DeleteFunc(slices.Clone(found), func(one *key) bool {
		return slices.ContainsFunc(found, func(other *key) bool { return slices.Contains(other.beside, one.name) })
	})
	switch {
	case len(found) == 0:
		if v.complete() {
			b.add(v.pos, "missing kind of the %s; expected one of %s", v.form.def, backquoted(all))
		}
		return ""
	case len(found) > 1:
		noun, _, _ := strings.Cut(v.form.doc, " such as ") // of "a fault such as …"
		b.add(v.keyPos(found[1].name), "%s has one kind, and this one has %s; expected one of them", noun,
			backquoted([]string{found[0].name, found[1].name}))
	}
	kind := found[0]
	for _, e := range v.keys {
		allowed := e.key == kind.name || slices.Contains(kind.beside, e.key) || v.form.mapping.key(e.key).always
		second := slices.Contains(all, e.key) && e.key != "delay" // reported above
		if !allowed && !second {
			expected := ""
			if !b.isFull() {
				expected = "one of " + backquoted(allowedBeside(keys, kind))
			}
			b.add(e.pos, "`%s` does not belong to `%s`; expected %s", e.key, kind.name, expected)
		}
	}
	return kind.name
}

// decode sets the fields of the keys from a section, which is nil if it was not written.
func (b *builder) decode(section *value, keys []key) {
	for i := range keys {
		switch k := &keys[i]; {
		case k.decode != nil:
			k.decode(b, section)
		case k.keys != nil:
			b.decode(section.child(k.name), k.keys)
		case k.into != nil:
			b.set(k, section)
		}
	}
}

// set sets the field of one key.
func (b *builder) set(k *key, section *value) {
	v := section.child(k.name)
	switch into := k.into.(type) {
	case *Nodes:
		*into = Nodes{Any: true}
		if section.has(k.name) {
			*into = b.roster.nodes(v)
		}
	case *[]Pattern:
		for _, e := range v.elements() {
			p := e.got.(Pattern)
			p.Pos = e.pos
			*into = append(*into, p)
		}
	case *[]string:
		for _, e := range v.elements() {
			*into = append(*into, e.text)
		}
	case *[]int:
		if k.is.names == namesPhones {
			*into = b.roster.selection(v)
			return
		}
		for _, e := range v.elements() {
			*into = append(*into, int(e.got.(uint64)))
		}
	default:
		if k.is.names == namesPhone && reflect.TypeOf(into).Elem().Kind() == reflect.Int {
			*into.(*int) = b.roster.phone(v)
			return
		}
		if v != nil && v.got != nil {
			assign(into, v.got)
		} else if k.def != "" {
			assign(into, k.parseDefault())
		}
	}
}

// assign sets the variable that into points to, which may be a pointer itself.
func assign(into, got any) {
	from, dst := reflect.ValueOf(got), reflect.ValueOf(into).Elem()
	if dst.Kind() == reflect.Pointer && !from.Type().AssignableTo(dst.Type()) {
		dst.Set(reflect.New(dst.Type().Elem()))
		dst = dst.Elem()
	}
	dst.Set(from.Convert(dst.Type()))
}

// isDefault reports whether the field holds the value that it has if the key is not written.
func (k *key) isDefault() bool {
	v := reflect.ValueOf(k.into).Elem()
	switch into := k.into.(type) {
	case *Nodes:
		return into.Any || into.IsEmpty()
	case *int:
		if k.is.names == namesPhone {
			return *into < 0
		}
	}
	switch {
	case k.def != "":
		def := reflect.New(v.Type())
		assign(def.Interface(), k.parseDefault())
		return reflect.DeepEqual(v.Interface(), def.Elem().Interface())
	case v.Kind() == reflect.Slice:
		return v.Len() == 0
	}
	return v.IsZero()
}

// encode returns the value of a key as YAML; nil if it is not written. path is the path of the key in the file.
func (w *writer) encode(k *key, path string) *yaml.Node {
	switch {
	case k.encode != nil:
		return k.encode(w)
	case k.keys != nil:
		if n := w.mapping(k.keys, path); len(n.Content) > 0 || w.isWritten(path) {
			return n
		}
		return nil
	case k.into == nil:
		return nil
	case k.when != nil && !k.when(w), k.when == nil && !k.required && k.isDefault() && !w.isWritten(path):
		return nil
	}
	switch into := k.into.(type) {
	case *Nodes:
		return w.nodes(*into)
	case *[]Pattern:
		return flowList(*into, func(p Pattern) *yaml.Node { return textNode(p.Text) })
	case *[]string:
		return flowList(*into, textNode)
	case *[]int:
		if k.is.names == namesPhones {
			return w.phones(*into)
		}
		return flowList(*into, func(n int) *yaml.Node { return plainNode(fmt.Sprint(n)) })
	case *int:
		if k.is.names == namesPhone {
			return w.phone(*into)
		}
	}
	v := reflect.ValueOf(k.into).Elem()
	if k.is.scalar.node != nil {
		return k.is.scalar.node(v.Interface())
	}
	return k.scalarNode(reflect.Indirect(v).Interface())
}

// scalarNode encodes the value of a scalar key in the form in which people write it.
func (k *key) scalarNode(v any) *yaml.Node {
	switch v := v.(type) {
	case bool:
		if words := k.is.scalar.enum; v && words != nil {
			return plainNode(words[1])
		} else if words != nil {
			return plainNode(words[0])
		}
	case time.Duration:
		return plainNode(durationText(v))
	case float64:
		if k.is.scalar.percent {
			return plainNode(percentText(v))
		}
		return plainNode(numberText(v))
	case WireTime:
		if v.Text != "" {
			return textNode(v.Text)
		}
		return plainNode(durationText(v.Offset))
	case fmt.Stringer:
		return plainNode(v.String())
	}
	if r := reflect.ValueOf(v); r.Kind() == reflect.String {
		return textNode(r.String())
	}
	return plainNode(fmt.Sprint(v))
}

// renumbering gives phones their new numbers after some of them were removed.
type renumbering struct {
	phones    []int           // the new number of each phone, or gone
	steps     []int           // likewise of the script's steps
	lost      map[string]bool // labels of removed steps
	noContact bool            // no two phones are in contact
}

const gone = -1

// renumber replaces the numbers of phones in the fields of the keys. It returns false if no phone is left of a field
// that named some.
func (n *renumbering) renumber(keys []key) bool {
	complete := true
	for i := range keys {
		k := &keys[i]
		switch into := k.into.(type) {
		case *Nodes:
			named := len(into.Phones) > 0
			into.Phones = n.left(into.Phones)
			complete = complete && (!named || into.Server || len(into.Phones) > 0)
		case *[]int:
			if k.is.names == namesPhones && len(*into) > 0 {
				*into = n.left(*into)
				complete = complete && len(*into) >= max(1, k.is.least)
			}
		case *int:
			if k.is.names == namesPhone && *into >= 0 {
				*into = n.phones[*into]
				complete = complete && *into != gone
			}
		}
		if k.renumber != nil {
			complete = k.renumber(n) && complete
		}
	}
	return complete
}

// left returns the new numbers of those of the phones that are not gone.
func (n *renumbering) left(phones []int) []int {
	var left []int
	for _, p := range phones {
		if p = n.phones[p]; p != gone {
			left = append(left, p)
		}
	}
	return left
}

// renumberAll returns copies of those sections whose phones are left.
func renumberAll[T any, P table[T]](n *renumbering, from []T) []T {
	var left []T
	for _, t := range from {
		if n.renumber(keysOf[T, P](&t)) {
			left = append(left, t)
		}
	}
	return left
}
