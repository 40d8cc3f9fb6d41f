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
	scheduler *scheduler
	emit      *emitter
	clocks    *clocks
	faults    *faults
	states    *nodeStates
	host      *phoneHost

	server *files.Memory         // nil if it is not stored
	phones []phoneFolder         // nil if no phone has a disk
	stored []nodes.StoredContact // buffer for LogWritten
}

// saveInterval is the shortest time between two writes of a contact log, as in
// nodes/socket.
const saveInterval = time.Second

// contactLogName is the file name of a phone's contact log.
const contactLogName = "z5272202_contactlog.txt"

// phoneFolder saves a phone's contact log on its disk: at once if the last write began
// at least saveInterval ago, else saveInterval after the beginning of that write.
type phoneFolder struct {
	memory   *files.Memory // nil if the phone has no disk
	log      *files.ContactLog
	received []nodes.StoredContact // not yet passed to log
	taken    []nodes.StoredContact // taken by a write that takes time
	copied   nodes.ContactLog      // contact log of that write
	changed  bool                  // the log has changed since the last write began
	written  bool                  // a write has begun, the last one at began
	writing  bool
	armed    bool // a save is scheduled
	failed   bool // the last write failed
	began    int64
	life     uint32 // number of times that the log was opened
}

// openPhones opens the contact logs of the phones that have a disk.
func (d *disks) openPhones(phones []PhoneConfig) error {
	for i := range phones {
		phone := uint32(i)
		if phones[i].Folder == nil {
			continue
		}
		if d.phones == nil {
			d.phones = make([]phoneFolder, len(phones))
		}
		d.phones[i].memory = phones[i].Folder
		if err := d.openLog(phone); err != nil {
			return fmt.Errorf("starting %s: %w", phones[i].Name, err)
		}
		if stored := d.phones[i].log.Stored(); len(stored) > 0 {
			p := &d.host.phones[i]
			p.machine.Restore(d.clocks.read(phone), stored)
			d.host.arm(phone, p)
		}
	}
	return nil
}

// folder returns a phone's folder, or nil if it has no disk.
func (d *disks) folder(phone uint32) *phoneFolder {
	if d.phones == nil || d.phones[phone].memory == nil {
		return nil
	}
	return &d.phones[phone]
}

// openLog reads a phone's contact log from its disk.
func (d *disks) openLog(phone uint32) error {
	f := &d.phones[phone]
	f.memory.Kill() // no program has its files open any more
	f.memory.SetTime(d.clocks.read(phone).Wall)
	log, err := files.OpenContactLog(f.memory, contactLogName)
	if err != nil {
		return err
	}
	*f = phoneFolder{memory: f.memory, log: log, life: f.life + 1}
	return nil
}

// addBeacon passes a valid beacon to the phone's disk.
func (d *disks) addBeacon(phone uint32, e *nodes.PhoneEffect) {
	f := d.folder(phone)
	if f == nil || e.Err != nil {
		return
	}
	f.received = append(f.received, e.Contact())
	f.changed = true
}

// setChanged notes that a phone's contact log differs from its disk.
func (d *disks) setChanged(phone uint32) { d.phones[phone].changed = true }

// saveWhenDue saves a contact log that has changed, now or later.
func (d *disks) saveWhenDue(phone uint32) {
	f := d.folder(phone)
	if f == nil || !f.changed || f.writing || f.armed {
		return
	}
	if due := f.began + int64(saveInterval); f.written && d.scheduler.now < due {
		f.armed = true
		life := f.life
		d.scheduler.call(due, func() { d.saveScheduled(phone, life) })
		return
	}
	d.startSaving(phone)
}

// saveScheduled executes a scheduled save, unless the log was opened anew since.
func (d *disks) saveScheduled(phone, life uint32) {
	f := &d.phones[phone]
	if f.life != life || d.faults.begun && d.states.deferred(phone, func() { d.saveScheduled(phone, life) }) {
		return
	}
	f.armed = false
	d.saveWhenDue(phone)
}

