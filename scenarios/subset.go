package scenarios

import "slices"

// Only is the scenario with only those phones of which keep is true, and without
// what only the others did: their steps and those that wait for a moment of
// these, routines, contacts, faults and adversaries with nobody left, lines of
// `expect` that name what is gone. Groups keep their names and count their phones
// anew. The receiver stays as it is.
func (s *Scenario) Subset(keep func(phone int) bool) *Scenario {
	t := *s
	c := subset{number: make([]int, 0, len(s.PhoneNames()))}
	t.Phones = c.groups(s, keep)
	t.Contacts = c.contacts(&s.Contacts)
	c.alone = emptyContacts(&t.Contacts)
	t.Routine = nil
	for _, r := range s.Routine {
		r.Phones = c.list(r.Phones)
		r.Do = c.commands(r.Do)
		if len(r.Phones) > 0 && len(r.Do) > 0 {
			t.Routine = append(t.Routine, r)
		}
	}
	t.Script = c.script(s.Script)
	t.Expect = c.expectations(s.Expect)
	t.Faults = nil
	for i := range s.Faults {
		if f, ok := c.fault(&s.Faults[i]); ok {
			t.Faults = append(t.Faults, *f)
		}
	}
	t.Adversaries = nil
	for _, a := range s.Adversaries {
		of, to := len(a.Of) > 0, len(a.To) > 0
		a.By, a.Of, a.To = c.list(a.By), c.list(a.Of), c.list(a.To)
		if len(a.By) > 0 && (!of || len(a.Of) > 0) && (!to || len(a.To) > 0) {
			t.Adversaries = append(t.Adversaries, a)
		}
	}
	return &t
}

// subset gives phones their new numbers; gone is that of one that is not kept.
type subset struct {
	number []int
	steps  []int           // of the script, likewise
	lost   map[string]bool // moments that never come
	alone  bool            // nobody is near anybody any more
}

const gone = -1

// groups are those with a phone left. Who shares the account of one that is gone
// gets an own one.
func (c *subset) groups(s *Scenario, keep func(int) bool) []PhoneGroup {
	var groups []PhoneGroup
	renamed := map[string]string{}
	i, left := 0, 0
	for _, g := range s.Phones {
		kept := g
		kept.Count = 0
		for k := range g.Count {
			number := gone
			if keep(i) {
				renamed[g.PhoneName(k)] = kept.PhoneName(kept.Count)
				kept.Count++
				number = left
				left++
			}
			c.number = append(c.number, number)
			i++
		}
		if kept.Count > 0 {
			groups = append(groups, kept)
		}
	}
	for i := range groups {
		g := &groups[i]
		if g.Account == "own" || g.Account == "none" {
			continue
		}
		name, ok := renamed[g.Account]
		if !ok {
			name = "own"
		}
		g.Account = name
	}
	return groups
}

func (c *subset) list(phones []int) []int {
	var left []int
	for _, p := range phones {
		if n := c.number[p]; n != gone {
			left = append(left, n)
		}
	}
	return left
}

func (c *subset) commands(list []Command) []Command {
	var left []Command
	for _, one := range list {
		if d, ok := c.command(&one); ok {
			left = append(left, *d)
		}
	}
	return left
}

func (c *subset) command(from *Command) (*Command, bool) {
	d := *from
	d.To = c.list(from.To)
	return &d, d.Verb != VerbBeacon || d.Contacts && !c.alone || len(d.To) > 0
}

// contacts are those of two who are left; a mixing is thinned to as many as there
// are to meet.
func (c *subset) contacts(from *Contacts) Contacts {
	var t Contacts
	for _, e := range from.Everyone {
		if e.Phones = c.list(e.Phones); len(e.Phones) > 1 {
			t.Everyone = append(t.Everyone, e)
		}
	}
	for _, l := range from.Lists {
		if l.Phones = c.list(l.Phones); len(l.Phones) > 1 {
			t.Lists = append(t.Lists, l)
		}
	}
	for _, d := range from.Desks {
		if d.Phones = c.list(d.Phones); len(d.Phones) > 1 {
			t.Desks = append(t.Desks, d)
		}
	}
	for _, v := range from.Visits {
		v.To = c.list(v.To)
		if v.Phone = c.number[v.Phone]; v.Phone != gone && len(v.To) > 0 && !slices.Equal(v.To, []int{v.Phone}) {
			t.Visits = append(t.Visits, v)
		}
	}
	for _, m := range from.Mixing {
		if m.Phones = c.list(m.Phones); len(m.Phones) > 1 {
			m.Degree = min(m.Degree, float64(len(m.Phones)-1))
			t.Mixing = append(t.Mixing, m)
		}
	}
	for _, r := range from.Trace {
		if r.Phones = c.list(r.Phones); len(r.Phones) > 1 {
			t.Trace = append(t.Trace, r)
		}
	}
	return t
}

