package scenarios

import (
	"slices"
	"strconv"
	"strings"

	yaml "go.yaml.in/yaml/v4"
)

// verbs are the keys of a step of which it has at most one.
func verbs() []string {
	return []string{"login", "password", "do", "forge", "datagrams", "tcp", "restart", "fault"}
}

// script builds the steps. Moments are named first: a step may refer to one
// that stands below it.
func (b *builder) script(v *value) {
	var starts []int // the script's index of each written step
	n := 0
	for _, s := range v.each() {
		starts = append(starts, n)
		n += max(1, len(s.at("do").each()))
		b.moment(s, n-1)
		b.logsInAs(s)
	}
	for i, s := range v.each() {
		b.step(s, starts[i])
	}
	b.cycles()
	if v.empty() {
		b.at(v.pos, "`script` is empty; expected %s", v.shape.doc)
	}
}

// moment notes the name that step i gives.
func (b *builder) moment(s *value, i int) {
	as := s.at("as")
	if as == nil {
		return
	}
	if _, twice := b.moments[as.text]; twice {
		b.at(as.pos, "moment `%s` is named twice", as.text)
		return
	}
	b.freeName(as.pos, as.text)
	if _, ok := b.roster.byName[as.text]; ok {
		b.at(as.pos, "`%s` is the name of a phone; expected another name for the moment", as.text)
	} else if _, ok := b.roster.one(as.text); ok {
		b.at(as.pos, "`%s` is the name of a phone; expected another name for the moment", as.text)
	}
	b.moments[as.text] = i
	b.names = append(b.names, as.text)
}

// step builds one written step: as many as it has commands, each but the first
// as soon as the one before has settled, expectations with the last.
func (b *builder) step(v *value, first int) {
	s := Step{Pos: v.pos, Text: oneLine(v.node), Phone: b.one(v.at("phone")), As: get[string](v, "as"), Optional: get[bool](v, "optional")}
	s.At = b.when(v, first)
	b.oneVerb(v)
	b.needPhone(v)
	commands := b.commands(v)
	switch {
	case v.at("login") != nil:
		s.Login = b.login(v.at("login"), s.Phone)
	case v.at("password") != nil:
		s.Password = &v.at("password").text
	case v.at("forge") != nil:
		s.Forge = b.forge(v.at("forge"), s.Phone)
	case v.at("datagrams") != nil:
		s.Datagrams = b.datagrams(v.at("datagrams"))
	case v.at("tcp") != nil:
		s.TCP = b.tcp(v.at("tcp"), s.Phone)
	case v.at("restart") != nil:
		s.Restart = &Restart{v.at("restart").pos, duration(v.at("restart"), "down")}
	case v.at("fault") != nil:
		s.Fault = b.stepFault(v.at("fault"))
	}
	s.Expect = b.stepExpects(v, &s, commands)
	b.loginLead(v, &s)
	b.addSteps(s, commands)
}

func (b *builder) addSteps(s Step, commands []Command) {
	if len(commands) == 0 {
		b.s.Script = append(b.s.Script, s)
		return
	}
	for i, c := range commands {
		one := s
		if i > 0 {
			one.At = When{Pos: s.At.Pos, AfterPrevious: true}
		}
		if i < len(commands)-1 {
			one.As, one.Expect = "", nil
		}
		if s.Phone >= 0 {
			b.needAccount(c.Pos, c.Verb, []int{s.Phone})
		}
		if c.Verb == VerbLogin {
			one.Login = &Login{Pos: c.Pos, Kind: "right"}
		} else {
			one.Do = &c
		}
		b.s.Script = append(b.s.Script, one)
	}
}

func (b *builder) oneVerb(v *value) {
	var found []string
	for _, verb := range verbs() {
		if v.has(verb) {
			found = append(found, verb)
		}
	}
	switch {
	case len(found) > 1:
		b.at(v.keyPos(found[1]), "a step does one thing, and this one has %s; expected one of them", backquoted(found))
	case len(found) == 0 && !v.has("expect") && !v.has("as") && v.whole():
		b.at(v.pos, "the step does nothing; expected one of %s, or `expect`", backquoted(verbs()))
	}
}

