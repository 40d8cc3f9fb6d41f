package virtual

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"bluetrace/nodes"
	"bluetrace/nodes/files"
	"bluetrace/scenarios/fault"
	"bluetrace/sim/event"
	"bluetrace/sim/world"
)

// disks holds the disks of the nodes. It saves the phones' contact logs and applies
// disk faults.
type disks struct {
	parts

	server  *files.Memory         // nil if it is not stored
	folders []phoneFolder         // of the phones; nil if no phone has a disk
	stored  []nodes.StoredContact // buffer for LogWritten
}

// contactLogName is the file name of a phone's contact log.
const contactLogName = "z5272202_contactlog.txt"

// phoneFolder saves a phone's contact log on its disk.
type phoneFolder struct {
	memory *files.Memory // nil if the phone has no disk
	log    *files.ContactLog
	saver  files.Saver
	armed  bool   // a save is scheduled
	life   uint32 // number of times that the log was opened
}

// openPhones opens the contact logs of the phones that have a disk.
func (d *disks) openPhones(phones []PhoneConfig) error {
	for i := range phones {
		phone := uint32(i)
		if phones[i].Folder == nil {
			continue
		}
		if d.folders == nil {
			d.folders = make([]phoneFolder, len(phones))
		}
		d.folders[i].memory = phones[i].Folder
		if err := d.openLog(phone); err != nil {
			return fmt.Errorf("starting %s: %w", phones[i].Name, err)
		}
		if stored := d.folders[i].log.Stored(); len(stored) > 0 {
			p := &d.phones.phones[i]
			p.machine.Restore(d.clocks.read(phone), stored)
			d.phones.arm(phone, p)
		}
	}
	return nil
}

// folder returns a phone's folder, or nil if it has no disk.
func (d *disks) folder(phone uint32) *phoneFolder {
	if d.folders == nil || d.folders[phone].memory == nil {
		return nil
	}
	return &d.folders[phone]
}

// openLog reads a phone's contact log from its disk.
func (d *disks) openLog(phone uint32) error {
	f := &d.folders[phone]
	f.memory.Kill() // no program has its files open any more
	f.memory.SetTime(d.clocks.read(phone).Wall)
	log, err := files.OpenContactLog(f.memory, contactLogName)
	if err != nil {
		return err
	}
	*f = phoneFolder{memory: f.memory, log: log, saver: files.Saver{File: log}, life: f.life + 1}
	return nil
}

// addBeacon passes a valid beacon to the phone's disk.
func (d *disks) addBeacon(phone uint32, e *nodes.PhoneEffect) {
	if f := d.folder(phone); f != nil && e.Err == nil {
		f.saver.Add(e.Contact())
	}
}

// setChanged notes that a phone's contact log differs from its disk.
func (d *disks) setChanged(phone uint32) { d.folders[phone].saver.SetChanged() }

// saveWhenDue saves a contact log that has changed, now or later. A slow disk ends the write
// later.
func (d *disks) saveWhenDue(phone uint32) {
	f := d.folder(phone)
	if f == nil || f.armed {
		return
	}
	now, life := time.Duration(d.scheduler.now), f.life
	at, changed := f.saver.Due(now)
	if !changed {
		return
	}
	if at > now {
		f.armed = true
		d.scheduler.call(int64(at), func() { d.saveScheduled(phone, life) })
		return
	}
	f.saver.Begin(now, d.phones.phones[phone].machine.Log())
	if delay := d.delay(phone); delay > 0 {
		d.scheduler.call(d.scheduler.now+delay, func() { d.endSaving(phone, life) })
		return
	}
	d.saved(phone, d.write(phone))
}

// saveScheduled executes a scheduled save, unless the log was opened anew since.
func (d *disks) saveScheduled(phone, life uint32) {
	f := &d.folders[phone]
	if f.life != life || d.faults.begun && d.states.deferred(phone, func() { d.saveScheduled(phone, life) }) {
		return
	}
	f.armed = false
	d.saveWhenDue(phone)
}

