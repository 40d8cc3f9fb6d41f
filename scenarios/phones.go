package scenarios

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	yaml "go.yaml.in/yaml/v4"
)

// Limits of the phones of a scenario.
const (
	maxPhones = 2_000_000
	// bytesPerPhone estimates the memory of a phone with its log, its streams and its share of the checks.
	bytesPerPhone = 2 << 10
	// maxSelected is the most phones that all selections of a file may name together. A selection that is written
	// twice counts once.
	maxSelected = 16_000_000
)

// PhoneName returns the name of the group's phone i, counted from 0.
func (g *PhoneGroup) PhoneName(i int) string {
	if !g.Counted {
		return g.Name
	}
	return g.Name + "-" + strconv.Itoa(i+1)
}

// PhoneNames lists every phone of the scenario. The other fields hold indexes into this list.
func (s *Scenario) PhoneNames() []string {
	var names []string
	for i := range s.Phones {
		for k := range s.Phones[i].Count {
			names = append(names, s.Phones[i].PhoneName(k))
		}
	}
	return names
}

func tooManyPhones(n uint64) string {
	return fmt.Sprintf("this many phones would need about %.0f GiB of memory (%d KiB each)",
		float64(n)*bytesPerPhone/(1<<30), bytesPerPhone>>10)
}

// phonesKey is the key `phones`. Its decoder also collects the labels of the script's steps: every later key may
// refer to both.
func (s *Scenario) phonesKey() key {
	return key{
		name: "phones", doc: "The phones that take part.", required: true,
		section: func() *form {
			return orList("a list of phones, each with a `name`", sectionForm[PhoneGroup]("group",
				"a phone or a group: `name`, and `count` for a group"))
		},
		decode: func(b *builder, root *value) {
			b.decodePhones(root.child("phones"))
			b.collectLabels(root.child("script"))
		},
		encode: func(w *writer) *yaml.Node {
			var list []*yaml.Node
			for i := range s.Phones {
				list = append(list, w.mapping(s.Phones[i].keys(), ""))
			}
			return w.sections(list)
		},
	}
}

func (b *builder) decodePhones(v *value) {
	names := map[string]Pos{}
	r := b.roster
	r.unsure = v == nil || v.isEmpty() || v.kind == yaml.SequenceNode && len(v.list) < len(v.node.Content)
	for _, p := range v.elements() {
		g := PhoneGroup{Counted: p.has("count"), Count: 1}
		decodeSection(b, p, &g)
		if g.Name == "" || p.has("count") && p.child("count") == nil {
			r.unsure = true
		}
		if g.Name == "" {
			continue
		}
		b.checkPhoneName(p, g.Name, names)
		if r.total+g.Count > maxPhones {
			total := r.total + g.Count
			b.add(p.pos, "with these there are %d phones: %s; the most is %d", total, tooManyPhones(uint64(total)), maxPhones)
			r.unsure = true
			break
		}
		r.add(g)
	}
	b.s.Phones = r.groups
	b.checkGroupNames()
	if v.isEmpty() {
		b.add(v.pos, "there are no phones; expected %s", v.form.doc)
	}
	b.checkAccounts()
}

// check refuses `user` and `password` of a group without an account of its own.
func (g *PhoneGroup) check(b *builder, v *value) {
	for _, key := range []string{"user", "password"} {
		switch {
		case g.Name == "" || !v.has(key):
		case g.Counted:
			b.add(v.keyPos(key), "`%s` belongs to one account, and `%s` is a group; omit one of `%s` and `count`", key, g.Name, key)
		case g.Account != "own":
			b.add(v.keyPos(key), "`%s` belongs to an account, and `%s` has none of its own (account: %s)", key, g.Name, g.Account)
		}
	}
}

// reserved are words of the language that may stand in the place of a phone or a label.
var reserved = []string{"contacts", "own", "none", "start", "end", "at"}

func (b *builder) checkPhoneName(p *value, name string, names map[string]Pos) {
	pos := p.child("name").pos
	if first, ok := names[name]; ok {
		b.add(pos, "a phone `%s` is there already, at %d:%d; expected another name", name, first.Line, first.Col)
		b.roster.unsure = true
		return
	}
	names[name] = pos
	b.checkName(pos, name)
	if group, i, ok := b.roster.numbered(name); ok {
		b.add(pos, "`%s` is also the name of phone %d of group `%s`", name, i+1, b.roster.groups[group].Name)
	}
}

