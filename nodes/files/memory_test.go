package files

import (
	"errors"
	"io/fs"
	"testing"
)

func mustWrite(t *testing.T, f File, text string) {
	t.Helper()
	if _, err := f.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

func mustAppend(t *testing.T, m *Memory, name string) File {
	t.Helper()
	f, err := m.Append(name, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// The states that a crash can leave of writes and truncations in turn.
func TestACrashKeepsSyncedBytesAndAPrefixOfTheRest(t *testing.T) {
	for steps, want := range []string{"synced", "synceda", "syncedab", "sync", "syncc", "syncc"} {
		m := NewMemory()
		f := mustAppend(t, m, "x")
		mustWrite(t, f, "synced")
		must(t, f.Sync(), m.SyncNames())
		mustWrite(t, f, "ab")
		must(t, f.Truncate(4))
		mustWrite(t, f, "c")
		equal(t, "before", content(t, m, "x"), "syncc")
		if _, unsynced := m.Unsynced("x"); unsynced != 4 {
			t.Errorf("%d steps unsynced", unsynced)
		}
		m.CrashKeeping(PartialSync{Bytes: func(string, int) int { return steps }})
		equal(t, "after", content(t, m, "x"), want)
		m.Crash()
		equal(t, "after another crash", content(t, m, "x"), want)
		if _, err := f.Write([]byte("z")); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("a file of before the crash: %v", err)
		}
	}
}

func TestACrashMayLeaveZeros(t *testing.T) {
	m := NewMemory()
	f := mustAppend(t, m, "x")
	mustWrite(t, f, "ab")
	must(t, f.Sync(), m.SyncNames())
	mustWrite(t, f, "cdef")
	m.CrashKeeping(PartialSync{Zeros: true, Bytes: func(string, int) int { return 3 }})
	equal(t, "after", content(t, m, "x"), "ab\x00\x00\x00")
}

// A name is durable after SyncNames, independent of syncs of the file.
func TestACrashKeepsAPrefixOfTheNames(t *testing.T) {
	for kept, want := range []string{"old", "old", "new was", "new"} {
		m := NewMemory()
		m.WriteFile("a", []byte("old"), 0o644)
		f := mustAppend(t, m, "b")
		mustWrite(t, f, "new was")
		must(t, f.Sync(), f.Truncate(3), m.Rename("b", "a"))
		names, _ := m.Unsynced("a")
		equal(t, "unsynced", names, 2)
		m.CrashKeeping(PartialSync{Names: kept, Bytes: func(string, int) int { return kept % 2 }})
		equal(t, "a", content(t, m, "a"), want)
		_, err := m.ReadFile("b")
		equal(t, "b is there", err == nil, kept == 1)
	}
}

func TestAFailedSyncLosesItsBytes(t *testing.T) {
	m := NewMemory()
	f := mustAppend(t, m, "x")
	mustWrite(t, f, "ab")
	must(t, f.Sync(), m.SyncNames())
	mustWrite(t, f, "cd")
	m.SetFault(func(Operation) error { return errFault })
	if err := f.Sync(); !errors.Is(err, errFault) {
		t.Fatal(err)
	}
	m.SetFault(nil)
	equal(t, "it reads well", content(t, m, "x"), "abcd")
	mustWrite(t, f, "e")
	must(t, f.Sync())
	m.Crash()
	equal(t, "and is lost", content(t, m, "x"), "ab\x00\x00e")
}

func TestFreeSpace(t *testing.T) {
	m := NewMemory()
	m.SetFreeSpace(3)
	f := mustAppend(t, m, "x")
	n, err := f.Write([]byte("abcd"))
	if n != 3 || !errors.Is(err, ErrNoSpace) {
		t.Errorf("%d, %v", n, err)
	}
	left := func(what string, want int64) {
		t.Helper()
		equal(t, what, m.freeSpace, want)
	}
	left("a full disk", 0)
	must(t, f.Truncate(1))
	left("after a truncation", 2)
	mustWrite(t, f, "cd")
	left("full again", 0)
	m.WriteFile("y", nil, 0)
	must(t, m.Rename("y", "x"))
	left("after a rename over the file", 3)
	mustWrite(t, mustAppend(t, m, "x"), "abc")
	must(t, m.Remove("x"))
	left("after a removal", 3)
	mustWrite(t, mustAppend(t, m, "x"), "abc")
	m.Crash()
	left("after a crash", 3)
	mustWrite(t, mustAppend(t, m, "z"), "ab")
	left("one byte", 1)
	f, err = m.Create("z", 0o600)
	must(t, err)
	left("emptied", 3)
	mustWrite(t, f, "c")
	must(t, f.Sync(), m.SyncNames())
	mustWrite(t, f, "d")
	m.Crash()
	left("after the loss of an unsynced byte", 2)
}

func TestStopAndKill(t *testing.T) {
	m := NewMemory()
	f := mustAppend(t, m, "x")
	_, err := m.Lock("l")
	must(t, err)
	m.StopBefore(2)
	mustWrite(t, f, "a")
	for range 2 {
		if _, err := f.Write([]byte("b")); !errors.Is(err, ErrStopped) {
			t.Errorf("after the stop: %v", err)
		}
	}
	equal(t, "operations", m.Operations(), 5)
	m.Kill()
	equal(t, "the written bytes stay", content(t, m, "x"), "a")
	_, err = m.Lock("l")
	must(t, err)
	mustWrite(t, mustAppend(t, m, "x"), "b")
	m.Crash()
	if _, err := m.ReadFile("x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("its name was never synced: %v", err)
	}
}

func TestShortWrite(t *testing.T) {
	m := NewMemory()
	f := mustAppend(t, m, "x")
	m.SetFault(func(o Operation) error {
		equal(t, "operation", o.String(), `write "x" (4 bytes)`)
		return ShortWrite{Bytes: 2}
	})
	n, err := f.Write([]byte("abcd"))
	if n != 2 || err == nil {
		t.Errorf("%d, %v", n, err)
	}
	m.SetFault(nil)
	equal(t, "x", content(t, m, "x"), "ab")
}
