package foreign

import (
	"fmt"
	"os"
	"strings"
	"syscall"
)

// endWithParent has the kernel end the program when this process is killed.
func endWithParent(a *syscall.SysProcAttr) { a.Pdeathsig = syscall.SIGKILL }

// listens reports whether a process listens on the port. It opens no connection, which a server may not expect.
func listens(port uint16) bool {
	const listening = "0A"
	local := fmt.Sprintf(":%04X", port)
	for _, name := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // a machine may lack IPv6
		}
		for line := range strings.Lines(string(text)) {
			f := strings.Fields(line) // number, local address, remote address, state, …
			if len(f) > 3 && strings.HasSuffix(f[1], local) && f[3] == listening {
				return true
			}
		}
	}
	return false
}
