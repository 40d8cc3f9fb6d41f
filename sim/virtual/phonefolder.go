package virtual

import (
	"fmt"
	"time"

	"bluetrace/nodes"
	"bluetrace/nodes/files"
	"bluetrace/protocol"
)

// saveEvery is the shortest time between two writes of a contact log, as in
// nodes/socket.
const saveEvery = time.Second

// contactLogName is what a phone calls its log.
const contactLogName = "z5272202_contactlog.txt"

// phoneFolder brings a phone's contact log to its disk: at once when the last
// write is a second old, else a second after it.
type phoneFolder struct {
	memory   *files.Memory // nil: the phone has no disk
	log      *files.ContactLog
	received []nodes.StoredContact // not yet with log
	taken    []nodes.StoredContact // with a write that takes its time
	copied   nodes.ContactLog      // the log as that write takes it
	changed  bool                  // since the last write began
	written  bool                  // at least once, the last time begun at began
	writing  bool
	armed    bool
	failed   bool // the last write
	began    int64
	life     uint32 // counts what opened the log
}

// openPhoneFolders opens the logs of the phones that have a folder.
func (w *World) openPhoneFolders(phones []PhoneConfig) error {
	for who := range phones {
		m := phones[who].Folder
		if m == nil {
			continue
		}
		if w.folders == nil {
			w.folders = make([]phoneFolder, len(w.phones))
		}
		w.folders[who].memory = m
		if err := w.openLog(uint32(who)); err != nil {
			return fmt.Errorf("starting %s: %w", w.names[who], err)
		}
		if kept := w.folders[who].log.Stored(); len(kept) > 0 {
			w.phones[who].machine.Restore(w.time(uint32(who)), kept)
			w.armPhone(uint32(who), &w.phones[who])
		}
	}
	return nil
}

// folder is a phone's; nil: it has none.
func (w *World) folder(who uint32) *phoneFolder {
	if w.folders == nil || w.folders[who].memory == nil {
		return nil
	}
	return &w.folders[who]
}

// openLog reads a phone's log from its disk.
func (w *World) openLog(who uint32) error {
	f := &w.folders[who]
	f.memory.Kill() // whoever had it is gone
	f.memory.SetTime(w.time(who).Wall)
	log, err := files.OpenContactLog(f.memory, contactLogName)
	if err != nil {
		return err
	}
	*f = phoneFolder{memory: f.memory, log: log, life: f.life + 1}
	return nil
}

// keepBeacon remembers a valid beacon for the disk.
func (w *World) keepBeacon(who uint32, e *nodes.PhoneEffect) {
	f := w.folder(who)
	if f == nil || e.Err != nil {
		return
	}
	raw := e.Raw
	raw[protocol.BeaconSize-1] = protocol.Version // the fourth part may never have come
	b, err := protocol.DecodeBeacon(raw[:])
	if err != nil {
		panic(fmt.Sprintf("virtual: a valid beacon %q: %v", e.Raw, err))
	}
	f.received = append(f.received, nodes.StoredContact{TempID: b.TempID, Start: b.Start, Expiry: b.Expiry, Received: e.At.Wall})
	f.changed = true
}

// saveWhenDue brings a log that has changed to the disk, now or later.
func (w *World) saveWhenDue(who uint32) {
	f := w.folder(who)
	if f == nil || !f.changed || f.writing || f.armed {
		return
	}
	if due := f.began + int64(saveEvery); f.written && w.now < due {
		f.armed = true
		w.saveAt(who, due)
		return
	}
	w.startSaving(who)
}

// saveAt looks again at the given time.
func (w *World) saveAt(who uint32, at int64) {
	life := w.folders[who].life
	w.Call(time.Duration(at), func() { w.saveAgain(who, life) })
}

func (w *World) saveAgain(who, life uint32) {
	f := &w.folders[who]
	if f.life != life || w.faults != nil && w.holds(who, func() { w.saveAgain(who, life) }) {
		return
	}
	f.armed = false
	w.saveWhenDue(who)
}

// startSaving takes the log as it is.
func (w *World) startSaving(who uint32) {
	f := &w.folders[who]
	f.written, f.changed, f.began = true, false, w.now
	takes := int64(0)
	if w.faults != nil {
		takes = w.diskSlowed(who)
	}
	if takes == 0 {
		w.saved(who, f.write(w, who, w.phones[who].machine.Log()))
		return
	}
	f.take(w.phones[who].machine.Log())
	life := f.life
	w.later(takes, func() { w.endSaving(who, life) })
}

// take copies what a write that takes its time brings to the disk.
func (f *phoneFolder) take(log *nodes.ContactLog) {
	f.writing = true
	f.copied.CopyFrom(log)
	f.taken, f.received = f.received, nil
}

// endSaving writes what took its time.
func (w *World) endSaving(who, life uint32) {
	f := &w.folders[who]
	if f.life != life || w.faults.node(who).off || w.holds(who, func() { w.endSaving(who, life) }) {
		return
	}
	w.saved(who, f.writeTaken(w, who))
}

func (f *phoneFolder) writeTaken(w *World, who uint32) error {
	after := f.received
	f.received = f.taken
	err := f.write(w, who, &f.copied)
	f.received, f.taken, f.writing = append(f.received, after...), nil, false
	return err
}

// write brings the files to the state of log.
func (f *phoneFolder) write(w *World, who uint32, log *nodes.ContactLog) error {
	f.memory.SetTime(w.time(who).Wall)
	if w.faults != nil {
		w.beginWriting(who)
	}
	for i := range f.received {
		f.log.Add(f.received[i])
	}
	f.received = f.received[:0]
	err := f.log.Write(log)
	if err == nil {
		w.written = f.log.AppendStored(w.written[:0])
		w.emit.logWritten(who, w.written)
	}
	return err
}

// saved tells once when the disk fails, and once when it takes the log again.
func (w *World) saved(who uint32, err error) {
	f := &w.folders[who]
	switch {
	case err != nil && !f.failed:
		w.phonePrints(who, fmt.Sprintf("the contact log is not saved: %v; it is tried again every second", err))
	case err == nil && f.failed:
		w.phonePrints(who, "the contact log is saved again")
	}
	if err != nil {
		w.writeFailed(who, err)
	}
	f.failed = err != nil
	f.changed = f.changed || f.failed
	w.saveWhenDue(who)
	w.printPhoneNotes(who)
}

// saveNow writes the log of a program that ends.
func (w *World) saveNow(who uint32) {
	f := w.folder(who)
	if f == nil {
		return
	}
	if f.writing {
		f.received = append(f.taken, f.received...)
		f.writing = false
	}
	if err := f.write(w, who, w.phones[who].machine.Log()); err != nil {
		w.phonePrints(who, fmt.Sprintf("saving the contact log: %v", err))
		w.writeFailed(who, err)
	}
}

// writeUnderWay is the write of a log in which a crash comes; nil: there is none.
func (f *phoneFolder) writeUnderWay(w *World, who uint32) func() {
	if !f.writing {
		return nil
	}
	return func() { _ = f.writeTaken(w, who) } // nobody is left to hear of it
}

func (w *World) phonePrints(who uint32, text string) {
	w.phoneAct(who, &nodes.PhoneEffect{Kind: nodes.PhonePrint, Text: text})
}

// printPhoneNotes has the program print what it found amiss in its files.
func (w *World) printPhoneNotes(who uint32) {
	for _, n := range w.folders[who].log.Notes() {
		w.phonePrints(who, n)
	}
}
