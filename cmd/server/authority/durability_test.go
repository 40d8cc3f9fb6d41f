package authority

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"bluetrace/protocol"
)

// Sizes of the durability test for one run of the server.
const (
	downloaders    = 4
	mostAnswers    = 120 // the server is killed after at most this number
	checker        = "checker"
	victimsPerTest = 4096
)

// TestNoAcknowledgedStateIsLost keeps phones downloading and guessing, and kills the
// built server (SIGKILL) after a random number of answers, many times:
// BLUETRACE_KILLS sets their number, BLUETRACE_SEED the seed. After each
// restart every TempID that a phone ever received is in tempIDs.txt, resolves to
// its owner and was issued once. Every announced block is in force, and every
// answered wrong password is counted.
func TestNoAcknowledgedStateIsLost(t *testing.T) {
	kills, seed := number(t, "BLUETRACE_KILLS", 8), number(t, "BLUETRACE_SEED", 1)
	if testing.Short() {
		kills = 3
	}
	t.Logf("%d kills; BLUETRACE_SEED=%d", kills, seed)
	p := newAcknowledged(t, uint64(seed))
	for life := range kills {
		r := start(t, p.program, "1h", "--host", "127.0.0.1", "--dir", p.dir, "--max-upload", "9999999")
		if life%16 == 15 {
			r.kill() // during its start
			continue
		}
		r.listens()
		p.check(r)
		p.live(r, 1+p.random.IntN(mostAnswers))
		r.kill()
		if t.Failed() {
			t.Fatalf("after %d kills", life)
		}
	}
	r := start(t, p.program, "1h", "--host", "127.0.0.1", "--dir", p.dir, "--max-upload", "9999999")
	r.listens()
	p.check(r)
	t.Logf("%d TempIDs received, %d lines in tempIDs.txt, %d blocks announced", len(p.received), len(p.lines()), len(p.blocked))
	if len(p.received) == 0 {
		t.Error("no phone ever received a TempID")
	}
}

func number(t *testing.T, variable string, otherwise int) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		t.Fatalf("%s=%q is no number", variable, text)
	}
	return n
}

// acknowledged holds the answers that the phones of a test have received.
type acknowledged struct {
	t       *testing.T
	program string
	dir     string
	random  *rand.Rand

	mu       sync.Mutex
	received []promise
	owner    map[protocol.TempID]string
	blocked  []string       // accounts whose block was announced
	wrong    map[string]int // answers "Please try again" of an account
	victim   int            // the account whose password is being guessed
}

// promise is one TempID that a phone received.
type promise struct {
	user string
	id   protocol.TempID
}

func newAcknowledged(t *testing.T, seed uint64) *acknowledged {
	lines := []string{checker + " secret"}
	for i := range downloaders {
		lines = append(lines, fmt.Sprintf("phone%d secret", i))
	}
	for i := range victimsPerTest {
		lines = append(lines, fmt.Sprintf("%s secret", victim(i)))
	}
	return &acknowledged{
		t: t, program: build(t), dir: folder(t, lines...), random: rand.New(rand.NewPCG(seed, 0)),
		owner: map[protocol.TempID]string{}, wrong: map[string]int{},
	}
}

func victim(i int) string { return fmt.Sprintf("victim%04d", i) }

// live runs phones until a number of answers has come, and kills the server.
func (p *acknowledged) live(r *running, answers int) {
	answered := make(chan struct{}, answers)
	told := func() {
		select {
		case answered <- struct{}{}:
		default:
		}
	}
	var phones sync.WaitGroup
	for i := range downloaders {
		phones.Go(func() { p.download(r, fmt.Sprintf("phone%d", i), told) })
	}
	phones.Go(func() { p.guess(r, told) })
	timeUp := time.After(hang)
	for range answers {
		select {
		case <-answered:
		case <-timeUp:
			p.t.Errorf("no answers any more")
		}
	}
	r.kill()
	phones.Wait()
}

// download downloads TempIDs until the connection breaks.
func (p *acknowledged) download(r *running, user string, told func()) {
	c, err := r.login(user, "secret")
	if err != nil {
		return // the server was killed before
	}
	defer c.Close()
	for {
		if _, err := io.WriteString(c, protocol.CommandDownload); err != nil {
			return
		}
		var id protocol.TempID
		if _, err := io.ReadFull(c, id[:]); err != nil {
			return
		}
		p.took(user, id)
		told()
	}
}

func (p *acknowledged) took(user string, id protocol.TempID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, err := protocol.ParseTempID(id[:]); err != nil {
		p.t.Errorf("%s received %q", user, id[:])
	}
	if before, twice := p.owner[id]; twice {
		p.t.Errorf("TempID %s was issued to %s and to %s", id, before, user)
	}
	p.owner[id] = user
	p.received = append(p.received, promise{user, id})
}

