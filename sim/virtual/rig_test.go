package virtual_test

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"bluetrace/nodes"
	"bluetrace/nodes/files"
	"bluetrace/protocol"
	"bluetrace/sim/event"
	"bluetrace/sim/virtual"
	"bluetrace/sim/world"
)

const (
	ms     = time.Millisecond
	second = time.Second
)

// start is the wall time of every test's time zero: 30/07/2020 09:00:00 UTC.
const start = 1596099600

// heard is one read or send of the server.
type heard struct {
	at   time.Duration
	conn nodes.Conn
	text string
}

type verdict struct {
	at            time.Duration
	phone, sender uint32
	valid, broken bool
	raw           string
}

// wire is a Watcher that keeps what it is told.
type wire struct {
	told
	t        *testing.T
	accepted []nodes.Conn
	reads    []heard
	sends    []heard
	restarts []time.Duration
	beacons  int
	forged   int
	verdicts []verdict
	balance  world.Datagrams
}

func (w *wire) Accepted(_ int64, c nodes.Conn) { w.accepted = append(w.accepted, c) }

func (w *wire) ServerRead(at int64, c nodes.Conn, p []byte) {
	w.reads = append(w.reads, heard{time.Duration(at), c, string(p)})
}

func (w *wire) ServerSent(at int64, c nodes.Conn, p []byte) {
	w.sends = append(w.sends, heard{time.Duration(at), c, string(p)})
}

func (w *wire) ServerPrinted(int64, string) {}

func (w *wire) ServerRestarted(at int64) { w.restarts = append(w.restarts, time.Duration(at)) }

func (w *wire) BeaconSent(int64, uint32, *[protocol.BeaconSize]byte) { w.beacons++ }

func (w *wire) DatagramsForged(int64, uint32) { w.forged++ }

func (w *wire) Judged(at int64, phone, sender uint32, e *nodes.PhoneEffect) {
	v := verdict{at: time.Duration(at), phone: phone, sender: sender, broken: e.OutOfTurn, valid: !e.OutOfTurn && e.Err == nil}
	if !e.OutOfTurn {
		v.raw = string(e.Raw[:])
	}
	w.verdicts = append(w.verdicts, v)
}

func (w *wire) Stepped(int64, uint32, *nodes.ContactLog) {}

func (w *wire) DatagramSent(at, due int64) {
	if due < at {
		w.t.Fatalf("at %s: a datagram is due at %s", time.Duration(at), time.Duration(due))
	}
	w.balance.Sent++
}

func (w *wire) DatagramLost(int64) {
	w.balance.Sent++
	w.balance.Lost++
}

func (w *wire) DatagramArrived(int64) { w.balance.Delivered++ }

func (w *wire) readText() string { return joinText(w.reads) }

func joinText(list []heard) string {
	var b strings.Builder
	for _, h := range list {
		b.WriteString(h.text)
	}
	return b.String()
}

// reply is bytes of the server as they reached a phone.
type reply struct {
	at    time.Duration
	phone uint32
	raw   bool
	text  string
}

type ending struct {
	at    time.Duration
	phone uint32
	raw   bool
}

type outcome struct {
	phone   uint32
	op      nodes.Operation
	outcome nodes.Outcome
}

// tale is a Story that keeps what it is told.
type tale struct {
	world     *virtual.World
	replies   []reply
	ended     []ending
	done      []outcome
	decisions []nodes.ServerEvent
	printed   []string
	screens   []string
	tick      func(who, arg uint32)
	onDone    func(phone uint32, e *nodes.PhoneEffect)
}

func (s *tale) Tick(who, arg uint32) { s.tick(who, arg) }

func (s *tale) Printed(_ uint32, text string) { s.screens = append(s.screens, text) }

func (s *tale) Replied(phone uint32, raw bool, p []byte) {
	s.replies = append(s.replies, reply{s.world.Now(), phone, raw, string(p)})
}

func (s *tale) Ended(phone uint32, raw bool) {
	s.ended = append(s.ended, ending{s.world.Now(), phone, raw})
}

func (s *tale) Done(phone uint32, e *nodes.PhoneEffect) {
	s.done = append(s.done, outcome{phone, e.Op, e.Outcome})
	if s.onDone != nil {
		s.onDone(phone, e)
	}
}

