package sim

import (
	"runtime"
	"syscall"
)

// In a crowd nearly every event is about memory that no cache holds, and with
// pages of 4 KiB the processor has to look up most of their addresses in memory
// as well. Pages of 2 MiB make a run of 100,000 phones about a sixth faster.
const (
	memoryOfPhone   = 8 << 10 // with a full log, and the checkers' copy; more does no harm
	worthLargePages = 64 << 20
	mostLargePages  = 1 << 30 // a kernel that counts what is promised may refuse more
)

// askForLargePages has the kernel back the memory that so many phones will need
// with large pages. Go has no call for it: this takes a piece of the heap that
// nothing has been written to yet, marks it, and gives it back to be used again.
// A kernel that has no large pages says so, and nothing is lost.
func askForLargePages(phones int) {
	n := min(phones*memoryOfPhone, mostLargePages)
	if n < worthLargePages {
		return
	}
	_ = syscall.Madvise(make([]byte, n), syscall.MADV_HUGEPAGE)
	runtime.GC()
}
