package check

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/sim/event"
)

const (
	second = time.Second
	start  = 1596099600 // 30/07/2020 09:00:00 UTC
)

// rig emits events to Invariants, as a system with a defect would.
type rig struct {
	*Invariants
	events event.Stream
	t      *testing.T
	broken []Violation
	zone   *protocol.Zone
}

// newRig returns a rig with three phones with a retention of 3, 3 and 1 minutes,
// three accounts, and blocks of 60 s.
func newRig(t *testing.T) *rig {
	return newRigWith(t, Rules{
		Start: start, Location: time.UTC, BlockDuration: 60 * second, Lifetime: 900 * second,
		Accounts:  map[string]string{"anna": "right", "ben": "comp1", "annabel": "other"},
		Retention: []time.Duration{3 * time.Minute, 3 * time.Minute, time.Minute},
	})
}

func newRigWith(t *testing.T, rules Rules) *rig {
	t.Helper()
	r := &rig{t: t, zone: protocol.NewZone(rules.Location)}
	r.Invariants = New(rules, func(v Violation) { r.broken = append(r.broken, v) })
	r.Subscribe(&r.events)
	return r
}

func (r *rig) emit(at int64, k event.Kind, e event.Event) {
	e.At, e.Kind = time.Duration(at), k
	if !r.events.Wanted(k) {
		r.t.Fatalf("kind %d is not observed", k)
	}
	r.events.Emit(&e)
}

func (r *rig) Accepted(at int64, c nodes.Conn) { r.emit(at, event.Accepted, event.Event{Slot: c}) }
func (r *rig) ServerRead(at int64, c nodes.Conn, p []byte) {
	r.emit(at, event.ServerRead, event.Event{Slot: c, Bytes: p})
}
func (r *rig) ServerSent(at int64, c nodes.Conn, p []byte) {
	r.emit(at, event.ServerSent, event.Event{Slot: c, Bytes: p})
}
func (r *rig) ServerPrinted(at int64, text string) {
	r.emit(at, event.ServerPrinted, event.Event{Text: text})
}
func (r *rig) ServerStopped(at int64) { r.emit(at, event.ServerStopped, event.Event{}) }
func (r *rig) ServerStarted(at int64, resolve func(protocol.TempID) (nodes.Issue, bool)) {
	r.emit(at, event.ServerStarted, event.Event{Resolve: resolve})
}
func (r *rig) BeaconSent(at int64, phone uint32, raw *[protocol.BeaconSize]byte) {
	r.emit(at, event.BeaconSent, event.Event{Node: phone, Raw: raw})
}
func (r *rig) DatagramsForged(at int64, phone uint32) {
	r.emit(at, event.DatagramsForged, event.Event{Node: phone})
}
func (r *rig) DatagramChanged(at int64, phone uint32) {
	r.emit(at, event.DatagramChanged, event.Event{Node: phone})
}
func (r *rig) Judged(at int64, phone, sender uint32, e *nodes.PhoneEffect) {
	r.emit(at, event.BeaconJudged, event.Event{Node: phone, Peer: sender, Phone: e})
}
func (r *rig) Stepped(at int64, phone uint32, log *nodes.ContactLog) {
	r.emit(at, event.PhoneStepped, event.Event{Node: phone, Log: log})
}
func (r *rig) DatagramSent(at, due int64) {
	r.emit(at, event.DatagramSent, event.Event{Due: time.Duration(due)})
}
func (r *rig) DatagramCopied(at, due int64) {
	r.emit(at, event.DatagramSent, event.Event{Due: time.Duration(due), Copy: true})
}
func (r *rig) DatagramLost(at int64)      { r.emit(at, event.DatagramLost, event.Event{}) }
func (r *rig) DatagramDropped(at int64)   { r.emit(at, event.DatagramLost, event.Event{InFlight: true}) }
func (r *rig) DatagramDelivered(at int64) { r.emit(at, event.DatagramDelivered, event.Event{}) }
func (r *rig) FaultApplied(at int64, inForce bool, text string) {
	r.emit(at, event.FaultApplied, event.Event{InForce: inForce, Text: text})
}
func (r *rig) ProgramOpened(at int64, phone uint32) {
	r.emit(at, event.ProgramOpened, event.Event{Node: phone})
}
func (r *rig) LineTyped(at int64, phone uint32, line string) {
	r.emit(at, event.LineTyped, event.Event{Node: phone, Text: line})
}
func (r *rig) ProgramConnects(at int64, phone uint32, c nodes.Conn) {
	r.emit(at, event.ProgramConnects, event.Event{Node: phone, Slot: c})
}
func (r *rig) PhoneSent(at int64, phone uint32, p []byte) {
	r.emit(at, event.PhoneSent, event.Event{Node: phone, Bytes: p})
}
func (r *rig) PhonePrinted(at int64, phone uint32, text string) {
	r.emit(at, event.PhonePrinted, event.Event{Node: phone, Text: text})
}
func (r *rig) SessionMoved(at int64, to, from uint32) {
	r.emit(at, event.SessionMoved, event.Event{Node: to, Peer: from})
}
func (r *rig) LogWritten(at int64, phone uint32, stored []nodes.StoredContact) {
	r.emit(at, event.LogWritten, event.Event{Node: phone, Stored: stored})
}
func (r *rig) PhoneStopped(at int64, phone uint32) {
	r.emit(at, event.PhoneStopped, event.Event{Node: phone})
}
func (r *rig) PhoneStarted(at int64, phone uint32, log *nodes.ContactLog) {
	r.emit(at, event.PhoneStarted, event.Event{Node: phone, Log: log})
}
func (r *rig) StoreAsked(at int64, records []nodes.Record) {
	r.emit(at, event.StoreAsked, event.Event{Records: records})
}
func (r *rig) StoreDone(at int64, records []nodes.Record, err error) {
	r.emit(at, event.StoreDone, event.Event{Records: records, Err: err})
}
func (r *rig) StoreAnswered(at int64, c nodes.Conn) {
	r.emit(at, event.StoreAnswered, event.Event{Slot: c})
}
func (r *rig) ClockSet(at int64, node uint32, elapsed time.Duration, wall int64, ppm float64) {
	r.emit(at, event.ClockSet, event.Event{Node: node, Clock: event.NodeClock{At: at, Elapsed: elapsed, Wall: wall,
		PPM: ppm}})
}

