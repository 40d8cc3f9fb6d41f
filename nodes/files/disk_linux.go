package files

import (
	"errors"
	"os"
	"syscall"
)

// SyncContent calls fdatasync. For a file whose size and blocks do not change, it
// writes only the contents.
func (f *diskFile) SyncContent() error {
	for {
		if err := syscall.Fdatasync(int(f.Fd())); !errors.Is(err, syscall.EINTR) {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}
