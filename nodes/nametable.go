package nodes

import (
	"container/list"
	"iter"
)

// UnknownNameBytes is the memory in bytes that a blocked name without an account takes
// at most, in a server and in the table of its file together.
const UnknownNameBytes = 400

// NameTable holds a value for each name without an account, by the keyed hash of the
// name. It has two groups, of blocked names and of others (PROTOCOL.md section 2). Each
// group has a limit, beyond which its oldest name is removed.
type NameTable[V any] struct {
	limits map[bool]int // of blocked names, and of others
	names  map[[16]byte]*list.Element
	groups map[bool]*list.List // of *namedValue[V], the oldest first
}

type namedValue[V any] struct {
	value   V
	hash    [16]byte
	blocked bool
}

// NewNameTable returns an empty table for at most this many blocked names and others.
func NewNameTable[V any](blocked, others int) NameTable[V] {
	return NameTable[V]{
		limits: map[bool]int{true: blocked, false: others},
		names:  map[[16]byte]*list.Element{},
		groups: map[bool]*list.List{true: list.New(), false: list.New()},
	}
}

func (t *NameTable[V]) at(e *list.Element) *namedValue[V] { return e.Value.(*namedValue[V]) }

// Get returns the value of a name, or nil if the table does not hold it.
func (t *NameTable[V]) Get(hash [16]byte) *V {
	if e := t.names[hash]; e != nil {
		return &t.at(e).value
	}
	return nil
}

// Put returns the value of a name, which it adds if the table does not hold it. A name
// that was not in this group becomes the newest of it. removed reports whether another
// name of the group was removed for it.
func (t *NameTable[V]) Put(hash [16]byte, blocked bool) (value *V, removed bool) {
	n := &namedValue[V]{hash: hash}
	if e := t.names[hash]; e != nil {
		if n = t.at(e); n.blocked == blocked {
			return &n.value, false
		}
		t.Remove(hash)
	}
	group := t.groups[blocked]
	if removed = group.Len() >= t.limits[blocked]; removed {
		t.Remove(t.at(group.Front()).hash)
	}
	n.blocked = blocked
	t.names[hash] = group.PushBack(n)
	return &n.value, removed
}

// Remove removes a name, if the table holds it.
func (t *NameTable[V]) Remove(hash [16]byte) {
	if e := t.names[hash]; e != nil {
		t.groups[t.at(e).blocked].Remove(e)
		delete(t.names, hash)
	}
}

// RemoveEnded removes the oldest blocked names for as long as ended is true for their
// value.
func (t *NameTable[V]) RemoveEnded(ended func(*V) bool) {
	for e := t.groups[true].Front(); e != nil && ended(&t.at(e).value); e = t.groups[true].Front() {
		t.Remove(t.at(e).hash)
	}
}

// Len returns the number of names of a group.
func (t *NameTable[V]) Len(blocked bool) int { return t.groups[blocked].Len() }

// All yields the names with their values: the names that are not blocked, then the
// blocked ones, the oldest of each first.
func (t *NameTable[V]) All() iter.Seq2[[16]byte, *V] {
	return func(yield func([16]byte, *V) bool) {
		for _, blocked := range []bool{false, true} {
			for e := t.groups[blocked].Front(); e != nil; e = e.Next() {
				if !yield(t.at(e).hash, &t.at(e).value) {
					return
				}
			}
		}
	}
}
