package scenarios

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	yaml "go.yaml.in/yaml/v4"
)

// roster resolves the names of phones.
type roster struct {
	groups []PhoneGroup
	first  []int            // the index of each group's first phone
	byName map[string]int   // the index of a group
	total  int              // phones
	chosen map[string][]int // resolved selections, by their text
	left   int              // phones that the selections of the file may still name
	// seen holds for each phone the number of the last union that contained it; unions counts them.
	seen   []int
	unions int
	// mistakes collects unknown names; nil in a writer, which has none.
	mistakes *mistakeList
	unsure   bool // a group was refused: an unknown name may belong to it
}

// newRoster returns an empty roster that reports unknown names to mistakes.
func newRoster(mistakes *mistakeList) *roster {
	return &roster{mistakes: mistakes, byName: map[string]int{}, chosen: map[string][]int{}, left: maxSelected}
}

// add appends the phones of a group.
func (r *roster) add(g PhoneGroup) {
	if _, twice := r.byName[g.Name]; !twice {
		r.byName[g.Name] = len(r.groups)
	}
	r.groups = append(r.groups, g)
	r.first = append(r.first, r.total)
	r.total += g.Count
}

// groupOf returns the group of a phone.
func (r *roster) groupOf(phone int) int {
	i, found := slices.BinarySearch(r.first, phone)
	if !found {
		i--
	}
	return i
}

// name returns the name of a phone.
func (r *roster) name(phone int) string {
	g := r.groupOf(phone)
	return r.groups[g].PhoneName(phone - r.first[g])
}

// The parts of a generated username: a prefix and the number of the phone in eight digits.
const (
	userPrefix = "+614"
	firstUser  = 10_000_001 // of the first phone
)

// AccountUser returns the generated username of phone i, counted from 0 over all groups.
func AccountUser(i int) string { return fmt.Sprintf("%s%08d", userPrefix, firstUser+i) }

// generatedFor returns the phone for whose account the username is generated.
func (r *roster) generatedFor(user string) (phone int, ok bool) {
	n, err := strconv.Atoi(strings.TrimPrefix(user, userPrefix))
	phone = n - firstUser
	if err != nil || phone < 0 || phone >= r.total || AccountUser(phone) != user {
		return 0, false
	}
	g := &r.groups[r.groupOf(phone)]
	return phone, g.Account == "own" && g.User == ""
}

// numbered resolves a name such as pupil-3.
func (r *roster) numbered(name string) (group, index int, ok bool) {
	head, number := cutNumber(name)
	group, ok = r.byName[head]
	n, err := strconv.Atoi(number)
	if !ok || err != nil || !r.groups[group].Counted || n < 1 || n > r.groups[group].Count ||
		strconv.Itoa(n) != number {
		return 0, 0, false
	}
	return group, n - 1, true
}

// one resolves the name of a single phone.
func (r *roster) one(name string) (int, bool) {
	if g, ok := r.byName[name]; ok && !r.groups[g].Counted {
		return r.first[g], true
	}
	if g, i, ok := r.numbered(name); ok {
		return r.first[g] + i, true
	}
	return 0, false
}

// match resolves a name, a group or a pattern to phones in the order of the roster. within is false if the selections
// of the file name too many phones.
func (r *roster) match(text string) (phones []int, within bool) {
	if known, ok := r.chosen[text]; ok {
		return known, true
	}
	if p, ok := r.one(text); ok {
		phones = []int{p}
	} else if g, ok := r.byName[text]; ok {
		if r.left -= r.groups[g].Count; r.left < 0 {
			return nil, false
		}
		phones = make([]int, r.groups[g].Count)
		for i := range phones {
			phones[i] = r.first[g] + i
		}
	} else if strings.ContainsAny(text, "*?") {
		if r.left -= r.total; r.left < 0 {
			return nil, false
		}
		phones = r.glob(text)
	}
	r.chosen[text] = phones
	return phones, true
}

// glob returns the phones whose names match a pattern, in the order of the roster.
func (r *roster) glob(pattern string) []int {
	var phones []int
	for g := range r.groups {
		for i := range r.groups[g].Count {
			if ok, _ := path.Match(pattern, r.groups[g].PhoneName(i)); ok { // a pattern has * and ? alone: no error
				phones = append(phones, r.first[g]+i)
			}
		}
	}
	return phones
}

