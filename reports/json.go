package reports

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"bluetrace/reports/filetype"
)

// Format is the version of the JSON forms, their first field. It changes when a
// reader of an older version would misread a newer one.
const Format = 1

// CheckFormat refuses a JSON document of a newer format. format is 0 if the document
// was written before the field existed; such a document has the same form as 1.
func CheckFormat(format int) error {
	if format < 0 {
		return fmt.Errorf("invalid `format` %d: must be 0 to %d", format, Format)
	}
	if format > Format {
		return fmt.Errorf("`format` is %d: this sim reads up to %d; use a newer sim", format, Format)
	}
	return nil
}

// TrimMark returns the text of a JSON file without its byte order mark. It refuses a file of another format.
func TrimMark(text []byte) ([]byte, error) {
	switch format := filetype.Of(text); format {
	case "":
		return bytes.TrimPrefix(text, []byte("\ufeff")), nil
	case filetype.UTF16:
		return nil, errors.New("the file is UTF-16 text; save it as UTF-8 (in PowerShell: Out-File -Encoding utf8)")
	default:
		return nil, fmt.Errorf("this is %s; expected JSON, which is UTF-8 text", format)
	}
}

// document is the JSON form of a run: its fields and the values derived from them.
type document struct {
	Format int `json:"format"`
	*Run
	Checks     []checkDocument `json:"checks"`
	Throughput Throughput      `json:"throughput"`
}

// checkDocument is the JSON form of a check. A failed check has its expected and
// found texts even if they are empty.
type checkDocument struct {
	Check
	Expected *string `json:"expected,omitempty"`
	Found    *string `json:"found,omitempty"`
}

// JSON writes one indented object for each run, each ending with a line feed.
// docs/RESULTS.md documents the names; a later version only adds names. A number
// that is not finite becomes 0.
func JSON(w io.Writer, runs []*Run) error {
	for _, r := range runs {
		if err := WriteJSON(w, documentOf(r), fmt.Sprintf("the JSON result of %q", r.Scenario)); err != nil {
			return err
		}
	}
	return nil
}

// WriteJSON writes v as indented JSON, ending with a line feed. Every rune that a
// terminal may interpret is escaped. The error has the name of the document.
func WriteJSON(w io.Writer, v any, name string) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("encoding %s: %w", name, err)
	}
	return WriteDocument(w, EscapeJSON(b.Bytes()), name)
}

// documentOf returns the document of r. It replaces numbers that JSON cannot
// express, and lists that would be null.
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
	c.Verdict = c.Reported()
	d := checkDocument{Check: c}
	if c.Verdict == Failed || c.Expected != "" {
		d.Expected = &c.Expected
	}
	if c.Verdict == Failed || c.Found != "" {
		d.Found = &c.Found
	}
	return d
}

// OperationDocument is the JSON form of an Operation.
type OperationDocument struct {
	Name    string `json:"name"`
	Count   int64  `json:"count"`
	DelayMs Delays `json:"delay_ms"`
}

// MarshalJSON returns the document of the operation.
func (o Operation) MarshalJSON() ([]byte, error) {
	return json.Marshal(OperationDocument{o.Name, o.Count(), o.Delays()})
}

// EscapeJSON escapes the invisible runes that the JSON encoder does not: DEL, the
// C1 controls, direction marks. It may be applied to a whole document, because
// only the strings of a document contain runes beyond ASCII.
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
