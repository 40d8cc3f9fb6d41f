package scenarios

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

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

// PhoneNames returns the names of all phones, group by group. Every field of a Scenario that refers to a phone holds
// an index into this list.
func (s *Scenario) PhoneNames() []string {
	var names []string
	for i := range s.Phones {
		for k := range s.Phones[i].Count {
			names = append(names, s.Phones[i].PhoneName(k))
		}
	}
	return names
}

// Place returns a position of the scenario as file:line:column.
func (s *Scenario) Place(p Pos) string { return fmt.Sprintf("%s:%d:%d", s.File, p.Line, p.Col) }

// LoginLead returns the longest time from the beginning of a login of the phone to the sending of its password: one
// round trip to open the connection, and the pause after the username.
func (s *Scenario) LoginLead(phone int) time.Duration {
	for i := range s.Phones {
		if phone < s.Phones[i].Count {
			return s.Phones[i].PasswordPause + 2*s.Network.TCP.Delay.Longest()
		}
		phone -= s.Phones[i].Count
	}
	return 0
}

// WithAccounts lists every phone that can log in.
func (s *Scenario) WithAccounts() (phones []int) {
	i := 0
	for _, g := range s.Phones {
		for range g.Count {
			if g.Account != "none" {
				phones = append(phones, i)
			}
			i++
		}
	}
	return phones
}

// tooManyPhones describes the memory that this number of phones would need.
func tooManyPhones(n uint64) string {
	return fmt.Sprintf("this many phones would need about %.0f GiB of memory (%d KiB each)",
		float64(n)*bytesPerPhone/(1<<30), bytesPerPhone>>10)
}

// phonesKey is the key `phones`. Its decoder also collects the labels of the script's steps: every later key may
// refer to both.
func phonesKey(phones *[]PhoneGroup) key {
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
		encode: func(w *writer) *yaml.Node { return sections(sectionNodes(w, *phones)) },
	}
}

// decodePhones adds the groups of `phones` to the roster, and checks their names and accounts.
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
			b.add(p.pos, "with these there are %d phones: %s; the most is %d", total, tooManyPhones(uint64(total)),
				maxPhones)
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
			b.add(v.keyPos(key), "`%s` belongs to one account, and `%s` is a group; omit one of `%s` and `count`", key,
				g.Name, key)
		case g.Account != "own":
			b.add(v.keyPos(key), "`%s` belongs to an account, and `%s` has none of its own (account: %s)", key, g.Name,
				g.Account)
		}
	}
}

// reserved are words of the language that may stand in the place of a phone or a label.
var reserved = []string{"contacts", "own", "none", "start", "end", "at"}

// checkPhoneName refuses a name that another entry of `phones` has, or that is a word of the language.
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
			b.add(b.s.Phones[group].Pos, "phone %d of group `%s` has the name of the phone `%s` above; expected "+
				"another name for one of them", k+1, b.s.Phones[group].Name, name)
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
			b.add(g.Pos, "username %s already belongs to `%s`; to share an account write account: %s", quoted(g.User),
				first, first)
		}
		users[g.User] = g.Name
		if phone, ok := b.roster.generatedFor(g.User); ok && !b.roster.unsure {
			name := b.roster.name(phone)
			b.add(g.Pos, "username %s is generated for `%s`, which has no `user`; expected another, or account: %s to "+
				"share it", quoted(g.User), name, name)
		}
		if g.Account == "own" || g.Account == "none" {
			continue
		}
		owner, ok := b.roster.one(g.Account)
		switch {
		case !ok:
			b.roster.unknownPhone(g.Pos, g.Account, "`own`, `none` or the name of one phone")
		case b.groupOf(owner).Account != "own":
			b.add(g.Pos, "`%s` shares the account of `%s`, which has none of its own; expected `own`, `none` or a "+
				"phone with an account", g.Name, g.Account)
		}
	}
}

// groupOf returns the group of a phone.
func (b *builder) groupOf(phone int) *PhoneGroup { return &b.s.Phones[b.roster.groupOf(phone)] }

// needAccount refuses a command of phones without an account.
func (b *builder) needAccount(p Pos, verb Verb, phones []int) {
	if verb == VerbType || verb == VerbEndInput {
		return
	}
	if i := b.withoutAccount(phones); i >= 0 {
		b.add(p, "phone `%s` has no account and cannot do `%s`; expected another phone, or another `account`",
			b.roster.name(i), verb)
	}
}

// withoutAccount returns the first of the phones that cannot log in, or -1. It caches the result for each slice.
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

// selected identifies a resolved selection by the address of its first phone and its length.
type selected struct {
	first *int
	count int
}

// collectLabels registers the labels of the steps, and the phones that log in with a username of the file. A step may
// refer to a label below it.
func (b *builder) collectLabels(script *value) {
	n := 0
	for _, v := range script.elements() {
		n += max(1, len(v.child("do").elements()))
		b.addLabel(v.child("as"), n-1)
		login, p := v.child("login"), v.child("phone")
		if login != nil && p != nil && login.kind == yaml.MappingNode && login.child("user") != nil {
			if i, ok := b.roster.one(p.text); ok {
				b.guests[i] = true
			}
		}
	}
}

// addLabel registers the label of a step. It refuses a repeated label and a word of the language.
func (b *builder) addLabel(as *value, step int) {
	if as == nil {
		return
	}
	if _, twice := b.labels.step[as.text]; twice {
		b.add(as.pos, "label `%s` is used twice", as.text)
		return
	}
	b.checkName(as.pos, as.text)
	_, group := b.roster.byName[as.text]
	if _, phone := b.roster.one(as.text); group || phone {
		b.add(as.pos, "`%s` is the name of a phone; expected another label", as.text)
	}
	b.labels.step[as.text] = step
	b.labels.list = append(b.labels.list, as.text)
}
