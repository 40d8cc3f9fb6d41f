package sim

import (
	"errors"
	"fmt"
	"time"

	"bluetrace/scenarios"
	"bluetrace/sim/load"
)

// machine is what bounds a load here; 0: not known.
type machine struct {
	openFiles     uint64 // of one process
	ports         uint64 // that connections to one address, or UDP sockets at one, may have
	receiveBuffer uint64 // bytes of a UDP socket that asks for no more
}

func thisMachine() (m machine) {
	m.openFiles, _ = openFiles()
	m.ports, _ = localPorts()
	m.receiveBuffer, _ = receiveBuffer()
	return m
}

const (
	// serverFiles is what the run's own server keeps from sessions, in its own
	// process.
	serverFiles = 64
	// datagramCost is what Linux counts for one small datagram in a socket's
	// buffer.
	datagramCost = 832
	// standstill is how long a socket's buffer should hold what comes while the
	// generator gets no processor.
	standstill = 250 * time.Millisecond
)

// wants is what a load asks of a machine.
type wants struct {
	sessions, sockets uint64  // TCP at once, UDP
	burst             float64 // datagrams that a phone gets at once
	rate              float64 // datagrams a second that a phone gets
}

func wantsOf(t *scenarios.Traffic, phones []load.Phone) wants {
	n := max(len(t.Phones), len(phones))
	w := wants{sessions: uint64(t.MaxInFlight)}
	if t.Session == nil { // every phone stays logged in
		w.sessions = uint64(n)
	}
	if !t.HasBeacons() {
		return w
	}
	w.sockets = uint64(n)
	parts := 1.0
	for i := range phones {
		if !phones[i].Single {
			parts = 4
		}
	}
	peak := t.StartRate
	for _, s := range t.Stages {
		peak = max(peak, s.Rate)
	}
	beacons, all := 0, 0
	for _, m := range t.Mix {
		all += m.Weight
		if m.Verb == scenarios.VerbBeacon {
			beacons += m.Weight
		}
	}
	w.burst = parts
	each := float64(beacons) / float64(max(1, all)) // beacons of one arrival
	if t.Session != nil {
		each = 0
		for _, v := range t.Session {
			if v == scenarios.VerbBeacon {
				each += float64(t.Beacons)
			}
		}
		if t.Gap == 0 {
			w.burst = parts * float64(t.Beacons)
		}
	}
	w.rate = parts * each * peak / float64(max(1, n))
	return w
}

// roomFor says before a load what the machine cannot hold, with the commands
// that change it, and warns of what it may lose. own: the server is the run's.
func (m machine) roomFor(w wants, own bool) (warnings []string, err error) {
	var lacks []error
	lack := func(format string, args ...any) { lacks = append(lacks, fmt.Errorf(format, args...)) }
	need := w.sessions + w.sockets + spareFiles
	if own {
		need = max(need, w.sessions+spareFiles+serverFiles)
	}
	switch {
	case m.openFiles == 0 || need <= m.openFiles:
	case w.sessions+w.sockets+spareFiles <= m.openFiles:
		lack("the run's own server needs %d file descriptors for %d sessions, and a process may have %d; allow more with: ulimit -n %d",
			need, w.sessions, m.openFiles, need)
	default:
		lack("%d sessions and the UDP sockets of %d phones need %d file descriptors, and a process may have %d; allow more with: ulimit -n %d",
			w.sessions, w.sockets, need, m.openFiles, need)
	}
	const morePorts = "allow more with: sysctl -w net.ipv4.ip_local_port_range='1024 65535'"
	if m.ports > 0 && w.sessions > m.ports {
		lack("%d sessions need as many local TCP ports, and there are %d; %s", w.sessions, m.ports, morePorts)
	}
	if m.ports > 0 && w.sockets > m.ports {
		lack("the UDP sockets of %d phones need as many local ports, and there are %d; %s", w.sockets, m.ports, morePorts)
	}
	if m.receiveBuffer > 0 && w.sockets > 0 {
		holds, asked := m.receiveBuffer/datagramCost, max(w.burst, w.rate*standstill.Seconds())
		if asked > float64(holds) {
			warnings = append(warnings, fmt.Sprintf("a phone gets up to %.0f datagrams within %s, and its socket's buffer holds %d: beacons may be lost here; allow more with: sysctl -w net.core.rmem_default=%d",
				asked, standstill, holds, uint64(asked+1)*datagramCost))
		}
	}
	return warnings, errors.Join(lacks...)
}
