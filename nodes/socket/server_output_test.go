package socket

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"bluetrace/nodes"
	"bluetrace/protocol"
)

// No peer can write a line of its own, a verdict or a control sequence into the
// output.
func TestNothingRawReachesTheOutput(t *testing.T) {
	r := newRig(t, nil)
	forged := "x\r\nusers: +61410999999\nTempID:\n\x1b[2J\x07\x00\xff"
	p := r.dial()
	p.piece(forged)
	p.say(forged)
	p.hear(protocol.TryAgain)
	p = r.dial()
	p.login(userA, passwordA)
	p.piece(forged + "\n")
	p.say(protocol.CommandUpload)
	p.hear("1")
	p.say("3")
	p.hear("1")
	p.say("TempID:\n\x1b[31m1234567\n\n")
	p.hear("1")
	p.say("\n+61410999999 logout"[:protocol.TimeSize])
	p.hear("1")
	p.say("\x9b31m\u202e0123456789\r\n\x08"[:protocol.TimeSize])
	p.hear("1")
	p.piece("Downl\x1bc")
	p.CloseWrite()
	p.hearEnd()
	r.awaitOutput("+61410888888 logout\n")
	text := r.output.String()
	for i, c := range []byte(text) {
		if c != '\n' && (c < ' ' || c > '~') {
			t.Errorf("byte %#x reached the output at %d: %q", c, i, text)
		}
	}
	for line := range strings.Lines(text) {
		if line == "TempID:\n" || strings.HasPrefix(line, "users: +61410999999") {
			t.Errorf("a peer wrote the line %q", line)
		}
	}
	if strings.Contains(text, "Downl") && !strings.Contains(text, `no command: "`) {
		t.Errorf("bytes that are no command are not quoted: %q", text)
	}
}

// writes is an output whose writes a test releases one by one.
type writes struct {
	mu   sync.Mutex
	text []string
	gate chan error
}

func (w *writes) Write(p []byte) (int, error) {
	w.mu.Lock()
	w.text = append(w.text, string(p))
	w.mu.Unlock()
	if err := <-w.gate; err != nil {
		return 0, err
	}
	return len(p), nil
}

func (w *writes) seen() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.text)
}

// Lines that come while the output is busy are written together, and the machine
// never waits.
func TestLinesGatherWhileTheOutputIsBusy(t *testing.T) {
	w := &writes{gate: make(chan error)}
	r := newRig(t, func(_ *rig, c *ServerConfig) { c.Output = w })
	r.await("the first write", func() bool { return len(w.seen()) == 1 })
	for range 3 {
		r.dial().login(userA, passwordA)
	}
	r.server.Print("a line of the program")
	w.gate <- nil
	r.await("the second write", func() bool { return len(w.seen()) == 2 })
	line := "users: +61410888888\n"
	if got := w.seen()[1]; got != line+line+line+"a line of the program\n" {
		t.Errorf("wrote %q", got)
	}
	close(w.gate)
}

// An output that blocks stops the reading, so that memory is bounded. When it goes
// on, all sessions do.
func TestABlockedOutput(t *testing.T) {
	w := &writes{gate: make(chan error)}
	r := newRig(t, func(_ *rig, c *ServerConfig) { c.Output = w })
	r.await("the first write", func() bool { return len(w.seen()) == 1 })
	r.server.Print(strings.Repeat("x", printBacklog))
	p := r.dial() // accepted before the limit, or after the end of the wait
	p.say(userA + passwordA)
	r.awaitStill()
	if n := r.watch.reads; n != 0 {
		t.Errorf("%d reads while the output stands", n)
	}
	close(w.gate)
	p.hear(protocol.Welcome)
}

// A broken output affects nothing else.
func TestABrokenOutput(t *testing.T) {
	w := &writes{gate: make(chan error)}
	r := newRig(t, func(_ *rig, c *ServerConfig) { c.Output = w })
	w.gate <- errors.New("broken pipe")
	p := r.dial()
	p.login(userA, passwordA)
	for range 3 {
		p.say(protocol.CommandDownload)
		p.tempID()
	}
	r.server.Print(strings.Repeat("x", 2*printBacklog))
	p.say(protocol.CommandDownload)
	p.tempID()
	if got := w.seen(); len(got) != 1 {
		t.Errorf("wrote again: %q", got[1:])
	}
}

func TestNoOutput(t *testing.T) {
	r := newRig(t, func(_ *rig, c *ServerConfig) { c.Output = nil })
	r.dial().login(userA, passwordA)
}

// Changed credentials apply from the next login on. Open sessions go on.
func TestCredentialsThatChange(t *testing.T) {
	var mu sync.Mutex
	list, changed := []nodes.Credential{{User: userA, Password: passwordA}}, false
	edit := func(to ...nodes.Credential) {
		mu.Lock()
		defer mu.Unlock()
		list, changed = to, true
	}
	r := newRig(t, func(_ *rig, c *ServerConfig) {
		c.Credentials = func() ([]nodes.Credential, bool) {
			mu.Lock()
			defer mu.Unlock()
			was := changed
			changed = false
			return list, was
		}
	})
	open := r.dial()
	open.login(userA, passwordA)
	begun := r.dial()
	begun.piece(userB) // there is no account yet
	edit(nodes.Credential{User: userB, Password: passwordB})
	begun.say(passwordB)
	begun.hear(protocol.TryAgain)
	r.dial().login(userB, passwordB)
	p := r.dial()
	p.piece(userA)
	p.say(passwordA)
	p.hear(protocol.TryAgain)
	open.say(protocol.CommandDownload)
	open.tempID()
}
