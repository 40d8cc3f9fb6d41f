package scenarios

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// TraceInterval is the duration of the contact of one line of a trace that has no `interval`. The contact ends at the
// time of the line.
const TraceInterval = 20 * time.Second

const defaultInterval = int64(TraceInterval / time.Second)

// Limits of a trace. The memory of the reader does not grow with the length of the trace.
const (
	maxTraceLine  = 64 << 10 // bytes
	maxTraceTime  = 1 << 40  // seconds
	maxSameMoment = 1 << 20  // contacts of one time
	maxTraceID    = 100      // bytes
	maxColumns    = 6        // columns of a line that are read
	keptNames     = 1 << 16  // names of people and classes of which one copy is kept
)

// Contact is one used line of a trace.
type Contact struct {
	Line           int
	Time           int64 // the end of the interval, in seconds as written
	I, J           string
	ClassI, ClassJ string // "" if the line has no class columns
	// Begin and End are the interval on the run's clock, cut to the selected part of the trace: 0 <= Begin < End.
	Begin, End time.Duration
}

// TraceMistake is the error of a trace that cannot be used.
type TraceMistake struct {
	File    string
	Line    int // the last line that was begun, or 0
	Message string
	Err     error // the cause, or nil
}

func (m *TraceMistake) Error() string {
	if m.Line == 0 {
		return fmt.Sprintf("%s: %s", m.File, m.Message)
	}
	return fmt.Sprintf("%s:%d: %s", m.File, m.Line, m.Message)
}

func (m *TraceMistake) Unwrap() error { return m.Err }

// Irregularity is one kind of unusual lines of a trace, and their treatment.
type Irregularity struct {
	Problem   string // such as "time is no multiple of 20"
	Treatment string // used or skipped
	Count     int    // of lines; 0 if the problem is of the whole trace
	Lines     []int  // the first few, from 1
}

// oddLinesKept is the most line numbers that are listed for one kind of irregularity.
const oddLinesKept = 5

func (o *Irregularity) String() string {
	if o.Count == 0 {
		return o.Problem
	}
	lines := make([]string, len(o.Lines))
	for i, n := range o.Lines {
		lines[i] = strconv.Itoa(n)
	}
	list, noun := strings.Join(lines, ", "), "line "
	if o.Count > 1 {
		noun = "lines "
	}
	if more := o.Count - len(o.Lines); more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	return noun + list + ": " + o.Problem + ": " + o.Treatment
}

// TraceReader reads recorded contacts in the SocioPatterns form, line by line.
type TraceReader struct {
	trace    Trace
	interval int64 // of a contact, in seconds
	close    func() error
	in       *bufio.Scanner
	line     int
	data     bool // the comments and the header above the contacts are over
	steps    timeSteps
	zero     int64              // the time of the trace at which the run begins
	begun    bool               // zero is known
	last     int64              // the time of the last line that was not skipped
	earlier  int                // lines that were skipped because they are earlier than last
	pairs    map[[2]string]bool // the pairs with a contact at the time last
	names    map[string]string  // one copy of each name of a person or a class
	odd      []Irregularity
	usable   int      // lines that are contacts
	chosen   int      // usable lines that were selected
	classes  []string // the first few classes that were read, for messages
	err      error    // returned by every later call
}

// timeSteps summarizes the differences between the ascending times of a trace, in seconds.
type timeSteps struct {
	last    int64
	begun   bool // last is a time
	count   int  // of differences
	longest int64
	divisor int64 // the greatest common divisor of all differences
}

func (s *timeSteps) add(t int64) {
	if step := t - s.last; s.begun && step > 0 {
		s.count++
		s.longest = max(s.longest, step)
		for step != 0 {
			s.divisor, step = step, s.divisor%step
		}
	}
	if !s.begun || t > s.last {
		s.last, s.begun = t, true
	}
}

// NewTraceReader reads a trace, gzip or plain, and selects the contacts of t. Messages name t.File. The error is a
// *TraceMistake if the file has another format.
func NewTraceReader(in io.Reader, t *Trace) (*TraceReader, error) {
	r := &TraceReader{
		trace: *t, interval: int64(cmp.Or(t.Interval, TraceInterval) / time.Second),
		close: func() error { return nil }, pairs: map[[2]string]bool{}, names: map[string]string{},
		zero: t.From, begun: t.HasFrom,
	}
	text, err := r.openText(in)
	if err != nil {
		return nil, err
	}
	r.in = bufio.NewScanner(text)
	r.in.Buffer(nil, maxTraceLine+1)
	r.in.Split(splitLine)
	return r, nil
}

// Close closes the file that OpenTrace opened.
func (r *TraceReader) Close() error { return r.close() }

// Irregularities returns the unusual lines so far by kind, in the order of their first lines.
func (r *TraceReader) Irregularities() []Irregularity { return slices.Clone(r.odd) }

