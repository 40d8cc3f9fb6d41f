package main

import (
	"io"
	"sync"
	"sync/atomic"

	"golang.org/x/term"
)

// terminal is a console that edits the line being typed, and draws it again
// below whatever is shown meanwhile. The device is in raw mode: nothing that is
// typed shows, and no key makes a signal, unless this does it.
type terminal struct {
	keys    *keyboard
	out     *ttyWriter
	editor  *term.Terminal
	history history
	back    func() // gives the device back

	reading  atomic.Bool // the cursor may stand behind a prompt
	restored atomic.Bool

	mu            sync.Mutex
	secret        bool // a password is being read
	width, height int  // to be told to the editor after the password; 0: nothing to tell
}

func newTerminal(out io.Writer, interrupt, back func()) *terminal {
	t := &terminal{keys: newKeyboard(interrupt), out: &ttyWriter{out: out}, back: back}
	t.editor = term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{t.keys, t.out}, "")
	t.editor.History = &t.history
	return t
}

func (t *terminal) show(text []byte, _ bool) error {
	t.out.hold()
	_, err := t.editor.Write(text)
	if released := t.out.release(); err == nil {
		err = released
	}
	return written(err)
}

func (t *terminal) readLine(q question) (string, error) {
	t.begin(q)
	defer t.end()
	line, err := t.edit(q)
	t.reading.Store(err != nil)
	return line, err
}

func (t *terminal) edit(q question) (string, error) {
	t.history.on = q.remembered
	if q.secret {
		return t.editor.ReadPassword(q.prompt)
	}
	t.editor.SetPrompt(q.prompt)
	return t.editor.ReadLine()
}

func (t *terminal) begin(q question) {
	t.reading.Store(true)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.secret = q.secret
}

func (t *terminal) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.secret = false
	if t.width > 0 {
		_ = t.editor.SetSize(t.width, t.height) // the next output says what is wrong
		t.width = 0
	}
}

// resize tells the editor how large the window is. While a password is being
// read it waits: the editor would draw the line again, and show it.
func (t *terminal) resize(width, height int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.secret {
		t.width, t.height = width, height
		return
	}
	_ = t.editor.SetSize(width, height) // the next output says what is wrong
}

// again takes the device back after somebody else had it.
func (t *terminal) again(raw func()) {
	raw()
	if t.restored.Load() {
		t.back()
		return
	}
	_, _ = t.editor.Write(nil) // draws the line; the next output says what is wrong
}

func (t *terminal) restore() {
	if t.restored.Swap(true) {
		return
	}
	t.back()
	if t.reading.Load() {
		briefly(func() { _, _ = io.WriteString(t.out, "\n") }) // nobody is left to tell
	}
}

// history is the commands typed so far, which the arrow keys bring back.
type history struct {
	on    bool // for the line being read
	lines []string
}

// historyLimit is how many lines are remembered.
const historyLimit = 100

// Add is of term.History.
func (h *history) Add(line string) {
	if !h.on || line == "" {
		return
	}
	if len(h.lines) == historyLimit {
		h.lines = h.lines[:copy(h.lines, h.lines[1:])]
	}
	h.lines = append(h.lines, line)
}

// Len is of term.History.
func (h *history) Len() int {
	if !h.on {
		return 0
	}
	return len(h.lines)
}

// At is of term.History: 0 is the last line.
func (h *history) At(i int) string { return h.lines[len(h.lines)-1-i] }
