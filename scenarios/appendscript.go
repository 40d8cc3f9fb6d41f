package scenarios

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

func (w *writer) script() {
	var list []flowing
	steps := w.s.Script
	for i := 0; i < len(steps); {
		n := together(steps[i:])
		list = append(list, w.step(steps[i:i+n], i == 0))
		i += n
	}
	w.items("script", list)
}

// together is how many of the first steps one list under `do` can say.
func together(steps []Step) int {
	commands := []*Command{commandOf(&steps[0])}
	if commands[0] == nil {
		return 1
	}
	n := 1
	for ; n < len(steps); n++ {
		a, b := &steps[n-1], &steps[n]
		c := commandOf(b)
		follows := b.At.AfterPrevious && a.Phone == b.Phone && a.As == "" && len(a.Expect) == 0 && a.Optional == b.Optional
		if c == nil || !follows || slices.ContainsFunc(commands, func(d *Command) bool { return !goesAlong(c, d) }) {
			break
		}
		commands = append(commands, c)
	}
	return n
}

// commandOf is what a step has typed, as `do` would say it; nil when it does
// something else.
func commandOf(s *Step) *Command {
	if s.Login != nil && s.Login.Kind == "right" && s.Login.User == "" && s.Login.Password == "" {
		return &Command{Verb: VerbLogin}
	}
	return s.Do
}

// goesAlong: beacons of one list go to the same phones, equally often.
func goesAlong(a, b *Command) bool {
	if a.Verb != VerbBeacon || b.Verb != VerbBeacon {
		return true
	}
	return a.Contacts == b.Contacts && a.Count == b.Count && slices.Equal(a.To, b.To)
}

// step writes one step, or several that one list of commands says.
func (w *writer) step(steps []Step, first bool) flowing {
	s := &steps[len(steps)-1]
	var f flowing
	if at := steps[0].At; !at.AfterPrevious || first {
		f.put("at", at.String())
	}
	if s.Phone >= 0 {
		f.put("phone", w.phone(s.Phone))
	}
	w.verb(&f, steps)
	f.putIf(s.As != "", "as", text(s.As))
	f.putIf(s.Optional, "optional", "true")
	var expect []string
	for i := range s.Expect {
		expect = append(expect, w.stepExpect(&s.Expect[i], s))
	}
	f.putIf(len(expect) > 0, "expect", listed(expect))
	return f
}

func (at When) String() string {
	switch {
	case at.Label == "":
		return durationText(at.Offset)
	case at.Offset == 0:
		return text(at.Label)
	}
	return text(at.Label + " + " + durationText(at.Offset))
}

func (w *writer) verb(f *flowing, steps []Step) {
	s := &steps[0]
	switch {
	case len(steps) > 1 || s.Do != nil:
		var commands []Command
		for i := range steps {
			commands = append(commands, *commandOf(&steps[i]))
		}
		w.do(f, commands)
	case s.Login != nil:
		f.put("login", loginText(s.Login))
	case s.Password != nil:
		f.put("password", text(*s.Password))
	case s.Forge != nil:
		f.put("forge", w.forge(s.Forge, s.Phone).String())
	case s.Datagrams != nil:
		d := s.Datagrams
		var inner flowing
		inner.put("to", w.phones(d.To))
		inner.put("send", listed(bytesTexts(d.Send)))
		inner.putIf(d.Port != 0, "port", fmt.Sprint(d.Port))
		inner.duration("gap", d.Gap, 0)
		f.put("datagrams", inner.String())
	case s.TCP != nil:
		f.put("tcp", tcpText(s.TCP))
	case s.Restart != nil:
		var inner flowing
		inner.duration("down", s.Restart.Down, 0)
		f.put("restart", inner.String())
	case s.Fault != nil:
		f.put("fault", w.fault(s.Fault, false).String())
	}
}

func loginText(l *Login) string {
	if l.User == "" && l.Password == "" {
		return l.Kind
	}
	var f flowing
	f.putIf(l.User != "", "user", text(l.User))
	f.putIf(l.Password != "", "password", text(l.Password))
	f.putIf(l.Kind != "right", "kind", l.Kind)
	return f.String()
}

