//go:build linux || darwin

package sim

import "syscall"

// openFiles returns the number of files and sockets that this process may have open.
func openFiles() uint64 {
	var l syscall.Rlimit // stays 0 after an error
	_ = syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l)
	return l.Cur
}
