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

// document is the JSON form of a run: its fields and what follows from them.
type document struct {
	*Run
	Throughput Throughput `json:"throughput"`
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
	if err := e.Encode(document{Run: encodable(r), Throughput: r.Throughput()}); err != nil {
		return nil, err
	}
	return escapeUnprintable(b.Bytes()), nil
}

// encodable is a copy of r without numbers that JSON cannot write and without
// lists that would be null.
func encodable(r *Run) *Run {
	c := *r
	c.VirtualSeconds = finite(r.VirtualSeconds)
	c.WallSeconds = finite(r.WallSeconds)
	c.Operations = append([]Operation{}, r.Operations...)
	c.Checks = append([]Check{}, r.Checks...)
	for i, check := range c.Checks {
		if check.AtSeconds != nil {
			at := finite(*check.AtSeconds)
			c.Checks[i].AtSeconds = &at
		}
	}
	return &c
}

// MarshalJSON writes the name, the number of samples and the delays.
func (o Operation) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Name    string `json:"name"`
		Count   int64  `json:"count"`
		DelayMs Delays `json:"delay_ms"`
	}{o.Name, o.Count(), o.Delays()})
}

// escapeUnprintable escapes what the JSON encoder leaves alone: DEL, the C1
// controls, direction marks. Valid on a whole document, since beyond ASCII
// nothing stands outside its strings.
func escapeUnprintable(text []byte) []byte {
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
