package sim

import (
	"fmt"
	"strings"

	"bluetrace/scenarios"
)

// roomFor says before a load what the machine cannot hold, with the commands
// that change it.
func roomFor(t *scenarios.Traffic) error {
	var lacks []string
	sessions := t.MaxInFlight
	if t.Session == nil { // every phone stays logged in
		sessions = len(t.Phones)
	}
	need := uint64(sessions + spareFiles)
	if t.HasBeacons() {
		need += uint64(len(t.Phones))
	}
	if have, ok := openFiles(); ok && need > have {
		lacks = append(lacks, fmt.Sprintf("%d sessions and the UDP sockets of %d phones need %d file descriptors, and a process may have %d; allow more with: ulimit -n %d",
			sessions, len(t.Phones), need, have, need))
	}
	if ports, ok := localPorts(); ok && uint64(sessions) > ports {
		lacks = append(lacks, fmt.Sprintf("%d sessions need as many local TCP ports, and there are %d; allow more with: sysctl -w net.ipv4.ip_local_port_range='1024 65535'",
			sessions, ports))
	}
	if len(lacks) == 0 {
		return nil
	}
	return fmt.Errorf("%s", strings.Join(lacks, "\n"))
}
