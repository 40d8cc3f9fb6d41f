//go:build unix

package foreign

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/benbjohnson/clock"
)

// started starts a command, and returns the lines that it has printed. came gets an element for each.
func started(t *testing.T, command string) (p *Program, came <-chan struct{}, lines func() []string) {
	t.Helper()
	var mu sync.Mutex
	var all []string
	printed := make(chan struct{}, 100)
	p, err := Start(Config{
		Command: command, Folder: t.TempDir(), Clock: clock.New(), Values: []string{"{port}", "13000"},
		Line: func(line string) {
			mu.Lock()
			defer mu.Unlock()
			all = append(all, line)
			printed <- struct{}{}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.End(time.Minute) })
	return p, printed, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(all)
	}
}

func TestOutputAndEnd(t *testing.T) {
	t.Setenv("BLUETRACE_SECRET", "secret")
	p, _, lines := started(t, `echo port {port}; echo to standard error >&2; printf '%09999d\nlast\r\n' 0
env | grep SECRET; exit 3`)
	<-p.Ended()
	want := []string{"port 13000", "to standard error", strings.Repeat("0", maxLine), "last"}
	if got := lines(); !slices.Equal(got, want) {
		t.Errorf("lines %q", got)
	}
	if got, want := p.Failure(), "exit status 3; last lines: "+strings.Join(want, " | "); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

// TestPlain: colours, titles and places of the cursor are no text.
func TestPlain(t *testing.T) {
	const text = "\x1b[1mRegister or login? \x1b[0mThe beacon is \x1b[38;5;10mvalid\x1b[K\x1b]0;title\a.\x1b(B"
	if got := Plain(text); got != "Register or login? The beacon is valid." {
		t.Errorf("%q", got)
	}
}

// TestPrompts: with Quiet the beginning of a line is given after a while, and the rest as another line. What is typed
// arrives, and so does the end of the input.
func TestPrompts(t *testing.T) {
	lines := make(chan string, 10)
	p, err := Start(Config{
		Command: `printf 'Name: '; read name; echo "hello $name"; read more || echo the end`, Folder: t.TempDir(),
		Clock: clock.New(), Input: true, Quiet: time.Millisecond, Line: func(line string) { lines <- line },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.End(time.Minute) })
	want := func(text string) {
		t.Helper()
		if got := <-lines; got != text {
			t.Errorf("%q, want %q", got, text)
		}
	}
	want("Name: ")
	if err := errors.Join(p.Write("an"), p.Type("na")); err != nil {
		t.Fatal(err)
	}
	want("hello anna")
	if err := p.CloseInput(); err != nil {
		t.Fatal(err)
	}
	want("the end")
	<-p.Ended()
}

// TestFreshFolder: the copy has the files of the folder, and is another folder.
func TestFreshFolder(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	from := t.TempDir()
	if err := os.WriteFile(filepath.Join(from, "a.txt"), []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	folder, err := FreshFolder(from)
	if err != nil || folder == from {
		t.Fatalf("%q, %v", folder, err)
	}
	if text, err := os.ReadFile(filepath.Join(folder, "a.txt")); err != nil || string(text) != "text" {
		t.Errorf("%q, %v", text, err)
	}
	if _, err := FreshFolder(filepath.Join(from, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	left, err := os.ReadDir(os.TempDir())
	if err != nil || len(left) != 1 {
		t.Errorf("%v, %v", left, err)
	}
}

// TestEndOfGroup: a program that ignores SIGTERM, and a process that it has started, are ended.
func TestEndOfGroup(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	p, came, _ := started(t, "trap '' TERM; sleep 1000 > "+fifo+" & echo started; wait")
	end, err := os.Open(fifo) // waits for the process that writes
	if err != nil {
		t.Fatal(err)
	}
	defer end.Close()
	<-came
	p.End(10 * time.Millisecond)
	if _, err := end.Read(make([]byte, 1)); err != io.EOF { // waits for the end of that process
		t.Error(err)
	}
}

func TestAwaitPort(t *testing.T) {
	port, err := FreePort()
	if err != nil {
		t.Fatal(err)
	}
	p, _, _ := started(t, "echo no; exit 1")
	want := "the server ended before it listened on port " + strconv.Itoa(int(port)) + ": exit status 1; last lines: no"
	if err := p.AwaitPort(t.Context(), port, time.Minute); err == nil || err.Error() != want {
		t.Errorf("%v\nwant %s", err, want)
	}
	p, _, _ = started(t, "sleep 1000")
	want = "the server does not listen on port " + strconv.Itoa(int(port)) + " after 1ms"
	if err := p.AwaitPort(t.Context(), port, time.Millisecond); err == nil || err.Error() != want {
		t.Errorf("%v\nwant %s", err, want)
	}
}
