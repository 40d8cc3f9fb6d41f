//go:build unix && !freebsd && !dragonfly

package authority

import "syscall"

// openDescriptors raises the limit of open file descriptors as far as the system
// allows and returns it, or false if it is unknown.
func openDescriptors() (uint64, bool) {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return 0, false
	}
	if limit.Cur < limit.Max {
		raised := limit
		raised.Cur = limit.Max
		if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised) == nil {
			limit = raised
		}
	}
	return limit.Cur, true
}
