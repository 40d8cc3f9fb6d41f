// Package authority is the server as a program: its arguments, files, output and
// metrics. The command server and the server that a load run starts use it.
package authority

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/spf13/pflag"

	"bluetrace/cmd/internal/dashes"
	"bluetrace/cmd/internal/localzone"
	"bluetrace/nodes/files"
	"bluetrace/nodes/socket"
)

// status is the exit status.
type status int

const (
	ended  status = 0 // a signal came, and everything is saved
	failed status = 1 // the server could not start or continue
	wrong  status = 2 // an argument is not valid
)

// program is the command with its outputs, time zone and clock.
type program struct {
	stdout, stderr io.Writer
	zone           *time.Location // of the files and the output
	clock          clock.Clock
}

// Run runs the server with the arguments line until ctx ends, and returns the exit status:
// 0, 1 or 2. zone is the time zone of the server's files and output.
func Run(ctx context.Context, line []string, stdout, stderr io.Writer, zone *time.Location, c clock.Clock) int {
	p := program{stdout: stdout, stderr: stderr, zone: zone, clock: c}
	return int(p.command(ctx, line))
}

// command parses the arguments, runs the server until ctx ends, and reports errors.
func (p *program) command(ctx context.Context, line []string) status {
	a, help, err := parseArguments(line)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		if _, err := io.WriteString(p.stdout, help); err != nil {
			p.complain(fmt.Errorf("printing the help: %w", files.WithoutPath(err)))
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

func (p *program) complain(err error) { dashes.Complain(p.stderr, "server", err) }

// serve runs the server until ctx ends or the server cannot continue.
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
	case <-ctx.Done(): // during the restore, when there is nothing to save yet
		return listener.Close()
	}
	defer func() {
		if !errors.Is(err, socket.ErrUnsaved) { // the end of the process closes the blocked files
			err = errors.Join(err, h.close())
		}
	}()
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	p.printStart(a, listener, h)
	served := make(chan error, 1)
	go func() { served <- h.server.Serve() }()
	select {
	case err = <-served:
	case <-ctx.Done():
	}
	return errors.Join(err, h.server.Close())
}

// printStart prints to standard error: the address if the port was free to choose, the
// address of the metrics, a lowered limit, the time zone, and the risk of --no-fsync.
// PROTOCOL.md has no lines for them on standard output.
func (p *program) printStart(a *arguments, l net.Listener, h *authority) {
	if a.port() == "0" {
		fmt.Fprintf(p.stderr, "server: listening at %s\n", l.Addr())
	}
	if h.exporter != nil {
		fmt.Fprintf(p.stderr, "server: metrics at http://%s/metrics\n", h.exporter.Address())
	}
	if a.lowered != "" {
		fmt.Fprintln(p.stderr, "server: "+a.lowered)
	}
	fmt.Fprintln(p.stderr, "server: "+localzone.Describe(p.zone, p.clock.Now()))
	if a.noFsync {
		fmt.Fprintln(p.stderr, "server: --no-fsync: answers may precede the disk; "+
			"the last TempIDs and blocks are lost if the program is killed or the machine stops")
	}
}

// listenError adds a remedy to the error of listening at address. flag is the name of the
// flag that sets the address.
func listenError(flag, address string, err error) error {
	_, unknown := errors.AsType[*net.DNSError](err)
	host, _, _ := net.SplitHostPort(address)
	switch {
	case unknown:
		return fmt.Errorf("listening at %q: unknown host name %q; use another %s", address, host, flag)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("listening at %q: %s is not an address of this machine; use another %s", address, host, flag)
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("listening at %q: another program uses this port; stop it or use another port", address)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("listening at %q: this port needs permission; use one above 1023", address)
	}
	return fmt.Errorf("listening at %q: %s; use another %s", address, socket.Reason(err), flag)
}

// together is the time after a signal within which further ones have the same cause: the
// command timeout signals its child, and then the group of processes that the child is in.
const together = time.Second

// UntilSignal returns a context that the first signal cancels, so that a program saves
// everything and ends. A signal that comes a second later or after that exits at once,
// except a SIGHUP: a terminal that closes may send several.
func UntilSignal(stop <-chan os.Signal, now func() time.Time, exit func()) context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-stop
		first := now()
		cancel()
		for s := range stop {
			if s != syscall.SIGHUP && now().Sub(first) >= together {
				exit()
			}
		}
	}()
	return ctx
}

// output is standard output. If it fails, the server continues without output.
type output struct {
	to       io.Writer
	complain func(error)
}

// Write implements io.Writer. It reports an error to the user. The server does not call it
// again after an error.
func (o *output) Write(p []byte) (int, error) {
	n, err := o.to.Write(p)
	if err != nil {
		o.complain(fmt.Errorf("printing: %w; the server continues and prints nothing more", files.WithoutPath(err)))
	}
	return n, err
}

const (
	// descriptorReserve is the number of file descriptors that sessions cannot use.
	descriptorReserve = 64
	// lingeringSockets is the part of the reserve for connections that the server has
	// closed and the peer has not. The rest is for files and metrics.
	lingeringSockets = 32
)

// fitConnections lowers the limit of sessions to the number for which the file descriptors
// suffice. descriptors is the number of files that the process may open.
func (a *arguments) fitConnections(descriptors uint64) {
	asked := a.settings.MaxConnections
	fit := uint64(1)
	if descriptors > descriptorReserve {
		fit = descriptors - descriptorReserve
	}
	if uint64(asked) > fit {
		a.settings.MaxConnections = int(fit)
		a.lowered = fmt.Sprintf("--max-connections %d is lowered to %d: a process may open %d files here; raise "+
			"that limit (ulimit -n)", asked, fit, descriptors)
	}
	a.sockets = int(min(fit+lingeringSockets, math.MaxInt32))
}
