package sim

import (
	"fmt"
	"os"
)

// receiveBuffer is how many bytes wait at a UDP socket that asks for no more, by
// the kernel's account.
func receiveBuffer() (n uint64, ok bool) {
	text, err := os.ReadFile("/proc/sys/net/core/rmem_default")
	if err != nil {
		return 0, false
	}
	_, err = fmt.Sscan(string(text), &n)
	return n, err == nil
}
