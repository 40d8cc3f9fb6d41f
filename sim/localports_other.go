//go:build !linux

package sim

// localPorts is not known here.
func localPorts() (uint64, bool) { return 0, false }
