package scenarios

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	yaml "go.yaml.in/yaml/v4"
)

// comparison is a parsed expectation: two sums of products of operands whose names are not resolved.
type comparison struct {
	left, right []termText
	op          string
}

// termText is one operand of a comparison as it is written, with the sign before it.
type termText struct {
	sign     byte   // that of Term
	text     string // a number, a duration or a name
	at       string // the label after `at`
	offset   int    // of text, in bytes from the start of the comparison
	atOffset int
}

// maxTerms is the most operands of a side of a comparison.
const maxTerms = 100

var tokenForm = regexp.MustCompile(`[<>=!]+|[^\s<>=!]+`)

var expectationForm = patternForm("expectation", "a comparison such as upload.entries == pupil-3.log at upload",
	`(==|!=|<=|>=|<|>)`, func(t string) (any, error) {
		c, err := parseComparison(t)
		if err != nil {
			return nil, finalMessage{err}
		}
		return c, nil
	})

// tokens splits a comparison. Comparison signs may stand anywhere; other tokens stand between blanks.
type tokens struct {
	text string
	at   [][]int
}

// next removes the next token and returns it with its offset in bytes. At the end it returns "" and the length of the
// text.
func (t *tokens) next() (string, int) {
	if len(t.at) == 0 {
		return "", len(t.text)
	}
	from := t.at[0]
	t.at = t.at[1:]
	return t.text[from[0]:from[1]], from[0]
}

// peek returns the next token without removing it, or "" at the end.
func (t *tokens) peek() string {
	if len(t.at) == 0 {
		return ""
	}
	return t.text[t.at[0][0]:t.at[0][1]]
}

// parseComparison parses `a.b op c + d at LABEL`.
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
	case !slices.Contains(comparisonSigns, op):
		return comparison{}, fmt.Errorf("%s stands where ==, !=, <, <=, >, >=, +, -, * or / could", quoted(op))
	}
	right, err := parseSum(t, "the right side")
	if err != nil {
		return comparison{}, err
	}
	if rest := t.peek(); rest != "" {
		return comparison{}, fmt.Errorf("%s stands where +, -, *, / or the end could", quoted(rest))
	}
	return comparison{left, right, op}, nil
}

var comparisonSigns = []string{"==", "!=", "<", "<=", ">", ">="}

// parseSum parses one side of a comparison. side names it in messages.
func parseSum(t *tokens, side string) ([]termText, error) {
	var sum []termText
	sign := byte('+')
	for {
		text, offset := t.next()
		if text == "" || strings.ContainsAny(text[:1], "<>=!") || isSign(text) {
			return nil, fmt.Errorf("%s lacks a value; expected a count such as beacons.valid, a value of a step or a "+
				"phone, a number or a duration", side)
		}
		if err := operandForm(text); err != nil {
			return nil, err
		}
		term := termText{sign: sign, text: text, offset: offset}
		if t.peek() == "at" {
			t.next()
			if term.at, term.atOffset = t.next(); !nameRegexp.MatchString(term.at) {
				return nil, fmt.Errorf("`at` needs the label of a step, not %s", quoted(term.at))
			}
		}
		if sum = append(sum, term); len(sum) > maxTerms {
			return nil, fmt.Errorf("%s has more than %d values", side, maxTerms)
		}
		next := t.peek()
		if !isSign(next) {
			if len(next) > 1 && isSign(next[:1]) {
				return nil, fmt.Errorf("%s: +, -, * and / need blanks on both sides", quoted(next))
			}
			return sum, nil
		}
		t.next()
		sign = next[0]
	}
}

// isSign reports whether a token joins two operands.
func isSign(token string) bool { return token == "+" || token == "-" || token == "*" || token == "/" }

var pathRegexp = regexp.MustCompile(`^[A-Za-z*?][A-Za-z0-9_*?-]*(\.[A-Za-z_][A-Za-z0-9_]*)*$`)

// operandForm returns an error with a suggestion if a text is not a name, a number or a duration.
func operandForm(text string) error {
	switch {
	case pathRegexp.MatchString(text), onlyNumber.MatchString(text), wholeDuration.MatchString(text):
		return nil
	case strings.ContainsAny(text[:1], "+-*/") && len(text) > 1, strings.ContainsAny(text, "+*/"):
		return fmt.Errorf("%s: +, -, * and / need blanks on both sides", quoted(text))
	case percentRegexp.MatchString(text):
		return fmt.Errorf("%s: a share is a quotient and a number, such as "+
			"`beacons.valid / beacons.delivered >= 0.95`", quoted(text))
	}
	return fmt.Errorf("%s is no name, number or duration", quoted(text))
}

// unit is the unit of a value.
type unit string

const (
	anyUnit unit = "" // the number 0
	counted unit = "a number"
	seconds unit = "a duration"
)

