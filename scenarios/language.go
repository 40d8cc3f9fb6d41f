package scenarios

import (
	"math"
	"path/filepath"
	"slices"
	"sync"
	"time"

	yaml "go.yaml.in/yaml/v4"
)

// language returns the form of a whole file: every key, the values that it takes, its meaning and its default.
var language = sync.OnceValue(sectionOf[Scenario]("", "a scenario: `name`, `phones`, `script` and so on"))

// keys is the table of a file. Phones come before everything that names them.
func (s *Scenario) keys() []key {
	listOf := func(doc string, of func() *form) func() *form { return func() *form { return orList(doc, of()) } }
	expect, thresholds := (*expectList)(&s.Expect), (*thresholdList)(&s.Thresholds)
	routine := sectionOf[Routine]("routine", "a routine: `phones`, `every` or `within`, and `do`")
	adversary := sectionOf[Adversary]("adversary", "an adversary such as {forge: pupil-3, by: stranger, every: 5s}")
	load := sectionOf[Traffic]("", "a load: `executor`, `rate`, `duration` and `session` or `mix`")
	return []key{
		to("name", &s.Name, fileNameForm, "The name of the scenario in reports.").need(),
		to("about", &s.About, anyTextForm, "The purpose of the scenario, in one sentence.").
			encodedBy(func(*writer) *yaml.Node {
				if s.About == "" {
					return nil
				}
				return lineNode(s.About)
			}),
		one("rule", &s.Rule, sectionOf[Rule]("", "a rule: `number`, `title` and so on"),
			"The rule of `sim judge` that this file checks."),
		to("manual", &s.Manual, trueFalseForm, "true: skipped when a whole folder is run.").or("false"),
		to("seed", &s.Seed, wholeForm("a whole number", 0, math.MaxUint64),
			"The seed of all randomness of the run.").or("1").
			writtenIf(func(*writer) bool { return s.Load == nil || s.Seed != 1 }),
		to("start", nil, wallTimeForm, "The wall-clock time in the scenario's zone at which the run begins.").
			or(defaultStart).
			decodedBy(func(b *builder, root *value) { s.Start = decodeStart(root, b) }).
			encodedBy(s.encodeStart),
		to("zone", &s.Zone, zoneForm, "The IANA time zone of the server and the phones.").or("UTC").
			encodedBy(s.encodeZone),
		to("length", &s.Length, positiveForm, "The duration of the run. Without it the run lasts until the script is "+
			"done and every trace has ended."),
		to("vars", nil, varsForm(), "The variables of the file with their values, unless --set gives others; ${NAME} "+
			"is replaced by the value."),
		inner("server", "Settings of the health authority's server.", "settings of the server", s.Server.keys()...),
		inner("network", "Settings of the transports.", "`tcp`, `udp` or both",
			inner("tcp", "Between phones and the server.", "settings of TCP: `delay`, `split`, `join`",
				s.Network.TCP.keys()...),
			inner("udp", "Between phones.", "settings of UDP: `delay`, `lose`", s.Network.UDP.keys()...)),
		phonesKey(&s.Phones),
		inner("contacts", "The phones that are near each other. Kinds of contacts add up.",
			"one or more kinds of contacts", s.Contacts.keys()...).
			decodedBy(s.Contacts.decode).encodedBy(s.Contacts.encode),
		many("routine", &s.Routine, listOf("a list of routines", routine), "Recurring actions of phones."),
		many("faults", &s.Faults, listOf("a list of faults", faultForm),
			"The faults of the run. If several apply, the first one does."),
		many("adversaries", &s.Adversaries, listOf("a list of adversaries", adversary),
			"Phones that send traffic which no honest program sends."),
		scriptKey(&s.Script),
		one("load", &s.Load, load, "A load: phones that arrive at a rate, on real sockets and the real clock."),
		to("invariants", nil, onlyTrueForm, "true: nothing but the invariants is checked. They are checked in every "+
			"run.").encodedBy(s.encodeInvariants),
		to("expect", nil, orList("a comparison such as beacons.valid > 1000, or a list of them", expectationForm),
			"Conditions on the whole run.").decodedBy(expect.decode).encodedBy(expect.encode),
		to("thresholds", nil, thresholdsForm(), "Conditions on metrics, in k6's grammar; delays in milliseconds.").
			decodedBy(thresholds.decode).encodedBy(thresholds.encode),
	}
}

