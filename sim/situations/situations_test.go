package situations

import (
	"errors"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/scenarios/fault"
	"bluetrace/sim/event"
)

const (
	second = time.Second
	start  = 1596099600 // 30/07/2020 09:00:00 UTC
)

// rig emits events to a detector.
type rig struct {
	t        *testing.T
	detector *Detector
	stream   event.Stream
}

func newRig(t *testing.T) *rig {
	r := &rig{t: t, detector: New(Settings{Start: start, Zone: time.UTC, BlockDuration: 60 * second})}
	r.detector.Subscribe(&r.stream)
	return r
}

func (r *rig) emit(at time.Duration, k event.Kind, e event.Event) {
	e.At, e.Kind = at, k
	r.stream.Emit(&e)
}

// log returns a contact log with this number of entries.
func (r *rig) log(entries int) *nodes.ContactLog {
	settings := nodes.DefaultPhoneSettings()
	settings.Form = protocol.Single
	p := new(nodes.Phone)
	p.Init(&settings)
	kept := make([]nodes.StoredContact, entries)
	for i := range kept {
		kept[i].Received = start * int64(second)
	}
	p.Restore(nodes.Now{Elapsed: time.Hour, Wall: start * int64(second)}, kept)
	if p.Log().Len() != entries {
		r.t.Fatalf("the log of the test has %d entries, want %d", p.Log().Len(), entries)
	}
	return p.Log()
}

var errDisk = errors.New("no space left on device")

// TestSituations plays testdata/situations.txt, in which each situation has events
// that reach it once, and near misses.
func TestSituations(t *testing.T) {
	const path = "testdata/situations.txt"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	reached := map[Situation]bool{}
	preface, blocks, _ := strings.Cut(string(text), "\n== ")
	number := 1 + strings.Count(preface, "\n")
	for block := range strings.SplitSeq(blocks, "\n== ") {
		number++
		name, body, _ := strings.Cut(block, "\n")
		s := Situation(slices.IndexFunc(All(), func(s Situation) bool { return s.Name() == name }))
		if s < 0 {
			t.Fatalf("%s:%d: unknown situation %q", path, number, name)
		}
		reached[s] = reached[s] || strings.HasPrefix(body, "once\n")
		t.Run(name, func(t *testing.T) { playSituation(t, s, path, number, body) })
		number += 1 + strings.Count(body, "\n")
	}
	for _, m := range All() {
		if !reached[m] {
			t.Errorf("%s has no test", m.Name())
		}
	}
}

// playSituation plays the runs of a block whose title is on the given line.
func playSituation(t *testing.T, s Situation, path string, number int, body string) {
	var p *player
	check := func() {
		if p != nil && !p.played {
			t.Errorf("%s:%d: no event follows", path, p.number)
		}
		if p != nil && p.detector.Counts[s] != p.want {
			t.Errorf("%s:%d: %s: counted %d times, want %d", path, p.number, s.About(), p.detector.Counts[s], p.want)
		}
	}
	for line := range strings.SplitSeq(body, "\n") {
		number++
		switch {
		case line == "" || strings.HasPrefix(line, "# "):
		case line == "once" || line == "never":
			check()
			p = &player{rig: newRig(t), path: path, number: number}
			if line == "once" {
				p.want = 1
			}
		case p == nil:
			t.Fatalf("%s:%d: expected once or never, found %q", path, number, line)
		default:
			p.number, p.played = number, true
			p.play(line)
		}
	}
	check()
}

// player emits the events of testdata/situations.txt, line by line.
type player struct {
	*rig
	path   string
	number int    // of the current line
	played bool   // an event was emitted
	want   uint64 // how often the situation must be counted
	at     time.Duration
	node   event.Node // the node of the current line
	rest   []string   // the words of the current line that are not read yet
}

func (p *player) fail(format string, a ...any) {
	p.t.Helper()
	p.t.Fatalf("%s:%d: "+format, append([]any{p.path, p.number}, a...)...)
}

func (p *player) play(line string) {
	p.rest, p.node = strings.Fields(line), 0
	if p.follows("@") {
		before := p.at
		if p.at = p.time(); p.at < before {
			p.fail("%s is before %s", p.at, before)
		}
		if len(p.rest) == 0 {
			return
		}
	}
	if p.follows("server") {
		p.node = event.Server
	} else if p.follows("phone") {
		p.node = event.Node(p.integer())
	}
	oneOf(p, verbs)(p)
	if len(p.rest) > 0 {
		p.fail("unexpected %q at the end of the line", p.rest)
	}
}

func (p *player) word() string {
	if len(p.rest) == 0 {
		p.fail("the line ends too early")
	}
	word := p.rest[0]
	p.rest = p.rest[1:]
	return word
}

// follows reads the word if it comes next, and reports whether it did.
func (p *player) follows(word string) bool {
	found := len(p.rest) > 0 && p.rest[0] == word
	if found {
		p.rest = p.rest[1:]
	}
	return found
}

