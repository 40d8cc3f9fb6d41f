package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bluetrace/reports"
	"bluetrace/scenarios"
	"bluetrace/sim"
)

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// beforeEngine calls do before each call of the engine.
func (b *bench) beforeEngine(do func()) {
	engine := b.program.engine
	b.program.engine = func(ctx context.Context, s *scenarios.Scenario, o sim.Options) (*sim.Result, error) {
		do()
		return engine(ctx, s, o)
	}
}

func TestTraceReplacesItsFileWhole(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "trace.txt")
	link := filepath.Join(folder, "link")
	writeFile(t, path, "an old trace\n")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"mistaken.yaml", "broken.yaml", "traceless.yaml"} {
		if newBench().command(context.Background(), []string{"run", "--trace", path, file}); contentOf(t,
			path) != "an old trace\n" {
			t.Errorf("%s, which has no result, replaced the old trace by %q", file, contentOf(t, path))
		}
	}
	b := newBench()
	b.beforeEngine(func() {
		if got := contentOf(t, path); got != "an old trace\n" {
			t.Errorf("the trace is %q during the run", got)
		}
	})
	if got := b.command(context.Background(), []string{"run", "--trace", link, "held.yaml"}); got != statusPassed {
		t.Errorf("status %d\n%s", got, b.err.String())
	}
	if got := contentOf(t, path); got != "0s the run begins\n" {
		t.Errorf("trace %q", got)
	}
	if diff := cmp.Diff([]string{"link", "trace.txt"}, namesIn(t, folder)); diff != "" {
		t.Error(diff)
	}
	if stat, err := os.Stat(path); err != nil || stat.Mode() != 0o600 {
		t.Errorf("mode %v, %v; want that of the old trace", stat.Mode(), err)
	}
	if target, err := os.Readlink(link); err != nil || target != path {
		t.Errorf("the link leads to %q, %v", target, err)
	}
}

func TestTraceWhereItCannotBe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	writeFile(t, path, "")
	for _, c := range []struct{ trace, reason string }{
		{filepath.Join(path, "x"), "not a directory"}, {filepath.Dir(path), "is a directory"},
	} {
		b := newBench()
		if got := b.command(context.Background(), []string{"run", "--trace", c.trace,
			"held.yaml"}); got != statusError || len(b.ran) > 0 {
			t.Errorf("status %d, ran %v; want 107 and nothing", got, b.ran)
		}
		if want := fmt.Sprintf("sim: writing the trace %q: %s\n", c.trace, c.reason); b.err.String() != want {
			t.Errorf("standard error %q, want %q", b.err.String(), want)
		}
	}
}

func TestTraceOfAnInterruptedRunIsKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "trace.txt")
	b := newBench()
	ctx, cancel := context.WithCancel(context.Background())
	b.beforeEngine(cancel)
	if got := b.command(ctx, []string{"run", "--trace", path, "held.yaml"}); got != statusInterrupted {
		t.Errorf("status %d, want 105", got)
	}
	if got := contentOf(t, path); got != "0s the run begins\n" {
		t.Errorf("trace %q", got)
	}
}

func TestTraceThatCannotTakeItsPlaceLeavesNothing(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "trace.txt")
	b := newBench()
	b.beforeEngine(func() {
		if err := os.MkdirAll(filepath.Join(path, "full"), 0o755); err != nil {
			t.Error(err)
		}
	})
	if got := b.command(context.Background(), []string{"run", "--trace", path, "held.yaml"}); got != statusError {
		t.Errorf("status %d, want 107", got)
	}
	if got := b.err.String(); strings.Count(got, "\n") != 1 ||
		!strings.HasPrefix(got, fmt.Sprintf("sim: writing the trace %q: ", path)) {
		t.Errorf("standard error %q", got)
	}
	if !strings.HasPrefix(b.out.String(), "PASSED  held") {
		t.Error("the run was not reported")
	}
	if diff := cmp.Diff([]string{"trace.txt"}, namesIn(t, folder)); diff != "" {
		t.Error(diff)
	}
}

