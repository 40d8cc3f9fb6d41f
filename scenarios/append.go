package scenarios

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// AppendYAML appends s as a file of the language. Read under the name s.File it
// is the same scenario, but for what tells where something stood in a file: Pos,
// Text, and Vars, whose values are filled in. A trace's path is written relative
// to the folder of s.File.
//
// s must be one that a file can say. What only a program can make is not:
// `start` in the second of two hours that clocks show alike is written as the
// first, and a first step without a time as one at 0s.
func (s *Scenario) AppendYAML(dst []byte) []byte {
	w := newWriter(s)
	w.out, w.defaults = dst, defaultsOf(s)
	w.head()
	w.server()
	w.network()
	w.phoneGroups()
	w.contacts()
	w.routines()
	w.faults()
	w.adversaries()
	w.script()
	w.load()
	w.checks()
	return w.out
}

// writer writes one scenario.
type writer struct {
	s        *Scenario
	out      []byte
	roster   *roster
	defaults *Scenario // what is there when nothing is written
}

func newWriter(s *Scenario) *writer {
	w := &writer{s: s, roster: newRoster()}
	for _, g := range s.Phones {
		w.roster.add(g)
	}
	return w
}

// defaultsOf is what s would be with none of its settings written.
func defaultsOf(s *Scenario) *Scenario {
	b := &builder{s: &Scenario{Zone: s.Zone}}
	b.server(nil)
	b.network(nil)
	return b.s
}

func (w *writer) line(format string, args ...any) {
	w.out = fmt.Appendf(w.out, format+"\n", args...)
}

// section begins a key of the file that has lines of its own.
func (w *writer) section(key string) {
	w.line("")
	w.line("%s:", key)
}

func (w *writer) items(key string, list []flowing) {
	if len(list) == 0 {
		return
	}
	w.section(key)
	for _, f := range list {
		w.out = append(w.out, item(f)...)
	}
}

func (w *writer) isWritten(path string) bool {
	_, ok := w.s.Written[path]
	return ok
}

func (w *writer) head() {
	s := w.s
	w.line("name: %s", lineText(s.Name))
	if s.About != "" {
		w.line("about: %s", lineText(s.About))
	}
	if s.Manual {
		w.line("manual: true")
	}
	if s.Load == nil || s.Seed != 1 {
		w.line("seed: %d", s.Seed)
	}
	zone := s.Zone
	if zone == nil {
		zone = time.UTC
	}
	wall := time.Unix(s.Start, 0).In(zone).Format(wallLayout)
	if def := language().mapping.field("start").def; wall != def || w.isWritten("start") {
		w.line("start: %s", wall)
	}
	if zone.String() != "UTC" || w.isWritten("zone") {
		w.line("zone: %s", zone)
	}
	if s.Length > 0 {
		w.line("length: %s", durationText(s.Length))
	}
}

// setting puts a key that is not its default, or that was written all the same.
func (w *writer) setting(f *flowing, section, key, text string, isDefault bool) {
	f.putIf(!isDefault || w.isWritten(section+"."+key), key, text)
}

func (w *writer) server() {
	v, def := &w.s.Server, &w.defaults.Server
	var f flowing
	for _, one := range []struct {
		key    string
		d, def time.Duration
	}{
		{"block_duration", v.BlockDuration, def.BlockDuration},
		{"tempid_lifetime", v.TempIDLifetime, def.TempIDLifetime},
		{"login_timeout", v.LoginTimeout, def.LoginTimeout},
		{"idle_timeout", v.IdleTimeout, def.IdleTimeout},
	} {
		w.setting(&f, "server", one.key, durationText(one.d), one.d == one.def)
	}
	w.setting(&f, "server", "max_upload", fmt.Sprint(v.MaxUpload), v.MaxUpload == def.MaxUpload)
	var disk flowing
	w.setting(&disk, "server.disk", "delay", v.DiskDelay.String(), v.DiskDelay == def.DiskDelay)
	w.setting(&f, "server", "disk", disk.String(), len(disk) == 0)
	if len(f) > 0 || w.isWritten("server") {
		w.line("server: %s", f)
	}
}

func (w *writer) network() {
	v, def := &w.s.Network, &w.defaults.Network
	var tcp, udp, all flowing
	w.setting(&tcp, "network.tcp", "delay", v.TCP.Delay.String(), v.TCP.Delay == def.TCP.Delay)
	w.setting(&tcp, "network.tcp", "split", fmt.Sprint(v.TCP.Split), v.TCP.Split == def.TCP.Split)
	w.setting(&tcp, "network.tcp", "join", durationText(v.TCP.Join), v.TCP.Join == def.TCP.Join)
	w.setting(&udp, "network.udp", "delay", v.UDP.Delay.String(), v.UDP.Delay == def.UDP.Delay)
	w.setting(&udp, "network.udp", "lose", percentText(v.UDP.Lose), v.UDP.Lose == def.UDP.Lose)
	w.setting(&all, "network", "tcp", tcp.String(), len(tcp) == 0)
	w.setting(&all, "network", "udp", udp.String(), len(udp) == 0)
	if len(all) > 0 || w.isWritten("network") {
		w.line("network: %s", all)
	}
}

