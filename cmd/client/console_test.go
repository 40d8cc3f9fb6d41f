package main

import (
	"bufio"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
)

func TestReadLine(t *testing.T) {
	long := strings.Repeat("x", maxLine)
	in := bufio.NewReaderSize(strings.NewReader("one\n\ntwo\r\n"+long+long+"tail\nafter\n"+long+"\nlast"), maxLine)
	for _, want := range []string{"one", "", "two", long, "after", long, "last"} {
		got, err := readLine(in)
		expect(t, "line", got, want)
		expect(t, "error", err, nil)
	}
	_, err := readLine(in)
	expect(t, "the end", err, io.EOF)
}

// zeros is an input of zero bytes without a line end.
type zeros struct{ left int }

func (z *zeros) Read(p []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	n := min(len(p), z.left)
	clear(p[:n])
	z.left -= n
	return n, nil
}

func TestEndlessLineCostsNoMemory(t *testing.T) {
	in := bufio.NewReaderSize(&zeros{256 << 20}, maxLine)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	line, err := readLine(in)
	runtime.ReadMemStats(&after)
	expect(t, "length", len(line), maxLine)
	expect(t, "error", err, nil)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20 {
		t.Errorf("%d bytes were allocated", grown)
	}
}

// An error ends the input. The incomplete line before it does not count.
func TestBrokenInput(t *testing.T) {
	in, writer := io.Pipe()
	go func() {
		io.WriteString(writer, "half")
		writer.CloseWithError(errors.New("broken"))
	}()
	_, err := readLine(bufio.NewReader(in))
	expect(t, "error", err.Error(), "broken")
}

// With input from a terminal and output to a file, the password is read without an
// echo.
func TestHiddenPassword(t *testing.T) {
	var out lockedBuffer
	p := newPlain(strings.NewReader("user\n"), &out)
	p.password = func() (string, error) { return "comp3331", nil }
	back := 0
	p.restoreDevice = func() { back++ }
	for _, e := range []struct{ prompt, want string }{{"Username: ", "user"}, {"Password: ", "comp3331"}} {
		line, err := p.readLine(questionOf(e.prompt))
		expect(t, e.prompt, line, e.want)
		expect(t, "error", err, nil)
	}
	p.show([]byte("Welcome\n"), false)
	p.password = func() (string, error) { return "", io.EOF }
	_, err := p.readLine(questionOf("Password: "))
	expect(t, "the end", err, io.EOF)
	p.restore()
	expect(t, "output", out.String(), "Username: Password: \nWelcome\nPassword: \n")
	expect(t, "given back", back, 1)
}
