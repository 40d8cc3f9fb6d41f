package scenarios

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite schema.json and the answers in testdata")

// needed are the keys of the smallest scenario.
var needed = []struct{ key, text string }{
	{"name", "name: t\n"},
	{"phones", "phones: [{name: a}, {name: group, count: 3}, {name: mute, account: none}]\n"},
	{"length", "length: 1m\n"},
	{"expect", "expect: [beacons.sent == 0]\n"},
}

// completed adds the needed keys that text lacks.
func completed(text string) string {
	for _, n := range needed {
		if !strings.Contains("\n"+text, "\n"+n.key+":") && !strings.Contains(text, "no"+n.key+":") {
			text += n.text
		}
	}
	return text
}

// mistakeCase is one block of a file in testdata.
type mistakeCase struct{ title, text, answer string }

const answerMark = "----\n"

func mistakeCases(t *testing.T, path string) (preface string, list []mistakeCase) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split("\n"+string(raw), "\n== ")
	for _, p := range parts[1:] {
		title, body, _ := strings.Cut(p, "\n")
		text, answer, _ := strings.Cut(body, answerMark)
		list = append(list, mistakeCase{title, strings.Trim(text, "\n") + "\n", strings.TrimRight(answer, "\n") + "\n"})
	}
	if len(list) == 0 {
		t.Fatalf("%s holds no mistakeCases", path)
	}
	return strings.TrimPrefix(parts[0], "\n"), list
}

func (s mistakeCase) document() []byte {
	text := s.text
	if strings.HasPrefix(s.title, "whole:") {
		return []byte(strings.TrimPrefix(text, "\n"))
	}
	return []byte(completed(text))
}

// TestMistakes compares every message with testdata/mistakes.txt.
func TestMistakes(t *testing.T) {
	const path = "testdata/mistakes.txt"
	preface, list := mistakeCases(t, path)
	var out bytes.Buffer
	out.WriteString(preface)
	for _, s := range list {
		var got string
		t.Run(s.title, func(t *testing.T) {
			if got = answer(t, s.document()); !*update && got != s.answer {
				t.Error(cmp.Diff(s.answer, got))
			}
		})
		out.WriteString("\n== " + s.title + "\n" + s.text + answerMark + got)
	}
	if *update {
		if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func answer(t *testing.T, text []byte) string {
	t.Helper()
	_, err := Parse("f", text, Options{})
	var m *Mistakes
	if !errors.As(err, &m) {
		t.Errorf("want mistakes, got %v for\n%s", err, text)
		return ""
	}
	verdict := "takes"
	if schemaRefuses(t, text) {
		verdict = "refuses"
	}
	return m.Error() + "\nthe schema " + verdict + " it\n"
}

// TestMistakesAreSorted also checks the limit of the list.
func TestMistakesAreSorted(t *testing.T) {
	text := strings.Repeat("bad: [", 1) + "]\n"
	for i := range 300 {
		text += "x" + strings.Repeat("y", i) + ": 1\n"
	}
	_, err := Parse("f", []byte(text), Options{})
	var m *Mistakes
	if !errors.As(err, &m) {
		t.Fatalf("want mistakes, got %v", err)
	}
	if got := len(m.List); got != maxMistakes+1 {
		t.Errorf("listed %d mistakes, want %d", got, maxMistakes+1)
	}
	if got, want := m.List[maxMistakes].String(), "f: and 105 more"; got != want {
		t.Errorf("the last line is %q, want %q", got, want)
	}
	listed := m.List[:maxMistakes]
	if !slices.IsSortedFunc(listed, func(a, b Mistake) int { return a.Pos.Line - b.Pos.Line }) {
		t.Error("the mistakes are not in the order of their lines")
	}
}

// TestTooManyValues checks that a file with too many values has no other mistake.
func TestTooManyValues(t *testing.T) {
	text := "name: t\nlength: 1m\nphones: [{name: a}]\nfaults:\n  - &f {lose: 1%, from: nobody}\n" +
		strings.Repeat("  - *f\n", maxValues/3)
	_, err := Parse("f", []byte(text), Options{})
	const want = "the file holds more than 500000 values, aliases counted as often as they are used"
	var m *Mistakes
	if !errors.As(err, &m) || len(m.List) != 1 || m.List[0].Message != want {
		t.Errorf("got %v, want %s alone", err, want)
	}
}

func TestQuoted(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"plain", `"plain"`},
		{"a\x1b[31mb\n", `"a\x1b[31mb\n"`},
		{strings.Repeat("é", 40), `"` + strings.Repeat("é", 30) + `"...`},
		{"\xff", `"\xff"`},
	} {
		if got := quoted(c.text); got != c.want {
			t.Errorf("quoted(%q) is %s, want %s", c.text, got, c.want)
		}
	}
	for _, c := range []struct{ key, want string }{{"phnes", "`phnes`"}, {"a`b", "\"a`b\""}, {"a\tb", `"a\tb"`}} {
		if got := keyQuoted(c.key); got != c.want {
			t.Errorf("keyQuoted(%q) is %s, want %s", c.key, got, c.want)
		}
	}
}
