package scenarios

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A comparison is an expectation as it is written: two sums of operands whose
// names are not resolved yet.
type comparison struct {
	left, right []termText
	op          string
}

type termText struct {
	negative bool
	text     string // a number, a duration or a name
	at       string // the moment after `at`
	offset   int    // of text, in bytes from the start of the comparison
	atOffset int
}

// maxTerms is how many operands a side of a comparison may have.
const maxTerms = 100

var tokenForm = regexp.MustCompile(`[<>=!]+|[^\s<>=!]+`)

func expectationWord() *shape {
	return formed("expectation", "a comparison such as upload.entries == pupil-3.log at upload", `(==|!=|<=|>=|<|>)`,
		func(t string) (any, error) {
			c, err := parseComparison(t)
			if err != nil {
				return nil, told{err}
			}
			return c, nil
		})
}

// tokens cuts a comparison: comparison signs stand anywhere, all else between
// blanks.
type tokens struct {
	text string
	at   [][]int
}

func (t *tokens) next() (string, int) {
	if len(t.at) == 0 {
		return "", len(t.text)
	}
	from := t.at[0]
	t.at = t.at[1:]
	return t.text[from[0]:from[1]], from[0]
}

func (t *tokens) peek() string {
	if len(t.at) == 0 {
		return ""
	}
	return t.text[t.at[0][0]:t.at[0][1]]
}

// parseComparison reads `a.b op c + d at MOMENT`.
func parseComparison(text string) (comparison, error) {
	t := &tokens{text, tokenForm.FindAllStringIndex(text, -1)}
	left, err := parseSum(t, "the left side")
	if err != nil {
		return comparison{}, err
	}
	op, _ := t.next()
	switch {
	case op == "":
		return comparison{}, errors.New("there is no comparison; expected ==, !=, <, <=, > or >= and a second value")
	case op == "=" || op == "===":
		return comparison{}, fmt.Errorf("%q compares nothing here; did you mean ==?", op)
	case !slices.Contains(comparisonSigns(), op):
		return comparison{}, fmt.Errorf("%s stands where ==, !=, <, <=, >, >=, + or - could", quoted(op))
	}
	right, err := parseSum(t, "the right side")
	if err != nil {
		return comparison{}, err
	}
	if rest := t.peek(); rest != "" {
		return comparison{}, fmt.Errorf("%s stands where + or - or the end could", quoted(rest))
	}
	return comparison{left, right, op}, nil
}

func comparisonSigns() []string { return []string{"==", "!=", "<", "<=", ">", ">="} }

func parseSum(t *tokens, side string) ([]termText, error) {
	var sum []termText
	negative := false
	for {
		text, offset := t.next()
		if text == "" || strings.ContainsAny(text[:1], "<>=!") || text == "+" || text == "-" {
			return nil, fmt.Errorf("%s lacks a value; expected a count such as beacons.valid, a value of a step or a phone, a number or a duration", side)
		}
		if err := operandForm(text); err != nil {
			return nil, err
		}
		term := termText{negative: negative, text: text, offset: offset}
		if t.peek() == "at" {
			t.next()
			if term.at, term.atOffset = t.next(); !nameForm.MatchString(term.at) {
				return nil, fmt.Errorf("`at` needs the name of a moment, not %s", quoted(term.at))
			}
		}
		if sum = append(sum, term); len(sum) > maxTerms {
			return nil, fmt.Errorf("%s has more than %d values", side, maxTerms)
		}
		switch t.peek() {
		case "+", "-":
			sign, _ := t.next()
			negative = sign == "-"
		default:
			if next := t.peek(); len(next) > 1 && strings.ContainsAny(next[:1], "+-") {
				return nil, fmt.Errorf("%s: + and - need blanks on both sides", quoted(next))
			}
			return sum, nil
		}
	}
}

var pathForm = regexp.MustCompile(`^[A-Za-z*?][A-Za-z0-9_*?-]*(\.[A-Za-z_][A-Za-z0-9_]*)*$`)

func operandForm(text string) error {
	switch {
	case pathForm.MatchString(text), onlyNumber.MatchString(text), wholeDuration.MatchString(text):
		return nil
	case strings.ContainsAny(text[:1], "+-") && len(text) > 1, strings.Contains(text, "+"):
		return fmt.Errorf("%s: + and - need blanks on both sides", quoted(text))
	case percent.MatchString(text):
		return fmt.Errorf("%s: a share is a threshold's; expected a count such as 100, or under `thresholds` a rate such as rate<0.01", quoted(text))
	}
	return fmt.Errorf("%s is no name, number or duration", quoted(text))
}

