package sim

import (
	"runtime"
	"syscall"

	"github.com/prometheus/procfs"
)

// cpuModel returns the name of the first processor, or "" if the kernel has none.
func cpuModel() string {
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		return ""
	}
	cpus, err := fs.CPUInfo()
	if err != nil || len(cpus) == 0 {
		return ""
	}
	return cpus[0].ModelName
}

// sysctl returns the numbers of a kernel parameter, or nil if it is not there.
func sysctl(name string) []int {
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		return nil
	}
	values, err := fs.SysctlInts(name)
	if err != nil {
		return nil
	}
	return values
}

// localPorts returns the number of ports that connections to one address may have, or 0 if it is not known.
func localPorts() uint64 {
	if bounds := sysctl("net.ipv4.ip_local_port_range"); len(bounds) == 2 && bounds[0] <= bounds[1] {
		return uint64(bounds[1] - bounds[0] + 1)
	}
	return 0
}

// receiveBuffer returns the default size in bytes of the receive buffer of a UDP socket, by the kernel's account, or 0
// if it is not known.
func receiveBuffer() uint64 {
	if size := sysctl("net.core.rmem_default"); len(size) == 1 {
		return uint64(size[0])
	}
	return 0
}

// peakRSS returns the peak of this process's resident memory, in bytes.
func peakRSS() int64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return u.Maxrss << 10
}

// Nearly every event of a crowd touches memory that no cache holds. With pages of
// 4 KiB the processor has to look up most of their addresses in memory, too. Pages
// of 2 MiB make a run of 100,000 phones about a sixth faster.
const (
	bytesPerPhone = 8 << 10  // with a full log and the copy of the checks; more does no harm
	minLargePages = 64 << 20 // bytes; a smaller run does not ask for them
	maxLargePages = 1 << 30  // bytes; a kernel without overcommit may refuse more
)

// requestLargePages requests large pages for the memory of a number of phones. Go
// has no call for that. So this allocates a part of the heap that has never been
// written, marks it, and frees it for later use. A kernel without large pages
// refuses, which costs nothing.
func requestLargePages(phones int) {
	n := min(phones*bytesPerPhone, maxLargePages)
	if n < minLargePages {
		return
	}
	_ = syscall.Madvise(make([]byte, n), syscall.MADV_HUGEPAGE)
	runtime.GC()
}
