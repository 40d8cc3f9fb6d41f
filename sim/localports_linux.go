package sim

import (
	"fmt"
	"os"
)

// localPorts is how many ports a connection to one address may have.
func localPorts() (uint64, bool) {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return 0, false
	}
	var low, high uint64
	if _, err := fmt.Sscan(string(text), &low, &high); err != nil || high < low {
		return 0, false
	}
	return high - low + 1, true
}
