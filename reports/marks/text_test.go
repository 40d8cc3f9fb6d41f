package marks

import (
	"flag"
	"io"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite testdata/sheet.txt")

// TestTextIsAsInItsFile compares the text for a student with testdata/sheet.txt.
func TestTextIsAsInItsFile(t *testing.T) {
	got := written(t, func(w io.Writer) error { return WriteText(w, sample(), false) })
	if *update {
		if err := os.WriteFile("testdata/sheet.txt", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/sheet.txt")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Error(diff)
	}
}

func TestTextOfAProblem(t *testing.T) {
	got := written(t, func(w io.Writer) error {
		return WriteText(w, &Sheet{Submission: "team-08", Problem: "The build failed: " + hostile}, false)
	})
	want := `NOT JUDGED  team-08

  Your submission could not be judged: The build failed: \x1b[31mred\x1b]0;title\a </script></style><script>alert(1)` +
		`</script> ]]> <!-- & "'` + "`" + ` \xff\xfe \u202egnp\u2066 \x00 {{.}} =cmd()

  result      no rule was judged
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestTextHasColorsOnlyOfItsOwn(t *testing.T) {
	var b strings.Builder
	if err := WriteText(&b, sample(), true); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(b.String(), "\x1b[1;31mFAILED\x1b[0m  team-07") {
		t.Errorf("got %.60q", b.String())
	}
	if got := strings.Count(b.String(), "\x1b["); got != 2*(2+len(Marks)) {
		t.Errorf("%d escape sequences, want two for the verdict, for each mark and for advice", got)
	}
	for line := range strings.Lines(b.String()) {
		if n := utf8.RuneCountInString(line); n > valueWidth+150 {
			t.Errorf("a line has %d runes", n)
		}
	}
}

func TestSentenceAboutTheSubject(t *testing.T) {
	for of, want := range map[string]string{"server": "Your server was started ",
		"phone": "Your phone program was started ", "both": "Your programs were started "} {
		if got := judged(&Sheet{Results: []Result{{Of: of, Mark: Failed}}})[0]; !strings.HasPrefix(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestSentencesFitTheMarks(t *testing.T) {
	s := &Sheet{Results: []Result{{Group: "course", Mark: Passed}, {Group: "advice", Mark: Failed}}}
	if got := judged(s); len(got) != 3 || !strings.HasSuffix(got[2], "you passed without them.") {
		t.Errorf("a failed advice gives %q", got)
	}
	if got := judged(&Sheet{Results: []Result{{Mark: NotJudged}}}); got != nil {
		t.Errorf("a sheet without a judged rule gives %q", got)
	}
}

func TestProblemIsNotRepeatedForEachRule(t *testing.T) {
	broken := sampleClass().Complete().Sheets[1]
	for _, write := range []func(io.Writer, *Sheet) error{WriteHTML,
		func(w io.Writer, s *Sheet) error { return WriteText(w, s, false) }} {
		text := written(t, func(w io.Writer) error { return write(w, broken) })
		if n := strings.Count(text, "The server has ended"); n != 1 {
			t.Errorf("the problem is there %d times, want once", n)
		}
		if !strings.Contains(text, "letter case matters") || strings.Contains(text, "Each rule ran alone") {
			t.Errorf("got\n%s", text)
		}
	}
}
