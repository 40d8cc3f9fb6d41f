package virtual

import "bluetrace/sim/world"

var _ world.Holder = (*World)(nil)

// ServerHolds is what the server and its host hold.
func (w *World) ServerHolds() (world.ServerHolds, bool) {
	h := &w.host
	if h.machine == nil || w.faults != nil && w.faults.node(nobody).paused > 0 {
		return world.ServerHolds{}, false
	}
	holds := world.ServerHolds{Usage: h.machine.Usage(), Connections: w.sessions(), DiskFailures: h.failures}
	for _, slot := range h.asked {
		if h.stores[slot].life == h.life {
			holds.OnTheirWay++
		}
	}
	if h.memory != nil {
		holds.AttemptsFile = h.memory.Size("attempts.txt")
	}
	return holds, true
}

// PhoneHolds is what the phone's disk holds.
func (w *World) PhoneHolds(who uint32) (world.PhoneHolds, bool) {
	f := w.folder(who)
	if f == nil || !f.written || f.changed || f.writing || f.failed || w.faults != nil && w.faults.node(who).off {
		return world.PhoneHolds{}, false
	}
	return world.PhoneHolds{
		Kept:    len(f.log.Stored()),
		LogFile: f.memory.Size(contactLogName),
		Journal: f.memory.Size(contactLogName + ".journal"),
	}, true
}
