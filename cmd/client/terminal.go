package main

import (
	"bytes"
	"io"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"golang.org/x/term"
)

// terminal is a console with a line editor. It draws the line being typed again
// below each text that it shows. The device is in raw mode: it neither shows typed
// keys nor turns any into a signal.
type terminal struct {
	keys          *keyboard
	out           *ttyWriter
	editor        *term.Terminal
	history       history
	restoreDevice func()

	reading  atomic.Bool // the cursor may be behind a prompt
	restored atomic.Bool // restore was called

	mu            sync.Mutex
	secret        bool // a password is being read
	width, height int  // the size to set after the password, in characters; 0 if it has not changed
}

// newTerminal returns a terminal on the device out. It calls interrupt at Ctrl-C, and
// restoreDevice at its end.
func newTerminal(out io.Writer, interrupt, restoreDevice func()) *terminal {
	t := &terminal{keys: newKeyboard(interrupt), out: &ttyWriter{out: out}, restoreDevice: restoreDevice}
	t.editor = term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{t.keys, t.out}, "")
	t.history.History = t.editor.History
	t.editor.History = &t.history
	return t
}

// show implements console.
func (t *terminal) show(text []byte, _ bool) error {
	t.out.hold()
	_, err := t.editor.Write(text)
	if released := t.out.release(); err == nil {
		err = released
	}
	return outputError(err)
}

// readLine implements console.
func (t *terminal) readLine(q question) (line string, err error) {
	t.reading.Store(true)
	t.setSecret(q.secret)
	defer t.setSecret(false)
	t.history.on = q.remembered
	if q.secret {
		line, err = t.editor.ReadPassword(q.prompt)
	} else {
		t.editor.SetPrompt(q.prompt)
		line, err = t.editor.ReadLine()
	}
	t.reading.Store(err != nil)
	return line, err
}

// setSecret sets whether a password is being read. Otherwise it sets the size that resize noted.
func (t *terminal) setSecret(secret bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.secret = secret
	if !secret && t.width > 0 {
		_ = t.editor.SetSize(t.width, t.height) // an error shows at the next output
		t.width = 0
	}
}

// resize sets the size of the window, in characters. While a password is being read, it
// only notes the size for setSecret: the editor would draw the line again and show the password.
func (t *terminal) resize(width, height int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.secret {
		t.width, t.height = width, height
		return
	}
	_ = t.editor.SetSize(width, height) // an error shows at the next output
}

// resume continues after the program was stopped. It sets raw mode again by the function
// raw, and draws the line. If the terminal was restored already, it restores it again.
func (t *terminal) resume(raw func()) {
	raw()
	if t.restored.Load() {
		t.restoreDevice()
		return
	}
	_, _ = t.editor.Write(nil) // draws the line; an error shows at the next output
}

// restore implements console.
func (t *terminal) restore() {
	if t.restored.Swap(true) {
		return
	}
	t.restoreDevice()
	if t.reading.Load() {
		runBriefly(func() { _, _ = io.WriteString(t.out, "\n") }) // the program is at its end
	}
}

// history holds the last 100 typed commands, which the arrow keys recall.
type history struct {
	term.History      // that of the editor
	on           bool // the line that is being read uses the history
}

// Add implements term.History.
func (h *history) Add(line string) {
	if h.on && line != "" {
		h.History.Add(line)
	}
}

// Len implements term.History.
func (h *history) Len() int {
	if !h.on {
		return 0
	}
	return h.History.Len()
}

// ttyWriter collects the small writes of the editor between hold and release, and writes
// them to the device together, so that the line does not flicker.
type ttyWriter struct {
	out io.Writer

	mu     sync.Mutex
	held   bool
	pieces []byte
}

// hold starts to collect writes.
func (w *ttyWriter) hold() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held = true
}

// release writes the collected bytes.
func (w *ttyWriter) release() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held = false
	_, err := w.out.Write(w.pieces)
	w.pieces = w.pieces[:0]
	return err
}

// Write implements io.Writer.
func (w *ttyWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.held {
		w.pieces = append(w.pieces, p...)
		return len(p), nil
	}
	return w.out.Write(p)
}

const (
	ctrlC  = 3
	escape = 27
	// maxTypeahead is the number of typed bytes that may wait for the program. Further
	// bytes are dropped, as by a terminal.
	maxTypeahead = 64 << 10
	// maxKey is the largest number of bytes that one key sends behind an escape.
	maxKey = 32
)

// keyboard reads the keys of a terminal in raw mode at all times. So Ctrl-C has an effect
// even while no line is being read.
type keyboard struct {
	interrupt func()

	mu      sync.Mutex
	more    sync.Cond
	waiting []byte // keys that the editor has not read yet
	err     error  // the error at the end of the input
	key     []byte // the unfinished bytes of one key: an escape and more, or a part of a character
}

func newKeyboard(interrupt func()) *keyboard {
	k := &keyboard{interrupt: interrupt}
	k.more.L = &k.mu
	return k
}

// pump reads keys from in until its end.
func (k *keyboard) pump(in io.Reader) {
	b := make([]byte, 4096)
	for {
		n, err := in.Read(b)
		for range bytes.Count(b[:n], []byte{ctrlC}) {
			k.interrupt()
		}
		k.add(b[:n], err)
		if err != nil {
			return
		}
	}
}

// add appends keys, and sets the error at the end of the input.
func (k *keyboard) add(b []byte, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, c := range b {
		if c != ctrlC && len(k.waiting) < maxTypeahead {
			k.addByte(c)
		}
	}
	if k.err = err; err != nil {
		k.waiting, k.key = append(k.waiting, k.key...), nil
	}
	k.more.Broadcast()
}

// pasteStart and pasteEnd are the sequences around a text that is pasted while the terminal
// is in bracketed paste mode.
const (
	pasteStart = "\x1b[200~"
	pasteEnd   = "\x1b[201~"
)

// addByte appends the key that a byte completes, if it does: a character, or an escape and what follows, up to a letter
// or a tilde. It drops bytes that are no UTF-8 and the character U+FFFD: the editor would wait for more input, and hold
// back the lines behind them. It drops the sequences around a pasted text, so that each pasted line is read like a
// typed one. After maxKey bytes without an end it ends the sequence with a tilde: otherwise the editor would wait for
// the end forever.
func (k *keyboard) addByte(c byte) {
	k.key = append(k.key, c)
	if k.key[0] != escape {
		k.addRunes()
		return
	}
	isEnd := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '~'
	if len(k.key) > maxKey && !isEnd {
		k.key, isEnd = append(k.key, '~'), true
	}
	if !isEnd {
		return
	}
	if key := string(k.key); key != pasteStart && key != pasteEnd {
		k.waiting = append(k.waiting, key...)
	}
	k.key = k.key[:0]
}

// addRunes appends the complete characters at the beginning of key. An escape stays in key.
func (k *keyboard) addRunes() {
	for len(k.key) > 0 && k.key[0] != escape && utf8.FullRune(k.key) {
		r, n := utf8.DecodeRune(k.key)
		if r != utf8.RuneError {
			k.waiting = append(k.waiting, k.key[:n]...)
		}
		k.key = k.key[n:]
	}
}

// Read implements io.Reader. It waits for keys, and returns the error after the
// last key.
func (k *keyboard) Read(p []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for len(k.waiting) == 0 {
		if k.err != nil {
			return 0, k.err
		}
		k.more.Wait()
	}
	n := copy(p, k.waiting)
	k.waiting = k.waiting[n:]
	return n, nil
}
