package scenarios

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	yaml "go.yaml.in/yaml/v4"

	"bluetrace/scenarios/fault"
)

// Fault is one entry of `faults`, or the `fault` of a step.
type Fault struct {
	Pos  Pos
	Text string // on one line, for reports
	Kind fault.Kind

	// At counts from the start of the run; of a step's fault, from the step. For is the time for which the fault is in
	// force. 0 is the time to the end of the run, or no time if the fault is instant. The fault begins again after
	// each Every (0: never) as long as that is before Until (0: the end of the run).
	At, For, Every, Until time.Duration
	// Chance is the chance, 0 to 1, of each datagram, piece of a stream, connection or disk operation that Skip and
	// Count leave; of a fault of nodes, of each node.
	Chance float64
	// Skip is the number of datagrams, pieces, connections or disk operations that pass before the first affected one.
	// Count is the most that are affected; 0 is no limit.
	Skip, Count int

	Of       Nodes  // of kinds that affect nodes, from cut on
	From, To Nodes  // the way; of lose to truncate, cut and slow
	Stream   bool   // delay, slow: of TCP instead of UDP
	OneWay   string // cut: "" loses both ways, "out" the traffic from Of, "in" the traffic to Of

	Delay Distribution // delay, reorder (by how much), join, a slow disk
	// Bytes is of slow the bytes per second; of pieces the longest piece; of corrupt the place of the byte, from 1, or
	// 0 for a random one; of truncate the length that is left, or -1 for a random one.
	Bytes int
	Room  int // slow: the bytes that may wait before datagrams are lost; 0: no limit

	Unsynced string // crash: "lost", "kept" or "torn" (random), of the data that was not synced
	Disk     string // "full", "slow", "failing" (writes), "fsync"

	Offset time.Duration // clock: from the start of the run, until the clock is stepped
	Step   time.Duration // clock: once, at At
	Drift  float64       // clock: parts per million, for the whole run
}

// Nodes is a set of the server and phones, given by their indexes into PhoneNames.
type Nodes = fault.NodeSet[int]

// Instant reports whether the fault is over as soon as it has happened.
func (f *Fault) Instant() bool { return fault.Instant(f.Kind, f.For, f.Step) }

// PerNode reports whether the chance of the fault is drawn once for each node.
func (f *Fault) PerNode() bool { return fault.PerNode(f.Kind, f.For) }

// Window returns the time in which the fault is in force.
func (f *Fault) Window() fault.Window {
	return fault.Window{At: f.At, For: f.For, Every: f.Every, Until: f.Until}
}

// faultForm returns the form of a fault. It suggests the words of the language for common synonyms.
func faultForm() *form {
	f := sectionForm[Fault]("fault", "a fault such as {lose: 30%, from: pupil, at: 10m, for: 5m}")
	f.mapping.synonyms = faultSynonyms()
	return f
}

var (
	faultCount    = wholeForm("a whole number, 1 to 1000000000", 1, 1_000_000_000)
	pieceForm     = wholeForm("a number of bytes, 1 to 1024", 1, 1024)
	roomForm      = wholeForm("a number of bytes, 1 to 1000000000", 1, 1_000_000_000)
	byteForm      = wholeForm("the place of a byte, 1 to 65507", 1, maxDatagram)
	leftForm      = wholeForm("a number of bytes, 0 to 65506", 0, maxDatagram-1)
	oneWayForm    = oneOf("", nil, "out", "in")
	unsyncedForm  = oneOf("", nil, "lost", "kept", "torn")
	diskForm      = oneOf("", diskSynonyms, "full", "slow", "failing", "fsync")
	transportForm = eitherOf("udp", "tcp")
)

