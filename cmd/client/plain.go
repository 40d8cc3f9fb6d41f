package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"
)

// lineLimit is how many bytes of a line are read; no line that is longer means
// anything to the phone, and it says so.
const lineLimit = 4096

// plain is a console without a terminal: what is shown and read stays as it is,
// as with Python's input(). Text that comes while a line is awaited begins on a
// line of its own.
type plain struct {
	in       *bufio.Reader
	password func() (string, error) // reads without an echo; nil: a line as any other
	back     func()                 // gives the terminal back; nil: there is none
	echoed   bool                   // the device shows what is typed, with its line end

	mu      sync.Mutex
	out     io.Writer
	pending bool // the output ends with a prompt that awaits its answer
	open    bool // the output ends with a prompt
}

func newPlain(in io.Reader, out io.Writer) *plain {
	return &plain{in: bufio.NewReaderSize(in, lineLimit), out: out}
}

func (p *plain) show(text []byte, apart bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pending || apart && p.open {
		text = append([]byte{'\n'}, text...)
	}
	p.pending, p.open = false, false
	_, err := p.out.Write(text)
	return written(err)
}

func (p *plain) readLine(q question) (string, error) {
	p.mu.Lock()
	p.pending, p.open = q.prompt != "", p.open || q.prompt != ""
	_, err := io.WriteString(p.out, q.prompt)
	p.mu.Unlock()
	if err != nil {
		return "", written(err)
	}
	line, err := p.line(q.secret)
	if err != nil {
		return "", err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pending, p.open = false, p.open && !p.echoed
	return line, nil
}

func (p *plain) line(secret bool) (string, error) {
	if secret && p.password != nil {
		return p.hidden()
	}
	return readLine(p.in)
}

// hidden reads a password; its line end was typed and not shown.
func (p *plain) hidden() (string, error) {
	line, err := p.password()
	if err != nil {
		return "", err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	_, err = io.WriteString(p.out, "\n")
	p.open = false
	return line, written(err)
}

// readLine reads up to a line feed or the end, and of a long line only the
// beginning. A carriage return before the line feed belongs to the line's end.
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

func (p *plain) restore() {
	if p.back != nil {
		p.back()
	}
	briefly(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.pending {
			p.pending = false
			_, _ = io.WriteString(p.out, "\n") // nobody is left to tell
		}
	})
}
