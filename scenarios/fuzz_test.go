package scenarios

import (
	"bytes"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// FuzzParse checks that Parse does not panic, that mistakes have a position in the file and printable messages, and
// that scenarios name existing phones.
func FuzzParse(f *testing.F) {
	for _, name := range library(f) {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	for _, e := range examples(f) {
		f.Add([]byte(e.inFile()))
	}
	raw, err := os.ReadFile("testdata/mistakes.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, block := range strings.Split(string(raw), "\n== ")[1:] {
		_, body, _ := strings.Cut(block, "\n")
		text, _, _ := strings.Cut(body, answerMark)
		f.Add([]byte(completed(text)))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 1<<16 {
			return
		}
		s, err := Parse("f", text, Options{Vars: map[string]string{"N": "2"}})
		if err == nil {
			checkTaken(t, s)
			if len(s.PhoneNames()) <= 1000 { // comparing more takes long
				comesBack(t, s)
			}
			return
		}
		var m *Mistakes
		if !errors.As(err, &m) || len(m.List) == 0 {
			t.Fatalf("%v is no list of mistakes", err)
		}
		// YAML has more line ends than this file, and ends the last line itself.
		lines := 2
		for _, r := range string(text) {
			if strings.ContainsRune("\n\r\u0085\u2028\u2029", r) {
				lines++
			}
		}
		for _, one := range m.List {
			if one.Pos.Line > lines {
				t.Errorf("line %d of %d: %s", one.Pos.Line, lines, one.Message)
			}
			if i := strings.IndexFunc(one.Message, func(r rune) bool {
				return !unicode.IsGraphic(r) ||
					r == unicode.ReplacementChar
			}); i >= 0 {
				t.Errorf("unprintable at byte %d of %q", i, one.Message)
			}
		}
	})
}

func checkTaken(t *testing.T, s *Scenario) {
	t.Helper()
	total := 0
	for _, g := range s.Phones {
		total += g.Count
	}
	within := func(phones ...int) {
		for _, p := range phones {
			if p < -1 || p >= total {
				t.Fatalf("phone %d of %d", p, total)
			}
		}
	}
	for _, r := range s.Routine {
		within(r.Phones...)
		if (r.Every > 0) == (r.Within > 0) && r.Every > 0 || len(r.Do) == 0 {
			t.Fatalf("routine %+v", r)
		}
	}
	for i, step := range s.Script {
		within(step.Phone)
		if step.At.AfterPrevious && (i == 0 || step.At.Label != "") {
			t.Fatalf("step %d begins at %+v", i, step.At)
		}
		if step.Fault != nil {
			checkFault(t, step.Fault, within)
		}
		for _, e := range step.Expect {
			if within(e.Phone); e.Within <= 0 {
				t.Fatalf("step %d waits %v", i, e.Within)
			}
		}
	}
	for i := range s.Faults {
		checkFault(t, &s.Faults[i], within)
	}
	for _, a := range s.Adversaries {
		if within(slices.Concat(a.By, a.Of, a.To)...); len(a.By) == 0 || (a.Every > 0) == (a.Kind == AdversaryReplay) {
			t.Fatalf("adversary %+v", a)
		}
	}
	for _, e := range s.Expect {
		for _, term := range append(e.Left.Terms, e.Right.Terms...) {
			if p := term.Operand.Path; p != nil && (p.Step >= len(s.Script) || p.Counter == "" && p.Step < 0 &&
				len(p.Phones) == 0) {
				t.Fatalf("%q has the path %+v", e.Text, p)
			}
		}
	}
	if s.Zone == nil || len(s.Phones) == 0 {
		t.Fatalf("zone %v, %d groups of phones", s.Zone, len(s.Phones))
	}
}

func checkFault(t *testing.T, f *Fault, within func(...int)) {
	t.Helper()
	for _, n := range []Nodes{f.Of, f.From, f.To} {
		within(n.Phones...)
	}
	nobody := !f.Of.Any && !f.Of.Server && len(f.Of.Phones) == 0 && !f.From.Any && !f.From.Server &&
		len(f.From.Phones) == 0
	if nobody || f.Chance < 0 || f.Chance > 1 || f.Every > 0 && f.For >= f.Every || f.At < 0 || f.For < 0 ||
		f.Until > 0 && f.Until <= f.At {
		t.Fatalf("fault %+v", f)
	}
}

// FuzzComparison checks that parsing a comparison does not panic and that the offsets of its values are right.
func FuzzComparison(f *testing.F) {
	for _, text := range []string{
		"beacons.valid > 1000", "upload.entries == pupil-3.log at upload", "a.b + 2 - c.d at x <= 3m", "a<1", "a===1",
		"+ 1 > 2", "a at", "é > 1",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseComparison(text)
		if err != nil {
			return
		}
		for _, term := range append(c.left, c.right...) {
			if !strings.HasPrefix(text[term.offset:], term.text) {
				t.Errorf("%q: %q does not stand at byte %d", text, term.text, term.offset)
			}
			if term.at != "" && !strings.HasPrefix(text[term.atOffset:], term.at) {
				t.Errorf("%q: moment %q does not stand at byte %d", text, term.at, term.atOffset)
			}
		}
		if !strings.Contains(text, c.op) || len(c.left) == 0 || len(c.right) == 0 {
			t.Errorf("%q became %+v", text, c)
		}
	})
}

// FuzzTrace checks that reading a trace ends without a panic, with contacts in order and within the selected part.
func FuzzTrace(f *testing.F) {
	for _, text := range []string{"100 1 2\n120 1 3\n", "t,i,j\n20,1,2,a,b\n", "20\t1\t2\n20\t2\t1\n19\t1\t2",
		"\x1f\x8b\x08\x00", "\ufeff1 2 3"} {
		f.Add([]byte(text), int64(0), int64(0))
	}
	f.Add([]byte("100 1 2\n120 1 3\n140 2 3\n"), int64(90), int64(130))
	f.Fuzz(func(t *testing.T, text []byte, from, until int64) {
		r, err := NewTraceReader(bytes.NewReader(text), &Trace{File: "f", From: from, HasFrom: from > 0, Until: until,
			HasUntil: until > 0})
		if err != nil {
			return
		}
		var last Contact
		for {
			c, err := r.Next()
			if err != nil {
				var m *TraceMistake
				if !errors.Is(err, io.EOF) && !errors.As(err, &m) {
					t.Fatalf("reading bytes from memory fails with %v", err)
				}
				return
			}
			if c.Begin < 0 || c.End <= c.Begin || c.End-c.Begin > TraceInterval || c.Line <= last.Line ||
				c.Time < last.Time || c.I == c.J {
				t.Fatalf("%+v after %+v", c, last)
			}
			last = c
		}
	})
}