// keys is the table of a fault. First come the kinds with the keys that may stand beside each. A key of the last part
// may stand beside every kind.
func (f *Fault) keys() []key {
	with := kindKey[fault.Kind]
	return []key{
		with(fault.Lose, &f.Chance, percentForm, "The share of datagrams that is lost.", "from", "to", "skip", "count"),
		with(fault.Delay, &f.Delay, delayForm, "Datagrams, or the bytes of streams, arrive later by this time; of a "+
			"slow disk, its answers.", "from", "to", "transport", "chance", "skip", "count").
			writtenIf(func(*writer) bool { return f.Kind == fault.Delay || f.Disk == "slow" }),
		with(fault.Duplicate, &f.Chance, percentForm, "The share of datagrams that arrive twice.", "from", "to", "skip",
			"count"),
		with(fault.Reorder, &f.Chance, percentForm, "The share of datagrams that arrive later, after others.",
			"by", "from", "to", "skip", "count"),
		with(fault.Corrupt, &f.Chance, percentForm, "The share of datagrams with one changed byte.",
			"byte", "from", "to", "skip", "count"),
		with(fault.Truncate, &f.Chance, percentForm, "The share of datagrams that are cut short.",
			"left", "from", "to", "skip", "count"),
		with(fault.Cut, &f.Of, nodesForm, "The nodes that are cut off from the others.", "from", "one_way", "chance"),
		with(fault.Slow, &f.Bytes, bytesPerSecondForm, "The bytes per second of a slow link.",
			"room", "from", "to", "transport", "chance"),
		with(fault.Pieces, &f.Bytes, pieceForm, "The bytes of a stream arrive in pieces of at most this length.",
			"of", "chance", "skip", "count"),
		with(fault.Join, &f.Delay, positiveDelayForm, "A stream is read this long after its first unread byte came.",
			"of", "chance", "skip", "count"),
		with(fault.Reset, &f.Of, nodesForm, "The nodes whose connections are reset: once, or with each send while "+
			"`for` lasts.",
			"chance", "skip", "count"),
		with(fault.HalfClose, &f.Of, nodesForm, "The nodes whose connections are closed for sending.", "chance"),
		with(fault.Stall, &f.Of, nodesForm, "The nodes that do not read their connections.", "chance"),
		with(fault.Refuse, &f.Of, nodesForm, "The nodes whose new connections are refused.", "chance", "skip", "count"),
		with(fault.TimeOut, &f.Of, nodesForm, "The nodes whose new connections get no answer.", "chance", "skip",
			"count"),
		with(fault.Crash, &f.Of, nodesForm, "The nodes that lose their memory, and start again when `for` is over.",
			"unsynced", "chance"),
		with(fault.SwitchOff, &f.Of, phonesForm, "The phones that are switched off; their logs stay on disk.",
			"chance"),
		with(fault.Pause, &f.Of, nodesForm, "The nodes that pause; their input waits.", "chance"),
		with(fault.Leave, &f.Of, phonesForm, "The phones that are out of reach of every node.", "chance"),
		with(fault.Disk, &f.Of, nodesForm, "The nodes with a faulty disk.", "is", "delay", "chance", "skip", "count"),
		with(fault.Clock, &f.Of, nodesForm, "The nodes with a wrong clock.", "offset", "step", "drift", "chance"),

		to("by", &f.Delay, positiveDelayForm, "The delay of a reordered datagram.").writtenIf(always),
		to("byte", &f.Bytes, byteForm, "The place of the changed byte, from 1; random unless written."),
		to("left", &f.Bytes, leftForm, "The number of bytes that are left; random unless written.").
			writtenIf(func(*writer) bool { return f.Bytes >= 0 }),
		to("room", &f.Room, roomForm, "The number of bytes that may wait; a datagram beyond it is lost. Without it, "+
			"no limit."),
		to("of", &f.Of, nodesForm, "The nodes that send the pieces, or that read the joined bytes; every node unless "+
			"written."),
		to("unsynced", &f.Unsynced, unsyncedForm, "The fate of data that was not synced.").or("lost").
			writtenIf(func(*writer) bool { return f.Unsynced != "" && f.Unsynced != "lost" }),
		to("is", &f.Disk, diskForm, "The state of the disk.").writtenIf(always),
		to("offset", &f.Offset, signedForm, "The time by which the clock is fast (or slow, below zero), from the "+
			"start of the run."),
		to("step", &f.Step, clockStepForm, "The time by which the clock is stepped forward (or back, below zero)."),
		to("drift", &f.Drift, driftForm, "The ppm (parts per million) by which the clock runs fast (or slow, below "+
			"zero), for the whole run.").
			writtenIf(func(*writer) bool { return f.Drift != 0 || f.Offset == 0 && f.Step == 0 }),
		to("from", &f.From, nodesForm, "The senders; of a cut, the nodes from which it separates."),
		to("to", &f.To, nodesForm, "The receivers."),
		to("one_way", &f.OneWay, oneWayForm, "out: only the traffic from the nodes is lost; in: only the traffic to "+
			"them."),
		to("transport", &f.Stream, transportForm, "udp: datagrams; tcp: streams.").or("udp"),
		to("chance", &f.Chance, percentForm, "The chance of one datagram, piece of a stream, connection or disk "+
			"operation; of a kind that affects nodes, of each node.").or("100%"),
		to("skip", &f.Skip, faultCount, "The number of the first ones that are not affected, each time that the fault "+
			"begins."),
		to("count", &f.Count, faultCount, "The most that are affected, each time that the fault begins."),
		to("at", &f.At, durationForm,
			"The beginning, from the start of the run; of a step's fault, from the step.").or("0s").
			writtenIf(func(w *writer) bool { return f.At != 0 || w.step == nil && f.Instant() }).alwaysTaken(),
		to("for", &f.For, positiveForm, "The duration; without it, to the end of the run.").alwaysTaken(),
		to("every", &f.Every, positiveForm, "The fault begins again after each such period.").alwaysTaken(),
		to("until", &f.Until, positiveForm, "The time from which it does not begin again.").alwaysTaken(),
	}
}

