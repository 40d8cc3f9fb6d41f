//go:build unix

package files

import (
	"io/fs"
	"syscall"
)

// withoutWaiting is the flag with which opening a pipe does not wait for its other
// end.
const withoutWaiting = syscall.O_NONBLOCK

// identity is the inode: all files of an FS are in one folder.
func identity(st fs.FileInfo) uint64 {
	if s, ok := st.Sys().(*syscall.Stat_t); ok {
		return s.Ino
	}
	return 0
}
