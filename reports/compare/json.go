package compare

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"bluetrace/reports"
)

// JSON writes the comparison as one indented object. The names are documented in
// docs/RESULTS.md and are only ever added to.
func JSON(w io.Writer, c *Comparison) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(c); err != nil {
		return fmt.Errorf("encoding the comparison: %w", err)
	}
	if _, err := w.Write(reports.EscapeJSON(b.Bytes())); err != nil {
		return fmt.Errorf("writing the comparison: %w", err)
	}
	return nil
}
