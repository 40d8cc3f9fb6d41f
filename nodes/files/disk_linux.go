package files

import (
	"errors"
	"os"
	"syscall"
)

// SyncContent calls fdatasync. For a file whose size and blocks do not change, it
// writes only the contents.
func (f *diskRewritable) SyncContent() error {
	var failed error
	err := f.raw.Control(func(fd uintptr) {
		for {
			failed = syscall.Fdatasync(int(fd))
			if !errors.Is(failed, syscall.EINTR) {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	return os.NewSyscallError("fdatasync", failed)
}
