package load

import (
	"runtime"
	"syscall"
	"time"
)

// preciseSleep is exact to some tens of microseconds, where the runtime's timers
// are to a millisecond. What was woken before it runs first: while the sleep
// holds its thread, the runtime might leave it waiting.
func preciseSleep(d time.Duration) {
	runtime.Gosched()
	left := syscall.NsecToTimespec(int64(d))
	_ = syscall.Nanosleep(&left, nil) // interrupted: the caller looks at its clock
}