// varsForm returns the form of `vars`: any names with a scalar each. Variables are not replaced within it.
func varsForm() *form {
	value := textForm("a text or a number")
	value.scalar.noVariable = true
	return &form{doc: "variables, each with its value", mapping: &mapping{
		open: value, openKey: variableRegexp, openDoc: "a variable's name, of letters, digits and _",
	}}
}

// keys is the table of `server`.
func (s *Server) keys() []key {
	return []key{
		to("block_duration", &s.BlockDuration, durationForm, "The time for which three wrong passwords in a row block "+
			"an account.").or("60s"),
		to("tempid_lifetime", &s.TempIDLifetime, lifetimeForm,
			"From a TempID's start to its expiry, in whole seconds.").or("15m"),
		to("login_timeout", &s.LoginTimeout, positiveForm, "The time that a connection has to log in.").or("2m"),
		to("idle_timeout", &s.IdleTimeout, positiveForm, "The time that a session may be silent.").or("1h"),
		to("max_upload", &s.MaxUpload, wholeForm("a whole number of lines, 3 to 9999999", 3, 9_999_999),
			"The most lines of one upload, three an entry.").or("300000"),
		to("max_connections", &s.MaxConnections, wholeForm("a whole number of connections, 0 to 1000000", 0, 1_000_000),
			"The most connections at a time, beyond which one is closed; 0: no limit.").or("0"),
		to("max_blocked_bytes", &s.MaxBlocked, wholeForm("a whole number of bytes, 1 to 1000000000", 1, 1_000_000_000),
			"The memory of blocked names without an account, beyond which the oldest is forgotten.").or("134217728"),
		inner("disk", "The server's disk.", "`delay`",
			to("delay", &s.DiskDelay, delayForm, "From a request to store to its completion.").or("0s")),
	}
}

// keys is the table of `network.tcp`.
func (n *TCPNetwork) keys() []key {
	return []key{
		to("delay", &n.Delay, delayForm, "From a send to its arrival.").or("0s"),
		to("split", &n.Split, wholeForm("a whole number of bytes, 0 to 1024", 0, 1024), "Each send is cut into pieces "+
			"of at most this many bytes, each read alone; 0: as sent.").or("0"),
		to("join", &n.Join, durationForm, "A receiver reads this long after the first unread byte came, and takes "+
			"every byte that has come since.").or("0s"),
	}
}

// keys is the table of `network.udp`.
func (n *UDPNetwork) keys() []key {
	return []key{
		to("delay", &n.Delay, delayForm, "From a send to its arrival.").or("0s"),
		to("lose", &n.Lose, percentForm, "The share of datagrams that is lost.").or("0%"),
	}
}

// keys is the table of an entry of `phones`.
func (g *PhoneGroup) keys() []key {
	account := *phoneForm
	account.def, account.doc, account.names = "", "`own`, `none`, or the name of the phone whose account is shared",
		namesNothing
	return []key{
		to("name", &g.Name, nameForm, "The name of the phone, or of a group, whose phones are called name-1, name-2 "+
			"and so on.").need(),
		to("count", &g.Count, phoneCountForm, "The number of phones of a group; without it, one phone with this name.").
			writtenIf(func(*writer) bool { return g.Counted }),
		to("account", &g.Account, &account, "own: each phone has an account; none: it only receives beacons; or the "+
			"phone whose account is shared.").or("own"),
		to("user", &g.User, credential("a username without blanks"), "The account's username."),
		to("password", &g.Password, credential("a password without blanks"), "The account's password."),
		to("retention", &g.Retention, positiveForm, "The time for which a contact stays in the log.").or("3m"),
		to("beacon", &g.Form, wireFormForm, "The form of a beacon: four datagrams or one.").or("split"),
		to("password_pause", &g.PasswordPause, durationForm,
			"From sending the username to sending the password.").or("50ms"),
		to("address", &g.Address, loopbackForm, "The address from which it connects. Live runs only."),
		to("program", &g.Program, anyTextForm, "The shell command that starts the phone, a program of another "+
			"implementation: {port} and {udp} are replaced. Live runs only."),
	}
}

var wireFormForm = oneOf("", nil, string(FormSplit), string(FormSingle))