// Next returns the next selected contact, and io.EOF after the last. The error of a trace without one is a
// *TraceMistake.
func (r *TraceReader) Next() (Contact, error) {
	for r.err == nil {
		text, err := r.readLine()
		if err != nil {
			r.err = err
			break
		}
		c, done, ok := r.contact(string(text))
		if ok {
			r.chosen++
			return c, nil
		}
		if done {
			r.err = r.end()
		}
	}
	return Contact{}, r.err
}

// end returns the error at the end of the trace: io.EOF, or a *TraceMistake if no contact was used or if the first
// column is not a time.
func (r *TraceReader) end() error {
	whole := func(format string, args ...any) error {
		return &TraceMistake{File: r.trace.File, Message: fmt.Sprintf(format, args...)}
	}
	switch {
	case r.line == 0:
		return whole("there is no contact in the trace: it is empty; a line is: time, person, person")
	case r.usable == 0 && len(r.odd) > 0:
		return whole("there is no contact in the trace: %s", r.odd[0].String())
	case r.usable == 0:
		return whole("there is no contact in the trace; a line is: time, person, person")
	case r.earlier > r.usable:
		return whole("%d lines are earlier than the line before, and %d are not: the first column is not a time, or "+
			"the file must be sorted by it", r.earlier, r.usable)
	case r.steps.count > 0 && r.steps.longest < min(r.interval, defaultInterval):
		return whole("no time is %d s after the one before: the first column is not a time, or the recorder had "+
			"another `interval`", min(r.interval, defaultInterval))
	case r.chosen == 0:
		return whole("the selection leaves no contact of %d: %s", r.usable, r.selection())
	}
	if step := r.steps.divisor; r.steps.count >= 3 && step >= 2*r.interval {
		r.odd = append(r.odd, Irregularity{Problem: fmt.Sprintf("all times differ by multiples of %d s, and a contact "+
			"lasts %d s; if the recorder scanned every %d s, write `interval: %ds`", step, r.interval, step, step)})
	}
	return io.EOF
}

// selection describes the part of the trace that was read and its classes, for the error of a trace without contacts.
func (r *TraceReader) selection() string {
	s := fmt.Sprintf("the last time read is %d", r.last)
	if len(r.trace.Classes) > 0 {
		met := "none"
		if len(r.classes) > 0 {
			met = strings.Join(r.classes, ", ")
		}
		s += "; classes asked for are " + quotedList(r.trace.Classes) + ", classes met are " + met
	}
	return s
}

// quotedList joins the first ten texts of a list, each in quotes.
func quotedList(list []string) string {
	var all []string
	for _, s := range list[:min(len(list), 10)] {
		all = append(all, quoted(s))
	}
	return strings.Join(all, ", ")
}

// note counts the current line as unusual. treatment is used or skipped.
func (r *TraceReader) note(treatment, problem string) {
	for i := range r.odd {
		if o := &r.odd[i]; o.Problem == problem {
			o.Count++
			if len(o.Lines) < oddLinesKept {
				o.Lines = append(o.Lines, r.line)
			}
			return
		}
	}
	r.odd = append(r.odd, Irregularity{problem, treatment, 1, []int{r.line}})
}

// The treatments of unusual lines.
const (
	used    = "used"
	skipped = "skipped"
)

// contact parses one line. done reports that no later line can be selected; ok, that c is selected.
func (r *TraceReader) contact(text string) (c Contact, done, ok bool) {
	fields := columns(text)
	switch {
	case len(fields) == 0, r.isHeading(fields):
		return c, false, false
	case len(fields) < 3:
		r.note(skipped, "fewer than the three columns time, person, person")
		return c, false, false
	}
	t, problem := traceTime(fields[0])
	if problem == "" {
		r.steps.add(t)
		problem = lineProblem(fields)
	}
	if problem != "" {
		r.note(skipped, problem)
		return c, false, false
	}
	c = Contact{Line: r.line, Time: t, I: r.shared(fields[1]), J: r.shared(fields[2])}
	if len(fields) >= 5 {
		c.ClassI, c.ClassJ = r.shared(fields[3]), r.shared(fields[4])
	}
	if !r.usual(&c) {
		return c, false, false
	}
	switch {
	case len(fields) == 4:
		r.note(used, "the fourth column is ignored")
	case len(fields) > 5:
		r.note(used, "the columns after the fifth are ignored")
	}
	r.usable++
	return r.selected(c)
}

// isHeading reports whether a line above the contacts is a comment, which begins with # or %, or the header, whose
// first column is a name and no column a number. It sets r.err if the header names another column as that of the times.
func (r *TraceReader) isHeading(fields []string) bool {
	if r.data || strings.HasPrefix(fields[0], "#") || strings.HasPrefix(fields[0], "%") {
		return !r.data
	}
	r.data = true
	if strings.IndexFunc(strings.TrimLeft(fields[0], `"'_`), unicode.IsLetter) != 0 ||
		slices.ContainsFunc(fields, isNumber) {
		return false
	}
	if at := slices.IndexFunc(fields, timeColumn.MatchString); at > 0 {
		r.err = r.mistake(nil, "the header has the time in column %d; expected the columns time, person, person", at+1)
	}
	return true
}

