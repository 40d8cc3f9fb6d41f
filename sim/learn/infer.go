package learn

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"bluetrace/protocol"
	"bluetrace/protocol/dialect"
)

// Observed holds the observations from which Infer learns a dialect.
type Observed struct {
	Sessions []*Session
	Beacon   []Datagram
	TempIDs  []string // of the server's file
	Block    int      // duration of a block in seconds, 16 or more
}

// Result is a learned dialect.
type Result struct {
	Dialect  *dialect.Dialect
	HasLogin bool // else Dialect has the beacon and the typed lines only
	Form     int  // of credentials.txt, an index of foreign.LineForms
	// Notes lists the parts that were not learned, each with the reason. Without a login the first one is about it.
	Notes []string
}

// inference is the state of an Infer.
type inference struct {
	o      *Observed
	d      *dialect.Dialect
	words  words
	result Result
}

// newInference returns an inference that knows the framings and the values.
func newInference(o *Observed) *inference {
	i := &inference{o: o, d: &dialect.Dialect{
		Name: "learned", Zone: time.UTC, Lifetime: 15 * time.Minute,
		Client: framingOf(o.Sessions, true), Server: framingOf(o.Sessions, false),
	}}
	i.words = words{tempIDs: map[string]bool{}, block: o.Block}
	i.findValues()
	return i
}

// Infer learns a dialect from observations.
func Infer(o *Observed) *Result {
	i := newInference(o)
	i.beacon()
	if reason := i.login(); reason != "" {
		i.result.Notes = append([]string{reason}, i.result.Notes...)
		i.result.Dialect = &dialect.Dialect{
			Name: "unknown", Zone: time.UTC, TempIDDigits: protocol.TempIDSize,
			Beacon: i.d.Beacon, BeaconTimes: i.d.BeaconTimes, Times: i.d.BeaconTimes,
		}
		return &i.result
	}
	i.d.Times, i.d.TempIDDigits = cmp.Or(i.words.layout, defaultLayout), i.words.digits
	if i.d.BeaconTimes == i.d.Times {
		i.d.BeaconTimes = ""
	}
	i.download()
	i.upload()
	i.logout()
	i.rehearse()
	i.result.Dialect, i.result.HasLogin = i.d, true
	return &i.result
}

func (i *inference) note(format string, values ...any) {
	i.result.Notes = append(i.result.Notes, fmt.Sprintf(format, values...))
}

// rehearse leaves out the parts of the dialect with which a conversation of this project's phone and server fails.
func (i *inference) rehearse() {
	d := i.d
	_, reason := dialect.Rehearse(d, nil)
	if reason == nil {
		return
	}
	whole := *d
	for _, p := range []struct {
		name string
		drop func(*dialect.Dialect)
	}{
		{"the upload", func(d *dialect.Dialect) { d.Upload = nil }},
		{"the logout", func(d *dialect.Dialect) { d.Logout = nil }},
		{"the download", func(d *dialect.Dialect) { d.Download = nil }},
		{"the answer of a block", func(d *dialect.Dialect) { d.Outcomes[dialect.NowBlocked] = nil }},
	} {
		one := whole
		p.drop(&one)
		if _, err := dialect.Rehearse(&one, nil); err == nil {
			*d = one
			i.note("%s is left out: a conversation with it does not work: %v", p.name, reason)
			return
		}
		p.drop(d)
		if _, err := dialect.Rehearse(d, nil); err == nil {
			i.note("several parts are left out, as is %s: a conversation with them does not work: %v", p.name, reason)
			return
		}
	}
	*d = whole
	i.note("a conversation in this dialect does not work: %v", reason)
}

// findValues finds the TempIDs and the layout of times.
func (i *inference) findValues() {
	w := &i.words
	var sources []message // those in which a TempID may stand, the best first
	for _, p := range i.parts(Download) {
		sources = append(sources, slices.DeleteFunc(p.messages, func(m message) bool { return m.up })...)
	}
	for _, p := range i.parts(Upload) {
		sources = append(sources, p.messages...)
	}
	downloads := len(sources)
	for _, g := range i.o.Beacon {
		if g.FromSender {
			sources = append(sources, message{at: g.At, up: true, text: string(g.Bytes)})
		}
	}
	for _, id := range i.o.TempIDs {
		if slices.ContainsFunc(sources, func(m message) bool { return strings.Contains(m.text, id) }) {
			w.tempIDs[id] = true
		}
	}
	known := len(w.tempIDs) > 0
	for n, m := range sources {
		if w.layout == "" {
			w.layout = layoutOf(m.text, m.at)
		}
		if !known && (n < downloads || len(w.tempIDs) == 0) {
			w.addLongest(m)
		}
	}
	lengths := map[int]bool{}
	for id := range w.tempIDs {
		w.digits = len(id)
		lengths[len(id)] = true
	}
	if len(lengths) > 1 {
		w.digits = 0
	}
}

