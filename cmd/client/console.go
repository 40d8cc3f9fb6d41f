package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"bluetrace/nodes/files"
)

// console shows text to the user and reads lines. Only one goroutine may call show,
// and only one may call readLine.
type console interface {
	// show shows whole lines, each with its line feed. If apart is true, the first one
	// begins on a new line, even if the cursor is behind a line that the user has typed.
	show(text []byte, apart bool) error
	// readLine shows the prompt and returns one line, without its line end. It
	// returns io.EOF at the end of input, and errOutput if the prompt could not be
	// shown.
	readLine(q question) (string, error)
	// restore sets the terminal back to its first state. It may be called by any
	// goroutine, several times.
	restore()
}

// errOutput is the error of an output that fails.
var errOutput = errors.New("writing to the output")

// outputError wraps the error of a write in errOutput, without the name of the file. It
// returns nil for nil.
func outputError(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", errOutput, files.WithoutPath(err))
}

// question is a prompt, and the way to read the answer.
type question struct {
	prompt     string
	secret     bool // the answer is not shown
	remembered bool // the answer is added to the history
}

// questionOf returns the question for a phone's prompt. Only commands are
// remembered: users sometimes type a password at the prompt for the username.
func questionOf(prompt string) question {
	return question{prompt: prompt, secret: prompt == "Password: ", remembered: prompt == "input the command: "}
}

// restoreOnPanic restores the terminal before a panic ends the program. It must be called
// by defer.
func restoreOnPanic(c console) {
	if r := recover(); r != nil {
		c.restore()
		panic(r)
	}
}

// runBriefly runs f in a goroutine, because f may block at a terminal, and waits for its
// end, for at most flushLimit.
func runBriefly(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	awaitBriefly(done)
}

// awaitBriefly waits until done is closed, for at most flushLimit. It returns false if
// done is still open then.
func awaitBriefly(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	case <-time.After(flushLimit):
		return false
	}
}

// openConsole returns a terminal with a line editor if input and output are a
// terminal that supports it, and otherwise a plain console, which writes no control
// sequences.
func openConsole(stdin io.Reader, stdout io.Writer, interrupt func()) (console, error) {
	in, inIsTerminal := terminalOf(stdin)
	out, outIsTerminal := terminalOf(stdout)
	if inIsTerminal && outIsTerminal && os.Getenv("TERM") != "dumb" {
		return openTerminal(in, out, interrupt)
	}
	p := newPlain(stdin, stdout)
	p.echoed = inIsTerminal && outIsTerminal
	if inIsTerminal {
		state, err := term.GetState(int(in.Fd()))
		if err != nil {
			return nil, fmt.Errorf("reading the terminal's state: %w", err)
		}
		p.restoreDevice = func() { _ = term.Restore(int(in.Fd()), state) } // the program is at its end
		p.password = func() (string, error) {
			b, err := term.ReadPassword(int(in.Fd()))
			return string(b), err
		}
	}
	return p, nil
}

// terminalOf returns the file of a stream and reports whether it is a terminal.
func terminalOf(stream any) (*os.File, bool) {
	f, ok := stream.(*os.File)
	return f, ok && term.IsTerminal(int(f.Fd()))
}

// openTerminal sets the terminal to raw mode and returns a console with a line editor. It
// calls interrupt at Ctrl-C.
func openTerminal(in, out *os.File, interrupt func()) (console, error) {
	fd := int(in.Fd())
	state, err := term.MakeRaw(fd)
	if err != nil {
		return nil, fmt.Errorf("setting the terminal to raw mode: %w", err)
	}
	signals, resized, resumed := windowSignals()
	t := newTerminal(out, interrupt, func() { _ = term.Restore(fd, state) }) // the program is at its end
	resize := func() {
		if width, height, err := term.GetSize(int(out.Fd())); err == nil && width > 0 {
			t.resize(width, height)
		}
	}
	resize()
	go t.keys.pump(in)
	go func() {
		defer restoreOnPanic(t)
		for s := range signals {
			switch s {
			case resized:
				resize()
			case resumed: // a shell may have changed the terminal since
				t.resume(func() { _, _ = term.MakeRaw(fd) })
			}
		}
	}()
	return t, nil
}

// maxLine is the number of bytes after which a line is cut. No valid input is longer.
const maxLine = 4096

// plain is a console without a line editor. It writes text and reads lines unchanged, like
// Python's input(). Text that is shown while the user types a line begins on a new line.
type plain struct {
	in            *bufio.Reader
	password      func() (string, error) // reads without an echo; nil if input is no terminal
	restoreDevice func()                 // nil if input is no terminal
	echoed        bool                   // the terminal shows the typed line and its line end

	mu      sync.Mutex
	out     io.Writer
	pending bool // the output ends with a prompt, and its line has not been read yet
	open    bool // the output ends with a prompt, and no line end is shown behind it
}

func newPlain(in io.Reader, out io.Writer) *plain {
	return &plain{in: bufio.NewReaderSize(in, maxLine), out: out}
}

// show implements console.
func (p *plain) show(text []byte, apart bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pending || apart && p.open {
		text = append([]byte{'\n'}, text...)
	}
	p.pending, p.open = false, false
	_, err := p.out.Write(text)
	return outputError(err)
}

// readLine implements console.
func (p *plain) readLine(q question) (string, error) {
	p.mu.Lock()
	p.pending, p.open = q.prompt != "", p.open || q.prompt != ""
	_, err := io.WriteString(p.out, q.prompt)
	p.mu.Unlock()
	if err != nil {
		return "", outputError(err)
	}
	var line string
	if q.secret && p.password != nil {
		line, err = p.readPassword()
	} else {
		line, err = readLine(p.in)
	}
	if err != nil {
		return "", err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pending, p.open = false, p.open && !p.echoed
	return line, nil
}

// readPassword reads a line without an echo, and shows its line end.
func (p *plain) readPassword() (string, error) {
	line, err := p.password()
	if err != nil {
		return "", err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	_, err = io.WriteString(p.out, "\n")
	p.open = false
	return line, outputError(err)
}

// readLine reads a line up to its line feed or the end of input. It returns the
// first maxLine bytes of a longer line. A carriage return before the line feed
// belongs to the line end.
func readLine(in *bufio.Reader) (string, error) {
	b, err := in.ReadSlice('\n')
	line := strings.Clone(string(bytes.TrimSuffix(b, []byte("\n"))))
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = in.ReadSlice('\n')
	}
	if err != nil && (line == "" || !errors.Is(err, io.EOF)) {
		return "", err
	}
	return strings.TrimSuffix(line, "\r"), nil
}

// restore implements console.
func (p *plain) restore() {
	if p.restoreDevice != nil {
		p.restoreDevice()
	}
	runBriefly(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.pending {
			p.pending = false
			_, _ = io.WriteString(p.out, "\n") // the program is at its end
		}
	})
}
