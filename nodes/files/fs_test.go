package files

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// Disk and Memory behave the same.
func TestFolders(t *testing.T) {
	folders := map[string]FS{"disk": Disk(t.TempDir()), "memory": NewMemory()}
	for name, fsys := range folders {
		t.Run(name, func(t *testing.T) {
			for what, try := range map[string]func() error{
				"stat":   func() error { _, err := fsys.Stat("none"); return err },
				"open":   func() error { _, err := fsys.Open("none"); return err },
				"rename": func() error { return fsys.Rename("none", "some") },
				"remove": func() error { return fsys.Remove("none") },
			} {
				if err := try(); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%s of no file: %v", what, err)
				}
			}
			testFile(t, fsys)
			testReplacing(t, fsys)
			testLock(t, fsys)
		})
	}
}

func testFile(t *testing.T, fsys FS) {
	f, err := fsys.Append("a", 0o600)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"hello ", "world"} {
		if n, err := f.Write([]byte(text)); n != len(text) || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
	}
	p := make([]byte, 5)
	if n, err := f.ReadAt(p, 3); n != 5 || err != nil || string(p) != "lo wo" {
		t.Errorf("read %d, %v: %q", n, err, p)
	}
	if n, err := f.ReadAt(p, 9); n != 2 || err != io.EOF {
		t.Errorf("read at the end: %d, %v", n, err)
	}
	if n, err := f.ReadAt(p, 99); n != 0 || err != io.EOF {
		t.Errorf("read beyond the end: %d, %v", n, err)
	}
	if err := errors.Join(f.Sync(), fsys.SyncNames(), f.Truncate(5)); err != nil {
		t.Error(err)
	}
	if _, err := f.Write([]byte("!")); err != nil { // at the end that is now
		t.Error(err)
	}
	st, err := f.Stat()
	if err != nil || st.Size != 6 || st.Mode != 0o600 {
		t.Errorf("%+v, %v", st, err)
	}
	if named, err := fsys.Stat("a"); err != nil || named != st {
		t.Errorf("by name %+v, %v; open %+v", named, err, st)
	}
	closeAll(t, f)
	if _, err := f.Write([]byte("x")); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("writing a closed file: %v", err)
	}
	if f, err = fsys.Open("a"); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("x")); err == nil {
		t.Error("a file that is open for reading was written")
	}
	closeAll(t, f)
}

func testReplacing(t *testing.T, fsys FS) {
	old, err := fsys.Open("a")
	if err != nil {
		t.Fatal(err)
	}
	f, err := fsys.Create("b", 0o644)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("new")); err != nil {
		t.Error(err)
	}
	if err := fsys.Rename("b", "a"); err != nil {
		t.Error(err)
	}
	before, _ := old.Stat()
	after, err := fsys.Stat("a")
	if err != nil || before.Identity == after.Identity || after.Size != 3 || before.Size != 6 {
		t.Errorf("before %+v, after %+v, %v", before, after, err)
	}
	closeAll(t, old)
	closeAll(t, f)
	if f, err = fsys.Create("a", 0o644); err != nil {
		t.Fatal(err)
	}
	if st, err := f.Stat(); st.Size != 0 || err != nil {
		t.Errorf("an emptied file: %+v, %v", st, err)
	}
	closeAll(t, f)
	if err := fsys.Remove("a"); err != nil {
		t.Error(err)
	}
	if _, err := fsys.Stat("a"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a removed file: %v", err)
	}
}

func testLock(t *testing.T, fsys FS) {
	unlock, err := fsys.Lock("l")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fsys.Lock("l"); !errors.Is(err, ErrLocked) {
		t.Errorf("a second lock: %v", err)
	}
	if err := unlock(); err != nil {
		t.Error(err)
	}
	if unlock, err = fsys.Lock("l"); err != nil {
		t.Fatal(err)
	}
	if err := unlock(); err != nil {
		t.Error(err)
	}
}

func TestDiskRefusesFolders(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, tempIDsName), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := OpenServer(Disk(dir), options())
	contains(t, "a folder for a file", err, "opening", tempIDsName)
	if _, err := OpenServer(Disk(filepath.Join(dir, "none")), options()); err == nil {
		t.Error("a folder that does not exist was opened")
	}
	equal(t, "path", Disk("").Path("x"), "x")
}

// A whole run on a real disk.
func TestRunOnADisk(t *testing.T) {
	d := Disk(t.TempDir())
	s := openServer(t, d)
	for _, records := range storeBatches() {
		store(t, s, records...)
	}
	equal(t, "records", len(restoredRecords(t, s)), 6)
	closeAll(t, s)
	writeTo(t, d, tempIDsName, unfinished)
	writeTo(t, d, attemptsName, "torn")
	s = openServer(t, d)
	equal(t, "notes", len(s.Notes()), 2)
	equal(t, "records", len(restoredRecords(t, s)), 7)
	closeAll(t, s)
	st, err := d.Stat(attemptsName)
	if err != nil || st.Mode != 0o600 {
		t.Errorf("attempts.txt: %+v, %v", st, err)
	}

	l := openLog(t, d)
	a, b := entry(1, 10), entry(2, 20)
	l.Add(a)
	l.Add(b)
	write(t, l, a, b)
	write(t, l, b)
	if _, err := OpenContactLog(d, logName); err == nil {
		t.Error("a second phone was let in")
	}
	closeAll(t, l)
	l = openLog(t, d)
	equal(t, "kept", len(l.Stored()), 1)
	equal(t, "kept", l.Stored()[0], b)
	closeAll(t, l)
	for _, name := range []string{tempIDsName, attemptsName, logName, logName + journalSuffix} {
		if _, err := d.Stat(name + newSuffix); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("rest of writing %q: %v", name, err)
		}
	}
}