// addLongest adds the longest run of digits of a message that may be a TempID, outside of its times.
func (w *words) addLongest(m message) {
	const least = 12 // digits; a phone number and a Unix time have fewer
	text := m.text
	for place, _ := w.timeIn(text, m.at); place != nil; place, _ = w.timeIn(text, m.at) {
		text = text[:place[0]] + " " + text[place[1]:]
	}
	longest := longestDigits(text)
	if len(longest) >= least {
		w.tempIDs[longest] = true
	}
}

// parts returns the conversations of one kind that have messages.
func (i *inference) parts(c Command) (list []conversation) {
	for _, s := range i.o.Sessions {
		for _, p := range s.split(i.d.Client, i.d.Server) {
			if p.command == c && len(p.messages) > 0 {
				list = append(list, p)
			}
		}
	}
	return list
}

// line is a step of a conversation before its text is parsed.
type line struct {
	kind   dialect.StepKind
	text   string
	number *int
	at     time.Time
	each   []line // of Each
}

// last returns the kind of the last step.
func (l line) last() dialect.StepKind {
	if l.kind == dialect.Each {
		return l.each[len(l.each)-1].last()
	}
	return l.kind
}

// lines returns the steps of messages.
func (i *inference) lines(list []message, user, password string, times bool) (steps []line) {
	for n, m := range list {
		if n > 0 && m.conn != list[n-1].conn {
			steps = append(steps, line{kind: dialect.Reconnect, at: m.at})
		}
		l := line{kind: m.kind(), number: m.number, at: m.at}
		switch {
		case m.number == nil:
			l.text = i.words.fill(m, user, password, times)
		case times && *m.number == i.words.count:
			l.number = nil
		}
		steps = append(steps, l)
	}
	return steps
}

// join returns the steps that fit two observations, of which the first may be nil. ok is false if they have other
// kinds.
func join(a, b []line) (list []line, ok bool) {
	if a == nil {
		return b, true
	}
	if len(a) != len(b) {
		return a, false
	}
	list = slices.Clone(a)
	for n := range a {
		if a[n].kind != b[n].kind {
			return a, false
		}
		switch a[n].kind {
		case dialect.Receive:
			list[n].text = merge(a[n].text, b[n].text)
		case dialect.Send:
			if len(holderText.FindAllString(a[n].text, -1)) < len(holderText.FindAllString(b[n].text, -1)) {
				list[n].text = b[n].text
			}
		}
	}
	return list, true
}

// textPause is the pause between two messages without marks that a server must read apart.
const textPause = 300 * time.Millisecond

// steps parses the texts of lines. Between two messages of a phone without marks it inserts a pause.
func (i *inference) steps(list []line) (steps []dialect.Step, err error) {
	unmarked := !i.d.Client.IsMarked()
	pause := dialect.Step{Kind: dialect.Pause, Pause: textPause}
	for n, l := range list {
		if unmarked && (l.kind == dialect.Send || l.kind == dialect.Each) && n > 0 && list[n-1].last() == dialect.Send {
			steps = append(steps, pause)
		}
		s := dialect.Step{Kind: l.kind, Int: l.number}
		text := l.text
		switch l.kind {
		case dialect.Pause:
			s.Pause = textPause / 3
		case dialect.Each:
			if s.Steps, err = i.steps(l.each); err != nil {
				return nil, err
			}
		case dialect.Send, dialect.Receive:
			if before, _, ok := strings.Cut(text, "{user}{password}"); ok && i.d.Client.Kind == dialect.Raw {
				name := before + "{user}"
				if s.Text, err = parse(name); err != nil {
					return nil, err
				}
				steps = append(steps, s, pause)
				text = text[len(name):]
			}
			if text == "" && l.kind == dialect.Receive {
				text = "{*}"
			}
			if s.Text, err = parse(text); err != nil {
				return nil, err
			}
		}
		steps = append(steps, s)
	}
	return steps, nil
}

// parse parses the text of a message.
func parse(text string) (dialect.Template, error) {
	t, err := dialect.ParseTemplate(text)
	if err != nil {
		err = fmt.Errorf("%q: %w", text, err)
	}
	return t, err
}

// fromFirstSend drops messages of the server that come before the first one of the phone.
func fromFirstSend(list []line) []line {
	n := slices.IndexFunc(list, func(l line) bool { return l.kind == dialect.Send || l.kind == dialect.SendInt })
	if n < 0 {
		return nil
	}
	return list[n:]
}

// quoted returns the beginning of the conversation of a login, for a note.
func (i *inference) quoted() string {
	parts := i.parts(Login)
	if len(parts) == 0 {
		return "no byte"
	}
	var texts []string
	for _, m := range parts[0].messages[:min(4, len(parts[0].messages))] {
		sender := "the server"
		if m.up {
			sender = "the phone"
		}
		if m.number != nil {
			texts = append(texts, fmt.Sprintf("%s sent the number %d", sender, *m.number))
			continue
		}
		texts = append(texts, fmt.Sprintf("%s sent %q", sender, m.text[:min(len(m.text), 80)]))
	}
	if !parts[0].messages[0].up {
		texts[0] = strings.Replace(texts[0], "the server sent", "the server spoke first:", 1)
	}
	return strings.Join(texts, ", ")
}
