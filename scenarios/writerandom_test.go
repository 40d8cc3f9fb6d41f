package scenarios

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"bluetrace/scenarios/fault"
)

// TestRandomScenariosAreWritten checks that random faults, adversaries, steps and settings are the same after they
// are written and parsed again.
func TestRandomScenariosAreWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawScenario(t)
		read, err := Parse(s.File, comesBack(t, s), Options{})
		if err != nil {
			t.Fatal(err)
		}
		for i := range s.Faults {
			if got, want := s.FaultText(&s.Faults[i]), read.Faults[i].Text; got != want {
				t.Fatalf("a fault's text is %s, and when it is read %s", got, want)
			}
		}
		for i := range s.Adversaries {
			if got, want := s.AdversaryText(&s.Adversaries[i]), read.Adversaries[i].Text; got != want {
				t.Fatalf("an adversary's text is %s, and when it is read %s", got, want)
			}
		}
	})
}

// TestAnyPhonesOfAScenarioAreOne checks that every subset of the phones is a valid scenario.
func TestAnyPhonesOfAScenarioAreOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawScenario(t)
		n := len(s.PhoneNames())
		keep := rapid.SliceOfN(rapid.Bool(), n, n).Draw(t, "keep")
		keep[rapid.IntRange(0, n-1).Draw(t, "at least")] = true
		comesBack(t, s.Subset(func(phone int) bool { return keep[phone] }))
	})
}

func drawScenario(t *rapid.T) *Scenario {
	d := newDrawn(t)
	d.settings()
	for range d.upTo("faults", 6) {
		d.s.Faults = append(d.s.Faults, d.fault(false))
	}
	for range d.upTo("adversaries", 4) {
		d.s.Adversaries = append(d.s.Adversaries, d.adversary())
	}
	for i := range d.upTo("steps", 8) {
		d.s.Script = append(d.s.Script, d.step(i))
	}
	return d.s
}

// drawn is a random scenario with a few phones.
type drawn struct {
	*rapid.T
	s *Scenario
}

// newDrawn returns a scenario with an owner, a guesser who shares the account, pupils, and a phone without an account
// whose name is a word of YAML.
func newDrawn(t *rapid.T) *drawn {
	s := &Scenario{File: "folder/f.yaml", Name: "drawn", Zone: time.UTC, Length: 100 * time.Hour}
	own := PhoneGroup{Count: 1, Account: "own", Retention: 3 * time.Minute, Form: FormSplit,
		PasswordPause: 50 * time.Millisecond}
	group := func(name, account string) PhoneGroup {
		g := own
		g.Name, g.Account = name, account
		return g
	}
	s.Phones = []PhoneGroup{group("owner", "own"), group("guesser", "owner"), group("pupil", "own"), group("true",
		"none")}
	s.Phones[2].Counted, s.Phones[2].Count = true, rapid.IntRange(1, 5).Draw(t, "pupils")
	s.Server, s.Network = defaultServer(), Network{}
	return &drawn{t, s}
}

func (d *drawn) upTo(what string, n int) int { return rapid.IntRange(0, n).Draw(d.T, what) }

func (d *drawn) yes(what string) bool { return rapid.Bool().Draw(d.T, what) }

func (d *drawn) of(what string, words ...string) string {
	return rapid.SampledFrom(words).Draw(d.T, what)
}

// atLeast draws a duration of any precision, from min to an hour.
func (d *drawn) atLeast(what string, min time.Duration) time.Duration {
	n := rapid.Int64Range(int64(min), int64(time.Hour)).Draw(d.T, what)
	unit := rapid.SampledFrom([]time.Duration{1, 1000, time.Millisecond, time.Second, time.Minute}).Draw(d.T, "unit")
	return max(time.Duration(n).Truncate(unit), min)
}

func (d *drawn) delay(what string) Distribution {
	low := d.atLeast(what, 0)
	switch d.upTo("kind of delay", 2) {
	case 0:
		return Distribution{Mean: low + 1}
	case 1:
		return Distribution{Min: low + 1, Max: low + 1}
	}
	return Distribution{Min: low, Max: low + d.atLeast("width", 1)}
}

func (d *drawn) share(what string) float64 {
	p := rapid.Float64Range(0, 1).Draw(d.T, what)
	if d.yes("rounded") {
		p = math.Round(p*100) / 100
	}
	return p
}

