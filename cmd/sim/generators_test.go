package main

import (
	"bufio"
	"io"
	"strings"
	"testing"
)

// TestLinesOfGenerators: each line reaches the generator that it is of. A number alone ends a generator, and the end of
// the lines, or a number of no generator, ends all.
func TestLinesOfGenerators(t *testing.T) {
	for name, c := range map[string]struct {
		lines string
		want  [2]string
	}{
		"both":     {"1 b1\n0 a1\n1 b 2\n", [2]string{"a1\n", "b1\nb 2\n"}},
		"a ends":   {"0 a1\n0\n0 a2\n1 b1\n", [2]string{"a1\n", "b1\n"}},
		"unknown":  {"0 a1\n2 c1\n1 b1\n", [2]string{"a1\n", ""}},
		"negative": {"-1 c1\n1 b1\n", [2]string{"", ""}},
		"no line":  {"0 a1\n1 b1", [2]string{"a1\n", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			var to []*io.PipeWriter
			got := [2]chan string{make(chan string, 1), make(chan string, 1)}
			for i := range got {
				r, w := io.Pipe()
				to = append(to, w)
				go func() {
					text, _ := io.ReadAll(r)
					got[i] <- string(text)
				}()
			}
			distribute(bufio.NewReader(strings.NewReader(c.lines)), to)
			for i := range got {
				if text := <-got[i]; text != c.want[i] {
					t.Errorf("generator %d got %q, want %q", i, text, c.want[i])
				}
			}
		})
	}
}

func TestLineToAGenerator(t *testing.T) {
	var b strings.Builder
	if n, err := (&numbered{12, &b}).Write([]byte("x y\n")); n != 4 || err != nil || b.String() != "12 x y\n" {
		t.Errorf("%d, %v, %q", n, err, b.String())
	}
}
