package scenarios

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func readTrace(t *testing.T, text string, trace Trace) (list []Contact, odd []string, err error) {
	t.Helper()
	trace.File = "trace"
	r, err := NewTraceReader(strings.NewReader(text), &trace)
	if err != nil {
		return nil, nil, err
	}
	for {
		c, err := r.Next()
		if err != nil {
			for _, o := range r.Irregularities() {
				odd = append(odd, o.String())
			}
			if _, again := r.Next(); again != err {
				t.Errorf("after %v Next answers %v", err, again)
			}
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return list, odd, err
		}
		list = append(list, c)
	}
}

func zipped(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

const s = time.Second

func TestTraceForms(t *testing.T) {
	plainWant := []Contact{
		{Line: 1, Time: 100, I: "1", J: "2", Begin: 0, End: 20 * s},
		{Line: 2, Time: 140, I: "2", J: "3", Begin: 40 * s, End: 60 * s},
	}
	classed := []Contact{
		{Line: 1, Time: 100, I: "1", J: "2", ClassI: "1A", ClassJ: "1B", Begin: 0, End: 20 * s},
		{Line: 2, Time: 140, I: "2", J: "3", ClassI: "1B", ClassJ: "1A", Begin: 40 * s, End: 60 * s},
	}
	headed := []Contact{plainWant[0], plainWant[1]}
	headed[0].Line, headed[1].Line = 2, 3
	for _, c := range []struct {
		name, text string
		want       []Contact
	}{
		{"blanks", "100 1 2\n140 2 3\n", plainWant},
		{"many blanks and carriage returns", "100  1 2\r\n140 2  3 \r\n", plainWant},
		{"tabs", "100\t1\t2\n140\t2\t3\n", plainWant},
		{"commas", "100,1,2\n140, 2, 3\n", plainWant},
		{"no last line feed", "100 1 2\n140 2 3", plainWant},
		{"a byte order mark", "\ufeff100 1 2\n140 2 3", plainWant},
		{"a header", "t,i,j\n100,1,2\n140,2,3\n", headed},
		{"gzip", zipped(t, "100 1 2\n140 2 3\n"), plainWant},
		{"classes", "100\t1\t2\t1A\t1B\n140\t2\t3\t1B\t1A\n", classed},
		{"classes and more", "100,1,2,1A,1B,x,y\n140,2,3,1B,1A,z\n", classed},
		{"blank lines at the end", "100 1 2\n140 2 3\n\n \n", plainWant},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, odd, err := readTrace(t, c.text, Trace{})
			if err != nil || odd != nil {
				t.Fatalf("got error %v and odd lines %q", err, odd)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTraceSelection(t *testing.T) {
	text := "100 1 2 1A 1A\n120 1 3 1A 1B\n130 2 3 1A 1B\n140 3 4 1B 1B\n160 1 2 1A 1A\n"
	type cut struct {
		line       int
		begin, end time.Duration
	}
	for _, c := range []struct {
		name  string
		trace Trace
		want  []cut
	}{
		{"everything", Trace{}, []cut{{1, 0, 20 * s}, {2, 20 * s, 40 * s}, {3, 30 * s, 50 * s}, {4, 40 * s, 60 * s}, {5,
			60 * s, 80 * s}}},
		{"one class", Trace{Classes: []string{"1B"}}, []cut{{4, 40 * s, 60 * s}}},
		{"two classes", Trace{Classes: []string{"1B", "1A"}}, []cut{{1, 0, 20 * s}, {2, 20 * s, 40 * s}, {3, 30 * s,
			50 * s}, {4, 40 * s, 60 * s}, {5, 60 * s, 80 * s}}},
		{"from the end of an interval", Trace{From: 100, HasFrom: true}, []cut{{2, 0, 20 * s}, {3, 10 * s, 30 * s}, {4,
			20 * s, 40 * s}, {5, 40 * s, 60 * s}}},
		{"from the middle of one", Trace{From: 119, HasFrom: true}, []cut{{2, 0, 1 * s}, {3, 0, 11 * s}, {4, 1 * s,
			21 * s}, {5, 21 * s, 41 * s}}},
		{"from before the first", Trace{From: 0, HasFrom: true, Until: 101, HasUntil: true}, []cut{{1, 80 * s, 100 * s},
			{2, 100 * s, 101 * s}}},
		{"until the beginning of one", Trace{Until: 120, HasUntil: true}, []cut{{1, 0, 20 * s}, {2, 20 * s, 40 * s}, {3,
			30 * s, 40 * s}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			list, _, err := readTrace(t, text, c.trace)
			if err != nil {
				t.Fatal(err)
			}
			var got []cut
			for _, one := range list {
				got = append(got, cut{one.Line, one.Begin, one.End})
			}
			if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(cut{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestOddLinesOfATrace(t *testing.T) {
	f, err := os.ReadFile("testdata/odd.csv")
	if err != nil {
		t.Fatal(err)
	}
	list, odd, err := readTrace(t, string(f), Trace{})
	if err != nil {
		t.Fatal(err)
	}
	var lines []int
	for _, c := range list {
		lines = append(lines, c.Line)
	}
	if diff := cmp.Diff([]int{2, 3, 8, 9, 17}, lines); diff != "" {
		t.Errorf("lines used: %s", diff)
	}
	want := []string{
		"line 4: the same pair at the same time again: skipped",
		"line 5: a person in contact with himself: skipped",
		"line 6: earlier than the line before: skipped",
		"line 7: fewer than the three columns time, person, person: skipped",
		"line 9: the time is no multiple of 20: used",
		"lines 10, 11, 12, 13, 14 and 1 more: the time is not a whole number of seconds: skipped",
		"line 16: a person's column is empty or longer than 100 bytes: skipped",
	}
	if diff := cmp.Diff(want, odd); diff != "" {
		t.Error(diff)
	}
}

func TestClassesThatAreNotThere(t *testing.T) {
	_, odd, err := readTrace(t, "100 1 2\n100 3 4 1A 1B\n", Trace{Classes: []string{"9Z", "1A"}})
	want := `trace: the selection leaves no contact of 2: the last time read is 100; ` +
		`classes asked for are "9Z", "1A", classes met are "1A", "1B"`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if diff := cmp.Diff([]string{"line 1: no class columns, and classes are asked for: skipped"}, odd); diff != "" {
		t.Error(diff)
	}
}

func TestTracesThatCannotBeUsed(t *testing.T) {
	whole := zipped(t, strings.Repeat("100 1 2\n", 3)+"120 1 2\n")
	flipped := []byte(whole)
	flipped[len(flipped)-6] ^= 1 // in the checksum
	for _, c := range []struct{ name, text, want string }{
		{"nothing", "", "trace: there is no contact in the trace; a line is: time, person, person"},
		{"a picture", "\x89PNG\r\n\x1a\n\x00\n", "trace: there is no contact in the trace: lines 1, 2, 3: fewer than " +
			"the three columns time, person, person: skipped"},
		{"a long line", "100 1 2\n" + strings.Repeat("x", maxTraceLine+1), "trace:2: the line is longer than 65536 " +
			"bytes: this is no trace"},
		{"a header of gzip alone", "\x1f\x8b", "trace: the gzip file is broken here: unexpected EOF"},
		{"gzip cut off", whole[:len(whole)-9], "trace:4: the gzip file is broken here: unexpected EOF"},
		{"gzip with another checksum", string(flipped),
			"trace:4: the gzip file is broken here: gzip: invalid checksum"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := readTrace(t, c.text, Trace{})
			var m *TraceMistake
			if !errors.As(err, &m) || err.Error() != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestADiskThatFailsIsNoMistakeOfTheTrace(t *testing.T) {
	broken := errors.New("input/output error")
	in := io.MultiReader(strings.NewReader("100 1 2\n"), iotest.ErrReader(broken))
	r, err := NewTraceReader(in, &Trace{File: "trace"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	_, err = r.Next()
	var m *TraceMistake
	if !errors.Is(err, broken) || errors.As(err, &m) {
		t.Errorf("got %v, want it to wrap %v and to be no mistake of the trace", err, broken)
	}
	_, err = OpenTrace(&Trace{File: filepath.Join(t.TempDir(), "none")})
	hint := "(a relative path begins at the scenario's folder; give an absolute path)"
	if !errors.Is(err, fs.ErrNotExist) || !strings.HasSuffix(err.Error(), hint) {
		t.Errorf("got %v, want it to wrap fs.ErrNotExist and to end with %s", err, hint)
	}
}

// TestTraceMemory reads 100,000 lines of 200 people. The memory of the reader must grow with the people only.
func TestTraceMemory(t *testing.T) {
	var text strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&text, "%d %d %d\n", 20*(i/100+1), i%100, 100+i%100)
	}
	r, err := NewTraceReader(strings.NewReader(text.String()), &Trace{File: "trace"})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for ; err == nil; n++ {
		_, err = r.Next()
	}
	if n != 100_001 || !errors.Is(err, io.EOF) {
		t.Errorf("read %d contacts and then %v, want 100000 and the end", n-1, err)
	}
	if len(r.names) != 200 || len(r.pairs) > 100 {
		t.Errorf("kept %d names and %d pairs, want 200 and at most 100", len(r.names), len(r.pairs))
	}
}

// TestRecordedTraces reads the recorded data sets of a local folder.
func TestRecordedTraces(t *testing.T) {
	folder := os.Getenv("BLUETRACE_DATA")
	if folder == "" {
		t.Skip("SKIPPED: no recorded contacts are read: set BLUETRACE_DATA to a folder that has primaryschool.csv.gz " +
			"and workplace_InVS_tij.dat.gz (sociopatterns.org)")
	}
	for _, c := range []struct {
		file           string
		trace          Trace
		lines, people  int
		first, lastEnd time.Duration
	}{
		{"primaryschool.csv.gz", Trace{}, 125_773, 242, 0, 116_920 * s},
		{"workplace_InVS_tij.dat.gz", Trace{}, 9_827, 92, 0, 0},
	} {
		t.Run(c.file, func(t *testing.T) {
			c.trace.File = filepath.Join(folder, c.file)
			r, err := OpenTrace(&c.trace)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			people := map[string]bool{}
			n := 0
			var last Contact
			for {
				one, err := r.Next()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				if n == 0 && one.Begin != c.first {
					t.Errorf("the first contact begins at %v, want %v", one.Begin, c.first)
				}
				people[one.I], people[one.J] = true, true
				last = one
				n++
			}
			if n != c.lines || len(people) != c.people || len(r.Irregularities()) > 0 {
				t.Errorf("read %d lines of %d people, odd %v; want %d of %d and none odd", n, len(people),
					r.Irregularities(), c.lines, c.people)
			}
			if c.lastEnd != 0 && last.End != c.lastEnd {
				t.Errorf("the last contact ends at %v, want %v", last.End, c.lastEnd)
			}
		})
	}
}
