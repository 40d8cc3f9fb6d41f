// Package foreign starts programs of other implementations, each in a folder of its own and with limits, and ends them
// with every process that they have started. It trusts neither their output nor their end. Isolation reports which
// protections this machine has.
package foreign

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/benbjohnson/clock"

	"bluetrace/sim/foreign/supervisor"
)

// Program is a running program.
type Program struct {
	clock   clock.Clock
	folder  string
	before  content // of the folder at the start
	token   string  // the value of supervisor.TokenName in the environment of its processes
	limits  Limits
	apart   bool // its processes are in a name space of their own
	command *exec.Cmd
	pipes   *pipes        // of its supervisor; nil if the system has none
	output  *os.File      // the read end of its output, or the terminal
	input   *os.File      // nil without Config.Input and Config.Terminal
	ended   chan struct{} // closed when it has ended and its output was read

	mu       sync.Mutex
	last     []string // its last lines
	err      error    // of its end
	exceeded string   // the sentence of the limit for which it was ended
}

// Config describes a program.
type Config struct {
	Command string // a command of the shell sh
	Folder  string // its working directory and home
	Clock   clock.Clock
	Values  []string // names and values: {port} and "13000" replace {port} in Command
	// Input keeps standard input open for Program.Type. Without it the input is empty.
	Input bool
	// Terminal connects standard input and output with a terminal without echo, for programs that buffer the output to
	// a pipe or read passwords from a terminal. It includes Input.
	Terminal bool
	// Line gets each line of standard output and standard error, without its end. A line is cut at maxLine bytes.
	Line func(line string)
	// Bytes gets the output as it arrives, also a prompt without a line end. It may be nil.
	Bytes func(b []byte)
	// Quiet is the time after which Line also gets the beginning of a line, such as a prompt, if no more of it comes. 0
	// is no such time.
	Quiet time.Duration
	// Confine makes every file outside Folder read-only for the program, and its devices and shared memory private. It
	// holds if Isolation().Files does.
	Confine bool
	// Hide has folders and files that the program cannot read. Folder, and folders of PATH with their neighbours, stay
	// visible in them: ~/.pyenv if PATH has ~/.pyenv/shims. It holds if Isolation().Files does.
	Hide   []string
	Limits Limits
	// Hasten is the number of seconds of the program's clock in one second, by libfaketime; 0 and 1 mean real time.
	Hasten int
	// Epoch is the time at which the clocks of hastened programs agreed with the real one. Programs of one Epoch agree
	// with each other. The zero value means the start of the program.
	Epoch time.Time
}

// writerFunc is a function as an io.Writer.
type writerFunc func(b []byte)

func (w writerFunc) Write(b []byte) (int, error) {
	w(b)
	return len(b), nil
}

// Parts are the protections against programs that this machine has.
type Parts struct {
	Network   bool // programs have a network with this process and with nothing else (Reexec)
	Processes bool // a program sees and signals its own processes only, and all of them end with it
	Files     bool // Config.Confine and Config.Hide hold
	// Missing has a sentence for each part that does not work.
	Missing []string
}

const (
	maxLine = 4096 // bytes of a line
	kept    = 5    // last lines that Failure has
	// typeLimit is the time that a program gets to read a typed line, and drainLimit the time to read its output after
	// its end.
	typeLimit  = 100 * time.Millisecond
	drainLimit = 2 * time.Second
	startLimit = time.Minute // of the supervisor of a program, and of a runtime
)

