package reports

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// Format is the version of the JSON forms, their first field. It changes when a
// reader of an older version would misread a newer one.
const Format = 1

// CheckFormat refuses a JSON document of a newer format. A document without a
// format, 0, is older than the field and has the same form as 1.
func CheckFormat(format int) error {
	if format < 0 || format > Format {
		return fmt.Errorf("`format` is %d: this sim reads up to %d; use a newer sim", format, Format)
	}
	return nil
}

// document is the JSON form of a run: its fields and what follows from them.
type document struct {
	Format int `json:"format"`
	*Run
	Checks     []checkDocument `json:"checks"`
	Throughput Throughput      `json:"throughput"`
}

// checkDocument is the JSON form of a check: of a failed one, what it expected
// and found stand there even when they are empty.
type checkDocument struct {
	Check
	Expected *string `json:"expected,omitempty"`
	Found    *string `json:"found,omitempty"`
}

// JSON writes one indented object for each run, each ending with a line feed.
// The names are documented in docs/RESULTS.md and are only ever added to.
// Numbers are finite (what is not becomes 0), and every rune that a terminal
// might obey is escaped.
func JSON(w io.Writer, runs []*Run) error {
	for _, r := range runs {
		text, err := encodeRun(r)
		if err != nil {
			return fmt.Errorf("encoding the result of %q: %w", r.Scenario, err)
		}
		if _, err := w.Write(text); err != nil {
			return fmt.Errorf("writing the JSON result of %q: %w", r.Scenario, err)
		}
	}
	return nil
}

func encodeRun(r *Run) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(documentOf(r)); err != nil {
		return nil, err
	}
	return EscapeJSON(b.Bytes()), nil
}

// documentOf is r without numbers that JSON cannot write and without lists
// that would be null.
func documentOf(r *Run) document {
	c := *r
	c.VirtualSeconds = finite(r.VirtualSeconds)
	c.WallSeconds = finite(r.WallSeconds)
	c.Operations = append([]Operation{}, r.Operations...)
	d := document{Format: Format, Run: &c, Checks: make([]checkDocument, 0, len(r.Checks)), Throughput: r.Throughput()}
	for _, check := range r.Checks {
		d.Checks = append(d.Checks, checkDocumentOf(check))
	}
	return d
}

func checkDocumentOf(c Check) checkDocument {
	if c.AtSeconds != nil {
		at := finite(*c.AtSeconds)
		c.AtSeconds = &at
	}
	d := checkDocument{Check: c}
	if c.Verdict == Failed || c.Expected != "" {
		d.Expected = &c.Expected
	}
	if c.Verdict == Failed || c.Found != "" {
		d.Found = &c.Found
	}
	return d
}

// MarshalJSON writes the name, the number of samples and the delays.
func (o Operation) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Name    string `json:"name"`
		Count   int64  `json:"count"`
		DelayMs Delays `json:"delay_ms"`
	}{o.Name, o.Count(), o.Delays()})
}

// EscapeJSON escapes what the JSON encoder leaves alone: DEL, the C1
// controls, direction marks. Valid on a whole document, since beyond ASCII
// nothing stands outside its strings.
func EscapeJSON(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		if r < 0x7f || strconv.IsPrint(r) {
			out = append(out, text[:size]...)
		} else {
			for _, unit := range utf16.Encode([]rune{r}) {
				out = fmt.Appendf(out, `\u%04x`, unit)
			}
		}
		text = text[size:]
	}
	return out
}
