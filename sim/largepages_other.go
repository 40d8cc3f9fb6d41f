//go:build !linux

package sim

// askForLargePages does nothing here: a run is the same, only slower.
func askForLargePages(int) {}
