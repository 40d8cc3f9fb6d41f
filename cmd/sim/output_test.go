package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func namesIn(t *testing.T, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func contentOf(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestOutHasEveryReport(t *testing.T) {
	b := newBench()
	folder := filepath.Join(t.TempDir(), "new", "results")
	arguments := []string{"run", "--out", folder, "--report", "text,json,junit", "a/held.yaml", "mistaken.yaml",
		"b/held.yaml", "failed.yaml"}
	if got := b.command(context.Background(), arguments); got != statusInvalid {
		t.Errorf("status %d, want 104", got)
	}
	want := []string{manifestFile, "failed.html", "failed.json", "failed.openmetrics.txt", "failed.txt",
		"held-2.html", "held-2.json", "held-2.openmetrics.txt", "held-2.txt",
		"held.html", "held.json", "held.openmetrics.txt", "held.txt", "index.html", "junit.xml"}
	if diff := cmp.Diff(want, namesIn(t, folder)); diff != "" {
		t.Error(diff)
	}
	var second struct{ File, Verdict string }
	if err := json.Unmarshal([]byte(contentOf(t, filepath.Join(folder, "held-2.json"))), &second); err != nil ||
		second.File != "b/held.yaml" {
		t.Errorf("held-2.json is of %q, %v", second.File, err)
	}
	if junit := contentOf(t, filepath.Join(folder, "junit.xml")); !strings.Contains(junit,
		`<testsuites name="bluetrace" tests="4" failures="1" errors="1" skipped="0"`) {
		t.Errorf("junit.xml:\n%s", junit)
	}
	if metrics := contentOf(t, filepath.Join(folder, "failed.openmetrics.txt")); !strings.Contains(metrics,
		`bluetrace_checks_total{outcome="failed",run_id="seed-5",scenario="failed"} 1.0`) || !strings.HasSuffix(metrics,
		"# EOF\n") {
		t.Errorf("failed.openmetrics.txt:\n%s", metrics)
	}
	if printed := b.out.String(); strings.Count(printed, "PASSED") != 2 || strings.ContainsAny(printed, "{<") {
		t.Errorf("printed\n%s", printed)
	}
	text := contentOf(t, filepath.Join(folder, "held.txt"))
	if !strings.HasPrefix(b.out.String(), text) {
		t.Error("held.txt differs from the printed text")
	}
}

func TestReportsOnStandardOutput(t *testing.T) {
	b := newBench()
	b.command(context.Background(), []string{"run", "--report", "json", "held.yaml", "failed.yaml"})
	d := json.NewDecoder(&b.out)
	var verdicts []string
	for d.More() {
		var one struct{ Verdict, Repeat string }
		if err := d.Decode(&one); err != nil {
			t.Fatal(err)
		}
		verdicts = append(verdicts, one.Verdict+": "+one.Repeat)
	}
	if diff := cmp.Diff([]string{"passed: sim run --seed 5 held.yaml", "failed: sim run --seed 5 failed.yaml"},
		verdicts); diff != "" {
		t.Error(diff)
	}

	b = newBench()
	b.command(context.Background(), []string{"run", "--report", "junit", "held.yaml", "failed.yaml"})
	if got := b.out.String(); !strings.HasPrefix(got, "<?xml") || strings.Count(got, "<testsuite ") != 2 {
		t.Errorf("printed\n%s", got)
	}

	b = newBench()
	b.command(context.Background(), []string{"run", "--report", "text,json", "--quiet", "held.yaml"})
	if got := b.out.String(); !strings.HasPrefix(got, "PASSED  held: 1 check held  digest 00000000000000ff\n{\n") {
		t.Errorf("printed\n%s", got)
	}
}

func TestVerdictsArePrintedWhenEveryReportIsAFile(t *testing.T) {
	b := newBench()
	b.command(context.Background(), []string{"run", "--out", t.TempDir(), "--report", "json,junit", "held.yaml",
		"failed.yaml"})
	want := `PASSED  held: 1 check held  digest 00000000000000ff
FAILED  failed: 1 of 1 check failed  digest 00000000000000ff

  failed  expectation failed.yaml:9:5
    events > 0
    found     nothing

  repeat      sim run --seed 5 failed.yaml
2 scenarios: 1 passed, 1 failed (failed)
`
	if diff := cmp.Diff(want, b.out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestColourOnTerminalsUnlessRefused(t *testing.T) {
	for _, c := range []struct {
		terminal bool
		flags    []string
		want     bool
	}{{true, nil, true}, {true, []string{"--no-color"}, false}, {false, nil, false}} {
		b := newBench()
		b.colour = c.terminal
		b.command(context.Background(), append([]string{"run", "held.yaml"}, c.flags...))
		if got := strings.HasPrefix(b.out.String(), "\x1b[1;32mPASSED\x1b[0m"); got != c.want {
			t.Errorf("terminal %v, %v: %.20q", c.terminal, c.flags, b.out.String())
		}
	}
}

type brokenOutput struct{}

func (brokenOutput) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestStandardOutputThatFails(t *testing.T) {
	for _, arguments := range []string{"run held.yaml failed.yaml", "run --report json,junit held.yaml",
		"check held.yaml", "schema", "help"} {
		b := newBench()
		b.stdout = io.Writer(brokenOutput{})
		if got := b.command(context.Background(), strings.Fields(arguments)); got != statusError {
			t.Errorf("sim %s: status %d, want 107", arguments, got)
		}
		if n := strings.Count(b.err.String(), "no space left on device\n"); n != 1 {
			t.Errorf("sim %s: complained %d times: %q", arguments, n, b.err.String())
		}
	}
}

func TestOutThatCannotBeWritten(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	b := newBench()
	if got := b.command(context.Background(), []string{"run", "--out", filepath.Join(file, "x"),
		"held.yaml"}); got != statusError || len(b.ran) > 0 {
		t.Errorf("status %d, ran %v; want 107 and nothing", got, b.ran)
	}
	if n := strings.Count(b.err.String(), "\n"); n != 2 || !strings.Contains(b.err.String(), "hint: ") {
		t.Errorf("standard error %q", b.err.String())
	}
}

func TestReportThatCannotBeWrittenIsSaidOnce(t *testing.T) {
	folder := t.TempDir()
	if err := os.MkdirAll(filepath.Join(folder, "held.json", "full"), 0o755); err != nil {
		t.Fatal(err)
	}
	b := newBench()
	if got := b.command(context.Background(), []string{"run", "--out", folder, "held.yaml",
		"failed.yaml"}); got != statusError {
		t.Errorf("status %d, want 107", got)
	}
	if n := strings.Count(b.err.String(), "sim: writing "); n != 1 {
		t.Errorf("complained %d times: %q", n, b.err.String())
	}
	if len(b.ran) != 2 || !strings.Contains(b.out.String(), "FAILED  failed") {
		t.Errorf("ran %v and printed\n%s", b.ran, b.out.String())
	}
}

func TestFileNamesAreSafeAndDiffer(t *testing.T) {
	n := fileNames{}
	for _, c := range []struct{ in, want string }{
		{"classroom", "classroom"}, {"classroom", "classroom-2"}, {"Classroom", "Classroom-3"},
		{"classroom-2", "classroom-2-2"},
		{"../../etc/passwd", "etc-passwd"}, {"a.openmetrics", "a-openmetrics"}, {"", "scenario"}, {"..", "scenario-2"},
		{"-rf", "rf"}, {"a\x00b\nc", "a-b-c"}, {"café", "caf-"}, {strings.Repeat("x", 300), strings.Repeat("x", 100)},
	} {
		if got := n.take(c.in); got != c.want {
			t.Errorf("take(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}