// oneOf reads a word and returns its value.
func oneOf[V any](p *player, values map[string]V) V {
	word := p.word()
	v, ok := values[word]
	if !ok {
		p.fail("unknown word %q; expected one of %q", word, slices.Sorted(maps.Keys(values)))
	}
	return v
}

func (p *player) integer() int {
	word := p.word()
	n, err := strconv.Atoi(word)
	if err != nil {
		p.fail("%q is not a number", word)
	}
	return n
}

// numbers reads two numbers, such as 3 of 6.
func (p *player) numbers() (a, b int) {
	if a = p.integer(); !p.follows("of") {
		p.fail("expected numbers such as 3 of 6")
	}
	return a, p.integer()
}

func (p *player) time() time.Duration { return p.parseTime(p.word()) }

// parseTime parses a sum of durations, such as 61s-1ns.
func (p *player) parseTime(text string) (sum time.Duration) {
	for _, term := range strings.Fields(strings.NewReplacer("+", " +", "-", " -").Replace(text)) {
		d, err := time.ParseDuration(term)
		if err != nil {
			p.fail("%q is not a time", text)
		}
		sum += d
	}
	return sum
}

func (p *player) wall() int64 { return start*int64(second) + int64(p.at) }

func (p *player) emitNow(k event.Kind, e event.Event) { p.emit(p.at, k, e) }

// decided emits a decision of the server about an account.
func decided(k nodes.ServerEventKind) func(p *player) {
	return func(p *player) {
		d := nodes.ServerEvent{Kind: k}
		if name := p.word(); name != "-" {
			d.User = name
		}
		if !p.follows("by") {
			p.fail("expected by and a phone")
		}
		phone := event.Node(p.integer())
		p.emitNow(event.ServerDecided, event.Event{Node: event.Server, Peer: phone, Scripted: p.follows("scripted"), Decision: &d})
	}
}

func node(k event.Kind) func(p *player) {
	return func(p *player) { p.emitNow(k, event.Event{Node: p.node}) }
}

func server(k event.Kind) func(p *player) {
	return func(p *player) { p.emitNow(k, event.Event{Node: event.Server}) }
}

// verbs are the first words of the events in testdata/situations.txt.
var verbs = map[string]func(p *player){
	"beacon":    (*player).beacon,
	"fault":     (*player).fault,
	"block":     decided(nodes.EventBlockBegan),
	"refused":   decided(nodes.EventRefused),
	"logged-in": decided(nodes.EventLoggedIn),
	"upload":    (*player).upload,
	"store":     (*player).store,
	"repaired": func(p *player) {
		repair := oneOf(p, map[string]event.Repair{"torn-line": event.TornLine, "recovered": event.Recovered, "other": event.OtherRepair})
		p.emitNow(event.FileRepaired, event.Event{Repair: repair})
	},
	"ends": func(p *player) {
		reason := oneOf(p, map[string]string{"logout": nodes.ReasonLogout, "bad-count": nodes.ReasonCount,
			"login-timeout": nodes.ReasonLoginTimeout, "too-many": nodes.ReasonTooMany, "idle-timeout": nodes.ReasonIdleTimeout})
		p.emitNow(event.ServerDecided, event.Event{Node: event.Server,
			Decision: &nodes.ServerEvent{Kind: nodes.EventSessionEnded, Reason: reason}})
	},
	"killed":  server(event.ServerStopped),
	"started": server(event.ServerStarted),
	"steps":   func(p *player) { p.emitNow(event.PhoneStepped, event.Event{Node: p.node, Log: p.log(0)}) },
	"stops":   node(event.PhoneStopped),
	"starts":  func(p *player) { p.emitNow(event.PhoneStarted, event.Event{Node: p.node, Log: p.log(p.integer())}) },
	"saved": func(p *player) {
		p.emitNow(event.LogWritten, event.Event{Node: p.node, Stored: make([]nodes.StoredContact, p.integer())})
	},
	"done": func(p *player) {
		e := &nodes.PhoneEffect{Kind: nodes.PhoneDone}
		e.Op = oneOf(p, map[string]nodes.Operation{"upload": nodes.OpUpload, "download": nodes.OpDownload})
		e.Outcome = oneOf(p, map[string]nodes.Outcome{"ok": nodes.OutcomeOK, "connection-lost": nodes.OutcomeConnectionLost,
			"no-answer": nodes.OutcomeNoAnswer})
		p.emitNow(event.OperationDone, event.Event{Node: p.node, Phone: e})
	},
	"connects": node(event.ProgramConnects),
	"floods": func(p *player) { // a part out of turn from each port, from the first to the last
		for port, last := p.integer(), p.integer(); port <= last; port++ {
			e := &nodes.PhoneEffect{OutOfTurn: true, From: protocol.Address{Port: uint16(port)}}
			p.emitNow(event.BeaconJudged, event.Event{Node: p.node, Peer: 1, Phone: e})
		}
	},
	"first-part": func(p *player) {
		e := event.Event{Node: p.node, Peer: 1, Size: protocol.TempIDSize, Port: uint16(p.integer())}
		p.emitNow(event.DatagramDelivered, e)
	},
	"prints": func(p *player) {
		p.emitNow(event.ServerPrinted, event.Event{Node: event.Server, Text: strings.Join(p.rest, " ")})
		p.rest = nil
	},
	"replied": func(p *player) {
		bytes := []byte(strings.Repeat("1", p.integer()))
		p.emitNow(event.Replied, event.Event{Node: p.node, Bytes: bytes, Scripted: p.follows("scripted")})
	},
	"clock": func(p *player) {
		c := event.NodeClock{At: int64(p.at), Elapsed: p.at, Wall: p.wall() + int64(p.time())}
		if p.follows("drift") {
			c.PPM = float64(p.integer())
		}
		p.emitNow(event.ClockSet, event.Event{Node: p.node, Clock: c})
	},
}