func (w *writer) phoneGroups() {
	var list []flowing
	for i := range w.s.Phones {
		g := &w.s.Phones[i]
		var f flowing
		f.put("name", text(g.Name))
		f.putIf(g.Counted, "count", fmt.Sprint(g.Count))
		f.putIf(g.Account != "own", "account", text(g.Account))
		f.putIf(g.User != "", "user", text(g.User))
		f.putIf(g.Password != "", "password", text(g.Password))
		f.duration("retention", g.Retention, defaultOf[time.Duration](phoneShape(), "retention"))
		f.putIf(g.Form != FormSplit, "beacon", string(g.Form))
		f.duration("password_pause", g.PasswordPause, defaultOf[time.Duration](phoneShape(), "password_pause"))
		list = append(list, f)
	}
	w.items("phones", list)
}

// defaultOf is the default of a key.
func defaultOf[T any](s *shape, key string) T { return s.mapping.field(key).parseDefault().(T) }

// names writes a selection with as few names as are needed.
func (w *writer) names(phones []int) []string {
	var names []string
	for i := 0; i < len(phones); {
		g := w.roster.groupOf(phones[i])
		group, first := &w.roster.groups[g], w.roster.first[g]
		n := 0
		for i+n < len(phones) && n < group.Count && phones[i+n] == first+n {
			n++
		}
		if group.Counted && n == group.Count {
			names = append(names, text(group.Name))
			i += n
			continue
		}
		names = append(names, text(w.roster.name(phones[i])))
		i++
	}
	if len(names) > manyNames && len(phones) == w.roster.total && slices.IsSorted(phones) {
		return []string{`"*"`}
	}
	return names
}

// manyNames is from when on everybody is written as a pattern.
const manyNames = 4

func (w *writer) phones(phones []int) string { return listed(w.names(phones)) }

func (w *writer) phone(phone int) string { return text(w.roster.name(phone)) }

func (w *writer) contacts() {
	c := &w.s.Contacts
	if emptyContacts(c) {
		return
	}
	w.section("contacts")
	var lists []string
	for i, e := range c.Everyone {
		if i == 0 {
			w.line("  everyone: %s", w.phones(e.Phones))
			continue
		}
		lists = append(lists, inBrackets(w.names(e.Phones)))
	}
	for _, l := range c.Lists {
		lists = append(lists, inBrackets(w.names(l.Phones)))
	}
	if len(lists) > 0 {
		w.line("  lists: %s", inBrackets(lists))
	}
	w.kind("desks", w.desks())
	w.kind("visits", w.visits())
	w.kind("mixing", w.mixing())
	w.kind("trace", w.traces())
}

// kind writes contacts of a kind: one behind the key, several below it.
func (w *writer) kind(key string, list []flowing) {
	if len(list) == 1 {
		w.line("  %s: %s", key, list[0])
		return
	}
	for i, f := range list {
		if i == 0 {
			w.line("  %s:", key)
		}
		w.line("    - %s", f)
	}
}

func (w *writer) desks() (list []flowing) {
	for _, d := range w.s.Contacts.Desks {
		var f flowing
		f.put("phones", w.phones(d.Phones))
		f.put("columns", fmt.Sprint(d.Columns))
		f.put("reach", fmt.Sprint(d.Reach))
		list = append(list, f)
	}
	return list
}

// visits has those in one line who go to the same phones, one after the other.
func (w *writer) visits() (list []flowing) {
	all := w.s.Contacts.Visits
	for i := 0; i < len(all); {
		who := []int{all[i].Phone}
		first := all[i]
		for i++; i < len(all) && all[i].Stay == first.Stay && !slices.Contains(who, all[i].Phone) && slices.Equal(all[i].To, first.To); i++ {
			who = append(who, all[i].Phone)
		}
		var f flowing
		f.put("phone", w.phones(who))
		f.put("to", w.phones(first.To))
		f.put("stay", first.Stay.String())
		list = append(list, f)
	}
	return list
}

func (w *writer) mixing() (list []flowing) {
	for _, m := range w.s.Contacts.Mixing {
		var f flowing
		f.put("phones", w.phones(m.Phones))
		f.put("degree", numberText(m.Degree))
		f.put("dwell", durationText(m.Dwell))
		list = append(list, f)
	}
	return list
}

