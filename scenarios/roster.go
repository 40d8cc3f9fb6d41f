package scenarios

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// roster finds phones by their names.
type roster struct {
	groups []PhoneGroup
	first  []int // the index of each group's first phone
	byName map[string]int
	total  int
	chosen map[string][]int // by the text of the selection
	left   int
	unsure bool // a group was refused: unknown names may be its, and counts are not known
}

func newRoster() *roster {
	return &roster{byName: map[string]int{}, chosen: map[string][]int{}, left: maxSelected}
}

func (r *roster) add(g PhoneGroup) {
	if _, twice := r.byName[g.Name]; !twice {
		r.byName[g.Name] = len(r.groups)
	}
	r.groups = append(r.groups, g)
	r.first = append(r.first, r.total)
	r.total += g.Count
}

// groupOf is the group that phone belongs to.
func (r *roster) groupOf(phone int) int {
	i, found := slices.BinarySearch(r.first, phone)
	if !found {
		i--
	}
	return i
}

func (r *roster) name(phone int) string {
	g := r.groupOf(phone)
	return r.groups[g].PhoneName(phone - r.first[g])
}

// A username that is made from a phone's number: a prefix and eight digits.
const (
	userPrefix = "+614"
	firstUser  = 10_000_001 // of a file's first phone
)

// AccountUser is the username of phone i's own account, counted from 0 over all
// groups, when none is written.
func AccountUser(i int) string { return fmt.Sprintf("%s%08d", userPrefix, firstUser+i) }

// generatedFor finds the phone whose own account gets this username, none being
// written.
func (r *roster) generatedFor(user string) (phone int, ok bool) {
	n, err := strconv.Atoi(strings.TrimPrefix(user, userPrefix))
	phone = n - firstUser
	if err != nil || phone < 0 || phone >= r.total || AccountUser(phone) != user {
		return 0, false
	}
	g := &r.groups[r.groupOf(phone)]
	return phone, g.Account == "own" && g.User == ""
}

// numbered splits a name such as pupil-3.
func (r *roster) numbered(name string) (group, index int, ok bool) {
	cut := strings.LastIndexByte(name, '-')
	if cut < 0 {
		return 0, 0, false
	}
	group, ok = r.byName[name[:cut]]
	n, err := strconv.Atoi(name[cut+1:])
	if !ok || err != nil || !r.groups[group].Counted || n < 1 || n > r.groups[group].Count || strconv.Itoa(n) != name[cut+1:] {
		return 0, 0, false
	}
	return group, n - 1, true
}

// one finds a single phone.
func (r *roster) one(name string) (int, bool) {
	if g, ok := r.byName[name]; ok && !r.groups[g].Counted {
		return r.first[g], true
	}
	if g, i, ok := r.numbered(name); ok {
		return r.first[g] + i, true
	}
	return 0, false
}

// match finds the phones that a name, a group or a pattern names, in the order
// of the roster. within is false when the file names too many in all.
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

func (r *roster) glob(pattern string) []int {
	var phones []int
	var name []byte
	for g := range r.groups {
		group := &r.groups[g]
		for i := range group.Count {
			name = append(name[:0], group.Name...)
			if group.Counted {
				name = append(name, '-')
				name = strconv.AppendInt(name, int64(i+1), 10)
			}
			if globMatch(pattern, name) {
				phones = append(phones, r.first[g]+i)
			}
		}
	}
	return phones
}

// globMatch: * is any number of characters, ? is one.
func globMatch(pattern string, name []byte) bool {
	p, n, star, mark := 0, 0, -1, 0
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, n
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == name[n]):
			p++
			n++
		case star >= 0:
			mark++
			p, n = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
