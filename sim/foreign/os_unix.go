//go:build unix && !linux

package foreign

import "syscall"

// attributes give the program a process group.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// terminate and killAll signal every process of the group; one that has ended needs no signal.
func (p *Program) terminate() { _ = syscall.Kill(-p.command.Process.Pid, syscall.SIGTERM) }

func (p *Program) killAll() { _ = syscall.Kill(-p.command.Process.Pid, syscall.SIGKILL) }
