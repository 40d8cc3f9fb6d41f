//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// asProgram is the environment variable with which the test binary is the program sim.
const asProgram = "BLUETRACE_TEST_AS_SIM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	if kind := os.Getenv(asForeign); kind != "" {
		foreignServer(kind)
	}
	os.Exit(m.Run())
}

// process is the program sim in a process of its own.
type process struct {
	*testing.T
	*exec.Cmd
	folder string        // its working directory
	lines  *bufio.Reader // its standard error
	errs   bytes.Buffer  // the lines of standard error that were read
}

// newProcess returns sim with its arguments. Nothing is on its standard input.
func newProcess(t *testing.T, arguments ...string) *process {
	t.Helper()
	p := &process{T: t, Cmd: exec.Command(os.Args[0], arguments...), folder: t.TempDir()}
	p.Dir, p.Env = p.folder, append(os.Environ(), asProgram+"=1")
	errs, err := p.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.lines = bufio.NewReader(errs)
	writeFile(t, p.path("small.yaml"), passing)
	writeFile(t, p.path("mistaken.yaml"), "name: mistaken\nphnes: 1\n")
	writeFile(t, p.path("endless.yaml"), strings.NewReplacer("small", "endless", "until: 1m", "until: 5000h", "70s",
		"5001h").Replace(passing))
	return p
}

func (p *process) path(name string) string { return filepath.Join(p.folder, name) }

func (p *process) start() {
	p.Helper()
	if err := p.Start(); err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() { _ = p.Process.Kill() })
}

// says waits for a line of standard error that contains text.
func (p *process) says(text string) {
	p.Helper()
	for {
		line, err := p.lines.ReadString('\n')
		p.errs.WriteString(line)
		if strings.Contains(line, text) {
			return
		}
		if err != nil {
			p.Fatalf("no %q on standard error, which ended with %v:\n%s", text, err, &p.errs)
		}
	}
}

// ends waits for the end of the process, which must have an exit status.
func (p *process) ends(want status) {
	p.Helper()
	_, _ = io.Copy(&p.errs, p.lines)
	_ = p.Wait()
	if got := p.ProcessState.ExitCode(); got != int(want) {
		p.Errorf("%q: %v, want exit status %d\n%s", p.Args[1:], p.ProcessState, want, &p.errs)
	}
}

func (p *process) pipe(name string) string {
	p.Helper()
	if err := syscall.Mkfifo(p.path(name), 0o600); err != nil {
		p.Fatal(err)
	}
	return p.path(name)
}

// closedPipe returns an output whose reader has gone.
func closedPipe(t *testing.T) *os.File {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return w
}