// expectList is the run's `expect`.
type expectList []Expectation

// decode resolves the names of each comparison and checks that both of its sides have the same unit.
func (l *expectList) decode(b *builder, root *value) {
	for _, e := range root.child("expect").elements() {
		r := resolver{b, e}
		c := e.got.(comparison)
		x := Expectation{Pos: e.pos, Text: e.text, Op: c.op}
		before := b.total
		var left, right unit
		x.Left, left = r.sum(c.left)
		x.Right, right = r.sum(c.right)
		x.Durations = left == seconds || right == seconds
		*l = append(*l, x)
		if b.total > before {
			continue
		}
		if left != anyUnit && right != anyUnit && left != right {
			such := "1000"
			if left == seconds {
				such = "3m or 500ms"
			}
			r.report(c.right[0].offset, "the left side is %s and the right side is %s; expected the same kind, such "+
				"as %s on the right", left, right, such)
		}
		values, several := 0, 0
		for p := range x.paths() {
			if values++; len(p.Phones) > 1 {
				several++
			}
		}
		if several > 1 {
			b.add(e.pos, "%d values are of several phones each; at most one may be, and it must hold for each of its "+
				"phones", several)
		}
		if values == 0 && !b.roster.unsure {
			b.add(e.pos, "this compares numbers only; expected a value of the run such as beacons.valid")
		}
	}
}

// encode returns a list with a line for each comparison.
func (l *expectList) encode(w *writer) *yaml.Node {
	return sections(mapNodes(*l, func(e Expectation) *yaml.Node { return lineNode(w.comparison(&e)) }))
}

// paths yields the values of the run in a comparison.
func (e *Expectation) paths() iter.Seq[*Path] {
	return func(yield func(*Path) bool) {
		for _, t := range slices.Concat(e.Left.Terms, e.Right.Terms) {
			if t.Operand.Path != nil && !yield(t.Operand.Path) {
				return
			}
		}
	}
}

// resolver resolves the names of the comparison v.
type resolver struct {
	b *builder
	v *value
}

// report adds a mistake at a byte of the comparison's text.
func (r resolver) report(offset int, format string, args ...any) {
	r.b.add(r.pos(offset), format, args...)
}

// pos returns the position of a byte of the comparison's text in the file; the position of the whole text if the file
// writes it otherwise, as with an escape.
func (r resolver) pos(offset int) Pos {
	p := r.v.pos
	if !r.b.isFull() && r.v.file.isAt(p, r.v.text) {
		p.Col += utf8.RuneCountInString(r.v.text[:offset])
	}
	return p
}

// sum resolves the operands of a sum and returns the common unit of its products.
func (r resolver) sum(terms []termText) (Sum, unit) {
	var s Sum
	all, product := anyUnit, anyUnit
	for i, t := range terms {
		o, u := r.operand(t)
		s.Terms = append(s.Terms, Term{t.sign, o})
		if t.sign == '*' || t.sign == '/' {
			u = r.product(t, product, u)
		}
		product = u
		if i+1 < len(terms) && (terms[i+1].sign == '*' || terms[i+1].sign == '/') {
			continue
		}
		switch {
		case all == anyUnit:
			all = u
		case u != anyUnit && u != all:
			r.report(t.offset, "%s is %s, and stands in a sum with %s", quoted(t.text), u, all)
		}
	}
	return s, all
}

// product returns the unit of a product or quotient of two operands, the second of which is that of t.
func (r resolver) product(t termText, left, right unit) unit {
	switch {
	case left == anyUnit || right == anyUnit:
		return cmp.Or(left, right)
	case right == counted:
		return left
	case t.sign == '/' && left == seconds:
		return counted
	case t.sign == '*' && left == counted:
		return seconds
	}
	r.report(t.offset, "%s is a duration: only a duration can be divided by it, and only a number multiplied",
		quoted(t.text))
	return anyUnit
}

// operand resolves a number, a duration or a value of the run. A duration becomes a number of seconds.
func (r resolver) operand(t termText) (Operand, unit) {
	var number float64
	u := counted
	switch {
	case onlyNumber.MatchString(t.text):
		n, err := strconv.ParseFloat(t.text, 64)
		if err != nil {
			r.report(t.offset, "%s is too large a number", quoted(t.text))
		}
		number = n
	case wholeDuration.MatchString(t.text):
		d, err := parseDuration(t.text)
		if err != nil {
			r.report(t.offset, "%s: %v", quoted(t.text), err)
		}
		number, u = float64(d)/float64(time.Second), seconds // d.Seconds() rounds twice
	default:
		return r.path(t)
	}
	if t.at != "" {
		r.report(t.atOffset, "a number is constant; expected no `at` after %s", quoted(t.text))
	}
	if number == 0 {
		u = anyUnit
	}
	return Operand{Number: number, Duration: wholeDuration.MatchString(t.text)}, u
}

