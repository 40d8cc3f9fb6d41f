package load

import (
	"errors"
	"syscall"
)

// wanting says whether the machine had no file descriptor or port.
func wanting(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.EADDRNOTAVAIL)
}
