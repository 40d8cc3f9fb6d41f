package scenarios

import (
	"slices"
	"strings"
	"time"
)

// Traffic is the section `load`: phones that arrive at a rate, whatever becomes
// of those before them.
type Traffic struct {
	Pos      Pos
	Executor string
	Phones   []int // indexes into PhoneNames
	// Stages are how the rate goes; a constant rate is one stage that begins
	// with the rate with which it ends.
	StartRate float64 // arrivals per second
	Stages    []Stage
	// Search is what `search` looks for; nil: another executor. Its Stages are
	// those of the first step.
	Search *SearchSettings
	// WarmUp comes before the stages, at StartRate.
	WarmUp, GracefulStop time.Duration
	MaxInFlight          int           // sessions
	Timeout              time.Duration // of an answer
	// Session is what one arrival does; nil: one operation of Mix.
	Session []Verb
	Mix     []Weight
	Beacons int // of each Beacon of a session
	Gap     time.Duration
	Entries int // of an upload
	// Expected response times by operation; of one that is missing, the median
	// of the warm-up.
	Expected map[string]time.Duration
	// The budgets of the generator: the p99 of its lag, and its share of all
	// processors, 0 to 1.
	LagBudget time.Duration
	CPUBudget float64
}

// Stage changes the rate evenly to Rate, in arrivals per second.
type Stage struct {
	Duration time.Duration
	Rate     float64
}

// Weight is how often an operation is drawn, relative to the others.
type Weight struct {
	Verb   Verb
	Weight int
}

// Duration of all stages, without the warm-up.
func (t *Traffic) Duration() (sum time.Duration) {
	for _, s := range t.Stages {
		sum += s.Duration
	}
	return sum
}

// HasBeacons says whether phones need a UDP socket.
func (t *Traffic) HasBeacons() bool {
	return slices.Contains(t.Session, VerbBeacon) || slices.ContainsFunc(t.Mix, func(w Weight) bool { return w.Verb == VerbBeacon })
}

// AwaitedOperations are the operations of a session that a next one waits for, in the order
// of LoadOperations.
func (t *Traffic) AwaitedOperations() []string {
	var names []string
	for i, v := range t.Session {
		last := i == len(t.Session)-1
		switch {
		case v == VerbLogin:
			names = append(names, "connect")
			if !last {
				names = append(names, "login")
			}
		case v == VerbDownload && !last:
			names = append(names, "tempid")
		case v == VerbUpload && !last:
			names = append(names, "upload")
		}
	}
	slices.SortFunc(names, func(a, b string) int { return slices.Index(LoadOperations, a) - slices.Index(LoadOperations, b) })
	return slices.Compact(names)
}

// traffic builds `load`.
func (b *builder) traffic(v, root *value) {
	if v == nil {
		return
	}
	t := &Traffic{
		Pos: v.pos, Executor: get[string](v, "executor"),
		WarmUp: duration(v, "warm_up"), GracefulStop: duration(v, "graceful_stop"), Timeout: duration(v, "timeout"),
		Beacons: int(get[uint64](v, "beacons")), Gap: duration(v, "gap"), Entries: int(get[uint64](v, "entries")),
		LagBudget: duration(part(v, "generator"), "lag"), CPUBudget: get[float64](part(v, "generator"), "cpu"),
		Expected: map[string]time.Duration{},
	}
	b.s.Load = t
	b.withoutLoad(root)
	b.arrivals(v, t)
	b.pacing(v, t)
	b.whatArrivalsDo(v, t)
	b.expected(v, t)
}

// withoutLoad refuses what belongs to another kind of run.
func (b *builder) withoutLoad(root *value) {
	for _, key := range []string{"start", "zone", "length", "network", "contacts", "routine", "script", "faults", "adversaries", "invariants", "expect"} {
		if root.has(key) {
			b.at(root.keyPos(key), "a file with `load` has no `%s`: its phones do what `load` says, on real sockets and the real clock; expected no such key here", key)
		}
	}
	if s := root.at("server"); s.has("disk") {
		b.at(s.keyPos("disk"), "a file with `load` has no `disk`: the server's disk is the real one; expected no such key here")
	}
}

