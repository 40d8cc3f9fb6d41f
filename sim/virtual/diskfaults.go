package virtual

import (
	"errors"
	"fmt"

	"bluetrace/nodes/files"
	"bluetrace/sim/world"
)

// errDisk is what a disk says that fails.
var errDisk = errors.New("input/output error")

// memoryOf is where a node keeps its files; nil: nowhere.
func (w *World) memoryOf(who uint32) *files.Memory {
	switch {
	case who == nobody:
		return w.host.memory
	case w.folders != nil:
		return w.folders[who].memory
	}
	return nil
}

// diskRules are the faults in force of a node's disk.
func (w *World) diskRules(who uint32, kinds ...string) []*rule {
	if w.faults == nil {
		return nil
	}
	var some []*rule
	for _, r := range w.faults.rules {
		if r.Kind != world.DiskFault || !r.Of.Has(who) {
			continue
		}
		for _, k := range kinds {
			if r.Disk == k {
				some = append(some, r)
			}
		}
	}
	return some
}

// troubleDisk lets the faults in force happen to a node's disk, and no others.
func (w *World) troubleDisk(who uint32) {
	m := w.memoryOf(who)
	if m == nil {
		return
	}
	if len(w.diskRules(who, "full")) == 0 {
		m.SetFreeSpace(-1)
	}
	if len(w.diskRules(who, "failing", "fsync")) == 0 {
		m.SetFault(nil)
		return
	}
	m.SetFault(func(o files.Operation) error { return w.diskFails(who, o) })
}

// diskFails is asked before every operation of a node's disk.
func (w *World) diskFails(who uint32, o files.Operation) error {
	var of string
	switch o.Verb {
	case files.VerbWrite, files.VerbCreate, files.VerbAppend, files.VerbRename, files.VerbTruncate:
		of = "failing"
	case files.VerbSync, files.VerbSyncNames:
		of = "fsync"
	default:
		return nil
	}
	for _, r := range w.diskRules(who, of) {
		if !w.happens(r, who) {
			continue
		}
		w.did(r, who, nobody, 0, 0, fmt.Sprintf("the disk of %s fails: %v", w.nameOf(who), o))
		if src := w.streamOf(r, who); o.Verb == files.VerbWrite && o.Bytes > 0 && src.Uint64()%2 == 0 {
			return files.ShortWrite{Bytes: int(src.Uint64() % uint64(o.Bytes))}
		}
		return errDisk
	}
	return nil
}

// beginWriting decides whether the disk of a node is full for what it writes
// next.
func (w *World) beginWriting(who uint32) {
	m := w.memoryOf(who)
	if m == nil {
		return
	}
	full := w.diskRules(who, "full")
	if len(full) == 0 {
		return
	}
	m.SetFreeSpace(-1)
	for _, r := range full {
		if w.happens(r, who) {
			m.SetFreeSpace(0)
			return
		}
	}
}

// writeFailed says that the disk was full, if that is what it was.
func (w *World) writeFailed(who uint32, err error) {
	full := w.diskRules(who, "full")
	if len(full) > 0 && errors.Is(err, files.ErrNoSpace) {
		w.did(full[0], who, nobody, 0, 0, fmt.Sprintf("the disk of %s is full: %v", w.nameOf(who), err))
	}
}

// diskSlowed is by how much longer what a node writes takes.
func (w *World) diskSlowed(who uint32) int64 {
	for _, r := range w.diskRules(who, "slow") {
		if w.happens(r, who) {
			later := r.drawn(w.streamOf(r, who))
			w.did(r, who, nobody, 0, later, fmt.Sprintf("the disk of %s takes %s longer", w.nameOf(who), seconds(later)))
			return later
		}
	}
	return 0
}

// Of mostOperations of a write that is under way in a crash some are done: of a
// write of either file there are no more. Half of the crashes come within the first
// of them, where what is appended is written and not synced.
const (
	mostOperations  = 12
	firstOperations = 4
)

// crashDisk stops the machine of a node in the middle of a write, if there is
// one under way, and leaves of what was not synced what the fault says. It
// answers with how many bytes that is.
func (w *World) crashDisk(r *rule, who uint32, m *files.Memory, write func()) (left int64) {
	src := w.streamOf(r, who)
	if write != nil {
		of := uint64(mostOperations)
		if src.Uint64()%2 == 0 {
			of = firstOperations
		}
		m.StopBefore(1 + int(src.Uint64()%of))
		write()
	}
	l := files.PartialSync{}
	switch r.Unsynced {
	case "kept":
		names, _ := m.Unsynced("")
		l.Names = names
		l.Bytes = func(_ string, unsynced int) int {
			left += int64(unsynced)
			return unsynced
		}
	case "torn":
		names, _ := m.Unsynced("")
		l.Names = int(src.Uint64() % uint64(names+1))
		l.Zeros = src.Uint64()%4 == 0
		l.Bytes = func(_ string, unsynced int) int {
			n := int(src.Uint64() % uint64(unsynced+1))
			left += int64(n)
			return n
		}
	}
	m.CrashKeeping(l)
	return left
}
