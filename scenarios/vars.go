package scenarios

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	yaml "go.yaml.in/yaml/v4"
)

var variableRegexp = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// variables are the variables ${NAME} of one file.
type variables struct {
	set      map[string]string // the values of --set
	defaults map[string]string // the values under `vars`
	place    map[string]Pos    // the positions of the names under `vars`
	used     map[string]bool
	refused  map[string]bool // variables without a value that were reported
	meant    map[string]bool // variables that were suggested for a variable without a value
	left     int             // bytes that the uses of variables may still add
}

// maxFilled is the limit of the bytes of all uses of variables.
const maxFilled = 4 * maxFile

// newVariables reads `vars` of the root of the document before the rest is read. Mistakes in its form are reported
// when the root is read.
func newVariables(root *yaml.Node, set map[string]string) *variables {
	v := &variables{
		set: set, defaults: map[string]string{}, place: map[string]Pos{},
		used: map[string]bool{}, refused: map[string]bool{}, meant: map[string]bool{}, left: maxFilled,
	}
	for k, m := range pairs(root) {
		if m.Kind == yaml.AliasNode {
			m = m.Alias
		}
		if k.Value != "vars" {
			continue
		}
		for name, text := range pairs(m) {
			if text.Kind == yaml.ScalarNode {
				v.defaults[name.Value] = text.Value
				v.place[name.Value] = posOf(name)
			}
		}
	}
	return v
}

// value returns the value of a variable: that of --set, or else the default of the file.
func (v *variables) value(name string) (string, bool) {
	if text, ok := v.set[name]; ok {
		return text, true
	}
	text, ok := v.defaults[name]
	return text, ok
}

// replace returns text with the value of each ${NAME} in its place; $${ stands for ${ itself. filled reports whether
// text contains a ${NAME}. ok is false after a mistake, such as a variable without a value.
func (v *variables) replace(c *mistakeList, p Pos, text string) (out string, filled, ok bool) {
	var b strings.Builder
	ok = true
	for {
		before, rest, found := strings.Cut(text, "${")
		if !found {
			b.WriteString(text)
			return b.String(), filled, ok
		}
		if strings.HasSuffix(before, "$") {
			b.WriteString(before + "{")
			text = rest
			continue
		}
		b.WriteString(before)
		name, after, closed := strings.Cut(rest, "}")
		if !closed || !variableRegexp.MatchString(name) {
			c.add(p, "${ begins a variable, as in ${NAME}; found %s; write $${ for the characters themselves",
				quoted("${"+rest))
			return "", false, false
		}
		filled, text = true, after
		if !v.one(c, p, name, &b) {
			ok = false
		}
	}
}

// one appends the value of one variable. It returns false after a mistake.
func (v *variables) one(c *mistakeList, p Pos, name string, b *strings.Builder) bool {
	v.used[name] = true
	text, known := v.value(name)
	if !known {
		v.noValue(c, p, name)
		return false
	}
	if v.left -= len(text); v.left < 0 {
		c.add(p, "the variables of the file come to more than %d MiB", maxFilled>>20)
		return false
	}
	b.WriteString(text)
	return true
}

// noValue reports a variable without a value, once for each name.
func (v *variables) noValue(c *mistakeList, p Pos, name string) {
	if v.refused[name] {
		return
	}
	v.refused[name] = true
	if near, ok := c.nearest(name, slices.Sorted(maps.Keys(v.defaults))); ok {
		v.meant[near] = true
		c.add(p, "`${%s}` has no value; did you mean `%s`?", name, near)
		return
	}
	c.add(p, "`${%s}` has no value; give it one with --set %s=VALUE, or a default under `vars`", name, name)
}

// reportUnused reports variables that the file does not use. One that was suggested for a variable without a value is
// not reported again.
func (v *variables) reportUnused(c *mistakeList, o Options) {
	used := slices.Sorted(maps.Keys(v.used))
	valued := slices.DeleteFunc(slices.Clone(used), func(name string) bool { return v.refused[name] })
	for _, name := range slices.Sorted(maps.Keys(v.set)) {
		if !v.used[name] && !v.meant[name] && !o.SpareVars && !o.UsedElsewhere[name] {
			c.add(Pos{}, "--set %s: the file does not use ${%s}%s", quoted(name), plain(name), orUses(c, name, used))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(v.defaults)) {
		if _, given := v.set[name]; !v.used[name] && !v.meant[name] && !given {
			c.add(v.place[name], "variable %s is not used; a use is written ${NAME}%s", keyQuoted(name),
				c.didYouMean(name, valued))
		}
	}
}

// resolved returns the value of every variable that the file uses.
func (v *variables) resolved() map[string]string {
	out := map[string]string{}
	for name := range v.used {
		if text, ok := v.value(name); ok {
			out[name] = text
		}
	}
	return out
}