func (w *writer) traces() (list []flowing) {
	for _, t := range w.s.Contacts.Trace {
		file := t.File
		if near, err := filepath.Rel(filepath.Dir(w.s.File), file); err == nil && !filepath.IsAbs(file) {
			file = near
		}
		var f flowing
		f.put("file", text(file))
		f.put("phones", w.phones(t.Phones))
		var classes []string
		for _, c := range t.Classes {
			classes = append(classes, text(c))
		}
		f.putIf(len(classes) > 0, "classes", listed(classes))
		f.putIf(t.HasFrom, "from", fmt.Sprint(t.From))
		f.putIf(t.HasUntil, "until", fmt.Sprint(t.Until))
		list = append(list, f)
	}
	return list
}

func (w *writer) routines() {
	var list []flowing
	for i := range w.s.Routine {
		r := &w.s.Routine[i]
		var f flowing
		f.put("phones", w.phones(r.Phones))
		if r.Every > 0 {
			f.put("every", durationText(r.Every))
		} else {
			f.put("within", durationText(r.Within))
		}
		f.putIf(r.Jitter != 0, "jitter", percentText(r.Jitter))
		f.duration("from", r.From, 0)
		f.duration("until", r.Until, 0)
		w.do(&f, r.Do)
		list = append(list, f)
	}
	w.items("routine", list)
}

// do writes commands, and beside them where their beacons go.
func (w *writer) do(f *flowing, commands []Command) {
	var words []string
	var beacon *Command
	for i := range commands {
		c := &commands[i]
		switch c.Verb {
		case VerbType:
			words = append(words, "{type: "+text(c.Text)+"}")
		case VerbBeacon:
			beacon = c
			words = append(words, string(c.Verb))
		default:
			words = append(words, string(c.Verb))
		}
	}
	f.put("do", listed(words))
	if beacon == nil {
		return
	}
	to := "contacts"
	if !beacon.Contacts {
		to = w.phones(beacon.To)
	}
	f.put("to", to)
	f.putIf(beacon.Count != 1, "times", fmt.Sprint(beacon.Count))
}

func (w *writer) load() {
	t := w.s.Load
	if t == nil {
		return
	}
	w.section("load")
	put := func(key, text string) { w.line("  %s: %s", key, text) }
	put("executor", t.Executor)
	b := &builder{s: w.s}
	if !slices.Equal(t.Phones, b.withAccounts()) {
		put("phones", w.phones(t.Phones))
	}
	switch {
	case t.Search != nil:
		w.searched(t, put)
	case t.Executor == ConstantArrivalRate:
		put("rate", numberText(t.StartRate))
		put("duration", durationText(t.Duration()))
	default:
		put("start_rate", numberText(t.StartRate))
		var stages []string
		for _, s := range t.Stages {
			stages = append(stages, fmt.Sprintf("{duration: %s, rate: %s}", durationText(s.Duration), numberText(s.Rate)))
		}
		put("stages", inBrackets(stages))
	}
	w.loadLimits(t, put)
	w.loadDeeds(t, put)
}

func (w *writer) searched(t *Traffic, put func(key, text string)) {
	how, l := t.Search, loadShape()
	put("start_rate", numberText(t.StartRate))
	put("max_rate", numberText(how.MaxRate))
	put("duration", durationText(how.Step))
	for _, share := range []struct {
		key string
		is  float64
	}{{"resolution", how.Resolution}, {"confidence", how.Confidence}} {
		if share.is != defaultOf[float64](l, share.key) {
			put(share.key, percentText(share.is))
		}
	}
	if how.Confirm != defaultOf[time.Duration](l, "confirm") {
		put("confirm", durationText(how.Confirm))
	}
}

func (w *writer) loadLimits(t *Traffic, put func(key, text string)) {
	putIf := func(write bool, key, text string) {
		if write {
			put(key, text)
		}
	}
	l := loadShape()
	generator := l.mapping.field("generator").is
	putIf(t.WarmUp != defaultOf[time.Duration](l, "warm_up"), "warm_up", durationText(t.WarmUp))
	putIf(t.GracefulStop != defaultOf[time.Duration](l, "graceful_stop"), "graceful_stop", durationText(t.GracefulStop))
	putIf(t.Timeout != defaultOf[time.Duration](l, "timeout"), "timeout", durationText(t.Timeout))
	putIf(t.MaxInFlight != len(t.Phones), "max_in_flight", fmt.Sprint(t.MaxInFlight))
	var f flowing
	f.duration("lag", t.LagBudget, defaultOf[time.Duration](generator, "lag"))
	f.putIf(t.CPUBudget != defaultOf[float64](generator, "cpu"), "cpu", percentText(t.CPUBudget))
	putIf(len(f) > 0, "generator", f.String())
}

