package scenarios

import (
	"errors"
	"path/filepath"
	"strings"
)

// maxVisitors is how many phones may go round: each has a walk of its own.
const maxVisitors = 100_000

func pathWord() *shape {
	s := anyText("the path of a file")
	s.scalar.parse = func(t string) (any, error) {
		if t == "" || strings.ContainsRune(t, 0) {
			return nil, errors.New("it is no path")
		}
		return t, nil
	}
	return s
}

func (b *builder) contacts(v *value) {
	if v == nil {
		return
	}
	c := &b.s.Contacts
	if e := v.at("everyone"); e != nil {
		c.Everyone = append(c.Everyone, Everyone{e.pos, b.several(e)})
	}
	for _, l := range v.at("lists").each() {
		c.Lists = append(c.Lists, List{l.pos, b.several(l)})
	}
	for _, d := range v.at("desks").each() {
		c.Desks = append(c.Desks, Desks{d.pos, b.several(d.at("phones")), int(get[uint64](d, "columns")), int(get[uint64](d, "reach"))})
	}
	for _, w := range v.at("visits").each() {
		b.visits(w)
	}
	for _, m := range v.at("mixing").each() {
		b.mixing(m)
	}
	for _, t := range v.at("trace").each() {
		b.trace(t)
	}
	if v.empty() {
		b.at(v.pos, "`contacts` is empty; expected %s", v.shape.mapping.couldBe())
	}
}

// several is a selection in which somebody can be near somebody.
func (b *builder) several(v *value) []int {
	phones := b.selection(v)
	if len(phones) == 1 && !b.roster.unsure {
		b.at(v.pos, "names one phone, and nobody else is there to be near; expected two or more")
	}
	return phones
}

func (b *builder) visits(v *value) {
	to, who := b.selection(v.at("to")), b.selection(v.at("phone"))
	if all := len(who) + len(b.s.Contacts.Visits); all > maxVisitors {
		b.at(v.at("phone").pos, "with these %d phones go round; the most is %d", all, maxVisitors)
		return
	}
	for _, p := range who {
		b.s.Contacts.Visits = append(b.s.Contacts.Visits, Visits{v.pos, p, to, get[Distribution](v, "stay")})
	}
	if len(to) == 1 && len(who) == 1 && to[0] == who[0] && !b.roster.unsure {
		b.at(v.at("to").pos, "nobody visits himself; expected other phones")
	}
}

func (b *builder) mixing(v *value) {
	m := Mixing{v.pos, b.several(v.at("phones")), get[float64](v, "degree"), duration(v, "dwell")}
	if n := len(m.Phones); n > 1 && m.Degree > float64(n-1) && !b.roster.unsure {
		b.at(v.at("degree").pos, "`degree` is %s, and each of %d phones can be near %s at most", v.at("degree").text, n, numberOf(n-1, "other"))
	}
	b.s.Contacts.Mixing = append(b.s.Contacts.Mixing, m)
}

func (b *builder) trace(v *value) {
	t := Trace{
		Pos: v.pos, Phones: b.several(v.at("phones")),
		From: get[int64](v, "from"), HasFrom: v.has("from"),
		Until: get[int64](v, "until"), HasUntil: v.has("until"),
	}
	if t.File = get[string](v, "file"); !filepath.IsAbs(t.File) {
		t.File = filepath.Join(filepath.Dir(b.file), t.File)
	}
	for _, c := range v.at("classes").each() {
		t.Classes = append(t.Classes, c.text)
	}
	if t.HasFrom && t.HasUntil && v.at("from") != nil && v.at("until") != nil && t.Until <= t.From {
		b.at(v.at("until").pos, "`until` is %s, which is not after `from`, %s", v.at("until").text, v.at("from").text)
	}
	b.s.Contacts.Trace = append(b.s.Contacts.Trace, t)
}
