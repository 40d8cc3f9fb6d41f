package learn

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"bluetrace/protocol/dialect"
	"bluetrace/sim/foreign"
)

const (
	quiet      = 300 * time.Millisecond // without a byte: a program waits for input
	unanswered = 900 * time.Millisecond // the same, when the last bytes on the wire are those of the phone
	silence    = 3 * time.Second        // for the first byte after a line
	busyLimit  = 6 * time.Second        // for all bytes after a line
	maxOutput  = 1 << 20                // bytes of a buffer
	pollPeriod = 10 * time.Millisecond
)

// buffer collects output of a program.
type buffer struct {
	mu  sync.Mutex
	all []byte
}

func (b *buffer) add(text []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all = append(b.all, text[:min(len(text), maxOutput-len(b.all))]...)
}

func (b *buffer) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return foreign.Plain(string(b.all))
}

// phone is a running phone program with its proxy.
type phone struct {
	l       *learner
	session *Session
	program *foreign.Program
	proxy   *proxy
	udp     uint16
	screen  buffer
	seen    int // bytes of the screen before the last typed line

	mu      sync.Mutex // of session.Events and changed
	changed time.Time  // time of the last byte of screen or wire

	asked atomic.Bool  // the last bytes on the wire are those of the phone
	sent  atomic.Int32 // reads of bytes of the phone
}

// startPhone starts a phone program.
func (l *learner) startPhone(ctx context.Context, user string) (*phone, error) {
	p := &phone{l: l, session: &Session{User: user}}
	folder, err := l.folder("phone" + strconv.Itoa(len(l.phones)))
	if err != nil {
		return nil, err
	}
	ids := filepath.Join(folder, "tempIDs.txt") // some phones read the file of the server
	_ = os.Remove(ids)
	if err := os.Symlink(filepath.Join(l.root, "server", "tempIDs.txt"), ids); err != nil {
		return nil, err
	}
	if p.udp, err = foreign.FreeUDPPort(); err != nil {
		return nil, err
	}
	if p.proxy, err = newProxy(p); err != nil {
		return nil, err
	}
	began := l.Clock.Now()
	c := l.Sandbox
	c.Command, c.Folder, c.Clock, c.Input = l.ClientCommand, folder, l.Clock, true
	c.Line, c.Bytes = func(string) {}, p.print
	c.Values = []string{"{port}", strconv.Itoa(int(p.proxy.port)), "{udp}", strconv.Itoa(int(p.udp))}
	p.program, err = foreign.Start(c)
	if err != nil {
		p.proxy.close()
		return nil, err
	}
	l.phones = append(l.phones, p)
	l.observed.Sessions = append(l.observed.Sessions, p.session)
	p.settle(ctx, began, startLimit, startLimit)
	return p, nil
}

// print takes output of the program.
func (p *phone) print(b []byte) {
	p.l.output.add(b)
	p.screen.add(b)
	p.touch()
}

// touch records that the phone is not quiet.
func (p *phone) touch() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.changed = p.l.Clock.Now()
}

// record adds an event to the session.
func (p *phone) record(e Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e.At = p.l.Clock.Now()
	if e.Kind != Typed {
		p.changed = e.At
		p.asked.Store(e.Kind == ToServer)
	}
	if e.Kind == ToServer {
		p.sent.Add(1)
	}
	p.session.Events = append(p.session.Events, e)
}

// hasEnded reports whether a program has ended.
func hasEnded(p *foreign.Program) bool {
	select {
	case <-p.Ended():
		return true
	default:
		return false
	}
}

// settle waits until the phone is quiet after a byte since a time: at most none for the first byte, and busy for all.
func (p *phone) settle(ctx context.Context, since time.Time, none, busy time.Duration) {
	p.l.poll(ctx, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		now, limit, wait := p.l.Clock.Now(), none, quiet
		some := !p.changed.Before(since)
		if some {
			limit = busy
		}
		if p.asked.Load() {
			wait = unanswered
		}
		still := now.Sub(p.changed)
		return some && still >= wait || now.Sub(since) >= limit || hasEnded(p.program) && still >= quiet/3
	})
}

