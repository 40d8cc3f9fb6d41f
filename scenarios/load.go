package scenarios

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	yaml "go.yaml.in/yaml/v4"
)

// Executors of a load, which determine when phones arrive. The names are those of k6.
const (
	ConstantArrivalRate = "constant-arrival-rate"
	RampingArrivalRate  = "ramping-arrival-rate"
	Search              = "search" // not of k6: the highest rate at which the thresholds hold
)

// LoadOperations are the measured operations of a session, in the order in which it does them. `connect` is the
// opening of the connection; `login` begins when the password is sent.
var LoadOperations = []string{"connect", "login", "tempid", "beacon", "upload", "logout"}

// Traffic is the section `load`: phones that arrive at a rate that does not depend on the sessions before them.
type Traffic struct {
	Pos      Pos
	Executor string
	Phones   []int // indexes into PhoneNames
	// StartRate is the rate before the first stage, in arrivals per second. A constant rate is one stage that begins
	// and ends with it.
	StartRate float64
	Stages    []Stage
	// Search holds the settings of `search`, whose Stages are those of its first step; nil for the other executors.
	Search *SearchSettings
	// WarmUp comes before the stages, at StartRate.
	WarmUp, GracefulStop time.Duration
	MaxInFlight          int           // sessions
	Timeout              time.Duration // of an answer
	// Session lists the commands of one arrival. If it is nil, an arrival does one operation of Mix.
	Session []Verb
	Mix     []Weight
	Beacons int // of each Beacon of a session
	Gap     time.Duration
	Entries int // of an upload
	// Expected are response times by operation. Of an operation that is missing it is the median of the warm-up.
	Expected map[string]time.Duration
	// LagBudget limits the p99 of the generator's lag; CPUBudget limits its share of all processors, 0 to 1.
	LagBudget time.Duration
	CPUBudget float64
}

// Stage changes the rate linearly to Rate, in arrivals per second, from the rate at the end of the stage before.
type Stage struct {
	Duration time.Duration
	Rate     float64
}

// Weight is the weight with which an operation is drawn.
type Weight struct {
	Verb   Verb
	Weight int
}

// SearchSettings are the settings of `search`. Its lowest rate is StartRate.
type SearchSettings struct {
	MaxRate    float64 // arrivals per second
	Resolution float64 // as a share of the rate, 0 to 1
	// Step and Confirm are the durations of a step and of a confirming step, without warm-ups. Confirm is longer.
	Step, Confirm time.Duration
	Confidence    float64 // the least confidence of a confirming step, 0 to 1
}

// Duration returns the duration of all stages, without the warm-up.
func (t *Traffic) Duration() (sum time.Duration) {
	for _, s := range t.Stages {
		sum += s.Duration
	}
	return sum
}

// HasBeacons reports whether phones need a UDP socket.
func (t *Traffic) HasBeacons() bool {
	return slices.Contains(t.Session, VerbBeacon) ||
		slices.ContainsFunc(t.Mix, func(w Weight) bool { return w.Verb == VerbBeacon })
}

// AwaitedOperations returns the operations of a session for which a later one waits, in the order of LoadOperations.
func (t *Traffic) AwaitedOperations() []string {
	operation := map[Verb]string{VerbLogin: "login", VerbDownload: "tempid", VerbUpload: "upload"}
	var names []string
	for i, v := range t.Session {
		if v == VerbLogin {
			names = append(names, "connect")
		}
		if i < len(t.Session)-1 {
			names = append(names, operation[v])
		}
	}
	return slices.DeleteFunc(slices.Clone(LoadOperations), func(o string) bool { return !slices.Contains(names, o) })
}

// maxRate is the highest arrival rate, per second.
const maxRate = 1_000_000

// The bounds of `resolution` and `confidence`: rates are written with three digits, and a thousand resamples do not
// resolve less than a tenth of a percent.
const (
	minResolution, maxResolution = 0.01, 0.5
	minConfidence, maxConfidence = 0.5, 0.999
)

