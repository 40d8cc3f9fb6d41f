package foreign

import (
	"bytes"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/benbjohnson/clock"
	"golang.org/x/sys/unix"
)

// eachIsolation runs a test with the protections of this machine, and without name spaces.
func eachIsolation(t *testing.T, test func(t *testing.T)) {
	real := isolation
	for _, l := range real().Missing {
		t.Log(l)
	}
	if real().Processes {
		t.Run("name spaces", test)
	}
	isolation = func() Parts { return Parts{} }
	defer func() { isolation = real }()
	t.Run("process group", test)
}

// run starts a program in a fresh folder. lines has the lines that it prints.
func run(t *testing.T, c Config) (p *Program, lines <-chan string) {
	t.Helper()
	all := make(chan string, 1000)
	c.Clock = clock.New()
	if c.Folder == "" {
		c.Folder = t.TempDir()
	}
	c.Line = func(line string) {
		select {
		case all <- line:
		default:
		}
	}
	p, err := Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.End(0) })
	return p, all
}

// await returns the next line, or fails after a minute.
func await(t *testing.T, p *Program, lines <-chan string) string {
	t.Helper()
	select {
	case line := <-lines:
		return line
	default:
	}
	select {
	case line := <-lines:
		return line
	case <-p.Ended():
		select {
		case line := <-lines:
			return line
		default:
		}
		t.Fatalf("the program has ended: %s", p.Failure())
	case <-time.After(time.Minute):
		t.Fatal("no line for a minute")
	}
	return ""
}

// failure awaits the end of a program that ends by itself, and returns its failure.
func failure(t *testing.T, p *Program) string {
	t.Helper()
	select {
	case <-p.Ended():
	case <-time.After(time.Minute):
		t.Fatal("no end for a minute")
	}
	return p.Failure()
}

// checkGone fails if a process has the text in its arguments or environment, and does not end.
func checkGone(t *testing.T, text string) {
	t.Helper()
	for _, left := range with(text) {
		number, _, _ := strings.Cut(strings.TrimPrefix(left, "/proc/"), "/")
		pid, err := strconv.Atoi(number)
		if err != nil {
			t.Fatal(err)
		}
		process, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			continue // it has gone
		}
		const limit = 5000 // milliseconds for a process that was killed
		ended := []unix.PollFd{{Fd: int32(process), Events: unix.POLLIN}}
		n, err := unix.Poll(ended, limit)
		for errors.Is(err, unix.EINTR) {
			n, err = unix.Poll(ended, limit)
		}
		if n != 1 {
			t.Errorf("left behind: %q (%v)", left, err)
		}
		_ = unix.Close(process)
	}
}

// with returns the arguments of the processes that have the text in their arguments or environment.
func with(text string) (found []string) {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		arguments, _ := os.ReadFile(file)
		environment, _ := os.ReadFile(filepath.Join(filepath.Dir(file), "environ"))
		if bytes.Contains(arguments, []byte(text)) || bytes.Contains(environment, []byte(text)) {
			found = append(found, file+" "+strings.ReplaceAll(string(arguments), "\x00", " "))
		}
	}
	return found
}

