// Package foreign starts programs of other implementations, each in a folder and a process group of its own, and ends
// them. It trusts neither their output nor their end.
package foreign

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/benbjohnson/clock"
)

// Program is a running program.
type Program struct {
	clock   clock.Clock
	command *exec.Cmd
	output  io.Closer     // the read end of its output
	ended   chan struct{} // closed when it has ended and its output was read

	mu   sync.Mutex
	last []string // its last lines
	err  error    // of its end
}

// Config describes a program.
type Config struct {
	Command string // a command of the shell sh
	Folder  string // its working directory and home
	Clock   clock.Clock
	Values  []string // names and values: {port} and "13000" replace {port} in Command
	// Line gets each line of standard output and standard error, without its end. A line is cut at maxLine bytes.
	Line func(line string)
}

const (
	maxLine = 4096     // bytes of a line
	maxRead = 64 << 20 // bytes of output that are read; the rest is dropped
	kept    = 5        // last lines that Failure has
)

// Start starts a program. Its environment has PATH and a few settings, and nothing else of this process.
func Start(c Config) (*Program, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer func() { _ = write.Close() }() // the program has its own
	p := &Program{clock: c.Clock, output: read, ended: make(chan struct{})}
	p.command = exec.Command("/bin/sh", "-c", strings.NewReplacer(c.Values...).Replace(c.Command))
	p.command.Dir, p.command.Stdout, p.command.Stderr = c.Folder, write, write
	p.command.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + c.Folder, "TMPDIR=" + c.Folder, "LANG=C.UTF-8", "TZ=UTC", "PYTHONUNBUFFERED=1",
	}
	p.command.SysProcAttr = attributes()
	if err := p.command.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("starting %q: %w", c.Command, err), read.Close())
	}
	lines := make(chan struct{})
	go func() {
		defer close(lines)
		p.read(read, c.Line)
	}()
	go func() {
		err := p.command.Wait()
		killGroup(p.command.Process.Pid) // what it has left running
		<-lines
		_ = read.Close() // it was only read
		p.mu.Lock()
		p.err = err
		p.mu.Unlock()
		close(p.ended)
	}()
	return p, nil
}

// read gives the lines of the output to line until its end.
func (p *Program) read(output io.Reader, line func(string)) {
	limited := io.LimitReader(output, maxRead)
	r := bufio.NewReaderSize(limited, maxLine)
	for {
		b, err := r.ReadSlice('\n')
		if len(b) > 0 {
			text := strings.TrimRight(string(b), "\r\n")
			p.mu.Lock()
			p.last = append(p.last[max(0, len(p.last)-kept+1):], text)
			p.mu.Unlock()
			line(text)
		}
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = r.ReadSlice('\n') // the rest of a long line
		}
		if err != nil {
			break
		}
	}
	_, _ = io.Copy(io.Discard, output)
}

// Ended is closed when the program has ended.
func (p *Program) Ended() <-chan struct{} { return p.ended }

// Failure describes the end of a program that should still run, with its last lines.
func (p *Program) Failure() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	text := "exit status 0"
	if p.err != nil {
		text = p.err.Error()
	}
	if len(p.last) == 0 {
		return text + ", without output"
	}
	return text + "; last lines: " + strings.Join(slices.Clone(p.last), " | ")
}

// End ends the program and every process of its group: by SIGTERM, and after the limit by SIGKILL. A process that has
// left the group stays.
func (p *Program) End(limit time.Duration) {
	select {
	case <-p.ended:
		return
	default:
	}
	terminateGroup(p.command.Process.Pid)
	t := p.clock.AfterFunc(limit, func() {
		killGroup(p.command.Process.Pid)
		_ = p.output.Close() // a process that left the group may keep its end open
	})
	<-p.ended
	t.Stop()
}

// AwaitPort waits until a process listens on a TCP port of this machine. It returns an error if the program ends before,
// or after the limit.
func (p *Program) AwaitPort(ctx context.Context, port uint16, limit time.Duration) error {
	over := p.clock.Timer(limit)
	defer over.Stop()
	again := p.clock.Ticker(20 * time.Millisecond)
	defer again.Stop()
	for !listens(port) {
		select {
		case <-p.ended:
			return fmt.Errorf("the server ended before it listened on port %d: %s", port, p.Failure())
		case <-over.C:
			return fmt.Errorf("the server does not listen on port %d after %v", port, limit)
		case <-ctx.Done():
			return ctx.Err()
		case <-again.C:
		}
	}
	return nil
}

// FreePort returns a TCP port of 127.0.0.1 on which no process listens now.
func FreePort() (uint16, error) {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).AddrPort().Port(), l.Close()
}