// Start starts a program. Its environment has PATH and a few settings, and nothing else of this process.
func Start(c Config) (*Program, error) {
	p := &Program{
		clock: c.Clock, folder: c.Folder, before: contentOf(c.Folder, content{math.MaxInt64, math.MaxInt}),
		token: rand.Text(), limits: c.Limits.withDefaults(), ended: make(chan struct{}),
	}
	env := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + c.Folder, "TMPDIR=" + c.Folder, "LANG=C.UTF-8", "TZ=UTC", "TERM=dumb",
		"PYTHONUNBUFFERED=1", supervisor.TokenName + "=" + p.token,
	}
	if c.Hasten > 1 {
		variables, err := hastened(c)
		if err != nil {
			return nil, err
		}
		env = append(env, variables...)
	}
	stdin, stdout, err := p.open(c)
	if err != nil {
		return nil, err
	}
	shell := strings.NewReplacer(c.Values...).Replace(c.Command)
	err = p.launch(c, shell, env, stdin, stdout)
	_ = stdin.Close() // the program has its own
	_ = stdout.Close()
	if err != nil {
		p.close()
		return nil, fmt.Errorf("starting %q: %w", c.Command, err)
	}
	lines, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(lines)
		p.read(&c)
	}()
	go p.watch(done)
	go func() {
		err := p.wait()
		p.killAll() // the processes that it has left running
		close(done)
		// A process that was not found may hold the output open.
		t := p.clock.AfterFunc(drainLimit, func() { _ = p.output.Close() })
		<-lines
		t.Stop()
		p.close()
		if c.Hasten > 1 && !Isolation().Files {
			cleanFaketime()
		}
		if sentence := p.limits.folder(p.folder, p.before); sentence != "" {
			p.exceed(sentence)
		}
		p.mu.Lock()
		p.err = err
		p.mu.Unlock()
		close(p.ended)
	}()
	return p, nil
}

// open opens the input and output of a program, and returns its ends of them.
func (p *Program) open(c Config) (stdin, stdout *os.File, err error) {
	if c.Terminal {
		master, slave, err := openTerminal()
		if err != nil {
			return nil, nil, fmt.Errorf("opening a terminal: %w", err)
		}
		p.input, p.output = master, master
		return slave, slave, nil
	}
	if p.output, stdout, err = os.Pipe(); err != nil {
		return nil, nil, err
	}
	if c.Input {
		stdin, p.input, err = os.Pipe()
	} else {
		stdin, err = os.Open(os.DevNull)
	}
	if err != nil {
		p.close()
		return nil, nil, errors.Join(err, stdout.Close())
	}
	return stdin, stdout, nil
}

// close closes this side of input and output.
func (p *Program) close() {
	_ = p.output.Close() // it was only read
	if p.input != nil {
		_ = p.input.Close() // the program has ended
	}
}

// read gives the lines of the output to c.Line until its end, or until the program has exceeded the limit of output.
func (p *Program) read(c *Config) {
	var output io.Reader = p.output
	if c.Quiet > 0 {
		output = &quietReader{p.output, p.clock, c.Quiet}
	}
	if c.Bytes != nil {
		output = io.TeeReader(output, writerFunc(c.Bytes))
	}
	limited := &io.LimitedReader{R: output, N: p.limits.Output}
	r := bufio.NewReaderSize(limited, maxLine)
	for {
		b, err := r.ReadSlice('\n')
		if len(b) > 0 {
			text := Plain(strings.TrimRight(string(b), "\r\n"))
			p.mu.Lock()
			p.last = append(p.last[max(0, len(p.last)-kept+1):], text)
			p.mu.Unlock()
			c.Line(text)
		}
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = r.ReadSlice('\n') // the rest of a long line
		}
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
	}
	if limited.N == 0 {
		p.exceed(fmt.Sprintf("it printed more than %s", size(p.limits.Output)))
	}
	_ = p.output.SetReadDeadline(time.Time{}) // an error means that there was none
	_, _ = io.Copy(io.Discard, p.output)
}

// controls matches the sequences that a terminal takes for a colour, a place of the cursor or a title.
var controls = regexp.MustCompile(`\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()][0-9A-B])`)

// Plain returns a text without the sequences that control a terminal: rules are about words, and not about colours.
func Plain(text string) string { return controls.ReplaceAllString(text, "") }

// quietReader is a reader of a pipe whose reads end with os.ErrDeadlineExceeded after a time without a byte. Where the
// system has no deadlines for pipes, they do not end.
type quietReader struct {
	pipe  *os.File
	clock clock.Clock
	quiet time.Duration
}