// TestNothingIsLeft: after End, or after their own end, no process of hostile programs remains.
func TestNothingIsLeft(t *testing.T) {
	for name, command := range map[string]string{
		"a daemon":              `(setsid nohup sh -c 'echo ready; sleep 1000; true {mark}' >&2 &) ; sleep 1000`,
		"a daemon, and it ends": `(setsid nohup sh -c 'echo ready; sleep 1000; true {mark}' >&2 &) ; sleep 0.2`,
		"ignores SIGTERM":       `trap '' TERM; echo ready; while :; do sleep 1000; true {mark}; done`,
		"kills its parent":      `(setsid sleep 1000 &); echo ready; kill -9 $PPID; sleep 1000; true {mark}`,
		"closes its output":     `echo ready; exec >&- 2>&-; sleep 1000; true {mark}`,
		"stops itself":          `echo ready; kill -STOP $$; true {mark}`,
		"signals every process": `trap '' TERM; (setsid sh -c 'trap "" TERM
while :; do sleep 1000; true {mark}; done' &); echo ready; sleep 1000`,
		"its child keeps a folder": `mkdir -p a/b; cd a/b; (setsid sh -c 'echo ready
while :; do date >x; sleep 0.01; true {mark}; done' &); sleep 1000`,
	} {
		t.Run(name, func(t *testing.T) {
			eachIsolation(t, func(t *testing.T) {
				mark, dir := rand.Text(), filepath.Join(t.TempDir(), "run")
				if err := os.Mkdir(dir, 0o700); err != nil {
					t.Fatal(err)
				}
				p, lines := run(t, Config{Command: command, Folder: dir, Values: []string{"{mark}", mark}})
				if line := await(t, p, lines); line != "ready" {
					t.Fatal(line)
				}
				p.End(10 * time.Millisecond)
				checkGone(t, mark)
				checkGone(t, p.token)
				if err := RemoveFolder(dir); err != nil {
					t.Error(err)
				}
				if _, err := os.Stat(dir); !os.IsNotExist(err) {
					t.Errorf("the folder remains: %v", err)
				}
			})
		})
	}
}

// TestLimits: a program that exceeds a limit is ended, and the limit is named.
func TestLimits(t *testing.T) {
	for name, c := range map[string]struct {
		command string
		limits  Limits
		want    string
	}{
		"fork bomb": {
			`n=0; while [ $n -lt 150 ]; do sleep 1000 & n=$((n+1)); done; wait`, Limits{},
			"it had more than 64 processes",
		},
		"memory": {
			`python3 -c 'x = bytearray(100 << 20); input()'`, Limits{Memory: 50 << 20},
			"it used more than 50 MB of memory",
		},
		"CPU": {`while :; do :; done`, Limits{CPU: time.Second}, "it used more than 1s of CPU time"},
		"one file": {
			`head -c 200m /dev/zero >full; sleep 1000`, Limits{Folder: 10 << 20},
			"it wrote more than 10 MB into its folder",
		},
		"many bytes": {
			`for n in 1 2 3 4; do head -c 4m /dev/zero >full$n; done; sleep 1000`, Limits{Folder: 10 << 20},
			"it wrote more than 10 MB into its folder",
		},
		"many files": {
			`n=0; while [ $n -lt 60 ]; do : >$n; n=$((n+1)); done; exit`, Limits{Files: 50},
			"it made more than 50 files in its folder",
		},
		"output": {`yes`, Limits{Output: 3 << 20}, "it printed more than 3 MB"},
	} {
		t.Run(name, func(t *testing.T) {
			eachIsolation(t, func(t *testing.T) {
				p, _ := run(t, Config{Command: c.command, Limits: c.limits, Input: true})
				if got := failure(t, p); !strings.HasPrefix(got, "ended: "+c.want) {
					t.Errorf("%s\nwant %s", got, c.want)
				}
				checkGone(t, p.token)
			})
		})
	}
}

