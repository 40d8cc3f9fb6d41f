package scenarios

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/binary"
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
	later := []Contact{plainWant[0], plainWant[1]}
	later[0].Line, later[1].Line = 3, 4
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
		{"carriage returns alone", "t,i,j\r100,1,2\r140,2,3\r", headed},
		{"quoted names in the header", "\"t\",\"i\",\"j\"\n100,1,2\n140,2,3\n", headed},
		{"comments above the header", "% made\n# t i j\n100,1,2\n140,2,3\n", later},
		{"gzip with a byte order mark", zipped(t, "\ufeff100 1 2\n140 2 3\n"), plainWant},
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
		"lines 10, 11, 12, 15: the time is not a whole number of seconds: skipped",
		"line 13: the time is negative: skipped",
		"line 14: the time is above 1099511627776 s (are these milliseconds?): skipped",
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
		{"nothing", "", "trace: there is no contact in the trace: it is empty; a line is: time, person, person"},
		{"nothing in gzip", zipped(t, ""),
			"trace: there is no contact in the trace: it is empty; a line is: time, person, person"},
		{"only a header", "t,i,j\n", "trace: there is no contact in the trace; a line is: time, person, person"},
		{"a picture", "\x89PNG\r\n\x1a\n\x00\n", "trace:1: the line is not UTF-8 text: save the file as UTF-8, or " +
			"name another one"},
		{"Latin-1", "20 J\xf6rg Bo\n", "trace:1: the line is not UTF-8 text: save the file as UTF-8, or name another " +
			"one"},
		{"a control character", "20 1 2\n40 a\x1b[31m b\n",
			"trace:2: the line has a control character: this is no trace"},
		{"UTF-16 without a mark", "1\x000\x00 \x00", "trace: this is UTF-16 text; expected UTF-8 text, plain or gzip"},
		{"a NUL byte", "10 1 \x00", "trace:1: the line has a NUL byte: this is not UTF-8 text"},
		{"decreasing times", "100 1 2\n80 1 2\n60 1 2\n",
			"trace: 2 lines are earlier than the line before, and 1 are " +
				"not: the first column is not a time, or the file must be sorted by it"},
		{"weights of pairs", "1 2 50\n1 3 70\n2 3 10\n",
			"trace: no time is 20 s after the one before: the first column " +
				"is not a time, or the recorder had another `interval`"},
		{"begins and ends of pairs", "1 2 121 236 1 0\n1 3 500 620 1 0\n", "trace: there is no contact in the trace: " +
			"lines 1, 2: six columns of numbers: this may be `i j begin end` instead of time, person, person: skipped"},
		{"a report of ONE", "20 CONN p1 p2 up\n60 CONN p1 p2 down\n", "trace: there is no contact in the trace: " +
			"lines 1, 2: `CONN` is no person: this is a report of the ONE simulator: skipped"},
		{"a kind of event", "20 seen 1 2\n60 seen 1 2\n", "trace: there is no contact in the trace: " +
			"lines 1, 2: one person is a number and the other a word: skipped"},
		{"the time in another column", "user_a,user_b,Timestamp\n5,97,1400\n",
			"trace:1: the header has the time in column 3; " +
				"expected the columns time, person, person"},
		{"milliseconds", "1385982020000 1 2\n1385982040000 1 3\n", "trace: there is no contact in the trace: " +
			"lines 1, 2: the time is above 1099511627776 s (are these milliseconds?): skipped"},
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

