package scenarios

import (
	"slices"
	"time"
)

// labels are the labels of a script's steps.
type labels struct {
	mistakes *mistakeList
	step     map[string]int // index into the script
	list     []string       // in the order of the file
}

// check returns false and reports a mistake at p if no step has the label.
func (l *labels) check(p Pos, name string) bool {
	if _, ok := l.step[name]; ok {
		return true
	}
	switch near := l.mistakes.didYouMean(name, l.list); {
	case near != "":
		l.mistakes.add(p, "no step has the label `%s`%s", name, near)
	case len(l.list) == 0:
		l.mistakes.add(p, "no step has the label `%s`; a step gets one by `as: %s`", name, name)
	default:
		l.mistakes.add(p, "no step has the label `%s`; %s", name, thereAre(l.list))
	}
	return false
}

// when resolves the `at` of step i of a script. length is that of the run, or 0.
func (l *labels) when(v *value, i int, length time.Duration) When {
	at := v.child("at")
	if at == nil {
		return When{Pos: v.pos, AfterPrevious: i > 0 && !v.has("at")}
	}
	w := at.got.(When)
	w.Pos = at.pos
	if w.Label == "" || !l.check(at.pos, w.Label) {
		w.Label = ""
	} else if w.Offset < 0 {
		l.mistakes.add(at.pos,
			"the time %s before `%s` is not known in advance; expected `%s` or `%s +` and a duration",
			-w.Offset, w.Label, w.Label, w.Label)
	}
	if length > 0 && w.Offset > length {
		l.mistakes.add(at.pos, "the run is over by then (length: %s)", length)
	}
	return w
}

// checkCycles refuses steps that wait for themselves.
func (l *labels) checkCycles(script []Step) {
	const open, done = 1, 2
	state := make([]int, len(script))
	for i := range script {
		var path []int
		for j := i; j >= 0 && state[j] != done; j = l.waitsFor(script, j) {
			if state[j] == open {
				l.reportCycle(script, path[slices.Index(path, j):])
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
func (l *labels) waitsFor(script []Step, i int) int {
	switch at := script[i].At; {
	case at.AfterPrevious:
		return i - 1
	case at.Label != "":
		return l.step[at.Label]
	}
	return -1
}

// reportCycle reports steps that wait for each other, at the first of them.
func (l *labels) reportCycle(script []Step, steps []int) {
	at := script[slices.Min(steps)].At
	if len(steps) == 1 {
		l.mistakes.add(at.Pos, "the step waits for `%s`, its own label", at.Label)
		return
	}
	l.mistakes.add(at.Pos, "the step waits for itself: its `at` leads through %s back to it",
		numberOf(len(steps)-1, "other step"))
}

// checkLoginLead refuses a login that would begin before the label to which it refers.
func (s *Step) checkLoginLead(b *builder, v *value) {
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
		way = " and the opening of its connection takes up to " + durationText(2*d)
	}
	label := s.At.Label
	b.add(s.At.Pos, "the password is sent %s after `%s`, but the username %s earlier%s: that is before `%s`; write "+
		"`login: half` in a step before it, then `password:` here, or at least `%s + %s`",
		s.At.Offset, label, b.groupOf(s.Phone).PasswordPause, way, label, label,
		lead)
}
