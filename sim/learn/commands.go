package learn

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"bluetrace/protocol/dialect"
)

// observed returns the steps that fit all conversations of a command.
func (i *inference) observed(parts []conversation, times bool) (list []line) {
	for _, p := range parts {
		list, _ = join(list, fromFirstSend(i.lines(p.messages, p.session.User, "", times)))
	}
	return list
}

// download learns the request for a TempID.
func (i *inference) download() {
	parts := i.parts(Download)
	list := i.observed(parts, true)
	switch {
	case len(parts) == 0:
		i.note("the download was not learned: no bytes were seen after the command")
		return
	case !mention(list, "{tempid}"):
		i.note("the download was not learned: no TempID of digits was found in %q", quote(parts[0].messages))
		return
	}
	i.set(&i.d.Download, list, "the download")
	i.d.SameTempID = i.isSame(parts)
}

// set sets steps from lines. If they cannot be parsed, a note has the reason.
func (i *inference) set(steps *[]dialect.Step, list []line, name string) {
	parsed, err := i.steps(list)
	if err != nil {
		i.note("%s cannot be described: %v", name, err)
		return
	}
	*steps = parsed
}

// isSame reports whether two downloads of one session had the same TempID.
func (i *inference) isSame(parts []conversation) bool {
	last := map[*Session]string{}
	for _, p := range parts {
		for _, m := range p.messages {
			place := i.words.tempIDIn(m.text)
			if place == nil || m.up {
				continue
			}
			id := m.text[place[0]:place[1]]
			if last[p.session] == id {
				return true
			}
			last[p.session] = id
		}
	}
	return false
}

// logout learns the end of a session.
func (i *inference) logout() {
	list := i.observed(i.parts(Logout), false)
	if len(list) == 0 {
		i.note("the logout was not learned: the phone sends no message")
		return
	}
	i.set(&i.d.Logout, list, "the logout")
}

// beacon learns the datagrams of a beacon.
func (i *inference) beacon() {
	last := -1
	for n, g := range i.o.Beacon {
		if g.FromSender {
			last = n
		}
	}
	w := i.words
	w.layout = i.beaconLayout()
	var steps []dialect.Step
	whole := ""
	for _, g := range i.o.Beacon[:last+1] {
		m := message{at: g.At, up: g.FromSender, text: string(g.Bytes)}
		text := w.fill(m, i.userIn(m.text), "", true)
		t, err := parse(text)
		if err != nil {
			i.note("the beacon cannot be described: %v", err)
			return
		}
		steps = append(steps, dialect.Step{Kind: m.kind(), Text: t})
		whole += text
	}
	switch {
	case len(steps) == 0:
		i.note("the beacon was not learned: no datagram came")
		return
	case !strings.Contains(whole, "{tempid}"):
		i.note("the beacon was not learned: no TempID was found in %q", whole)
		return
	case !strings.Contains(whole, "{start}") || !strings.Contains(whole, "{expiry}"):
		i.note("the beacon has no start or no expiry in a known form: %q", whole)
	}
	i.d.Beacon, i.d.BeaconTimes = steps, cmp.Or(w.layout, defaultLayout)
}

// defaultLayout is the layout of the course specification.
const defaultLayout dialect.Layout = "02/01/2006 15:04:05"

// beaconLayout returns the layout of the times of a beacon: that of the messages, unless it has no such time.
func (i *inference) beaconLayout() dialect.Layout {
	var other dialect.Layout
	for _, g := range i.o.Beacon {
		if place, _ := i.words.timeIn(string(g.Bytes), g.At); place != nil {
			return i.words.layout
		}
		other = cmp.Or(other, layoutOf(string(g.Bytes), g.At))
	}
	return cmp.Or(other, i.words.layout)
}

// userIn returns the name of the account that a text has, or "".
func (i *inference) userIn(text string) string {
	for _, s := range i.o.Sessions {
		if strings.Contains(text, s.User) {
			return s.User
		}
	}
	return ""
}

func quote(list []message) string {
	text := ""
	for _, m := range list {
		text += m.text
	}
	return text[:min(len(text), 120)]
}

