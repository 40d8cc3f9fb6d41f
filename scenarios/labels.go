package scenarios

import (
	"slices"
	"time"
)

// when resolves the `at` of a step. i is the index of the step in the script.
func (b *builder) when(v *value, i int) When {
	at := v.child("at")
	if at == nil {
		return When{Pos: v.pos, AfterPrevious: i > 0 && !v.has("at")}
	}
	w := at.got.(When)
	w.Pos = at.pos
	if w.Label == "" || !b.checkLabel(at.pos, w.Label) {
		w.Label = ""
	} else if w.Offset < 0 {
		b.add(at.pos, "the time %s before `%s` is not known in advance; expected `%s` or `%s +` and a duration",
			shortDuration(-w.Offset), w.Label, w.Label, w.Label)
	}
	if b.s.Length > 0 && w.Offset > b.s.Length {
		b.add(at.pos, "the run is over by then (length: %s)", shortDuration(b.s.Length))
	}
	return w
}

// checkLabel refuses a label that no step has.
func (b *builder) checkLabel(p Pos, name string) bool {
	if _, ok := b.labels[name]; ok {
		return true
	}
	switch near := b.didYouMean(name, b.labelList); {
	case near != "":
		b.add(p, "no step has the label `%s`%s", name, near)
	case len(b.labelList) == 0:
		b.add(p, "no step has the label `%s`; a step gets one by `as: %s`", name, name)
	default:
		b.add(p, "no step has the label `%s`; %s", name, thereAre(b.labelList))
	}
	return false
}

// checkCycles refuses steps that wait for themselves.
func (b *builder) checkCycles() {
	const open, done = 1, 2
	state := make([]int, len(b.s.Script))
	for i := range b.s.Script {
		var path []int
		for j := i; j >= 0 && state[j] != done; j = b.waitsFor(j) {
			if state[j] == open {
				b.reportCycle(path[slices.Index(path, j):])
				break
			}
			state[j] = open
			path = append(path, j)
		}
		for _, j := range path {
			state[j] = done
		}
	}
}

// waitsFor returns the step after which step i begins, or -1.
func (b *builder) waitsFor(i int) int {
	switch at := b.s.Script[i].At; {
	case at.AfterPrevious:
		return i - 1
	case at.Label != "":
		return b.labels[at.Label]
	}
	return -1
}

func (b *builder) reportCycle(steps []int) {
	at := b.s.Script[slices.Min(steps)].At
	if len(steps) == 1 {
		b.add(at.Pos, "the step waits for `%s`, its own label", at.Label)
		return
	}
	b.add(at.Pos, "the step waits for itself: its `at` leads through %s back to it", numberOf(len(steps)-1, "other step"))
}

// LoginLead returns the time from the beginning of a login of the phone to its password: the opening of the
// connection, there and back, and the pause after the username.
func (s *Scenario) LoginLead(phone int) time.Duration {
	for i := range s.Phones {
		if phone < s.Phones[i].Count {
			return s.Phones[i].PasswordPause + 2*s.Network.TCP.Delay.Longest()
		}
		phone -= s.Phones[i].Count
	}
	return 0
}

// checkLoginLead refuses a login that would begin before the label to which it refers.
func (b *builder) checkLoginLead(v *value, s *Step) {
	do := v.child("do").elements()
	isLogin := s.Login != nil && s.Login.Kind != "half" || len(do) > 0 && do[0].text == string(VerbLogin)
	if !isLogin || s.Phone < 0 || s.At.Label == "" || s.At.Offset < 0 {
		return
	}
	lead := b.s.LoginLead(s.Phone)
	if s.At.Offset >= lead {
		return
	}
	way := ""
	if d := b.s.Network.TCP.Delay.Longest(); d > 0 {
		way = " and the opening of its connection takes up to " + shortDuration(2*d)
	}
	label := s.At.Label
	b.add(s.At.Pos, "the password is sent %s after `%s`, but the username %s earlier%s: that is before `%s`; write "+
		"`login: half` in a step before it, then `password:` here, or at least `%s + %s`",
		shortDuration(s.At.Offset), label, shortDuration(b.groupOf(s.Phone).PasswordPause), way, label, label, shortDuration(lead))
}