// maxDrift is the greatest drift of a clock, in ppm.
const maxDrift = 1000

var driftForm = &form{doc: fmt.Sprintf("a number of ppm (parts per million), -%d to %d", maxDrift, maxDrift),
	scalar: &scalar{
		accepts: acceptsReal, bounds: &bounds{-maxDrift, maxDrift}, parse: func(t string) (any, error) {
			n, err := strconv.ParseFloat(strings.TrimPrefix(t, "+"), 64)
			if err != nil || math.IsNaN(n) {
				return nil, errExpected
			}
			if math.Abs(n) > maxDrift {
				day := strconv.FormatFloat(math.Abs(n)*86400e-6, 'f', 0, 64)
				return nil, fmt.Errorf("that is %s s a day, more than any clock drifts", day)
			}
			return n, nil
		},
	}}

// leastPeriod is the shortest interval between two beginnings of a fault.
const leastPeriod = time.Millisecond

// check checks the keys of a fault against each other.
func (f *Fault) check(b *builder, v *value) {
	if f.Kind == fault.Truncate && !v.has("left") {
		f.Bytes = -1
	}
	if f.Kind == fault.Reorder && !v.has("by") {
		b.add(v.keyPos("reorder"), "`reorder` needs `by`: the delay, such as 5ms..50ms")
	}
	if f.Kind == fault.Disk && !v.has("is") {
		b.add(v.keyPos("disk"), "`disk` needs `is`: `full`, `slow`, `failing` or `fsync`")
	}
	switch f.Kind {
	case fault.SwitchOff, fault.Leave:
		f.checkPhonesOnly(b, v)
	case fault.Disk:
		f.checkDisk(b, v)
	case fault.Clock:
		f.checkClock(b, v)
	}
	if f.Kind.HasWay() {
		f.checkWay(b, v)
	}
	if f.Kind != fault.Clock || v.has("step") {
		f.checkTimes(b, v)
	}
	if b.inScript {
		return
	}
	if f.Instant() && !v.has("at") && !v.has("for") {
		or := ""
		if f.Kind == fault.Reset {
			or = ", or `for`, and each send resets the connection meanwhile"
		}
		b.add(v.keyPos(string(f.Kind)), "%s happens once, and its time is missing; write `at`, such as `at: 10s`%s",
			f.action(), or)
	}
	if b.s.Length > 0 && f.At >= b.s.Length {
		b.add(v.keyPos("at"), "`at` is %s, when the run is over (length: %s)", f.At, b.s.Length)
	}
}