func (d *drawn) phones() []int {
	n := len(d.s.PhoneNames())
	all := rapid.Permutation(d.everybody()).Draw(d.T, "phones")[:rapid.IntRange(1, n).Draw(d.T, "how many")]
	if d.yes("in order") {
		slices.Sort(all)
	}
	return all
}

func (d *drawn) everybody() (all []int) {
	for i := range d.s.PhoneNames() {
		all = append(all, i)
	}
	return all
}

// customers draws phones with an account.
func (d *drawn) customers() []int {
	some := slices.DeleteFunc(slices.Clone(d.phones()), func(p int) bool { return p == len(d.everybody())-1 })
	if len(some) == 0 {
		return []int{0}
	}
	return some
}

func (d *drawn) nodes() Nodes {
	n := Nodes{Server: d.yes("the server")}
	if !n.Server || d.yes("phones too") {
		n.Phones = d.phones()
	}
	return n
}

func (d *drawn) nodesOrAny() Nodes {
	if d.yes("anybody") {
		return Nodes{Any: true}
	}
	return d.nodes()
}

// way draws the senders and receivers of datagrams or streams.
func (d *drawn) way(f *Fault) {
	f.From, f.To = Nodes{Any: true}, Nodes{Any: true}
	if d.yes("from") {
		f.From = Nodes{Server: f.Stream, Phones: d.phones()}
	}
	if d.yes("to") {
		f.To = Nodes{Phones: d.phones(), Server: f.Stream && f.From.Any}
	}
}

func (d *drawn) fault(inStep bool) Fault {
	f := Fault{Kind: fault.Kind(d.of("kind", faultNames()...)), Chance: d.share("chance")}
	if d.yes("certain") {
		f.Chance = 1
	}
	counted := false
	switch f.Kind {
	case fault.Lose, fault.Duplicate, fault.Reorder, fault.Corrupt, fault.Truncate:
		counted = true
		d.way(&f)
		d.ofDatagrams(&f)
	case fault.Delay:
		counted = true
		f.Delay, f.Stream = d.delay("delay"), d.yes("tcp")
		d.way(&f)
	case fault.Slow:
		f.Bytes, f.Room, f.Stream = 1+d.upTo("bytes", 1e6), d.upTo("room", 1e6), d.yes("tcp")
		d.way(&f)
	case fault.Cut:
		f.Of, f.From, f.OneWay = d.nodes(), d.nodesOrAny(), d.of("one way", "", "in", "out")
	case fault.Pieces:
		counted = true
		f.Bytes, f.Of = 1+d.upTo("bytes", 1023), d.nodesOrAny()
	case fault.Join:
		counted = true
		f.Delay, f.Of = d.delay("join"), d.nodesOrAny()
	case fault.SwitchOff, fault.Leave:
		f.Of = Nodes{Phones: d.phones()}
	default:
		f.Of = d.nodes()
		counted = f.Kind == fault.Refuse || f.Kind == fault.TimeOut
		counted = d.ofNodes(&f, inStep) || counted
	}
	d.times(&f, counted)
	return f
}

func (d *drawn) ofDatagrams(f *Fault) {
	switch f.Kind {
	case fault.Reorder:
		f.Delay = d.delay("by")
	case fault.Corrupt:
		f.Bytes = d.upTo("byte", 59)
	case fault.Truncate:
		f.Bytes = d.upTo("left", 60) - 1
	}
}

// ofNodes draws the keys of a fault of nodes. It reports whether the fault takes `skip` and `count`.
func (d *drawn) ofNodes(f *Fault, inStep bool) bool {
	switch f.Kind {
	case fault.Crash:
		f.Unsynced = d.of("unsynced", "lost", "kept", "torn")
	case fault.Disk:
		f.Disk = d.of("is", "full", "slow", "failing", "fsync")
		if f.Disk == "slow" {
			f.Delay = d.delay("delay")
		}
		if f.Disk == "full" {
			f.Chance = 1
		}
		return f.Disk != "full"
	case fault.Clock:
		if inStep || d.yes("step") {
			f.Step = d.atLeast("step", 1)
			if d.yes("back") {
				f.Step = -f.Step
			}
			return false
		}
		f.Offset = d.atLeast("offset", 0) - d.atLeast("slow", 0)
		f.Drift = rapid.Float64Range(-maxDrift, maxDrift).Draw(d.T, "drift")
	}
	return false
}