// endSaving executes a write that a slow disk delayed, unless the program has stopped.
func (d *disks) endSaving(phone, life uint32) {
	f := &d.folders[phone]
	if f.life != life || d.states.of(phone).off || d.states.deferred(phone, func() { d.endSaving(phone, life) }) {
		return
	}
	d.saved(phone, d.write(phone))
}

// write executes the write of a phone's contact log that has begun.
func (d *disks) write(phone uint32) error {
	f := &d.folders[phone]
	f.memory.SetTime(d.clocks.read(phone).Wall)
	d.beginWriting(phone)
	err := f.saver.Write()
	if err == nil {
		d.stored = f.log.AppendStored(d.stored[:0])
		e := d.emit.Next(event.LogWritten, phone, event.NoPeer)
		e.Stored = d.stored
		d.emit.Stream.Emit(e)
	}
	return err
}

// saved handles the end of a write.
func (d *disks) saved(phone uint32, err error) {
	if message := d.folders[phone].saver.End(err); message != "" {
		d.phones.print(phone, message)
	}
	if err != nil {
		d.writeFailed(phone, err)
	}
	d.saveWhenDue(phone)
	d.printNotes(phone)
}

// saveNow saves the contact log of a program that ends.
func (d *disks) saveNow(phone uint32) {
	f := d.folder(phone)
	if f == nil {
		return
	}
	f.saver.Begin(time.Duration(d.scheduler.now), d.phones.phones[phone].machine.Log())
	if err := d.write(phone); err != nil {
		d.phones.print(phone, fmt.Sprintf("saving the contact log: %v", err))
		d.writeFailed(phone, err)
	}
}

// kill ends the program's use of a phone's disk.
func (d *disks) kill(phone uint32) {
	if f := d.folder(phone); f != nil {
		f.memory.Kill()
	}
}

// printNotes prints the defects that the program found in its files.
func (d *disks) printNotes(phone uint32) {
	for _, note := range d.folders[phone].log.Notes() {
		d.emit.fileRepaired(phone, note)
		d.phones.print(phone, note.Text)
	}
}

// memory returns the disk of a node, or nil.
func (d *disks) memory(node event.Node) *files.Memory {
	switch {
	case node == event.Server:
		return d.server
	case d.folders != nil:
		return d.folders[node].memory
	}
	return nil
}

// errIO is the error of a disk that fails.
var errIO = errors.New("input/output error")

// rules returns the faults in force of a node's disk that are of the given kinds.
func (d *disks) rules(node event.Node, kinds ...string) []*rule {
	var found []*rule
	for _, r := range d.faults.rules {
		if r.Kind == fault.Disk && r.Of.Has(node) && slices.Contains(kinds, r.Disk) {
			found = append(found, r)
		}
	}
	return found
}

// applyFaults applies the faults in force to a node's disk, and ends all others.
func (d *disks) applyFaults(node event.Node) {
	m := d.memory(node)
	if m == nil {
		return
	}
	if len(d.rules(node, "full")) == 0 {
		m.SetFreeSpace(-1)
	}
	if len(d.rules(node, "failing", "fsync")) == 0 {
		m.SetFault(nil)
		return
	}
	m.SetFault(func(o files.Operation) error { return d.fail(node, o) })
}

// fail returns the error with which a fault fails an operation of a node's disk, or nil.
func (d *disks) fail(node event.Node, o files.Operation) error {
	var kind string
	switch o.Verb {
	case files.VerbWrite, files.VerbCreate, files.VerbAppend, files.VerbRename, files.VerbTruncate:
		kind = "failing"
	case files.VerbSync, files.VerbSyncNames:
		kind = "fsync"
	default:
		return nil
	}
	for _, r := range d.rules(node, kind) {
		if !d.faults.happens(r, node) {
			continue
		}
		d.faults.applied(r, node, event.NoPeer, 0, 0, fmt.Sprintf("the disk of %s fails: %v", d.faults.name(node), o))
		if src := d.faults.stream(r, node); o.Verb == files.VerbWrite && o.Bytes > 0 && src.Uint64()%2 == 0 {
			return files.ShortWrite{Bytes: int(src.Uint64() % uint64(o.Bytes))}
		}
		return errIO
	}
	return nil
}

