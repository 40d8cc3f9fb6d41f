//go:build unix

package foreign

import "syscall"

// attributes give the program a process group.
func attributes() *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setpgid: true}
	endWithParent(a)
	return a
}

// terminateGroup and killGroup signal every process of a group; one that has ended needs no signal.
func terminateGroup(group int) { _ = syscall.Kill(-group, syscall.SIGTERM) }

func killGroup(group int) { _ = syscall.Kill(-group, syscall.SIGKILL) }
