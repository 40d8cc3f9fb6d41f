//go:build linux || darwin

package sim

import "syscall"

// openFiles returns the number of files and sockets that this process may have open.
func openFiles() (uint64, bool) {
	var l syscall.Rlimit
	err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l)
	return l.Cur, err == nil
}