// fullPipe returns an output that takes no more, whose reader stays.
func fullPipe(t *testing.T) *os.File {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	if err := w.SetWriteDeadline(time.Unix(1, 0)); err != nil { // writes without waiting
		t.Fatal(err)
	}
	c, err := w.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for full := false; !full; {
		if err := c.Control(func(fd uintptr) {
			_, err := syscall.Write(int(fd), make([]byte, 4096))
			full = errors.Is(err, syscall.EAGAIN)
		}); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func TestReportsAreWrittenWhenTheReaderHasGone(t *testing.T) {
	t.Parallel()
	p := newProcess(t, "run", "--out", "out", "small.yaml", "mistaken.yaml")
	p.Stdout = closedPipe(t)
	p.start()
	p.ends(statusError)
	want := []string{manifestFile, "index.html", "junit.xml", "small.html", "small.json", "small.openmetrics.txt",
		"small.txt"}
	if diff := cmp.Diff(want, namesIn(t, p.path("out"))); diff != "" {
		t.Error(diff)
	}
	if n := strings.Count(p.errs.String(), "broken pipe"); n != 1 || !strings.Contains(p.errs.String(),
		"mistaken.yaml:2:1: ") {
		t.Errorf("standard error:\n%s", &p.errs)
	}
}

// TestClosedOutputsHaveAnExitStatus checks that no command is ended by SIGPIPE.
func TestClosedOutputsHaveAnExitStatus(t *testing.T) {
	t.Parallel()
	for _, arguments := range []string{"--help", "run --help", "completion bash", "schema", "--version",
		"check small.yaml", "init new.yaml",
		"run small.yaml", "run --report json small.yaml", "run --trace /dev/stdout small.yaml",
		"swarm --seeds 1-1 small.yaml"} {
		t.Run(arguments, func(t *testing.T) {
			t.Parallel()
			p := newProcess(t, strings.Fields(arguments)...)
			p.Stdout = closedPipe(t)
			p.start()
			p.ends(statusError)
		})
	}
	p := newProcess(t, "check", "mistaken.yaml", "small.yaml")
	p.lines = bufio.NewReader(strings.NewReader(""))
	var out bytes.Buffer
	p.Stdout, p.Stderr = &out, closedPipe(t)
	p.start()
	p.ends(statusInvalid)
	if !strings.HasPrefix(out.String(), "ok  small.yaml: ") {
		t.Errorf("printed %q", &out)
	}
}

// TestTheFirstSignalEndsEveryWait waits for a pipe that has a writer who writes nothing,
// or nothing at its other end.
func TestTheFirstSignalEndsEveryWait(t *testing.T) {
	t.Parallel()
	signals := []os.Signal{syscall.SIGTERM, os.Interrupt, syscall.SIGHUP}
	for i, c := range []struct {
		arguments string
		ready     string // on standard error, when signals are handled; else the pipe is opened
	}{
		{"run pipe", ""}, {"check pipe", ""}, {"swarm pipe", ""}, {"compare pipe pipe", ""}, {"swarm --merge pipe", ""},
		{"run --live --server 127.0.0.1:1 --credentials pipe small.yaml", ""},
		{"run --dialect pipe small.yaml", ""}, {"dialect show pipe", ""}, {"dialect check pipe", ""},
		{"dialect serve --server 127.0.0.1:1 pipe", ""},
		{"judge --rules pipe --folder . --client-command x{port}{udp}", ""},
		{"judge --dialect pipe --folder . --client-command x{port}{udp}", ""},
		{"judge --server 127.0.0.1:1 --credentials pipe", ""},
		{"run mistaken.yaml pipe", "mistaken.yaml:2:1"}, {"check mistaken.yaml pipe", "mistaken.yaml:2:1"},
		{"run mistaken.yaml -", "mistaken.yaml:2:1"}, {"check mistaken.yaml -", "mistaken.yaml:2:1"},
		{"run --metrics 0 --trace pipe small.yaml", "metrics at"},
	} {
		t.Run(c.arguments, func(t *testing.T) {
			t.Parallel()
			p := newProcess(t, strings.Fields(c.arguments)...)
			pipe := p.pipe("pipe")
			in, err := p.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			defer in.Close()
			p.start()
			if c.ready != "" {
				p.says(c.ready)
			} else {
				w, err := os.OpenFile(pipe, os.O_WRONLY, 0)
				if err != nil {
					t.Fatal(err)
				}
				defer w.Close()
			}
			if err := p.Process.Signal(signals[i%len(signals)]); err != nil {
				t.Fatal(err)
			}
			p.ends(statusInterrupted)
			if !strings.Contains(p.errs.String(), "interrupt") {
				t.Errorf("standard error:\n%s", &p.errs)
			}
		})
	}
}

// endless starts a run that does not end, and returns its trace after the first line.
func endless(t *testing.T, p *process) *bufio.Reader {
	t.Helper()
	pipe := p.pipe("pipe")
	p.start()
	f, err := os.Open(pipe)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	trace := bufio.NewReader(f)
	if _, err := trace.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	return trace
}

func TestHangUpIsAnInterrupt(t *testing.T) {
	t.Parallel()
	p := newProcess(t, "run", "--out", "out", "--trace", "pipe", "endless.yaml")
	trace := endless(t, p)
	if err := p.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, trace); err != nil {
		t.Fatal(err)
	}
	p.ends(statusInterrupted)
	var run struct{ Verdict string }
	if err := json.Unmarshal([]byte(contentOf(t, p.path("out/endless.json"))), &run); err != nil ||
		run.Verdict != "interrupted" {
		t.Errorf("verdict %q, %v", run.Verdict, err)
	}
	want := []string{manifestFile, "endless.html", "endless.json", "endless.openmetrics.txt", "endless.txt",
		"index.html", "junit.xml"}
	if diff := cmp.Diff(want, namesIn(t, p.path("out"))); diff != "" {
		t.Error(diff)
	}
}

// TestHangUpIsIgnoredBelowNohup sends SIGHUP to a process that was started with it
// ignored, and checks that its run continues.
func TestHangUpIsIgnoredBelowNohup(t *testing.T) {
	t.Parallel()
	p := newProcess(t, "run", "--trace", "pipe", "endless.yaml")
	p.Args = append([]string{"sh", "-c", `trap "" HUP; exec "$0" "$@"`}, p.Args...)
	p.Path = "/bin/sh"
	trace := endless(t, p)
	if err := p.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if n, err := io.CopyN(io.Discard, trace, 8<<20); err != nil {
		t.Errorf("the run ended after %d bytes of its trace: %v", n, err)
	}
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, trace); err != nil {
		t.Fatal(err)
	}
	p.ends(statusInterrupted)
}

