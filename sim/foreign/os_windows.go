package foreign

import "syscall"

func attributes() *syscall.SysProcAttr { return nil }

// terminate and killAll end the program. Processes that it has started are not known here.
func (p *Program) terminate() { p.killAll() }

func (p *Program) killAll() { _ = p.command.Process.Kill() } // it may have ended
