package scenarios

import (
	"slices"
	"time"
)

// adversaries builds `adversaries`.
func (b *builder) adversaries(v *value) {
	for _, a := range v.each() {
		if one := b.adversary(a); one != nil {
			b.s.Adversaries = append(b.s.Adversaries, *one)
		}
	}
	if v.empty() {
		b.at(v.pos, "`adversaries` is empty; expected %s", adversaryShape().doc)
	}
}

func (b *builder) adversary(v *value) *Adversary {
	form := b.adversaryKind(v)
	if form == nil {
		return nil
	}
	a := &Adversary{
		Pos: v.pos, Text: oneLine(v.node), Kind: form.kind, By: b.selection(v.at("by")),
		Every: duration(v, "every"), Jitter: get[float64](v, "jitter"), From: duration(v, "from"), Until: duration(v, "until"),
	}
	whom := v.at(string(form.kind))
	switch form.kind {
	case AdversaryReplay:
		a.Of, a.To = b.selection(whom), b.selection(v.at("to"))
		a.After, a.Chance = get[Distribution](v, "after"), get[float64](v, "chance")
		if !v.has("to") {
			b.at(v.keyPos("replay"), "`replay` needs `to`: where the beacons go")
		}
	case AdversaryForge, AdversaryFlood:
		a.To = b.selection(whom)
	case AdversaryGuess:
		a.Of = b.selection(whom)
		if i := b.withoutAccount(a.Of); i >= 0 && whom != nil {
			b.at(whom.pos, "phone `%s` has no account whose password could be guessed; expected phones with an account", b.roster.name(i))
		}
	case AdversaryUpload:
		a.Invented = get[string](v, "upload") == "invented"
		if by := v.at("by"); by != nil {
			b.needAccount(by.pos, VerbUpload, a.By)
		}
	}
	b.adversaryTimes(v, a, form)
	return a
}

func (b *builder) adversaryKind(v *value) *adversaryForm {
	var found []adversaryForm
	for _, k := range adversaryKinds() {
		if v.has(string(k.kind)) {
			found = append(found, k)
		}
	}
	switch {
	case len(found) == 0:
		if v.whole() {
			b.at(v.pos, "nothing says what the adversary does; expected one of %s", backquoted(kindsOfAdversaries()))
		}
		return nil
	case len(found) > 1:
		b.at(v.keyPos(string(found[1].kind)), "an adversary does one thing, and this one has %s; expected one of them", backquoted([]string{string(found[0].kind), string(found[1].kind)}))
	}
	return &found[0]
}

// leastAdversaryEvery is how far apart the deeds of an adversary are at least.
const leastAdversaryEvery = 100 * time.Microsecond

func (b *builder) adversaryTimes(v *value, a *Adversary, form *adversaryForm) {
	may := slices.Concat(everyAdversary(), form.keys)
	kinds := kindsOfAdversaries()
	for _, e := range v.keys {
		if !slices.Contains(may, e.key) && !slices.Contains(kinds, e.key) {
			b.at(e.pos, "`%s` is not of `%s`; expected %s", e.key, form.kind, b.besides(may))
		}
	}
	if form.kind != AdversaryReplay && !v.has("every") {
		b.at(v.keyPos(string(form.kind)), "`%s` needs `every`: how far apart, such as 1s", form.kind)
	}
	if a.Every > 0 && a.Every < leastAdversaryEvery {
		b.at(v.at("every").pos, "`every` is %s, and a run would hardly get on; the least is %s", shortDuration(a.Every), shortDuration(leastAdversaryEvery))
	}
	if a.Until > 0 && a.Until <= a.From {
		b.at(v.keyPos("until"), "`until` is %s, which is not after `from`, %s", shortDuration(a.Until), shortDuration(a.From))
	}
	if b.s.Length > 0 && a.From >= b.s.Length {
		b.at(v.keyPos("from"), "`from` is %s, when the run is over (length: %s)", shortDuration(a.From), shortDuration(b.s.Length))
	}
}

func adversaryShape() *shape {
	server := func() *shape { return oneOf("", "server") }
	var kinds []kindKey
	for _, k := range adversaryKinds() {
		kinds = append(kinds, kindKey{string(k.kind), k.keys})
	}
	return &shape{def: "adversary", doc: "an adversary such as {forge: pupil-3, by: stranger, every: 5s}", mapping: &mapping{kinds: kinds, besideAll: everyAdversary(), fields: []field{
		{name: "replay", doc: "Whose beacons are overheard and sent again.", is: phonesWord()},
		{name: "forge", doc: "Who gets beacons that nobody was given.", is: phonesWord()},
		{name: "flood", doc: "Who gets bytes that are no beacon.", is: phonesWord()},
		{name: "guess", doc: "The passwords of whose accounts are guessed.", is: phonesWord()},
		{name: "garbage", doc: "The server gets bytes and half messages.", is: server()},
		{name: "upload", doc: "foreign: TempIDs of others, overheard; invented: that nobody was given.", is: oneOf("", "foreign", "invented")},
		{name: "hold", doc: "The server gets connections that say nothing.", is: server()},
		{name: "by", doc: "Which phones do it, from their own addresses.", is: phonesWord(), required: true},
		{name: "to", doc: "Where overheard beacons go.", is: phonesWord()},
		{name: "every", doc: "Again and again, so far apart; the first at random within the first period.", is: positiveWord()},
		{name: "jitter", doc: "Each period is drawn from every ± this share.", is: percentWord(), def: "0%"},
		{name: "from", doc: "When it begins, from the start of the run.", is: durationWord(), def: "0s"},
		{name: "until", doc: "When it ends, from the start of the run; without it: at the end of the run.", is: positiveWord()},
		{name: "after", doc: "From the hearing of a beacon to its being sent again.", is: delayWord(), def: "0s"},
		{name: "chance", doc: "That an overheard beacon is sent again.", is: percentWord(), def: "100%"},
	}}}
}

// everyAdversary are the keys that stand beside every kind.
func everyAdversary() []string { return []string{"by", "from", "until"} }

// adversaryForm says which keys stand beside that of a kind.
type adversaryForm struct {
	kind AdversaryKind
	keys []string
}

func adversaryKinds() []adversaryForm {
	periodic := []string{"every", "jitter"}
	return []adversaryForm{
		{AdversaryReplay, []string{"to", "after", "chance"}},
		{AdversaryForge, periodic}, {AdversaryFlood, periodic}, {AdversaryGuess, periodic},
		{AdversaryGarbage, periodic}, {AdversaryUpload, periodic}, {AdversaryHold, periodic},
	}
}

func kindsOfAdversaries() []string {
	var names []string
	for _, k := range adversaryKinds() {
		names = append(names, string(k.kind))
	}
	return names
}
