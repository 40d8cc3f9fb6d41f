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
	if stat, err := os.Stat(path); err != nil || stat.Mode() != 0o644 {
		t.Errorf("mode %v, %v", stat.Mode(), err)
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
