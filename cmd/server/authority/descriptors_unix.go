//go:build unix && !freebsd && !dragonfly

package authority

import "syscall"

// openDescriptors is how many file descriptors the process may have, raised as
// far as it may; false: nobody knows.
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
