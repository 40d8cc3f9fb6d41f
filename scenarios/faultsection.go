package scenarios

import (
	"slices"
	"time"

	yaml "go.yaml.in/yaml/v4"
)

// faults builds `faults`.
func (b *builder) faults(v *value) {
	for _, f := range v.each() {
		if one := b.fault(f); one != nil {
			b.faultBegins(f, one)
			b.faultInRun(f, one)
			b.s.Faults = append(b.s.Faults, *one)
		}
	}
	if v.empty() {
		b.at(v.pos, "`faults` is empty; expected %s", faultShape().doc)
	}
}

// stepFault is the fault that a step puts in force.
func (b *builder) stepFault(v *value) *Fault {
	f := b.fault(v)
	if f == nil {
		return nil
	}
	for _, key := range []string{"offset", "drift"} {
		if v.has(key) {
			b.at(v.keyPos(key), "`%s` holds for the whole run; expected it under `faults`, or `step` here", key)
		}
	}
	return f
}

// fault builds one fault; nil after a complaint that it has no kind.
func (b *builder) fault(v *value) *Fault {
	form := b.faultKind(v)
	if form == nil {
		return nil
	}
	b.faultKeys(v, form)
	f := &Fault{
		Pos: v.pos, Text: oneLine(v.node), Kind: form.kind,
		At: duration(v, "at"), For: duration(v, "for"), Every: duration(v, "every"), Until: duration(v, "until"),
		Chance: get[float64](v, "chance"), Skip: int(get[uint64](v, "skip")), Count: int(get[uint64](v, "count")),
	}
	if f.Kind.ValueIsChance() {
		f.Chance = get[float64](v, string(f.Kind))
	}
	b.faultNodes(v, f)
	b.faultAmounts(v, f)
	b.faultTimes(v, f)
	return f
}

// faultKind finds the one key that says what goes wrong. `delay` also stands
// beside `disk`.
func (b *builder) faultKind(v *value) *faultForm {
	var found []*faultForm
	for i := range b.forms {
		k := &b.forms[i]
		ofDisk := k.kind == FaultDelay && v.has("disk")
		if v.has(string(k.kind)) && !ofDisk {
			found = append(found, k)
		}
	}
	switch {
	case len(found) == 0:
		if v.whole() {
			b.at(v.pos, "nothing says what goes wrong; expected one of %s", backquoted(kindsOfFaults()))
		}
		return nil
	case len(found) > 1:
		b.at(v.keyPos(string(found[1].kind)), "a fault is one thing, and this one has %s; expected one of them", backquoted([]string{string(found[0].kind), string(found[1].kind)}))
	}
	return found[0]
}

// faultKeys refuses what does not stand beside a kind, and asks for what must.
func (b *builder) faultKeys(v *value, form *faultForm) {
	may := slices.Concat(form.keys, everyFault())
	for _, e := range v.keys {
		switch {
		case e.key == string(form.kind), slices.Contains(may, e.key):
		case e.key != "delay" && slices.ContainsFunc(b.forms, func(k faultForm) bool { return string(k.kind) == e.key }):
			// a second kind was complained of
		case e.key == "chance":
			b.at(e.pos, "the share of `%s` is its chance; expected no `chance` beside it", form.kind)
		default:
			b.at(e.pos, "`%s` is not of `%s`; expected %s", e.key, form.kind, b.besides(may))
		}
	}
	for _, need := range []struct{ kind, key, why string }{
		{"reorder", "by", "how much later, such as 5ms..50ms"},
		{"disk", "is", "`full`, `slow`, `failing` or `fsync`"},
	} {
		if string(form.kind) == need.kind && !v.has(need.key) {
			b.at(v.keyPos(need.kind), "`%s` needs `%s`: %s", need.kind, need.key, need.why)
		}
	}
}

func (b *builder) besides(keys []string) string {
	if b.full() {
		return ""
	}
	return "one of " + backquoted(keys)
}