// keys is the table of `contacts`, with a row for each kind of contact.
func (c *Contacts) keys() []key {
	contact := func(name string, is func() *form, doc string) key {
		return key{name: name, doc: doc, section: func() *form { return orList(is().doc+", or a list of such", is()) }}
	}
	return []key{
		to("everyone", nil, severalPhonesForm, "Each of these phones is always near each other one."),
		to("lists", nil, &form{doc: "a list of groups such as [[teacher, pupil-1], [pupil-2, pupil-3]]",
			list: severalPhonesForm},
			"Within each group, each phone is always near each other one."),
		contact("desks", sectionOf[Desks]("", "`phones`, `columns` and `reach`"), "A grid of desks."),
		contact("visits", sectionOf[Visits]("", "`phone`, `to` and `stay`"),
			"A phone that goes from one phone to the next."),
		contact("mixing", sectionOf[Mixing]("", "`phones`, `degree` and `dwell`"), "Random meetings."),
		contact("trace", sectionOf[Trace]("", "`file` and `phones`"), "Recorded contacts."),
	}
}

func (l *List) keys() []key { return []key{to("phones", &l.Phones, severalPhonesForm, "")} }

// keys is the table of an entry of `contacts.desks`.
func (d *Desks) keys() []key {
	above0 := wholeForm("a whole number above 0", 1, maxPhones)
	return []key{
		to("phones", &d.Phones, severalPhonesForm, "The phones at the desks, row by row.").need(),
		to("columns", &d.Columns, above0, "The number of desks in a row.").need(),
		to("reach", &d.Reach, above0, "Two phones are near each other if their rows and their columns differ by at "+
			"most this number.").or("1").writtenIf(always),
	}
}

// keys is the table of an entry of `contacts.visits`.
func (v *Visits) keys() []key {
	return []key{
		// A file has one entry for the visits of several phones.
		{name: "phone", doc: "The phones that go round.", is: phonesForm, required: true,
			encode: func(w *writer) *yaml.Node { return w.phones([]int{v.Phone}) },
			renumber: func(n *renumbering) bool {
				v.Phone = n.phones[v.Phone]
				return v.Phone != gone && !slices.Equal(n.left(v.To), []int{v.Phone})
			}},
		to("to", &v.To, phonesForm, "The phones that are visited, in random order.").need(),
		to("stay", &v.Stay, stayForm, "The duration of each visit.").need(),
	}
}

// keys is the table of an entry of `contacts.mixing`.
func (m *Mixing) keys() []key {
	return []key{
		to("phones", &m.Phones, severalPhonesForm, "The phones that meet at random.").need(),
		to("degree", &m.Degree, numberForm, "The average number of phones that each phone is near at a time.").need(),
		to("dwell", &m.Dwell, positiveForm, "The average duration of a meeting.").need(),
	}
}

// check refuses a degree larger than the number of the other phones.
func (m *Mixing) check(b *builder, v *value) {
	if n := len(m.Phones); n > 1 && m.Degree > float64(n-1) && !b.roster.unsure {
		b.add(v.child("degree").pos, "`degree` is %s, and each of %d phones can be near %s at most",
			v.child("degree").text, n, numberOf(n-1, "other"))
	}
}

// keys is the table of an entry of `contacts.trace`.
func (t *Trace) keys() []key {
	return []key{
		to("file", &t.File, pathForm, "The file of recorded contacts in the SocioPatterns form, gzip or plain; a "+
			"relative path begins at the scenario's folder.").need(),
		to("phones", &t.Phones, severalPhonesForm, "The phones that take the places of the people, in the order in "+
			"which they first appear.").need(),
		to("classes", &t.Classes, orList("a class or a list of classes", textForm("a class")),
			"Only contacts of two people of these classes are used."),
		to("from", &t.From, traceTimeForm, "The beginning of the used part, in the time of the trace.").
			writtenIf(func(*writer) bool { return t.HasFrom }),
		to("until", &t.Until, traceTimeForm, "The end of the used part, in the time of the trace.").
			writtenIf(func(*writer) bool { return t.HasUntil }),
		to("interval", &t.Interval, lifetimeForm, "The duration of the contact of one line, which ends at its time.").
			or("20s"),
	}
}