// times draws the window and the counts that the kind allows.
func (d *drawn) times(f *Fault, counted bool) {
	if f.Kind == fault.Clock && f.Step == 0 {
		return
	}
	f.At = d.atLeast("at", 0)
	instantly := f.Kind == fault.HalfClose || f.Kind == fault.Clock
	if !instantly && d.yes("for") {
		f.For = d.atLeast("for", 1)
	}
	if (instantly || f.For > 0 || f.Kind == fault.Reset) && d.yes("every") {
		f.Every = f.For + d.atLeast("every", leastPeriod)
		if f.Kind == fault.Clock { // the sum of all steps of a clock is limited
			f.Every = max(f.Every, 100*f.Step, -100*f.Step)
		}
		if d.yes("until") {
			f.Until = f.At + d.atLeast("until", 1)
		}
	}
	if counted || f.Kind == fault.Reset && f.For > 0 {
		f.Skip, f.Count = d.upTo("skip", 5), d.upTo("count", 5)
	}
}

func (d *drawn) adversary() Adversary {
	a := Adversary{Kind: AdversaryKind(d.of("adversary", "replay", "forge", "flood", "guess", "garbage", "upload",
		"hold")), By: d.phones(), From: d.atLeast("from", 0)}
	if d.yes("until") {
		a.Until = a.From + d.atLeast("until", 1)
	}
	switch a.Kind {
	case AdversaryReplay:
		a.Of, a.To, a.After, a.Chance = d.phones(), d.phones(), d.delay("after"), d.share("chance")
		return a
	case AdversaryForge:
		a.To = d.phones()
	case AdversaryFlood:
		a.To, a.Ports = d.phones(), d.upTo("ports", maxPorts)
	case AdversaryGuess:
		a.Of = d.customers()
	case AdversaryUpload:
		a.By, a.Invented = d.customers(), d.yes("invented")
	}
	a.Every, a.Jitter = d.atLeast("every", leastAttackPeriod), d.share("jitter")
	return a
}

func (d *drawn) settings() {
	s := d.s
	s.Seed = rapid.Uint64().Draw(d.T, "seed")
	d.start()
	s.About = d.anyText("about")
	s.Server.BlockDuration, s.Server.DiskDelay = d.atLeast("block", 0), d.delay("disk")
	s.Server.MaxConnections, s.Server.MaxBlocked = d.upTo("connections", 1_000_000), 1+d.upTo("blocked", 999)
	s.Network.TCP = TCPNetwork{Delay: d.delay("tcp"), Split: d.upTo("split", 1024), Join: d.atLeast("join", 0)}
	s.Network.UDP = UDPNetwork{Delay: d.delay("udp"), Lose: d.share("lose")}
	s.Phones[1].Retention, s.Phones[2].Form = d.atLeast("retention", 1), FormSingle
	if d.yes("contacts") {
		s.Contacts = Contacts{Everyone: []List{{Phones: d.everybody()}}, Mixing: []Mixing{{Phones: d.everybody(),
			Degree: 1 + d.share("degree"), Dwell: d.atLeast("dwell", 1)}}}
	}
	for range d.upTo("routines", 3) {
		r := Routine{Phones: d.customers(), From: d.atLeast("from", 0), Do: []Command{{Verb: VerbDownload, Count: 1}}}
		if d.yes("every") {
			r.Every, r.Jitter = d.atLeast("every", 1), d.share("jitter")
		} else {
			r.Within = d.atLeast("within", 0)
		}
		if len(s.Contacts.Everyone) > 0 && d.yes("beacons") {
			r.Do = append(r.Do, Command{Verb: VerbBeacon, Contacts: true, Count: 1 + d.upTo("times", 2)})
		}
		s.Routine = append(s.Routine, r)
	}
}