// startSaving begins a write of the contact log as it is now. A slow disk ends it
// later.
func (d *disks) startSaving(phone uint32) {
	f := &d.phones[phone]
	f.written, f.changed, f.began = true, false, d.scheduler.now
	log := d.host.phones[phone].machine.Log()
	delay := d.delay(phone)
	if delay == 0 {
		d.saved(phone, d.write(phone, log))
		return
	}
	f.takeLog(log)
	life := f.life
	d.scheduler.call(d.scheduler.now+delay, func() { d.endSaving(phone, life) })
}

// takeLog copies the contact log for a write that takes time.
func (f *phoneFolder) takeLog(log *nodes.ContactLog) {
	f.writing = true
	f.copied.CopyFrom(log)
	f.taken, f.received = f.received, nil
}

// endSaving executes the write that takeLog prepared, unless the program has stopped.
func (d *disks) endSaving(phone, life uint32) {
	f := &d.phones[phone]
	if f.life != life || d.states.of(phone).off || d.states.deferred(phone, func() { d.endSaving(phone, life) }) {
		return
	}
	d.saved(phone, d.writeTaken(phone))
}

func (d *disks) writeTaken(phone uint32) error {
	f := &d.phones[phone]
	after := f.received
	f.received = f.taken
	err := d.write(phone, &f.copied)
	f.received, f.taken, f.writing = append(f.received, after...), nil, false
	return err
}

// write brings a phone's files to the state of log.
func (d *disks) write(phone uint32, log *nodes.ContactLog) error {
	f := &d.phones[phone]
	f.memory.SetTime(d.clocks.read(phone).Wall)
	d.beginWriting(phone)
	for i := range f.received {
		f.log.Add(f.received[i])
	}
	f.received = f.received[:0]
	err := f.log.Write(log)
	if err == nil {
		d.stored = f.log.AppendStored(d.stored[:0])
		e := d.emit.Next(event.LogWritten, phone, event.NoPeer)
		e.Stored = d.stored
		d.emit.Stream.Emit(e)
	}
	return err
}

// saved handles the end of a write. The phone prints the first failure, and the
// first success after a failure.
func (d *disks) saved(phone uint32, err error) {
	f := &d.phones[phone]
	switch {
	case err != nil && !f.failed:
		d.host.print(phone, fmt.Sprintf("the contact log is not saved: %v; it is tried again every second", err))
	case err == nil && f.failed:
		d.host.print(phone, "the contact log is saved again")
	}
	if err != nil {
		d.writeFailed(phone, err)
	}
	f.failed = err != nil
	f.changed = f.changed || f.failed
	d.saveWhenDue(phone)
	d.printNotes(phone)
}

// saveNow saves the contact log of a program that ends.
func (d *disks) saveNow(phone uint32) {
	f := d.folder(phone)
	if f == nil {
		return
	}
	if f.writing {
		f.received = append(f.taken, f.received...)
		f.writing = false
	}
	if err := d.write(phone, d.host.phones[phone].machine.Log()); err != nil {
		d.host.print(phone, fmt.Sprintf("saving the contact log: %v", err))
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
	for _, note := range d.phones[phone].log.Notes() {
		d.emit.fileRepaired(phone, note)
		d.host.print(phone, note.Text)
	}
}

// memory returns the disk of a node, or nil.
func (d *disks) memory(node event.Node) *files.Memory {
	switch {
	case node == event.Server:
		return d.server
	case d.phones != nil:
		return d.phones[node].memory
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
	if f.changed && !f.writing && d.faults.stream(r, phone).Uint64()%2 == 0 {
		f.takeLog(d.host.phones[phone].machine.Log()) // the crash happens during the next write
	}
	var write func()
	if f.writing {
		write = func() { _ = d.writeTaken(phone) } // no program is left to handle its error
	}
	return d.crash(r, phone, write)
}

// phoneHolds returns the sizes of a phone's files. It returns false if they do not hold
// the contact log in its present state.
func (d *disks) phoneHolds(phone uint32) (world.PhoneHolds, bool) {
	f := d.folder(phone)
	if f == nil || !f.written || f.changed || f.writing || f.failed || d.faults.begun && d.states.of(phone).off {
		return world.PhoneHolds{}, false
	}
	return world.PhoneHolds{
		Entries: len(f.log.Stored()),
		LogFile: f.memory.Size(contactLogName),
		Journal: f.memory.Size(contactLogName + ".journal"),
	}, true
}
