package compare

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func scenariosOf(t *testing.T, side string) string {
	t.Helper()
	results, err := Read(side)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, r := range results {
		all = append(all, r.Scenario)
	}
	return strings.Join(all, " ")
}

const minimal = `{"scenario": "NAME", "world": "virtual"}` + "\n"

func named(name string) string { return strings.ReplaceAll(minimal, "NAME", name) }

// TestSides reads files, folders with subfolders, patterns and lists. The temporary
// name of a report is not read.
func TestSides(t *testing.T) {
	folder := t.TempDir()
	one := write(t, filepath.Join(folder, "a", "1.json"), named("one"))
	two := write(t, filepath.Join(folder, "a", "deep", "2.json"), named("two")+named("three"))
	write(t, filepath.Join(folder, "a", ".1.json.123"), "{")
	write(t, filepath.Join(folder, "a", ".hidden.json"), "{")
	write(t, filepath.Join(folder, "a", "1.txt"), "no JSON")
	marked := write(t, filepath.Join(folder, "marked.json"), "\ufeff"+named("marked"))
	comma := write(t, filepath.Join(folder, "b,c.json"), named("comma"))
	for side, want := range map[string]string{
		one:                              "one",
		two:                              "two three",
		filepath.Join(folder, "a"):       "one two three",
		filepath.Join(folder, "*", "1*"): "one",
		one + "," + two + "," + one:      "one two three",
		comma:                            "comma",
		marked:                           "marked",
	} {
		if strings.Contains(side, "1*") {
			side = filepath.Join(folder, "*", "1.j*")
		}
		if got := scenariosOf(t, side); got != want {
			t.Errorf("%s: %s, want %s", side, got, want)
		}
	}
}

// TestBrokenFiles checks that each error names the file and the place in it.
func TestBrokenFiles(t *testing.T) {
	folder := t.TempDir()
	for _, c := range []struct{ text, place, want string }{
		{"", "", "empty file: expected a result"},
		{named("one")[:20], ":1:21", "incomplete file: it ends within a result"},
		{named("one") + "\n  {\"scenario\": }\n", ":3:16",
			"invalid JSON: invalid character '}' looking for beginning of value"},
		{"\ufeff{\"scenario\": }", ":1:14", "invalid JSON: invalid character '}' looking for beginning of value"},
		{"\xff\xfe{\x00}\x00", "",
			"the file is UTF-16 text; save it as UTF-8 (in PowerShell: Out-File -Encoding utf8)"},
		{"{\x00}\x00", "", "the file is UTF-16 text; save it as UTF-8 (in PowerShell: Out-File -Encoding utf8)"},
		{"{\x00\"\x00s\x00", "", "the file is UTF-16 text; save it as UTF-8 (in PowerShell: Out-File -Encoding utf8)"},
		{"PK\x03\x04\x14\x00", "", "this is a zip archive; expected JSON, which is UTF-8 text"},
		{"\x1f\x8b\x08", "", "this is a gzip file; expected JSON, which is UTF-8 text"},
		{"\xfd7zXZ\x00", "", "this is an xz file; expected JSON, which is UTF-8 text"},
		{"\x28\xb5\x2f\xfd", "", "this is a zstd file; expected JSON, which is UTF-8 text"},
		{"run.json" + strings.Repeat("\x00", 249) + "ustar", "",
			"this is a tar archive; expected JSON, which is UTF-8 text"},
		{"\x00\x00\x00\x00", ":1:1", "invalid JSON: invalid character '\\x00' looking for beginning of value"},
		{"<html>", ":1:1", "invalid JSON: invalid character '<' looking for beginning of value"},
		{named("one") + "{\"scenario\": 5}", ":2:15", "`scenario` cannot be a number"},
		{"[]", ":1:1", "expected the object of a result, found array"},
		{"{\"name\": \"package\"}", ":1:1", "not the result of a run: missing `scenario` or `world`"},
		{`{"scenario": "x", "world": "live", "load": {"histograms": {"operations": [{"name": "a", ` +
			`"response": [""]}]}}}`, ":1:1", "a has 1 seconds of response times and 0 of service times"},
		{`{"scenario": "x", "world": "live", "load": {"histograms": {"operations": [{"name": "a"}, {"name": "a"}]}}}`,
			":1:1", "`load.histograms` has an operation \"a\": the name must be unique and not empty"},
		{strings.Repeat("[", 20_000), ":1:1", "exceeded max depth"},
	} {
		path := write(t, filepath.Join(folder, "x.json"), c.text)
		_, err := Read(path)
		_, refused := errors.AsType[*Invalid](err)
		if !refused || !strings.HasPrefix(err.Error(), path+c.place) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.60q: %v\nwant %s%s: %s", c.text, err, path, c.place, c.want)
		}
	}
	for side, want := range map[string]string{
		filepath.Join(folder, "none.json"): "none.json: no such file or folder",
		filepath.Join(folder, "[.json"):    "neither a file nor a valid pattern",
		t.TempDir():                        "no .json file in the folder",
	} {
		_, err := Read(side)
		if _, refused := errors.AsType[*Invalid](err); !refused || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", side, err, want)
		}
	}
}

// TestTooManyResults checks that the error names each file of a list apart.
func TestTooManyResults(t *testing.T) {
	folder := t.TempDir()
	one := write(t, filepath.Join(folder, "1.json"), strings.Repeat(named("one"), maxResults))
	two := write(t, filepath.Join(folder, "2.json"), named("two"))
	if all, err := Read(one); err != nil || len(all) != maxResults {
		t.Fatalf("%d results and %v, want %d", len(all), err, maxResults)
	}
	_, err := Read(one + "," + two)
	want := fmt.Sprintf("%s: with this file, a side has more than 10000 results: %q, %q", two, one, two)
	if err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
}

// TestTooLarge checks that a file above the limit is not read.
func TestTooLarge(t *testing.T) {
	path := write(t, filepath.Join(t.TempDir(), "x.json"), named("one"))
	if _, err := readFile(path, 10); err == nil || !strings.Contains(err.Error(),
		"file too large: must be at most 256 MiB, and all files of a side 1024 MiB") {
		t.Errorf("%v", err)
	}
}

// TestFormats reads results without a format and of this format, and refuses a
// newer one.
func TestFormats(t *testing.T) {
	path := filepath.Join(t.TempDir(), "result.json")
	for _, c := range []struct {
		name, text string
		refused    bool
	}{
		{"none", `{"scenario": "s", "world": "virtual"}`, false},
		{"present", `{"format": 1, "scenario": "s", "world": "virtual"}`, false},
		{"newer", `{"format": 2, "scenario": "s", "world": "virtual"}`, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Read(write(t, path, c.text))
			if refused := err != nil; refused != c.refused {
				t.Fatalf("got %v", err)
			}
			if c.refused && !strings.HasSuffix(err.Error(), "`format` is 2: this sim reads up to 1; use a newer sim") {
				t.Errorf("got %v", err)
			}
		})
	}
}
