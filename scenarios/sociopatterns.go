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

// TraceInterval is what one line of a trace stands for: the two were near each
// other for the 20 s that end at the line's time.
const TraceInterval = 20 * time.Second

// Limits of a trace. Memory grows with neither its lines nor its length.
const (
	maxTraceLine  = 64 << 10 // bytes
	maxTraceTime  = 1 << 40  // seconds
	maxSameMoment = 1 << 20  // contacts of one time
	maxTraceID    = 100      // bytes
	keptNames     = 1 << 16  // people and classes whose names are shared
)

// Contact is one used line of a trace.
type Contact struct {
	Line           int
	Time           int64 // as written: seconds, the end of the interval
	I, J           string
	ClassI, ClassJ string // "" when the line has no class columns
	// Begin and End are the interval on the run's clock, cut to the window that
	// was selected: 0 <= Begin < End.
	Begin, End time.Duration
}

// TraceMistake is a trace that cannot be used.
type TraceMistake struct {
	File    string
	Line    int // the last line that was begun; 0: of no line
	Message string
	Err     error // the cause; nil when there is none
}

func (m *TraceMistake) Error() string {
	if m.Line == 0 {
		return fmt.Sprintf("%s: %s", m.File, m.Message)
	}
	return fmt.Sprintf("%s:%d: %s", m.File, m.Line, m.Message)
}

func (m *TraceMistake) Unwrap() error { return m.Err }

// Irregularity is one kind of odd line of a trace, and what was done with them.
type Irregularity struct {
	What  string // such as "time is no multiple of 20"
	Done  string // used or skipped
	Count int
	Lines []int // the first few, from 1
}

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
	return noun + list + ": " + o.What + ": " + o.Done
}

// TraceReader reads recorded contacts in the SocioPatterns form, line by line.
type TraceReader struct {
	trace   Trace
	close   func() error
	in      *bufio.Reader
	line    int
	zero    int64 // the trace's time at which the run begins
	begun   bool  // zero is known
	last    int64
	pairs   map[[2]string]bool // of the time last
	names   map[string]string
	odd     []Irregularity
	usable  int      // lines that are contacts
	chosen  int      // of those, lines that were selected
	classes []string // the first few that were met
	err     error    // once met, met again
}

// OpenTrace opens the file that t names. An error wraps the operating system's,
// or is a *TraceMistake.
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

// NewTraceReader reads a trace, gzip or plain, with t's selection; t.File names
// it in messages.
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

// Irregularities lists the unusual lines read so far, by kind, in the order in which the
// kinds were first met.
func (r *TraceReader) Irregularities() []Irregularity { return slices.Clone(r.odd) }

// Next is the next contact of the selection; io.EOF after the last. A trace
// without a single one is a *TraceMistake.
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

// readLine is the next line without its end. The bytes hold until the next one.
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

func (r *TraceReader) mistake(err error, format string, args ...any) error {
	return &TraceMistake{r.trace.File, r.line, fmt.Sprintf(format, args...), err}
}

// readFailed tells a broken gzip file, which is a mistake, from a disk that
// cannot be read.
func (r *TraceReader) readFailed(err error) error {
	var deflate flate.CorruptInputError
	switch {
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum),
		errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF), errors.As(err, &deflate):
		return r.mistake(err, "the gzip file is broken here: %v", err)
	}
	return fmt.Errorf("reading trace %q, line %d: %w", r.trace.File, r.line, err)
}

// end is the end of the trace: a mistake when nothing of it was used.
func (r *TraceReader) end() error {
	switch {
	case r.chosen > 0:
		return io.EOF
	case r.usable == 0 && len(r.odd) > 0:
		return &TraceMistake{File: r.trace.File, Message: "there is no contact in the trace: " + r.odd[0].String()}
	case r.usable == 0:
		return &TraceMistake{File: r.trace.File, Message: "there is no contact in the trace; a line is: time, " +
			"person, person"}
	}
	return &TraceMistake{File: r.trace.File, Message: fmt.Sprintf("the selection leaves no contact of %d: %s", r.usable,
		r.selection())}
}

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

func quotedList(list []string) string {
	var all []string
	for _, s := range list[:min(len(list), 10)] {
		all = append(all, quoted(s))
	}
	return strings.Join(all, ", ")
}

// note counts an odd line.
func (r *TraceReader) note(done, what string) {
	for i := range r.odd {
		if o := &r.odd[i]; o.What == what {
			o.Count++
			if len(o.Lines) < oddLinesKept {
				o.Lines = append(o.Lines, r.line)
			}
			return
		}
	}
	r.odd = append(r.odd, Irregularity{what, done, 1, []int{r.line}})
}