func (s *tale) Decided(_ uint32, _ bool, e *nodes.ServerEvent) {
	s.decisions = append(s.decisions, *e)
}

func (s *tale) Read(uint32, bool, int) {}

func (s *tale) ServerPrinted(text string) { s.printed = append(s.printed, text) }

func (s *tale) Judged(uint32, uint32, time.Duration, *nodes.PhoneEffect) {}

func (s *tale) replyText(raw bool) string {
	var b strings.Builder
	for _, r := range s.replies {
		if r.raw == raw {
			b.WriteString(r.text)
		}
	}
	return b.String()
}

// rig is a world with a witness of its wire and of its story.
type rig struct {
	*virtual.World
	*world.Records
	t     *testing.T
	wire  *wire
	story *tale
	trace strings.Builder
}

// phonesNamed are phones with the default settings and their own accounts.
func phonesNamed(form protocol.Form, names ...string) []virtual.PhoneConfig {
	settings := nodes.DefaultPhoneSettings()
	settings.Form = form
	var list []virtual.PhoneConfig
	for _, n := range names {
		list = append(list, virtual.PhoneConfig{Name: n, Settings: &settings})
	}
	return list
}

// newRig completes a configuration: phone NAME has the account NAME with the
// password "pw-NAME".
func newRig(t *testing.T, c virtual.Config) *rig {
	t.Helper()
	r := &rig{t: t}
	return r.build(c, &r.trace, nil)
}

// build builds the world of the rig. trace is nil for no trace, applied for no
// record of the faults' effects.
func (r *rig) build(c virtual.Config, trace io.Writer, applied func(world.Applied)) *rig {
	t := r.t
	t.Helper()
	r.wire, r.story = &wire{t: t}, &tale{}
	if c.Seed == 0 {
		c.Seed = 1
	}
	if c.Start == 0 {
		c.Start = start
	}
	if c.Zone == nil {
		c.Zone = protocol.NewZone(time.UTC)
	}
	if c.Server.BlockDuration == 0 {
		c.Server = nodes.DefaultServerSettings()
	}
	if c.Phones == nil {
		c.Phones = phonesNamed(protocol.Split, "a", "b", "c")
	}
	if c.Credentials == nil {
		for _, p := range c.Phones {
			c.Credentials = append(c.Credentials, nodes.Credential{User: p.Name, Password: "pw-" + p.Name})
		}
	}
	c.Folder = files.NewMemory()
	c.Events, c.Tick = &event.Stream{}, r.story.Tick
	names := make([]string, len(c.Phones))
	for i := range c.Phones {
		names[i] = c.Phones[i].Name
	}
	r.Records = world.NewRecords(names, trace)
	r.Subscribe(c.Events)
	c.Events.Subscribe(&legacy{Watcher: r.wire, Story: r.story, Applied: applied})
	w, err := virtual.New(c)
	if err != nil {
		t.Fatal(err)
	}
	r.World, r.story.world = w, w
	return r
}

// until handles every event up to the given time.
func (r *rig) until(at time.Duration) {
	r.t.Helper()
	if err := r.Run(context.Background(), at, nil); err != nil {
		r.t.Fatal(err)
	}
}

// login has a phone's program log in with the given password, at once.
func (r *rig) login(who uint32, password string) {
	r.Open(who)
	r.Type(who, r.Name(who))
	r.Type(who, password)
}

func (r *rig) rightLogin(who uint32) { r.login(who, "pw-"+r.Name(who)) }

// outcomes lists what phone came to, in order.
func (r *rig) outcomes(phone uint32) []outcome {
	var list []outcome
	for _, o := range r.story.done {
		if o.phone == phone {
			list = append(list, o)
		}
	}
	return list
}

func wantOutcomes(t *testing.T, got []outcome, want ...outcome) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("operations came to %v, want %v", got, want)
	}
}

// forged is a whole beacon, good for 15 minutes from time zero, whose TempID is
// a number.
func forged(number uint64) (raw [protocol.BeaconSize]byte) {
	zone := protocol.NewZone(time.UTC)
	b := protocol.Beacon{Start: zone.Local(start), Expiry: zone.Local(start + 15*60)}
	copy(b.TempID[:], "10000000000000000000")
	for i := protocol.TempIDSize - 1; number > 0; i-- {
		b.TempID[i] = byte('0' + number%10)
		number /= 10
	}
	b.Encode(&raw)
	return raw
}