// faultNodes resolves whom a fault happens to, or between whom.
func (b *builder) faultNodes(v *value, f *Fault) {
	switch f.Kind {
	case FaultLose, FaultDelay, FaultDuplicate, FaultReorder, FaultCorrupt, FaultTruncate, FaultSlow:
		f.Stream = get[string](v, "transport") == "tcp"
		f.From, f.To = b.orEverybody(v, "from"), b.orEverybody(v, "to")
		b.wayExists(v, f)
	case FaultCut:
		f.Of, f.From = b.nodes(v.at("cut")), b.orEverybody(v, "from")
		f.OneWay = get[string](v, "one_way")
	case FaultPieces, FaultJoin:
		f.Of = b.orEverybody(v, "of")
	case FaultSwitchOff, FaultLeave:
		of := v.at(string(f.Kind))
		instead := map[FaultKind]FaultKind{FaultSwitchOff: FaultCrash, FaultLeave: FaultCut}
		for _, p := range of.each() {
			if _, phone := b.roster.byName[serverWord]; p.text == serverWord && !phone {
				b.at(p.pos, "`%s` happens to phones; expected a phone, a group or a pattern, or `%s: server`", f.Kind, instead[f.Kind])
				return
			}
		}
		f.Of = Nodes{Phones: b.selection(of)}
	default:
		f.Of = b.nodes(v.at(string(f.Kind)))
	}
}

// wayExists refuses a way that no datagram, or no stream, goes.
func (b *builder) wayExists(v *value, f *Fault) {
	for _, end := range []struct {
		key   string
		nodes Nodes
	}{{"from", f.From}, {"to", f.To}} {
		if e := v.at(end.key); e != nil && end.nodes.Server && !f.Stream {
			or := ""
			if f.Kind == FaultDelay || f.Kind == FaultSlow {
				or = ", or `transport: tcp`"
			}
			b.at(e.pos, "datagrams go from phone to phone, not by the server; expected phones%s", or)
		}
	}
	if !f.Stream || v.at("from") == nil || v.at("to") == nil {
		return
	}
	switch {
	case !f.From.Server && !f.To.Server:
		b.at(v.at("to").pos, "streams go between a phone and the server; expected `server` on one side")
	case f.From.Server && f.To.Server && len(f.From.Phones)+len(f.To.Phones) == 0:
		b.at(v.at("to").pos, "streams go between a phone and the server; expected phones on one side")
	}
}

// orEverybody is who is named under key; everybody when nobody is.
func (b *builder) orEverybody(v *value, key string) Nodes {
	if !v.has(key) {
		return Nodes{Any: true}
	}
	return b.nodes(v.at(key))
}

// nodes resolves `server` and names of phones.
func (b *builder) nodes(v *value) Nodes {
	if v == nil {
		return Nodes{}
	}
	var n Nodes
	phones := *v
	phones.items = nil
	for _, p := range v.each() {
		if p.text != serverWord {
			phones.items = append(phones.items, p)
			continue
		}
		if _, both := b.roster.byName[serverWord]; both {
			b.at(p.pos, "`server` is the health authority's here, and there is a phone of that name; expected another name for the phone")
		}
		n.Server = true
	}
	if n.Server && len(phones.items) == 0 {
		return n
	}
	phones.kind = yaml.SequenceNode
	n.Phones = b.selection(&phones)
	return n
}

// faultAmounts reads how much of it there is.
func (b *builder) faultAmounts(v *value, f *Fault) {
	switch f.Kind {
	case FaultDelay, FaultJoin:
		f.Delay = get[Distribution](v, string(f.Kind))
	case FaultReorder:
		f.Delay = get[Distribution](v, "by")
	case FaultCorrupt:
		f.Bytes = int(get[uint64](v, "byte"))
	case FaultTruncate:
		f.Bytes = -1
		if v.at("left") != nil {
			f.Bytes = int(get[uint64](v, "left"))
		}
	case FaultSlow:
		f.Bytes, f.Room = int(get[uint64](v, "slow")), int(get[uint64](v, "room"))
	case FaultPieces:
		f.Bytes = int(get[uint64](v, "pieces"))
	case FaultCrash:
		f.Unsynced = get[string](v, "unsynced")
	case FaultDisk:
		b.faultDisk(v, f)
	case FaultClock:
		b.faultClock(v, f)
	}
}

func (b *builder) faultDisk(v *value, f *Fault) {
	f.Disk, f.Delay = get[string](v, "is"), get[Distribution](v, "delay")
	if f.Disk == "" {
		return // complained of
	}
	switch {
	case f.Disk == "slow" && !v.has("delay"):
		b.at(v.keyPos("is"), "a slow disk needs `delay`: how much later it answers, such as 1s..3s")
	case f.Disk != "slow" && v.has("delay"):
		b.at(v.keyPos("delay"), "`delay` is of `is: slow`, and this disk is %s; expected no such key here", f.Disk)
	}
	if f.Disk != "full" {
		return
	}
	for _, key := range []string{"chance", "skip", "count"} {
		if v.has(key) {
			b.at(v.keyPos(key), "a full disk has room for nothing, whatever is written; expected no `%s` here", key)
		}
	}
}