// check resolves the path of the trace relative to the scenario, and refuses an empty part of the trace.
func (t *Trace) check(b *builder, v *value) {
	t.HasFrom, t.HasUntil = v.has("from"), v.has("until")
	if !filepath.IsAbs(t.File) {
		t.File = filepath.Join(filepath.Dir(b.file), t.File)
	}
	from, until := v.child("from"), v.child("until")
	if from != nil && until != nil && t.Until <= t.From {
		b.add(until.pos, "`until` is %s, which is not after `from`, %s", until.text, from.text)
	}
}

// maxVisitors is the most phones that may go round: each has its own sequence of visits.
const maxVisitors = 100_000

// decode sets the contacts from the root of the file.
func (c *Contacts) decode(b *builder, root *value) {
	v := root.child("contacts")
	if v == nil {
		return
	}
	if e := v.child("everyone"); e != nil {
		c.Everyone = append(c.Everyone, List{e.pos, b.roster.selection(e)})
	}
	for _, l := range v.child("lists").elements() {
		c.Lists = append(c.Lists, List{l.pos, b.roster.selection(l)})
	}
	c.Desks = decodeAll[Desks](b, v.child("desks"))
	for _, e := range v.child("visits").elements() {
		c.addVisits(b, e)
	}
	c.Mixing = decodeAll[Mixing](b, v.child("mixing"))
	c.Trace = decodeAll[Trace](b, v.child("trace"))
	if v.isEmpty() {
		b.add(v.pos, "`contacts` is empty; expected %s", v.form.mapping.alternatives())
	}
}

// decodeAll decodes a section, or a list of sections. Sections without a kind are left out, after a mistake.
func decodeAll[T any, P table[T]](b *builder, v *value) []T {
	var all []T
	for _, e := range v.elements() {
		var t T
		if decodeSection[T, P](b, e, &t) {
			all = append(all, t)
		}
	}
	return all
}

// addVisits adds the visits of each phone that one entry names.
func (c *Contacts) addVisits(b *builder, v *value) {
	var one Visits
	decodeSection(b, v, &one)
	phones := b.roster.selection(v.child("phone"))
	if all := len(phones) + len(c.Visits); all > maxVisitors {
		b.add(v.child("phone").pos, "with these %d phones go round; the most is %d", all, maxVisitors)
		return
	}
	for _, p := range phones {
		one.Phone = p
		c.Visits = append(c.Visits, one)
	}
	if len(one.To) == 1 && len(phones) == 1 && one.To[0] == phones[0] && !b.roster.unsure {
		b.add(v.child("to").pos, "a phone cannot visit itself; expected other phones")
	}
}

// isEmpty reports whether no phones are in contact.
func (c *Contacts) isEmpty() bool {
	return len(c.Everyone)+len(c.Lists)+len(c.Desks)+len(c.Visits)+len(c.Mixing)+len(c.Trace) == 0
}

// keys is the table of a routine.
func (r *Routine) keys() []key {
	commands := commandKeys(func(*writer) []Command { return r.Do })
	do := commands[0].need().decodedBy(func(b *builder, section *value) { r.Do = decodeCommands(section, b) })
	do.renumber = func(n *renumbering) bool {
		r.Do = n.commands(r.Do)
		return len(r.Do) > 0
	}
	return []key{
		to("phones", &r.Phones, phonesForm, "The phones that act.").need(),
		to("every", &r.Every, positiveForm, "The period; the first action is at random within the first period."),
		to("within", &r.Within, durationForm, "Once, at a random time of this duration.").
			writtenIf(func(*writer) bool { return r.Every == 0 }),
		to("jitter", &r.Jitter, percentForm, "Each period is drawn from every ± this share.").or("0%"),
		to("from", &r.From, durationForm, "The beginning, from the start of the run.").or("0s"),
		to("until", &r.Until, positiveForm, "The end, from the start of the run; without it, the end of the run."),
		do, commands[1], commands[2],
	}
}

// check checks that exactly one of `every` and `within` is written, that the routine ends within the run, and that its
// phones have the accounts that its commands need.
func (r *Routine) check(b *builder, v *value) {
	switch {
	case v.has("every") && v.has("within"):
		b.add(v.keyPos("within"), "`every` repeats and `within` happens once; expected one of them")
	case !v.has("every") && !v.has("within"):
		b.add(v.pos, "missing time: write `every` (repeatedly) or `within` (once)")
	case v.has("jitter") && !v.has("every"):
		b.add(v.keyPos("jitter"), "`jitter` belongs to `every`; expected no such key here")
	}
	b.checkPeriod(v, r.From, r.Until)
	if end := b.s.Length; end > 0 && v.has("within") && r.From+r.Within > end {
		b.add(v.keyPos("within"), "`within` ends at %s, after the run (length: %s)", r.From+r.Within, end)
	}
	for _, c := range r.Do {
		b.needAccount(c.Pos, c.Verb, r.Phones)
	}
}

