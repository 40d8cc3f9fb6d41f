//go:build unix

package files

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"bluetrace/nodes"
)

// pipe replaces a file by a named pipe without a reader or writer.
func pipe(t *testing.T, dir, name string) {
	t.Helper()
	at := filepath.Join(dir, name)
	if err := os.Remove(at); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(at, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A pipe under the name of a file is refused without waiting for its other end.
func TestPipesAreRefused(t *testing.T) {
	dir := t.TempDir()
	pipe(t, dir, "pipe")
	d := disk(dir)
	_, opening := d.Open("pipe")
	_, appending := d.Append("pipe", 0o600)
	_, creating := d.Create("pipe", 0o600)
	_, locking := d.Lock("pipe")
	for what, err := range map[string]error{"open": opening, "append": appending, "create": creating, "lock": locking} {
		if !errors.Is(err, errNotRegular) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// The flag alone prevents waiting if the file becomes a pipe after the check.
func TestOpeningAPipeDoesNotWait(t *testing.T) {
	dir := t.TempDir()
	pipe(t, dir, "pipe")
	f, err := os.OpenFile(filepath.Join(dir, "pipe"), os.O_RDONLY|nonBlocking, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
}

// A server whose files become pipes keeps its accounts. Once they are files again, it
// stores again.
func TestFilesThatBecomePipes(t *testing.T) {
	dir := t.TempDir()
	account := []byte(alice + " secret\n")
	credentials := filepath.Join(dir, credentialsName)
	if err := os.WriteFile(credentials, account, 0o600); err != nil {
		t.Fatal(err)
	}
	s := openServer(t, Disk(dir))
	defer closeAll(t, s)
	if list, _, err := s.Credentials(); err != nil || len(list) != 1 {
		t.Fatalf("accounts %v, %v", list, err)
	}
	store(t, s, issue(alice, 1), wrong(bob, 1))
	for _, name := range []string{credentialsName, tempIDsName, attemptsName} {
		pipe(t, dir, name)
	}
	for range 2 {
		if list, changed, err := s.Credentials(); len(list) != 1 || changed || err != nil {
			t.Errorf("accounts %v, %v, %v", list, changed, err)
		}
	}
	issues, attempts := s.Store([]nodes.Record{issue(alice, 2), wrong(bob, 2)})
	contains(t, "a TempID", issues, "tempIDs.txt", "it is no regular file")
	if attempts != nil { // written anew, in its place
		t.Errorf("attempts: %v", attempts)
	}
	notes := strings.Join(texts(s.Notes()), "\n")
	if want := "credentials.txt: it is no regular file; the accounts read before stay in force"; strings.Count(notes,
		want) != 1 {
		t.Errorf("notes %q, want once %q", notes, want)
	}
	if err := errors.Join(os.Remove(credentials), os.WriteFile(credentials, append(account, bob+" x\n"...), 0o600),
		os.Remove(filepath.Join(dir, tempIDsName))); err != nil {
		t.Fatal(err)
	}
	if list, changed, err := s.Credentials(); len(list) != 2 || !changed || err != nil {
		t.Errorf("accounts %v, %v, %v", list, changed, err)
	}
	store(t, s, issue(alice, 3))
}
