package files

import (
	"fmt"
	"strconv"
)

// Operation is one thing that a Memory is asked to do.
type Operation struct {
	Verb  Verb
	Name  string // of the file; the old one of a rename; empty for VerbSyncNames
	Bytes int    // of a read or write; the size of a truncation
}

func (o Operation) String() string {
	switch o.Verb {
	case VerbRead, VerbWrite, VerbTruncate:
		return fmt.Sprintf("%v %q (%d bytes)", o.Verb, o.Name, o.Bytes)
	case VerbSyncNames:
		return o.Verb.String()
	}
	return fmt.Sprintf("%v %q", o.Verb, o.Name)
}

// Verb is what an Operation does.
type Verb uint8

// The verbs.
const (
	VerbStat Verb = iota
	VerbOpen
	VerbAppend
	VerbCreate
	VerbRename
	VerbRemove
	VerbSyncNames
	VerbLock
	VerbRead
	VerbWrite
	VerbTruncate
	VerbSync
	VerbClose
)

func (v Verb) String() string {
	names := [...]string{"stat", "open", "append to", "create", "rename", "remove", "sync names", "lock", "read", "write", "truncate", "sync", "close"}
	if int(v) >= len(names) {
		return "verb " + strconv.Itoa(int(v))
	}
	return names[v]
}

// ShortWrite is the fault of a write that writes only its first Bytes.
type ShortWrite struct{ Bytes int }

func (s ShortWrite) Error() string { return fmt.Sprintf("only %d bytes were written", s.Bytes) }
