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

// onThreadOfItsOwn calls do on a thread that does nothing else, with a processor
// of the runtime's that nobody else waits for, and returns when do has.
func onThreadOfItsOwn(do func()) {
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	defer func() { runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) - 1) }()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends, and its settings with it
		_ = unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(slack), 0, 0, 0)
		if a, err := unix.SchedGetAttr(0, 0); err == nil {
			a.Runtime = uint64(turn)
			_ = unix.SchedSetAttr(0, a, 0) // without either the pace is a little less exact
		}
		do()
	}()
	<-done
}

// preciseSleep is exact to some tens of microseconds, where the runtime's timers
// are to a millisecond.
func preciseSleep(d time.Duration) {
	left := syscall.NsecToTimespec(int64(d))
	_ = syscall.Nanosleep(&left, nil) // interrupted: the caller looks at its clock
}