// start draws a start; if clocks show it twice, the first instant.
func (d *drawn) start() {
	zone, err := Zone(d.of("zone", "UTC", "Europe/London", "Australia/Lord_Howe"))
	if err != nil {
		d.Fatal(err)
	}
	shown := time.Unix(rapid.Int64Range(0, 4e9).Draw(d.T, "start"), 0).In(zone).Format(wallLayout)
	wall, err := parseWallTime(shown)
	if err != nil {
		d.Fatal(err)
	}
	if d.s.Start, err = inZone(wall, zone); err != nil {
		d.Fatal(err)
	}
	d.s.Zone = zone
}

// anyText draws texts that are special in YAML or in the language.
func (d *drawn) anyText(what string) string {
	return rapid.OneOf(rapid.String(), rapid.StringMatching(`[ -~]{0,12}`), rapid.SampledFrom([]string{
		"null", "no", "- x", "a: b", "a #b", "${X}", "$${X}", "'", `"`, `\`, "[a", "{a}",
		"*", "&a", "!x", "1e3", "0x10", "30/07/2020 9:00:00",
		"é ü", " a", "a ", "%", "@", "`",
	})).Filter(func(t string) bool { return !strings.ContainsRune(t, '\uFFFD') }).Draw(d.T, what)
}

func (d *drawn) step(i int) Step {
	customer := d.customers()[0]
	st := Step{At: When{Offset: d.atLeast("at", 0)}, Phone: customer, Optional: d.yes("optional")}
	if i > 0 && d.yes("after the one before") {
		st.At = When{AfterPrevious: true}
	}
	if i > 0 && d.s.Script[i-1].As != "" && d.yes("after a moment") {
		st.At = When{Label: d.s.Script[i-1].As, Offset: time.Hour + d.atLeast("offset", 0)}
		st.At.Offset += d.s.LoginLead(customer)
	}
	if d.yes("before") {
		st.Before = d.atLeast("before", 1)
		if ownTime := st.At.Label == "" && !st.At.AfterPrevious; ownTime {
			st.Before += st.At.Offset
		}
	}
	if d.yes("named") {
		st.As = []string{"first", "off", "n-3", "y"}[i%4] + strings.Repeat("x", i)
	}
	d.deed(&st)
	return st
}

func (d *drawn) deed(st *Step) {
	switch d.upTo("deed", 8) {
	case 0:
		f := d.fault(true)
		st.Fault, st.Phone = &f, -1
	case 1:
		st.Login = &Login{Kind: d.of("login", "right", "wrong", "unknown", "half")}
	case 2:
		text := d.anyText("password")
		st.Password = &text
	case 3:
		st.Do = &Command{Verb: VerbBeacon, To: d.phones(), Count: 1 + d.upTo("times", 3)}
	case 4:
		st.Do = &Command{Verb: VerbType, Text: d.anyText("typed"), Count: 1}
	case 5:
		st.Forge = &Forge{To: d.phones(), Copy: -1, TempID: d.anyText("tempid"), Version: d.anyText("version"),
			Form:   FormSplit,
			Start:  WireTime{Set: true, Offset: -d.atLeast("start", 0)},
			Expiry: WireTime{Set: true, Offset: d.atLeast("expiry", 0)}}
	case 6:
		raw := string(rapid.SliceOf(rapid.Byte()).Draw(d.T, "two"))
		st.Datagrams = &Datagrams{To: d.phones(), Send: []string{d.anyText("one"), raw}, Gap: d.atLeast("gap", 0)}
	case 7:
		raw := string(rapid.SliceOf(rapid.Byte()).Draw(d.T, "bytes"))
		st.TCP = &TCP{Connect: true, Send: []string{"a" + raw}, Close: d.yes("close")}
		st.Expect = []StepExpect{{Phone: st.Phone, Within: d.atLeast("within", 1), NoReply: true}}
	default:
		st.Do = &Command{Verb: d.verb(), Count: 1}
		st.Expect = []StepExpect{{Phone: st.Phone, Within: defaultWithin,
			Prints: []Pattern{{Text: "p" + d.anyText("printed")}, {Text: "x"}}}}
	}
}

func (d *drawn) verb() Verb {
	return Verb(d.of("verb", string(VerbDownload), string(VerbUpload), string(VerbLogout)))
}

func faultNames() (names []string) {
	for _, k := range fault.Kinds() {
		names = append(names, string(k))
	}
	return names
}

func defaultServer() Server {
	var s Server
	(&builder{}).decode(nil, s.keys())
	return s
}