// unknownPhone reports a name that no phone has.
func (r *roster) unknownPhone(p Pos, text, expected string) {
	if r.unsure {
		return
	}
	if r.mistakes.isFull() {
		r.mistakes.total++
		return
	}
	if g, ok := r.byName[text]; ok && r.groups[g].Counted {
		r.mistakes.add(p, "`%s` is a group of %s; expected the name of one, such as `%[1]s-1`", text,
			numberOf(r.groups[g].Count, "phone"))
		return
	}
	head, number := cutNumber(text)
	if g, ok := r.byName[head]; ok && r.groups[g].Counted {
		r.mistakes.add(p, "there is no phone %s: group `%s` goes from %[2]s-1 to %[2]s-%d", keyQuoted(text), head,
			r.groups[g].Count)
		return
	}
	names := r.groupNames()
	if number != "" && strings.Trim(number, "0123456789") == "" {
		if c, ok := r.mistakes.nearest(head, names); ok {
			r.mistakes.add(p, "there is no phone %s; did you mean `%s-%s`?", keyQuoted(text), c, number)
			return
		}
	}
	if s := r.mistakes.didYouMean(text, names); s != "" {
		r.mistakes.add(p, "there is no phone %s%s", keyQuoted(text), s)
		return
	}
	r.mistakes.add(p, "there is no phone %s; expected %s; %s", keyQuoted(text), expected, thereAre(names))
}

// groupNames lists the names of the groups, and of the phones that are no group.
func (r *roster) groupNames() []string {
	names := make([]string, len(r.groups))
	for i := range r.groups {
		names[i] = r.groups[i].Name
	}
	return names
}

// cutNumber splits a name such as pupil-3 at its last hyphen. Both parts are "" if the name has none.
func cutNumber(name string) (head, number string) {
	cut := strings.LastIndexByte(name, '-')
	if cut < 0 {
		return "", ""
	}
	return name[:cut], name[cut+1:]
}

// phone resolves the name of a single phone. It returns -1 if v is nil or after a mistake.
func (r *roster) phone(v *value) int {
	if v == nil {
		return -1
	}
	p, ok := r.one(v.text)
	if !ok {
		r.unknownPhone(v.pos, v.text, v.form.doc)
		return -1
	}
	return p
}

// selection resolves names, groups and patterns to phones, each of which is in the result once. It refuses fewer phones
// than the form of v needs. The result is shared with the same selection elsewhere and must not be changed.
func (r *roster) selection(v *value) []int {
	phones := r.phonesOf(v)
	if len(phones) == 1 && v.form.least > 1 && !r.unsure {
		r.mistakes.add(v.pos, "names one phone, and contacts need two; expected two or more")
	}
	return phones
}

// phonesOf is selection without a lower limit of the number of phones.
func (r *roster) phonesOf(v *value) []int {
	parts := v.elements()
	var key strings.Builder
	for _, p := range parts {
		key.WriteString(p.text + ",")
	}
	if known, ok := r.chosen[key.String()]; ok {
		return known
	}
	var all [][]int
	total := 0
	for _, p := range parts {
		if some := r.phonesNamed(p); len(some) > 0 {
			all, total = append(all, some), total+len(some)
		}
	}
	if len(all) == 1 {
		return all[0]
	}
	if len(parts) == 0 && v != nil {
		r.mistakes.add(v.pos, "names no phone; expected %s", v.form.doc)
	}
	if r.left -= total; r.left < 0 {
		r.tooManySelected(v.pos)
		return nil
	}
	phones := r.union(all)
	r.chosen[key.String()] = phones
	return phones
}

// union returns the phones in the order in which they are first named.
func (r *roster) union(all [][]int) []int {
	if r.seen == nil {
		r.seen = make([]int, r.total)
	}
	r.unions++
	phones := []int{}
	for _, some := range all {
		for _, p := range some {
			if r.seen[p] != r.unions {
				r.seen[p] = r.unions
				phones = append(phones, p)
			}
		}
	}
	return phones
}

// phonesNamed resolves one name, group or pattern.
func (r *roster) phonesNamed(v *value) []int {
	phones, within := r.match(v.text)
	switch {
	case !within:
		r.tooManySelected(v.pos)
	case len(phones) == 0 && strings.ContainsAny(v.text, "*?"):
		if !r.unsure {
			r.mistakes.add(v.pos, "no phone has a name like %s", keyQuoted(v.text))
		}
	case len(phones) == 0:
		r.unknownPhone(v.pos, v.text, "a phone, a group or a pattern")
	}
	return phones
}

// tooManySelected reports once that the selections of the file exceed maxSelected.
func (r *roster) tooManySelected(p Pos) {
	if !r.unsure {
		r.mistakes.add(p, "the selections of this file name more than %d phones together", maxSelected)
	}
	r.unsure = true
}

// serverName names the server in a set of nodes.
const serverName = "server"

// nodes resolves `server` and names of phones.
func (r *roster) nodes(v *value) Nodes {
	if v == nil {
		return Nodes{}
	}
	var n Nodes
	phones := *v
	phones.list = nil
	for _, p := range v.elements() {
		_, isPhone := r.byName[serverName]
		if p.text != serverName || isPhone && v.form.names == namesPhones {
			phones.list = append(phones.list, p)
			continue
		}
		if isPhone {
			r.mistakes.add(p.pos, "`server` is the health authority's server here, and a phone has that name; "+
				"expected another name for the phone")
		}
		n.Server = true
	}
	if n.Server && len(phones.list) == 0 {
		return n
	}
	phones.kind = yaml.SequenceNode
	n.Phones = r.selection(&phones)
	return n
}