// poll waits until a condition holds or ctx ends.
func (l *learner) poll(ctx context.Context, holds func() bool) {
	tick := l.Clock.Ticker(pollPeriod)
	defer tick.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// enter types a line and waits for its effects.
func (p *phone) enter(ctx context.Context, text string) {
	began := p.l.Clock.Now()
	p.seen = len(p.screen.text())
	if p.program.Type(text) == nil { // else it has ended
		p.settle(ctx, began, silence, busyLimit)
	}
}

// news returns the output since the last typed line.
func (p *phone) news() string {
	text := p.screen.text()
	return text[min(p.seen, len(text)):] // a sequence of control characters may have become complete
}

// asking is a question of a phone.
type asking uint8

const (
	asksNothing asking = iota
	asksName
	asksPassword
	asksChoice // between a registration and a login
)

var (
	choiceWords = regexp.MustCompile(`(?i)\b(?:register|sign ?up)\b`)
	nameWords   = regexp.MustCompile(`(?i)user|name|phone|login|account|\bid\b`)
	passWords   = regexp.MustCompile(`(?i)pass|pwd`)
	refusals    = regexp.MustCompile(`(?i)invalid|incorrect|wrong|again|fail|error`)
	welcomes    = regexp.MustCompile(`(?i)welcome|success|logged in`)
)

// question returns the question with which a text of the screen ends.
func question(text string) asking {
	lines := strings.Split(strings.TrimRight(text, " \r\n"), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		line := lines[i]
		switch pass, name := last(passWords, line), last(nameWords, line); {
		case refusals.MatchString(line) && i == len(lines)-1 && strings.HasSuffix(text, "\n"):
			return asksNothing // a sentence, not a question
		case choiceWords.MatchString(line):
			return asksChoice
		case pass > name:
			return asksPassword
		case name > pass:
			return asksName
		}
	}
	return asksNothing
}

// last returns the index of the last word of a line, or -1.
func last(words *regexp.Regexp, line string) int {
	all := words.FindAllStringIndex(line, -1)
	if all == nil {
		return -1
	}
	return all[len(all)-1][0]
}

// logIn types a name, if the phone asks for it, and a password. again means that it follows an attempt on the same
// phone.
func (p *phone) logIn(ctx context.Context, password string, expected dialect.Outcome, again bool) {
	p.session.Passwords = append(p.session.Passwords, password)
	p.session.Expected = append(p.session.Expected, expected)
	p.record(Event{Kind: Typed, Begin: Login})
	named := again
	var lines []string
	for range 4 {
		asked := question(p.news())
		line, word := password, "{password}"
		switch {
		case asked == asksChoice:
			line = choice(p.screen.text(), `log ?in`, "Login")
			word = line
		case asked == asksName, !named:
			line, word, named = p.session.User, "{user}", true
		}
		lines = append(lines, word)
		p.enter(ctx, line)
		if word == "{password}" {
			break
		}
	}
	if !again && len(lines) > 2 && p.l.typed.Login == nil {
		p.l.typed.Login = lines
	}
}

// choice returns the number that a menu on the screen has for a command, else the word itself.
func choice(screen, command, word string) string {
	menu := regexp.MustCompile(`(?im)^\W*([0-9])\W{1,3}[^\n0-9]*` + command)
	if found := menu.FindStringSubmatch(screen); found != nil {
		return found[1]
	}
	return word
}

// command types the line of a command.
func (p *phone) command(ctx context.Context, c Command, line string) {
	p.record(Event{Kind: Typed, Begin: c})
	p.enter(ctx, line)
}

// choose types the word of a command or, if the screen has a menu, its number, which is then the typed line.
func (p *phone) choose(ctx context.Context, c Command, command, word string, typed *[]string) {
	line := choice(p.screen.text(), command, word)
	if line != word {
		*typed = []string{line}
	}
	p.command(ctx, c, line)
}

// logOut types the words of a logout until one has an effect on the wire.
func (p *phone) logOut(ctx context.Context) {
	words := []string{"logout", "log out", "exit", "quit"}
	if number := choice(p.screen.text(), `(?:log ?out|exit|quit)`, ""); number != "" {
		words = []string{number}
	}
	for _, word := range words {
		before := p.sent.Load()
		p.command(ctx, Logout, word)
		if p.sent.Load() > before || hasEnded(p.program) || p.proxy.open.Load() == 0 {
			if word != "logout" {
				p.l.typed.Logout = []string{word}
			}
			return
		}
	}
}

// end ends the phone.
func (p *phone) end() {
	p.program.End(endLimit)
	p.proxy.close()
}

// endPhones ends all phones that run.
func (l *learner) endPhones() {
	for _, p := range l.phones {
		p.end()
	}
}
