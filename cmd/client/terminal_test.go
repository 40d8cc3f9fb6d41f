package main

import (
	"io"
	"strings"
	"testing"
	"time"
)

// terminalRig is a terminal with a simulated user.
type terminalRig struct {
	t        testing.TB
	term     *terminal
	out      lockedBuffer
	keys     *io.PipeWriter
	lines    chan string
	ends     chan error
	stopped  chan struct{}
	restored int
}

func newTerminalRig(t testing.TB) *terminalRig {
	in, keys := io.Pipe()
	d := &terminalRig{t: t, keys: keys, lines: make(chan string, 9), ends: make(chan error, 9),
		stopped: make(chan struct{}, 9)}
	d.term = newTerminal(&d.out, func() { d.stopped <- struct{}{} }, func() { d.restored++ })
	d.term.resize(40, 20)
	go d.term.keys.pump(in)
	t.Cleanup(func() { keys.Close() })
	return d
}

// asks starts to read a line and waits for its prompt.
func (d *terminalRig) asks(prompt string) {
	d.reads(prompt)
	d.shows(prompt + "|")
}

func (d *terminalRig) reads(prompt string) {
	go func() {
		line, err := d.term.readLine(questionOf(prompt))
		if err != nil {
			d.ends <- err
			return
		}
		d.lines <- line
	}()
}

func (d *terminalRig) types(keys string) {
	d.t.Helper()
	if _, err := io.WriteString(d.keys, keys); err != nil {
		d.t.Fatal(err)
	}
}

// shows waits until the screen ends with this; "|" is the cursor.
func (d *terminalRig) shows(want string) {
	d.t.Helper()
	for end := time.Now().Add(hang); ; yield() {
		got := drawn(40, d.out.String())
		if strings.HasSuffix(got, want) {
			return
		}
		if time.Now().After(end) {
			d.t.Fatalf("the screen is\n%s\nand not\n%s", got, want)
		}
	}
}

func (d *terminalRig) got(want string) {
	d.t.Helper()
	select {
	case line := <-d.lines:
		expect(d.t, "line", line, want)
	case <-time.After(hang):
		d.t.Fatalf("no line; want %q", want)
	}
}

// The line being typed is drawn again below a beacon that arrives.
func TestTypedLineIsDrawnAgain(t *testing.T) {
	d := newTerminalRig(t)
	d.asks("input the command: ")
	d.types("Upload_co")
	d.shows("input the command: Upload_co|")
	d.term.show([]byte(verdict), false)
	d.shows(verdict + "input the command: Upload_co|")
	expect(t, "from the top", drawn(40, d.out.String()), verdict+"input the command: Upload_co|")
	d.types("ntact_log\r")
	d.got("Upload_contact_log")
	d.term.show([]byte("more\n"), false)
	expect(t, "the screen", drawn(40, d.out.String()), verdict+"input the command: Upload_contact_log\nmore\n|")
}

// A line of several rows is drawn again with the cursor in its middle.
func TestLongLineIsDrawnAgain(t *testing.T) {
	d := newTerminalRig(t)
	long := strings.Repeat("abcdefghi ", 8)
	d.asks("input the command: ")
	d.types(long + strings.Repeat("\x1b[D", 35))
	const screen = "input the command: abcdefghi abcdefghi a\nbcdefghi abcdefghi abcde|fghi abcdefghi a\nbcdefghi " +
		"abcdefghi"
	d.shows(screen)
	d.term.show([]byte("The beacon is invalid.\n"), false)
	d.shows("The beacon is invalid.\n" + screen)
	d.types("X\r")
	d.got(long[:45] + "X" + long[45:])
}

// A password is never shown: not while it is typed, not below a beacon, not after a
// change of the window. The arrow keys do not bring commands into it.
func TestPasswordIsNotShown(t *testing.T) {
	d := newTerminalRig(t)
	d.asks("input the command: ")
	d.types("whatsthedate\r")
	d.got("whatsthedate")
	d.asks("Password: ")
	d.types("comp")
	d.term.show([]byte("The beacon is invalid.\n"), false)
	d.term.resize(20, 20)
	d.term.resize(60, 20)
	d.types("\x1b[A3331\r")
	d.got("comp3331")
	d.asks("input the command: ")
	d.types("\x1b[A")
	d.shows("input the command: whatsthedate|")
	d.types("\x1b[A")
	if strings.Contains(d.out.String(), "comp") || strings.Contains(d.out.String(), "3331") {
		t.Errorf("the password was shown: %q", d.out.String())
	}
}

// Only answers to the prompt for commands are remembered.
func TestUsernameIsNotRemembered(t *testing.T) {
	d := newTerminalRig(t)
	d.asks("Username: ")
	d.types("secret\r")
	d.got("secret")
	d.asks("input the command: ")
	d.types("\x1b[Ax")
	d.shows("input the command: x|")
}

func TestHistoryIsBounded(t *testing.T) {
	h := &newTerminal(io.Discard, func() {}, func() {}).history
	h.on = true
	for range 3 * 100 {
		h.Add("x")
	}
	h.Add("last")
	h.Add("")
	expect(t, "lines", h.Len(), 100)
	expect(t, "the last", h.At(0), "last")
	expect(t, "the one before", h.At(1), "x")
}

// Ctrl-C works at any moment, also while no line is being read. Keys typed ahead wait
// for their prompt.
func TestCtrlC(t *testing.T) {
	d := newTerminalRig(t)
	d.types("ahead\r")
	d.types("\x03")
	within(t, d.stopped)
	d.reads("input the command: ")
	d.got("ahead")
	d.asks("Password: ")
	d.types("a\x03b\r")
	within(t, d.stopped)
	d.got("ab")
	expect(t, "typed text", strings.Contains(drawn(40, d.out.String()), "input the command: ahead\n"), true)
}