// needPhone: somebody acts in every step but a restart, a fault and a look.
func (b *builder) needPhone(v *value) {
	if v.has("restart") && v.has("phone") {
		b.at(v.keyPos("phone"), "`restart` is the server's; expected no `phone` here")
	}
	if v.has("fault") && v.has("phone") {
		b.at(v.keyPos("phone"), "`fault` is nobody's deed, and says itself to whom it happens; expected no `phone` here")
	}
	for _, verb := range verbs() {
		if verb != "restart" && verb != "fault" && v.has(verb) && !v.has("phone") {
			b.at(v.keyPos(verb), "nobody does this; write `phone` and the name of one phone")
			return
		}
	}
}

func (b *builder) login(v *value, phone int) *Login {
	l := &Login{Pos: v.pos, Kind: v.text}
	if v.kind == yaml.MappingNode {
		l.Kind, l.User, l.Password = get[string](v, "kind"), get[string](v, "user"), get[string](v, "password")
	}
	if l.Kind == "half" && l.Password != "" {
		b.at(v.keyPos("password"), "a half login types no password; expected no such key here")
	}
	if l.Kind == "unknown" && l.User != "" {
		b.at(v.keyPos("user"), "an unknown login draws a name that nobody has; expected no such key here")
	}
	if phone >= 0 && l.User == "" && l.Kind != "unknown" && b.s.Phones[b.roster.groupOf(phone)].Account == "none" {
		b.at(v.pos, "phone `%s` has no account; expected `unknown`, or a mapping with `user` and `password`", b.roster.name(phone))
	}
	return l
}

func (b *builder) forge(v *value, phone int) *Forge {
	f := &Forge{
		Pos: v.pos, To: b.selection(v.at("to")), Copy: b.one(v.at("copy")),
		TempID: get[string](v, "tempid"), Start: get[WireTime](v, "start"), Expiry: get[WireTime](v, "expiry"),
		Version: get[string](v, "version"), Form: Form(get[string](v, "form")),
		Port: int(get[uint64](v, "port")), Gap: duration(v, "gap"),
	}
	if !v.has("copy") {
		b.forgedTimes(f)
	}
	if f.Form == "" && phone >= 0 {
		f.Form = b.s.Phones[b.roster.groupOf(phone)].Form
	}
	for _, o := range v.at("omit").each() {
		f.Omit = append(f.Omit, int(o.got.(uint64)))
	}
	slices.Sort(f.Omit)
	f.Omit = slices.Compact(f.Omit)
	if len(f.Omit) == 4 {
		b.at(v.keyPos("omit"), "all four parts are left out: nothing would be sent")
	}
	for _, key := range []string{"omit", "gap"} {
		if f.Form == FormSingle && v.has(key) {
			b.at(v.keyPos(key), "`%s` belongs to the split form, and this beacon is single; write `form: split`", key)
		}
	}
	return f
}

// forgedTimes: a TempID that nobody issued begins now and lasts 15 minutes.
func (b *builder) forgedTimes(f *Forge) {
	if !f.Start.Set {
		f.Start.Set = true
	}
	if !f.Expiry.Set {
		f.Expiry = WireTime{Set: true, Offset: b.s.Server.TempIDLifetime}
	}
}

func (b *builder) datagrams(v *value) *Datagrams {
	d := &Datagrams{
		Pos: v.pos, To: b.selection(v.at("to")), Send: texts(v.at("send")),
		Port: int(get[uint64](v, "port")), Gap: duration(v, "gap"),
	}
	for i, s := range v.at("send").each() {
		if len(d.Send[i]) > maxDatagram {
			b.at(s.pos, "a datagram of %d bytes; UDP over IPv4 carries at most %d", len(d.Send[i]), maxDatagram)
		}
	}
	if s := v.at("send"); s.empty() {
		b.at(s.pos, "`send` is empty; expected %s", s.shape.doc)
	}
	return d
}

