package reports

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// pageWidth is the number of columns of a line. The texts of a failure and the
// command that repeats a run may be longer: they are never cut.
const pageWidth = 100

// Page builds the text of a report for a terminal, line by line.
type Page struct {
	bytes.Buffer
	Colored bool // whether Paint writes ANSI colours
}

// Color is the ANSI code of a colour; empty for the terminal's own.
type Color string

// The colours.
const (
	Red    Color = "31"
	Green  Color = "32"
	Yellow Color = "33"
)

// WriteDocument writes the text of a document to w, in one call. The error has the
// name of the document, such as "the comparison".
func WriteDocument(w io.Writer, text []byte, name string) error {
	if _, err := w.Write(text); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}

// Paint returns the text in bold and in a colour, or unchanged without one.
func (p *Page) Paint(c Color, text string) string {
	if !p.Colored || c == "" {
		return text
	}
	return "\x1b[1;" + string(c) + "m" + text + "\x1b[0m"
}

// Line writes one formatted line.
func (p *Page) Line(format string, arguments ...any) {
	fmt.Fprintf(p, format+"\n", arguments...)
}

// Gap writes an empty line, unless the page is empty or already ends with one.
func (p *Page) Gap() {
	if p.Len() > 0 && !bytes.HasSuffix(p.Bytes(), []byte("\n\n")) {
		p.Line("")
	}
}

// Field writes one line with a name and a text.
func (p *Page) Field(name, text string) { p.Line("  %-11s %s", name, Escape(text)) }

// Fields writes several texts, a line each. The name stands before the first.
func (p *Page) Fields(name string, texts []string) {
	for _, text := range texts {
		p.Field(name, text)
		name = ""
	}
}

// Row writes words in lines of at most pageWidth columns. The name stands before
// the first line.
func (p *Page) Row(name string, words []string) {
	const indent, space = 14, "  "
	line := ""
	for _, w := range words {
		w = Escape(w)
		switch {
		case line == "":
			line = w
		case indent+utf8.RuneCountInString(line+space+w) > pageWidth:
			p.Field(name, line)
			name, line = "", w
		default:
			line += space + w
		}
	}
	p.Field(name, line)
}

// Detail writes a named text of a failure in full, with its further lines
// aligned below the first. It writes nothing for an empty text.
func (p *Page) Detail(name, text string) {
	if text == "" {
		return
	}
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		p.Line("    %-10s%s", name, Escape(line))
		name = ""
	}
}

// List writes a name and, indented below it, a line for each text. It writes
// nothing for an empty list.
func (p *Page) List(name string, texts []string) {
	if len(texts) == 0 {
		return
	}
	p.Line("    %s", name)
	for _, text := range texts {
		p.Line("      %s", Escape(text))
	}
}

// Escape returns text with each rune that a terminal may interpret, or that is
// invisible, as a Go escape (\n, \x1b, \u202e). Text from a peer or a file
// therefore cannot move the cursor or imitate a line. Bytes that are not UTF-8
// become \xNN. A backslash is unchanged.
func Escape(text string) string {
	if !strings.ContainsFunc(text, func(r rune) bool { return r == utf8.RuneError || !strconv.IsPrint(r) }) {
		return text
	}
	var b strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, text[0])
		case strconv.IsPrint(r):
			b.WriteRune(r)
		default:
			quoted := strconv.QuoteRune(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		text = text[size:]
	}
	return b.String()
}

// truncate cuts text to at most width columns, with one column for each rune.
func truncate(text string, width int) string {
	if utf8.RuneCountInString(text) <= width {
		return text
	}
	return string([]rune(text)[:width-1]) + "…"
}

// FormatCount formats n with a comma between groups of three digits.
func FormatCount(n uint64) string {
	text := strconv.FormatUint(n, 10)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// Plural formats n, which is not negative, with the singular or plural noun.
func Plural[N int | uint64](n N, singular, plural string) string {
	if n == 1 {
		return "1 " + singular
	}
	return FormatCount(uint64(n)) + " " + plural
}

// Quoted lists texts, each in quotation marks of its own.
func Quoted(texts []string) string {
	quoted := make([]string, len(texts))
	for i, text := range texts {
		quoted[i] = strconv.Quote(text)
	}
	return strings.Join(quoted, ", ")
}

// FormatRate formats a rate with at most four significant digits, or with all
// digits of its integer part.
func FormatRate(perSecond float64) string {
	if perSecond >= 1000 {
		return FormatCount(uint64(math.Round(perSecond)))
	}
	text := strconv.FormatFloat(finite(perSecond), 'f', 2, 64)
	if perSecond >= 100 {
		text = strconv.FormatFloat(perSecond, 'f', 1, 64)
	}
	return strings.TrimRight(strings.TrimRight(text, "0"), ".")
}

// FormatPercent formats a share from 0 to 1. Shares come from a thousand bootstrap
// draws, so the ends are "under 0.1 %" and "over 99.9 %".
func FormatPercent(share float64) string {
	switch {
	case share > 0.9990001:
		return "over 99.9 %"
	case share < 0.001:
		return "under 0.1 %"
	}
	return strconv.FormatFloat(math.Round(1000*share)/10, 'f', -1, 64) + " %"
}

// FormatMs formats milliseconds, without the unit, with about three significant
// digits.
func FormatMs(ms float64) string {
	switch {
	case ms < 1:
		return fmt.Sprintf("%.3f", ms)
	case ms < 100:
		return fmt.Sprintf("%.2f", ms)
	}
	return fmt.Sprintf("%.0f", ms)
}

// FormatDigits formats x with about four significant digits. A negative number
// counts as 0.
func FormatDigits(x float64) string {
	x = max(0, finite(x))
	switch {
	case x == 0:
		return "0"
	case x >= 1e18:
		return strconv.FormatFloat(x, 'g', 4, 64)
	case x >= 999.5:
		return FormatCount(uint64(x + 0.5))
	case x >= 100:
		return strconv.FormatFloat(x, 'f', 1, 64)
	case x >= 10:
		return strconv.FormatFloat(x, 'f', 2, 64)
	}
	return strconv.FormatFloat(x, 'f', 3, 64)
}

// FormatTime formats a time exactly to the nanosecond, because limits such as
// the expiry of a TempID are tested a nanosecond before and after.
func FormatTime(seconds float64) string {
	s := strconv.FormatFloat(finite(seconds), 'f', -1, 64) + " s"
	if seconds < 60 || seconds > 1e9 {
		return s
	}
	return s + " (" + time.Duration(math.Round(seconds*float64(time.Second))).String() + ")"
}

// FormatLength formats the length of a run for a reader: to the millisecond, or from one minute on to the second, with
// days.
func FormatLength(seconds float64) string {
	const day = 24 * time.Hour
	if seconds = finite(seconds); seconds < 60 || seconds > 1e9 {
		return strconv.FormatFloat(seconds, 'f', 3, 64) + " s"
	}
	d := time.Duration(math.Round(seconds)) * time.Second
	if d < day {
		return d.String()
	}
	return fmt.Sprintf("%d d %v", d/day, d%day)
}

// wallTime formats a time in seconds, or in milliseconds below one second.
func wallTime(seconds float64) string {
	if seconds < 1 {
		return FormatDigits(seconds*1000) + " ms"
	}
	return FormatDigits(seconds) + " s"
}