var (
	executors    = []string{ConstantArrivalRate, RampingArrivalRate, Search}
	executorForm = oneOf("an executor: ", nil, executors...)
	rateForm     = &form{doc: "a number above 0, per second", scalar: &scalar{accepts: acceptsReal,
		parse: except(parseReal, func(n float64) bool { return n > maxRate }, "the most is 1000000")}}
	rateOrZeroForm = &form{doc: "a number from 0 to 1000000, per second", scalar: &scalar{accepts: acceptsReal,
		bounds: &bounds{0, maxRate}, parse: func(t string) (any, error) {
			n, err := strconv.ParseFloat(t, 64)
			return n, expectedUnless(err == nil && n >= 0 && n <= maxRate)
		}}}
	resolutionForm = shareForm("", "a percentage from 1% to 50%", minResolution, maxResolution)
	confidenceForm = shareForm("", "a percentage from 50% to 99.9%", minConfidence, maxConfidence)
	sessionForm    = orList("a list of commands such as [login, Download_tempID, log out]",
		oneOf("a command: ", nil, commandNames...))
	// mixed are the commands of a phone that stays logged in.
	mixed   = []string{string(VerbDownload), string(VerbBeacon), string(VerbUpload)}
	mixForm = &form{doc: "operations with their weights, such as {Download_tempID: 3, Beacon: 10}", mapping: &mapping{
		open: wholeForm("a weight, 1 to 1000000", 1, 1_000_000), openKeys: mixed, openDoc: "one of " +
			backquoted(mixed),
	}}
	// awaited are the operations for which a later one may wait.
	awaited          = []string{"connect", "login", "tempid", "upload"}
	expectedTimeForm = &form{doc: "operations with their expected response times, such as {login: 5ms}",
		mapping: &mapping{
			open: positiveForm, openKeys: awaited, openDoc: "one of " + backquoted(awaited),
		}}
)

// keys is the table of a stage.
func (s *Stage) keys() []key {
	return []key{
		to("duration", &s.Duration, positiveForm, "The duration of the stage.").need(),
		to("rate", &s.Rate, rateForm, "The arrivals per second at its end; the rate changes evenly from that of the "+
			"stage before.").need(),
	}
}

