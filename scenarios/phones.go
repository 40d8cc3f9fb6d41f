package scenarios

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	yaml "go.yaml.in/yaml/v4"
)

// maxPhones is how many phones a scenario may have.
const maxPhones = 2_000_000

// bytesPerPhone is what a phone with its log, its streams and its part in the
// checks is reckoned at when a count is refused.
const bytesPerPhone = 2 << 10

// PhoneName is the name of the group's phone i, counted from 0.
func (g *PhoneGroup) PhoneName(i int) string {
	if !g.Counted {
		return g.Name
	}
	return g.Name + "-" + strconv.Itoa(i+1)
}

func countWord() *shape {
	s := whole("a whole number from 1 to 2000000", 1, maxPhones)
	small := s.scalar.parse
	s.scalar.parse = func(t string) (any, error) {
		n, err := strconv.ParseUint(t, 10, 64)
		if (err == nil || errors.Is(err, strconv.ErrRange)) && n > maxPhones {
			return nil, errors.New(tooManyPhones(n))
		}
		return small(t)
	}
	return s
}

func tooManyPhones(n uint64) string {
	return fmt.Sprintf("so many phones would need about %.0f GiB of memory (%d KiB each)",
		float64(n)*bytesPerPhone/(1<<30), bytesPerPhone>>10)
}

func accountWord() *shape {
	s := onePhoneWord()
	s.def, s.doc = "", "`own`, `none`, or the name of the phone whose account is shared"
	return s
}

func formWord() *shape { return oneOf("", string(FormSplit), string(FormSingle)) }

func portWord() *shape { return whole("a port, 1 to 65535", 1, 65535) }

func timesWord() *shape { return whole("a whole number from 1 to 1000000", 1, 1_000_000) }

func targetWord() *shape {
	return orList("`contacts`, or phones: a name, a group, a pattern or a list of these", phoneWord())
}

// credentialWord is a field of credentials.txt.
func credentialWord(doc string) *shape {
	s := anyText(doc)
	s.scalar.parse = func(t string) (any, error) {
		switch {
		case t == "" || strings.ContainsAny(t, " \t\r\n"):
			return nil, errors.New("one blank stands between the two in credentials.txt")
		case len(t) > 256:
			return nil, errors.New("it is longer than 256 bytes")
		}
		return t, nil
	}
	return s
}

// phones reads the groups.
func (b *builder) phones(v *value) {
	names := map[string]Pos{}
	total := 0
	b.roster.unsure = v == nil || v.empty() || v.kind == yaml.SequenceNode && len(v.items) < len(v.node.Content)
	for _, p := range v.each() {
		g := PhoneGroup{
			Pos: p.pos, Name: get[string](p, "name"), Counted: p.has("count"), Count: 1,
			Account: get[string](p, "account"), User: get[string](p, "user"), Password: get[string](p, "password"),
			Retention: duration(p, "retention"), Form: Form(get[string](p, "beacon")), PasswordPause: duration(p, "password_pause"),
		}
		if n := get[uint64](p, "count"); n > 0 {
			g.Count = int(n)
		}
		if g.Name == "" || p.has("count") && p.at("count") == nil {
			b.roster.unsure = true
		}
		if g.Name == "" {
			continue
		}
		b.phoneName(p, g.Name, names)
		b.phoneAccount(p, &g)
		if total += g.Count; total > maxPhones {
			b.at(p.pos, "with these there are %d phones: %s; the most is %d", total, tooManyPhones(uint64(total)), maxPhones)
			b.roster.unsure = true
			return
		}
		b.roster.add(g)
	}
	b.s.Phones = b.roster.groups
	b.namedLater()
	if v.empty() {
		b.at(v.pos, "there are no phones; expected %s", v.shape.doc)
	}
	b.accounts()
}

// reserved are words that stand where a phone or a moment could.
var reserved = []string{"contacts", "own", "none", "start", "end", "at"}

func (b *builder) phoneName(p *value, name string, names map[string]Pos) {
	pos := p.at("name").pos
	if first, ok := names[name]; ok {
		b.at(pos, "a phone `%s` is there already, at %d:%d; expected another name", name, first.Line, first.Col)
		b.roster.unsure = true
		return
	}
	names[name] = pos
	b.freeName(pos, name)
	if group, i, ok := b.roster.numbered(name); ok {
		b.at(pos, "`%s` is also the name of phone %d of group `%s`", name, i+1, b.roster.groups[group].Name)
	}
}

// namedLater complains of a group whose phones are called like one above it.
func (b *builder) namedLater() {
	for i := range b.s.Phones {
		name := b.s.Phones[i].Name
		if group, k, ok := b.roster.numbered(name); ok && group > i {
			b.at(b.s.Phones[group].Pos, "phone %d of group `%s` is called like the phone `%s` above; expected another name for one of them", k+1, b.s.Phones[group].Name, name)
			b.roster.unsure = true
		}
	}
}

// freeName complains of a name that is a word of the language.
func (b *builder) freeName(pos Pos, name string) {
	if slices.Contains(reserved, name) {
		b.at(pos, "`%s` is a word of the language; expected another name", name)
	}
	for _, c := range Counters {
		if head, _, _ := strings.Cut(c.Name, "."); head == name {
			b.at(pos, "`%s` begins the names of the run's counts, such as %s; expected another name", name, c.Name)
			return
		}
	}
}

func (b *builder) phoneAccount(p *value, g *PhoneGroup) {
	for _, key := range []string{"user", "password"} {
		if !p.has(key) {
			continue
		}
		switch {
		case g.Counted:
			b.at(p.keyPos(key), "`%s` belongs to one account, and `%s` is a group; leave one of `%s` and `count` out", key, g.Name, key)
		case g.Account != "own":
			b.at(p.keyPos(key), "`%s` belongs to an account, and `%s` has none of its own (account: %s)", key, g.Name, g.Account)
		}
	}
}

// accounts resolves shared ones, once all phones are known.
func (b *builder) accounts() {
	users := map[string]string{}
	for i := range b.s.Phones {
		g := &b.s.Phones[i]
		if first, ok := users[g.User]; ok && g.User != "" && first != g.Name {
			b.at(g.Pos, "username %s is already the one of `%s`; to share an account write account: %s", quoted(g.User), first, first)
		}
		users[g.User] = g.Name
		if phone, ok := b.roster.madeFor(g.User); ok && !b.roster.unsure {
			name := b.roster.name(phone)
			b.at(g.Pos, "username %s is the one that `%s` gets, for which none is written; expected another, or account: %s to share it", quoted(g.User), name, name)
		}
		if g.Account == "own" || g.Account == "none" {
			continue
		}
		owner, ok := b.roster.one(g.Account)
		switch {
		case !ok:
			b.unknownPhone(g.Pos, g.Account, "`own`, `none` or the name of one phone")
		case b.s.Phones[b.roster.groupOf(owner)].Account != "own":
			b.at(g.Pos, "`%s` shares the account of `%s`, which has none of its own; expected `own`, `none` or a phone with an account", g.Name, g.Account)
		}
	}
}