// unit is what a value is counted in.
type unit string

const (
	anyUnit unit = "" // the number 0
	number  unit = "a number"
	seconds unit = "a duration"
)

func (b *builder) expectations(v *value) {
	for _, e := range v.each() {
		c := e.got.(comparison)
		x := Expectation{Pos: e.pos, Text: e.text, Op: c.op}
		before := b.total
		var lu, ru unit
		x.Left, lu = b.sum(e, c.left)
		x.Right, ru = b.sum(e, c.right)
		b.s.Expect = append(b.s.Expect, x)
		if b.total > before {
			continue
		}
		if lu != anyUnit && ru != anyUnit && lu != ru {
			b.at(spot{e, c.right[0].offset}.pos(), "the left side is %s and the right side is %s; expected two of a kind%s", lu, ru, unitHint(lu))
		}
		if n := groupsIn(x.Left) + groupsIn(x.Right); n > 1 {
			b.at(e.pos, "%d values are of several phones each; at most one may be, and it must hold for each of its phones", n)
		}
		if !names(x.Left) && !names(x.Right) && !b.roster.unsure {
			b.at(e.pos, "this compares numbers only; expected a value of the run such as beacons.valid")
		}
	}
}

func unitHint(left unit) string {
	if left == seconds {
		return ", such as 3m or 500ms on the right"
	}
	return ", such as 1000 on the right"
}

func groupsIn(s Sum) int {
	n := 0
	for _, t := range s.Terms {
		if t.Operand.Path != nil && len(t.Operand.Path.Phones) > 1 {
			n++
		}
	}
	return n
}

func names(s Sum) bool {
	return slices.ContainsFunc(s.Terms, func(t Term) bool { return t.Operand.Path != nil })
}

// spot is a byte of a scalar's text. Its place is looked up when it is
// complained of.
type spot struct {
	v      *value
	offset int
}

func (s spot) pos() Pos {
	v := s.v
	if v.file.full() || !v.file.stands(v.pos, v.text) {
		return v.pos
	}
	return Pos{v.pos.Line, v.pos.Col + utf8.RuneCountInString(v.text[:s.offset])}
}

func (b *builder) sum(v *value, terms []termText) (Sum, unit) {
	var s Sum
	all := anyUnit
	for _, t := range terms {
		o, u := b.operand(v, t)
		s.Terms = append(s.Terms, Term{t.negative, o})
		switch {
		case all == anyUnit:
			all = u
		case u != anyUnit && u != all:
			b.at(spot{v, t.offset}.pos(), "%s is %s, and stands in a sum with %s", quoted(t.text), u, all)
		}
	}
	return s, all
}

func (b *builder) operand(v *value, t termText) (Operand, unit) {
	p := spot{v, t.offset}
	if onlyNumber.MatchString(t.text) {
		n, err := strconv.ParseFloat(t.text, 64)
		if err != nil {
			b.at(p.pos(), "%s is too large a number", quoted(t.text))
		}
		return b.literal(v, t, n, number)
	}
	if wholeDuration.MatchString(t.text) {
		d, err := parseDuration(t.text)
		if err != nil {
			b.at(p.pos(), "%s: %v", quoted(t.text), err)
		}
		return b.literal(v, t, d.Seconds(), seconds)
	}
	path, u := b.path(p, t.text)
	if path == nil {
		return Operand{}, anyUnit
	}
	if t.at != "" {
		b.pathAt(spot{v, t.atOffset}, path, t.at)
	}
	return Operand{Path: path}, u
}

func (b *builder) literal(v *value, t termText, n float64, u unit) (Operand, unit) {
	if t.at != "" {
		b.at(spot{v, t.atOffset}.pos(), "a number is the same at every moment; expected no `at` after %s", quoted(t.text))
	}
	if n == 0 {
		u = anyUnit
	}
	return Operand{Number: n}, u
}

func (b *builder) knownAt(p spot, name string) bool {
	if _, ok := b.moments[name]; ok {
		return true
	}
	return b.known(p.pos(), name)
}