func (b *builder) faultClock(v *value, f *Fault) {
	f.Offset, f.Step, f.Drift = duration(v, "offset"), duration(v, "step"), get[float64](v, "drift")
	own := []string{"offset", "drift"}
	switch {
	case v.has("step"):
		for _, key := range own {
			if v.has(key) {
				b.at(v.keyPos(key), "`step` is once, and `%s` holds for the whole run; expected two faults", key)
			}
		}
	case !v.has("offset") && !v.has("drift"):
		if v.whole() {
			b.at(v.keyPos("clock"), "nothing says what is wrong with the clock; expected `offset`, `step` or `drift`")
		}
	default:
		for _, key := range everyFault() {
			if v.has(key) {
				b.at(v.keyPos(key), "%s for the whole run, from its start; expected no `%s` beside it, or `step`", holds(v, own), key)
			}
		}
	}
}

// holds is "`offset` holds" or "`offset` and `drift` hold".
func holds(v *value, keys []string) string {
	var written []string
	for _, k := range keys {
		if v.has(k) {
			written = append(written, k)
		}
	}
	if len(written) == 1 {
		return backquoted(written) + " holds"
	}
	return backquoted(written) + " hold"
}

// leastFaultEvery is how far apart the beginnings of a fault are at least.
const leastFaultEvery = time.Millisecond

// faultTimes holds `for`, `every`, `until`, `skip` and `count` against each
// other and the kind.
func (b *builder) faultTimes(v *value, f *Fault) {
	if f.Kind == FaultClock && !v.has("step") {
		return // complained of
	}
	switch {
	case (f.Kind == FaultHalfClose || f.Kind == FaultClock) && v.has("for"):
		b.at(v.keyPos("for"), "%s in an instant; expected no `for` here", f.happens())
	case v.has("every") && !v.has("for") && !f.Instant() && f.Kind != FaultClock:
		b.at(v.keyPos("every"), "`every` begins it again, and without `for` it has not ended; write `for`, shorter than `every`")
	case f.Every > 0 && f.For >= f.Every:
		b.at(v.keyPos("for"), "`for` is %s, and it begins again after %s: it would never be over; expected less than `every`", shortDuration(f.For), shortDuration(f.Every))
	}
	if f.Every > 0 && f.Every < leastFaultEvery {
		b.at(v.at("every").pos, "`every` is %s, and a run would hardly get on; the least is %s", shortDuration(f.Every), shortDuration(leastFaultEvery))
	}
	if v.has("until") && !v.has("every") {
		b.at(v.keyPos("until"), "`until` belongs to `every`; write `for` to say how long it is in force")
	} else if f.Until > 0 && f.Until <= f.At {
		b.at(v.keyPos("until"), "`until` is %s, which is not after `at`, %s", shortDuration(f.Until), shortDuration(f.At))
	}
	if f.Kind == FaultReset && !v.has("for") {
		for _, key := range []string{"skip", "count"} {
			if v.has(key) {
				b.at(v.keyPos(key), "without `for` the connections break once, at `at`; write `for`, and `%s` counts what is sent meanwhile", key)
			}
		}
	}
}

// faultBegins asks what happens in an instant for it: at the start of the run
// nothing is connected yet, and nobody would see that nothing happened.
func (b *builder) faultBegins(v *value, f *Fault) {
	if !f.Instant() || v.has("at") || v.has("for") {
		return
	}
	or := ""
	if f.Kind == FaultReset {
		or = ", or `for`, and they break each time that something is sent meanwhile"
	}
	b.at(v.keyPos(string(f.Kind)), "%s in an instant, and nothing says when; write `at`, such as `at: 10s`%s", f.happens(), or)
}

// faultInRun refuses what begins when the run is over.
func (b *builder) faultInRun(v *value, f *Fault) {
	if b.s.Length > 0 && f.At >= b.s.Length {
		b.at(v.keyPos("at"), "`at` is %s, when the run is over (length: %s)", shortDuration(f.At), shortDuration(b.s.Length))
	}
}
