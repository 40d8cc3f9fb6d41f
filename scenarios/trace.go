package scenarios

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// TraceInterval is the duration of the contact of one line of a trace. The contact ends at the time of the line.
const TraceInterval = 20 * time.Second

// Limits of a trace. The memory of the reader does not grow with the length of the trace.
const (
	maxTraceLine  = 64 << 10 // bytes
	maxTraceTime  = 1 << 40  // seconds
	maxSameMoment = 1 << 20  // contacts of one time
	maxTraceID    = 100      // bytes
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
	Count     int
	Lines     []int // the first few, from 1
}

// oddLinesKept is the most line numbers that are listed for one kind of irregularity.
const oddLinesKept = 5

func (o *Irregularity) String() string {
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
	trace   Trace
	close   func() error
	in      *bufio.Reader
	line    int
	zero    int64              // the time of the trace at which the run begins
	begun   bool               // zero is known
	last    int64              // the time of the last line that was not skipped
	pairs   map[[2]string]bool // the pairs with a contact at the time last
	names   map[string]string  // one copy of each name of a person or a class
	odd     []Irregularity
	usable  int      // lines that are contacts
	chosen  int      // usable lines that were selected
	classes []string // the first few classes that were read, for messages
	err     error    // returned by every later call
}

// OpenTrace opens the file of t. The error wraps the operating system's error or is a *TraceMistake.
func OpenTrace(t *Trace) (*TraceReader, error) {
	f, err := os.Open(t.File)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading trace: %w (a relative path begins at the scenario's folder; give an absolute "+
			"path)", err)
	}
	if err != nil {
		return nil, fmt.Errorf("reading trace: %w", err)
	}
	r, err := NewTraceReader(f, t)
	if err != nil {
		_ = f.Close() // it was only read
		return nil, err
	}
	r.close = f.Close
	return r, nil
}

// NewTraceReader reads a trace, gzip or plain, and selects the contacts of t. Messages name t.File.
func NewTraceReader(in io.Reader, t *Trace) (*TraceReader, error) {
	r := &TraceReader{
		trace: *t, in: bufio.NewReaderSize(in, maxTraceLine), close: func() error { return nil },
		pairs: map[[2]string]bool{}, names: map[string]string{},
		zero: t.From, begun: t.HasFrom,
	}
	magic, err := r.in.Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, r.readFailed(err)
	}
	if bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(r.in)
		if err != nil {
			return nil, r.readFailed(err)
		}
		r.in = bufio.NewReaderSize(z, maxTraceLine)
	}
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

// readLine returns the next line without its end. The bytes are valid until the next call.
func (r *TraceReader) readLine() ([]byte, error) {
	text, err := r.in.ReadSlice('\n')
	if errors.Is(err, io.EOF) {
		if len(text) == 0 {
			return nil, r.end()
		}
		err = nil
	}
	if len(text) > 0 {
		r.line++
	}
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, r.mistake(nil, "the line is longer than %d bytes: this is no trace", maxTraceLine)
	case err != nil:
		return nil, r.readFailed(err)
	}
	return bytes.TrimRight(text, "\r\n"), nil
}

// mistake returns a *TraceMistake at the current line.
func (r *TraceReader) mistake(err error, format string, args ...any) error {
	return &TraceMistake{r.trace.File, r.line, fmt.Sprintf(format, args...), err}
}

// readFailed returns a *TraceMistake for a broken gzip file, and else an error that wraps err.
func (r *TraceReader) readFailed(err error) error {
	var deflate flate.CorruptInputError
	switch {
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum),
		errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF), errors.As(err, &deflate):
		return r.mistake(err, "the gzip file is broken here: %v", err)
	}
	return fmt.Errorf("reading trace %q, line %d: %w", r.trace.File, r.line, err)
}

// end returns the error at the end of the trace: io.EOF, or a *TraceMistake if no contact was used.
func (r *TraceReader) end() error {
	switch {
	case r.chosen > 0:
		return io.EOF
	case r.usable == 0 && len(r.odd) > 0:
		return &TraceMistake{File: r.trace.File, Message: "there is no contact in the trace: " + r.odd[0].String()}
	case r.usable == 0:
		return &TraceMistake{File: r.trace.File, Message: "there is no contact in the trace; a line is: time, person, " +
			"person"}
	}
	return &TraceMistake{File: r.trace.File,
		Message: fmt.Sprintf("the selection leaves no contact of %d: %s", r.usable, r.selection())}
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
	if r.line == 1 {
		text = strings.TrimPrefix(text, "\ufeff")
	}
	fields := columns(text)
	switch {
	case len(fields) == 0:
		return c, false, false
	case len(fields) < 3:
		r.note(skipped, "fewer than the three columns time, person, person")
		return c, false, false
	}
	t, isTime := traceTime(fields[0])
	if !isTime {
		if r.line > 1 {
			r.note(skipped, "the time is not a whole number of seconds")
		} // else it is the header
		return c, false, false
	}
	c = Contact{Line: r.line, Time: t, I: r.shared(fields[1]), J: r.shared(fields[2])}
	if len(fields) >= 5 {
		c.ClassI, c.ClassJ = r.shared(fields[3]), r.shared(fields[4])
	}
	if !r.usual(&c) {
		return c, false, false
	}
	r.usable++
	return r.selected(c)
}

// usual counts the irregularities of c and reports whether c is used.
func (r *TraceReader) usual(c *Contact) bool {
	switch {
	case c.I == "" || c.J == "" || len(c.I) > maxTraceID || len(c.J) > maxTraceID:
		r.note(skipped, "a person's column is empty or longer than 100 bytes")
		return false
	case c.I == c.J:
		r.note(skipped, "a person in contact with himself")
		return false
	case r.usable > 0 && c.Time < r.last:
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
	if c.Time%int64(TraceInterval/time.Second) != 0 {
		r.note(used, "the time is no multiple of 20")
	}
	return true
}

// selected applies the classes and the part of the trace, and sets the interval of c on the run's clock.
func (r *TraceReader) selected(c Contact) (_ Contact, done, ok bool) {
	const interval = int64(TraceInterval / time.Second)
	if !r.begun {
		r.begun, r.zero = true, c.Time-interval
	}
	begin, end := max(c.Time-interval, r.zero), c.Time
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

// columns splits a line at tabs, else at commas, else at blanks.
func columns(text string) []string {
	sep := "\t"
	switch {
	case strings.TrimSpace(text) == "":
		return nil
	case strings.Contains(text, "\t"):
	case strings.Contains(text, ","):
		sep = ","
	default:
		return strings.Fields(text)
	}
	fields := strings.SplitN(text, sep, 6)
	for i, f := range fields {
		fields[i] = strings.TrimSpace(f)
	}
	return fields
}

// traceTime parses the time of a line, in seconds from 0 to maxTraceTime.
func traceTime(text string) (int64, bool) {
	t, err := strconv.ParseInt(text, 10, 64)
	return t, err == nil && t >= 0 && t <= maxTraceTime
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
