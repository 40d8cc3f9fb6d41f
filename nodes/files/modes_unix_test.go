//go:build unix

package files

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"bluetrace/nodes"
)

// modesIn returns the permissions of the files of a folder, by name.
func modesIn(t *testing.T, dir string) map[string]string {
	t.Helper()
	modes := map[string]string{}
	for _, name := range namesIn(t, dir) {
		st, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		modes[name] = fmt.Sprintf("%o", st.Mode().Perm())
	}
	return modes
}

// spy is a folder that records the permissions of each new file at its creation.
type spy struct {
	FS
	dir   string
	modes map[string]string
}

func (s *spy) Create(name string, mode fs.FileMode) (File, error) {
	f, err := s.FS.Create(name, mode)
	if st, statErr := os.Stat(filepath.Join(s.dir, name)); statErr == nil {
		s.modes[name] = fmt.Sprintf("%o", st.Mode().Perm())
	}
	return f, err
}

// setUmask sets the umask of this process for a test that is not parallel.
func setUmask(t *testing.T, mask int) {
	old := syscall.Umask(mask)
	t.Cleanup(func() { syscall.Umask(old) })
}

// Only the owner can read what shows who met whom, whatever the umask is: also while a file
// is written, and what is quarantined.
func TestOnlyTheOwnerReads(t *testing.T) {
	for _, mask := range []int{0, 0o022, 0o077} {
		t.Run(fmt.Sprintf("umask %03o", mask), func(t *testing.T) {
			setUmask(t, mask)
			dir := t.TempDir()
			s := openServer(t, Disk(dir))
			store(t, s, issue(alice, 1), wrong(alice, 1))
			closeAll(t, s)
			damage := func(name, text string) {
				f, err := os.OpenFile(filepath.Join(dir, name), os.O_APPEND|os.O_WRONLY, 0)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				if _, err := f.WriteString(text); err != nil {
					t.Fatal(err)
				}
			}
			damage(tempIDsName, "torn")
			damage(attemptsName, "damaged\n")
			folder := &spy{FS: Disk(dir), dir: dir, modes: map[string]string{}}
			s = openServer(t, folder)
			store(t, s, issue(alice, 2), wrong(alice, 2))
			l := openLog(t, folder)
			a := entry(1, 10)
			l.Add(a)
			write(t, l, a)
			closeAll(t, l)
			damage(logName, "damaged\n")
			damage(logName+journalSuffix, "damaged\n")
			l = openLog(t, folder)
			write(t, l, a)
			modes := modesIn(t, dir)
			for _, name := range []string{tempIDsName, tornName, walName, attemptsName, attemptsName + damagedSuffix,
				logName,
				logName + journalSuffix, logName + damagedSuffix, logName + journalSuffix + damagedSuffix} {
				if _, ok := modes[name]; !ok {
					t.Errorf("the test has made no %s", name)
				}
			}
			for name, mode := range modes {
				if mode != "600" && !strings.HasSuffix(name, ".lock") {
					t.Errorf("%s has mode %s", name, mode)
				}
			}
			for name, mode := range folder.modes {
				equal(t, name+" while it is written", mode, "600")
			}
			equal(t, "files that were written anew", len(folder.modes) >= 4, true)
			closeAll(t, l)
			closeAll(t, s)
		})
	}
}

// A file that exists keeps its permissions through every replacement.
func TestReplacedFilesKeepTheirModes(t *testing.T) {
	setUmask(t, 0o077)
	dir := t.TempDir()
	s, l := openServer(t, Disk(dir)), openLog(t, Disk(dir))
	a, b := entry(1, 10), entry(2, 20)
	store(t, s, issue(alice, 1), wrong(alice, 1))
	l.Add(a)
	write(t, l, a)
	want := map[string]fs.FileMode{tempIDsName: 0o640, attemptsName: 0o640, logName: 0o644, logName +
		journalSuffix: 0o660}
	for name, mode := range want {
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	identity := func(name string) uint64 {
		st, err := Disk(dir).Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		return st.Identity
	}
	replaced := func(change func(), names ...string) {
		t.Helper()
		before := map[string]uint64{}
		for _, name := range names {
			before[name] = identity(name)
		}
		change()
		for _, name := range names {
			if identity(name) == before[name] {
				t.Errorf("%s was not replaced", name)
			}
		}
	}
	l.Add(b)
	replaced(func() { write(t, l, a, b) }, logName)
	replaced(func() { write(t, l, b) }, logName, logName+journalSuffix)
	s.attempts.rewriteAt = 0
	s.tempIDs.trusted = false // as after a failed sync
	replaced(func() { store(t, s, issue(alice, 2), wrong(bob, 1)) }, tempIDsName, attemptsName)
	for name, mode := range want {
		st, err := Disk(dir).Stat(name)
		if err != nil || st.Mode != mode {
			t.Errorf("%s has mode %o (%v), want %o", name, st.Mode, err, mode)
		}
	}
	closeAll(t, l)
	closeAll(t, s)
}

// At an orderly end without syncs the files reach the disk.
func TestCloseSyncsWithoutSyncs(t *testing.T) {
	m := NewMemory()
	o := options()
	o.NoSync = true
	s, err := OpenServer(m, o)
	if err != nil {
		t.Fatal(err)
	}
	store(t, s, issue(alice, 1), wrong(alice, 1))
	closeAll(t, s)
	m.Crash()
	equal(t, "restored", restoredRecords(t, openServer(t, m)), []nodes.Record{issue(alice, 1), wrong(alice, 1)})
}
