package virtual

import (
	"fmt"
	"slices"
	"time"

	"bluetrace/nodes"
	"bluetrace/scenarios/fault"
	"bluetrace/sim/event"
)

// nodeStates holds the effects of faults on the state of each node. It stops, pauses and
// starts the nodes' programs.
type nodeStates struct {
	parts
	nodes []nodeState // the phones, then the server; nil until a fault has begun
}

// nodeState is the state of a phone, or of the server.
type nodeState struct {
	paused, left, stalled, stopped int // number of such faults in force

	off     bool     // of a phone: its program does not run
	life    uint32   // of a phone: number of times that its program was stopped
	waiting []func() // inputs that arrived while it was paused
	unread  []uint32 // connections with bytes that arrived while it was stalled
}

// of returns the state of a node.
func (n *nodeStates) of(node event.Node) *nodeState {
	if node == event.Server {
		return &n.nodes[len(n.nodes)-1]
	}
	return &n.nodes[node]
}

func (n *nodeStates) isPaused(node event.Node) bool { return n.of(node).paused > 0 }

// left reports whether one of the two phones has left. The receiver may be NoPeer.
func (n *nodeStates) left(sender, receiver uint32) bool {
	return n.of(sender).left > 0 || n.of(receiver).left > 0
}

// deferred reports whether a node must not execute f now. A paused node executes f
// when it resumes. A phone that is off never executes it.
func (n *nodeStates) deferred(node event.Node, f func()) bool {
	s := n.of(node)
	switch {
	case s.off:
		return true
	case s.paused > 0:
		n.wait(node, f)
		return true
	}
	return false
}

// wait calls f when the node resumes, unless its program was started anew meanwhile.
func (n *nodeStates) wait(node event.Node, f func()) {
	life := n.life(node)
	n.whenResumed(node, func() {
		if n.life(node) == life {
			f()
		}
	})
}

// whenResumed calls f when the node resumes.
func (n *nodeStates) whenResumed(node event.Node, f func()) {
	s := n.of(node)
	s.waiting = append(s.waiting, f)
}

// life returns a number that differs for each start of a node's program.
func (n *nodeStates) life(node event.Node) uint32 {
	switch {
	case node != event.Server:
		return n.of(node).life
	case n.server.machine == nil:
		return 0
	}
	return n.server.life
}

// addUnread records that the node, which is stalled, has not read a connection.
func (n *nodeStates) addUnread(node event.Node, c uint32) {
	if s := n.of(node); !slices.Contains(s.unread, c) {
		s.unread = append(s.unread, c)
	}
}

// keepDatagram keeps a datagram until its receiver resumes. It returns false if the phone
// is not paused.
func (n *nodeStates) keepDatagram(phone uint32, d *datagram, p []byte) bool {
	if !n.isPaused(phone) {
		return false
	}
	from, sent, p := d.from, d.sent, slices.Clone(p)
	n.wait(phone, func() { n.phones.receive(phone, from, sent, p) })
	return true
}

// begin begins a fault of whole nodes for one of them.
func (n *nodeStates) begin(r *rule, node event.Node) {
	s, name := n.of(node), n.faults.name(node)
	switch r.Kind {
	case fault.Crash:
		n.crash(r, node)
	case fault.SwitchOff:
		n.switchOff(r, node)
	case fault.Pause:
		s.paused++
		n.faults.applied(r, node, event.NoPeer, 0, 0, name+" is paused")
	case fault.Leave:
		s.left++
		n.faults.applied(r, node, event.NoPeer, 0, 0, name+" leaves")
	case fault.Stall:
		s.stalled++
		n.faults.applied(r, node, event.NoPeer, 0, 0, name+" does not read")
	case fault.Clock:
		n.setClock(r, node, r.Offset+r.Step, r.Drift)
	}
}

// end ends a fault of whole nodes for one of them.
func (n *nodeStates) end(r *rule, node event.Node) {
	s := n.of(node)
	switch r.Kind {
	case fault.Crash, fault.SwitchOff:
		if s.stopped--; s.stopped == 0 {
			n.start(node)
		}
	case fault.Pause:
		if s.paused--; s.paused == 0 {
			n.resume(node)
		}
	case fault.Leave:
		s.left--
	case fault.Stall:
		if s.stalled--; s.stalled == 0 {
			unread := s.unread
			s.unread = nil
			for _, c := range unread {
				n.tcp.readAgain(node, c)
			}
		}
	case fault.Clock:
		n.setClock(r, node, -r.Offset, -r.Drift)
	}
}