func (p *player) beacon() {
	zone := protocol.NewZone(time.UTC)
	id := p.word()
	from, to, _ := strings.Cut(p.word(), "..")
	b := protocol.Beacon{
		TempID: protocol.TempID([]byte(strings.Repeat(id[:1], protocol.TempIDSize))),
		Start:  zone.Local(start + int64(p.parseTime(from)/second)),
		Expiry: zone.Local(start + int64(p.parseTime(to)/second)),
	}
	e := &nodes.PhoneEffect{Kind: nodes.PhoneJudged, HasVersion: true, FirstPart: p.at, At: nodes.Now{Elapsed: p.at, Wall: p.wall()}}
	b.Encode(&e.Raw)
	e.Err = oneOf(p, map[string]error{"valid": nil, "expired": protocol.ErrExpired})
	if p.follows("first") {
		e.FirstPart = p.time()
	}
	sender := 1
	if p.follows("sender") {
		sender = p.integer()
	}
	e.HasVersion = !p.follows("without-version")
	e.OutOfTurn = p.follows("out-of-turn")
	p.emitNow(event.BeaconJudged, event.Event{Node: p.node, Peer: event.Node(sender), Phone: e})
}

func (p *player) fault() {
	e := event.Event{Node: p.node, Fault: fault.Kind(p.word())}
	if !slices.Contains(fault.Kinds(), e.Fault) {
		p.fail("unknown fault %q", e.Fault)
	}
	switch k := oneOf(p, map[string]event.Kind{"begins": event.FaultBegins, "ends": event.FaultEnds, "applied": event.FaultApplied}); k {
	case event.FaultEnds:
		p.emitNow(k, e)
		p.emitNow(event.FaultEnded, e)
	default:
		if len(p.rest) > 0 {
			e.Amount = int64(p.integer())
		}
		p.emitNow(k, e)
	}
}

func (p *player) upload() {
	d := nodes.ServerEvent{Kind: nodes.EventUploadBroken}
	scripted := oneOf(p, map[string]bool{"done": true, "broken": false})
	if scripted {
		d.Resolved, d.Entries = p.numbers()
		if !p.follows("broken") {
			d.Kind = nodes.EventUploadDone
		}
	} else {
		d.Lines, d.Announced = p.numbers()
		if d.Reason = nodes.ReasonEOF; p.follows("bad-count") {
			d.Reason = nodes.ReasonCount
		}
	}
	p.emitNow(event.ServerDecided, event.Event{Node: event.Server, Scripted: scripted, Decision: &d})
}

func (p *player) store() {
	outcome := p.word()
	e := event.Event{Records: []nodes.Record{{Kind: oneOf(p, map[string]nodes.RecordKind{"issue": nodes.RecordIssue, "attempts": nodes.RecordAttempts})}}}
	switch outcome {
	case "asked":
		p.emitNow(event.StoreAsked, e)
	case "saved":
		p.emitNow(event.StoreDone, e)
	case "failed":
		e.Err = errDisk
		p.emitNow(event.StoreDone, e)
	default:
		p.fail("unknown outcome %q of a store", outcome)
	}
}

// TestCatalogue checks that each situation has a name and a sentence of its own.
func TestCatalogue(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range All() {
		if m.Name() == "" || m.About() == "" || seen[m.Name()] || seen[m.About()] {
			t.Errorf("situation %d: name %q, about %q", m, m.Name(), m.About())
		}
		if strings.ContainsAny(m.Name(), " _") || m.Name() != strings.ToLower(m.Name()) {
			t.Errorf("situation %d has the name %q", m, m.Name())
		}
		seen[m.Name()], seen[m.About()] = true, true
	}
	if len(All()) != int(ConnectionsFull)+1 {
		t.Errorf("%d situations", len(All()))
	}
}

func TestCountsAdd(t *testing.T) {
	var a, b Counts
	a[BeaconAtStart], b[BeaconAtStart], b[ServerPaused] = 2, 3, 1
	a.Add(&b)
	if a[BeaconAtStart] != 5 || a[ServerPaused] != 1 || b[BeaconAtStart] != 3 {
		t.Errorf("%v", a)
	}
}