// upload learns the upload of a contact log.
func (i *inference) upload() {
	parts := slices.DeleteFunc(i.parts(Upload), func(c conversation) bool { return i.entries(c.messages) == 0 })
	if len(parts) == 0 {
		i.note("the upload was not learned: no upload of a TempID was seen")
		return
	}
	c := slices.MaxFunc(parts, func(a, b conversation) int { return i.entries(a.messages) - i.entries(b.messages) })
	i.words.count = i.entries(c.messages)
	if i.words.count == 1 {
		i.note("the upload was learned from one entry: the form of several is a guess")
	}
	steps, err := i.uploadSteps(i.uploadLines(c), c)
	if err != nil {
		i.note("the upload cannot be described: %v", err)
		return
	}
	i.d.Upload = steps
}

// uploadLines returns the steps of an upload. A number that is its whole first message is the command.
func (i *inference) uploadLines(c conversation) []line {
	list := fromFirstSend(i.lines(c.messages, c.session.User, "", true))
	if len(list) > 0 && list[0].text == "{n}" {
		list[0].text = strconv.Itoa(i.words.count)
	}
	return list
}

// entries returns the number of TempIDs that the phone sent.
func (i *inference) entries(list []message) (n int) {
	for _, m := range list {
		for text := m.text; m.up; n++ {
			place := i.words.tempIDIn(text)
			if place == nil {
				break
			}
			text = text[place[1]:]
		}
	}
	return n
}

// uploadSteps returns the steps of an upload. Its entries are in one message, or each in messages of its own.
func (i *inference) uploadSteps(list []line, c conversation) ([]dialect.Step, error) {
	first := slices.IndexFunc(list, func(l line) bool { return strings.Contains(l.text, "{tempid}") })
	if i.words.count > 1 && strings.Count(list[first].text, "{tempid}") == i.words.count {
		return i.wholeUpload(list, first, c)
	}
	var period int
	begin := first
	if i.words.count > 1 {
		list, begin, period = repetition(list, first, i.words.count)
	} else {
		end := first
		for n := first; n < len(list); n++ {
			if strings.Contains(list[n].text, "{start}") || strings.Contains(list[n].text, "{expiry}") {
				end = n
			}
		}
		if end++; end < len(list)-1 && list[end].kind == dialect.Receive {
			end++
		}
		period = end - begin
	}
	if period == 0 {
		return nil, errors.New("the messages of two entries differ")
	}
	each := slices.Clone(list[begin : begin+period])
	const gap = 20 * time.Millisecond // the phone, which sends messages without marks, waited
	if next := begin + period; !i.d.Client.IsMarked() && next < len(list) && list[next-1].kind == dialect.Send &&
		list[next].kind == dialect.Send && list[next].at.Sub(list[next-1].at) >= gap {
		each = append(each, line{kind: dialect.Pause})
	}
	entries := []line{{kind: dialect.Each, each: each}}
	return i.steps(slices.Concat(list[:begin], entries, list[begin+period*i.words.count:]))
}

// repetition finds the steps that repeat for each of count entries. first is the index of the first with a TempID. It
// returns the lines with the steps of all entries alike, and period 0 if there are none.
func repetition(list []line, first, count int) (out []line, begin, period int) {
	period = 1 + slices.IndexFunc(list[first+1:], func(l line) bool { return strings.Contains(l.text, "{tempid}") })
	for begin = first; ; begin-- {
		if joined, ok := alike(list, begin, period, count); ok {
			out = joined
			break
		}
		if begin == 0 || first-begin > period {
			return list, first, 0
		}
	}
	for begin > 0 && out[begin-1].kind != dialect.Receive {
		joined, ok := alike(out, begin-1, period, count)
		if !ok || joined[begin-1].kind == dialect.Receive {
			break
		}
		out, begin = joined, begin-1
	}
	return out, begin, period
}