// setClock steps a node's wall clock and changes the drift of both of its clocks.
func (n *nodeStates) setClock(r *rule, node event.Node, step time.Duration, ppm float64) {
	shows := n.clocks.change(node, step, ppm)
	wall := time.Unix(0, shows.Wall).In(n.clocks.zone.Location()).Format("02/01/2006 15:04:05.000000000")
	text := fmt.Sprintf("the clock of %s shows %s, drift %g ppm", n.faults.name(node), wall, shows.PPM)
	n.faults.applied(r, node, event.NoPeer, 0, int64(step), text)
	e := n.emit.Next(event.ClockSet, node, event.NoPeer)
	e.Clock = shows
	n.emit.Stream.Emit(e)
	switch {
	case ppm == 0 || n.isPaused(node):
	case node == event.Server:
		n.server.rearm()
	default:
		n.phones.rearm(node)
	}
}

// resume resumes a node: first the wake-ups that are due, then the inputs that have
// arrived, in order of arrival.
func (n *nodeStates) resume(node event.Node) {
	s := n.of(node)
	if node == event.Server {
		n.server.resume()
	} else if !s.off {
		n.phones.input(node, (*nodes.Phone).Wake)
	}
	waiting := s.waiting
	s.waiting = nil
	for _, f := range waiting {
		f()
	}
}

// start starts the program of a node that no fault keeps down. A paused node starts its
// program when it resumes.
func (n *nodeStates) start(node event.Node) {
	switch {
	case n.isPaused(node):
		n.whenResumed(node, func() { n.start(node) })
	case node == event.Server:
		n.server.comeBack()
	default:
		n.startPhone(node)
	}
}

// keepsServerDown reports whether the server must not be started now.
func (n *nodeStates) keepsServerDown() bool {
	if n.isPaused(event.Server) {
		n.whenResumed(event.Server, n.server.comeBack)
		return true
	}
	return n.of(event.Server).stopped > 0 || n.server.machine != nil
}

// crash stops a node without notice. The node loses its memory, and its disk keeps
// only the part of the unsynced changes that the fault names.
func (n *nodeStates) crash(r *rule, node event.Node) {
	s := n.of(node)
	s.stopped++
	left := int64(0)
	switch {
	case node == event.Server && n.disks.server == nil:
		panic("virtual: a crash of the server in a world that was built without a Folder")
	case node == event.Server && n.server.machine != nil:
		left = n.disks.crash(r, node, n.server.interruptedStore())
		n.server.kill()
	case node != event.Server && !s.off:
		left = n.disks.crashPhone(r, node)
		n.emit.Text(event.ProgramStatus, node, "is killed")
		n.stopPhone(node)
		n.phones.endConn(node, n.tcp.resetPhoneSide)
		n.emit.Plain(event.PhoneStopped, node, event.NoPeer)
	}
	text := fmt.Sprintf("%s crashes, %d bytes are left of what was not synced", n.faults.name(node), left)
	n.faults.applied(r, node, event.NoPeer, 0, left, text)
}

// switchOff ends a phone's program as its user does before switching the phone off.
func (n *nodeStates) switchOff(r *rule, phone uint32) {
	s := n.of(phone)
	s.stopped++
	n.faults.applied(r, phone, event.NoPeer, 0, 0, n.faults.name(phone)+" is switched off")
	if phone == event.Server || s.off {
		return
	}
	paused := s.paused > 0
	if !paused {
		n.phones.input(phone, (*nodes.Phone).InputEnded)
		n.disks.saveNow(phone)
	}
	n.stopPhone(phone)
	if !paused {
		n.phones.endConn(phone, n.tcp.closePhoneSide)
	}
	n.phones.endConn(phone, n.tcp.resetPhoneSide)
	n.disks.kill(phone)
	n.emit.Plain(event.PhoneStopped, phone, event.NoPeer)
}

// stopPhone clears the memory of a phone's program. Its pending inputs will not come.
func (n *nodeStates) stopPhone(phone uint32) {
	s := n.of(phone)
	s.off = true
	s.life++
	s.unread = nil
	n.phones.clear(phone)
}

// retryStart is the delay after which a program that could not start is started
// again.
const retryStart = time.Second

// startPhone starts a phone's program with the contact log of its disk.
func (n *nodeStates) startPhone(phone uint32) {
	s := n.of(phone)
	if s.stopped > 0 || !s.off {
		return
	}
	var stored []nodes.StoredContact
	f := n.disks.folder(phone)
	if f != nil {
		if err := n.disks.openLog(phone); err != nil {
			n.emit.Text(event.ProgramStatus, phone, "does not start: "+err.Error())
			n.scheduler.call(n.scheduler.now+int64(retryStart), func() { n.start(phone) })
			return
		}
		stored = f.log.Stored()
	}
	s.off = false
	n.phones.restart(phone, stored)
}