// guess tries wrong passwords until the server is gone, one in each session. If TCP
// joins the password with the name, there is no answer (PROTOCOL.md section 2), and the
// next session tries again. A block that began so, or whose answer came too late, is on the
// disk from the next answer to a wrong password on, although its name is refused before
// (docs/DECISIONS.md).
func (p *acknowledged) guess(r *running, told func()) {
	var unsaved []string // refused since the last answer that was stored
	for {
		name := victim(p.victim)
		answer, err := r.attempt(name, "wrong", time.Millisecond)
		if err != nil {
			return
		}
		if answer == protocol.TryAgain || answer == protocol.NowBlocked {
			p.blocked, unsaved = append(p.blocked, unsaved...), nil
		}
		switch answer {
		case protocol.TryAgain:
			if p.wrong[name]++; p.wrong[name] > 2 {
				p.t.Errorf("%s: %d wrong passwords were answered, and no block began", name, p.wrong[name])
			}
			told()
		case protocol.NowBlocked:
			p.blocked = append(p.blocked, name)
			p.victim++
			told()
		case protocol.IsBlocked:
			unsaved = append(unsaved, name)
			p.victim++
			told()
		case "": // joined
		default:
			p.t.Errorf("%s: a wrong password is answered with %q", name, answer)
		}
	}
}

// attempt opens a session and sends a name and, after a pause, a password. It returns
// an empty answer if TCP has joined the two.
func (r *running) attempt(name, password string, pause time.Duration) (answer string, err error) {
	c, err := r.dial()
	if err != nil {
		return "", err
	}
	defer c.Close()
	if _, err := io.WriteString(c, name); err != nil {
		return "", err
	}
	<-time.After(pause)
	if _, err := io.WriteString(c, password); err != nil {
		return "", err
	}
	if err := c.SetReadDeadline(time.Now().Add(100*time.Millisecond + 4*pause)); err != nil {
		return "", err
	}
	b := make([]byte, 1024)
	n, err := c.Read(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return "", nil
	}
	return string(b[:n]), err
}

// check checks every promise.
func (p *acknowledged) check(r *running) {
	p.t.Helper()
	p.inFile()
	p.resolve(r)
	var names sync.WaitGroup
	for batch := range slices.Chunk(p.blocked, max(1, (len(p.blocked)+3)/4)) {
		names.Go(func() {
			for _, name := range batch {
				p.stands(r, name)
			}
		})
	}
	names.Wait()
}

// stands checks that a block is in force: the right password is refused too.
func (p *acknowledged) stands(r *running, name string) {
	for pause := time.Millisecond; pause < hang; pause *= 2 {
		answer, err := r.attempt(name, "secret", pause)
		if err == nil && answer == "" {
			continue // joined
		}
		if err != nil || answer != protocol.IsBlocked {
			p.t.Errorf("%s was blocked, and is answered with %q (%v)", name, answer, err)
		}
		return
	}
	p.t.Errorf("%s: no answer", name)
}

// lines returns the lines of tempIDs.txt, each as its six fields.
func (p *acknowledged) lines() [][]string {
	text, err := os.ReadFile(filepath.Join(p.dir, "tempIDs.txt"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		p.t.Fatal(err)
	}
	var all [][]string
	for line := range strings.Lines(string(text)) {
		all = append(all, strings.Fields(line))
	}
	return all
}

// inFile checks that tempIDs.txt has every TempID once, with its owner.
func (p *acknowledged) inFile() {
	found := map[string][]string{}
	for i, line := range p.lines() {
		if len(line) != 6 {
			p.t.Fatalf("tempIDs.txt line %d: %q", i+1, line)
		}
		if _, twice := found[line[1]]; twice {
			p.t.Errorf("tempIDs.txt has TempID %s twice", line[1])
		}
		found[line[1]] = line
	}
	for _, given := range p.received {
		if line := found[given.id.String()]; line == nil || line[0] != given.user {
			p.t.Errorf("TempID %s went to %s; tempIDs.txt has %q", given.id, given.user, line)
		}
	}
}

// resolve uploads every TempID and checks the owner that the server prints.
func (p *acknowledged) resolve(r *running) {
	if len(p.received) == 0 {
		return
	}
	const heading = "Contact log checking"
	p.upload(r)
	var owners []string
	r.await("the owners of an upload", func(lines []string) bool {
		at := slices.Index(lines, heading)
		if at < 0 || len(lines) < at+1+3*len(p.received) {
			return false
		}
		owners = lines[at+1:]
		return true
	})
	for i, given := range p.received {
		if owners[3*i] != given.user {
			p.t.Fatalf("TempID %s went to %s, and resolves to %q", given.id, given.user, owners[3*i])
		}
	}
}

// upload sends all lines at once and counts the answers.
func (p *acknowledged) upload(r *running) {
	c, err := r.login(checker, "secret")
	if err != nil {
		p.t.Fatal(err)
	}
	defer c.Close()
	one := make([]byte, 1)
	for _, request := range []string{protocol.CommandUpload, strconv.Itoa(3 * len(p.received))} {
		if _, err := io.WriteString(c, request); err != nil {
			p.t.Fatal(err)
		}
		if _, err := io.ReadFull(c, one); err != nil {
			p.t.Fatalf("uploading: %q is not answered: %v", request, err)
		}
	}
	var text strings.Builder
	for _, given := range p.received {
		text.WriteString(given.id.String() + "01/01/2026 10:00:0001/01/2026 10:15:00")
	}
	sent := make(chan error, 1)
	go func() { _, err := io.WriteString(c, text.String()); sent <- err }()
	_, err = io.CopyN(io.Discard, c, int64(3*len(p.received)))
	if err := errors.Join(err, <-sent); err != nil {
		p.t.Fatalf("uploading: %v", err)
	}
}
