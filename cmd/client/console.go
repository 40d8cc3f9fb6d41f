package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"
)

// console is what a person sees and types at. show and readLine are called by
// one goroutine each.
type console interface {
	// show shows whole lines, each ended with a line feed; apart: on lines of their
	// own, also right behind a line that was read.
	show(text []byte, apart bool) error
	// readLine shows the prompt and reads one line, without its end; io.EOF: there
	// are no more; errOutput: the prompt could not be shown.
	readLine(q question) (string, error)
	// restore gives the terminal back as it was, once; anybody may call it, at any
	// moment.
	restore()
}

// errOutput is that the output takes no more.
var errOutput = errors.New("writing to the output")

// written is the error of a write, without the name of the file.
func written(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", errOutput, withoutName(err))
}

// question is a prompt, and how the answer is read.
type question struct {
	prompt     string
	secret     bool // the answer is not shown
	remembered bool // the answer can be called back for a later one
}

// questionOf is for a phone's prompt. Only commands are remembered: people type
// passwords at the wrong prompt, too.
func questionOf(prompt string) question {
	return question{prompt: prompt, secret: prompt == "Password: ", remembered: prompt == "input the command: "}
}

// restoring is deferred where a panic would leave the terminal as it is.
func restoring(c console) {
	if r := recover(); r != nil {
		c.restore()
		panic(r)
	}
}

// briefly does not wait long for f: a terminal may take nothing more.
func briefly(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	limit := time.NewTimer(flushLimit)
	defer limit.Stop()
	select {
	case <-done:
	case <-limit.C:
	}
}

// openConsole edits lines when both ends are a terminal that can, and is plain
// otherwise: no control sequence is written, and a line is read as it comes.
func openConsole(stdin io.Reader, stdout io.Writer, interrupt func()) (console, error) {
	in, typed := terminalOf(stdin)
	out, shown := terminalOf(stdout)
	if typed && shown && os.Getenv("TERM") != "dumb" {
		return openTerminal(in, out, interrupt)
	}
	p := newPlain(stdin, stdout)
	p.echoed = typed && shown
	if typed {
		state, err := term.GetState(int(in.Fd()))
		if err != nil {
			return nil, fmt.Errorf("asking for the terminal's state: %w", err)
		}
		p.back = func() { _ = term.Restore(int(in.Fd()), state) } // nobody is left to tell
		p.password = func() (string, error) {
			b, err := term.ReadPassword(int(in.Fd()))
			return string(b), err
		}
	}
	return p, nil
}

func terminalOf(stream any) (*os.File, bool) {
	f, ok := stream.(*os.File)
	return f, ok && term.IsTerminal(int(f.Fd()))
}

// openTerminal takes over the terminal.
func openTerminal(in, out *os.File, interrupt func()) (console, error) {
	fd := int(in.Fd())
	state, err := term.MakeRaw(fd)
	if err != nil {
		return nil, fmt.Errorf("taking over the terminal: %w", err)
	}
	signals, resized, resumed := windowSignals()
	t := newTerminal(out, interrupt, func() { _ = term.Restore(fd, state) }) // nobody is left to tell
	resize := func() {
		if width, height, err := term.GetSize(int(out.Fd())); err == nil && width > 0 {
			t.resize(width, height)
		}
	}
	resize()
	go t.keys.pump(in)
	go func() {
		defer restoring(t)
		for s := range signals {
			switch s {
			case resized:
				resize()
			case resumed: // a shell may have changed the terminal meanwhile
				t.again(func() { _, _ = term.MakeRaw(fd) })
			}
		}
	}()
	return t, nil
}