// path resolves a.b: a count of the run, a value of a labelled step, or one of phones.
func (r resolver) path(t termText) (Operand, unit) {
	path := &Path{Text: t.text, Step: -1}
	head, field, _ := strings.Cut(t.text, ".")
	step, isLabel := r.b.labels.step[head]
	u := counted
	if isCounter(t.text) {
		path.Counter = t.text
	} else if path.Field = field; isLabel {
		path.Step = step
		u = r.stepField(t, path, head)
	} else if phones, _ := r.b.roster.match(head); len(phones) > 0 {
		path.Phones = phones
		u = r.unitOf(t, path, "a phone has", PhoneFields, head)
	} else {
		r.reportUnknown(t, head)
		return Operand{}, anyUnit
	}
	if u == anyUnit {
		return Operand{}, anyUnit
	}
	if t.at != "" {
		r.setTime(t, path)
	}
	return Operand{Path: path}, u
}

// setTime sets the label at which a value is taken.
func (r resolver) setTime(t termText, path *Path) {
	if _, ok := r.b.labels.step[t.at]; !ok {
		r.b.labels.check(r.pos(t.atOffset), t.at)
		return
	}
	if path.Step >= 0 {
		r.report(t.atOffset, "`%s` belongs to its step and is constant; expected no `at` after it", path.Text)
	}
	path.At = t.at
}

// stepField returns the unit of a value of a step, or anyUnit after a mistake.
func (r resolver) stepField(t termText, path *Path, head string) unit {
	s := &r.b.s.Script[path.Step]
	u := r.unitOf(t, path, "a step has", StepFields, head)
	switch path.Field {
	case "delay":
		if s.Login == nil && s.Password == nil && (s.Do == nil || s.Do.Verb == VerbBeacon) {
			r.report(t.offset, "`%s`: the step `%s` sends the server no request with a delay; expected a login or a "+
				"command", path.Text, head)
		}
	case "entries", "resolved":
		if s.Do == nil || s.Do.Verb != VerbUpload {
			r.report(t.offset, "`%s`: the step `%s` uploads nothing; expected a step with `do: Upload_contact_log`",
				path.Text, head)
		}
	}
	return u
}

// unitOf returns the unit of a value of a step or of phones. It reports an unknown value and returns anyUnit. has
// introduces the list of the known values.
func (r resolver) unitOf(t termText, path *Path, has string, fields []Name, head string) unit {
	names := namesOf(fields)
	if i := slices.Index(names, path.Field); i >= 0 {
		return fields[i].unit
	}
	if c, ok := r.b.nearest(path.Field, names); ok && path.Field != "" {
		r.report(t.offset, "unknown value %s; did you mean `%s.%s`?", keyQuoted(path.Text), head, c)
	} else {
		r.report(t.offset, "unknown value %s; %s %s, as in %s.%s", keyQuoted(path.Text), has, backquoted(names), head,
			names[0])
	}
	return anyUnit
}

// reportUnknown reports a name that is no value of the run.
func (r resolver) reportUnknown(t termText, head string) {
	b := r.b
	if b.roster.unsure {
		return
	}
	if b.isFull() {
		b.total++
		return
	}
	all := namesOf(Counters)
	family := slices.DeleteFunc(slices.Clone(all), func(name string) bool { return !strings.HasPrefix(name, head+".") })
	heads := slices.Concat(b.labels.list, b.roster.groupNames())
	if c, ok := b.nearest(t.text, family); ok {
		r.report(t.offset, "unknown value %s; did you mean `%s`?", keyQuoted(t.text), c)
	} else if len(family) > 0 {
		r.report(t.offset, "unknown value %s; of these %s", keyQuoted(t.text), thereAre(family))
	} else if c, ok := b.nearest(head, heads); ok {
		r.report(t.offset, "unknown value %s; did you mean `%s%s`?", keyQuoted(t.text), c, strings.TrimPrefix(t.text,
			head))
	} else if c, ok := b.nearest(t.text, all); ok {
		r.report(t.offset, "unknown value %s; did you mean `%s`?", keyQuoted(t.text), c)
	} else if strings.ContainsAny(head, "*?") {
		r.report(t.offset, "no phone has a name like %s", keyQuoted(head))
	} else {
		r.report(t.offset, "unknown value %s; expected a count of the run such as beacons.valid, a value of a "+
			"labelled step such as upload.entries, or one of a phone such as pupil-3.log", keyQuoted(t.text))
	}
}

// namesOf lists the names of values.
func namesOf(list []Name) []string {
	names := make([]string, len(list))
	for i, n := range list {
		names[i] = n.Name
	}
	return names
}

// isCounter reports whether a name is one of Counters.
func isCounter(name string) bool { return slices.Contains(namesOf(Counters), name) }
