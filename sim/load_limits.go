package sim

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"bluetrace/scenarios"
	"bluetrace/sim/load"
)

// machine holds the limits of this machine. A limit that is not known is 0.
type machine struct {
	openFiles     uint64 // files and sockets of one process
	ports         uint64 // local ports of connections to one address, or of UDP sockets at one
	receiveBuffer uint64 // default size of a UDP socket's buffer, in bytes
}

func thisMachine() machine { return machine{openFiles(), localPorts(), receiveBuffer()} }

const (
	// serverFiles is the number of descriptors that the run's own server, a process of
	// its own, does not use for sessions.
	serverFiles = 64
	// datagramCost is the size in bytes that Linux counts for a small datagram in a
	// socket's buffer.
	datagramCost = 832
	// maxStall is the time without a processor for which a socket's buffer should
	// hold the datagrams that arrive.
	maxStall = 250 * time.Millisecond
)

// needs are the resources that a load needs.
type needs struct {
	sessions uint64  // TCP connections at the same time
	sockets  uint64  // UDP sockets
	burst    float64 // datagrams that a phone receives at the same time
	rate     float64 // datagrams per second that a phone receives
}

// needsOf returns the needs of a load, of which the phones may not be made yet.
func needsOf(t *scenarios.Traffic, phones []load.Phone) needs {
	n := max(len(t.Phones), len(phones))
	w := needs{sessions: uint64(t.MaxInFlight)}
	if t.Session == nil { // every phone stays logged in
		w.sessions = uint64(n)
	}
	if !t.HasBeacons() {
		return w
	}
	w.sockets = uint64(n)
	parts := 1.0
	if slices.ContainsFunc(phones, func(p load.Phone) bool { return !p.Single }) {
		parts = 4
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
	each := float64(beacons) / float64(max(1, all)) // beacons per arrival
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

// check returns an error before a load that exceeds a limit of the machine, with the
// command that raises the limit. It warns of a buffer that may lose datagrams. The
// argument own is true if the server is the run's own.
func (m machine) check(w needs, own bool) (warnings []string, err error) {
	var lacks []error
	lack := func(format string, args ...any) { lacks = append(lacks, fmt.Errorf(format, args...)) }
	need := w.sessions + w.sockets + spareFiles
	if own {
		need = max(need, w.sessions+spareFiles+serverFiles)
	}
	switch {
	case m.openFiles == 0 || need <= m.openFiles:
	case w.sessions+w.sockets+spareFiles <= m.openFiles:
		lack("the run's own server needs %d file descriptors for %d sessions, and a process may have %d; "+
			"allow more with: ulimit -n %d", need, w.sessions, m.openFiles, need)
	default:
		lack("%d sessions and the UDP sockets of %d phones need %d file descriptors, and a process may have %d; "+
			"allow more with: ulimit -n %d", w.sessions, w.sockets, need, m.openFiles, need)
	}
	const morePorts = "allow more with: sysctl -w net.ipv4.ip_local_port_range='1024 65535'"
	if m.ports > 0 && w.sessions > m.ports {
		lack("%d sessions need as many local TCP ports, and there are %d; %s", w.sessions, m.ports, morePorts)
	}
	if m.ports > 0 && w.sockets > m.ports {
		lack("the UDP sockets of %d phones need as many local ports, and there are %d; %s",
			w.sockets, m.ports, morePorts)
	}
	if m.receiveBuffer > 0 && w.sockets > 0 {
		holds, asked := m.receiveBuffer/datagramCost, max(w.burst, w.rate*maxStall.Seconds())
		if asked > float64(holds) {
			warnings = append(warnings, fmt.Sprintf("a phone gets up to %.0f datagrams within %s, and its "+
				"socket's buffer holds %d: beacons may be lost here; "+
				"allow more with: sysctl -w net.core.rmem_default=%d",
				asked, maxStall, holds, uint64(asked+1)*datagramCost))
		}
	}
	return warnings, errors.Join(lacks...)
}