// Read implements io.Reader.
func (r *quietReader) Read(b []byte) (int, error) {
	_ = r.pipe.SetReadDeadline(r.clock.Now().Add(r.quiet))
	return r.pipe.Read(b)
}

// Type writes a line to standard input. It returns an error if the program does not read it in typeLimit.
func (p *Program) Type(line string) error { return p.Write(line + "\n") }

// CloseInput ends standard input. A terminal stays open, and gets the character that ends an input.
func (p *Program) CloseInput() error {
	if p.input == p.output {
		return p.Write("\x04")
	}
	return p.input.Close()
}

// Write writes a text to standard input, such as the beginning of a line. Its error is that of Type.
func (p *Program) Write(text string) error {
	if err := p.input.SetWriteDeadline(p.clock.Now().Add(typeLimit)); err != nil {
		return err
	}
	_, err := io.WriteString(p.input, text)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("the program has not read its input for %v: %w", typeLimit, err)
	}
	return err
}

// Ended is closed when the program has ended.
func (p *Program) Ended() <-chan struct{} { return p.ended }

// Failure describes the end of a program that should still run, with its last lines.
func (p *Program) Failure() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	text := "exit status 0"
	if p.exceeded != "" {
		text = "ended: " + p.exceeded
	} else if p.err != nil {
		text = p.err.Error()
	}
	if len(p.last) == 0 {
		return text + ", without output"
	}
	return text + "; last lines: " + strings.Join(slices.Clone(p.last), " | ")
}

// Succeeded reports whether the program has ended with exit status 0. It is called after the end.
func (p *Program) Succeeded() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err == nil && p.exceeded == ""
}

// exceed ends the program because of a limit. The first sentence is kept.
func (p *Program) exceed(sentence string) {
	p.mu.Lock()
	if p.exceeded == "" {
		p.exceeded = sentence
	}
	p.mu.Unlock()
	p.killAll()
}

// End ends the program and every process that it has started: by SIGTERM, and after the limit by SIGKILL. Without
// Isolation().Processes a process stays that has left the group, changed its environment and lost its parents.
func (p *Program) End(limit time.Duration) {
	select {
	case <-p.ended:
		return
	default:
	}
	p.terminate()
	t := p.clock.AfterFunc(limit, p.killAll)
	<-p.ended
	t.Stop()
}

// ErrNotListening is the error of AwaitPort for a program that listens on no port.
var ErrNotListening = errors.New("the server does not listen")

// AwaitPort waits until the program listens on a TCP port of this machine. It returns an error if the program ends
// before, or after the limit. The error names the other ports on which the program listens.
func (p *Program) AwaitPort(ctx context.Context, port uint16, limit time.Duration) error {
	over := p.clock.Timer(limit)
	defer over.Stop()
	again := p.clock.Ticker(20 * time.Millisecond)
	defer again.Stop()
	for !p.owns(port) {
		select {
		case <-p.ended:
			return fmt.Errorf("the server ended before it listened on port %d: %s", port, p.Failure())
		case <-over.C:
			if others := p.ports(); len(others) > 0 {
				return fmt.Errorf("the server listens on %s, not on %d", strings.Join(others, " and "), port)
			}
			return fmt.Errorf("%w on port %d after %v", ErrNotListening, port, limit)
		case <-ctx.Done():
			return ctx.Err()
		case <-again.C:
		}
	}
	return nil
}

// ports returns the ports on which the program listens.
func (p *Program) ports() []string {
	all, _ := p.Listening() // without them the message is shorter
	var ports []string
	for _, a := range all {
		ports = append(ports, fmt.Sprint(a.Port()))
	}
	slices.Sort(ports)
	return slices.Compact(ports)
}

// FreeUDPPort returns a UDP port of 127.0.0.1 that no process uses now.
func FreeUDPPort() (uint16, error) {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return 0, err
	}
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Port(), c.Close()
}

// FreePort returns a TCP port of 127.0.0.1 on which no process listens now.
func FreePort() (uint16, error) {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).AddrPort().Port(), l.Close()
}