// opens opens the connections and sends the name of anna on each.
func (r *rig) opens(at time.Duration, conns ...nodes.Conn) {
	for _, c := range conns {
		r.Accepted(int64(at), c)
		r.ServerRead(int64(at), c, []byte("anna"))
	}
}

// exchange makes the server read a text on a connection and send the answers.
func (r *rig) exchange(at time.Duration, c nodes.Conn, text string, answers ...string) {
	r.ServerRead(int64(at), c, []byte(text))
	for _, a := range answers {
		r.ServerSent(int64(at), c, []byte(a))
	}
}

// blocked makes the server block anna at 2 s, on connection 0.
func (r *rig) blocked() {
	r.opens(0, 0)
	r.exchange(0, 0, "wrong", protocol.TryAgain)
	r.exchange(second, 0, "wrong", protocol.TryAgain)
	r.exchange(2*second, 0, "wrong", protocol.NowBlocked)
}

// attempt makes a whole login of anna on a new connection.
func (r *rig) attempt(at time.Duration, c nodes.Conn, password, answer string) {
	r.opens(at, c)
	r.exchange(at, c, password, answer)
}

// judgement returns the effect of a phone that judges a beacon with this start and
// lifetime.
func (r *rig) judgement(id byte, start, lifetime time.Duration, err error) *nodes.PhoneEffect {
	b := protocol.Beacon{Start: r.zone.Local(1596099600 + int64(start/second)), Expiry: r.zone.Local(1596099600 +
		int64((start+lifetime)/second))}
	for i := range b.TempID {
		b.TempID[i] = id
	}
	e := &nodes.PhoneEffect{Kind: nodes.PhoneJudged, HasVersion: true, Err: err}
	b.Encode(&e.Raw)
	return e
}

