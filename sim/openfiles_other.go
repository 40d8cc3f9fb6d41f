//go:build !linux && !darwin

package sim

// openFiles is not known here.
func openFiles() (uint64, bool) { return 0, false }