func (b *builder) pathAt(p spot, path *Path, moment string) {
	if !b.knownAt(p, moment) {
		return
	}
	if path.Step >= 0 {
		b.at(p.pos(), "`%s` belongs to its step and is the same at every moment; expected no `at` after it", path.Text)
	}
	path.At = moment
}

// path resolves a.b: a count of the run, a value of a named step, or one of
// phones.
func (b *builder) path(p spot, text string) (*Path, unit) {
	path := &Path{Text: text, Step: -1}
	if has(Counters, text) {
		path.Counter = text
		return path, number
	}
	head, field, _ := strings.Cut(text, ".")
	if i, ok := b.moments[head]; ok {
		path.Step, path.Field = i, field
		return b.stepPath(p, path, head)
	}
	if phones, _ := b.roster.match(head); len(phones) > 0 {
		path.Phones, path.Field = phones, field
		return b.phonePath(p, path, head)
	}
	b.noPath(p, text, head)
	return nil, anyUnit
}

func (b *builder) stepPath(p spot, path *Path, head string) (*Path, unit) {
	if !has(StepFields, path.Field) {
		b.noField(p, path, "a step has", StepFields, head)
		return nil, anyUnit
	}
	s := &b.s.Script[path.Step]
	upload := s.Do != nil && s.Do.Verb == VerbUpload
	switch path.Field {
	case "at":
		return path, seconds
	case "delay":
		if s.Login == nil && s.Password == nil && (s.Do == nil || s.Do.Verb == VerbBeacon) {
			b.at(p.pos(), "`%s`: the step `%s` asks the server nothing that has a delay; expected a login or a command", path.Text, head)
		}
		return path, seconds
	}
	if !upload {
		b.at(p.pos(), "`%s`: the step `%s` uploads nothing; expected a step with `do: Upload_contact_log`", path.Text, head)
	}
	return path, number
}

func (b *builder) phonePath(p spot, path *Path, head string) (*Path, unit) {
	if !has(PhoneFields, path.Field) {
		b.noField(p, path, "a phone has", PhoneFields, head)
		return nil, anyUnit
	}
	if path.Field == "log.age_max" {
		return path, seconds
	}
	return path, number
}

func (b *builder) noField(p spot, path *Path, has string, fields []Name, head string) {
	var names []string
	for _, f := range fields {
		names = append(names, f.Name)
	}
	if c, ok := b.nearest(path.Field, names); ok && path.Field != "" {
		b.at(p.pos(), "unknown value %s; did you mean `%s.%s`?", keyQuoted(path.Text), head, c)
		return
	}
	b.at(p.pos(), "unknown value %s; %s %s, as in %s.%s", keyQuoted(path.Text), has, backquoted(names), head, names[0])
}

// noPath complains of a name that is nothing's.
func (b *builder) noPath(p spot, text, head string) {
	if b.roster.unsure {
		return
	}
	if b.full() {
		b.total++
		return
	}
	family, all := counters(head)
	if c, ok := b.nearest(text, family); ok {
		b.at(p.pos(), "unknown value %s; did you mean `%s`?", keyQuoted(text), c)
		return
	}
	if len(family) > 0 {
		b.at(p.pos(), "unknown value %s; of these %s", keyQuoted(text), thereAre(family))
		return
	}
	heads := slices.Clone(b.names)
	for i := range b.roster.groups {
		heads = append(heads, b.roster.groups[i].Name)
	}
	if c, ok := b.nearest(head, heads); ok {
		b.at(p.pos(), "unknown value %s; did you mean `%s%s`?", keyQuoted(text), c, strings.TrimPrefix(text, head))
		return
	}
	if c, ok := b.nearest(text, all); ok {
		b.at(p.pos(), "unknown value %s; did you mean `%s`?", keyQuoted(text), c)
		return
	}
	if strings.ContainsAny(head, "*?") {
		b.at(p.pos(), "no phone's name is like %s", keyQuoted(head))
		return
	}
	b.at(p.pos(), "unknown value %s; expected a count of the run such as beacons.valid, a value of a named step such as upload.entries, or one of a phone such as pupil-3.log", keyQuoted(text))
}

// counters are those whose names begin with head, and all.
func counters(head string) (family, all []string) {
	for _, c := range Counters {
		all = append(all, c.Name)
		if strings.HasPrefix(c.Name, head+".") {
			family = append(family, c.Name)
		}
	}
	return family, all
}

func has(list []Name, name string) bool {
	return slices.ContainsFunc(list, func(n Name) bool { return n.Name == name })
}