// action names the key of an instant fault.
func (f *Fault) action() string {
	if f.Kind == fault.Clock {
		return "`step`"
	}
	return "`" + string(f.Kind) + "`"
}

// checkPhonesOnly refuses `server` in a fault that affects only phones, and suggests the similar fault of the server.
func (f *Fault) checkPhonesOnly(b *builder, v *value) {
	if f.Of.Server {
		instead := map[fault.Kind]fault.Kind{fault.SwitchOff: fault.Crash, fault.Leave: fault.Cut}
		for _, p := range v.child(string(f.Kind)).elements() {
			if p.text == serverName {
				b.add(p.pos, "`%s` affects phones; expected a phone, a group or a pattern, or `%s: server`", f.Kind,
					instead[f.Kind])
				return
			}
		}
	}
}

// checkWay refuses a way on which there are no datagrams, or no streams.
func (f *Fault) checkWay(b *builder, v *value) {
	from, to := v.child("from"), v.child("to")
	for _, end := range []struct {
		v     *value
		nodes Nodes
	}{{from, f.From}, {to, f.To}} {
		if end.v != nil && end.nodes.Server && !f.Stream {
			or := ""
			if f.Kind.Class() == fault.Links {
				or = ", or `transport: tcp`"
			}
			b.add(end.v.pos, "datagrams go from phone to phone, not through the server; expected phones%s", or)
		}
	}
	if !f.Stream || from == nil || to == nil {
		return
	}
	switch {
	case !f.From.Server && !f.To.Server:
		b.add(to.pos, "streams go between a phone and the server; expected `server` on one side")
	case f.From.Server && f.To.Server && len(f.From.Phones)+len(f.To.Phones) == 0:
		b.add(to.pos, "streams go between a phone and the server; expected phones on one side")
	}
}

// checkDisk checks the keys of a disk fault: `delay` and a slow disk need each other.
func (f *Fault) checkDisk(b *builder, v *value) {
	if f.Disk == "" {
		return // already reported
	}
	switch {
	case f.Disk == "slow" && !v.has("delay"):
		b.add(v.keyPos("is"), "a slow disk needs `delay`: the delay of its answers, such as 1s..3s")
	case f.Disk != "slow" && v.has("delay"):
		b.add(v.keyPos("delay"), "`delay` belongs to `is: slow`, and this disk is %s; expected no such key here",
			f.Disk)
	}
	if f.Disk == "full" {
		b.refuse(v, []string{"chance", "skip", "count"}, "a full disk has no room for any data; expected no `%s` here")
	}
}

// checkClock checks the keys of a clock fault: an offset and a drift hold for the whole run, and a step happens once.
func (f *Fault) checkClock(b *builder, v *value) {
	whole := slices.DeleteFunc([]string{"offset", "drift"}, func(key string) bool { return !v.has(key) })
	switch {
	case v.has("step"):
		b.refuse(v, whole, "`step` happens once, and `%s` holds for the whole run; expected two faults")
	case len(whole) == 0:
		if v.complete() {
			b.add(v.keyPos("clock"), "missing error of the clock: write `offset`, `step` or `drift`")
		}
	default:
		hold := "hold"
		if len(whole) == 1 {
			hold = "holds"
		}
		b.refuse(v, []string{"at", "for", "every", "until"}, "%[2]s %[3]s for the whole run, from its start; expected "+
			"no `%[1]s` beside it, or `step`", backquoted(whole), hold)
	}
}