// tarOf returns a tar archive with one file.
func tarOf(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: "day.csv", Mode: 0o600, Size: int64(len(text))}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestFilesOfOtherFormats checks that a file that is not text is refused by its name, even if lines of contacts are in
// it as they are.
func TestFilesOfOtherFormats(t *testing.T) {
	const text = "100 1 2\n120 1 2\n"
	utf16 := func(order binary.AppendByteOrder) string {
		var b []byte
		for _, r := range "\ufeff" + text {
			b = order.AppendUint16(b, uint16(r))
		}
		return string(b)
	}
	for _, c := range []struct{ text, want string }{
		{tarOf(t, text), "a tar archive"},
		{zipped(t, tarOf(t, text)), "a gzip file that holds a tar archive"},
		{zipped(t, zipped(t, text)), "a gzip file that holds a gzip file"},
		{"PK\x03\x04\n" + text, "a zip archive"},
		{zipped(t, "PK\x05\x06\n"), "a gzip file that holds a zip archive"},
		{"\xfd7zXZ\x00\n" + text, "an xz file"},
		{"\x28\xb5\x2f\xfd\n" + text, "a zstd file"},
		{"BZh91AY&SY\n" + text, "a bzip2 file"},
		{"7z\xbc\xaf\x27\x1c\n" + text, "a 7z archive"},
		{utf16(binary.LittleEndian), "UTF-16 text"},
		{utf16(binary.BigEndian), "UTF-16 text"},
	} {
		_, _, err := readTrace(t, c.text, Trace{})
		var m *TraceMistake
		want := "trace: this is " + c.want + "; expected UTF-8 text, plain or gzip"
		if !errors.As(err, &m) || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

// TestUnusualColumns reads lines whose columns are not those of two people in contact. The others are used.
func TestUnusualColumns(t *testing.T) {
	for _, c := range []struct {
		name, text string
		lines      []int
		odd        []string
	}{
		{"the Copenhagen form",
			"# timestamp,user_a,user_b,rssi\n0,5,-1,0\n300,5,97,-60\n300,6,-1,0\n600,7,-2,-80\n900,97,5,-71\n",
			[]int{3, 6}, []string{"lines 2, 4, 5: a person's column is a negative number or `NA`: no person: skipped",
				"lines 3, 6: the fourth column is ignored: used",
				"all times differ by multiples of 300 s, and a contact lasts 20 s; " +
					"if the recorder scanned every 300 s, write `interval: 300s`"}},
		{"missing people", "20 1 2\n40 1 NA\n40 nan 2\n40 1 -1.0\n40 3 1\n", []int{1, 5},
			[]string{"lines 2, 3, 4: a person's column is a negative number or `NA`: no person: skipped"}},
		{"a negative time first", "-20 1 2\n20 1 3\n", []int{2}, []string{"line 1: the time is negative: skipped"}},
		{"a fraction first", "20.0 1 2\n40 1 3\n", []int{2},
			[]string{"line 1: the time is not a whole number of seconds: skipped"}},
		{"the latest time", "1099511627740 1 2\n1099511627776 1 3\n1099511627777 1 4\n1099511627780 1 5\n", []int{1, 2},
			[]string{"line 2: the time is no multiple of 20: used",
				"lines 3, 4: the time is above 1099511627776 s (are these milliseconds?): skipped"}},
		{"a first line with NaN for its time", "NaN 1 2\n20 1 2\n40 1 3\n", []int{2, 3},
			[]string{"line 1: the time is not a whole number of seconds: skipped"}},
		{"two headers", "t i j\nt i j\n20 1 2\n", []int{3},
			[]string{"line 2: the time is not a whole number of seconds: skipped"}},
		{"a comment among contacts", "20 1 2\n# x y\n40 1 2\n", []int{1, 3},
			[]string{"line 2: the time is not a whole number of seconds: skipped"}},
		{"more than two classes", "100,1,2,1A,1B,x,y\n140,2,3,1B,1A,z\n", []int{1, 2},
			[]string{"lines 1, 2: the columns after the fifth are ignored: used"}},
		{"names", "20 anna ben\n40 anna carl\n", []int{1, 2}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			list, odd, err := readTrace(t, c.text, Trace{})
			if err != nil {
				t.Fatal(err)
			}
			var lines []int
			for _, one := range list {
				lines = append(lines, one.Line)
			}
			if diff := cmp.Diff(c.lines, lines); diff != "" {
				t.Errorf("lines used: %s", diff)
			}
			if diff := cmp.Diff(c.odd, odd); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestIntervalOfATrace checks that the interval is the duration of each contact, and that an interval of the trace
// needs no note.
func TestIntervalOfATrace(t *testing.T) {
	list, odd, err := readTrace(t, "300 1 2\n600 1 2\n900 2 3\n1500 2 3\n", Trace{Interval: 300 * s})
	if err != nil || odd != nil {
		t.Fatalf("got error %v and odd lines %q", err, odd)
	}
	if c := list[3]; c.Begin != 1200*s || c.End != 1500*s || list[0].Begin != 0 {
		t.Errorf("got %+v, want 20m0s to 25m0s", c)
	}
	for _, c := range []struct {
		text     string
		interval time.Duration
	}{{"100 1 2\n101 1 2\n", s}, {"100 1 2\n120 1 2\n", 60 * s}} {
		if list, _, err := readTrace(t, c.text, Trace{Interval: c.interval}); err != nil || len(list) != 2 {
			t.Errorf("%q every %v: %v, %v", c.text, c.interval, list, err)
		}
	}
	got := parsed(t, "contacts: {trace: [{file: t.csv, phones: group}, {file: u.csv, phones: group, interval: 5m}]}\n",
		Options{})
	if a, b := got.Contacts.Trace[0].Interval, got.Contacts.Trace[1].Interval; a != 20*s || b != 300*s {
		t.Errorf("intervals %v and %v, want 20s and 5m0s", a, b)
	}
	comesBack(t, got)
}

func TestATraceIsARegularFile(t *testing.T) {
	folder := t.TempDir()
	if _, err := OpenTrace(&Trace{File: folder}); err == nil ||
		err.Error() != folder+": this is a folder; expected a regular file" {
		t.Errorf("a folder: %v", err)
	}
	want := os.DevNull + ": this is a pipe or a device, and a trace is read twice; expected a regular file"
	_, err := OpenTrace(&Trace{File: os.DevNull})
	var m *TraceMistake
	if !errors.As(err, &m) || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
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
