package scenarios

import (
	"strings"
	"testing"
)

// mistakesIn returns the mistakes of a file, or "" if it has none.
func mistakesIn(text string) string {
	_, err := Parse("f", []byte(text), Options{})
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestSeparatorsAreCharacters checks that the line ends of YAML 1.1 are characters like others, in each kind of text,
// and that they do not move the lines below them.
func TestSeparatorsAreCharacters(t *testing.T) {
	for _, c := range []string{"\u0085", "\u2028", "\u2029", "\u2028\u2029\u0085", "\ue000\u2028\ue001"} {
		about := "a" + c + "b"
		for _, line := range []string{
			"# pasted" + c + " comment: [\nabout: \"" + about + "\"\n", "about: '" + about + "'\n# x\n",
			"about: " + about + " # pasted" + c + "\n# x\n", "about: |-\n  " + about + "\n",
			"about: &" + strings.Repeat("x", 3) + " \"" + about + "\"\n# x\n",
		} {
			text := completed(line)
			s, err := Parse("f", []byte(text), Options{})
			if err != nil {
				t.Errorf("%q: %v", text, err)
				continue
			}
			if s.About != about {
				t.Errorf("%q: about is %q", text, s.About)
			}
			comesBack(t, s)
			if got, want := mistakesIn("name: t\n"+line+"seed: x\nexpekt: 1\n"+text),
				"f:4:7: `seed` is \"x\""; !strings.Contains(got, want) ||
				!strings.Contains(got, "f:5:1: unknown key `expekt`") {
				t.Errorf("%q: %s\nwant %s and f:5:1", line, got, want)
			}
		}
	}
}

// TestLookalikes checks that a character that stands for a blank is named at its place.
func TestLookalikes(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"name:\u00a0t\nphones: [{name: q}]\n", "f:1:6: found U+00A0 "},
		{"name: x\nphones: [{name:\u00a0q}]\n", "f:2:16: found U+00A0 "},
		{"name: x\nphones: [{name: q},\u3000{name: r}]\n", "f:2:20: found U+3000 "},
		{"name: x\nphones:\n\u00a0\u00a0- {name: q}\n", "f:3:1: found U+00A0 "},
		{"name: x\nphones:\n  -\u202f{name: q}\n", "f:3:4: found U+202F "},
		{"name: x\r\nphones:\u200b[{name: q}]\n", "f:2:8: found U+200B "},
		{"name: x\rphones:\u2028[{name: q}]\r", "f:2:8: found U+2028 "},
		{"\ufeffname:\ufeffx\nphones: [{name: q}]\n", "f:1:6: found U+FEFF "},
	} {
		got := mistakesIn(c.text)
		if !strings.HasPrefix(got+"\n", c.want) && !strings.Contains(got, "\n"+c.want) ||
			strings.Count(got, "found U+") != 1 {
			t.Errorf("%q: %s\nwant %s", c.text, got, c.want)
		}
	}
	for _, text := range []string{
		"# note:\u00a0x\nbad: 1\n", "about: \"note:\u00a0x\"\nbad: 1\n", "about: 'a,\u00a0b'\nbad: 1\n",
		"about: a\u00a0b\nbad: 1\n",
		"seed: 1 # a:\u00a0b\nbad: 1\n",
	} {
		if got := mistakesIn(completed(text)); strings.Contains(got, "found U+") ||
			!strings.Contains(got, "unknown key `bad`") {
			t.Errorf("%q: %s", text, got)
		}
	}
	if got := mistakesIn(completed("about: \"note:\u00a0x\"\nphnes\u00a0: 1\n")); !strings.Contains(got,
		`unknown key "phnes\u00a0"`) {
		t.Errorf("got %s", got)
	}
}

// TestLineEnds checks that CR and CR LF end a line as LF does, for the places of mistakes, too.
func TestLineEnds(t *testing.T) {
	const text = "name: t\nphones: [{name: a}]\nlength: 1m\nabout: |\n  one\n  two\nexpect: [beacons.sent == 0, \"1 " +
		"= 2\"]\n"
	want := mistakesIn(text)
	if !strings.HasPrefix(want, "f:7:") {
		t.Fatalf("got %s, want a mistake in line 7", want)
	}
	for _, end := range []string{"\r", "\r\n"} {
		if got := mistakesIn(strings.ReplaceAll(text, "\n", end)); got != want {
			t.Errorf("with %q: %s\nwant %s", end, got, want)
		}
	}
	s := parsed(t, strings.ReplaceAll("about: |\n  one\n  two\n", "\n", "\r"), Options{})
	if s.About != "one\ntwo\n" {
		t.Errorf("about is %q", s.About)
	}
}

func TestUTF16IsNamed(t *testing.T) {
	for _, text := range []string{"\xff\xfen\x00a\x00", "\xfe\xff\x00n\x00a", "n\x00a\x00", "\x00n\x00a"} {
		if got, want := mistakesIn(text), "f:1:1: the file is UTF-16 text; save it as UTF-8"; got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// TestAPackedScenarioIsNamed has archives in place of a scenario.
func TestAPackedScenarioIsNamed(t *testing.T) {
	for text, format := range map[string]string{
		"\x1f\x8b\x08": "a gzip file", "PK\x03\x04": "a zip archive", "\xfd7zXZ\x00": "an xz file",
		tarOf(t, completed("")): "a tar archive",
	} {
		want := "f:1:1: this is " + format + "; expected a scenario, which is UTF-8 text"
		if got := mistakesIn(text); got != want {
			t.Errorf("%.8q: %s, want %s", text, got, want)
		}
	}
}

// TestLongNames checks that the message of a name that is too long has the limit.
func TestLongNames(t *testing.T) {
	long := strings.Repeat("n", 101)
	const limit = ": it has 101 characters, and a name has at most 100; expected "
	for _, text := range []string{
		"name: NAME\n", "phones: [{name: NAME}]\n", "phones: [{name: a}, {name: b, account: NAME}]\n",
		"script: [{at: 1s, phone: NAME, login: right}]\n", "script: [{at: 1s, phone: a, login: right, as: NAME}]\n",
		"contacts: {everyone: [a, NAME]}\n",
	} {
		if got := mistakesIn(completed(strings.ReplaceAll(text, "NAME", long))); !strings.Contains(got, limit) {
			t.Errorf("%s: %s\nwant %s", text, got, limit)
		}
	}
	if got := mistakesIn(completed("name: " + long[1:] + "\n")); got != "" {
		t.Errorf("a name of 100 characters: %s", got)
	}
}