// checkTimes checks the keys that give the times of a fault against its kind and against each other.
func (f *Fault) checkTimes(b *builder, v *value) {
	switch {
	case !f.Kind.TakesDuration() && v.has("for"):
		b.add(v.keyPos("for"), "%s happens in an instant; expected no `for` here", f.action())
	case v.has("every") && !v.has("for") && !f.Instant() && f.Kind != fault.Clock:
		b.add(v.keyPos("every"), "`every` needs `for`, the duration of the fault; write `for`, shorter than `every`")
	case f.Every > 0 && f.For >= f.Every:
		b.add(v.keyPos("for"), "`for` is %s, and the fault begins again after %s: it would never be over; expected "+
			"less than `every`", f.For, f.Every)
	}
	if f.Every > 0 && f.Every < leastPeriod {
		b.add(v.child("every").pos, "`every` is %s, which would slow down the run; the least is %s", f.Every,
			leastPeriod)
	}
	if v.has("until") && !v.has("every") {
		b.add(v.keyPos("until"), "`until` belongs to `every`; write `for`, the duration of the fault")
	} else if f.Until > 0 && f.Until <= f.At {
		b.add(v.keyPos("until"), "`until` is %s, which is not after `at`, %s", f.Until, f.At)
	}
	if f.Kind == fault.Reset && !v.has("for") {
		b.refuse(v, []string{"skip", "count"}, "without `for` the connections are reset once, at `at`; write `for`, "+
			"and `%s` counts the sends meanwhile")
	}
}

// maxClockError is the greatest time by which the faults of a file may set a clock, in either direction.
const maxClockError = 20 * 365 * 24 * time.Hour

// repetitions returns the most times that the fault begins in a run of this length; 0 is an unknown length.
func (f *Fault) repetitions(length time.Duration) float64 {
	if f.Every <= 0 {
		return 1
	}
	end := maxDuration
	if length > 0 {
		end = length
	}
	if f.Until > 0 {
		end = min(end, f.Until)
	}
	return 1 + max(float64(end-f.At), 0)/float64(f.Every)
}

// AdversaryKind is the kind of an adversary.
type AdversaryKind string

// The kinds of adversaries.
const (
	AdversaryReplay  AdversaryKind = "replay"  // sends overheard beacons of Of to To
	AdversaryForge   AdversaryKind = "forge"   // sends beacons with made-up TempIDs to To
	AdversaryFlood   AdversaryKind = "flood"   // sends bytes that are no beacon to To
	AdversaryGuess   AdversaryKind = "guess"   // guesses passwords of Of's accounts
	AdversaryGarbage AdversaryKind = "garbage" // sends garbage and half messages to the server
	AdversaryUpload  AdversaryKind = "upload"  // uploads TempIDs other than its own contacts
	AdversaryHold    AdversaryKind = "hold"    // holds silent connections open
)

// Adversary is one entry of `adversaries`: phones that act from their own addresses as no honest program does.
type Adversary struct {
	Pos  Pos
	Text string // on one line, for reports
	Kind AdversaryKind
	By   []int
	Of   []int // replay: the senders of the beacons; guess: the owners of the accounts
	To   []int // replay, forge, flood
	// Every, Jitter, From and Until have the meaning of the fields of a Routine. Every is 0 for replay, which acts on
	// received beacons.
	Every       time.Duration
	Jitter      float64
	From, Until time.Duration
	After       Distribution // replay: from receiving to sending
	Chance      float64      // replay: of each received beacon
	Invented    bool         // upload: TempIDs that the server did not issue; else overheard ones
	Ports       int          // flood: the number of source ports; 0 is the phone's own port
}

