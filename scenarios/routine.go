package scenarios

import (
	"fmt"
	"strings"

	yaml "go.yaml.in/yaml/v4"
)

// commands are what a phone's prompt knows, and `login`.
func commands() []string {
	return []string{string(VerbLogin), string(VerbDownload), string(VerbUpload), string(VerbBeacon), string(VerbLogout)}
}

func commandWord() *shape {
	words := commands()
	s := oneOf("", words...)
	s.doc += ", or {type: …} for any other line"
	exact := s.scalar.parse
	s.scalar.parse = func(t string) (any, error) {
		got, err := exact(t)
		if command, ok := commandBegun(t); err != nil && ok {
			return nil, told{fmt.Errorf("did you mean `%s`?", command)}
		}
		return got, err
	}
	s.mapping = &mapping{fields: []field{
		{name: "type", doc: "A line that is typed as it is.", is: anyText("a text"), required: true},
	}}
	return s
}

// commandsWord is one command or a list of them.
func commandsWord() *shape {
	s := commandWord()
	return orList("a command ("+s.doc+") or a list of commands", s)
}

// commandBegun is the only command that has the first word of text in it, as
// upload and upload-log are words of Upload_contact_log.
func commandBegun(text string) (command string, ok bool) {
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return strings.ContainsRune(" _-", r) })
	if len(words) == 0 || len(words[0]) < 3 {
		return "", false
	}
	for _, c := range commands() {
		if !strings.Contains(strings.ToLower(c), words[0]) {
			continue
		}
		if ok {
			return "", false
		}
		command, ok = c, true
	}
	return command, ok
}

// command builds one element of `do`; to and times stand beside it in v.
func (b *builder) command(c, v *value) Command {
	if c.shape.mapping != nil && c.got == nil {
		return Command{Pos: c.pos, Verb: VerbType, Text: get[string](c, "type"), Count: 1}
	}
	cmd := Command{Pos: c.pos, Verb: Verb(c.text), Count: 1}
	if cmd.Verb == VerbBeacon {
		b.target(v, &cmd)
		cmd.Count = int(get[uint64](v, "times"))
	}
	return cmd
}

func (b *builder) target(v *value, cmd *Command) {
	to := v.at("to")
	switch {
	case to == nil && !v.has("to"):
		b.at(cmd.Pos, "`Beacon` goes nowhere; write `to: contacts` or `to` and phones beside it")
	case to == nil:
	case to.text == "contacts":
		cmd.Contacts = true
		if emptyContacts(&b.s.Contacts) {
			b.at(to.pos, "nobody is near anybody: the file has no `contacts`; write them, or name phones here")
		}
	default:
		cmd.To = b.selection(to)
	}
}

func emptyContacts(c *Contacts) bool {
	return len(c.Everyone)+len(c.Lists)+len(c.Desks)+len(c.Visits)+len(c.Mixing)+len(c.Trace) == 0
}

// commands builds `do`, and complains of keys that belong to a Beacon alone.
func (b *builder) commands(v *value) []Command {
	var list []Command
	beacons := false
	for _, c := range v.at("do").each() {
		cmd := b.command(c, v)
		beacons = beacons || cmd.Verb == VerbBeacon
		list = append(list, cmd)
	}
	for _, key := range []string{"to", "times"} {
		if v.has(key) && !beacons && (!v.has("do") || v.at("do") != nil) {
			b.at(v.keyPos(key), "`%s` belongs to `do: Beacon`; expected no such key here", key)
		}
	}
	if do := v.at("do"); do.empty() && do.kind == yaml.SequenceNode {
		b.at(do.pos, "`do` is empty; expected %s", do.shape.doc)
	}
	return list
}

func (b *builder) routines(v *value) {
	for _, r := range v.each() {
		one := Routine{
			Pos: r.pos, Phones: b.selection(r.at("phones")),
			Every: duration(r, "every"), Within: duration(r, "within"), Jitter: get[float64](r, "jitter"),
			From: duration(r, "from"), Until: duration(r, "until"), Do: b.commands(r),
		}
		b.routineTimes(r, &one)
		for _, c := range one.Do {
			b.needAccount(c.Pos, c.Verb, one.Phones)
		}
		b.s.Routine = append(b.s.Routine, one)
	}
}

func (b *builder) routineTimes(v *value, r *Routine) {
	switch {
	case v.has("every") && v.has("within"):
		b.at(v.keyPos("within"), "`every` is again and again and `within` is once; expected one of them")
	case !v.has("every") && !v.has("within"):
		b.at(v.pos, "nothing says when; expected `every` (again and again) or `within` (once)")
	case v.has("jitter") && !v.has("every"):
		b.at(v.keyPos("jitter"), "`jitter` belongs to `every`; expected no such key here")
	}
	if r.Until > 0 && r.Until <= r.From {
		b.at(v.keyPos("until"), "`until` is %s, which is not after `from`, %s", shortDuration(r.Until), shortDuration(r.From))
	}
	if b.s.Length > 0 && r.From >= b.s.Length {
		b.at(v.keyPos("from"), "`from` is %s, when the run is over (length: %s)", shortDuration(r.From), shortDuration(b.s.Length))
	}
	if b.s.Length > 0 && v.has("within") && r.From+r.Within > b.s.Length {
		b.at(v.keyPos("within"), "`within` ends at %s, after the run (length: %s)", shortDuration(r.From+r.Within), shortDuration(b.s.Length))
	}
}

// needAccount refuses what only somebody with an account can do.
func (b *builder) needAccount(p Pos, verb Verb, phones []int) {
	if verb == VerbType {
		return
	}
	if i := b.withoutAccount(phones); i >= 0 {
		b.at(p, "phone `%s` has no account and cannot do `%s`; expected another phone, or another `account`", b.roster.name(i), verb)
	}
}

// withoutAccount is the first phone that cannot log in; -1 when all can. A
// selection is looked through once, however often it stands in the file.
func (b *builder) withoutAccount(phones []int) int {
	if len(phones) == 0 {
		return -1
	}
	key := selected{&phones[0], len(phones)}
	first, known := b.accountless[key]
	if known {
		return first
	}
	first = -1
	for _, i := range phones {
		if b.s.Phones[b.roster.groupOf(i)].Account == "none" && !b.guests[i] {
			first = i
			break
		}
	}
	b.accountless[key] = first
	return first
}

// selected tells one resolved selection from another.
type selected struct {
	first *int
	count int
}
