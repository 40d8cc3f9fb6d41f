package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestSimulateRunsAProgram(t *testing.T) {
	t.Setenv(fakeSim, "1")
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	for _, c := range []struct {
		scenario string
		limit    time.Duration
		want     scenarioResult
		err      string
	}{
		{"green.yaml", time.Minute, scenarioResult{green, ""}, ""},
		{"red.yaml", time.Minute, scenarioResult{red, "red:7"}, ""},
		{"panics.yaml", time.Minute, scenarioResult{crashed, "panic: the log has no entry 7"}, ""},
		{"hangs.yaml", 100 * time.Millisecond, scenarioResult{hung, "no end within 100ms"}, ""},
		{"where.yaml", time.Minute, scenarioResult{}, "running where.yaml: exit status 107: " + filepath.Base(root)},
		{"silent.yaml", time.Minute, scenarioResult{}, "running silent.yaml: exit status 0, reading its JSON: unexpected end of JSON input"},
	} {
		got, err := simulate(t.Context(), root, program, c.scenario, c.limit)
		if got != c.want || textOf(err) != c.err {
			t.Errorf("%s: %+v and error %q, want %+v and %q", c.scenario, got, textOf(err), c.want, c.err)
		}
	}
}

func TestSimulateNeedsAProgram(t *testing.T) {
	_, err := simulate(t.Context(), t.TempDir(), filepath.Join(t.TempDir(), "none"), "a.yaml", time.Minute)
	if !errors.Is(err, os.ErrNotExist) || !strings.HasPrefix(err.Error(), "running a.yaml: ") {
		t.Errorf("error %v, want that of a missing file", err)
	}
}

func TestAnInterruptIsNoHang(t *testing.T) {
	t.Setenv(fakeSim, "1")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	got, err := simulate(ctx, t.TempDir(), os.Args[0], "hangs.yaml", time.Minute)
	if got != (scenarioResult{}) || !errors.Is(err, context.Canceled) {
		t.Errorf("%+v and %v, want nothing and %v", got, err, context.Canceled)
	}
}

func TestConcludeBelievesOnlyWhatFits(t *testing.T) {
	const held = `{"verdict": "passed", "checks": [{"name": "a", "verdict": "passed"}]}`
	const failed = `{"verdict": "failed", "checks": [{"name": "a", "verdict": "failed"}]}`
	const contradiction = `{"verdict": "passed", "checks": [{"name": "a", "verdict": "failed"}]}`
	const noCheck = `{"verdict": "passed", "checks": []}`
	for _, c := range []struct {
		status         int
		stdout, stderr string
		want           scenarioResult
		err            string
	}{
		{0, held, "", scenarioResult{green, ""}, ""},
		{99, failed, "", scenarioResult{red, "a"}, ""},
		{2, "", "goroutine 1\nfatal error: all goroutines are asleep\n", scenarioResult{crashed, "fatal error: all goroutines are asleep"}, ""},
		{0, failed, "", scenarioResult{}, `exit status 0 does not fit the verdict "failed" with 1 checks`},
		{99, held, "", scenarioResult{}, `exit status 99 does not fit the verdict "passed" with 1 checks`},
		{99, contradiction, "", scenarioResult{}, `exit status 99 does not fit the verdict "passed" with 1 checks`},
		{0, noCheck, "", scenarioResult{}, `exit status 0 does not fit the verdict "passed" with 0 checks`},
		{2, "", "unknown flag\n", scenarioResult{}, "exit status 2: unknown flag"},
		{104, held, "no such scenario\n", scenarioResult{}, "exit status 104: no such scenario"},
	} {
		got, err := conclude(c.status, []byte(c.stdout), []byte(c.stderr))
		if got != c.want || textOf(err) != c.err {
			t.Errorf("status %d, %q: %+v and error %q, want %+v and %q", c.status, c.stdout, got, textOf(err), c.want, c.err)
		}
	}
}

func textOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
