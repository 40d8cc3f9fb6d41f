package load

import (
	"net/netip"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

// childAttributes keep a terminal's Ctrl-C from a child process, and end it when
// this process is killed.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}

// tick is the unit of processor times in /proc, on every architecture of Go.
const tick = 10 * time.Millisecond

// UsageOf returns the usage of a process so far, or false if the process has ended.
func UsageOf(pid int) (u Usage, ok bool) {
	p, err := procfs.NewProc(pid)
	if err != nil {
		return u, false
	}
	stat, err := p.Stat()
	if err != nil {
		return u, false
	}
	status, err := p.NewStatus()
	if err != nil {
		return u, false
	}
	return Usage{
		User: time.Duration(stat.UTime) * tick, System: time.Duration(stat.STime) * tick,
		ResidentBytes: int64(status.VmRSS), PeakBytes: int64(status.VmHWM),
	}, true
}

// DroppedDatagrams returns the number of datagrams that the kernel dropped because
// the buffers of the sockets with these IPv4 addresses were full.
func DroppedDatagrams(addresses map[netip.AddrPort]bool) (sum uint64) {
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		return 0
	}
	table, err := fs.NetUDP()
	if err != nil {
		return 0
	}
	for _, line := range table {
		ip, _ := netip.AddrFromSlice(line.LocalAddr)
		if line.Drops != nil && addresses[netip.AddrPortFrom(ip.Unmap(), uint16(line.LocalPort))] {
			sum += *line.Drops
		}
	}
	return sum
}

// Settings of the pacing thread. The kernel adds up to timerSlack to a sleep (50 µs
// by default). It prefers a thread with a short timeSlice when several want a
// processor (Linux 6.12; older ones ignore it). Neither needs privileges.
const (
	timerSlack = time.Nanosecond
	timeSlice  = 100 * time.Microsecond
)

// onOwnThread calls do on a thread that does nothing else meanwhile, and adds a
// processor of the Go runtime for it. The thread goes on afterwards: its end would
// end the processes that it started (childAttributes).
func onOwnThread(do func()) {
	addProcessors(1)
	defer addProcessors(-1)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// Errors are ignored: without either setting the pace is a little less precise.
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(timerSlack), 0, 0, 0)
	defer func() { _ = unix.Prctl(unix.PR_SET_TIMERSLACK, 0, 0, 0, 0) }() // the default
	if was, err := unix.SchedGetAttr(0, 0); err == nil {
		now := *was
		now.Runtime = uint64(timeSlice)
		_ = unix.SchedSetAttr(0, &now, 0)
		defer func() { _ = unix.SchedSetAttr(0, was, 0) }()
	}
	do()
}

var processorsMu sync.Mutex

// addProcessors changes the number of processors of the Go runtime. Loads at the same
// time each have one more.
func addProcessors(n int) {
	processorsMu.Lock()
	defer processorsMu.Unlock()
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + n)
}

// preciseSleep is exact to some tens of microseconds. Timers of the Go runtime are
// exact to a millisecond.
func preciseSleep(d time.Duration) {
	left := syscall.NsecToTimespec(int64(d))
	_ = syscall.Nanosleep(&left, nil) // if it is interrupted the caller sleeps again
}