func TestASignalEndsABlockedOutput(t *testing.T) {
	t.Parallel()
	p := newProcess(t, "run", "--out", "out", "--trace", "pipe", "small.yaml")
	p.Stdout = fullPipe(t)
	trace := endless(t, p)
	if _, err := io.Copy(io.Discard, trace); err != nil { // until the run has ended
		t.Fatal(err)
	}
	for !isFile(p.path("out/small.json")) { // which is written before the result is printed
		runtime.Gosched()
	}
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.ends(statusError)
	if want := "printing to standard output: writing the summary of \"small\": " +
		errBlocked.Error(); !strings.Contains(p.errs.String(), want) {
		t.Errorf("no %q on standard error:\n%s", want, &p.errs)
	}
	want := []string{manifestFile, "index.html", "junit.xml", "small.html", "small.json", "small.openmetrics.txt",
		"small.txt"}
	if diff := cmp.Diff(want, namesIn(t, p.path("out"))); diff != "" {
		t.Error(diff)
	}
}

func TestNewFilesFollowTheUmask(t *testing.T) {
	t.Parallel()
	const stepped = "run --step 10s --out new/out --trace new/out/trace small.yaml"
	for _, c := range []struct {
		umask        string
		file, folder os.FileMode
		commands     []string
	}{
		{"077", 0o600, 0o700, []string{stepped, "swarm --seeds 1-1 --out new/out small.yaml",
			"run --out new/out --metrics 0 small.yaml"}},
		{"002", 0o664, 0o775, []string{stepped}},
	} {
		for _, arguments := range c.commands {
			p := newProcess(t, strings.Fields(arguments)...)
			p.Args = append([]string{"sh", "-c", "umask " + c.umask +
				`; mkdir -p new/out; rmdir new/out; exec "$0" "$@"`}, p.Args...)
			p.Path = "/bin/sh"
			p.start()
			p.ends(statusPassed)
			for _, name := range namesIn(t, p.path("new/out")) {
				if at, err := os.Stat(p.path("new/out/" + name)); err != nil || at.Mode() != c.file {
					t.Errorf("umask %s: %s has mode %v, %v; want %v", c.umask, name, at.Mode(), err, c.file)
				}
			}
			if at, err := os.Stat(p.path("new/out")); err != nil || at.Mode().Perm() != c.folder {
				t.Errorf("umask %s: the folder has mode %v, %v; want %v", c.umask, at.Mode(), err, c.folder)
			}
		}
	}
}

// TestTwoRunsMayShareAFolder runs two scenarios at once with one --out.
func TestTwoRunsMayShareAFolder(t *testing.T) {
	t.Parallel()
	one, two := newProcess(t, "run", "--out", "out", "small.yaml"), newProcess(t, "run", "--out", "out", "other.yaml")
	two.Dir = one.folder
	writeFile(t, one.path("other.yaml"), strings.Replace(passing, "small", "other", 1))
	one.start()
	two.start()
	one.ends(statusPassed)
	two.ends(statusPassed)
	want := []string{manifestFile, "index.html", "junit.xml", "other.html", "other.json", "other.openmetrics.txt",
		"other.txt", "small.html", "small.json", "small.openmetrics.txt", "small.txt"}
	if diff := cmp.Diff(want, namesIn(t, one.path("out"))); diff != "" {
		t.Error(diff)
	}
	lines := strings.Split(strings.TrimSpace(contentOf(t, one.path("out/.manifest"))), "\n")
	slices.Sort(lines)
	if diff := cmp.Diff([]string{`other "../other.yaml"`, `small "../small.yaml"`}, lines); diff != "" {
		t.Error(diff)
	}
}

