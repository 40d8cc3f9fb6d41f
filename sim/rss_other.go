//go:build !linux

package sim

import "runtime"

// peakRSS is the memory that this process has asked the system for, in bytes:
// elsewhere than on Linux the nearest figure that is always there.
func peakRSS() int64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.Sys)
}
