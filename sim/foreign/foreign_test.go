//go:build unix

package foreign

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/benbjohnson/clock"
)

// started starts a command, and returns the lines that it prints.
func started(t *testing.T, command string) (p *Program, lines func() []string) {
	t.Helper()
	var mu sync.Mutex
	var all []string
	p, err := Start(Config{Command: command, Folder: t.TempDir(), Clock: clock.New(), Values: []string{"{port}", "13000"},
		Line: func(line string) {
			mu.Lock()
			defer mu.Unlock()
			all = append(all, line)
		}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.End(time.Minute) })
	return p, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(all)
	}
}

func TestOutputAndEnd(t *testing.T) {
	t.Setenv("BLUETRACE_SECRET", "secret")
	p, lines := started(t, `echo port {port}; echo to standard error >&2; printf '%09999d\nlast\r\n' 0; env | grep SECRET; exit 3`)
	<-p.Ended()
	want := []string{"port 13000", "to standard error", strings.Repeat("0", maxLine), "last"}
	if got := lines(); !slices.Equal(got, want) {
		t.Errorf("lines %q", got)
	}
	if got, want := p.Failure(), "exit status 3; last lines: "+strings.Join(want, " | "); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

// TestEndOfGroup: a program that ignores SIGTERM, and a process that it has started, are ended.
func TestEndOfGroup(t *testing.T) {
	p, lines := started(t, `trap '' TERM; sleep 1000 & echo $!; wait`)
	for len(lines()) == 0 {
		time.Sleep(time.Millisecond) // the process has its own clock
	}
	child, err := strconv.Atoi(lines()[0])
	if err != nil {
		t.Fatal(err)
	}
	p.End(10 * time.Millisecond)
	for limit := time.Now().Add(time.Minute); syscall.Kill(child, 0) == nil && !isZombie(child); {
		if time.Now().After(limit) {
			t.Fatalf("process %d still runs", child)
		}
		time.Sleep(time.Millisecond) // a signal is handled later
	}
}

// isZombie reports whether a process has ended, and its parent has not noticed.
func isZombie(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || strings.Contains(string(stat), ") Z ")
}

func TestAwaitPort(t *testing.T) {
	port, err := FreePort()
	if err != nil {
		t.Fatal(err)
	}
	p, _ := started(t, "echo no; exit 1")
	want := "the server ended before it listened on port " + strconv.Itoa(int(port)) + ": exit status 1; last lines: no"
	if err := p.AwaitPort(t.Context(), port, time.Minute); err == nil || err.Error() != want {
		t.Errorf("%v\nwant %s", err, want)
	}
	p, _ = started(t, "sleep 1000")
	want = "the server does not listen on port " + strconv.Itoa(int(port)) + " after 1ms"
	if err := p.AwaitPort(t.Context(), port, time.Millisecond); err == nil || err.Error() != want {
		t.Errorf("%v\nwant %s", err, want)
	}
}