func (w *writer) loadDeeds(t *Traffic, put func(key, text string)) {
	if t.Session != nil {
		var words []string
		for _, v := range t.Session {
			words = append(words, string(v))
		}
		put("session", inBrackets(words))
	}
	var mix, expected flowing
	for _, m := range t.Mix {
		mix.put(string(m.Verb), fmt.Sprint(m.Weight))
	}
	for _, name := range LoadOperations {
		if d, ok := t.Expected[name]; ok {
			expected.put(name, durationText(d))
		}
	}
	if len(mix) > 0 {
		put("mix", mix.String())
	}
	if len(expected) > 0 {
		put("expected", expected.String())
	}
	l := loadShape()
	for _, n := range []struct {
		key string
		n   int
	}{{"beacons", t.Beacons}, {"entries", t.Entries}} {
		if uint64(n.n) != defaultOf[uint64](l, n.key) {
			put(n.key, fmt.Sprint(n.n))
		}
	}
	if t.Gap != 0 {
		put("gap", durationText(t.Gap))
	}
}

// checks writes `expect` and `thresholds`; when nothing is checked anywhere,
// that this is meant.
func (w *writer) checks() {
	s := w.s
	if s.Load == nil && !s.checksSomething() {
		w.line("")
		w.line("invariants: true")
	}
	if len(s.Expect) > 0 {
		w.section("expect")
	}
	for i := range s.Expect {
		w.line("  - %s", lineText(w.comparison(&s.Expect[i])))
	}
	var metrics []string
	texts := map[string][]string{}
	for _, t := range s.Thresholds {
		if texts[t.Metric] == nil {
			metrics = append(metrics, t.Metric)
		}
		texts[t.Metric] = append(texts[t.Metric], inQuotes(thresholdText(t)))
	}
	if len(metrics) > 0 {
		w.section("thresholds")
	}
	for _, m := range metrics {
		w.line("  %s: %s", m, inBrackets(texts[m]))
	}
}

// checksSomething is what the parser asks of a file without `invariants`.
func (s *Scenario) checksSomething() bool {
	return len(s.Expect)+len(s.Thresholds)+len(s.Faults)+len(s.Adversaries) > 0 ||
		slices.ContainsFunc(s.Script, func(st Step) bool { return len(st.Expect) > 0 || st.Fault != nil })
}

func thresholdText(t Threshold) string {
	if t.Text != "" {
		return t.Text
	}
	method := t.Method
	if method == "p" {
		method = "p(" + numberText(t.Quantile) + ")"
	}
	return method + t.Op + numberText(t.Value)
}

// comparison is the text of a comparison, made anew when phones or steps have
// other names by now.
func (w *writer) comparison(e *Expectation) string {
	inSeconds, same := false, e.Text != ""
	for _, sum := range []Sum{e.Left, e.Right} {
		for _, t := range sum.Terms {
			if p := t.Operand.Path; p != nil {
				inSeconds = inSeconds || p.inSeconds()
				same = same && w.path(p) == p.Text
			}
		}
	}
	if same {
		return e.Text
	}
	return w.sum(e.Left, inSeconds) + " " + e.Op + " " + w.sum(e.Right, inSeconds)
}

// inSeconds says that the value is a duration.
func (p *Path) inSeconds() bool {
	return p.Step >= 0 && (p.Field == "at" || p.Field == "delay") || len(p.Phones) > 0 && p.Field == "log.age_max"
}

func (w *writer) sum(s Sum, inSeconds bool) string {
	var b strings.Builder
	for i, t := range s.Terms {
		switch {
		case i > 0 && t.Negative:
			b.WriteString(" - ")
		case i > 0:
			b.WriteString(" + ")
		}
		switch p := t.Operand.Path; {
		case p != nil:
			b.WriteString(w.path(p))
			if p.At != "" {
				b.WriteString(" at " + p.At)
			}
		case inSeconds:
			b.WriteString(secondsText(t.Operand.Number))
		default:
			b.WriteString(numberText(t.Operand.Number))
		}
	}
	return b.String()
}

// path names a value.
func (w *writer) path(p *Path) string {
	switch {
	case p.Counter != "":
		return p.Counter
	case p.Step >= 0:
		return w.s.Script[p.Step].As + "." + p.Field
	}
	head, _, _ := strings.Cut(p.Text, ".")
	if phones, _ := w.roster.match(head); slices.Equal(phones, p.Phones) {
		return head + "." + p.Field
	}
	if names := w.names(p.Phones); len(names) == 1 {
		return strings.Trim(names[0], `"`) + "." + p.Field
	}
	return p.Text
}