func TestTraceOnAFullDiskIsSaidOnce(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skipf("SKIPPED: there is no disk that is always full (%v): run it on Linux", err)
	}
	const want = "sim: writing the trace \"/dev/full\": no space left on device\n"
	b := newBench()
	if got := b.command(context.Background(), []string{"run", "--trace", "/dev/full",
		"failed.yaml"}); got != statusError {
		t.Errorf("a short trace: status %d, want 107", got)
	}
	if got := b.err.String(); got != want {
		t.Errorf("a short trace: standard error %q", got)
	}
	if !strings.HasPrefix(b.out.String(), "FAILED  failed") {
		t.Error("the run was not reported")
	}
	p, _, errs := whole()
	if got := p.command(context.Background(), []string{"run", "--trace", "/dev/full",
		"../../scenarios/classroom.yaml"}); got != statusError {
		t.Errorf("a long trace: status %d, want 107", got)
	}
	if got := errs.String(); got != want {
		t.Errorf("a long trace: standard error %q", got)
	}
}

// TestTraceToTheFileOfStandardOutput checks that the trace precedes the summary and
// neither overwrites the other.
func TestTraceToTheFileOfStandardOutput(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.txt")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := newBench()
	b.stdout = f
	if got := b.command(context.Background(), []string{"run", "--quiet", "--trace", path,
		"held.yaml"}); got != statusPassed {
		t.Errorf("status %d\n%s", got, b.err.String())
	}
	if got, want := contentOf(t, path),
		"0s the run begins\nPASSED  held: 1 check held  digest 00000000000000ff\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func namedPipe(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pipe")
	if err := exec.Command("mkfifo", path).Run(); err != nil {
		t.Skipf("SKIPPED: no named pipe can be made (mkfifo: %v): run it on Linux, macOS or a BSD", err)
	}
	return path
}

func TestTraceToAPipeIsWrittenDirectly(t *testing.T) {
	path := namedPipe(t)
	read := make(chan string)
	go func() {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
		}
		read <- string(text)
	}()
	if got := newBench().command(context.Background(), []string{"run", "--trace", path,
		"held.yaml"}); got != statusPassed {
		t.Errorf("status %d", got)
	}
	if got := <-read; got != "0s the run begins\n" {
		t.Errorf("read %q", got)
	}
}

// TestTraceToAPipeWithoutAReader checks that the program does not hold the read end
// of the pipe and block when it is full.
func TestTraceToAPipeWithoutAReader(t *testing.T) {
	path := namedPipe(t)
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		f, err := os.Open(path)
		if err != nil {
			t.Error(err)
			return
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}()
	b := newBench()
	b.beforeEngine(func() { <-gone })
	if got := b.command(context.Background(), []string{"run", "--trace", path, "held.yaml"}); got != statusError {
		t.Errorf("status %d, want 107", got)
	}
	if want := fmt.Sprintf("sim: writing the trace %q: broken pipe\n", path); b.err.String() != want {
		t.Errorf("standard error %q, want %q", b.err.String(), want)
	}
}

func TestTraceThroughALinkToNothing(t *testing.T) {
	folder := t.TempDir()
	link := filepath.Join(folder, "link")
	if err := os.Symlink(filepath.Join(folder, "trace.txt"), link); err != nil {
		t.Fatal(err)
	}
	if got := newBench().command(context.Background(), []string{"run", "--trace", link,
		"held.yaml"}); got != statusPassed {
		t.Errorf("status %d", got)
	}
	if got := contentOf(t, filepath.Join(folder, "trace.txt")); got != "0s the run begins\n" {
		t.Errorf("trace %q", got)
	}
}

// TestTraceWithoutAResult has an engine that fails after the first lines.
func TestTraceWithoutAResult(t *testing.T) {
	folder := t.TempDir()
	b := newBench()
	b.program.engine = func(_ context.Context, _ *scenarios.Scenario, o sim.Options) (*sim.Result, error) {
		_, err := io.WriteString(o.Trace, strings.Repeat("half a trace\n", 1e4))
		return &sim.Result{Run: reports.Run{}}, errors.Join(err, errors.New("the world ended"))
	}
	if got := b.command(context.Background(), []string{"run", "--trace", filepath.Join(folder, "t"),
		"held.yaml"}); got != statusError {
		t.Errorf("status %d, want 107", got)
	}
	if names := namesIn(t, folder); len(names) > 0 {
		t.Errorf("left %v", names)
	}
}