// checkGroupNames refuses a group with a phone that has the name of an earlier one.
func (b *builder) checkGroupNames() {
	for i := range b.s.Phones {
		name := b.s.Phones[i].Name
		if group, k, ok := b.roster.numbered(name); ok && group > i {
			b.add(b.s.Phones[group].Pos, "phone %d of group `%s` has the name of the phone `%s` above; expected another name for "+
				"one of them", k+1, b.s.Phones[group].Name, name)
			b.roster.unsure = true
		}
	}
}

// checkName refuses a name that is a word of the language.
func (b *builder) checkName(pos Pos, name string) {
	if slices.Contains(reserved, name) {
		b.add(pos, "`%s` is a word of the language; expected another name", name)
	}
	for _, c := range Counters {
		if head, _, _ := strings.Cut(c.Name, "."); head == name {
			b.add(pos, "`%s` begins the names of the run's counts, such as %s; expected another name", name, c.Name)
			return
		}
	}
}

// checkAccounts checks usernames and shared accounts when every phone is known.
func (b *builder) checkAccounts() {
	users := map[string]string{}
	for i := range b.s.Phones {
		g := &b.s.Phones[i]
		if first, ok := users[g.User]; ok && g.User != "" && first != g.Name {
			b.add(g.Pos, "username %s already belongs to `%s`; to share an account write account: %s", quoted(g.User), first, first)
		}
		users[g.User] = g.Name
		if phone, ok := b.roster.generatedFor(g.User); ok && !b.roster.unsure {
			name := b.roster.name(phone)
			b.add(g.Pos, "username %s is generated for `%s`, which has no `user`; expected another, or account: %s to share it",
				quoted(g.User), name, name)
		}
		if g.Account == "own" || g.Account == "none" {
			continue
		}
		owner, ok := b.roster.one(g.Account)
		switch {
		case !ok:
			b.unknownPhone(g.Pos, g.Account, "`own`, `none` or the name of one phone")
		case b.groupOf(owner).Account != "own":
			b.add(g.Pos, "`%s` shares the account of `%s`, which has none of its own; expected `own`, `none` or a phone with an "+
				"account", g.Name, g.Account)
		}
	}
}

func (b *builder) groupOf(phone int) *PhoneGroup { return &b.s.Phones[b.roster.groupOf(phone)] }

// needAccount refuses a command of phones without an account.
func (b *builder) needAccount(p Pos, verb Verb, phones []int) {
	if verb == VerbType {
		return
	}
	if i := b.withoutAccount(phones); i >= 0 {
		b.add(p, "phone `%s` has no account and cannot do `%s`; expected another phone, or another `account`", b.roster.name(i), verb)
	}
}

// withoutAccount returns the first phone that cannot log in, or -1. The result for a selection is kept.
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
		if b.groupOf(i).Account == "none" && !b.guests[i] {
			first = i
			break
		}
	}
	b.accountless[key] = first
	return first
}

// selected identifies a resolved selection.
type selected struct {
	first *int
	count int
}

// unknownPhone reports a name that no phone has.
func (b *builder) unknownPhone(p Pos, text, expected string) {
	r := b.roster
	if r.unsure {
		return
	}
	if b.isFull() {
		b.total++
		return
	}
	if g, ok := r.byName[text]; ok && r.groups[g].Counted {
		b.add(p, "`%s` is a group of %s; expected the name of one, such as `%s-1`", text, numberOf(r.groups[g].Count, "phone"), text)
		return
	}
	head, number, numbered := cutNumber(text)
	if cut := strings.LastIndexByte(text, '-'); cut > 0 {
		if g, ok := r.byName[text[:cut]]; ok && r.groups[g].Counted {
			b.add(p, "there is no phone %s: group `%s` goes from %s-1 to %s-%d", keyQuoted(text), text[:cut], text[:cut], text[:cut],
				r.groups[g].Count)
			return
		}
	}
	names := make([]string, 0, len(r.groups))
	for i := range r.groups {
		names = append(names, r.groups[i].Name)
	}
	if numbered {
		if c, ok := b.nearest(head, names); ok {
			b.add(p, "there is no phone %s; did you mean `%s-%s`?", keyQuoted(text), c, number)
			return
		}
	}
	if s := b.didYouMean(text, names); s != "" {
		b.add(p, "there is no phone %s%s", keyQuoted(text), s)
		return
	}
	b.add(p, "there is no phone %s; expected %s; %s", keyQuoted(text), expected, thereAre(names))
}

