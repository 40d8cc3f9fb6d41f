//go:build !linux

package sim

// receiveBuffer is not known here.
func receiveBuffer() (uint64, bool) { return 0, false }