// beginWriting decides whether a node's disk is full for its next write.
func (d *disks) beginWriting(node event.Node) {
	m, full := d.memory(node), d.rules(node, "full")
	if m == nil || len(full) == 0 {
		return
	}
	m.SetFreeSpace(-1)
	if slices.ContainsFunc(full, func(r *rule) bool { return d.faults.happens(r, node) }) {
		m.SetFreeSpace(0)
	}
}

// writeFailed emits the effect of a fault that made a disk full, if that is the error.
func (d *disks) writeFailed(node event.Node, err error) {
	full := d.rules(node, "full")
	if len(full) > 0 && errors.Is(err, files.ErrNoSpace) {
		text := fmt.Sprintf("the disk of %s is full: %v", d.faults.name(node), err)
		d.faults.applied(full[0], node, event.NoPeer, 0, 0, text)
	}
}

// delay returns the time in nanoseconds that faults add to a write of a node.
func (d *disks) delay(node event.Node) int64 {
	for _, r := range d.rules(node, "slow") {
		if d.faults.happens(r, node) {
			delay := d.faults.draw(r, node)
			text := fmt.Sprintf("the disk of %s takes %s longer", d.faults.name(node), durationText(delay))
			d.faults.applied(r, node, event.NoPeer, 0, delay, text)
			return delay
		}
	}
	return 0
}

// A crash during a write happens before one of its first crashOperations operations. No
// write of a file has more. Half of these crashes happen before one of the first
// earlyOperations, when appended bytes are written but not synced.
const (
	crashOperations = 12
	earlyOperations = 4
)

// crash stops a node's disk, in the middle of the given write if it is not nil. The
// disk keeps the part of its unsynced changes that the fault names. crash returns
// the size of that part in bytes.
func (d *disks) crash(r *rule, node event.Node, write func()) (left int64) {
	m, src := d.memory(node), d.faults.stream(r, node)
	if write != nil {
		operations := uint64(crashOperations)
		if src.Uint64()%2 == 0 {
			operations = earlyOperations
		}
		m.StopBefore(1 + int(src.Uint64()%operations))
		write()
	}
	kept := files.PartialSync{}
	switch r.Unsynced {
	case "kept":
		kept.Names, _ = m.Unsynced("")
		kept.Bytes = func(_ string, unsynced int) int {
			left += int64(unsynced)
			return unsynced
		}
	case "torn":
		names, _ := m.Unsynced("")
		kept.Names = int(src.Uint64() % uint64(names+1))
		kept.Zeros = src.Uint64()%4 == 0
		kept.Bytes = func(_ string, unsynced int) int {
			n := int(src.Uint64() % uint64(unsynced+1))
			left += int64(n)
			return n
		}
	}
	m.CrashKeeping(kept)
	return left
}

// crashPhone is crash for a phone's disk, if it has one.
func (d *disks) crashPhone(r *rule, phone uint32) (left int64) {
	f := d.folder(phone)
	if f == nil {
		return 0
	}
	now := time.Duration(d.scheduler.now)
	if _, due := f.saver.Due(now); due && d.faults.stream(r, phone).Uint64()%2 == 0 {
		f.saver.Begin(now, d.phones.phones[phone].machine.Log()) // the crash happens during the next write
	}
	var write func()
	if f.saver.Writing() {
		write = func() { _ = d.write(phone) } // no program is left to handle its error
	}
	return d.crash(r, phone, write)
}

// phoneHolds returns the sizes of a phone's files. It returns false if they do not hold
// the contact log in its present state.
func (d *disks) phoneHolds(phone uint32) (world.PhoneHolds, bool) {
	f := d.folder(phone)
	if f == nil || !f.saver.IsSaved() || d.faults.begun && d.states.of(phone).off {
		return world.PhoneHolds{}, false
	}
	return world.PhoneHolds{
		Entries: len(f.log.Stored()),
		LogFile: f.memory.Size(contactLogName),
		Journal: f.memory.Size(contactLogName + ".journal"),
	}, true
}
