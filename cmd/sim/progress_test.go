package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"bluetrace/reports"
	"bluetrace/scenarios"
	"bluetrace/sim"
)

func TestProgressIsOneRedrawnLine(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(100, 0)
	p := &progress{w: &out, columns: func() int { return 80 }, now: func() time.Time { return now }, started: now}
	draw := func(at sim.Progress) {
		p.draw(func(now time.Time) string { return p.runProgress("day\x1b", at, now.Sub(p.started)) })
	}
	half := sim.Progress{At: 30 * time.Minute, Length: time.Hour, Events: 1234}

	now = now.Add(999 * time.Millisecond)
	draw(half)
	if out.Len() > 0 {
		t.Errorf("drew %q before a second", out.String())
	}
	now = now.Add(time.Millisecond)
	draw(half)
	now = now.Add(99 * time.Millisecond)
	draw(half)
	if got, want := out.String(), "\r"+`day\x1b  50 %  30m0s of 1h0m0s  1,234 events  1s left`+"\x1b[K"; got != want {
		t.Errorf("drew %q, want %q", got, want)
	}
	out.Reset()
	now = now.Add(time.Millisecond)
	draw(sim.Progress{At: time.Minute, Events: 1})
	p.clear()
	if got, want := out.String(), "\r"+`day\x1b  1m0s  1 event`+"\x1b[K\r\x1b[K"; got != want {
		t.Errorf("drew %q, want %q", got, want)
	}
}

func TestProgressKeepsToTheTerminal(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(100, 0)
	p := &progress{w: &out, columns: func() int { return 20 }, now: func() time.Time { return now }}
	p.draw(func(time.Time) string { return strings.Repeat("é", 50) })
	if got, want := out.String(), "\r"+strings.Repeat("é", 19)+"\x1b[K"; got != want {
		t.Errorf("drew %q, want %q", got, want)
	}
}

func TestProgressUnlessQuiet(t *testing.T) {
	for _, c := range []struct {
		terminal bool
		flags    []string
		want     bool
	}{{true, nil, true}, {true, []string{"--quiet"}, false}, {false, nil, true}, {false, []string{"--quiet"}, false}} {
		b := newBench()
		b.terminal = c.terminal
		asked := false
		engine := b.program.engine
		b.program.engine = func(ctx context.Context, s *scenarios.Scenario, o sim.Options) (*sim.Result, error) {
			asked = o.Progress != nil
			return engine(ctx, s, o)
		}
		b.command(context.Background(), append([]string{"run", "held.yaml"}, c.flags...))
		if asked != c.want || b.err.Len() > 0 {
			t.Errorf("terminal %v, %v: progress %v, want %v; standard error %q", c.terminal, c.flags, asked, c.want,
				b.err.String())
		}
	}
}

// TestTimeLeftFollowsTheSpeed: the time left comes from the speed of the last seconds, not
// from a beginning that was faster or slower.
func TestTimeLeftFollowsTheSpeed(t *testing.T) {
	for _, early := range []float64{0.001, 0.4} { // share done in the first 2 s
		p := &pace{}
		var left time.Duration
		for at := 2 * time.Second; at <= 12*time.Second; at += 100 * time.Millisecond {
			part := early + 0.01*(at-2*time.Second).Seconds() // then 1 % a second
			left, _ = p.left(at, part)
		}
		want := time.Duration((1 - early - 0.1) / 0.01 * float64(time.Second))
		if off := left - want; off < -time.Second || off > time.Second {
			t.Errorf("%g %% done in 2s: %v left, want %v", 100*early, left, want)
		}
	}
	p := &pace{}
	if _, ok := p.left(time.Second, 0); ok {
		t.Error("a run that has not begun has no time left")
	}
	if left, ok := p.left(2*time.Second, 0.5); !ok || left != 2*time.Second {
		t.Errorf("%v left, want 2s", left)
	}
}

// TestProgressWithoutATerminal: every ten seconds there is a line, and nothing is redrawn.
func TestProgressWithoutATerminal(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(100, 0)
	p := &progress{w: &out, plain: true, now: func() time.Time { return now }, started: now}
	for range 250 {
		now = now.Add(100 * time.Millisecond)
		p.draw(func(now time.Time) string { return now.Sub(p.started).String() })
	}
	p.clear()
	if got, want := out.String(), "10s\n20s\n"; got != want {
		t.Errorf("wrote %q, want %q", got, want)
	}
}

// TestProgressOfALoadAndOfALiveRun: a load shows its rates and times, and a live run the step that it waits for.
func TestProgressOfALoadAndOfALiveRun(t *testing.T) {
	h := hdrhistogram.New(1, int64(time.Hour), 3)
	for ms := range int64(100) {
		if err := h.RecordValue((ms + 1) * int64(time.Millisecond)); err != nil {
			t.Fatal(err)
		}
	}
	soFar := &reports.Load{All: reports.LoadOperation{OK: 1000, Failed: 3, Unknown: 1, Response: h}}
	now := reports.LoadNow{Target: 500, Achieved: 499, InFlight: 12, SoFar: soFar}
	for _, c := range []struct {
		at   sim.Progress
		want string
	}{
		{sim.Progress{At: 20 * time.Second, Length: time.Minute, Load: &now},
			"x  33 %  20s of 1m0s  499 of 500/s  p50 50.00, p99 99.02 ms  3 failed  1 without an answer  12 in flight"},
		{sim.Progress{At: 20 * time.Second, Length: time.Minute, Load: &reports.LoadNow{WarmUp: true, Target: 5}},
			"x  33 %  20s of 1m0s  0 of 5/s  warm-up  0 in flight"},
		{sim.Progress{At: 80 * time.Second, Doing: "step 3, 500/s", Load: &now},
			"x  1m20s  step 3, 500/s  499 of 500/s  p50 50.00, p99 99.02 ms  3 failed  1 without an answer  12 in flight"},
		{sim.Progress{At: 2 * time.Second, Length: time.Minute, Doing: "step 1 of 2, line 7: a\x1b"},
			`x  3 %  2s of 1m0s  1m56s left  step 1 of 2, line 7: a\x1b`},
	} {
		p := &progress{}
		if got := p.runProgress("x", c.at, 4*time.Second); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// TestSeveralFilesEndWithASum: after several files, and only then, a line has the number of their verdicts.
func TestSeveralFilesEndWithASum(t *testing.T) {
	for arguments, want := range map[string]string{
		"held.yaml":                                     "",
		"held.yaml failed.yaml missing.yaml":            "\n3 scenarios: 1 passed, 1 failed (failed), 1 not run (missing.yaml)\n",
		"--quiet held.yaml one.yaml":                    "\n2 scenarios: 2 passed\n",
		"--report json held.yaml one.yaml":              "",
		"--report json,text --out F held.yaml one.yaml": "\n2 scenarios: 2 passed\n",
	} {
		b := newBench()
		line := strings.Fields("run " + strings.Replace(arguments, "F", t.TempDir(), 1))
		b.command(t.Context(), line)
		got := ""
		if i := strings.Index(b.out.String(), "scenarios: "); i > 2 {
			got = b.out.String()[i-3:]
		}
		if got != want || want != "" && strings.HasPrefix(arguments, "--quiet") && strings.Contains(b.out.String(), "\n\n") {
			t.Errorf("%s: %q, want the end %q", arguments, b.out.String(), want)
		}
	}
}