func (c *subset) script(from []Step) []Step {
	var left []Step
	c.steps = make([]int, len(from))
	lost := map[string]bool{}
	c.lost = lost
	for again := true; again; { // a moment may stand below the step that waits for it
		again = false
		for i := range from {
			if s := &from[i]; s.As != "" && !lost[s.As] && (lost[s.At.Label] || !c.acts(s)) {
				lost[s.As], again = true, true
			}
		}
	}
	for i := range from {
		s := &from[i]
		c.steps[i] = gone
		if lost[s.At.Label] || !c.acts(s) {
			continue
		}
		c.steps[i] = len(left)
		one := c.step(s)
		one.At.AfterPrevious = one.At.AfterPrevious && len(left) > 0
		left = append(left, one)
	}
	return left
}

// acts says whether a step has left whom it needs.
func (c *subset) acts(s *Step) bool {
	if s.Phone >= 0 && c.number[s.Phone] == gone {
		return false
	}
	switch {
	case s.Do != nil:
		_, ok := c.command(s.Do)
		return ok
	case s.Forge != nil:
		return len(c.list(s.Forge.To)) > 0 && (s.Forge.Copy < 0 || c.number[s.Forge.Copy] != gone)
	case s.Datagrams != nil:
		return len(c.list(s.Datagrams.To)) > 0
	case s.Fault != nil:
		_, ok := c.fault(s.Fault)
		return ok
	}
	return true
}

func (c *subset) step(from *Step) Step {
	s := *from
	if s.Phone >= 0 {
		s.Phone = c.number[s.Phone]
	}
	switch {
	case s.Do != nil:
		s.Do, _ = c.command(s.Do)
	case s.Forge != nil:
		f := *s.Forge
		if f.To = c.list(f.To); f.Copy >= 0 {
			f.Copy = c.number[f.Copy]
		}
		s.Forge = &f
	case s.Datagrams != nil:
		d := *s.Datagrams
		d.To = c.list(d.To)
		s.Datagrams = &d
	case s.Fault != nil:
		s.Fault, _ = c.fault(s.Fault)
	}
	s.Expect = nil
	for _, e := range from.Expect {
		if e.Phone >= 0 {
			if e.Phone = c.number[e.Phone]; e.Phone == gone {
				continue
			}
		}
		s.Expect = append(s.Expect, e)
	}
	return s
}

// fault is one with whom it happens to; false when nobody is left.
func (c *subset) fault(from *Fault) (*Fault, bool) {
	f := *from
	whole := true
	for _, n := range []*Nodes{&f.Of, &f.From, &f.To} {
		named := len(n.Phones) > 0
		n.Phones = c.list(n.Phones)
		whole = whole && (!named || n.Server || len(n.Phones) > 0)
	}
	return &f, whole
}

func (c *subset) expectations(from []Expectation) []Expectation {
	var left []Expectation
	for _, e := range from {
		l, ok := c.sum(e.Left)
		r, okay := c.sum(e.Right)
		if ok && okay {
			e.Left, e.Right = l, r
			left = append(left, e)
		}
	}
	return left
}

func (c *subset) sum(from Sum) (Sum, bool) {
	t := Sum{slices.Clone(from.Terms)}
	for i := range t.Terms {
		p := t.Terms[i].Operand.Path
		if p == nil {
			continue
		}
		if c.lost[p.At] {
			return t, false
		}
		if p.Counter != "" {
			continue
		}
		q := *p
		if p.Step >= 0 {
			if q.Step = c.steps[p.Step]; q.Step == gone {
				return t, false
			}
		} else if q.Phones = c.list(p.Phones); len(q.Phones) == 0 {
			return t, false
		}
		t.Terms[i].Operand.Path = &q
	}
	return t, true
}
