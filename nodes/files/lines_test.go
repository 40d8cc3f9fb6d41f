package files

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func readLines(l *lines) (all []string) {
	for {
		line, ok := l.next()
		if !ok {
			return all
		}
		all = append(all, fmt.Sprintf("%d %t %t %d %.10s", l.number, l.whole, l.long, len(line), line))
	}
}

func TestLines(t *testing.T) {
	long := strings.Repeat("y", longestLine)
	huge := strings.Repeat("z", 2*lineBuffer+7)
	tests := map[string][]string{
		"":                      nil,
		"\n":                    {"1 true false 0 "},
		"a":                     {"1 false false 1 a"},
		"a\n\nb":                {"1 true false 1 a", "2 true false 0 ", "3 false false 1 b"},
		long + "\na":            {"1 true false 4096 yyyyyyyyyy", "2 false false 1 a"},
		long + "y\na\n":         {"1 true true 4096 yyyyyyyyyy", "2 true false 1 a"},
		huge + "\n" + huge:      {"1 true true 4096 zzzzzzzzzz", "2 false true 4096 zzzzzzzzzz"},
		"a\n" + huge + "\nb\n":  {"1 true false 1 a", "2 true true 4096 zzzzzzzzzz", "3 true false 1 b"},
		strings.Repeat("\n", 2): {"1 true false 0 ", "2 true false 0 "},
		"a\r\n\x00\n":           {"1 true false 2 a\r", "2 true false 1 \x00"},
	}
	for text, want := range tests {
		t.Run(fmt.Sprintf("%.30q", text), func(t *testing.T) {
			l := newLines(strings.NewReader(text), int64(len(text)))
			equal(t, fmt.Sprintf("%.20q", text), readLines(l), want)
			if l.err != nil || l.in.Size() > lineBuffer {
				t.Errorf("%.20q: %v, a buffer of %d", text, l.err, l.in.Size())
			}
		})
	}
}

// Lines across the end of the buffer are returned whole.
func TestLinesAcrossTheBuffer(t *testing.T) {
	var text bytes.Buffer
	var want []string
	for i := 0; text.Len() < 3*lineBuffer; i++ {
		line := strings.Repeat(string(rune('a'+i%26)), i*31%4000)
		text.WriteString(line + "\n")
		want = append(want, line)
	}
	l := newLines(bytes.NewReader(text.Bytes()), int64(text.Len()))
	for i := range want {
		if line, ok := l.next(); !ok || string(line) != want[i] || l.number != i+1 {
			t.Fatalf("line %d: %.20q, %v, want %.20q", i+1, line, ok, want[i])
		}
	}
	if _, ok := l.next(); ok {
		t.Error("a line more")
	}
}

func TestLinesOfAFileThatFails(t *testing.T) {
	l := newLines(readerAt{iotest.ErrReader(errFault)}, 10)
	equal(t, "lines", readLines(l), nil)
	equal(t, "error", l.err == errFault, true)
	l = newLines(strings.NewReader("ab"), 10) // it was cut off since
	equal(t, "lines", readLines(l), []string{"1 false false 2 ab"})
	equal(t, "error", l.err, nil)
}

type readerAt struct{ io.Reader }

func (r readerAt) ReadAt(p []byte, _ int64) (int, error) { return r.Read(p) }