// alike joins the steps of all entries. ok is false if they differ.
func alike(list []line, begin, period, count int) (out []line, ok bool) {
	if begin+period*count > len(list) || list[begin].kind == dialect.Receive || list[begin].kind == dialect.ReceiveInt {
		return list, false
	}
	block := list[begin : begin+period]
	for n := 1; n < count; n++ {
		other := list[begin+n*period : begin+(n+1)*period]
		for k := range block {
			if block[k].kind == dialect.Send && block[k].text != other[k].text {
				return list, false
			}
		}
		if block, ok = join(block, other); !ok {
			return list, false
		}
	}
	out = slices.Clone(list)
	copy(out[begin:], block)
	return out, true
}

// wholeUpload returns the steps of an upload whose entries are all in the message at n.
func (i *inference) wholeUpload(list []line, n int, c conversation) ([]dialect.Step, error) {
	before, entry, _, after := unit(list[n].text)
	alone := strings.Repeat(entry, i.words.count) == list[n].text[len(before):len(list[n].text)-len(after)]
	if i.d.Client.Kind == dialect.Raw && alone && !strings.Contains(entry, "\n") && !i.isOneMessage(list, n, c) {
		separate := list[:n:n]
		entries := slices.Repeat([]string{entry}, i.words.count)
		for _, text := range slices.Concat([]string{before}, entries, []string{after}) {
			if text != "" {
				separate = append(separate, line{kind: dialect.Send, text: text})
			}
		}
		return i.uploadSteps(append(separate, list[n+1:]...), c)
	}
	return i.oneMessage(list, n, c)
}

// isOneMessage reports whether a conversation works in which the phone sends all entries in one message.
func (i *inference) isOneMessage(list []line, n int, c conversation) bool {
	if slices.ContainsFunc(c.messages, func(m message) bool { return m.joined && i.entries([]message{m}) > 0 }) {
		return false // nothing tells
	}
	own := *i
	d := *i.d
	own.d = &d
	var err error
	if d.Upload, err = own.oneMessage(list, n, c); err != nil {
		return false
	}
	d.Times = cmp.Or(d.Times, defaultLayout)
	_, err = dialect.Rehearse(&d, nil)
	return err == nil
}

// oneMessage returns the steps of an upload whose entries are in one message, that at n.
func (i *inference) oneMessage(list []line, n int, c conversation) ([]dialect.Step, error) {
	before, entry, join, after := unit(list[n].text)
	t, err := dialect.ParseTemplate(entry)
	if err != nil {
		return nil, err
	}
	if strings.Contains(entry, "{user}") {
		return nil, errors.New("each entry has the name of the account")
	}
	for _, m := range c.messages { // the longest one has the entries
		if m.up {
			i.words.bytes = max(i.words.bytes, len(m.text))
		}
	}
	i.words.bytes -= len(before) + len(after)
	lines := i.uploadLines(c)
	lines[n].text = before + "{entries}" + after
	steps, err := i.steps(lines)
	if err == nil {
		i.d.Entry, i.d.Join = t, join
	}
	return steps, err
}

// unit returns the form of one entry in a text that has several, the text between two, and the texts around all.
func unit(text string) (before, entry, join, after string) {
	first := strings.Index(text, "{tempid}")
	second := first + 1 + strings.Index(text[first+1:], "{tempid}")
	inner := text[first:second] // one entry, and the text between two
	values := 0                 // the length of inner up to the end of its last placeholder
	for _, place := range holderText.FindAllStringIndex(inner, -1) {
		if inner[place[0]:place[1]] != "{user}" { // which may begin the next entry
			values = place[1]
		}
	}
	between := inner[values:]
	last := strings.LastIndex(text, inner[:values])
	before, after = text[:first], text[last+values:]
	tail := 0
	for tail < min(len(between), len(after)) && between[tail] == after[tail] {
		tail++
	}
	for tail > 0 && strings.IndexByte("<[({", between[tail-1]) >= 0 { // it opens what follows
		tail--
	}
	head := 0
	for head < min(len(between)-tail, len(before)) &&
		between[len(between)-1-head] == before[len(before)-1-head] {
		head++
	}
	entry = before[len(before)-head:] + inner[:values] + between[:tail]
	return before[:len(before)-head], entry, between[tail : len(between)-head], after[tail:]
}
