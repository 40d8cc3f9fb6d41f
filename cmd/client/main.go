// Command client is one user's phone: it logs in to a BlueTrace server, exchanges
// beacons with other phones and keeps the valid ones in its contact log.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/spf13/pflag"

	"bluetrace/cmd/internal/dashes"
	"bluetrace/cmd/internal/localzone"
	"bluetrace/nodes/files"
	"bluetrace/nodes/socket"
	"bluetrace/protocol"
)

func main() {
	if err := localzone.Check(os.Getenv("TZ"), time.Local); err != nil {
		fmt.Fprintln(os.Stderr, "client: "+err.Error())
		os.Exit(int(failed))
	}
	p := program{
		stdin:   os.Stdin,
		stdout:  os.Stdout,
		stderr:  os.Stderr,
		console: openConsole,
		signals: stopSignals(),
		clock:   clock.New(),
		zone:    protocol.NewZone(time.Local),
		about:   localzone.Describe(time.Local, time.Now()),
		exit:    os.Exit,
	}
	os.Exit(int(p.command(os.Args[1:])))
}

// status is an exit status.
type status int

const (
	ended  status = 0 // the end of input, Ctrl-C or another signal
	failed status = 1
	wrong  status = 2 // an argument is not valid
)

// program is the command with all its inputs and outputs.
type program struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	// console opens the console, which calls interrupt at Ctrl-C.
	console func(stdin io.Reader, stdout io.Writer, interrupt func()) (console, error)
	signals <-chan os.Signal // the signals that end the program
	clock   clock.Clock
	zone    *protocol.Zone
	about   string    // the line about the zone
	exit    func(int) // os.Exit, except in tests
}

// command runs the client of a command line and returns the exit status.
func (p *program) command(arguments []string) status {
	o, help, err := parse(arguments)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		if _, err := io.WriteString(p.stdout, help); err != nil {
			p.complain(outputError(err))
			return failed
		}
		return ended
	case err != nil:
		p.complain(fmt.Errorf("%s; usage: %s", strings.Join(strings.Fields(err.Error()), " "), usage))
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

func (p *program) complain(err error) { dashes.Complain(p.stderr, "client", err) }

// run opens the UDP port, the connection and the contact log, in this order, and runs the
// phone. So it writes no file if the server cannot be reached.
func (p *program) run(o *options) (result status, err error) {
	stop := newStopper(p.signals, func() { p.exit(int(failed)) })
	defer stop.end()
	udp, err := listen(o.udp)
	if err != nil {
		return failed, err
	}
	defer closeQuietly(udp) // without effect after the phone has closed it
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
		p.printNotes(log.Notes())
		if closing := log.Close(); err == nil && closing != nil {
			err = fmt.Errorf("closing the contact log: %w", closing)
		}
	}()
	p.printNotes(log.Notes())
	if p.about != "" {
		fmt.Fprintf(p.stderr, "client: %s\n", p.about)
	}
	return p.runPhone(stop, o, udp, log, conn)
}

// runPhone opens the console and the phone, waits for the end, and closes both.
func (p *program) runPhone(
	stop *stopper, o *options, udp *net.UDPConn, log files.ContactFile, conn net.Conn,
) (status, error) {
	con, err := p.console(p.stdin, p.stdout, stop.ask)
	if err != nil {
		closeQuietly(conn)
		return failed, fmt.Errorf("opening the terminal: %w", err)
	}
	defer con.restore()
	stop.beforeExit(con.restore)
	c := &client{zone: p.zone, screen: newScreen(con), over: make(chan status, 1)}
	c.phone, err = socket.NewPhone(socket.PhoneConfig{
		Settings: &o.settings, Server: o.server, UDP: udp, Clock: p.clock, Origin: p.clock.Now(),
		Lock: &c.lock, Observer: c, Log: log, Dial: dialAfter(conn), OnPanic: con.restore,
	})
	if err != nil {
		closeQuietly(conn)
		return failed, err
	}
	c.start()
	result := ended
	select {
	case <-stop.asked.Done():
	case result = <-c.over:
	}
	return result, errors.Join(c.phone.Close(), c.screen.close()) // not after the line that is being typed
}

// stopSignals returns a channel of the signals that end the program in an orderly way:
// SIGINT, SIGTERM, and SIGHUP unless it is ignored (nohup). It makes the program ignore
// SIGPIPE, so that a closed output is an error of the next write.
func stopSignals() <-chan os.Signal {
	c := make(chan os.Signal, 4)
	signal.Ignore(syscall.SIGPIPE)
	signal.Notify(c, syscall.SIGINT, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(c, syscall.SIGHUP)
	}
	return c
}

