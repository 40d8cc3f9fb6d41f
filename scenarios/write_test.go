package scenarios

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// asWritten compares two scenarios except for positions in a file.
var asWritten = cmp.Options{
	cmpopts.IgnoreTypes(Pos{}),
	cmpopts.IgnoreFields(Scenario{}, "Vars", "Written", "Text", "Hash"),
	cmpopts.IgnoreFields(Step{}, "Text"),
	cmpopts.IgnoreFields(Fault{}, "Text"),
	cmpopts.IgnoreFields(Adversary{}, "Text"),
	cmpopts.EquateEmpty(),
	cmp.FilterValues(func(a, b []int) bool { return len(a)+len(b) > 20 }, cmp.Comparer(slices.Equal[[]int])),
	cmp.Comparer(func(a, b *time.Location) bool { return a.String() == b.String() }),
	cmp.Comparer(func(a, b *regexp.Regexp) bool {
		return (a == nil) == (b == nil) && (a == nil || a.String() == b.String())
	}),
}

type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// comesBack writes s, parses the text, and fails unless it is the same scenario.
func comesBack(t failer, s *Scenario) []byte {
	t.Helper()
	text := s.AppendYAML([]byte("# why\n"))
	got, err := Parse(s.File, text, Options{})
	if err != nil {
		t.Fatalf("the written scenario is refused:\n%v\n%s", err, text)
	}
	if diff := cmp.Diff(s, got, asWritten); diff != "" {
		t.Fatalf("the written scenario differs:\n%s\n%s", diff, text)
	}
	if again := got.AppendYAML([]byte("# why\n")); string(again) != string(text) {
		t.Fatalf("written twice:\n%s", cmp.Diff(string(text), string(again)))
	}
	return text
}

// TestTheLibraryIsWritten checks that every file of the library and every example of the documentation is the same
// scenario after it is written and parsed again.
func TestTheLibraryIsWritten(t *testing.T) {
	var texts [][2]string
	for _, f := range library(t) {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, [2]string{f, string(text)})
	}
	for _, e := range examples(t) {
		texts = append(texts, [2]string{page, e.inFile()})
	}
	for _, one := range texts {
		s, err := Parse(one[0], []byte(one[1]), Options{Vars: given(one[1])})
		if err != nil {
			t.Errorf("%s: %v", one[0], err)
			continue
		}
		text := comesBack(t, s)
		if schemaRefuses(t, text) {
			t.Errorf("%s: the schema refuses\n%s", one[0], text)
		}
		again, err := Parse(one[0], text, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(keys(s.Written), keys(again.Written)); diff != "" {
			t.Errorf("%s: keys that were written: %s", one[0], diff)
		}
	}
}

// given returns values for variables without a default.
func given(text string) map[string]string {
	if regexp.MustCompile(`\$\{TRACE\}`).MatchString(text) {
		return map[string]string{"TRACE": "trace.csv"}
	}
	return nil
}

func keys(m map[string]Pos) []string { return slices.Sorted(maps.Keys(m)) }

func TestHowValuesAreWritten(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{percentText(0), "0%"}, {percentText(1), "100%"}, {percentText(0.3), "30%"}, {percentText(0.005), "0.5%"},
		{percentText(0.125), "12.5%"}, {percentText(0.011), "1.1%"}, {percentText(1e-9), "0.0000001%"},
		{durationText(90 * time.Second), "1m30s"}, {durationText(time.Hour + 5*time.Second), "1h5s"},
		{durationText(-50 * time.Millisecond), "-50ms"},
		{durationText(3*time.Minute - 1), "2m59.999999999s"}, {durationText(0), "0s"},
		{Distribution{Mean: time.Second}.String(), "exp 1s"}, {Distribution{Min: 1, Max: 2}.String(), "1ns..2ns"},
	} {
		if c.got != c.want {
			t.Errorf("got %s, want %s", c.got, c.want)
		}
	}
}

// TestWordsThatMoved checks that expectations use the names of phones and labels of the written file.
func TestWordsThatMoved(t *testing.T) {
	s := parsed(t, `script: [{at: 1s, phone: a, do: Upload_contact_log, as: up}]
expect: [up.entries == group-2.log at up + 1, group-*.log.age_max <= 2m59.5s, up.at >= 1s]
`, Options{})
	s.Phones = []PhoneGroup{s.Phones[0], s.Phones[1]}
	s.Phones[1].Name, s.Script[0].As = "pupil", "sent"
	for i, want := range []string{"sent.entries == pupil-2.log at up + 1", "pupil.log.age_max <= 2m59.5s",
		"sent.at >= 1s"} {
		if got := newWriter(s).comparison(&s.Expect[i]); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
