package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"github.com/benbjohnson/clock"
	"github.com/spf13/pflag"

	"bluetrace/nodes/socket"
	"bluetrace/protocol"
)

// status is the exit status.
type status int

const (
	ended  status = 0 // by the person: the end of input, Ctrl-C, a signal
	failed status = 1
	wrong  status = 2 // an argument
)

// program is the command with everything of the world outside that it uses.
type program struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	// console is what the person sees; interrupt is called at Ctrl-C.
	console func(stdin io.Reader, stdout io.Writer, interrupt func()) (console, error)
	signals <-chan os.Signal // each of them ends the program
	clock   clock.Clock
	zone    *protocol.Zone
	exit    func(int) // at once
}

// command does what the arguments ask for.
func (p *program) command(arguments []string) status {
	o, help, err := parse(arguments)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		if _, err := io.WriteString(p.stdout, help); err != nil {
			p.complain(written(err))
			return failed
		}
		return ended
	case err != nil:
		fmt.Fprintf(p.stderr, "client: %v; usage: %s\n", err, usage)
		return wrong
	}
	o.settings.Zone = p.zone
	result, err := p.run(&o)
	if err != nil {
		p.complain(err)
		return failed
	}
	return result
}

func (p *program) complain(err error) {
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintln(p.stderr, "client: "+strings.TrimSuffix(line, "\n"))
	}
}

// run takes the UDP port for this phone alone, connects, takes the contact log,
// and lets the person use the phone. A server that is not there leaves no trace.
func (p *program) run(o *options) (result status, err error) {
	stop := newStopper(p.signals, func() { p.exit(int(failed)) })
	defer stop.end()
	udp, err := listen(o.udp)
	if err != nil {
		return failed, err
	}
	defer closeQuietly(udp) // again, when there was a phone
	conn, err := connect(stop.asked, o.server)
	if stop.asked.Err() != nil {
		return ended, nil
	}
	if err != nil {
		return failed, err
	}
	log, err := openLog(o.contactLog)
	if err != nil {
		closeQuietly(conn)
		return failed, err
	}
	defer func() {
		p.tell(log.Notes())
		if closing := log.Close(); err == nil && closing != nil {
			err = fmt.Errorf("closing the contact log: %w", closing)
		}
	}()
	p.tell(log.Notes())
	return p.use(stop, o, udp, log, conn)
}

// use opens the console and the phone, and closes both again.
func (p *program) use(
	stop *stopper, o *options, udp *net.UDPConn, log socket.ContactFile, conn net.Conn,
) (status, error) {
	con, err := p.console(p.stdin, p.stdout, stop.ask)
	if err != nil {
		closeQuietly(conn)
		return failed, fmt.Errorf("opening the terminal: %w", err)
	}
	defer con.restore()
	stop.before(con.restore)
	c := newClient(con, p.zone)
	c.phone, err = socket.NewPhone(socket.PhoneConfig{
		Settings: &o.settings, Server: o.server, UDP: udp, Clock: p.clock, Origin: p.clock.Now(),
		Lock: &c.lock, Observer: c, Log: log, Dial: dialAfter(conn), OnPanic: con.restore,
	})
	if err != nil {
		closeQuietly(conn)
		return failed, err
	}
	c.start()
	result := c.wait(stop.asked)
	return result, errors.Join(c.phone.Close(), c.finish())
}

// tell says what became of the contact log's files.
func (p *program) tell(notes []string) {
	for _, note := range notes {
		fmt.Fprintf(p.stderr, "client: %s\n", note)
	}
}

// dialAfter gives the connection that was made before there was a phone, then
// others.
func dialAfter(first net.Conn) func(context.Context, string) (net.Conn, error) {
	return func(ctx context.Context, address string) (net.Conn, error) {
		if conn := first; conn != nil {
			first = nil
			return conn, nil
		}
		return dial(ctx, address)
	}
}