// TestAFolderWithAPipeIsReadWithoutIt checks that the pipe is named.
func TestAFolderWithAPipeIsReadWithoutIt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ arguments, printed string }{{"check .", "ok  small.yaml: "},
		{"run .", "PASSED  small: "}} {
		p := newProcess(t, strings.Fields(c.arguments)...)
		p.pipe("x.yaml")
		for _, name := range []string{"mistaken.yaml", "endless.yaml"} {
			if err := os.Remove(p.path(name)); err != nil {
				t.Fatal(err)
			}
		}
		var out bytes.Buffer
		p.Stdout = &out
		p.start()
		p.ends(statusInvalid)
		want := "sim: \"x.yaml\" is a pipe or a device: a folder's scenarios must be regular files\n"
		if p.errs.String() != want {
			t.Errorf("standard error %q, want %q", &p.errs, want)
		}
		if !strings.HasPrefix(out.String(), c.printed) {
			t.Errorf("printed %q", &out)
		}
	}
}

// TestAPipeIsReadAsAScenario checks a pipe that is named, as a shell's <(…) does.
func TestAPipeIsReadAsAScenario(t *testing.T) {
	p := newProcess(t, "check", "pipe")
	pipe := p.pipe("pipe")
	p.start()
	if err := os.WriteFile(pipe, []byte(passing), 0o600); err != nil {
		t.Fatal(err)
	}
	p.ends(statusPassed)
}

func TestAContactTraceIsNoPipe(t *testing.T) {
	p := newProcess(t, "run", "trace.yaml")
	p.pipe("day")
	writeFile(t, p.path("trace.yaml"), strings.Replace(passing, "{everyone: [anna, ben]}",
		"{trace: {file: day, phones: [anna, ben]}}", 1))
	p.start()
	p.ends(statusInvalid)
	if want := fmt.Sprintf("the contact trace %q is a folder, a pipe or a device",
		"day"); !strings.Contains(p.errs.String(), want) {
		t.Errorf("standard error:\n%s", &p.errs)
	}
}

func TestWaitsEndWithTheirContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	grace := make(chan time.Time)
	asked := make(chan time.Duration, 1)
	r, w := io.Pipe()
	defer r.Close()
	o := &interruptibleOutput{to: w, ctx: ctx, after: func(d time.Duration) <-chan time.Time {
		asked <- d
		return grace
	}}
	read := make(chan string)
	go func() {
		text := make([]byte, 3)
		_, _ = io.ReadFull(r, text)
		read <- string(text)
	}()
	if n, err := o.Write([]byte("one")); n != 3 || err != nil || <-read != "one" {
		t.Errorf("%d, %v", n, err)
	}
	result := make(chan error)
	go func() {
		_, err := o.Write([]byte("two"))
		result <- err
	}()
	cancel()
	if d := <-asked; d != outputGrace {
		t.Errorf("waits %v after the interrupt", d)
	}
	select {
	case err := <-result:
		t.Errorf("ended before the grace: %v", err)
	default:
	}
	grace <- time.Time{}
	if err := <-result; !errors.Is(err, errBlocked) {
		t.Errorf("got %v", err)
	}
	if _, err := o.Write([]byte("three")); !errors.Is(err, errBlocked) {
		t.Errorf("a later write: %v", err)
	}
}

// TestUnreadPathsAreErrorsOfJUnit: a path that is missing, and a folder with a pipe in it,
// have an error of their own beside the scenarios that are run. Reports of the file that
// is a pipe now are removed, and those of the other files of the folder are replaced.
func TestUnreadPathsAreErrorsOfJUnit(t *testing.T) {
	s := newStaleRig(t)
	s.scenario("a/two.yaml", "two")
	s.run(statusPassed, "held other two", "a other.yaml")
	if err := os.Remove("a/held.yaml"); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo("a/held.yaml", 0o600); err != nil {
		t.Fatal(err)
	}
	s.run(statusInvalid, "other two", "a missing.yaml other.yaml")
	text, err := os.ReadFile("out/junit.xml")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), "<error "); n != 2 || !strings.Contains(string(text), `name="missing.yaml"`) ||
		!strings.Contains(string(text), `name="a"`) {
		t.Errorf("%d errors in %s", n, text)
	}
	s.run(statusInvalid, "other two", "missing.yaml")
	if text, err = os.ReadFile("out/junit.xml"); err != nil || !strings.Contains(string(text), "<error ") {
		t.Errorf("junit.xml of a missing file alone: %s, %v", text, err)
	}
}
