// Package authority is the server as a program: its arguments, files, output and
// metrics. Both the command server and a load run's server of its own are this.
package authority

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"bluetrace/nodes/socket"
)

// status is the exit status.
type status int

const (
	ended  status = 0 // by a signal, with everything saved
	failed status = 1 // it could not be started, or not go on
	wrong  status = 2 // an argument
)

// program is the command with everything of the world outside that it uses.
type program struct {
	stdout, stderr io.Writer
	zone           *time.Location
}

// Run serves as the command line asks until ctx ends, and answers with the exit
// status. Zone is the one of its files and its output.
func Run(ctx context.Context, line []string, stdout, stderr io.Writer, zone *time.Location) int {
	p := program{stdout: stdout, stderr: stderr, zone: zone}
	return int(p.command(ctx, line))
}

// command serves until ctx ends.
func (p *program) command(ctx context.Context, line []string) status {
	a, help, err := parseArguments(line)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		if _, err := io.WriteString(p.stdout, help); err != nil {
			p.complain(fmt.Errorf("printing the help: %w", reason(err)))
			return failed
		}
		return ended
	case err != nil:
		p.complain(fmt.Errorf("%s; usage: %s", strings.Join(strings.Fields(err.Error()), " "), usageLine))
		return wrong
	}
	if err := p.serve(ctx, &a); err != nil {
		p.complain(err)
		return failed
	}
	return ended
}

func (p *program) complain(err error) {
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintln(p.stderr, "server: "+strings.TrimSuffix(line, "\n"))
	}
}

// serve runs the server until ctx ends, or until it cannot go on.
func (p *program) serve(ctx context.Context, a *arguments) (err error) {
	listener, err := net.Listen("tcp", a.address)
	if err != nil {
		return listenError("--host", a.address, err)
	}
	if n, ok := openDescriptors(); ok {
		a.fitConnections(n)
	}
	h := &authority{}
	opened := make(chan error, 1)
	go func() { opened <- h.open(a, listener, p) }()
	select {
	case err = <-opened:
	case <-ctx.Done(): // while it reads millions of lines: there is nothing to save yet
		return listener.Close()
	}
	defer func() {
		if !errors.Is(err, socket.ErrUnsaved) { // the end of the process closes what is stuck
			err = errors.Join(err, h.close())
		}
	}()
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	p.introduce(a, listener, h)
	served := make(chan error, 1)
	go func() { served <- h.server.Serve() }()
	select {
	case err = <-served:
	case <-ctx.Done():
	}
	return errors.Join(err, h.server.Close())
}

// introduce says on standard error what the output of a server has no line for.
func (p *program) introduce(a *arguments, l net.Listener, h *authority) {
	if a.port() == "0" {
		fmt.Fprintf(p.stderr, "server: listening at %s\n", l.Addr())
	}
	if h.exporter != nil {
		fmt.Fprintf(p.stderr, "server: metrics at http://%s/metrics\n", h.exporter.Address())
	}
	if a.lowered != "" {
		fmt.Fprintln(p.stderr, "server: "+a.lowered)
	}
	if a.noFsync {
		fmt.Fprintln(p.stderr, "server: --no-fsync: what is answered may not be on the disk yet; when the program is "+
			"killed or the machine stops, the last TempIDs and blocks are lost")
	}
}

// listenError is a sentence with a way out. flag is what names the address.
func listenError(flag, address string, err error) error {
	_, unknown := errors.AsType[*net.DNSError](err)
	host, _, _ := net.SplitHostPort(address)
	switch {
	case unknown:
		return fmt.Errorf("listening at %q: no machine is known by the name %q; take another %s", address, host, flag)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("listening at %q: %s is no address of this machine; take another %s", address, host, flag)
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("listening at %q: another program uses this port; stop it or take another port", address)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("listening at %q: this port needs permission; take one above 1023", address)
	}
	return fmt.Errorf("listening at %q: %s; take another %s", address, socket.Reason(err), flag)
}
