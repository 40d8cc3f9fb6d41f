package reports

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func namesIn(t *testing.T, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func writing(text string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	}
}

func TestWriteFileReplacesWhole(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "a*.json")
	for _, text := range []string{"first, the longer", "second"} {
		if err := WriteFile(path, writing(text)); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != text {
			t.Errorf("%q, %v; want %q", got, err, text)
		}
	}
	if diff := cmp.Diff([]string{"a*.json"}, namesIn(t, folder)); diff != "" {
		t.Error(diff)
	}
}

func TestWriteFileLeavesNothingHalfWritten(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "a.json")
	if err := WriteFile(path, writing("old")); err != nil {
		t.Fatal(err)
	}
	err := WriteFile(path, func(w io.Writer) error {
		if _, err := io.WriteString(w, strings.Repeat("half", 5000)); err != nil {
			return err
		}
		return &os.PathError{Op: "write", Path: filepath.Join(folder, ".a.json.123"), Err: syscall.ENOSPC}
	})
	if !errors.Is(err, syscall.ENOSPC) || err.Error() != `writing "`+path+`": no space left on device` {
		t.Errorf("got %v", err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "old" {
		t.Errorf("%q, %v; want the old text", got, err)
	}
	if diff := cmp.Diff([]string{"a.json"}, namesIn(t, folder)); diff != "" {
		t.Error(diff)
	}
}

func TestDraftSaysOnceWhatItCouldNotWrite(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "a.json")
	if err := WriteFile(path, writing("old")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	d, err := NewPendingFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.file.Close(); err != nil { // so that it takes no more
		t.Fatal(err)
	}
	_, first := d.Write(make([]byte, bufferSize+1))
	want := `writing "` + path + `": file already closed`
	for _, err := range []error{first, d.Commit()} {
		if err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "old" {
		t.Errorf("%q, %v; want the old text", got, err)
	}
	if diff := cmp.Diff([]string{"a.json"}, namesIn(t, folder)); diff != "" {
		t.Error(diff)
	}
	if err := WriteFile(path, writing("new")); err != nil {
		t.Fatal(err)
	}
	if stat, err := os.Stat(path); err != nil || stat.Mode() != 0o640 {
		t.Errorf("mode %v, %v; want that of the old file", stat.Mode(), err)
	}
}

func TestWriteFileCleansUpAfterAPanic(t *testing.T) {
	folder := t.TempDir()
	func() {
		defer func() { recover() }()
		WriteFile(filepath.Join(folder, "a.json"), func(io.Writer) error { panic("broken") })
	}()
	if names := namesIn(t, folder); len(names) > 0 {
		t.Errorf("left %v", names)
	}
}

func TestWriteFileWhereItCannot(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "none", "a.json")
	err := WriteFile(path, writing("x"))
	if want := `writing "` + path + `": no such file or directory`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	taken := filepath.Join(folder, "taken")
	if err := os.MkdirAll(filepath.Join(taken, "full"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(taken, writing("x")); err == nil {
		t.Error("a folder was replaced")
	}
	if diff := cmp.Diff([]string{"taken"}, namesIn(t, folder)); diff != "" {
		t.Error(diff)
	}
}

func TestNewFilesHaveTheModeOfTheFolder(t *testing.T) {
	folder := t.TempDir()
	path, plain := filepath.Join(folder, "a.json"), filepath.Join(folder, "plain")
	if err := WriteFile(path, writing("x")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(plain, nil, 0o666); err != nil { // a file as every program makes it
		t.Fatal(err)
	}
	want, err := os.Stat(plain)
	if err != nil {
		t.Fatal(err)
	}
	if stat, err := os.Stat(path); err != nil || stat.Mode() != want.Mode() {
		t.Errorf("mode %v, %v; want %v", stat.Mode(), err, want.Mode())
	}
}

// TestAFileIsNeverMoreOpenThanItsOldOne checks the mode of the temporary file.
func TestAFileIsNeverMoreOpenThanItsOldOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.json")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := NewPendingFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Discard()
	if stat, err := d.file.Stat(); err != nil || stat.Mode() != 0o600 {
		t.Errorf("mode %v, %v", stat.Mode(), err)
	}
}

// TestLinksAreFollowed has links to a file, to nothing, from a folder that is a link, and
// to themselves.
func TestLinksAreFollowed(t *testing.T) {
	folder := t.TempDir()
	at := func(name string) string { return filepath.Join(folder, name) }
	if err := os.MkdirAll(at("deep/real"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at("old"), []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, link := range [][2]string{{"old", "one"}, {"one", "two"}, {"new", "broken"},
		{at("absolute-new"), "absolute"}, {"deep/real", "linked"},
		{"../beside", "deep/real/up"}, {"loop", "loop"}, {"none/x", "lost"}} {
		if err := os.Symlink(link[0], at(link[1])); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ path, target string }{
		{"two", "old"}, {"broken", "new"}, {"absolute", "absolute-new"}, {"linked/up", "deep/beside"},
		{"linked/plain", "deep/real/plain"},
	} {
		if err := WriteFile(at(c.path), writing(c.path)); err != nil {
			t.Errorf("%s: %v", c.path, err)
		}
		if got, err := os.ReadFile(at(c.target)); err != nil || string(got) != c.path {
			t.Errorf("%s: %s is %q, %v", c.path, c.target, got, err)
		}
		if stat, err := os.Lstat(at(c.target)); err != nil || !stat.Mode().IsRegular() {
			t.Errorf("%s: %s is %v, %v", c.path, c.target, stat.Mode(), err)
		}
	}
	for path, want := range map[string]string{"loop": errNotRegular.Error(), "lost": "no such file or directory"} {
		if err := WriteFile(at(path), writing("x")); err == nil || err.Error() != `writing "`+at(path)+`": `+want {
			t.Errorf("%s: %v", path, err)
		}
	}
	if stat, err := os.Stat(at("old")); err != nil || stat.Mode() != 0o600 {
		t.Errorf("mode %v, %v", stat.Mode(), err)
	}

	for _, path := range []string{"two", "broken", "lost", "linked", "deep/real/up", "deep/beside", "none", "loop"} {
		if err := RemoveFile(at(path)); err != nil {
			t.Errorf("removing %s: %v", path, err)
		}
	}
	want := []string{"absolute", "absolute-new", "broken", "deep", "linked", "loop", "lost", "one", "two"}
	if diff := cmp.Diff(want, namesIn(t, folder)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"real"}, namesIn(t, at("deep"))); diff != "" {
		t.Error(diff)
	}
}

func TestOnlyRegularFilesAreReplaced(t *testing.T) {
	folder := t.TempDir()
	device := filepath.Join(folder, "device")
	if err := os.Symlink(os.DevNull, device); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{folder, device} {
		want := `writing "` + path + `": ` + errNotRegular.Error()
		if err := WriteFile(path, writing("x")); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
		if err := RemoveFile(path); err != nil {
			t.Error(err)
		}
	}
	if stat, err := os.Stat(device); err != nil || stat.Mode().IsRegular() {
		t.Errorf("%s is %v, %v", os.DevNull, stat, err)
	}
}
