package socket

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
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

// held starts a server whose output stands, and has one account fill it with an upload of
// this many entries. It returns a session of the account, which is held then.
func held(t *testing.T, entries int) (*rig, *writes, *peer) {
	w := &writes{gate: make(chan error)}
	r := newRig(t, func(_ *rig, c *ServerConfig) { c.Output = w })
	r.await("the first write", func() bool { return len(w.seen()) == 1 })
	p := r.dial()
	p.login(userA, passwordA)
	for _, text := range []string{protocol.CommandUpload, strconv.Itoa(3 * entries)} {
		p.say(text)
		p.hear("1")
	}
	line := strings.Repeat("12345678901234567890"+"23/11/2026 06:32:38"+"23/11/2026 06:47:38", entries)
	sent := make(chan error, 1)
	go func() {
		_, err := p.Write([]byte(line))
		sent <- err
	}()
	p.hear(strings.Repeat("1", 3*entries))
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	if !r.server.printer.shareOf(userA).held.Load() {
		t.Fatal("the account is not held")
	}
	return r, w, p
}

// An account whose lines wait for a slow output does not make others wait: only its own
// sessions are not read, except for one read that had begun. The lines of others follow.
func TestASlowOutputHoldsTheAccountThatFillsIt(t *testing.T) {
	const entries, asked = 20_000, 200
	r, w, first := held(t, entries) // 1.2 MB of lines
	first.say(protocol.CommandDownload)
	second, other := r.dial(), r.dial()
	second.login(userA, passwordA)
	other.login(userB, passwordB)
	second.say(strings.Repeat(protocol.CommandDownload, asked)) // three reads
	for range 10 {
		other.say(protocol.CommandDownload)
		other.tempID()
	}
	r.awaitStill()
	if n := len(r.disk.kept()); n > 10+protocol.MaxMessage/len(protocol.CommandDownload) {
		t.Errorf("%d TempIDs were issued, want 10 of the other account and those of one read", n)
	}
	close(w.gate)
	first.tempID()
	for range asked {
		second.tempID()
	}
	r.dial().login(userA, passwordA)
	text := strings.Join(w.seen(), "")
	at := strings.Index(text, "Contact log checking")
	if at < 0 || strings.Count(text[:at], "12345678901234567890\n") != entries ||
		strings.Count(text[at:], "user: "+userB) != 10 {
		t.Errorf("lines are lost, or in another order, of %d bytes", len(text))
	}
}

// The server ends while an account is held.
func TestTheEndWhileAnAccountIsHeld(t *testing.T) {
	r, w, _ := held(t, 5000)
	ended := make(chan struct{})
	go func() {
		r.close()
		close(ended)
	}()
	close(w.gate)
	<-ended
}

// An output that fails holds no account.
func TestABrokenOutputHoldsNoAccount(t *testing.T) {
	_, w, p := held(t, 5000)
	p.say(protocol.CommandDownload)
	w.gate <- errors.New("broken pipe")
	p.tempID()
}

// The bytes that wait are counted for each account, and in total.
func TestPrinterLimits(t *testing.T) {
	p := &printer{work: make(chan struct{}, 1)} // without its goroutine
	p.room.L = &p.mu
	a, b, c := &p.shares[1], &p.shares[2], &p.shares[3]
	long := strings.Repeat("x", 2*maxPrintBacklog)
	add := func(what string, n int, share *outputShare, wantHeld, wantFull bool) {
		t.Helper()
		p.add(long[:n-1], share) // n with its line feed
		if held := share.held.Load(); held != wantHeld || p.full.Load() != wantFull {
			t.Errorf("%s: held %v, full %v, want %v, %v", what, held, p.full.Load(), wantHeld, wantFull)
		}
	}
	write := func(wantFreed ...*outputShare) {
		t.Helper()
		lines, _ := p.take(nil)
		freed := p.wrote(len(lines), nil)
		if !slices.Equal(freed, wantFreed) {
			t.Errorf("freed %v, want %v", freed, wantFreed)
		}
	}
	add("at the limit of an account", shareLimit, a, false, false)
	add("above it", 1, a, true, false)
	add("another account", 10, b, false, false)
	add("20 MiB of the first", 20<<20, a, true, false)
	p.add(long[:printBacklog-12], nil)
	add("the limit of all others", 1, c, false, false)
	add("above it", 1, c, false, true)
	write(a)
	add("after all", 2, a, false, false)
	lines, _ := p.take(nil)
	add("during a write", shareLimit, a, true, false)
	p.wrote(len(lines), nil)
	add("a little more", 1, a, true, false)
	write(a)
	add("more than there is memory for", maxPrintBacklog+1, b, true, true)
	write(b)
	add("after that", shareLimit+1, a, true, false)
	if freed := p.wrote(0, errors.New("broken pipe")); len(freed) != 1 || freed[0] != a {
		t.Errorf("a failed output freed %v", freed)
	}
	add("after the failure", 2*maxPrintBacklog, a, false, false)
	if p.backlog != 0 || p.exempt != 0 {
		t.Errorf("%d bytes are left, %d of them of held accounts", p.backlog, p.exempt)
	}
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

// While the accounts are read, which takes long for a million, the sessions go on: those that
// are logged in at once, and logins with the list before, also that which has begun the reading.
func TestReadingTheAccountsStopsNoSession(t *testing.T) {
	gate, begun := make(chan struct{}), make(chan struct{}, 9)
	var slow atomic.Bool
	r := newRig(t, func(_ *rig, c *ServerConfig) {
		c.Credentials = func() ([]nodes.Credential, bool) {
			if slow.Load() {
				begun <- struct{}{}
				<-gate
				return []nodes.Credential{{User: userB, Password: passwordB}}, true
			}
			return []nodes.Credential{{User: userA, Password: passwordA}}, false
		}
	})
	open := r.dial()
	open.login(userA, passwordA)
	slow.Store(true)
	reader := r.dial()
	reader.say(userB)
	<-begun
	open.say(protocol.CommandDownload)
	open.tempID()
	r.dial().login(userA, passwordA)
	r.await("the username of the reader", func() bool {
		return r.watch.bytes == 2*(len(userA)+len(passwordA))+len(userB)+len(protocol.CommandDownload)
	})
	reader.say(passwordB)
	reader.hear(protocol.TryAgain)
	slow.Store(false)
	close(gate)
	r.await("the new list", func() bool { return !r.server.slowRefresh.Load() })
	r.dial().login(userB, passwordB)
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
