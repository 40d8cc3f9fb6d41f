package load

import (
	"runtime"
	"syscall"
	"time"
)

// preciseSleep gives the calling goroutine a thread of its own and a sleep that
// is exact to some tens of microseconds, where the runtime's timers are to a
// millisecond. done gives the thread back.
func preciseSleep() (sleep func(time.Duration), done func()) {
	runtime.LockOSThread()
	return func(d time.Duration) {
		left := syscall.NsecToTimespec(int64(d))
		_ = syscall.Nanosleep(&left, nil) // interrupted: the caller looks at its clock
	}, runtime.UnlockOSThread
}
