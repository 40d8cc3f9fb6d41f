package virtual

import (
	"slices"
	"time"
)

// holds says whether what is to be done with a node cannot be done now: it is
// done in its turn when a node that is paused goes on, and never by a phone that
// is off.
func (w *World) holds(who uint32, f func()) bool {
	n := w.faults.node(who)
	switch {
	case n.off:
		return true
	case n.paused > 0:
		w.wait(who, f)
		return true
	}
	return false
}

// wait keeps what a node that is paused will do, if its program is still the
// same then.
func (w *World) wait(who uint32, f func()) {
	life := w.lifeOf(who)
	n := w.faults.node(who)
	n.waiting = append(n.waiting, func() {
		if w.lifeOf(who) == life {
			f()
		}
	})
}

// lifeOf tells the programs of a node apart.
func (w *World) lifeOf(who uint32) uint32 {
	switch {
	case who != nobody:
		return w.faults.node(who).life
	case w.host.machine == nil:
		return 0
	}
	return w.host.life
}

// resume lets a node go on: what is due comes first, then what has come, in its
// order.
func (w *World) resume(who uint32) {
	n := w.faults.node(who)
	switch {
	case who == nobody && w.host.machine != nil:
		w.host.machine.Wake(w.time(nobody), &w.host.out)
		w.serverActs()
	case who != nobody && !n.off:
		w.phones[who].machine.Wake(w.time(who), &w.phoneOut)
		w.phoneActs(who)
	}
	waiting := n.waiting
	n.waiting = nil
	for _, f := range waiting {
		f()
	}
}

// startNode starts the program of a node again that no fault keeps down; when it
// is paused, in its turn.
func (w *World) startNode(who uint32) {
	if n := w.faults.node(who); n.paused > 0 {
		n.waiting = append(n.waiting, func() { w.startNode(who) })
		return
	}
	if who == nobody {
		w.comeBack()
		return
	}
	w.startPhone(who)
}

// staysDown says whether the server cannot be started now, or need not be.
func (w *World) staysDown() bool {
	n := w.faults.node(nobody)
	if n.paused > 0 {
		n.waiting = append(n.waiting, w.comeBack)
		return true
	}
	return n.stopped > 0 || w.host.machine != nil
}

// deaf says whether a node does not read a connection now; it will when it goes
// on.
func (w *World) deaf(who, c uint32) bool {
	n := w.faults.node(who)
	raw := w.conns[c].raw
	switch {
	case n.paused > 0 && (who == nobody || !raw):
		w.wait(who, func() { w.readConn(who, c) })
	case n.stalled > 0:
		if !slices.Contains(n.unread, c) {
			n.unread = append(n.unread, c)
		}
	default:
		return false
	}
	return true
}

// readAll reads what came while the node did not.
func (w *World) readAll(who uint32) {
	n := w.faults.node(who)
	unread := n.unread
	n.unread = nil
	for _, c := range unread {
		w.readConn(who, c)
	}
}

func (w *World) readConn(who, c uint32) {
	if who == nobody {
		w.feedServer(c)
		return
	}
	if w.conns[c].phone == who {
		w.feedPhone(c)
	}
}

// waitsInBacklog keeps a connection that stands for a server that is paused.
func (w *World) waitsInBacklog(c uint32) bool {
	if w.faults.node(nobody).paused == 0 {
		return false
	}
	w.conns[c].backlog = true
	w.wait(nobody, func() {
		w.conns[c].backlog = false
		w.hostAccepts(c)
		w.serverActs()
		w.feedServer(c)
	})
	return true
}

// later calls f after a delay.
func (w *World) later(d int64, f func()) { w.Call(time.Duration(w.now+d), f) }
