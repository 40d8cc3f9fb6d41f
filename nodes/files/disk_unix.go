//go:build unix

package files

import (
	"io/fs"
	"syscall"
)

// identity is the inode: all files of an FS are in one folder.
func identity(st fs.FileInfo) uint64 {
	if s, ok := st.Sys().(*syscall.Stat_t); ok {
		return s.Ino
	}
	return 0
}