// printNotes prints the notes of the contact log, such as skipped lines of a file.
func (p *program) printNotes(notes []files.Note) {
	for _, note := range notes {
		p.complain(errors.New(note.Text))
	}
}

// dialAfter returns a function for socket.PhoneConfig.Dial. Its first call returns the
// connection first. Each later call dials.
func dialAfter(first net.Conn) func(context.Context, string) (net.Conn, error) {
	return func(ctx context.Context, address string) (net.Conn, error) {
		if conn := first; conn != nil {
			first = nil
			return conn, nil
		}
		return socket.Dial(ctx, address)
	}
}

// listen opens the UDP port. Its error has advice for the user.
func listen(at netip.AddrPort) (*net.UDPConn, error) {
	udp, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("the UDP port %d is in use: use another client_udp_port", at.Port())
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("%v is not an address of this machine: use another --host", at.Addr())
	case err != nil:
		return nil,
			fmt.Errorf("opening the UDP port %d: %s; use another client_udp_port", at.Port(), socket.Reason(err))
	}
	return udp, nil
}

// connect makes the first connection to the server. Its error has advice for the user.
func connect(ctx context.Context, address string) (net.Conn, error) {
	conn, err := socket.Dial(ctx, address)
	if _, unknown := errors.AsType[*net.DNSError](err); unknown {
		host, _, _ := net.SplitHostPort(address)
		return nil, fmt.Errorf("unknown host name %q: give the server's IP address", host)
	}
	if err != nil {
		return nil,
			fmt.Errorf("cannot connect to the server at %s: %s; is it running there?", address, socket.Reason(err))
	}
	return conn, nil
}

// closeQuietly closes c and ignores the error.
func closeQuietly(c io.Closer) { _ = c.Close() }

// stopper ends the program. The first request, by a signal or Ctrl-C, cancels a
// context. The second exits at once.
type stopper struct {
	asked  context.Context // done after the first request
	cancel context.CancelFunc
	exit   func()
	over   chan struct{} // closed by end

	mu      sync.Mutex
	cleanUp func() // called before exit
}

func newStopper(signals <-chan os.Signal, exit func()) *stopper {
	s := &stopper{exit: exit, over: make(chan struct{}), cleanUp: func() {}}
	s.asked, s.cancel = context.WithCancel(context.Background())
	go func() {
		for {
			select {
			case sig := <-signals:
				if sig != syscall.SIGHUP || s.asked.Err() == nil { // a terminal that closes may send several
					s.ask()
				}
			case <-s.over:
				return
			}
		}
	}()
	return s
}

// beforeExit sets the function to call before the program exits at once.
func (s *stopper) beforeExit(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cleanUp = f
}

// ask requests the end of the program.
func (s *stopper) ask() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asked.Err() != nil {
		s.cleanUp()
		s.exit()
	}
	s.cancel()
}

// end stops the handling of signals.
func (s *stopper) end() {
	s.cancel()
	close(s.over)
}

// maxLinks is the largest number of links from the name of the contact log to its
// file.
const maxLinks = 40

// openLog opens the contact log at path. Its error has advice for the user.
func openLog(path string) (*files.ContactLog, error) {
	path, err := resolve(path)
	if err != nil {
		return nil, fmt.Errorf("%w; name another file with --contact-log", err)
	}
	log, err := files.OpenContactLog(files.Disk(filepath.Dir(path)), filepath.Base(path))
	if err != nil {
		return nil, fmt.Errorf("%w; name another file with --contact-log", err)
	}
	return log, nil
}

// resolve follows symbolic links and returns the path of the file itself. The file need
// not exist yet, but its folder must.
func resolve(path string) (string, error) {
	for range maxLinks {
		dir, err := filepath.EvalSymlinks(filepath.Dir(path))
		if errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("the folder %q of the contact log does not exist", filepath.Dir(path))
		}
		if err != nil {
			return "", fmt.Errorf("finding the contact log %q: %w", path, files.WithoutPath(err))
		}
		path = filepath.Join(dir, filepath.Base(path))
		target, _ := os.Readlink(path) // empty if it is no link
		if target == "" {
			return path, nil
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(dir, target)
		}
		path = target
	}
	return "", fmt.Errorf("the contact log %q is a circle of links", path)
}
