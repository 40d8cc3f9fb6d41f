package load

import (
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Of the pacing thread: the kernel adds up to slack to a sleep (50 µs, unless it
// is told otherwise), and lets a thread with a short turn go first when several
// want a processor (Linux 6.12; older ones ignore it). Neither needs privileges.
const (
	slack = time.Nanosecond
	turn  = 100 * time.Microsecond
)

// onThreadOfItsOwn calls do on a thread that does nothing else meanwhile, with a
// processor of the runtime's that nobody else waits for. The thread lives on as it
// was: with it the kernel would end the processes that it started (ownGroup).
func onThreadOfItsOwn(do func()) {
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	defer func() { runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) - 1) }()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// Without either of the two the pace is a little less exact.
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(slack), 0, 0, 0)
	defer func() { _ = unix.Prctl(unix.PR_SET_TIMERSLACK, 0, 0, 0, 0) }() // the default
	if was, err := unix.SchedGetAttr(0, 0); err == nil {
		now := *was
		now.Runtime = uint64(turn)
		_ = unix.SchedSetAttr(0, &now, 0)
		defer func() { _ = unix.SchedSetAttr(0, was, 0) }()
	}
	do()
}

// preciseSleep is exact to some tens of microseconds, where the runtime's timers
// are to a millisecond.
func preciseSleep(d time.Duration) {
	left := syscall.NsecToTimespec(int64(d))
	_ = syscall.Nanosleep(&left, nil) // interrupted: the caller looks at its clock
}