// logOf returns a contact log with beacons of these TempIDs (one digit, repeated)
// received at these times. Its retention is longer than any test.
func (r *rig) logOf(entries ...entry) *nodes.ContactLog {
	r.t.Helper()
	settings := nodes.DefaultPhoneSettings()
	settings.Retention, settings.Form = 1000*time.Hour, protocol.Single
	phone := new(nodes.Phone)
	phone.Init(&settings)
	for _, en := range entries {
		e := r.judgement(en.id, -time.Hour, 24*time.Hour, nil)
		var out nodes.PhoneOutbox
		phone.Datagram(nodes.Now{Elapsed: en.at, Wall: start * int64(second)}, protocol.Address{}, e.Raw[:], &out)
	}
	if phone.Log().Len() != len(entries) {
		r.t.Fatalf("the test's own log has %d entries, want %d", phone.Log().Len(), len(entries))
	}
	return phone.Log()
}

type entry struct {
	id byte
	at time.Duration
}

// keepBeacon makes phone 0 judge a beacon as valid and add it to its log.
func (r *rig) keepBeacon(at time.Duration, id byte, log *nodes.ContactLog) {
	r.Judged(int64(at), 0, 9, r.judgement(id, at-second, 900*second, nil))
	r.Stepped(int64(at), 0, log)
}

var (
	idOne   = strings.Repeat("1", 20)
	idTwo   = strings.Repeat("2", 20)
	atStart = "30/07/2020 09:00:00"
)

// downloads makes a login with the name, and a download that gets the TempID.
func (r *rig) downloads(at time.Duration, c nodes.Conn, name, password, id string) {
	r.Accepted(int64(at), c)
	r.exchange(at, c, name)
	r.exchange(at, c, password, protocol.Welcome)
	r.exchange(at, c, protocol.CommandDownload, id)
}

func uploadBlock(name string, lines, resolved []string) string {
	all := append([]string{"received contact log from " + name}, lines...)
	return strings.Join(append(append(all, "Contact log checking"), resolved...), "\n")
}

// printUpload makes ben upload these lines, some of them joined, and the server
// print the upload.
func (r *rig) printUpload(at time.Duration, lines, resolved []string) {
	const c = 20
	r.Accepted(int64(at), c)
	r.exchange(at, c, "ben")
	r.exchange(at, c, "comp1", protocol.Welcome)
	r.exchange(at, c, fmt.Sprintf("%s%d", protocol.CommandUpload, len(lines)), slices.Repeat([]string{protocol.Ack},
		2)...)
	r.exchange(at, c, strings.Join(lines, ""), slices.Repeat([]string{protocol.Ack}, len(lines))...)
	r.ServerPrinted(int64(at), uploadBlock("ben", lines, resolved))
}

// uploaded returns the three lines of an uploaded entry.
func uploaded(id string) []string { return []string{id, atStart, "30/07/2020 09:15:00"} }

var errDisk = errors.New("no space left on device")

// restarts kills the server, and starts another one.
func (r *rig) restarts(killed, started time.Duration) {
	r.ServerStopped(int64(killed))
	r.ServerStarted(int64(started), func(protocol.TempID) (nodes.Issue, bool) { return nodes.Issue{}, false })
}

func attemptsOf(user string) []nodes.Record {
	return []nodes.Record{{Kind: nodes.RecordAttempts, Attempts: nodes.Attempts{Known: user != "", User: user}}}
}

// history is a sequence of events, and the invariants that it breaks.
type history struct {
	name string
	feed func(w *rig)
	want []Invariant
}

func checkHistories(t *testing.T, all []history) {
	t.Helper()
	for _, c := range all {
		t.Run(c.name, func(t *testing.T) {
			w := newRig(t)
			c.feed(w)
			var got []Invariant
			for _, v := range w.broken {
				got = append(got, v.Invariant)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%v were violated, want %v: %+v", got, c.want, w.broken)
			}
		})
	}
}
