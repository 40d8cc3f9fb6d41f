package scenarios

import "slices"

// Subset returns the scenario with only those phones for which keep returns true. It has no steps, routines, contacts,
// faults and adversaries whose phones are gone, no steps that wait for the label of a removed step, and no lines of
// `expect` that name a removed phone or step. Groups keep their names and number their phones anew. s does not change.
func (s *Scenario) Subset(keep func(phone int) bool) *Scenario {
	t := *s
	n := &renumbering{}
	t.Phones = n.groups(s, keep)
	c := &t.Contacts
	c.Everyone = renumberAll[List](n, c.Everyone)
	c.Lists = renumberAll[List](n, c.Lists)
	c.Desks = renumberAll[Desks](n, c.Desks)
	c.Visits = renumberAll[Visits](n, c.Visits)
	c.Mixing = renumberAll[Mixing](n, c.Mixing)
	for i := range c.Mixing {
		m := &c.Mixing[i]
		m.Degree = min(m.Degree, float64(len(m.Phones)-1))
	}
	c.Trace = renumberAll[Trace](n, c.Trace)
	n.noContact = c.isEmpty()
	t.Routine = renumberAll[Routine](n, t.Routine)
	t.Faults = renumberAll[Fault](n, t.Faults)
	t.Adversaries = renumberAll[Adversary](n, t.Adversaries)
	t.Script = n.script(s.Script)
	t.Expect = nil
	for _, e := range s.Expect {
		var left, right bool
		e.Left, left = n.sum(e.Left)
		e.Right, right = n.sum(e.Right)
		if left && right {
			t.Expect = append(t.Expect, e)
		}
	}
	return &t
}

// groups returns the groups with a phone left, and numbers the phones. A phone that shares the account of a removed
// one gets its own.
func (n *renumbering) groups(s *Scenario, keep func(int) bool) []PhoneGroup {
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
			n.phones = append(n.phones, number)
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

// commands returns those of the commands that still have receivers.
func (n *renumbering) commands(list []Command) []Command {
	var left []Command
	for _, c := range list {
		if one, ok := n.command(c); ok {
			left = append(left, one)
		}
	}
	return left
}

// command returns a command with its receivers that are left. It returns false for a Beacon without receivers.
func (n *renumbering) command(c Command) (Command, bool) {
	c.To = n.left(c.To)
	return c, c.Verb != VerbBeacon || c.Contacts && !n.noContact || len(c.To) > 0
}

// script returns the steps that are left: those whose phones are left, and that do not wait for a removed step.
func (n *renumbering) script(from []Step) []Step {
	var left []Step
	n.steps = make([]int, len(from))
	n.lost = map[string]bool{}
	for again := true; again; { // a label may be below the step that waits for it
		again = false
		for _, s := range from {
			if s.As != "" && !n.lost[s.As] && (n.lost[s.At.Label] || !n.renumber(s.keys())) {
				n.lost[s.As], again = true, true
			}
		}
	}
	for i, s := range from {
		n.steps[i] = gone
		if n.lost[s.At.Label] || !n.renumber(s.keys()) {
			continue
		}
		n.steps[i] = len(left)
		s.At.AfterPrevious = s.At.AfterPrevious && len(left) > 0
		left = append(left, s)
	}
	return left
}

// sum renumbers the values of a sum. It returns false if one of them is gone.
func (n *renumbering) sum(from Sum) (Sum, bool) {
	t := Sum{slices.Clone(from.Terms)}
	for i := range t.Terms {
		p := t.Terms[i].Operand.Path
		if p == nil {
			continue
		}
		if n.lost[p.At] {
			return t, false
		}
		if p.Counter != "" {
			continue
		}
		q := *p
		if p.Step >= 0 {
			if q.Step = n.steps[p.Step]; q.Step == gone {
				return t, false
			}
		} else if q.Phones = n.left(p.Phones); len(q.Phones) == 0 {
			return t, false
		}
		t.Terms[i].Operand.Path = &q
	}
	return t, true
}