// cutNumber splits a name such as pupil-3.
func cutNumber(name string) (head, number string, ok bool) {
	cut := strings.LastIndexByte(name, '-')
	if cut < 0 || cut+1 == len(name) || strings.Trim(name[cut+1:], "0123456789") != "" {
		return "", "", false
	}
	return name[:cut], name[cut+1:], true
}

// phone resolves the name of a single phone. It returns -1 if v is nil or after a mistake.
func (b *builder) phone(v *value) int {
	if v == nil {
		return -1
	}
	p, ok := b.roster.one(v.text)
	if !ok {
		b.unknownPhone(v.pos, v.text, v.form.doc)
		return -1
	}
	return p
}

// selectionOf resolves names, groups and patterns to at least so many phones, each of which is in the result once.
// The result is shared with the same selection elsewhere and must not be changed.
func (b *builder) selectionOf(v *value, least int) []int {
	phones := b.selection(v)
	if len(phones) == 1 && least > 1 && !b.roster.unsure {
		b.add(v.pos, "names one phone, and contacts need two; expected two or more")
	}
	return phones
}

func (b *builder) selection(v *value) []int {
	parts := v.elements()
	var key strings.Builder
	for _, p := range parts {
		key.WriteString(p.text + ",")
	}
	if known, ok := b.roster.chosen[key.String()]; ok {
		return known
	}
	var all [][]int
	total := 0
	for _, p := range parts {
		if some := b.phonesNamed(p); len(some) > 0 {
			all, total = append(all, some), total+len(some)
		}
	}
	if len(all) == 1 {
		return all[0]
	}
	if len(parts) == 0 && v != nil {
		b.add(v.pos, "names no phone; expected %s", v.form.doc)
	}
	if b.roster.left -= total; b.roster.left < 0 {
		b.tooManySelected(v.pos)
		return nil
	}
	phones := union(all, total, b.roster.total)
	b.roster.chosen[key.String()] = phones
	return phones
}

// union returns the phones in the order in which they are first named.
func union(all [][]int, total, of int) []int {
	phones := make([]int, 0, min(total, of))
	few, many := map[int]bool{}, []bool(nil)
	if total > of/16 {
		many = make([]bool, of)
	}
	for _, some := range all {
		for _, p := range some {
			switch {
			case many != nil && !many[p]:
				many[p] = true
			case many == nil && !few[p]:
				few[p] = true
			default:
				continue
			}
			phones = append(phones, p)
		}
	}
	return phones
}

// phonesNamed resolves one name, group or pattern.
func (b *builder) phonesNamed(v *value) []int {
	phones, within := b.roster.match(v.text)
	switch {
	case !within:
		b.tooManySelected(v.pos)
	case len(phones) == 0 && strings.ContainsAny(v.text, "*?"):
		if !b.roster.unsure {
			b.add(v.pos, "no phone has a name like %s", keyQuoted(v.text))
		}
	case len(phones) == 0:
		b.unknownPhone(v.pos, v.text, "a phone, a group or a pattern")
	}
	return phones
}

func (b *builder) tooManySelected(p Pos) {
	if !b.roster.unsure {
		b.add(p, "the selections of this file name more than %d phones together", maxSelected)
	}
	b.roster.unsure = true
}

// serverName names the server in a set of nodes.
const serverName = "server"

// nodes resolves `server` and names of phones.
func (b *builder) nodes(v *value) Nodes {
	if v == nil {
		return Nodes{}
	}
	var n Nodes
	phones := *v
	phones.list = nil
	for _, p := range v.elements() {
		_, isPhone := b.roster.byName[serverName]
		if p.text != serverName || isPhone && v.form.names == namesPhones {
			phones.list = append(phones.list, p)
			continue
		}
		if isPhone {
			b.add(p.pos, "`server` is the health authority's server here, and a phone has that name; expected another name for "+
				"the phone")
		}
		n.Server = true
	}
	if n.Server && len(phones.list) == 0 {
		return n
	}
	phones.kind = yaml.SequenceNode
	n.Phones = b.selection(&phones)
	return n
}
