//go:build !linux

package foreign

import (
	"net"
	"strconv"
	"syscall"
	"time"
)

func endWithParent(*syscall.SysProcAttr) {}

// listens reports whether a process listens on the port, by a connection.
func listens(port uint16) bool {
	c, err := net.DialTimeout("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port))), time.Second)
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}
