//go:build !linux

package sim

// cpuModel is not known here.
func cpuModel() string { return "" }
