package event

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
)

// kinds lists the kinds of the events that an observer received.
type kinds []Kind

func (k *kinds) Observe(e *Event) { *k = append(*k, e.Kind) }

func TestStreamDeliversTheSubscribedKindsInOrderOfSubscription(t *testing.T) {
	var s Stream
	var all, some kinds
	s.Subscribe(&all)
	s.Subscribe(&some, PhonePrinted, Accepted)
	for _, k := range []Kind{Accepted, BeaconSent, PhonePrinted} {
		s.Emit(&Event{Kind: k})
	}
	if !slices.Equal(all, kinds{Accepted, BeaconSent, PhonePrinted}) ||
		!slices.Equal(some, kinds{Accepted, PhonePrinted}) {
		t.Errorf("all kinds: %v, two kinds: %v", all, some)
	}
	if !s.Wanted(FaultApplied) {
		t.Error("an observer of all kinds does not want one of them")
	}
	var order []string
	var o Stream
	for _, name := range []string{"first", "second"} {
		o.Subscribe(observerFunc(func(*Event) { order = append(order, name) }), Accepted)
	}
	if o.Emit(&Event{Kind: Accepted}); !slices.Equal(order, []string{"first", "second"}) {
		t.Errorf("order %v", order)
	}
	if o.Wanted(BeaconSent) {
		t.Error("a kind without an observer is wanted")
	}
}

type observerFunc func(*Event)

func (f observerFunc) Observe(e *Event) { f(e) }

const idText = "12345678901234567890"

func beacon() *[protocol.BeaconSize]byte {
	raw := [protocol.BeaconSize]byte([]byte(idText + "30/07/2020 09:00:00" + "30/07/2020 09:15:00" + "1"))
	return &raw
}

