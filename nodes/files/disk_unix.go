//go:build unix

package files

import (
	"io/fs"
	"syscall"
)

// nonBlocking is the flag that lets open return before a pipe has a writer.
const nonBlocking = syscall.O_NONBLOCK

// identity returns the inode number. It is unique, because all files are in one folder.
func identity(st fs.FileInfo) uint64 {
	if s, ok := st.Sys().(*syscall.Stat_t); ok {
		return s.Ino
	}
	return 0
}
