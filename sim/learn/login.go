package learn

import (
	"slices"
	"strings"

	"bluetrace/protocol/dialect"
)

// attempt is the conversation of one attempt to log in.
type attempt struct {
	steps   []line
	reply   []line
	outcome dialect.Outcome
	first   bool // of its session
	whole   bool // the phone has sent the password
}

// attempts cuts the conversation of the logins of a session at the passwords.
func (i *inference) attempts(c conversation) (list []attempt) {
	rest := c.messages
	conn := 0
	for n, password := range c.session.Passwords {
		at := slices.IndexFunc(rest, func(m message) bool { return m.up && strings.Contains(m.text, password) })
		a := attempt{outcome: c.session.Expected[n], first: n == 0, whole: at >= 0}
		if at < 0 { // the server has answered the name
			for k, m := range rest {
				if m.up {
					at = k
				}
			}
		}
		if at < 0 {
			break
		}
		end := at + 1
		for end < len(rest) && !rest[end].up && rest[end].conn == rest[at].conn {
			end++
		}
		a.steps = i.lines(rest[:at+1], c.session.User, password, false)
		if n > 0 && rest[0].conn != conn {
			a.steps = append([]line{{kind: dialect.Reconnect}}, a.steps...)
		}
		a.reply = i.lines(rest[at+1:end], c.session.User, password, false)
		conn = rest[at].conn
		list, rest = append(list, a), rest[end:]
	}
	return list
}

// login learns the login and its outcomes. It returns the reason if they are not usable.
func (i *inference) login() (reason string) {
	var all []attempt
	parts := i.parts(Login)
	if len(parts) == 0 {
		return "the phone and the server exchanged no byte"
	}
	for _, p := range parts {
		all = append(all, i.attempts(p)...)
	}
	var login, again []line
	for _, a := range all {
		if !a.whole {
			continue
		}
		into := &again
		if a.first {
			into = &login
		}
		*into, _ = join(*into, a.steps)
	}
	switch {
	case login == nil:
		return "the password was not found in the bytes of the phone: " + i.quoted()
	case !mention(login, "{user}"):
		return "the name was not found in the bytes of the phone: " + i.quoted()
	}
	if again == nil {
		again = append([]line{{kind: dialect.Reconnect}}, login...)
		i.note("a second attempt on one connection was not seen: each attempt has a new connection")
	}
	var err error
	if i.d.Login, err = i.steps(login); err == nil {
		i.d.Again, err = i.steps(again)
	}
	if err != nil {
		return "the login cannot be described: " + err.Error()
	}
	return i.outcomes(all)
}

// mention reports whether a line has a text.
func mention(list []line, text string) bool {
	return slices.ContainsFunc(list, func(l line) bool { return strings.Contains(l.text, text) })
}

// outcomes learns the answers to attempts.
func (i *inference) outcomes(all []attempt) (reason string) {
	var texts [dialect.Outcomes][]string
	var numbers [dialect.Outcomes]*int
	for _, a := range all {
		text, number := i.answer(a.reply)
		if text == "" {
			continue
		}
		if a.outcome == dialect.NowBlocked || a.outcome == dialect.Blocked {
			text = i.words.blockSeconds(text)
		}
		if !slices.Contains(texts[a.outcome], text) {
			texts[a.outcome] = append(texts[a.outcome], text)
		}
		numbers[a.outcome] = number
	}
	welcome, wrong := texts[dialect.Welcome], texts[dialect.Wrong]
	switch {
	case len(welcome) == 0:
		return "no answer to the right password was seen: " + i.quoted()
	case len(wrong) == 0:
		return "no answer to a wrong password was seen: " + i.quoted()
	case overlap(welcome, wrong):
		return "the answers to the right and to a wrong password are the same: " + i.quoted()
	}
	// Some servers block at the fourth wrong password.
	if overlap(texts[dialect.NowBlocked], wrong) && len(texts[dialect.Blocked]) > 0 {
		texts[dialect.NowBlocked], texts[dialect.Blocked] = texts[dialect.Blocked][:1], texts[dialect.Blocked][1:]
	}
	for o := range dialect.Outcomes {
		like := dialect.Outcomes
		for _, other := range []dialect.Outcome{dialect.Welcome, dialect.Wrong} {
			if o > other && overlap(texts[o], texts[other]) {
				like = other
			}
		}
		switch {
		case o == dialect.Unknown && like == dialect.Wrong:
			texts[o] = nil // as in the course specification
		case like < dialect.Outcomes:
			i.note("the answer for %q is that for %q", o, like)
			texts[o] = nil
		case len(texts[o]) == 0 && o != dialect.Already:
			i.note("no answer was seen for %q", o)
		}
	}
	for o := range dialect.Outcomes {
		i.addReplies(o, texts, numbers[o])
	}
	return ""
}

// answer returns the text of a reply, and the number that follows it.
func (i *inference) answer(reply []line) (text string, number *int) {
	switch {
	case !i.d.Server.IsMarked():
		for _, l := range reply {
			text += l.text
		}
	case len(reply) > 0:
		text = reply[0].text
		if len(reply) > 1 {
			number = reply[1].number
		}
	}
	return tidy(text), number
}

func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(text string) bool { return slices.Contains(b, text) })
}

// addReplies adds the answers for one outcome: the text that was seen first, and a text for all that were seen.
func (i *inference) addReplies(o dialect.Outcome, texts [dialect.Outcomes][]string, number *int) {
	if len(texts[o]) == 0 {
		return
	}
	list := texts[o]
	if len(list) > 1 {
		pattern := list[0]
		for _, text := range list[1:] {
			pattern = merge(pattern, text)
		}
		if isSpecific(pattern, o, texts) {
			list = []string{list[0], pattern}
		}
	}
	for _, text := range list {
		t, err := parse(text)
		if err != nil {
			i.note("an answer for %q cannot be described: %v", o, err)
			continue
		}
		reply := []dialect.Step{{Kind: dialect.Receive, Text: t}}
		if number != nil {
			reply = append(reply, dialect.Step{Kind: dialect.ReceiveInt, Int: number})
		}
		i.d.Outcomes[o] = append(i.d.Outcomes[o], reply)
	}
}

// isSpecific reports whether a text with {*} matches no answer for another outcome.
func isSpecific(pattern string, o dialect.Outcome, texts [dialect.Outcomes][]string) bool {
	begin, rest, _ := strings.Cut(pattern, "{*}")
	matches := func(text string) bool {
		text, ok := strings.CutPrefix(text, begin)
		for _, part := range strings.Split(rest, "{*}") {
			at := strings.Index(text, part)
			if ok = ok && at >= 0; ok {
				text = text[at+len(part):]
			}
		}
		return ok
	}
	for other, list := range texts {
		if dialect.Outcome(other) != o && slices.ContainsFunc(list, matches) {
			return false
		}
	}
	return true
}