// TestTraceLines shows the line of each recorded kind.
func TestTraceLines(t *testing.T) {
	judged := func(change func(*nodes.PhoneEffect)) *nodes.PhoneEffect {
		e := &nodes.PhoneEffect{Raw: *beacon()}
		if change != nil {
			change(e)
		}
		return e
	}
	shown := map[Kind]bool{}
	for _, c := range []struct {
		name  string
		event Event
		want  string
	}{
		{"beacon", Event{Kind: BeaconSent, Peer: 1, Raw: beacon()}, "a: beacon to b, TempID 12345678..34567890"},
		{"datagram sent", Event{Kind: DatagramSent, Peer: 1, Number: 8, Size: 19, Due: 6*time.Second + 5},
			"a -> b: datagram 8, 19 bytes, due 6.000000005"},
		{"datagram on a real network", Event{Kind: DatagramSent, Peer: 1, Number: 7, Size: 20, Due: DueUnknown},
			"a -> b: datagram 7, 20 bytes"},
		{"datagram lost", Event{Kind: DatagramLost, Peer: 1, Number: 7, Size: 20},
			"a -> b: datagram 7, 20 bytes, lost"},
		{"datagram delivered", Event{Kind: DatagramDelivered, Node: 1, Number: 7, Size: 20, Sum: 3},
			"b <- a: datagram 7, 20 bytes"},
		{"valid", Event{Kind: BeaconJudged, Node: 1, Phone: judged(nil)}, "b: beacon of a is valid, TempID " +
			"12345678..34567890"},
		{"invalid", Event{Kind: BeaconJudged, Node: 1,
			Phone: judged(func(e *nodes.PhoneEffect) { e.Err = protocol.ErrExpired })},
			"b: beacon of a is invalid: " + protocol.ErrExpired.Error()},
		{"no beacon", Event{Kind: BeaconJudged, Node: 1, Phone: &nodes.PhoneEffect{OutOfTurn: true}},
			"b: datagrams of a are no beacon"},
		{"expired", Event{Kind: EntriesExpired, Peer: NoPeer, Count: 2, Left: 3},
			"a: log entries that expire: 2, left: 3"},
		{"connecting", Event{Kind: Connecting, Peer: NoPeer, Conn: 4}, "a: connects (c4)"},
		{"accepted", Event{Kind: Accepted, Node: Server, Peer: 1, Conn: 4}, "server: accepts c4 of b"},
		{"connected", Event{Kind: Connected, Peer: NoPeer, Conn: 4}, "a: is connected (c4)"},
		{"refused", Event{Kind: ConnectRefused, Peer: NoPeer}, "a: connection refused"},
		{"phone sent", Event{Kind: PhoneSent, Peer: NoPeer, Conn: 4, Bytes: []byte("x\x1b")}, `a -> server: c4 ` +
			`"x\x1b"`},
		{"phone read", Event{Kind: PhoneRead, Peer: NoPeer, Conn: 4, Bytes: []byte("1")}, `a: reads c4 "1"`},
		{"phone ended", Event{Kind: PhoneEnded, Peer: NoPeer, Conn: 4, Text: "breaks"}, "a: c4 breaks"},
		{"server sent", Event{Kind: ServerSent, Node: Server, Peer: 1, Conn: 4, Bytes: []byte("1")}, `server -> b: ` +
			`c4 "1"`},
		{"server read", Event{Kind: ServerRead, Node: Server, Peer: 1, Conn: 4, Bytes: []byte("1")}, `server: ` +
			`reads c4 of b "1"`},
		{"server ended", Event{Kind: ServerEnded, Node: Server, Peer: 1, Conn: 4, Text: "is closed by the server"},
			"server: c4 of b is closed by the server"},
		{"server printed", Event{Kind: ServerPrinted, Node: Server, Peer: NoPeer, Text: "I am listening"},
			`server: prints "I am listening"`},
		{"stored", Event{Kind: StoreDone, Node: Server, Peer: NoPeer, Number: 5, Records: make([]nodes.Record, 2)},
			"server: store 5 is on disk, records: 2"},
		{"not stored", Event{Kind: StoreDone, Node: Server, Peer: NoPeer, Number: 5, Err: errors.New("full")}, ""},
		{"status", Event{Kind: ProgramStatus, Node: 1, Peer: NoPeer, Text: "is killed"}, "b: is killed"},
		{"phone printed", Event{Kind: PhonePrinted, Peer: NoPeer, Text: "x"}, `a: prints "x"`},
		{"fault begins", Event{Kind: FaultBegins, Node: Server, Peer: NoPeer, Number: 2, Text: "lose 1%"},
			"fault 2: begins: lose 1%"},
		{"fault ends", Event{Kind: FaultEnds, Node: Server, Peer: NoPeer, Number: 2, Text: "lose 1%"},
			"fault 2: ends: lose 1%"},
		{"fault applied", Event{Kind: FaultApplied, Peer: 1, Number: 2, Text: "a -> b: lost"}, "fault 2: a -> b: lost"},
		{"not recorded", Event{Kind: PhoneStepped}, ""},
	} {
		shown[c.event.Kind] = true
		t.Run(c.name, func(t *testing.T) {
			var trace strings.Builder
			r := NewRecorder([]string{"a", "b"}, &trace)
			var s Stream
			r.Subscribe(&s)
			before := r.Digest()
			c.event.At = 4 * time.Second
			s.Emit(&c.event)
			want := ""
			if c.want != "" {
				want = "4.000000000 " + c.want + "\n"
			}
			if got := trace.String(); got != want {
				t.Errorf("%q, want %q", got, want)
			}
			if changed := r.Digest() != before; changed != (want != "") {
				t.Errorf("the digest has changed: %v", changed)
			}
		})
	}
	for k, code := range digestCodes {
		if code != 0 && !shown[Kind(k)] {
			t.Errorf("kind %d has no row", k)
		}
	}
}

// TestDigestDependsOnEveryField changes one field of an event at a time.
func TestDigestDependsOnEveryField(t *testing.T) {
	base := Event{At: 1, Kind: ServerSent, Node: Server, Peer: 0, Conn: 1, Bytes: []byte("1")}
	seen := map[string]string{}
	for name, change := range map[string]func(*Event){
		"none": func(*Event) {}, "time": func(e *Event) { e.At++ }, "kind": func(e *Event) { e.Kind = ServerRead },
		"node": func(e *Event) { e.Node = 0 }, "peer": func(e *Event) { e.Peer = 1 },
		"connection": func(e *Event) { e.Conn++ },
		"bytes":      func(e *Event) { e.Bytes = []byte("2") },
	} {
		e := base
		change(&e)
		r := NewRecorder([]string{"a", "b"}, nil)
		r.record(&e)
		if other, found := seen[r.Digest()]; found {
			t.Errorf("a change of %s has the digest of a change of %s", name, other)
		}
		seen[r.Digest()] = name
	}
}