func (w *writer) forge(v *Forge, phone int) flowing {
	var f flowing
	f.put("to", w.phones(v.To))
	copied := v.Copy >= 0
	if copied {
		f.put("copy", w.phone(v.Copy))
	}
	f.putIf(v.TempID != "", "tempid", text(v.TempID))
	now, later := WireTime{Set: true}, WireTime{Set: true, Offset: w.s.Server.TempIDLifetime}
	f.putIf(v.Start.Set && (copied || v.Start != now), "start", v.Start.String())
	f.putIf(v.Expiry.Set && (copied || v.Expiry != later), "expiry", v.Expiry.String())
	f.putIf(v.Version != defaultOf[string](forgeShape(), "version"), "version", text(v.Version))
	f.putIf(v.Form != "" && (phone < 0 || v.Form != w.roster.groups[w.roster.groupOf(phone)].Form), "form", string(v.Form))
	f.putIf(v.Port != 0, "port", fmt.Sprint(v.Port))
	var omit []string
	for _, part := range v.Omit {
		omit = append(omit, strconv.Itoa(part))
	}
	f.putIf(len(omit) > 0, "omit", listed(omit))
	f.duration("gap", v.Gap, 0)
	return f
}

func (t WireTime) String() string {
	if t.Text != "" {
		return text(t.Text)
	}
	return durationText(t.Offset)
}

func tcpText(t *TCP) string {
	var f flowing
	f.putIf(t.Connect, "connect", "true")
	f.putIf(len(t.Send) > 0, "send", listed(bytesTexts(t.Send)))
	f.duration("gap", t.Gap, 0)
	f.putIf(t.Close, "close", "true")
	f.putIf(t.Reset, "reset", "true")
	if len(f) == 0 {
		f.put("send", "[]")
	}
	return f.String()
}

func (w *writer) stepExpect(e *StepExpect, s *Step) string {
	var f flowing
	f.putIf(e.Phone != s.Phone && e.Phone >= 0, "phone", w.phoneOrNone(e.Phone))
	lines(&f, "reply", "replies", e.Replies)
	f.putIf(e.NoReply, "silent", "true")
	if e.Closed != nil {
		f.put("closed", strconv.FormatBool(*e.Closed))
	}
	lines(&f, "prints", "prints", e.Prints)
	f.putIf(e.PrintsNothing, "prints_nothing", "true")
	lines(&f, "server_prints", "server_prints", e.ServerPrints)
	f.putIf(e.ServerPrintsNothing, "server_prints_nothing", "true")
	if e.Log != nil {
		f.put("log", e.Log.String())
	}
	amount(&f, "entries", e.Entries)
	amount(&f, "resolved", e.Resolved)
	if len(f) == 0 || len(f) == 1 && strings.HasPrefix(f[0], "phone: ") {
		f.put("server_prints", "[]") // a list of nothing is all that it expects
	}
	within := defaultWithin
	if e.NoReply || e.PrintsNothing || e.ServerPrintsNothing {
		within = defaultSilentWithin
	}
	f.duration("within", e.Within, within)
	return f.String()
}

func (w *writer) phoneOrNone(phone int) string {
	if phone < 0 {
		return ""
	}
	return w.phone(phone)
}

func lines(f *flowing, one, several string, patterns []Pattern) {
	texts := make([]string, len(patterns))
	for i, p := range patterns {
		texts[i] = text(p.Text)
	}
	switch len(texts) {
	case 0:
	case 1:
		f.put(one, texts[0])
	default:
		f.put(several, inBrackets(texts))
	}
}

func (l *LogExpect) String() string {
	if l.TempIDs == nil && l.Entries >= 0 {
		return strconv.Itoa(l.Entries)
	}
	texts := make([]string, len(l.TempIDs))
	for i, p := range l.TempIDs {
		texts[i] = text(p.Text)
	}
	var f flowing
	f.putIf(l.Entries >= 0, "entries", strconv.Itoa(l.Entries))
	f.put("tempids", listed(texts))
	return f.String()
}

func amount(f *flowing, key string, n *int) {
	if n != nil {
		f.put(key, strconv.Itoa(*n))
	}
}
