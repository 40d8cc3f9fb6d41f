package virtual

import (
	"fmt"

	"bluetrace/nodes"
	"bluetrace/sim/event"
)

// crash stops a node without notice: its memory is lost, and of its disk what was
// not synced, as the fault says.
func (w *World) crash(r *rule, who uint32) {
	n := w.faults.node(who)
	n.stopped++
	left := int64(0)
	switch {
	case who == nobody && w.host.memory == nil:
		panic("virtual: a crash of the server in a world that was built without a Folder")
	case who == nobody && w.host.machine != nil:
		left = w.crashDisk(r, who, w.host.memory, w.storeUnderWay())
		w.killServer()
	case who != nobody && !n.off:
		if f := w.folder(who); f != nil {
			if f.changed && !f.writing && w.streamOf(r, who).Uint64()%2 == 0 {
				f.take(w.phones[who].machine.Log()) // it comes just when the next write begins
			}
			left = w.crashDisk(r, who, f.memory, f.writeUnderWay(w, who))
		}
		w.emit.text(event.ProgramStatus, who, "is killed")
		w.phoneGone(who)
		w.breakOff(who)
		w.emit.plain(event.PhoneStopped, who, event.NoPeer)
	}
	w.did(r, who, nobody, 0, left, fmt.Sprintf("%s crashes, %d bytes are left of what was not synced", w.nameOf(who), left))
}

// storeUnderWay is what the disk of the server was at when it stopped; nil:
// nothing.
func (w *World) storeUnderWay() func() {
	h := &w.host
	for _, slot := range h.asked {
		if s := &h.stores[slot]; s.life == h.life {
			return func() { _ = w.keep(s.records) } // nobody is left to hear of it
		}
	}
	return nil
}

// switchOff ends a phone's program as its user does, who then turns it off.
func (w *World) switchOff(r *rule, who uint32) {
	n := w.faults.node(who)
	n.stopped++
	w.did(r, who, nobody, 0, 0, w.nameOf(who)+" is switched off")
	if who == nobody || n.off {
		return
	}
	ph := &w.phones[who]
	paused := n.paused > 0
	if !paused {
		ph.machine.InputEnded(w.time(who), &w.phoneOut)
		w.phoneActs(who)
		w.saveNow(who)
	}
	w.phoneGone(who)
	if ph.conn != noConn && !paused {
		w.phoneCloses(ph.conn)
		ph.conn = noConn
	}
	w.breakOff(who)
	if f := w.folder(who); f != nil {
		f.memory.Kill()
	}
	w.emit.plain(event.PhoneStopped, who, event.NoPeer)
}

// phoneGone empties the memory of a phone. What its program waited for will not
// come.
func (w *World) phoneGone(who uint32) {
	n, ph := w.faults.node(who), &w.phones[who]
	var out nodes.PhoneOutbox
	ph.machine.Open(w.time(who), &out) // this says how what was under way ends
	n.off = true
	n.life++
	n.unread = nil
	ph.machine.Init(ph.machine.Settings())
	ph.wakeAt, ph.later, ph.firsts = never, never, nil
	for i := range out.Effects {
		if e := &out.Effects[i]; e.Kind == nodes.PhoneDone {
			w.done(who, e)
		}
	}
}

// breakOff ends the connection of a phone's program without a word of it.
func (w *World) breakOff(who uint32) {
	ph := &w.phones[who]
	if ph.conn == noConn {
		return
	}
	cn := &w.conns[ph.conn]
	cn.phoneOpen = false
	w.emit.phoneEnded(cn, "breaks")
	w.sendSegment(ph.conn, false, nil, false, true)
	ph.conn = noConn
}

// startPhone starts a phone's program again, with what its disk kept.
func (w *World) startPhone(who uint32) {
	n := w.faults.node(who)
	if n.stopped > 0 || !n.off {
		return
	}
	var kept []nodes.StoredContact
	f := w.folder(who)
	if f != nil {
		if err := w.openLog(who); err != nil {
			w.emit.text(event.ProgramStatus, who, "does not start: "+err.Error())
			w.later(int64(startAgain), func() { w.startNode(who) })
			return
		}
		kept = f.log.Stored()
	}
	ph := &w.phones[who]
	n.off = false
	ph.machine.Restore(w.time(who), kept)
	w.emit.text(event.ProgramStatus, who, "is started again")
	w.emit.log(event.PhoneStarted, who, ph.machine.Log())
	if f != nil {
		w.printPhoneNotes(who)
		f.changed = true // what is past its retention leaves the disk
	}
	w.phoneActs(who)
}
