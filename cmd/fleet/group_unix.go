//go:build unix

package main

import (
	"os/exec"
	"syscall"
)

// ownGroup keeps an interrupt of the terminal from the program: its worker decides.
func ownGroup(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