// maxDatagram is what UDP over IPv4 carries, in bytes.
const maxDatagram = 65507

func texts(v *value) []string {
	var list []string
	for _, t := range v.each() {
		list = append(list, t.text)
	}
	return list
}

// placeholders are filled in when the text is sent.
func placeholders() []string { return []string{"{user}", "{password}", "{wrong}", "{tempid}"} }

func (b *builder) tcp(v *value, phone int) *TCP {
	t := &TCP{
		Pos: v.pos, Connect: v.has("connect"), Send: texts(v.at("send")),
		Gap: duration(v, "gap"), Close: v.has("close"), Reset: v.has("reset"),
	}
	if t.Close && t.Reset {
		b.at(v.keyPos("reset"), "`close` and `reset` end the connection in two ways; expected one of them")
	}
	if !t.Connect && !t.Close && !t.Reset && !v.has("send") {
		b.at(v.pos, "nothing is done on the connection; expected %s", v.shape.mapping.couldBe())
	}
	for _, s := range v.at("send").each() {
		b.placeholder(s, phone)
	}
	return t
}

func (b *builder) placeholder(s *value, phone int) {
	if s.text == "" {
		b.at(s.pos, "an empty text sends nothing; expected %s", s.shape.doc)
	}
	rest := s.text
	for {
		_, after, ok := strings.Cut(rest, "{")
		word, tail, closed := strings.Cut(after, "}")
		if !ok || !closed {
			return
		}
		rest = tail
		word = "{" + word + "}"
		if near, ok := b.nearest(word, placeholders()); ok && near != word && len(word) > 4 {
			b.at(s.pos, "%s is not filled in; did you mean %s?", quoted(word), near)
		}
		needs := word == "{user}" || word == "{password}" || word == "{wrong}"
		if needs && phone >= 0 && b.s.Phones[b.roster.groupOf(phone)].Account == "none" {
			b.at(s.pos, "phone `%s` has no account to fill %s in from", b.roster.name(phone), word)
		}
	}
}

// logsInAs notes phones without an account that log in with a written name.
func (b *builder) logsInAs(s *value) {
	l, p := s.at("login"), s.at("phone")
	if l == nil || p == nil || l.kind != yaml.MappingNode || l.at("user") == nil {
		return
	}
	if i, ok := b.roster.one(p.text); ok {
		b.guests[i] = true
	}
}

// maxStepText is how much of a step a report shows, in bytes.
const maxStepText = 160

// oneLine writes a step as YAML on one line, cut when it is long.
func oneLine(n *yaml.Node) string {
	var w strings.Builder
	flow(&w, n, 0)
	s := w.String()
	s = strings.TrimSuffix(strings.TrimPrefix(s, "{"), "}")
	if len(s) > maxStepText {
		s = strings.ToValidUTF8(s[:maxStepText], "") + "..."
	}
	return s
}

func flow(w *strings.Builder, n *yaml.Node, depth int) {
	if w.Len() > maxStepText || depth > maxDepth {
		return
	}
	switch n.Kind {
	case yaml.AliasNode:
		flow(w, n.Alias, depth+1)
	case yaml.ScalarNode:
		text := n.Value[:min(len(n.Value), maxStepText)]
		if n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0 || plain(text) != text {
			text = strconv.QuoteToGraphic(text)
		}
		w.WriteString(text)
	case yaml.SequenceNode:
		w.WriteByte('[')
		for i, c := range n.Content {
			if i > 0 {
				w.WriteString(", ")
			}
			flow(w, c, depth+1)
			if w.Len() > maxStepText {
				return
			}
		}
		w.WriteByte(']')
	case yaml.MappingNode:
		w.WriteByte('{')
		for i := 0; i+1 < len(n.Content) && w.Len() <= maxStepText; i += 2 {
			if i > 0 {
				w.WriteString(", ")
			}
			flow(w, n.Content[i], depth+1)
			w.WriteString(": ")
			flow(w, n.Content[i+1], depth+1)
		}
		w.WriteByte('}')
	}
}
