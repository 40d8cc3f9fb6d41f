package reports

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Escape is text with every rune that a terminal might obey, or that cannot be
// seen, written as a Go escape (\n, \x1b, \u202e), so that nothing that came
// from a peer or a file can move the cursor or fake a line. Bytes that are not
// UTF-8 become \xNN. A backslash stays as it is.
func Escape(text string) string {
	if isPlain(text) {
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

func isPlain(text string) bool {
	for _, r := range text {
		if r == utf8.RuneError || !strconv.IsPrint(r) {
			return false
		}
	}
	return true
}

// fit is text in at most width columns, one a rune.
func fit(text string, width int) string {
	if utf8.RuneCountInString(text) <= width {
		return text
	}
	return string([]rune(text)[:width-1]) + "…"
}
