package swarm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// document is the JSON form of a summary: its fields and what follows from them.
type document struct {
	*Summary
	Failures   []*Group   `json:"failures"`
	Throughput throughput `json:"throughput"`
}

type throughput struct {
	RunsPerSecond        float64 `json:"runs_per_second"`
	RunsPerSecondPerCore float64 `json:"runs_per_second_per_core"`
	VirtualPerWall       float64 `json:"virtual_per_wall"`
}

// JSON writes the summary as one indented object, documented in docs/RESULTS.md.
// Every rune that a terminal might obey is escaped.
func (s *Summary) JSON(w io.Writer) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(document{s, s.Sorted(), s.throughput()}); err != nil {
		return fmt.Errorf("encoding the result of the swarm: %w", err)
	}
	if _, err := w.Write(escaped(b.Bytes())); err != nil {
		return fmt.Errorf("writing the JSON result of the swarm: %w", err)
	}
	return nil
}

func (s *Summary) throughput() throughput {
	if s.WallSeconds <= 0 {
		return throughput{}
	}
	t := throughput{RunsPerSecond: float64(s.Runs) / s.WallSeconds, VirtualPerWall: float64(s.VirtualMs) / 1000 / s.WallSeconds}
	t.RunsPerSecondPerCore = t.RunsPerSecond / float64(max(s.Jobs, 1))
	return t
}

// escaped has what the JSON encoder leaves alone escaped: DEL, the C1 controls,
// direction marks. Beyond ASCII nothing stands outside strings.
func escaped(text []byte) []byte {
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
