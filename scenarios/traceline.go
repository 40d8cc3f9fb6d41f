package scenarios

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	used    = "used"
	skipped = "skipped"
)

// contact makes a contact of one line. done says that nothing that follows can
// be of the selection.
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

// usual notes what is odd about c and says whether it is used.
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

// selected applies classes and window, and places c on the run's clock.
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

// columns cuts a line at tabs, else at commas, else at blanks.
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

func traceTime(text string) (int64, bool) {
	t, err := strconv.ParseInt(text, 10, 64)
	return t, err == nil && t >= 0 && t <= maxTraceTime
}

// shared keeps one copy of a name that comes again and again.
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