func (b *builder) arrivals(v *value, t *Traffic) {
	if p := v.at("phones"); p != nil {
		t.Phones = b.selection(p)
	} else if !v.has("phones") {
		t.Phones = b.withAccounts()
	}
	b.needAccount(v.keyPos("phones"), VerbLogin, t.Phones)
	t.MaxInFlight = len(t.Phones)
	if n := v.at("max_in_flight"); n != nil {
		t.MaxInFlight = int(get[uint64](v, "max_in_flight"))
		if t.MaxInFlight > len(t.Phones) && len(t.Phones) > 0 {
			b.at(n.pos, "`max_in_flight` is %d, and there are %s: a phone has one session at a time", t.MaxInFlight, numberOf(len(t.Phones), "phone"))
		}
	}
}

// withAccounts is every phone that can log in.
func (b *builder) withAccounts() (phones []int) {
	i := 0
	for _, g := range b.s.Phones {
		for range g.Count {
			if g.Account != "none" {
				phones = append(phones, i)
			}
			i++
		}
	}
	return phones
}

func (b *builder) whatArrivalsDo(v *value, t *Traffic) {
	switch session, mix := v.has("session"), v.has("mix"); {
	case session && mix:
		b.at(v.keyPos("mix"), "`session` is what one arrival does, and `mix` is another; expected one of them")
	case !session && !mix:
		b.at(v.pos, "nothing says what an arrival does; write `session`, such as [login, Download_tempID, log out], or `mix`")
	}
	if m := v.at("mix"); m != nil {
		for _, e := range m.keys {
			if e.val != nil {
				t.Mix = append(t.Mix, Weight{Verb(e.key), int(e.val.got.(uint64))})
			}
		}
		if m.empty() {
			b.at(m.pos, "`mix` is empty; expected %s", m.shape.doc)
		}
		for _, key := range []string{"beacons", "gap", "expected"} {
			if v.has(key) {
				b.at(v.keyPos(key), "`%s` belongs to `session`; expected no such key here", key)
			}
		}
	}
	for i, c := range v.at("session").each() {
		if c.got == nil {
			return
		}
		b.sessionStep(c, t, i)
		t.Session = append(t.Session, Verb(c.text))
	}
	if s := v.at("session"); s.empty() {
		b.at(s.pos, "`session` is empty; expected %s", s.shape.doc)
	}
}

// sessionStep refuses what a session cannot do at that point.
func (b *builder) sessionStep(c *value, t *Traffic, i int) {
	verb := Verb(c.text)
	switch {
	case i == 0 && verb != VerbLogin:
		b.at(c.pos, "a session begins with `login`")
	case i > 0 && verb == VerbLogin:
		b.at(c.pos, "a session has one `login`, at its beginning")
	case (verb == VerbBeacon || verb == VerbUpload) && !slices.Contains(t.Session, VerbDownload):
		b.at(c.pos, "`%s` needs a TempID; write `Download_tempID` before it", verb)
	case i > 0 && t.Session[i-1] == VerbLogout:
		b.at(c.pos, "the session has ended with `log out`; expected nothing after it")
	}
}

func (b *builder) expected(v *value, t *Traffic) {
	if e := v.at("expected"); e != nil {
		for _, one := range e.keys {
			if one.val != nil {
				t.Expected[one.key] = one.val.got.(time.Duration)
			}
		}
	}
	var missing []string
	for _, name := range t.AwaitedOperations() {
		if _, ok := t.Expected[name]; !ok && !v.at("expected").has(name) {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 && t.WarmUp == 0 && !v.has("warm_up") {
		b.at(v.pos, "nothing says when the operation after %s is due; write `warm_up`, whose median it is, or `expected`", strings.ReplaceAll(backquoted(missing), "` and", "` or"))
	}
}