// keys is the table of a load. The keys of the executors share fields; decodePacing sets those.
func (t *Traffic) keys() []key {
	how := cmp.Or(t.Search, &SearchSettings{})
	of := func(executors ...string) func(*writer) bool {
		return func(*writer) bool { return slices.Contains(executors, t.Executor) }
	}
	search := func(k key) key {
		return k.writtenIf(func(*writer) bool { return t.Search != nil && !k.isDefault() })
	}
	rate, total := t.StartRate, t.Duration() // for the writer
	return []key{
		to("executor", &t.Executor, executorForm, "The pacing of arrivals.").need().
			decodedBy(func(_ *builder, section *value) {
				if t.Executor = got[string](section, "executor"); t.Executor == Search {
					t.Search = how
				}
			}),
		to("phones", &t.Phones, phonesForm,
			"The phones that arrive, each while it is idle; all phones unless written.").
			writtenIf(func(w *writer) bool { return !slices.Equal(t.Phones, w.s.WithAccounts()) }).
			decodedBy(t.decodePhones),
		to("rate", &rate, rateForm, "Arrivals per second, of constant-arrival-rate.").
			writtenIf(of(ConstantArrivalRate)),
		to("start_rate", &t.StartRate, rateOrZeroForm, "Arrivals per second before the first stage, of "+
			"ramping-arrival-rate; of the first step, and the lowest, of search.").or("0").
			writtenIf(of(RampingArrivalRate, Search)),
		to("max_rate", &how.MaxRate, rateForm, "The highest arrivals per second that are tried, of search.").
			writtenIf(of(Search)),
		to("duration", &total, positiveForm, "The duration of the arrivals, of constant-arrival-rate; of each step of "+
			"search, without its warm-up.").writtenIf(of(ConstantArrivalRate, Search)),
		{name: "stages", doc: "The rates that follow, of ramping-arrival-rate.", section: func() *form {
			return orList("a stage, or a list of stages", sectionOf[Stage]("", "a stage: `duration` and `rate`")())
		}, encode: func(w *writer) *yaml.Node {
			if t.Executor != RampingArrivalRate {
				return nil
			}
			return flowNode(yaml.SequenceNode, sectionNodes(w, t.Stages)...)
		}},
		search(to("resolution", &how.Resolution, resolutionForm, "The greatest distance between a rate that holds and "+
			"one that does not, of search.").or("5%")),
		search(to("confidence", &how.Confidence, confidenceForm, "The least confidence of a run that confirms, of "+
			"search.").or("95%")),
		search(to("confirm", &how.Confirm, positiveForm, "The duration of the run at the found rate, without its "+
			"warm-up, of search.").or("30s")),
		to("warm_up", &t.WarmUp, durationForm, "Arrivals before the measurement, at the first rate; of search before "+
			"each step, at its rate.").or("0s"),
		to("graceful_stop", &t.GracefulStop, durationForm,
			"The time for sessions to end after the last arrival.").or("10s"),
		to("timeout", &t.Timeout, positiveForm, "The time limit of an answer.").or("10s"),
		to("max_in_flight", &t.MaxInFlight, phoneCountForm, "The most sessions at a time; the number of phones unless "+
			"written.").
			writtenIf(func(*writer) bool { return t.MaxInFlight != len(t.Phones) }),
		inner("generator", "The limits of the load generator itself.", "`lag` and `cpu`",
			to("lag", &t.LagBudget, positiveForm, "The p99 of the schedule lag above which the run is no measurement "+
				"of the server.").or("10ms"),
			to("cpu", &t.CPUBudget, percentForm, "The share of all processors, used by the generator, above which the "+
				"run is no measurement of the server.").or("80%")),
		to("session", nil, sessionForm, "The commands of one arrival, one after the other.").
			encodedBy(func(*writer) *yaml.Node {
				word := func(v Verb) *yaml.Node { return textNode(string(v)) }
				return orNothing(flowNode(yaml.SequenceNode, mapNodes(t.Session, word)...))
			}),
		to("mix", nil, mixForm, "The operations of arrivals. Each arrival does one operation of a phone that is "+
			"logged in, drawn by weight.").encodedBy(func(*writer) *yaml.Node {
			n := flowNode(yaml.MappingNode)
			for _, m := range t.Mix {
				put(n, string(m.Verb), plainNode(strconv.Itoa(m.Weight)))
			}
			return orNothing(n)
		}),
		to("expected", nil, expectedTimeForm, "The expected response times, from which the due time of the next "+
			"operation of a session counts. Unless written, it is the median of the "+
			"warm-up.").encodedBy(func(*writer) *yaml.Node {
			n := flowNode(yaml.MappingNode)
			for _, name := range LoadOperations {
				if d, ok := t.Expected[name]; ok {
					put(n, name, plainNode(durationText(d)))
				}
			}
			return orNothing(n)
		}),
		to("beacons", &t.Beacons, wholeForm("a whole number, 1 to 400", 1, 400), "The number of beacons of a `Beacon` "+
			"of a session.").or("1"),
		to("entries", &t.Entries, wholeForm("a whole number, 0 to 100000", 0, 100_000), "The number of entries of an "+
			"upload.").or("1"),
		to("gap", &t.Gap, durationForm, "The time between two beacons of a session, and after the last.").or("0s"),
	}
}

