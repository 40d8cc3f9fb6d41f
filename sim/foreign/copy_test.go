//go:build unix

package foreign

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// tree describes the files in a folder: mode, path, and text or target.
func tree(t *testing.T, root string) (lines []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(root, path)
		text := ""
		switch {
		case name == ".":
			return nil
		case info.Mode().IsRegular():
			b, _ := os.ReadFile(path)
			text = string(b)
		case info.Mode()&fs.ModeSymlink != 0:
			text, _ = os.Readlink(path)
		}
		lines = append(lines, fmt.Sprintf("%v %s %s", info.Mode(), name, text))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// source makes a folder of a file, a program, and a subfolder with a file and a link.
func source(t *testing.T) string {
	t.Helper()
	src := filepath.Join(t.TempDir(), "src")
	for _, err := range []error{
		os.MkdirAll(filepath.Join(src, "sub"), 0o755),
		os.WriteFile(filepath.Join(src, "server.py"), []byte("server"), 0o644),
		os.WriteFile(filepath.Join(src, "run"), []byte("program"), 0o755),
		os.WriteFile(filepath.Join(src, "sub", "data"), []byte("1234"), 0o600),
		os.Symlink("../run", filepath.Join(src, "sub", "link")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return src
}

func TestCopyFolder(t *testing.T) {
	src, dst := source(t), filepath.Join(t.TempDir(), "dst")
	if err := CopyFolder(dst, src, CopyLimits{Bytes: 17, Files: 5}); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"-rwxr-xr-x run program", "-rw-r--r-- server.py server", "drwxr-xr-x sub ", "-rw------- sub/data 1234",
		"Lrwxrwxrwx sub/link ../run",
	}
	if got := tree(t, dst); !slices.Equal(got, want) || !slices.Equal(got, tree(t, src)) {
		t.Errorf("%q\nwant %q", got, want)
	}
	if err := os.WriteFile(filepath.Join(dst, "run"), []byte("changed"), 0o755); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(filepath.Join(src, "run")); string(b) != "program" {
		t.Errorf("the copy shares its files: %s", b)
	}
	if err := CopyFolder(dst, src, CopyLimits{}); err == nil || len(tree(t, dst)) != 5 {
		t.Errorf("copied onto a folder: %v", err)
	}
}

func TestCopyRefuses(t *testing.T) {
	for want, change := range map[string]func(src string) (CopyLimits, error){
		`the folder has more than 16 bytes`: func(string) (CopyLimits, error) { return CopyLimits{Bytes: 16}, nil },
		`the folder has more than 4 files`:  func(string) (CopyLimits, error) { return CopyLimits{Files: 4}, nil },
		`the link "x" leaves the folder: "/etc/passwd"`: func(src string) (CopyLimits, error) {
			return CopyLimits{}, os.Symlink("/etc/passwd", filepath.Join(src, "x"))
		},
		`the link "sub/x" leaves the folder: "../.."`: func(src string) (CopyLimits, error) {
			return CopyLimits{}, os.Symlink("../..", filepath.Join(src, "sub", "x"))
		},
		`the link "y" leaves the folder: "x/.."`: func(src string) (CopyLimits, error) {
			if err := os.Symlink(".", filepath.Join(src, "x")); err != nil {
				return CopyLimits{}, err
			}
			return CopyLimits{}, os.Symlink("x/..", filepath.Join(src, "y"))
		},
		`the link "x" leads to no file: "none"`: func(src string) (CopyLimits, error) {
			return CopyLimits{}, os.Symlink("none", filepath.Join(src, "x"))
		},
		`"x" is neither a file nor a folder`: func(src string) (CopyLimits, error) {
			return CopyLimits{}, syscall.Mkfifo(filepath.Join(src, "x"), 0o600)
		},
	} {
		src, dst := source(t), filepath.Join(t.TempDir(), "dst")
		limits, err := change(src)
		if err != nil {
			t.Fatal(err)
		}
		if err := CopyFolder(dst, src, limits); err == nil || err.Error() != want {
			t.Errorf("%v\nwant %s", err, want)
		}
		if _, err := os.Stat(dst); !os.IsNotExist(err) {
			t.Errorf("%s: the copy remains: %v", want, err)
		}
	}
	if err := CopyFolder(t.TempDir()+"/x", source(t)+"/run", CopyLimits{}); err == nil ||
		!strings.HasSuffix(err.Error(), "run is not a folder") {
		t.Error(err)
	}
}

// TestRemoveFolder: a folder with unreadable subfolders is removed.
func TestRemoveFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dir")
	if err := os.MkdirAll(filepath.Join(dir, "a", "b", "c"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"a/b", "a"} {
		if err := os.Chmod(filepath.Join(dir, path), 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := RemoveFolder(dir); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Error(err)
	}
}
