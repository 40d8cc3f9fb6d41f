//go:build !linux

package sim

import "runtime"

// cpuModel returns "": the model is not known here.
func cpuModel() string { return "" }

// localPorts returns 0: the number is not known here.
func localPorts() uint64 { return 0 }

// receiveBuffer returns 0: the size is not known here.
func receiveBuffer() uint64 { return 0 }

// peakRSS returns the memory, in bytes, that this process has requested from the
// system.
func peakRSS() int64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.Sys)
}

// requestLargePages does nothing here.
func requestLargePages(int) {}