func within(t testing.TB, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(hang):
		t.Fatal("nothing happens")
	}
}

func TestCtrlDEndsTheInput(t *testing.T) {
	d := newTerminalRig(t)
	d.asks("input the command: ")
	d.types("x\x04\x7f\x04") // Ctrl-D on a line that is not empty has no effect
	expect(t, "error", <-d.ends, io.EOF)
	d.term.restore()
	d.term.restore()
	expect(t, "restored", d.restored, 1)
	expect(t, "a line of its own for the shell", strings.HasSuffix(d.out.String(), "\n"), true)
}

// The end of the terminal is the end of input, after the typed keys.
func TestTerminalIsClosed(t *testing.T) {
	d := newTerminalRig(t)
	d.types("last\rhalf")
	d.keys.CloseWithError(io.ErrUnexpectedEOF)
	d.reads("input the command: ")
	d.got("last")
	d.reads("input the command: ")
	expect(t, "error", <-d.ends, io.ErrUnexpectedEOF)
}

// Keys without a meaning (Ctrl-Z, Ctrl-\, an escape sequence without an end) change
// nothing and block nothing.
func TestStrangeKeys(t *testing.T) {
	d := newTerminalRig(t)
	d.asks("input the command: ")
	d.types("log\x1a\x1c\x13\x1b[" + strings.Repeat("1;", 400) + "\r")
	d.got("log" + strings.Repeat("1;", 400)[maxKey-1:])
}

// Lines that are pasted while the terminal is in bracketed paste mode are read like typed
// ones, at each prompt, also if the sequences around them come in pieces.
func TestPastedLines(t *testing.T) {
	for _, size := range []int{1, 4, 4096} {
		d := newTerminalRig(t)
		pastes := func(text string) {
			for keys := pasteStart + text + pasteEnd; keys != ""; {
				n := min(size, len(keys))
				d.types(keys[:n])
				keys = keys[n:]
			}
		}
		d.asks("Username: ")
		pastes("anna\rpw1\rDownload_tempID\rDownload_tempID\rlog ")
		d.got("anna")
		d.reads("Password: ")
		d.got("pw1")
		for range 2 {
			d.reads("input the command: ")
			d.got("Download_tempID")
		}
		d.reads("input the command: ")
		d.shows("input the command: log |")
		d.types("x\x7f")
		pastes("out\r")
		d.got("log out")
		if strings.Contains(d.out.String(), "pw1") {
			t.Error("the pasted password was shown")
		}
		d.reads("input the command: ")
		d.types("\x04")
		expect(t, "after a paste, Ctrl-D", <-d.ends, io.EOF)
	}
}

// A paste without an end, or an end without a beginning, leaves all keys as they are.
func TestUnfinishedPastes(t *testing.T) {
	for _, text := range []string{pasteStart + "abc", pasteEnd + "abc", pasteStart + pasteStart + "abc"} {
		d := newTerminalRig(t)
		d.types(text + "\r")
		d.reads("input the command: ")
		d.got("abc")
		d.reads("input the command: ")
		d.types("\x04")
		expect(t, "Ctrl-D", <-d.ends, io.EOF)
	}
}

// Keys typed ahead cost bounded memory.
func TestKeysAheadAreBounded(t *testing.T) {
	k := newKeyboard(func() {})
	for range 100 {
		k.add([]byte(strings.Repeat("x", 4096)), nil)
	}
	expect(t, "bytes", len(k.waiting), maxTypeahead)
	k.add(nil, io.EOF)
	b, err := io.ReadAll(k)
	expect(t, "error", err, nil)
	expect(t, "read", len(b), maxTypeahead)
}

func TestPanicRestoresTheTerminal(t *testing.T) {
	d := newTerminalRig(t)
	defer func() {
		expect(t, "the panic goes on", recover(), any("broken"))
		expect(t, "restored", d.restored, 1)
	}()
	func() {
		defer restoreOnPanic(d.term)
		panic("broken")
	}()
}

// A restored terminal stays restored.
func TestResumedAfterTheEnd(t *testing.T) {
	d := newTerminalRig(t)
	raw := 0
	d.term.resume(func() { raw++ })
	expect(t, "taken", raw, 1)
	d.term.restore()
	d.term.resume(func() { raw++ })
	expect(t, "given back each time", d.restored, raw)
}

// Bytes that are no UTF-8, as of a terminal in Latin-1, are dropped, and hold back no line. The
// characters around them stay, also if they come in pieces.
func TestBytesThatAreNoCharacter(t *testing.T) {
	for _, size := range []int{1, 2, 4096} {
		for _, c := range []struct{ typed, read string }{
			{"caf\xe9", "caf"}, {"\xe9\x1b[200~x", "x"}, {"a\xff\xe2\x82b", "ab"}, {"\ufffdz", "z"},
			{"\u00e9\u20ac", "\u00e9\u20ac"},
		} {
			d := newTerminalRig(t)
			for keys := c.typed + "\rlog out\r"; keys != ""; {
				n := min(size, len(keys))
				d.types(keys[:n])
				keys = keys[n:]
			}
			d.reads("input the command: ")
			d.got(c.read)
			d.reads("input the command: ")
			d.got("log out")
			d.reads("input the command: ")
			d.types("\x04")
			expect(t, "Ctrl-D", <-d.ends, io.EOF)
		}
	}
}