// printed records ten events, of a and b in turn, a second apart.
func printed() *Recorder {
	r := NewRecorder([]string{"a", "b"}, nil)
	for i := range 10 {
		e := Event{At: time.Duration(i) * time.Second, Kind: PhonePrinted, Node: uint32(i % 2), Peer: NoPeer, Text: "x"}
		switch i {
		case 4:
			e = Event{At: e.At, Kind: DatagramSent, Peer: 1, Number: 7, Size: 20, Due: DueUnknown}
		case 6:
			e = Event{At: e.At, Kind: DatagramSent, Peer: 1, Number: 8, Size: 19, Due: e.At + 5}
		}
		r.record(&e)
	}
	return r
}

func TestRecentAndSince(t *testing.T) {
	r := printed()
	for _, c := range []struct {
		name      string
		got, want []string
	}{
		{"recent of b", r.Recent(1, 2), []string{`7.000000000 b: prints "x"`, `9.000000000 b: prints "x"`}},
		{"recent of a phone without events", r.Recent(5, 1), []string{`9.000000000 b: prints "x"`}},
		{"since 4 s", r.Since(4*time.Second, []int{1}, 2),
			[]string{"4.000000000 a -> b: datagram 7, 20 bytes", "(3 more)", `9.000000000 b: prints "x"`}},
		{"since 6 s", r.Since(6*time.Second, []int{0}, 9),
			[]string{"6.000000000 a -> b: datagram 8, 19 bytes, due 6.000000005", `8.000000000 a: prints "x"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !slices.Equal(c.got, c.want) {
				t.Errorf("%q\nwant %q", c.got, c.want)
			}
		})
	}
}

func TestOldRecordsAreDropped(t *testing.T) {
	r := NewRecorder([]string{"a"}, nil)
	for i := range recentRecords + 10 {
		r.record(&Event{At: time.Duration(i), Kind: PhonePrinted, Peer: NoPeer, Text: fmt.Sprint(i)})
	}
	if got := r.Since(0, []int{0}, recentRecords+10); len(got) != recentRecords ||
		!strings.HasSuffix(got[0], `prints "10"`) {
		t.Errorf("%d records, the first %q", len(got), got[0])
	}
}

// TestLongTextsAreCut checks that Recent and Since cut quoted bytes, never inside a
// character, and that the trace does not.
func TestLongTextsAreCut(t *testing.T) {
	long := strings.Repeat("x", 164)
	for _, c := range []struct {
		name  string
		event Event
		want  string
	}{
		{"sent", Event{Kind: PhoneSent, Peer: NoPeer, Conn: 1, Bytes: []byte(long)},
			`0.000000000 a -> server: connection 1 "` + long[:128] + `"… (36 more bytes)`},
		{"as long as shown", Event{Kind: ServerRead, Node: Server, Conn: 1, Bytes: []byte(long[:128])},
			`0.000000000 server: reads connection 1 of a "` + long[:128] + `"`},
		{"within a character", Event{Kind: ServerPrinted, Node: Server, Text: long[:127] + "éé"},
			`0.000000000 server: prints "` + long[:127] + `"… (4 more bytes)`},
		{"no UTF-8", Event{Kind: PhonePrinted, Peer: NoPeer, Text: strings.Repeat("\xbf", 134)},
			`0.000000000 a: prints "` + strings.Repeat(`\xbf`, 124) + `"… (10 more bytes)`},
		{"a fault", Event{Kind: FaultApplied, Number: 3, Text: long}, "0.000000000 fault 3: " + long},
	} {
		t.Run(c.name, func(t *testing.T) {
			var trace strings.Builder
			r := NewRecorder([]string{"a"}, &trace)
			r.record(&c.event)
			for _, got := range [][]string{r.Recent(-1, 1), r.Since(0, []int{0}, 1)} {
				if len(got) != 1 || got[0] != c.want {
					t.Errorf("%q\nwant %q", got, c.want)
				}
			}
			if strings.Contains(trace.String(), "more bytes") {
				t.Errorf("the trace is cut: %s", trace.String())
			}
		})
	}
}

var errFull = errors.New("no space left on device")

type full struct{ writes int }

func (f *full) Write([]byte) (int, error) { f.writes++; return 0, errFull }

func TestTraceErrorIsTheFirst(t *testing.T) {
	f := &full{}
	r := NewRecorder([]string{"a"}, f)
	for range 2 {
		r.record(&Event{Kind: PhonePrinted, Peer: NoPeer, Text: "x"})
	}
	if !errors.Is(r.TraceError(), errFull) || f.writes != 1 {
		t.Errorf("%v after %d writes, want %v after one", r.TraceError(), f.writes, errFull)
	}
}