func (t *Traffic) check(b *builder, v *value) {
	t.Expected = map[string]time.Duration{}
	t.refuseOtherKeys(b, b.root)
	b.needAccount(v.keyPos("phones"), VerbLogin, t.Phones)
	if n := v.child("max_in_flight"); n == nil {
		t.MaxInFlight = len(t.Phones)
	} else if t.MaxInFlight > len(t.Phones) && len(t.Phones) > 0 {
		b.add(n.pos, "`max_in_flight` is %d, and there are %s: a phone has one session at a time", t.MaxInFlight,
			numberOf(len(t.Phones), "phone"))
	}
	t.decodePacing(b, v)
	t.decodeOperations(b, v)
	t.decodeExpected(b, v)
}

// refuseOtherKeys refuses the keys of another kind of run.
func (t *Traffic) refuseOtherKeys(b *builder, root *value) {
	others := []string{"start", "zone", "length", "network", "contacts", "routine", "script", "faults", "adversaries",
		"invariants", "expect"}
	b.refuse(root, others, "a file with `load` has no `%s`: its phones do the commands of `load`, on real sockets and "+
		"the real clock; expected no such key here")
	b.refuse(root.child("server"), []string{"disk"}, "a file with `load` has no `%s`: the server's disk is the real "+
		"one; expected no such key here")
}

// decodePhones sets the phones that arrive: those of the file, or all phones with an account.
func (t *Traffic) decodePhones(b *builder, v *value) {
	if p := v.child("phones"); p != nil {
		t.Phones = b.roster.selection(p)
	} else if !v.has("phones") {
		t.Phones = b.s.WithAccounts()
	}
}

// pacingKeys lists for each executor, of the keys that not every executor has, those that it needs, and those that it
// may have.
var pacingKeys = map[string]struct{ needs, may []string }{
	ConstantArrivalRate: {needs: []string{"rate", "duration"}},
	RampingArrivalRate:  {needs: []string{"stages"}, may: []string{"start_rate"}},
	Search: {needs: []string{"start_rate", "max_rate", "duration"},
		may: []string{"resolution", "confirm", "confidence"}},
}

// decodePacing decodes the keys of the executor.
func (t *Traffic) decodePacing(b *builder, v *value) {
	keys, known := pacingKeys[t.Executor]
	if !known {
		return // already reported
	}
	own := slices.Concat(keys.needs, keys.may)
	for _, executor := range executors {
		other := pacingKeys[executor]
		foreign := slices.DeleteFunc(slices.Concat(other.needs, other.may),
			func(key string) bool { return slices.Contains(own, key) })
		b.refuse(v, foreign, "`%s` does not belong to `%s`; expected %s", t.Executor, backquoted(keys.needs))
		own = append(own, foreign...) // refuse each key once
	}
	for _, key := range keys.needs {
		if !v.has(key) || v.child(key).isEmpty() {
			b.add(v.keyPos(key), "`%s` needs `%s`", t.Executor, key)
		}
	}
	switch t.Executor {
	case ConstantArrivalRate:
		t.StartRate = got[float64](v, "rate")
		t.Stages = []Stage{{got[time.Duration](v, "duration"), t.StartRate}}
	case RampingArrivalRate:
		t.Stages = decodeAll[Stage](b, v.child("stages"))
		if t.WarmUp > 0 && t.StartRate == 0 && (!v.has("start_rate") || v.child("start_rate") != nil) {
			b.add(v.keyPos("warm_up"),
				"the warm-up has the rate `start_rate`, which is 0; write a `start_rate` above 0")
		}
	case Search:
		t.decodeSearch(b, v)
	}
}

// confirmLeast is the shortest confirming step whose seconds are enough for its confidence.
const confirmLeast = 8 * time.Second