// TestFiles: a confined program writes to its folder only, and cannot read hidden folders.
func TestFiles(t *testing.T) {
	if !Isolation().Files {
		t.Skipf("SKIPPED: not possible here, allow user name spaces: %q", Isolation().Missing)
	}
	root := t.TempDir()
	all := filepath.Join(root, "all")
	own, other := filepath.Join(all, "own"), filepath.Join(all, "other")
	for _, dir := range []string{own, other} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	secret, open := filepath.Join(other, "secret"), filepath.Join(root, "open")
	for _, file := range []string{secret, open} {
		if err := os.WriteFile(file, []byte("text of "+filepath.Base(file)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", filepath.Join(all, "tools", "bin")+":"+os.Getenv("PATH"))
	if err := os.MkdirAll(filepath.Join(all, "tools", "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	p, lines := run(t, Config{
		Folder: own, Confine: true, Hide: []string{all, filepath.Join(root, "none"), secret},
		Command: `try() { if sh -c "$1" >/dev/null 2>&1; then echo "yes: $1"; else echo "no: $1"; fi; }
try 'cat ` + secret + `'; try 'cat ../other/secret'; try 'cat ` + open + `'
try 'echo x >../x'; try 'echo x >` + open + `'; try 'echo x >own'; try 'mkdir -p sub && echo x >sub/x'
try 'echo x >/dev/null'; try 'echo x >/dev/shm/x'; try 'head -c 1 /dev/urandom'
try 'umount ` + all + `'; try 'echo 1 >/proc/sys/kernel/core_pattern'
try 'unshare -Urm umount ` + all + `'
[ $(ls -d /proc/[0-9]* | wc -l) -lt 9 ] && echo few processes; ls ` + all + `
grep -h -E 'CapEff|NoNewPrivs' /proc/self/status; echo done`,
	})
	var got []string
	for len(got) == 0 || got[len(got)-1] != "done" {
		got = append(got, await(t, p, lines))
	}
	want := []string{
		"no: cat " + secret, "no: cat ../other/secret", "yes: cat " + open, "no: echo x >../x", "no: echo x >" + open,
		"yes: echo x >own", "yes: mkdir -p sub && echo x >sub/x", "yes: echo x >/dev/null", "yes: echo x >/dev/shm/x",
		"yes: head -c 1 /dev/urandom", "no: umount " + all, "no: echo 1 >/proc/sys/kernel/core_pattern",
		"no: unshare -Urm umount " + all, "few processes", "own", "tools",
		"CapEff:\t0000000000000000", "NoNewPrivs:\t1", "done",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s\nwant %s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if text, err := os.ReadFile(filepath.Join(own, "own")); err != nil || string(text) != "x\n" {
		t.Errorf("%q, %v", text, err)
	}
	if _, err := os.Stat(filepath.Join(all, "x")); !os.IsNotExist(err) {
		t.Errorf("written outside the folder: %v", err)
	}
}

// TestTerminal: the program has a terminal, and typed lines are not repeated.
func TestTerminal(t *testing.T) {
	eachIsolation(t, func(t *testing.T) {
		p, lines := run(t, Config{Terminal: true, Command: `test -t 0 && test -t 1 && echo terminal
read line; echo "got $line"
python3 -c 'import getpass; print("password", getpass.getpass("Password:\n"))'
cat; echo "end of input"`})
		expect := func(want ...string) {
			t.Helper()
			for _, line := range want {
				if got := await(t, p, lines); got != line {
					t.Errorf("%q\nwant %q", got, line)
				}
			}
		}
		expect("terminal")
		typed := func(text string) {
			if err := p.Type(text); err != nil {
				t.Fatal(err)
			}
		}
		typed("a line")
		expect("got a line", "Password:")
		typed("secret")
		expect("", "password secret") // the line end that getpass prints
		if err := p.CloseInput(); err != nil {
			t.Fatal(err)
		}
		expect("end of input")
		if got := failure(t, p); !strings.HasPrefix(got, "exit status 0; ") {
			t.Error(got)
		}
	})
}

// TestKernelLimits: the kernel has the limits of one file, of open descriptors, of core dumps and of processes.
func TestKernelLimits(t *testing.T) {
	p, lines := run(t, Config{
		Command: "ulimit -f; ulimit -n; ulimit -c; ulimit -u || ulimit -p", Limits: Limits{Folder: 3 << 20, Open: 77},
	})
	for _, want := range []string{"8192", "77", "0"} { // files in 512 bytes
		if got := await(t, p, lines); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// TestTypeEnds: a program that does not read does not block its caller.
func TestTypeEnds(t *testing.T) {
	for _, terminal := range []bool{false, true} {
		p, err := Start(Config{
			Command: "sleep 1000", Folder: t.TempDir(), Clock: clock.NewMock(), Input: true, Terminal: terminal,
			Line: func(string) {},
		})
		if err != nil {
			t.Fatal(err)
		}
		err = p.Type(strings.Repeat("x", 1<<20)) // the limit is over on the clock, which stands
		want := "the program has not read its input for 100ms"
		if !errors.Is(err, os.ErrDeadlineExceeded) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v\nwant %s", err, want)
		}
		p.killAll()
		<-p.Ended()
	}
}
