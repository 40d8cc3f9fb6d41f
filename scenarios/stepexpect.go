package scenarios

import (
	"time"

	yaml "go.yaml.in/yaml/v4"
)

// How long an expectation may take unless it says so.
const (
	defaultWithin       = 10 * time.Second
	defaultSilentWithin = time.Second
)

func (b *builder) stepExpects(v *value, s *Step, commands []Command) []StepExpect {
	var list []StepExpect
	for _, e := range v.at("expect").each() {
		one := StepExpect{
			Pos: e.pos, Within: duration(e, "within"), Phone: s.Phone,
			NoReply: e.has("silent"), PrintsNothing: e.has("prints_nothing"), ServerPrintsNothing: e.has("server_prints_nothing"),
			Prints: patterns(e.at("prints")), ServerPrints: patterns(e.at("server_prints")),
			Replies: append(patterns(e.at("reply")), patterns(e.at("replies"))...),
			Entries: count(e, "entries"), Resolved: count(e, "resolved"), Log: b.logExpect(e.at("log")),
		}
		if c := e.at("closed"); c != nil {
			closed := c.got.(bool)
			one.Closed = &closed
		}
		if e.has("phone") {
			one.Phone = b.one(e.at("phone"))
		}
		if one.Within == 0 {
			one.Within = defaultWithin
			if one.NoReply || one.PrintsNothing || one.ServerPrintsNothing {
				one.Within = defaultSilentWithin
			}
		}
		b.stepExpectFits(e, v, commands)
		list = append(list, one)
	}
	if e := v.at("expect"); e.empty() {
		b.at(e.pos, "`expect` is empty; expected %s", stepExpectShape().mapping.couldBe())
	}
	return list
}

func patterns(v *value) []Pattern {
	var list []Pattern
	for _, p := range v.each() {
		one := p.got.(Pattern)
		one.Pos = p.pos
		list = append(list, one)
	}
	return list
}

func count(v *value, key string) *int {
	if v.at(key) == nil {
		return nil
	}
	n := int(get[uint64](v, key))
	return &n
}

func (b *builder) logExpect(v *value) *LogExpect {
	switch {
	case v == nil:
		return nil
	case v.kind != yaml.MappingNode:
		return &LogExpect{Pos: v.pos, Entries: int(v.got.(uint64))}
	}
	l := &LogExpect{Pos: v.pos, Entries: -1, TempIDs: patterns(v.at("tempids"))}
	if n := count(v, "entries"); n != nil {
		l.Entries = *n
	}
	if v.empty() {
		b.at(v.pos, "`log` asks nothing; expected %s", v.shape.doc)
	}
	if v.has("entries") && l.TempIDs != nil && l.Entries != len(l.TempIDs) {
		b.at(v.keyPos("entries"), "`entries` is %d, and `tempids` lists %d", l.Entries, len(l.TempIDs))
	}
	return l
}

// stepExpectFits refuses what the step cannot bring.
func (b *builder) stepExpectFits(e, step *value, commands []Command) {
	asks := len(e.keys)
	for _, key := range []string{"phone", "within"} {
		if e.has(key) {
			asks--
		}
	}
	if asks == 0 && e.whole() {
		b.at(e.pos, "this expects nothing; expected one of %s", backquoted(e.shape.mapping.keys()))
	}
	for _, pair := range [][2]string{
		{"reply", "replies"}, {"reply", "silent"}, {"replies", "silent"},
		{"prints", "prints_nothing"}, {"server_prints", "server_prints_nothing"},
	} {
		if e.has(pair[0]) && e.has(pair[1]) {
			b.at(e.keyPos(pair[1]), "`%s` and `%s` cannot both be; expected one of them", pair[0], pair[1])
		}
	}
	upload := len(commands) > 0 && commands[len(commands)-1].Verb == VerbUpload
	for _, key := range []string{"entries", "resolved"} {
		if e.has(key) && !upload && (step.at("do") != nil || !step.has("do")) {
			b.at(e.keyPos(key), "`%s` belongs to `do: Upload_contact_log`; expected no such key here", key)
		}
	}
	b.expectPhone(e, step)
}

// expectPhone: what is looked at on a phone needs one; what the server answers
// needs a step that spoke to it.
func (b *builder) expectPhone(e, step *value) {
	if !e.has("phone") && !step.has("phone") {
		for _, key := range []string{"prints", "prints_nothing", "log"} {
			if e.has(key) {
				b.at(e.keyPos(key), "`%s` of whom? write `phone` and the name of one phone", key)
				return
			}
		}
	}
	speaks := step.has("login") || step.has("password") || step.has("do") || step.has("tcp")
	for _, key := range []string{"reply", "replies", "silent", "closed"} {
		if e.has(key) && !speaks {
			b.at(e.keyPos(key), "`%s` is the server's answer, and the step does not speak to it; expected `login`, `password`, `do` or `tcp` beside `expect`", key)
		}
	}
}
