package nodes

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"bluetrace/protocol"
)

// startWall is 30/07/2020 16:58:12 UTC.
const startWall = 1_596_128_292 * int64(time.Second)

const (
	alice, alicePassword = "+61410888888", "comp3331"
	bob, bobPassword     = "+61410999999", "comp9331"
)

func at(d time.Duration) Now { return Now{Elapsed: d, Wall: startWall + int64(d)} }

// serverRig drives a server and records its effects, a line each.
type serverRig struct {
	t    testing.TB
	s    *Server
	now  Now
	from netip.Addr // the address of the next connections
	hold bool       // Stored is left to the test
	fail error
	out  ServerOutbox

	said    []string // sends, closes and prints since the last call
	events  []ServerEvent
	stored  []Record
	waiting []StoreID
	closed  map[Conn]bool
}

func newServerRig(t testing.TB, change func(*ServerSettings)) *serverRig {
	t.Helper()
	settings := DefaultServerSettings()
	settings.Entropy = rand.NewPCG(1, 2)
	if change != nil {
		change(&settings)
	}
	s, err := NewServer(settings)
	if err != nil {
		t.Fatal(err)
	}
	s.SetPasswords(NewPasswords([]Credential{{alice, alicePassword}, {bob, bobPassword}}))
	return &serverRig{t: t, s: s, now: at(0), closed: map[Conn]bool{}}
}

func (r *serverRig) at(d time.Duration) *serverRig {
	r.now = at(d)
	return r
}

func (r *serverRig) accept(list ...Conn) {
	for _, c := range list {
		r.s.Accept(r.now, c, r.from, &r.out)
		r.closed[c] = false
		r.drain()
	}
}

func (r *serverRig) read(c Conn, text string) []string {
	r.s.Read(r.now, c, []byte(text), &r.out)
	return r.runEffects()
}

func (r *serverRig) eof(c Conn) []string {
	r.s.EOF(r.now, c, &r.out)
	return r.runEffects()
}

func (r *serverRig) wake() []string {
	r.s.Wake(r.now, &r.out)
	return r.runEffects()
}

func (r *serverRig) storedAs(id StoreID, err error) []string {
	r.s.Stored(r.now, id, err, &r.out)
	return r.runEffects()
}

func (r *serverRig) runEffects() []string {
	r.drain()
	said := r.said
	r.said = nil
	return said
}

// drain executes the effects, and answers stores at once unless hold is set.
func (r *serverRig) drain() {
	r.write()
	for !r.hold && len(r.waiting) > 0 {
		id := r.waiting[0]
		r.waiting = r.waiting[1:]
		r.s.Stored(r.now, id, r.fail, &r.out)
		r.write()
	}
}

func (r *serverRig) write() {
	for i := range r.out.Effects {
		e := &r.out.Effects[i]
		switch e.Kind {
		case EffectSend:
			r.said = append(r.said, fmt.Sprintf("%d> %s", e.Conn, e.Bytes))
		case EffectClose:
			if r.closed[e.Conn] {
				r.t.Errorf("connection %d closed twice", e.Conn)
			}
			r.closed[e.Conn] = true
			r.said = append(r.said, fmt.Sprintf("%d> FIN", e.Conn))
		case EffectPrint:
			r.said = append(r.said, e.Text)
		case EffectStore:
			r.stored = append(r.stored, e.Records...)
			r.waiting = append(r.waiting, e.Store)
		case EffectEvent:
			r.events = append(r.events, e.Event)
		}
	}
	r.out.Effects = r.out.Effects[:0]
}

func (r *serverRig) login(c Conn, user, password string) []string {
	r.accept(c)
	r.read(c, user)
	return r.read(c, password)
}

// tryLogin logs in on a new connection and returns the texts that were sent.
func (r *serverRig) tryLogin(c Conn, user, password string) string {
	return sent(r.login(c, user, password))
}

// sent returns the sends and closes of each connection, joined by a bar.
func sent(said []string) string {
	var list []string
	for _, s := range said {
		if _, text, ok := strings.Cut(s, "> "); ok {
			list = append(list, text)
		}
	}
	return strings.Join(list, "|")
}

func (r *serverRig) lastEvent(kind ServerEventKind) ServerEvent {
	r.t.Helper()
	for i := len(r.events) - 1; i >= 0; i-- {
		if r.events[i].Kind == kind {
			return r.events[i]
		}
	}
	r.t.Fatalf("no event %q in %v", kind, r.events)
	return ServerEvent{}
}

func (r *serverRig) count(kind ServerEventKind) int {
	n := 0
	for _, e := range r.events {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

// download downloads a TempID on a logged-in session.
func (r *serverRig) download(c Conn) protocol.TempID {
	r.t.Helper()
	said := r.read(c, "Download_tempID")
	id, err := protocol.ParseTempID([]byte(sent(said)))
	if err != nil {
		r.t.Fatalf("download answered %q: %v", said, err)
	}
	return id
}

func same(t testing.TB, what string, got []string, want ...string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s:\n got %q\nwant %q", what, got, want)
		return
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("%s, effect %d:\n got %q\nwant %q", what, i, got[i], want[i])
		}
	}
}

func equal[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// constantSource is a random source that repeats one list of numbers.
type constantSource struct {
	list []uint64
	at   int
}

func (c *constantSource) Uint64() uint64 {
	v := c.list[c.at%len(c.list)]
	c.at++
	return v
}
