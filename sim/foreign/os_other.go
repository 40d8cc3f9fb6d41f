//go:build !linux

package foreign

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"time"
)

// pipes exist on Linux only.
type pipes struct{}

var errUnsupported = errors.New("not available on " + runtime.GOOS)

// Isolation returns the protections that work here: none.
func Isolation() Parts {
	return Parts{Missing: []string{"programs are not isolated: that is " + errUnsupported.Error()}}
}

// Reexec returns false: only Linux has networks for single processes.
func Reexec() (status int, ended bool) { return 0, false }

func (p *Program) launch(c Config, shell string, env []string, stdin, stdout *os.File) error {
	p.command = exec.Command("/bin/sh", "-c", shell)
	p.command.Dir, p.command.Env, p.command.SysProcAttr = c.Folder, env, attributes()
	p.command.Stdin, p.command.Stdout, p.command.Stderr = stdin, stdout, stdout
	return p.command.Start()
}

func (p *Program) wait() error { return p.command.Wait() }

// Usage returns an error: it needs Linux.
func (*Program) Usage() (Usage, error) { return Usage{}, errUnsupported }

func (*Program) usage(time.Time) (Usage, error) { return Usage{}, errUnsupported }

// Listening returns an error: it needs Linux.
func (*Program) Listening() ([]netip.AddrPort, error) { return nil, errUnsupported }

// owns reports whether a process listens on the port, by a connection.
func (*Program) owns(port uint16) bool {
	c, err := net.DialTimeout("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port))), time.Second)
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}

func openTerminal() (master, slave *os.File, err error) { return nil, nil, errUnsupported }
