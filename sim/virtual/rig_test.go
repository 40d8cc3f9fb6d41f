package virtual_test

import (
	"context"
	"fmt"
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

// transfer is one read or send of the server.
type transfer struct {
	at   time.Duration
	conn nodes.Conn
	text string
}

// verdict is a phone's verdict on a beacon.
type verdict struct {
	at            time.Duration
	phone, sender uint32
	valid, broken bool
	raw           string
}

// reply is one send of the server that has reached a phone.
type reply struct {
	at       time.Duration
	phone    uint32
	scripted bool
	text     string
}

// ending is the end of the server's side of a connection, for a phone.
type ending struct {
	at       time.Duration
	phone    uint32
	scripted bool
}

// outcome is the outcome of one operation of a phone.
type outcome struct {
	phone   uint32
	op      nodes.Operation
	outcome nodes.Outcome
}

// effect is one effect of a fault.
type effect struct {
	at         time.Duration
	fault      uint64
	kind       string
	node, peer uint32
	nth        int
	amount     int64
}

func (e effect) String() string {
	return fmt.Sprintf("%v fault %d %s %d>%d #%d %d", e.at, e.fault, e.kind, int32(e.node), int32(e.peer), e.nth,
		e.amount)
}

// rig is a world with an observer that keeps its events.
type rig struct {
	*virtual.World
	*world.Records
	t     *testing.T
	trace strings.Builder
	tick  func(phone, arg uint32)
	fault uint64 // number of the last fault

	accepted     []nodes.Conn
	serverReads  []transfer
	serverSends  []transfer
	serverPrints []string
	serverStops  []time.Duration
	decisions    []nodes.ServerEvent
	beaconsSent  int
	forgedSent   int
	datagrams    world.Datagrams
	verdicts     []verdict
	replies      []reply
	endings      []ending
	done         []outcome
	effects      []effect
	notes        []string // a line for each rarer event
}

// phonesNamed returns phones with the default settings and accounts of their own.
func phonesNamed(form protocol.Form, names ...string) []virtual.PhoneConfig {
	settings := nodes.DefaultPhoneSettings()
	settings.Form = form
	var list []virtual.PhoneConfig
	for _, n := range names {
		list = append(list, virtual.PhoneConfig{Name: n, Settings: &settings})
	}
	return list
}

// withFolders gives phones folders.
func withFolders(phones []virtual.PhoneConfig) []virtual.PhoneConfig {
	for i := range phones {
		phones[i].Folder = files.NewMemory()
	}
	return phones
}

// newRig completes a configuration and builds its world with a trace: phone NAME has
// the account NAME with the password "pw-NAME".
func newRig(t *testing.T, c virtual.Config) *rig {
	t.Helper()
	r := &rig{t: t}
	r.build(c, &r.trace)
	return r
}

// build builds the world. A trace of nil is none.
func (r *rig) build(c virtual.Config, trace io.Writer) {
	r.t.Helper()
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
	addCredentials := c.Credentials == nil
	var names []string
	for _, p := range c.Phones {
		names = append(names, p.Name)
		if addCredentials {
			c.Credentials = append(c.Credentials, nodes.Credential{User: p.Name, Password: "pw-" + p.Name})
		}
	}
	c.Folder = files.NewMemory()
	c.Events, c.Tick = &event.Stream{}, func(phone, arg uint32) { r.tick(phone, arg) }
	r.Records = world.NewRecords(names, trace)
	r.Subscribe(c.Events)
	c.Events.Subscribe(r)
	w, err := virtual.New(c)
	if err != nil {
		r.t.Fatal(err)
	}
	r.World = w
}

// note adds a line to the notes.
func (r *rig) note(e *event.Event, format string, args ...any) {
	r.notes = append(r.notes, fmt.Sprintf("%v ", e.At)+fmt.Sprintf(format, args...))
}

// Observe keeps the event.
func (r *rig) Observe(e *event.Event) {
	switch e.Kind {
	case event.Accepted:
		r.accepted = append(r.accepted, e.Slot)
	case event.ServerRead:
		r.serverReads = append(r.serverReads, transfer{e.At, e.Slot, string(e.Bytes)})
	case event.ServerSent:
		r.serverSends = append(r.serverSends, transfer{e.At, e.Slot, string(e.Bytes)})
	case event.ServerPrinted:
		r.serverPrints = append(r.serverPrints, e.Text)
	case event.ServerDecided:
		r.decisions = append(r.decisions, *e.Decision)
	case event.Replied:
		r.replies = append(r.replies, reply{e.At, e.Node, e.Scripted, string(e.Bytes)})
	case event.HungUp:
		r.endings = append(r.endings, ending{e.At, e.Node, e.Scripted})
	case event.OperationDone:
		r.done = append(r.done, outcome{e.Node, e.Phone.Op, e.Phone.Outcome})
	case event.FaultApplied:
		r.effects = append(r.effects, effect{e.At, e.Number, string(e.Fault), e.Node, e.Peer, e.Nth, e.Amount})
		if !e.InForce {
			r.note(e, "applied after its end: %s", e.Text)
		}
	case event.ServerStopped:
		r.serverStops = append(r.serverStops, e.At)
		r.note(e, "server stopped")
	case event.ServerStarted:
		r.note(e, "server started")
	case event.PhoneStopped:
		r.note(e, "phone %d stopped", e.Node)
	case event.PhoneStarted:
		r.note(e, "phone %d started with %d", e.Node, e.Log.Len())
	case event.LogWritten:
		r.note(e, "phone %d wrote %d", e.Node, len(e.Stored))
	case event.StoreAsked:
		r.note(e, "store of %d", len(e.Records))
	case event.StoreDone:
		r.note(e, "stored %d: %v", len(e.Records), e.Err)
	case event.ClockSet:
		r.note(e, "clock of %d: %v, %s, %g", int32(e.Node), e.Clock.Elapsed,
			time.Unix(0, e.Clock.Wall).UTC().Format("15:04:05.000"), e.Clock.PPM)
	default:
		r.observeDatagram(e)
	}
}

func (r *rig) observeDatagram(e *event.Event) {
	switch e.Kind {
	case event.BeaconSent:
		r.beaconsSent++
	case event.DatagramsForged:
		r.forgedSent++
	case event.BeaconJudged:
		v := verdict{at: e.At, phone: e.Node, sender: e.Peer, broken: e.Phone.OutOfTurn, valid: !e.Phone.OutOfTurn &&
			e.Phone.Err == nil}
		if !v.broken {
			v.raw = string(e.Phone.Raw[:])
		}
		r.verdicts = append(r.verdicts, v)
	case event.DatagramChanged:
		r.note(e, "changed of %d", e.Node)
	case event.DatagramSent:
		if e.Due < e.At {
			r.t.Fatalf("at %s: a datagram is due at %s", e.At, e.Due)
		}
		r.datagrams.Sent++
		if e.Copy {
			r.note(e, "duplicated, due %v", e.Due)
		}
	case event.DatagramLost:
		r.datagrams.Lost++
		if e.InFlight {
			r.note(e, "lost on arrival")
		} else {
			r.datagrams.Sent++
		}
	case event.DatagramDelivered:
		r.datagrams.Delivered++
	}
}

// until handles every event up to the given time.
func (r *rig) until(at time.Duration) {
	r.t.Helper()
	if err := r.Run(context.Background(), at, nil); err != nil {
		r.t.Fatal(err)
	}
}

// login makes a phone's program log in with the given password, now.
func (r *rig) login(phone uint32, password string) {
	r.Open(phone)
	r.Type(phone, r.Name(phone))
	r.Type(phone, password)
}

// loginOK logs in with the right password.
func (r *rig) loginOK(phone uint32) { r.login(phone, "pw-"+r.Name(phone)) }

// addFault begins a fault at the given time and ends it after length. A length of 0
// is no end. A fault without a number gets the next one, and a chance of 0 is 1.
func (r *rig) addFault(at, length time.Duration, f world.Fault) {
	r.fault++
	if f.Number == 0 {
		f.Number = int(r.fault)
	}
	if f.Chance == 0 {
		f.Chance = 1
	}
	if f.Text == "" {
		f.Text = string(f.Kind)
	}
	r.Call(at, func() { r.Begin(&f) })
	if length > 0 {
		r.Call(at+length, func() { r.End(&f) })
	}
}

// sendBeacon sends a forged beacon in one datagram at the given time.
func (r *rig) sendBeacon(at time.Duration, from, to uint32, number uint64) {
	raw := forged(number)
	r.Call(at, func() { r.SendDatagram(from, to, 0, raw[:]) })
}

// sendBytes sends size bytes in one datagram at the given time.
func (r *rig) sendBytes(at time.Duration, from, to uint32, size int) {
	r.Call(at, func() { r.SendDatagram(from, to, 0, []byte(strings.Repeat("x", size))) })
}

// outcomes returns the outcomes of a phone's operations, in order.
func (r *rig) outcomes(phone uint32) []outcome {
	return slices.DeleteFunc(slices.Clone(r.done), func(o outcome) bool { return o.phone != phone })
}

// replyText returns the replies to the script, or to the programs, joined.
func (r *rig) replyText(scripted bool) string {
	var b strings.Builder
	for _, reply := range r.replies {
		if reply.scripted == scripted {
			b.WriteString(reply.text)
		}
	}
	return b.String()
}

func joinText(list []transfer) string {
	var b strings.Builder
	for _, t := range list {
		b.WriteString(t.text)
	}
	return b.String()
}

// noted returns the notes that contain a text.
func (r *rig) noted(text string) []string {
	return slices.DeleteFunc(slices.Clone(r.notes), func(line string) bool { return !strings.Contains(line, text) })
}

// traced returns the lines of the trace that contain a text.
func (r *rig) traced(text string) []string {
	var found []string
	for line := range strings.Lines(r.trace.String()) {
		if strings.Contains(line, text) {
			found = append(found, strings.TrimSuffix(line, "\n"))
		}
	}
	return found
}

// effectLines renders the effects of the faults.
func (r *rig) effectLines() []string {
	var lines []string
	for _, e := range r.effects {
		lines = append(lines, e.String())
	}
	return lines
}

// verdictLines renders the verdicts of the phones.
func (r *rig) verdictLines() []string {
	var lines []string
	for _, v := range r.verdicts {
		word := "invalid"
		switch {
		case v.broken:
			word = "broken"
		case v.valid:
			word = "valid"
		}
		lines = append(lines, fmt.Sprintf("%v %d of %d %s", v.at, v.phone, v.sender, word))
	}
	return lines
}

// checkBalance checks the counts of datagrams against the queue and the events.
func (r *rig) checkBalance() {
	r.t.Helper()
	n := r.Totals().Datagrams
	if n.Sent != n.Delivered+n.Lost+n.InFlight || n.InFlight != uint64(r.DatagramsInFlight()) {
		r.t.Errorf("datagrams %+v, in flight %d", n, r.DatagramsInFlight())
	}
	if d := r.datagrams; d.Sent != n.Sent || d.Lost != n.Lost || d.Delivered != n.Delivered {
		r.t.Errorf("the events count %+v, the counters %+v", d, n)
	}
}

func wantOutcomes(t *testing.T, got []outcome, want ...outcome) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("the outcomes are %v, want %v", got, want)
	}
}

func wantLines(t *testing.T, name string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n%s\nwant\n%s", name, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// forged returns a beacon that is valid for 15 minutes from time zero and whose
// TempID ends with a number.
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

func phones(numbers ...uint32) world.Nodes { return world.Nodes{Phones: numbers} }

var (
	server   = world.Nodes{Server: true}
	anyNode  = world.Nodes{Any: true}
	delay10  = virtual.Delay{Min: 10 * ms, Max: 10 * ms}
	delays10 = virtual.Config{UDP: virtual.UDP{Delay: delay10}, TCP: virtual.TCP{Delay: delay10}}
)