var (
	onlyServerForm = oneOf("", nil, serverName)
	uploadForm     = eitherOf("foreign", "invented")
)

// keys is the table of an adversary: its kinds, and the keys that may stand beside them.
func (a *Adversary) keys() []key {
	with := kindKey[AdversaryKind]
	server := func(*writer) *yaml.Node { return plainNode(serverName) }
	return []key{
		with(AdversaryReplay, &a.Of, phonesForm, "The phones whose beacons are overheard and sent again.", "by", "to",
			"after", "chance"),
		with(AdversaryForge, &a.To, phonesForm, "The phones that receive beacons with TempIDs that the server did not "+
			"issue.", "by", "every", "jitter"),
		with(AdversaryFlood, &a.To, phonesForm, "The phones that receive bytes that are no beacon.", "by", "every",
			"jitter", "ports"),
		with(AdversaryGuess, &a.Of, phonesForm, "The phones whose passwords are guessed.", "by", "every", "jitter"),
		with(AdversaryGarbage, nil, onlyServerForm, "The server receives garbage and half messages.", "by", "every",
			"jitter").encodedBy(server),
		with(AdversaryUpload, &a.Invented, uploadForm, "foreign: overheard TempIDs of other phones; invented: TempIDs "+
			"that the server did not issue.", "by", "every", "jitter"),
		with(AdversaryHold, nil, onlyServerForm, "The server gets connections that stay silent.", "by", "every",
			"jitter").encodedBy(server),
		to("by", &a.By, phonesForm, "The phones that act, from their own addresses.").need(),
		to("to", &a.To, phonesForm, "The receivers of the overheard beacons."),
		to("after", &a.After, delayForm, "From receiving a beacon to sending it again.").or("0s"),
		to("chance", &a.Chance, percentForm, "The chance that an overheard beacon is sent again.").or("100%"),
		to("ports", &a.Ports, wholeForm("a whole number of ports, 0 to 60000", 0, maxPorts),
			"The datagrams come from this many ports, in turn; 0: from the phone's own.").or("0"),
		to("every", &a.Every, positiveForm, "The period; the first action is at random within the first period."),
		to("jitter", &a.Jitter, percentForm, "Each period is drawn from every ± this share.").or("0%"),
		to("from", &a.From, durationForm, "The beginning, from the start of the run.").or("0s").alwaysTaken(),
		to("until", &a.Until, positiveForm,
			"The end, from the start of the run; without it, the end of the run.").alwaysTaken(),
	}
}

// maxPorts is the most source ports of a flood.
const maxPorts = 60_000

// leastAttackPeriod is the shortest interval between two actions of an adversary.
const leastAttackPeriod = 100 * time.Microsecond

// check checks the keys of an adversary against its kind, and its period.
func (a *Adversary) check(b *builder, v *value) {
	switch a.Kind {
	case AdversaryReplay:
		if !v.has("to") {
			b.add(v.keyPos("replay"), "`replay` needs `to`: the receivers of the beacons")
		}
	case AdversaryGuess:
		if i := b.withoutAccount(a.Of); i >= 0 && v.child("guess") != nil {
			b.add(v.child("guess").pos, "phone `%s` has no account whose password could be guessed; expected phones "+
				"with an account", b.roster.name(i))
		}
	case AdversaryUpload:
		if by := v.child("by"); by != nil {
			b.needAccount(by.pos, VerbUpload, a.By)
		}
	}
	if a.Kind != AdversaryReplay && !v.has("every") {
		b.add(v.keyPos(string(a.Kind)), "`%s` needs `every`: the period, such as 1s", a.Kind)
	}
	if a.Every > 0 && a.Every < leastAttackPeriod {
		b.add(v.child("every").pos, "`every` is %s, which would slow down the run; the least is %s", a.Every,
			leastAttackPeriod)
	}
	b.checkPeriod(v, a.From, a.Until)
}