// defaultStart is the wall-clock time at which a run begins unless `start` is written.
const defaultStart = "01/01/2026 00:00:00"

// Wall clocks show nanoseconds since 1970 in 64 bits: from September 1677 to April 2262. These bounds leave room for
// a run and the times that it computes.
const (
	firstYear = 1700
	lastYear  = 2200
)

// decodeStart returns the start of the run in Unix seconds.
func decodeStart(root *value, b *builder) int64 {
	v := root.child("start")
	text := defaultStart
	if v != nil {
		text = v.text
	}
	wall, err := parseWallTime(text)
	if err != nil {
		return 0 // already reported
	}
	if y := wall.Year(); v != nil && (y < firstYear || y > lastYear) {
		b.add(v.pos, "`start` is %s, which is too far from 1970 for clocks that count nanoseconds; expected a year "+
			"from %d to %d", quoted(v.text), firstYear, lastYear)
	}
	zone := time.UTC
	if root.has("zone") {
		if zone = got[*time.Location](root, "zone"); zone == nil {
			return 0 // already reported
		}
	}
	start, err := inZone(wall, zone)
	switch {
	case err == nil:
	case v != nil:
		b.add(v.pos, "`start` is %s: %v; expected a time that clocks show", quoted(v.text), err)
	default:
		b.add(root.keyPos("zone"), "the run begins at %s unless `start` is written: %v", defaultStart, err)
	}
	return start
}

// encodeStart returns the start as local time of the zone, or nil if it is the default and was not written.
func (s *Scenario) encodeStart(w *writer) *yaml.Node {
	zone := s.Zone
	if zone == nil {
		zone = time.UTC
	}
	wall := time.Unix(s.Start, 0).In(zone).Format(wallLayout)
	if wall == defaultStart && !w.isWritten("start") {
		return nil
	}
	return plainNode(wall)
}

// encodeZone returns the name of the zone, or nil for UTC that was not written.
func (s *Scenario) encodeZone(w *writer) *yaml.Node {
	if (s.Zone == nil || s.Zone.String() == "UTC") && !w.isWritten("zone") {
		return nil
	}
	return textNode(s.Zone.String())
}

// encode returns the contacts with a line for each kind.
func (c *Contacts) encode(w *writer) *yaml.Node {
	if c.isEmpty() {
		return nil
	}
	m := flowNode(yaml.MappingNode)
	var lists []*yaml.Node
	group := func(phones []int) {
		lists = append(lists, flowNode(yaml.SequenceNode, mapNodes(w.names(phones), textNode)...))
	}
	for i, e := range c.Everyone {
		if i == 0 {
			put(m, "everyone", w.phones(e.Phones))
			continue
		}
		group(e.Phones)
	}
	for _, l := range c.Lists {
		group(l.Phones)
	}
	if lists != nil {
		put(m, "lists", flowNode(yaml.SequenceNode, lists...))
	}
	putKind := func(key string, list []*yaml.Node) {
		if len(list) == 1 {
			put(m, key, list[0])
		} else if len(list) > 1 {
			put(m, key, sections(list))
		}
	}
	putKind("desks", sectionNodes(w, c.Desks))
	putKind("visits", w.visits(c.Visits))
	putKind("mixing", sectionNodes(w, c.Mixing))
	putKind("trace", mapNodes(c.Trace, func(t Trace) *yaml.Node {
		if near, err := filepath.Rel(filepath.Dir(w.s.File), t.File); err == nil && !filepath.IsAbs(t.File) {
			t.File = near
		}
		return w.mapping(t.keys(), "")
	}))
	return m
}

// encodeInvariants states that only the invariants are checked.
func (s *Scenario) encodeInvariants(*writer) *yaml.Node {
	checked := len(s.Expect)+len(s.Thresholds)+len(s.Faults)+len(s.Adversaries) > 0 ||
		slices.ContainsFunc(s.Script, func(st Step) bool { return len(st.Expect) > 0 || st.Fault != nil })
	if s.Load != nil || checked {
		return nil
	}
	return plainNode("true")
}