// decodeSearch decodes and checks the keys of the executor `search`.
func (t *Traffic) decodeSearch(b *builder, v *value) {
	s := t.Search
	s.Step = got[time.Duration](v, "duration")
	t.Stages = []Stage{{s.Step, t.StartRate}}
	start, most := v.child("start_rate"), v.child("max_rate")
	if start != nil && start.got != nil && t.StartRate == 0 {
		b.add(start.pos, "the first step has the rate `start_rate`, which is 0; write a `start_rate` above 0")
	}
	if t.StartRate > 0 && s.Step > 0 && t.StartRate*s.Step.Seconds() < 1 {
		b.add(start.pos, "at %s/s a step of %s has no arrival; expected a higher `start_rate` or a longer `duration`",
			start.text, s.Step)
	}
	if start != nil && most != nil && most.got != nil && s.MaxRate < t.StartRate {
		b.add(most.pos, "`max_rate` is %s, below the `start_rate` of %s, from which the search goes up", most.text,
			start.text)
	}
	switch at := v.keyPos("confirm"); {
	case s.Confirm == 0 || s.Step == 0: // already reported
	case s.Confirm < confirmLeast:
		b.add(at, "`confirm` is %s; the confidence comes from its seconds, of which it needs %s or more", s.Confirm,
			confirmLeast)
	case s.Confirm <= s.Step:
		b.add(at, "`confirm` is %s, and a step's `duration` %s: the confirming step must be longer", s.Confirm, s.Step)
	}
}

// decodeOperations decodes `session` or `mix`, and refuses both or none.
func (t *Traffic) decodeOperations(b *builder, v *value) {
	switch session, mix := v.has("session"), v.has("mix"); {
	case session && mix:
		b.add(v.keyPos("mix"), "`session` and `mix` exclude each other; expected one of them")
	case !session && !mix:
		b.add(v.pos, "missing commands of an arrival: write `session`, such as [login, Download_tempID, log out], or "+
			"`mix`")
	}
	if m := v.child("mix"); m != nil {
		for _, e := range m.keys {
			if e.val != nil {
				t.Mix = append(t.Mix, Weight{Verb(e.key), int(e.val.got.(uint64))})
			}
		}
		b.refuse(v, []string{"beacons", "gap", "expected"}, "`%s` belongs to `session`; expected no such key here")
	}
	b.refuseEmpty(v, "mix")
	for i, c := range v.child("session").elements() {
		if c.got == nil {
			return
		}
		t.checkCommand(b, c, i)
		t.Session = append(t.Session, Verb(c.text))
	}
	b.refuseEmpty(v, "session")
}

// checkCommand refuses a command that a session cannot do at position i.
func (t *Traffic) checkCommand(b *builder, c *value, i int) {
	verb := Verb(c.text)
	switch {
	case i == 0 && verb != VerbLogin:
		b.add(c.pos, "a session begins with `login`")
	case i > 0 && verb == VerbLogin:
		b.add(c.pos, "a session has one `login`, at its beginning")
	case (verb == VerbBeacon || verb == VerbUpload) && !slices.Contains(t.Session, VerbDownload):
		b.add(c.pos, "`%s` needs a TempID; write `Download_tempID` before it", verb)
	case i > 0 && t.Session[i-1] == VerbLogout:
		b.add(c.pos, "the session has ended with `log out`; expected nothing after it")
	}
}

// decodeExpected decodes the expected response times. The median of the warm-up takes the place of a missing one, so a
// load without a warm-up needs one for each operation that a later one awaits.
func (t *Traffic) decodeExpected(b *builder, v *value) {
	if e := v.child("expected"); e != nil {
		for _, one := range e.keys {
			if one.val != nil {
				t.Expected[one.key] = one.val.got.(time.Duration)
			}
		}
	}
	var missing []string
	for _, name := range t.AwaitedOperations() {
		if _, ok := t.Expected[name]; !ok && !v.child("expected").has(name) {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 && t.WarmUp == 0 && (!v.has("warm_up") || v.child("warm_up") != nil) {
		b.add(v.pos, "the due time of the operation after %s is unknown; write `warm_up`, whose median it is, or "+
			"`expected`",
			joined(missing, "or"))
	}
}
