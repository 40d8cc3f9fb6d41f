package scenarios

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func writeFiles(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestFind(t *testing.T) {
	dir := writeFiles(t, map[string]string{
		"b.yaml": "name: b\n", "a.yml": "name: a\n", "crowd.yaml": "name: crowd\nmanual: true\n",
		"broken.yaml": "manual: [\n", "notes.txt": "", "more/c.yaml": "name: c\n", "empty/readme": "", "trace.csv": "",
	})
	in := func(names ...string) (paths []string) {
		for _, n := range names {
			paths = append(paths, filepath.Join(dir, n))
		}
		return paths
	}
	for _, c := range []struct {
		name               string
		paths, want, wantM []string
	}{
		{"a folder in the order of names, without its folders", in(""), in("a.yml", "b.yaml", "broken.yaml"),
			in("crowd.yaml")},
		{"files as they are named, manual or not", in("crowd.yaml", "b.yaml"), in("crowd.yaml", "b.yaml"), nil},
		{"both", in("more", "a.yml"), in("more/c.yaml", "a.yml"), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			files, manual, err := Find(c.paths)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([][]string{c.want, c.wantM}, [][]string{files, manual}); diff != "" {
				t.Error(diff)
			}
		})
	}
	_, _, err := Find([]string{"nosuch.yaml"})
	if want := `there is no scenario "nosuch.yaml"`; !errors.Is(err, fs.ErrNotExist) || err.Error() != want {
		t.Errorf("a missing path: got %v, want %s, wrapping fs.ErrNotExist", err, want)
	}
	if _, _, err := Find(in("empty")); err == nil || !strings.Contains(err.Error(), "holds no .yaml file") {
		t.Errorf("a folder without scenarios: got %v", err)
	}
}

// TestFindNamesFilesThatCannotBeScenarios checks that the folder's other files are
// returned, and that links are followed.
func TestFindNamesFilesThatCannotBeScenarios(t *testing.T) {
	dir := writeFiles(t, map[string]string{"a.yaml": "name: a\n", "below/b.yaml": "name: b\n"})
	in := func(name string) string { return filepath.Join(dir, name) }
	for link, target := range map[string]string{"device.yaml": os.DevNull, "folder.yaml": "below",
		"linked.yaml": "a.yaml"} {
		if err := os.Symlink(target, in(link)); err != nil {
			t.Fatal(err)
		}
	}
	files, _, err := Find([]string{dir})
	want := fmt.Sprintf("%q is a pipe or a device: a folder's scenarios must be regular files", in("device.yaml"))
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if diff := cmp.Diff([]string{in("a.yaml"), in("linked.yaml")}, files); diff != "" {
		t.Error(diff)
	}
}

// TestMistakesHaveTheName checks which files have a readable name.
func TestMistakesHaveTheName(t *testing.T) {
	for text, want := range map[string]string{
		"name: held\nphnes: 1\n": "held", "phnes: 1\n": "", "name: [held\n": "", "": "", "name: {a: b}\n": "",
		"name: x-${N}\n": "x-${N}",
	} {
		var m *Mistakes
		if _, err := Parse("f", []byte(text), Options{}); !errors.As(err, &m) || m.Name != want {
			t.Errorf("%q: got %+v, want the name %q", text, m, want)
		}
	}
}

func TestLoad(t *testing.T) {
	dir := writeFiles(t, map[string]string{"ok.yaml": completed("seed: 4\n"), "bad.yaml": "nme: x\n"})
	seed := uint64(9)
	got, err := Load(filepath.Join(dir, "ok.yaml"), Options{Seed: &seed})
	if err != nil {
		t.Fatal(err)
	}
	if got.Seed != 9 || got.File != filepath.Join(dir, "ok.yaml") {
		t.Errorf("got seed %d of file %q, want 9 of the path that was given", got.Seed, got.File)
	}
	var m *Mistakes
	if _, err := Load(filepath.Join(dir, "bad.yaml"), Options{}); !errors.As(err, &m) || len(m.List) != 5 {
		t.Errorf("a wrong file: got %v, want five mistakes", err)
	}
	_, err = Load("nosuch.yaml", Options{})
	if want := `there is no scenario "nosuch.yaml"`; !errors.Is(err, fs.ErrNotExist) || err.Error() != want {
		t.Errorf("a missing file: got %v, want %s, wrapping fs.ErrNotExist", err, want)
	}
	for _, path := range []string{filepath.Join(dir, "none.yaml"), dir} {
		if _, err := Load(path, Options{}); err == nil || errors.As(err, &m) {
			t.Errorf("%q cannot be read: got %v, want an error that is no *Mistakes", path, err)
		}
	}
}