var timeColumn = regexp.MustCompile(`^["']?(?i:t|time|timestamp|begin|start)["']?$`)

// lineProblem returns the reason why the columns of a line are not two people in contact, or "".
func lineProblem(fields []string) string {
	numbers := 0
	for _, f := range fields {
		if isNumber(f) {
			numbers++
		}
	}
	switch i, j := fields[1], fields[2]; {
	case i == "" || j == "" || len(i) > maxTraceID || len(j) > maxTraceID:
		return "a person's column is empty or longer than 100 bytes"
	case isMissing(i) || isMissing(j):
		return "a person's column is a negative number or `NA`: no person"
	case i == j:
		return "a person in contact with himself"
	case strings.EqualFold(i, "CONN"):
		return "`CONN` is no person: this is a report of the ONE simulator"
	case isNumber(i) && !strings.ContainsAny(j, digits) || isNumber(j) && !strings.ContainsAny(i, digits):
		return "one person is a number and the other a word"
	case len(fields) >= maxColumns && numbers >= maxColumns:
		return "six columns of numbers: this may be `i j begin end` instead of time, person, person"
	}
	return ""
}

const digits = "0123456789"

func isNumber(text string) bool { return text != "" && strings.Trim(text, digits) == "" }

// isMissing reports whether a person's column says that there is no person: a negative number, or not available.
func isMissing(id string) bool {
	switch strings.ToLower(id) {
	case "na", "n/a", "nan", "null", "none":
		return true
	}
	n, err := strconv.ParseFloat(id, 64)
	return err == nil && n < 0
}

// usual counts the irregularities of c and reports whether c is used.
func (r *TraceReader) usual(c *Contact) bool {
	switch {
	case r.usable > 0 && c.Time < r.last:
		r.earlier++
		r.note(skipped, "earlier than the line before")
		return false
	case c.Time > r.last:
		clear(r.pairs)
	}
	r.last = c.Time
	pair := [2]string{min(c.I, c.J), max(c.I, c.J)}
	switch {
	case r.pairs[pair]:
		r.note(skipped, "the same pair at the same time again")
		return false
	case len(r.pairs) == maxSameMoment:
		r.note(skipped, "more than a million contacts at one time")
		return false
	}
	r.pairs[pair] = true
	if c.Time%r.interval != 0 {
		r.note(used, fmt.Sprintf("the time is no multiple of %d", r.interval))
	}
	return true
}

// selected applies the classes and the part of the trace, and sets the interval of c on the run's clock.
func (r *TraceReader) selected(c Contact) (_ Contact, done, ok bool) {
	if !r.begun {
		r.begun, r.zero = true, c.Time-r.interval
	}
	begin, end := max(c.Time-r.interval, r.zero), c.Time
	if r.trace.HasUntil {
		if begin >= r.trace.Until {
			return c, true, false
		}
		end = min(end, r.trace.Until)
	}
	if end <= begin || !r.ofClasses(&c) {
		return c, false, false
	}
	if end-r.zero > int64(maxDuration/time.Second) {
		r.note(skipped, "more than ten years after the trace's beginning")
		return c, false, false
	}
	c.Begin, c.End = time.Duration(begin-r.zero)*time.Second, time.Duration(end-r.zero)*time.Second
	return c, false, true
}

// ofClasses reports whether both people belong to the selected classes.
func (r *TraceReader) ofClasses(c *Contact) bool {
	if len(r.trace.Classes) == 0 {
		return true
	}
	if c.ClassI == "" || c.ClassJ == "" {
		r.note(skipped, "no class columns, and classes are asked for")
		return false
	}
	for _, class := range []string{c.ClassI, c.ClassJ} {
		if len(r.classes) < 20 && !slices.Contains(r.classes, quoted(class)) {
			r.classes = append(r.classes, quoted(class))
		}
	}
	return slices.Contains(r.trace.Classes, c.ClassI) && slices.Contains(r.trace.Classes, c.ClassJ)
}

// traceTime parses the time of a line, in seconds from 0 to maxTraceTime. problem is the reason why it is not one, or
// "".
func traceTime(text string) (t int64, problem string) {
	t, err := strconv.ParseInt(text, 10, 64) // an integer out of range becomes the nearest end
	switch {
	case errors.Is(err, strconv.ErrSyntax):
		return 0, "the time is not a whole number of seconds"
	case t < 0:
		return 0, "the time is negative"
	case t > maxTraceTime:
		return 0, fmt.Sprintf("the time is above %d s (are these milliseconds?)", int64(maxTraceTime))
	}
	return t, ""
}

// shared returns the one copy of a repeated name.
func (r *TraceReader) shared(name string) string {
	if known, ok := r.names[name]; ok {
		return known
	}
	if len(r.names) >= keptNames {
		clear(r.names)
	}
	name = strings.Clone(name)
	r.names[name] = name
	return name
}
