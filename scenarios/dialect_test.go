package scenarios

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
)

// TestDialectMistakes: a mistake in a dialect is told with its place, the text found and the form expected.
func TestDialectMistakes(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"about: x\n", "d.yaml:1:1: key `name` is missing: a name of letters, digits, -, _ and . that begins with " +
			"a letter or a digit (reports are named after it)"},
		{"name: x\nlogin: [send: '{user}{password}']\n",
			"d.yaml:2:15: `send` is \"{user}{password}\": {password} follows a value of unknown length: write a text " +
				"between them; expected the text of a message, with placeholders such as {user}"},
		{"name: x\nlogin: [send: '{password}']\n", "d.yaml:2:1: `login` has no {user}"},
		{"name: x\ndownload: [send: a, recv: b]\n", "d.yaml:2:1: `download` has no {tempid}"},
		{"name: x\nupload: [each: [recv: a]]\n", "d.yaml:2:17: the first step of `each` is `recv`; expected `send`"},
		{"name: x\nclient: columns 0\n",
			"d.yaml:2:9: `client` is \"columns 0\": the width is 1 to 1024 bytes; expected `raw`, `lines`, `utf`, " +
				"`bar`, `int4`, `netstring`, `columns N`, `fixed N` or `ends TEXT`"},
		{"name: x\ntimes: '%H:%M:%S'\n",
			"d.yaml:2:8: `times` is \"%H:%M:%S\": it lacks %Y; expected `unix`, or a layout such as %d/%m/%Y %H:%M:%S"},
		{"name: x\nlogin: [{send: '{user} {password}', recv: b}]\n",
			"d.yaml:2:37: a step has one kind, and this one has `send` and `recv`; expected one of them"},
		{"name: x\noutcomes: {welcome: a, wrong: b, welcom: a}\n",
			"d.yaml:2:34: unknown key `welcom`; did you mean `welcome`?"},
	} {
		for _, needed := range []string{
			"login: [send: '{user} {password}']\n", "again: [send: '{password}']\n",
			"outcomes: {welcome: yes, wrong: no}\n",
		} {
			if key, _, _ := strings.Cut(needed, ":"); !strings.Contains(c.text, key) {
				c.text += needed
			}
		}
		_, err := ParseDialect("d.yaml", []byte(c.text))
		if err == nil || err.Error() != c.want {
			t.Errorf("%q: %v\nwant %s", c.text, err, c.want)
		}
	}
}

// TestDialectThatIsMissing names the dialects of the program.
func TestDialectThatIsMissing(t *testing.T) {
	_, err := LoadDialect("seeds")
	const want = `no dialect "seeds"; the dialects of the program are bar, codes,`
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), want) {
		t.Error(err)
	}
}
