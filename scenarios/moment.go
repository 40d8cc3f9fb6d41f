package scenarios

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// momentText is a moment as it is written: a named one or none, and the sum of
// the durations with their signs.
type momentText struct {
	name   string
	offset time.Duration
}

var (
	momentForm = regexp.MustCompile(`^([^ ]+)((?: +[+-] +[^ ]+)*)$`)
	glued      = regexp.MustCompile(`[^ ]\+|[^ ][+-] |[^ +-] +[+-][^ ]|[0-9.](ns|us|µs|μs|ms|s|m|h)-`)
)

const momentPattern = `^([+-]?` + unsignedPattern + `|[A-Za-z][A-Za-z0-9_-]*)( +[+-] +` + unsignedPattern + `)*$`

func whenWord() *shape {
	return formed("moment", "a moment such as 5s, -50ms, blocked or blocked + 60s - 1ns", momentPattern,
		func(t string) (any, error) { return boxed(parseMoment(t)) })
}

// parseMoment reads a name or a duration, and any number of + DURATION and
// - DURATION.
func parseMoment(text string) (momentText, error) {
	m := momentForm.FindStringSubmatch(text)
	if m == nil {
		return momentText{}, whyNoMoment(text, errExpected)
	}
	var moment momentText
	if nameForm.MatchString(m[1]) {
		moment.name = m[1]
	} else {
		d, err := parseDuration(m[1])
		if err != nil {
			return momentText{}, whyNoMoment(text, err)
		}
		moment.offset = d
	}
	terms := strings.Fields(m[2])
	for i := 0; i < len(terms); i += 2 {
		d, err := parseUnsigned(terms[i+1])
		if err != nil {
			return momentText{}, whyNoMoment(text, err)
		}
		if terms[i] == "-" {
			d = -d
		}
		if moment.offset += d; moment.offset.Abs() > maxDuration {
			return momentText{}, fmt.Errorf("its sum is longer than the longest, %s", shortDuration(maxDuration))
		}
	}
	return moment, nil
}

// whyNoMoment is err, unless a blank is what is missing.
func whyNoMoment(text string, err error) error {
	if glued.MatchString(text) {
		return errors.New("+ and - need blanks on both sides")
	}
	return err
}

func wireTimeWord() *shape {
	return &shape{doc: "a time from now on such as -20m, or a text that is sent as it is", scalar: &scalar{
		accepts: acceptsText, parse: func(t string) (any, error) { return boxed(parseWireTime(t)) },
	}}
}

var likeDuration = regexp.MustCompile(`^[+-]?[0-9.]+[A-Za-zµμ]+$`)

// parseWireTime takes what is no duration as a text. What was probably meant as
// a duration is refused.
func parseWireTime(text string) (WireTime, error) {
	d, err := parseDuration(text)
	if err == nil {
		return WireTime{Set: true, Offset: d}, nil
	}
	if likeDuration.MatchString(text) || wholeDuration.MatchString(text) {
		return WireTime{}, err
	}
	return WireTime{Set: true, Text: text}, nil
}

// traceTimeWord is a time of a trace: seconds, or a duration such as 8h40m.
func traceTimeWord() *shape {
	return &shape{doc: "seconds of the trace's own time such as 31220, or 8h40m", scalar: &scalar{
		accepts: acceptsForm, pattern: `^[0-9]+$|^` + unsignedPattern + `$`, numbers: true,
		parse: func(t string) (any, error) { return boxed(parseTraceTime(t)) },
	}}
}

func parseTraceTime(text string) (int64, error) {
	if strings.Trim(text, "0123456789") == "" && text != "" && len(text) < 16 {
		var n int64
		for _, c := range text {
			n = 10*n + int64(c-'0')
		}
		return n, nil
	}
	d, err := parseUnsigned(text)
	if err == nil && d%time.Second != 0 {
		err = errors.New("a trace's time has whole seconds")
	}
	return int64(d / time.Second), err
}

// when resolves `at` of step i.
func (b *builder) when(v *value, i int) When {
	at := v.at("at")
	if at == nil {
		return When{Pos: v.pos, AfterPrevious: i > 0 && !v.has("at")}
	}
	m := at.got.(momentText)
	w := When{Pos: at.pos, Label: m.name, Offset: m.offset}
	if m.name != "" && !b.known(at.pos, m.name) {
		w.Label = ""
	}
	if w.Label != "" && m.offset < 0 {
		b.at(at.pos, "the run cannot know %s before `%s` has come; expected `%s` or `%s +` and a duration", shortDuration(-m.offset), m.name, m.name, m.name)
	}
	if b.s.Length > 0 && m.offset > b.s.Length {
		b.at(at.pos, "the run is over by then (length: %s)", shortDuration(b.s.Length))
	}
	return w
}

// known complains of a moment that no step names.
func (b *builder) known(p Pos, name string) bool {
	if _, ok := b.moments[name]; ok {
		return true
	}
	switch near := b.didYouMean(name, b.names); {
	case near != "":
		b.at(p, "no step names a moment `%s`%s", name, near)
	case len(b.names) == 0:
		b.at(p, "no step names a moment `%s`; a step names one with `as: %s`", name, name)
	default:
		b.at(p, "no step names a moment `%s`; %s", name, thereAre(b.names))
	}
	return false
}

// cycles complains of steps that wait for themselves.
func (b *builder) cycles() {
	const unseen, open, done = 0, 1, 2
	state := make([]int, len(b.s.Script))
	for i := range b.s.Script {
		var path []int
		for j := i; j >= 0 && state[j] != done; j = b.waitsFor(j) {
			if state[j] == open {
				b.cycle(path[indexOf(path, j):])
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

func indexOf(path []int, step int) int {
	for i, j := range path {
		if j == step {
			return i
		}
	}
	return 0
}

// waitsFor is the step that step i begins after; -1 when it waits for none.
func (b *builder) waitsFor(i int) int {
	switch at := b.s.Script[i].At; {
	case at.AfterPrevious:
		return i - 1
	case at.Label != "":
		return b.moments[at.Label]
	}
	return -1
}

func (b *builder) cycle(steps []int) {
	first := steps[0]
	for _, i := range steps {
		first = min(first, i)
	}
	at := b.s.Script[first].At
	if len(steps) == 1 {
		b.at(at.Pos, "the step waits for `%s`, which it names itself", at.Label)
		return
	}
	b.at(at.Pos, "the step waits for itself: its `at` leads through %s back to it", numberOf(len(steps)-1, "other step"))
}

// LoginLead is how long before its password a login of the phone begins: the
// pause after the username and, before that, the opening of the connection,
// there and back.
func (s *Scenario) LoginLead(phone int) time.Duration {
	for i := range s.Phones {
		if phone < s.Phones[i].Count {
			return s.Phones[i].PasswordPause + 2*s.Network.TCP.Delay.Longest()
		}
		phone -= s.Phones[i].Count
	}
	return 0
}

// loginLead refuses a login that would have to begin before the moment that it
// refers to.
func (b *builder) loginLead(v *value, s *Step) {
	do := v.at("do").each()
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
	b.at(s.At.Pos, "the password leaves %s after `%s`, but the username goes %s earlier%s: that is before `%s`; write `login: half` in a step before it, then `password:` here, or at least `%s + %s`",
		shortDuration(s.At.Offset), s.At.Label, shortDuration(b.pause(s.Phone)), way, s.At.Label, s.At.Label, shortDuration(lead))
}

func (b *builder) pause(phone int) time.Duration {
	return b.s.Phones[b.roster.groupOf(phone)].PasswordPause
}
